"""A virtual phone: a profile, the files it makes, its namespaces, and a relay from a port of this machine.

A profile is a YAML mapping:

    arch: x86_64 | aarch64          drivers: false
    userland: debian                a row of `userlands.py`
    properties: {ro.product.model: ...}
    files: {/vendor/etc/public.libraries.txt: "libOpenCL.so\\n", /proc/cpuinfo: ...}
    answers: {"dumpsys SurfaceFlinger": "GLES: ..."}     what dumpsys, cmd, pm, ... print
    tools: {sh: "#!/system/bin/mksh\\n...", head: null}   of /system/bin: other ones, or none (null)
    settings: {global/low_power: "1"}                    what `settings get` knows from the start
    data: {size: 256m, executable: true, writable: true}

`files` may lie below /vendor, /odm, /product, /system/etc, /sys and /data, and be files of /proc. An answer may
be {out: ..., exit: 255}. The fields of `data`: see `Data`. A file in
/product/bin is a program that the phone's own of that name stands behind.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import namespaces as ns
from .rootfs import LINKER, Arch, build, emulator
from .userlands import USERLANDS

SHELL_UID = 2000
"""Of `adb shell` on every phone (AID_SHELL)."""
DAEMON_PORT = 5555
"""Inside the phone's own network; outside, the relay's port is what counts."""
TMPFS = (
    "data",
    "vendor",
    "odm",
    "product",
    "system/bin",
    "system/xbin",
    "system/etc",
    "sys",
    "dev",
    "run",
    "tmp",
)
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass(frozen=True)
class Data:
    """The /data partition.

    Attributes:
        size: as tmpfs takes it.
        executable: False: mounted noexec.
        writable: False: /data/local/tmp belongs to root alone.
        present: False: there is no /data/local/tmp.
        full: not a byte is free.
        read_only: mounted so, as a phone does over a broken file system.
    """

    size: str = "1g"
    executable: bool = True
    writable: bool = True
    present: bool = True
    full: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Profile:
    """See the module."""

    arch: Arch = "x86_64"
    drivers: bool = False
    userland: str = "debian"
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    answers: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict[str, str | Mapping[str, Any]])
    tools: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    data: Data = Data()

    @classmethod
    def read(cls, path: Path) -> Profile:
        """From a YAML file."""
        raw: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        return cls(**{**raw, "data": Data(**raw.get("data", {}))})

    def getprop(self) -> str:
        """As `getprop` prints all of them."""
        return "".join(f"[{k}]: [{v}]\n" for k, v in sorted(self.properties.items()))


def boot(profile: Profile, mount_point: Path) -> int:
    """Start the phone; its root is assembled at `mount_point`, an empty folder, seen only by the phone.

    Returns the pid whose end is the phone's. Raises Unavailable.
    """
    root = build(profile.arch, drivers=profile.drivers)
    qemu = emulator() if profile.arch == "aarch64" else None
    return ns.start(lambda: _first_process(profile, root, qemu, mount_point))


def _first_process(profile: Profile, base: Path, qemu: Path | None, root: Path) -> None:
    # The emulator is registered first: flag F opens it now, so that it needs no file inside the phone.
    if qemu is not None:
        _register_emulator(qemu, root)
    ns.bind(base, root, ns.MS_RDONLY)
    for name in TMPFS:
        size = {"data": profile.data.size, "tmp": "256m"}.get(name, "16m")
        flags = ns.MS_NOEXEC if name == "data" and not profile.data.executable else 0
        ns.mount("tmpfs", root / name, "tmpfs", ns.MS_NOSUID | flags, f"mode=755,size={size}")
    _write_tools(profile, root)
    ns.mount("proc", root / "proc", "proc", ns.MS_NOSUID | ns.MS_NODEV | ns.MS_NOEXEC)
    _devices(root / "dev")
    if profile.drivers:
        # PoCL aborts where it cannot read the processor's topology and the node's memory.
        (root / "sys/devices/system").mkdir(parents=True)
        ns.bind(Path("/sys/devices/system"), root / "sys/devices/system", ns.MS_RDONLY)
    _write_files(profile, root)
    _write_data(profile.data, root / "data")
    (root / "tmp").chmod(0o1777)
    ns.enter_root(root)
    os.setgroups(
        [SHELL_UID, 1004, 1007, 1011, 1015, 1028, 3001, 3002, 3003]
    )  # input, log, adb, sdcard, inet, ...
    os.setresgid(SHELL_UID, SHELL_UID, SHELL_UID)
    os.setresuid(SHELL_UID, SHELL_UID, SHELL_UID)
    ns.die_with_parent()
    environment = {
        "PATH": USERLANDS[profile.userland].path,
        "COMPILER_PATH": f"/{LINKER}",
        "ADBD_PORT": str(DAEMON_PORT),
        "HOME": "/",
        "TMPDIR": "/data/local/tmp",
        # Caches of the desktop's drivers; a phone's home directory, /, cannot be written.
        "POCL_CACHE_DIR": "/tmp/pocl",
        "XDG_CACHE_HOME": "/tmp",
    }
    os.execve("/usr/libexec/init", ["init"], environment)


def _register_emulator(qemu: Path, scratch: Path) -> None:
    """Programs for aarch64 run under the emulator, in this user namespace alone (Linux 6.7)."""
    ns.mount("binfmt_misc", scratch, "binfmt_misc")
    magic = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    (scratch / "register").write_text(f":qemu-aarch64:M::{magic}:{mask}:{qemu}:F")


def _devices(dev: Path) -> None:
    for name in DEVICES:
        (dev / name).touch()
        ns.bind(Path("/dev") / name, dev / name)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    ns.mount("devpts", dev / "pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620")
    (dev / "ptmx").symlink_to("pts/ptmx")
    ns.mount("tmpfs", dev / "shm", "tmpfs", ns.MS_NOSUID | ns.MS_NODEV, "mode=1777,size=512m")


def _write_tools(profile: Profile, root: Path) -> None:
    tools = root / "system/bin"
    USERLANDS[profile.userland].lay_out(root, tools, root / "system/xbin")
    for name, text in profile.tools.items():
        (tools / name).unlink(missing_ok=True)
        if text is not None:
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)


def _write_data(data: Data, place: Path) -> None:
    tmp = place / "local/tmp"
    tmp.parent.mkdir(parents=True, exist_ok=True)
    if data.present:
        tmp.mkdir(exist_ok=True)
        if data.writable:
            os.chown(tmp, SHELL_UID, SHELL_UID)
    if data.full:
        with contextlib.suppress(OSError), (place / "videos").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    if data.read_only:
        flags = 0 if data.executable else ns.MS_NOEXEC
        ns.mount("", place, "", ns.MS_BIND | ns.MS_REMOUNT | ns.MS_RDONLY | ns.MS_NOSUID | flags)


def _write_files(profile: Profile, root: Path) -> None:
    answers, settings = root / "system/etc/answers", root / "run/settings"
    answers.mkdir()
    settings.mkdir()
    os.chown(settings, SHELL_UID, SHELL_UID)
    (root / "system/etc/properties").write_text(profile.getprop())
    for call, answer in profile.answers.items():
        file = answers / call.replace("/", "%")
        if isinstance(answer, Mapping):
            file.with_name(f"{file.name}.status").write_text(f"{answer['exit']}\n")
            answer = answer["out"]
        file.write_text(answer)
    for name, value in profile.settings.items():
        path = settings / name.replace("/", "%")
        path.write_text(f"{value}\n")
        os.chown(path, SHELL_UID, SHELL_UID)
    for place, text in profile.files.items():
        if place.startswith("/proc/"):
            # A file of /proc cannot be written, but another one can be shown in its place.
            shown = root / "run" / place.removeprefix("/proc/").replace("/", "%")
            shown.write_text(text)
            ns.bind(shown, root / place[1:])
        else:
            path = root / place[1:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if path.parent.name == "bin":
                path.chmod(0o755)
