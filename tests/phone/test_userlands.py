"""The flavours of userland are what they claim to be: otherwise the tests that run in them would show nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gemmafit.probes.adb.server import AdbServer
from gemmafit.probes.adb.transport import Transport
from gemmafit.tests.phone.vphone.handle import Phone, eventually
from gemmafit.tests.phone.vphone.rootfs import LINKER, build
from gemmafit.tests.phone.vphone.userlands import PROGRAMS, USERLANDS

Shell = Callable[[str], str]

GNU = (b"Free Software Foundation", b"gnu.org")
"""In the help or version text of each of GNU's programs."""


@pytest.fixture
def shell(plain_phone: Phone, adb_server: AdbServer) -> Shell:
    """A script on the phone: what it prints, stderr included."""
    adb_server.attach(plain_phone.serial)
    eventually(lambda: adb_server.state(plain_phone.serial) == "device")
    transport = Transport(adb_server, plain_phone.serial)

    def run(script: str) -> str:
        return transport.shell(f"{{ {script}\n}} 2>&1", what="testing", seconds=30).stdout.decode()

    return run


def programs(phone: Phone, shell: Shell) -> dict[str, Path]:
    """What PATH reaches: name -> the file itself, as seen from here."""
    found: dict[str, Path] = {}
    for folder in shell("echo $PATH").strip().split(":"):
        for entry in sorted((phone.root / folder[1:]).glob("*")):
            target, hops = entry, 0
            while target.is_symlink() and (hops := hops + 1) < 10:
                link = target.readlink()
                target = phone.root / str(link)[1:] if link.is_absolute() else target.parent / link
            found.setdefault(entry.name, target)
    return found


def is_gnu(program: Path) -> bool:
    text = program.read_bytes()
    return any(words in text for words in GNU)


def test_no_tool_of_gnu_is_in_the_path(plain_phone: Phone, shell: Shell) -> None:
    found = programs(plain_phone, shell)
    assert {"sh", "cat", "getprop", "dumpsys"} <= found.keys()
    assert not [name for name, program in found.items() if is_gnu(program)]
    # All of it is the shell, toybox, what stands for other programs, and no further binary.
    known = {plain_phone.root / PROGRAMS / name for name in ("mksh", "toybox", "toolbox")}
    binaries = {p for p in found.values() if p.read_bytes().startswith(b"\x7fELF")}
    assert binaries <= known


def test_gnu_s_linker_is_known_as_such_and_only_pocl_finds_it() -> None:
    root = build("x86_64", drivers=True)
    linker = (root / LINKER / "ld").readlink()
    while (root / str(linker).lstrip("/")).is_symlink():
        linker = linker.parent / (root / str(linker).lstrip("/")).readlink()
    assert is_gnu(root / str(linker).lstrip("/"))
    for row in USERLANDS.values():
        assert f"/{LINKER}" not in row.path.split(":")


MISSING = {
    "debian": "",
    "android": "base32 httpd readelf wget",
    "android5": "awk cmd cut env expr find head printf readlink sed sha256sum sort stat tail timeout toybox tr uname wc xargs",
}
COMMON = "cat chmod cp dd df grep id kill ls mkdir rm sleep"
"""Of every Android since 5."""


def test_tools_that_are_missing(userland: str, plain_phone: Phone, shell: Shell) -> None:
    found = programs(plain_phone, shell)
    assert not found.keys() & set(MISSING[userland].split())
    for name in MISSING[userland].split():
        assert shell(f"{name} x; echo $?").splitlines()[-1] == "127"
    if userland != "debian":
        assert set(COMMON.split()) <= found.keys()


def test_setsid_forks_where_it_did(userland: str, shell: Shell) -> None:
    start = time.monotonic()
    status = shell('setsid sh -c "sleep 4; exit 7" >/dev/null 2>&1 & wait $!; echo $?').strip()
    seconds = time.monotonic() - start
    if userland == "android5":
        assert status == "0" and seconds < 3.5
        # What it started leads a session of its own: a signal to the group of $! does not reach it.
        assert shell('setsid sh -c "kill -0 -\\$\\$ && echo leads" & wait; sleep 0.5').strip() == "leads"
        # A second for the child to leave the group that it was forked in.
        still = shell('setsid sh -c "sleep 3; echo lives" & p=$!; wait $p; sleep 1; kill -9 -$p; sleep 5')
        assert "lives" in still
    else:
        assert status == "7" and seconds >= 4


def test_tools_of_android_5(userland: str, shell: Shell) -> None:
    listed = shell("ls -l /proc/self/cwd; ls -lZ /system/bin/sh").splitlines()
    free = shell("df /data; df -k /data").splitlines()
    if userland == "android5":
        assert listed[0].endswith(" cwd -> /") and "/proc/" not in listed[0]
        assert listed[1].endswith(f"u:object_r:system_file:s0 sh -> /{PROGRAMS}/mksh")
        assert free[0].split() == ["Filesystem", "Size", "Used", "Free", "Blksize"]
        assert free[1].split() == ["/data", "1024.0M", "0.0K", "1024.0M", "4096"]
        assert "-k: No such file or directory" in free
        assert "Unknown option" in shell("ls -1")
        assert "Usage: chmod" in shell("cd /data/local/tmp; echo >x; chmod +x x; rm -f x")
    else:
        assert "/proc/self/cwd -> /" in listed[0]
        assert "Filesystem" in free[0] and "1K-blocks" in free[0]


def test_dd_cuts_a_stream(userland: str, shell: Shell) -> None:
    if userland != "debian":
        assert shell("echo abcdef | dd ibs=1 obs=4096 count=3 2>/dev/null") == "abc"


def test_settings_keep_their_state(shell: Shell) -> None:
    name = "global stay_on_while_plugged_in"
    assert shell(f"settings get {name}") == "null\n"
    assert shell(f"settings put {name} 3; settings get {name}") == "3\n"
    assert shell(f"svc power stayon true; settings get {name}") == "7\n"
    assert shell(f"svc power stayon usb; settings get {name}") == "2\n"
    assert shell(f"svc power stayon false; settings get {name}") == "0\n"
    assert shell(f"settings delete {name} >/dev/null; settings get {name}") == "null\n"


def test_a_profile_says_what_services_answer(boot_plain: Callable[..., Phone], adb_server: AdbServer) -> None:
    refusal = {"exit": 255, "out": "Security exception: WRITE_SECURE_SETTINGS\n"}
    phone = boot_plain(
        answers={"svc power stayon true": refusal, "settings get global low_power": "1\n"},
        settings={"global/zen_mode": "2"},
        tools={"head": None, "df": "#!/system/bin/sh\necho none\n"},
    )
    adb_server.attach(phone.serial)
    eventually(lambda: adb_server.state(phone.serial) == "device")
    transport = Transport(adb_server, phone.serial)

    def shell(script: str) -> tuple[str, int | None]:
        output = transport.shell(script, what="testing", seconds=30)
        return output.stdout.decode(), output.exit

    assert shell("svc power stayon true") == (refusal["out"], 255)
    assert shell("settings get global low_power") == ("1\n", 0)
    assert shell("settings get global zen_mode") == ("2\n", 0)
    assert shell("head -c 3 /proc/version")[1] == 127
    assert shell("df /data") == ("none\n", 0)


DATA = [
    ({"executable": False}, "cd /data/local/tmp; cp /system/bin/cat c; ./c /dev/null", "ermission denied"),
    ({"full": True}, "echo abcd | cat > /data/local/tmp/x", "No space left on device"),
    ({"read_only": True}, "mkdir /data/local/tmp/x", "Read-only file system"),
    ({"present": False}, "mkdir /data/local/tmp/x", "No such file or directory"),
    ({"writable": False}, "mkdir /data/local/tmp/x", "Permission denied"),
]


@pytest.mark.parametrize(("data", "script", "complaint"), DATA, ids=[next(iter(row[0])) for row in DATA])
def test_what_data_may_be(
    data: dict[str, bool],
    script: str,
    complaint: str,
    boot_plain: Callable[..., Phone],
    adb_server: AdbServer,
) -> None:
    phone = boot_plain(data=data)
    adb_server.attach(phone.serial)
    eventually(lambda: adb_server.state(phone.serial) == "device")
    output = Transport(adb_server, phone.serial).shell(f"( {script} ) 2>&1", what="testing", seconds=30)
    assert complaint in output.stdout.decode()


@pytest.mark.parametrize("how", ["end", "kill"])
def test_a_phone_ends_with_its_test(how: str, boot_plain: Callable[..., Phone]) -> None:
    """Also when the test is killed: what it leaves would stay in memory, a daemon and all its files a phone."""
    phone = boot_plain()
    init = phone.root.parent  # /proc/PID of its first process
    assert init.exists()
    if how == "kill":
        phone._process.kill()
        phone._process.wait()
    else:
        assert phone._process.stdin is not None
        phone._process.stdin.close()
    eventually(lambda: not init.exists(), 20)
