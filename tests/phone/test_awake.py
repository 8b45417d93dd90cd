"""A phone is kept awake while it is measured, where adb may, and its setting is as it was whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gemmafit import __version__
from gemmafit.probes.adb.server import AdbServer
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.target import Awake
from gemmafit.tests.phone.vphone.handle import Phone, eventually

Boot = Callable[..., Phone]
Connect = Callable[..., AdbTarget]

KEY = "global/stay_on_while_plugged_in"
ALWAYS = "7\n"
"""As `svc power stayon true` leaves it: on any charger."""
HOST = """
import sys, time
from pathlib import Path
from gemmafit.probes.adb.server import Address, AdbServer
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.adb.transport import Transport
server = AdbServer(Address.of(sys.argv[1]))
target = AdbTarget(Transport(server, sys.argv[2]), agent=lambda abi: Path(sys.argv[3]))
with target.session(awake=True) as session:
    print(session.awake, flush=True)
    time.sleep(300)
"""


def setting(phone: Phone) -> str | None:
    """As `settings get` reads it; None where there is none."""
    path = phone.root / "run/settings" / KEY.replace("/", "%")
    return path.read_text() if path.exists() else None


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "agent.sh"
    path.write_text(f'#!/system/bin/sh\necho "gemmafit-agent {__version__} linux-x86_64"\n')
    yield path


@pytest.mark.parametrize("old", [False, True], ids=["shell_v2", "old daemon"])
@pytest.mark.parametrize("before", ["0", None, "3"], ids=["off", "never set", "on USB"])
def test_the_setting_is_changed_and_restored(
    before: str | None, old: bool, boot_plain: Boot, connect: Connect, agent: Path
) -> None:
    phone = boot_plain(settings={} if before is None else {KEY: before})
    was = setting(phone)
    with connect(phone, agent=lambda abi: agent, old=old).session(awake=True) as session:
        assert session.awake == Awake(True)
        assert setting(phone) == (was if before == "3" else ALWAYS)  # the owner's own choice is left alone
    assert setting(phone) == was
    with connect(phone, agent=lambda abi: agent, old=old).session() as session:
        assert session.awake is None and setting(phone) == was  # nobody asked


def test_a_refusal_is_told_in_the_phone_s_words(boot_plain: Boot, connect: Connect, agent: Path) -> None:
    refusal = {
        "exit": 255,
        "out": "Security exception: Neither user 2000 nor current process has WRITE_SETTINGS\n",
    }
    phone = boot_plain(answers={"svc power stayon true": refusal}, settings={KEY: "0"})
    with connect(phone, agent=lambda abi: agent).session(awake=True) as session:
        assert session.awake is not None and not session.awake.kept
        assert "WRITE_SETTINGS" in session.awake.because
    assert (setting(phone) or "").strip() == "0" and phone.left() == []


def test_a_phone_without_the_service(boot_plain: Boot, connect: Connect, agent: Path) -> None:
    phone = boot_plain(tools={"settings": None, "svc": None})
    with connect(phone, agent=lambda abi: agent).session(awake=True) as session:
        assert session.awake is not None and not session.awake.kept
    assert phone.left() == []


def test_services_that_hang_are_not_waited_for(boot_plain: Boot, connect: Connect, agent: Path) -> None:
    phone = boot_plain(tools={"settings": "#!/system/bin/sh\nsleep 600\n"})
    with connect(phone, agent=lambda abi: agent).session(awake=True) as session:
        assert session.awake is not None and not session.awake.kept
    eventually(lambda: not phone.left() and not phone.processes(), 30)


@pytest.mark.parametrize("what", ["kill the host", "unplug", "kill the daemon"])
def test_it_is_restored_when_it_ends_in_the_middle(
    what: str, boot_plain: Boot, connect: Connect, adb_server: AdbServer, agent: Path
) -> None:
    phone = boot_plain(settings={KEY: "0"})
    was = setting(phone)
    connect(phone)
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, str(adb_server.address), phone.serial, str(agent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert host.stdout is not None
    try:
        assert "kept=True" in host.stdout.readline()
        assert setting(phone) == ALWAYS
        match what:
            case "kill the host":
                host.kill()
            case "unplug":
                phone.tell("unplug")
            case _:
                phone.tell("kill-daemon")
        eventually(lambda: setting(phone) == was and not phone.left() and not phone.processes())
    finally:
        host.kill()
        host.wait()


def test_a_phone_that_was_switched_off_meanwhile_is_restored_by_the_next_session(
    boot_plain: Boot, connect: Connect, agent: Path
) -> None:
    phone = boot_plain(settings={KEY: "7"})
    left = phone.root / "data/local/tmp/gemmafit-0123456789abcdef"
    left.mkdir()
    (left / ".guard").write_text("999999\n")
    (left / ".awake").write_text("0\n")
    for path in (left, *left.iterdir()):
        os.chown(path, 2000, 2000)
    with connect(phone, agent=lambda abi: agent).session():
        assert (setting(phone) or "").strip() == "0"
    assert phone.left() == []
