"""Compile the agent for every ABI with the `ziglang` package: no NDK, no cross toolchain.

    python -m gemmafit.agent.build [ABI ...]

Writes `built/<abi>/gemmafit-agent` and `built/manifest.json`. Objects are kept in `built/.cache` under the
hash of everything that went into them, so that a second build compiles only what changed.

Linux: `zig cc` with the glibc that zig carries. Android: zig has no bionic, so it compiles against
`src/platform.h` alone and links with its lld against stub libraries made from `src/android/*.syms`
(the list of what the agent may use; an API 24 phone has all of it).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .. import __version__
from ..base import protocol
from ..base.errors import ToolchainError
from ..base.files import make_folder, write

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "src"
OUTPUT = HERE / "built"
NAME = "gemmafit-agent"
ANDROID_API = 24
PAGE_SIZE = 16384  # Android 15 devices may have 16 KB pages; smaller pages accept it

# -ffp-contract=off: a fused multiply-add in a fill or a scalar routine would differ from the NumPy reference.
# -fno-sanitize: zig adds traps of its own to C.
COMMON = (
    *("-std=c11", "-O2", "-g0", "-ffp-contract=off", "-fno-sanitize=all", "-fstack-protector-strong"),
    *("-fPIE", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections"),
    *("-Wall", "-Wextra", "-Werror", "-Wno-unused-command-line-argument"),
)


@dataclass(frozen=True)
class Abi:
    """A target: `name` as Android calls it, or linux-<machine>."""

    name: str
    triple: str
    flags: tuple[str, ...] = ()
    emulation: str = ""
    """Of the linker; only Android is linked by hand."""
    interpreter: str = ""

    @property
    def android(self) -> bool:
        return bool(self.interpreter)


# glibc 2.28 (Debian 10, RHEL 8) is what the Linux agents need at least.
ABIS = (
    Abi(
        "arm64-v8a",
        f"aarch64-linux-android.{ANDROID_API}",
        ("-mcpu=generic", "-mno-outline-atomics"),
        "aarch64linux",
        "/system/bin/linker64",
    ),
    # `androideabi` is the name of this ABI, but with it zig does not compile NEON code: hence the name of the
    # hard-float one, and clang told to pass floats in core registers.
    Abi(
        "armeabi-v7a",
        f"arm-linux-android.{ANDROID_API}",
        ("-mcpu=generic+v7a+neon+vfp3", "-mfloat-abi=softfp"),
        "armelf_linux_eabi",
        "/system/bin/linker",
    ),
    Abi(
        "x86_64",
        f"x86_64-linux-android.{ANDROID_API}",
        ("-mcpu=x86_64_v2",),
        "elf_x86_64",
        "/system/bin/linker64",
    ),
    Abi("linux-x86_64", "x86_64-linux-gnu.2.28", ("-mcpu=x86_64",)),
    Abi("linux-aarch64", "aarch64-linux-gnu.2.28", ("-mcpu=generic", "-mno-outline-atomics")),
)


class Toolchain:
    """The zig of the `ziglang` package. Each output is named by the hash of all its inputs."""

    def __init__(self, cache: Path) -> None:
        package = find_spec("ziglang")
        if package is None or not package.submodule_search_locations:
            raise ToolchainError(
                "the agent is compiled with the package `ziglang`, which is not installed",
                hint="Install it with `pip install ziglang`.",
            )
        home = Path(package.submodule_search_locations[0])
        self.zig = Path(shutil.which("zig", path=str(home)) or home / "zig")
        self.lib = home / "lib"
        self.cache = cache
        cache.mkdir(parents=True, exist_ok=True)
        self.version = self._run([str(self.zig), "version"]).strip()
        headers = sorted(SOURCES.rglob("*.h"))
        self._headers = _digest([self.version, *(h.read_bytes() for h in headers)])

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=SOURCES)
        if done.returncode:
            raise ToolchainError(f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}")
        if done.stderr.strip():
            print(done.stderr, file=sys.stderr)
        return done.stdout

    def make(self, stem: str, suffix: str, command: Sequence[str], inputs: Iterable[Path]) -> Path:
        """Run zig with `command` and `-o OUT`, unless OUT exists for these inputs."""
        key = _digest([self._headers, *command, *(p.read_bytes() for p in inputs)])[:24]
        out = self.cache / f"{stem}.{key}{suffix}"
        if not out.exists():
            part = out.with_suffix(f".part{os.getpid()}{suffix}")
            emit = [f"-femit-bin={part}"] if command[0] == "build-lib" else ["-o", str(part)]
            self._run([str(self.zig), *command, *emit])
            part.replace(out)
            for old in self.cache.glob(f"{stem}.*{suffix}"):
                if old != out:
                    old.unlink(missing_ok=True)
        return out


def _digest(parts: Iterable[str | bytes]) -> str:
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()


def _compile(tool: Toolchain, abi: Abi, source: Path) -> Path:
    flags = ["cc", "-target", abi.triple, *abi.flags, *COMMON, "-I", str(SOURCES)]
    if abi.android:
        # Only the compiler's own headers, and no hosted ones behind <immintrin.h>; memcpy stays a builtin.
        flags += ["-nostdinc", "-isystem", str(tool.lib / "include"), "-ffreestanding", "-fbuiltin"]
    if source.name == "start.c":
        flags += ["-fno-stack-protector", f"-DANDROID_API={ANDROID_API}"]
    flags += [f'-DGEMMAFIT_VERSION="{__version__}"', f'-DGEMMAFIT_ABI="{abi.name}"']
    flags += [f"-D{name}={value}" for name, value in protocol.numbers().items()]
    stem = f"{abi.name}.{'-'.join(source.relative_to(SOURCES).with_suffix('').parts)}"
    return tool.make(stem, ".o", [*flags, "-c", str(source)], [source])


def _stub(tool: Toolchain, abi: Abi, symbols: Path) -> Path:
    """A library that defines the listed names and nothing else, to link against."""
    lines = []
    for name in symbols.read_text("utf-8").split():
        kind, section = ("object", ".data") if name == "__stack_chk_guard" else ("function", ".text")
        lines.append(f"{section}\n.globl {name}\n.type {name},%{kind}\n{name}:\n.long 0, 0\n.size {name},8\n")
    library = symbols.stem
    source = tool.cache / f"{abi.name}.{library}.S"
    source.write_text("".join(lines), "utf-8")
    compiled = tool.make(
        f"{abi.name}.{library}",
        ".o",
        ["cc", "-target", abi.triple, *abi.flags, "-fPIC", "-c", str(source)],
        [source],
    )
    link = ["ld.lld", "-m", abi.emulation, "-shared", "-soname", f"{library}.so", str(compiled)]
    return tool.make(f"{abi.name}.{library}", ".so", link, [compiled])


def _runtime(tool: Toolchain, abi: Abi) -> list[Path]:
    """What the compiler calls and no 32-bit ARM instruction does: 64-bit division, conversions.

    Built as `androideabi`: floats in core registers, as Android's 32-bit ABI passes them everywhere.
    """
    if abi.name != "armeabi-v7a":
        return []
    source = tool.lib / "compiler_rt.zig"
    command = ["build-lib", "-static", "-target", "arm-linux-androideabi", "-mcpu", "generic+v7a+neon+vfp3"]
    command += ["-O", "ReleaseSmall", "-fPIC", str(source)]
    return [tool.make(f"{abi.name}.compiler_rt", ".a", command, [source])]


def _link(tool: Toolchain, abi: Abi, objects: Sequence[Path]) -> Path:
    hardening = ["-z", "now", "-z", "relro", "-z", "noexecstack", "-z", f"max-page-size={PAGE_SIZE}"]
    if abi.android:
        stubs = [_stub(tool, abi, symbols) for symbols in sorted(SOURCES.glob("android/*.syms"))]
        inputs = [*objects, *_runtime(tool, abi), *stubs]
        # No RELR (--pack-dyn-relocs): broken or ignored before API 28.
        command = ["ld.lld", "-m", abi.emulation, "-pie", "--dynamic-linker", abi.interpreter, *hardening]
        command += ["--hash-style=both", "--gc-sections", "--no-undefined", "--build-id=sha1", "-s"]
        command += map(str, inputs)
    else:
        inputs = list(objects)
        command = ["cc", "-target", abi.triple, *abi.flags, "-pie", *hardening]
        command += ["-Wl,--gc-sections", "-Wl,--build-id=sha1", "-s", *map(str, inputs)]
        command += ["-lm", "-ldl", "-lpthread"]
    return tool.make(f"{abi.name}.{NAME}", "", command, inputs)


def sources(abi: Abi) -> list[Path]:
    """The C files of a target."""
    found = [p for p in sorted(SOURCES.rglob("*.c")) if "android" not in p.relative_to(SOURCES).parts]
    return [*found, SOURCES / "android" / "start.c"] if abi.android else found


def build(out_dir: Path = OUTPUT, only: Iterable[str] = ()) -> dict[str, Path]:
    """Build all ABIs (or `only` the named) and write the manifest; returns abi -> binary.

    Raises ToolchainError. `only` leaves the other binaries and their manifest rows as they are.
    """
    chosen = [a for a in ABIS if not (names := set(only)) or a.name in names]
    tool = Toolchain(out_dir / ".cache")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = {a: [pool.submit(_compile, tool, a, s) for s in sources(a)] for a in chosen}
        objects = {a: [job.result() for job in jobs[a]] for a in chosen}
        linked = {a: pool.submit(_link, tool, a, objects[a]) for a in chosen}
        images = {a: linked[a].result().read_bytes() for a in chosen}
    manifest_path = out_dir / "manifest.json"
    rows: dict[str, dict[str, object]] = {}
    if len(chosen) < len(ABIS) and manifest_path.exists():
        rows = json.loads(manifest_path.read_text("utf-8"))["binaries"]
    binaries: dict[str, Path] = {}
    for abi, image in images.items():
        path = binaries[abi.name] = out_dir / abi.name / NAME
        if not path.exists() or path.read_bytes() != image:
            make_folder(path.parent)
            write(path, image, mode=0o755)  # replaced, not rewritten: the old one may be running
        rows[abi.name] = {"sha256": hashlib.sha256(image).hexdigest(), "size": len(image)}
    manifest = {"version": __version__, "compiler": f"zig {tool.version}", "binaries": rows}
    write(manifest_path, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return binaries


def main() -> int:
    """The exit status; each executable is named with its size."""
    parser = argparse.ArgumentParser(description="Compile the agent.")
    parser.add_argument("abi", nargs="*", choices=[[], *(a.name for a in ABIS)], help="default: all")
    try:
        for path in build(only=parser.parse_args().abi).values():
            print(f"{path.stat().st_size:8d} {path}")
    except ToolchainError as error:
        print("\n".join(filter(None, (str(error), error.hint))), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
