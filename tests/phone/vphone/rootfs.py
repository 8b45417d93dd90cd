"""What a virtual phone boots from: a read-only root that all phones of a kind share.

Debian 13's adbd (the daemon of AOSP), mksh and toybox; for /system/bin and where a phone keeps its vendor's files,
mount points that `machine.py` fills from a profile. With drivers: PoCL and lavapipe of Debian 12 (13's PoCL builds
a kernel in 112 s under emulation, 12's in 9 s).
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from .packages import Unavailable, unpack
from .userlands import PROGRAMS

Arch = Literal["x86_64", "aarch64"]

VERSION = 9
"""Counted up when what `build` makes changes."""

TOOLBOX = Path(__file__).with_name("toolbox.c")
DAEMON = "/usr/lib/android-sdk/platform-tools/adbd"
MOUNT_POINTS = (
    *("data", "dev", "proc", "sys", "vendor", "odm", "product", "run", "tmp"),
    *("system/bin", "system/xbin", "system/etc"),
)
LINKER = "usr/libexec/linker"
"""Where PoCL finds `ld`, told by COMPILER_PATH, and nobody else does."""
DRIVERS = ("pocl-opencl-icd", "ocl-icd-libopencl1", "mesa-vulkan-drivers", "libvulkan1", "libc6")
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}

# Process 1. Starts the daemon again when it dies, as a phone's init does, and reaps orphans. It needs none of the
# phone's tools, so that they can be taken away.
INIT = f"""\
#!/{PROGRAMS}/mksh
cd /
while :; do {DAEMON} >/dev/null 2>&1; /{PROGRAMS}/toybox sleep 0.2; done
"""


def cache() -> Path:
    """Where roots are kept: $XDG_CACHE_HOME/gemmafit-vphone."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gemmafit-vphone"


def build(arch: Arch, *, drivers: bool) -> Path:
    """The root of a kind of phone; built on first use, which takes seconds, or a minute with drivers.

    Raises Unavailable, saying what is missing.
    """
    if platform.machine() != "x86_64":
        raise Unavailable(f"the virtual phone's daemon is an x86_64 program, this is {platform.machine()}")
    name = f"{arch}{'-drivers' if drivers else ''}-{VERSION}"
    return _once(name, lambda partial: _assemble(arch, drivers, partial, cache() / "apt"))


def emulator() -> Path:
    """The static user-mode emulator of aarch64: this machine's, else Debian 12's, unpacked for us alone."""
    found = shutil.which("qemu-aarch64-static")
    if found:
        return Path(found)
    place = Path("usr/bin/qemu-aarch64-static")
    folder = _once("qemu", lambda partial: _unpack_emulator(partial, place))
    return folder / place


def _unpack_emulator(root: Path, place: Path) -> None:
    unpack("bookworm", "amd64", ["qemu-user-static"], root, cache() / "apt", members=[f"./{place}"])


def _once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name in the cache; made on first use, by one process at a time."""
    folder = cache()
    done = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            partial = folder / f"{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            make(partial)
            partial.rename(done)
    return done


def _assemble(arch: Arch, drivers: bool, root: Path, state: Path) -> None:
    for folder in ("usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "system/bin", PROGRAMS):
        (root / folder).mkdir(parents=True)
    for link, target in (
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
        ("bin", "system/bin"),
        ("sbin", "usr/sbin"),
    ):
        (root / link).symlink_to(target)
    if drivers:
        unpack("bookworm", DEBIAN[arch], DRIVERS, root, state)
        # PoCL links its kernels with `ld`. For aarch64 a cross linker, as it needs no emulation.
        unpack("bookworm", "amd64", [f"binutils-{arch.replace('_', '-')}-linux-gnu"], root, state)
        (root / LINKER).mkdir(parents=True)
        (root / LINKER / "ld").symlink_to(f"/usr/bin/{arch}-linux-gnu-ld")
    elif arch == "aarch64":
        unpack("bookworm", "arm64", ["libc6", "libgcc-s1"], root, state)
    # After the drivers: where both bring a library, the newer one serves both.
    unpack("trixie", "amd64", ["adbd", "mksh", "toybox"], root, state)
    _link_drivers(root)
    _phone_tools(root)
    (root / "usr/libexec/init").write_text(INIT)
    (root / "usr/libexec/init").chmod(0o755)
    for name in ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian"):
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\nshell:x:2000:2000:shell:/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nshell:x:2000:\n")
    for name in MOUNT_POINTS:
        (root / name).mkdir(parents=True, exist_ok=True)


def _link_drivers(root: Path) -> None:
    """The loaders of OpenCL and Vulkan under the names and in the places a phone has them."""
    for library in sorted((root / "usr/lib").glob("*-linux-gnu/lib*.so.1")):
        if library.name in ("libOpenCL.so.1", "libvulkan.so.1"):
            name = library.name.removesuffix(".1")
            library.with_name(name).symlink_to(library.name)
            place = root / "system/lib64"
            place.mkdir(exist_ok=True)
            (place / name).symlink_to(f"/{library.relative_to(root)}")


def _phone_tools(root: Path) -> None:
    programs = root / PROGRAMS
    for name in ("mksh", "toybox"):
        shutil.move(root / "usr/bin" / name, programs / name)
    _compile(TOOLBOX, programs / "toolbox")
    (programs / "applets").write_text(_run(root, f"{PROGRAMS}/toybox"))


def _compile(source: Path, program: Path) -> None:
    """A static program, by the compiler that builds the agent."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl", "-static", "-O2", "-s"),
            *("-Wall", "-Wextra", "-Werror", "-o", str(program), str(source)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(f"{source.name} cannot be compiled (package ziglang): {done.stderr.strip()[-400:]}")


def _run(root: Path, program: str) -> str:
    """What a program of the root prints, started by the root's own loader and libraries."""
    loader, libraries = root / "usr/lib64/ld-linux-x86-64.so.2", root / "usr/lib/x86_64-linux-gnu"
    return subprocess.run(
        [loader, "--library-path", libraries, root / program],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
