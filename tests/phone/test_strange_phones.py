"""Phones that do what no phone should: one sentence, the right exit status, the report as far as it got, and nothing
left on the phone. The adb server, the daemon and the shell's own start are real."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gemmafit.probes.adb.server import AdbServer
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.collect import collect
from gemmafit.probes.read import read as snapshot_of
from gemmafit.tests.phone import commands
from gemmafit.tests.phone.commands import (
    BROKE,
    JUDGED,
    Done,
    ended,
    nothing_is_left,
    run,
    sentence,
    started,
    yaml_of,
)
from gemmafit.tests.phone.vphone.handle import Phone, eventually, running, variant

Boot = Callable[[Path], Phone]
ASKED = "/system/bin/sh /system/bin/dumpsys"
SLOW = '#!/system/bin/sh\n[ "$1" = SurfaceFlinger ] && sleep 4\nexec answer dumpsys "$@"\n'
"""dumpsys of a phone that takes its time, so that something may happen meanwhile."""


# Shells -------------------------------------------------------------------------------------------------------

NO_SHELLS = {
    "says nothing": "exit 0",
    "says nothing and fails": "exit 1",
    "another syntax": 'echo "Badly placed ()\'s." >&2; exit 1',
    "restricted": "echo 'sh: command not allowed'; exit 126",
    "a menu": "echo 'Press 1 for maintenance, 2 to reboot'; read -r x; exit 0",
}


@pytest.mark.parametrize("shell", NO_SHELLS)
def test_what_answers_is_no_shell(shell: str, boot: Boot, adb_server: AdbServer, tmp_path: Path) -> None:
    text = f"#!/system/bin/mksh\n{NO_SHELLS[shell]}\n"
    phone = boot(variant(tmp_path, tools={"sh": text}))
    for command, options in (("probe", ()), ("check", ("-o", tmp_path / "report.yaml"))):
        done = run(command, phone, adb_server, *options, seconds=60)
        assert done.returncode == BROKE, done.stderr
        assert phone.serial in sentence(done)
    assert yaml_of(tmp_path / "report.yaml")["incomplete"]
    nothing_is_left(phone, 10)


TALKING_SHELLS = {
    "banner": "echo 'Welcome to VendorOS'; echo 'VendorOS: type help' >&2",
    "prompt": "print -n 'shell@vphone:/ $ '",
    "prompt with escapes": r"print -n '\0033[01;32mshell@vphone\0033[00m:/ $ '; print '\r'",
}


@pytest.mark.parametrize("old", [False, True], ids=["shell_v2", "old daemon"])
@pytest.mark.parametrize("shell", TALKING_SHELLS)
def test_a_shell_that_talks_before_it_works(
    shell: str, old: bool, boot: Boot, connect: Callable[..., AdbTarget], tmp_path: Path
) -> None:
    # Only the daemon's own shell; those that a script starts are started by name, with this in the environment.
    text = f'#!/system/bin/mksh\n[ "$greeted" ] || {{ {TALKING_SHELLS[shell]}; }}\nexport greeted=1\nexec mksh "$@"\n'
    phone = boot(variant(tmp_path, tools={"sh": text}))
    capture = collect(connect(phone, old=old))
    assert capture.commands["getprop"].exit == 0
    assert capture.agent is not None and {"cpu", "opencl", "vulkan"} <= capture.agent["probe"].keys()
    snapshot = snapshot_of(capture)
    assert snapshot.identity.model == "Plain Phone" and snapshot.opencl.present is False
    nothing_is_left(phone, 10)


def test_a_shell_that_never_answers(boot: Boot, adb_server: AdbServer, tmp_path: Path) -> None:
    phone = boot(variant(tmp_path, tools={"sh": "#!/system/bin/mksh\nwhile :; do read -r x || exit; done\n"}))
    done = run("probe", phone, adb_server, seconds=120)
    assert done.returncode == BROKE, done.stderr
    assert phone.serial in sentence(done)
    nothing_is_left(phone, 10)


# Tools --------------------------------------------------------------------------------------------------------

OPTIONAL = ("sleep", "df", "grep", "uname", "head", "dd", "setsid", "ls", "settings", "svc", "toybox")
"""Not `getprop`: where neither it nor `uname` tells the ABI, no agent can be chosen, and that is said."""


@pytest.mark.parametrize("userland", ["android", "android5"])
def test_a_phone_without_any_tool_that_it_need_not_have(
    userland: str, boot: Boot, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot(variant(tmp_path, userland=userland, tools=dict.fromkeys(OPTIONAL)))
    report = tmp_path / "report.yaml"
    done = run("check", phone, adb_server, "--quick", "--backend", "cpu", "-o", report)
    assert done.returncode in JUDGED and "Traceback" not in done.stderr, done.stderr
    assert yaml_of(report)["backends"]["cpu"]["correct"] == "pass"
    nothing_is_left(phone, 10)


NEEDED = ("cat", "mkdir", "chmod")


@pytest.mark.parametrize("tool", NEEDED)
def test_a_tool_that_is_needed_is_missing(
    tool: str, boot: Boot, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot(variant(tmp_path, userland="android", tools={tool: None}))
    done = run("check", phone, adb_server, "--quick", "--backend", "cpu", "-o", tmp_path / "report.yaml")
    assert done.returncode in (*JUDGED, BROKE) and "Traceback" not in done.stderr, done.stderr
    if done.returncode == BROKE:
        assert sentence(done)
    assert (tmp_path / "report.yaml").exists()
    nothing_is_left(phone, 10)


@pytest.mark.parametrize("tools", ["cat", "sleep", "cat chmod cp mkdir sleep toybox"])
def test_tools_that_go_missing_in_the_middle(
    tools: str, boot: Boot, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot(variant(tmp_path, userland="android"))
    report = tmp_path / "report.yaml"
    with started("check", phone, adb_server, "--quick", "--backend", "cpu", "-o", report) as host:
        eventually(lambda: commands.running(phone, commands.AGENT_RUN), 60)
        for tool in tools.split():
            (phone.root / "system/bin" / tool).unlink()
        done = ended(host, 300)
    assert done.returncode in (*JUDGED, BROKE) and "Traceback" not in done.stderr, done.stderr
    assert yaml_of(report)["device"]["model"] == "Plain Phone"
    nothing_is_left(phone, 10)


# Connections --------------------------------------------------------------------------------------------------


def reboots(phone: Phone) -> None:
    phone.tell("reboot")


def switches_usb_mode(phone: Phone) -> None:
    phone.tell("unplug")
    time.sleep(0.5)
    phone.tell("plug")


GOES = {"reboots": reboots, "switches its USB mode": switches_usb_mode}


@pytest.mark.parametrize("what", GOES)
@pytest.mark.parametrize("command", ["probe", "check"])
def test_a_phone_goes_while_it_is_asked(
    command: str, what: str, boot: Boot, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot(variant(tmp_path, tools={"dumpsys": SLOW}))
    options = ("-o", tmp_path / "report.yaml") if command == "check" else ()
    with started(command, phone, adb_server, *options) as host:
        eventually(lambda: commands.running(phone, ASKED))
        GOES[what](phone)
        done = ended(host)
    lost(done, phone)
    if command == "check":
        assert yaml_of(tmp_path / "report.yaml")["incomplete"]
    nothing_is_left(phone)


@pytest.mark.parametrize("what", GOES)
def test_a_phone_goes_while_the_agent_runs(
    what: str, boot: Boot, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot(variant(tmp_path, settings={"global/stay_on_while_plugged_in": "0"}))
    report = tmp_path / "report.yaml"
    with started("check", phone, adb_server, "--quick", "-o", report) as host:
        eventually(lambda: commands.running(phone, commands.AGENT_RUN), 60)
        GOES[what](phone)
        done = ended(host)
    lost(done, phone)
    assert yaml_of(report)["device"]["model"] == "Plain Phone" and yaml_of(report)["incomplete"]
    if what == "reboots":
        # Nobody was left on the phone to clean up. The next one who comes does, settings included.
        assert run("probe", phone, adb_server).returncode == 0
    nothing_is_left(phone)
    assert (phone.root / "run/settings/global%stay_on_while_plugged_in").read_text() == "0\n"


def lost(done: Done, phone: Phone) -> None:
    assert done.returncode == BROKE, done.stderr
    assert phone.serial in sentence(done)
    assert "lost" in sentence(done), done.stderr


def test_a_phone_that_sleeps_is_given_up_and_cleans_up_when_it_wakes(
    adb_server: AdbServer, tmp_path: Path
) -> None:
    # Both at a time, as each waits for the deadlines of what it was doing.
    def stalled(command: str, sign: str) -> Done:
        folder = tmp_path / command
        folder.mkdir()
        options = ("--quick", "-o", folder / "report.yaml") if command == "check" else ()
        with running(variant(folder, tools={"dumpsys": SLOW})) as phone:
            with started(command, phone, adb_server, *options) as host:
                eventually(lambda: commands.running(phone, sign), 60)
                phone.tell("stall")
                done = ended(host, 240)
            phone.tell("resume")
            nothing_is_left(phone)
            lost(done, phone)
            return done

    with ThreadPoolExecutor(2) as pool:
        asking, running_agent = pool.map(stalled, ("probe", "check"), (ASKED, commands.AGENT_RUN))
    for done in (asking, running_agent):
        assert "awake" in done.stderr or "sleeping" in done.stderr, done.stderr
    assert yaml_of(tmp_path / "check" / "report.yaml")["device"]["model"] == "Plain Phone"


def test_a_phone_that_dozes_for_a_moment_is_waited_for(
    boot: Boot, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot(variant(tmp_path, tools={"dumpsys": SLOW}))
    with started("probe", phone, adb_server) as host:
        eventually(lambda: commands.running(phone, ASKED))
        phone.tell("stall")
        time.sleep(6)
        phone.tell("resume")
        done = ended(host)
    assert done.returncode == 0, done.stderr
    nothing_is_left(phone, 10)
