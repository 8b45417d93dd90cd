"""Sessions on a phone: what runs, what goes wrong, and that nothing stays behind.

The agent here is a shell script in its place where a misbehaving one is needed; that the real one runs is
tested, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gemmafit import __version__, agent
from gemmafit.base.errors import AgentError, DeviceBusy, ToolchainError, TransportError
from gemmafit.base.events import Event
from gemmafit.base.protocol import LONGEST_RUN_SECONDS
from gemmafit.probes.adb.server import AdbServer
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.target import Command
from gemmafit.tests.phone.vphone.handle import Phone, eventually

Connect = Callable[..., AdbTarget]
Boot = Callable[..., Phone]
Script = Callable[..., Callable[[str], Path]]

VERSION = f'[ "$1" = version ] && {{ echo "gemmafit-agent {__version__} linux-x86_64"; exit; }}\n'


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """sh text -> an agent that runs it. It answers `version` as it should, unless the text does."""

    def make(text: str, version: str = VERSION) -> Callable[[str], Path]:
        path = tmp_path / "agent.sh"
        path.write_text("#!/system/bin/sh\n" + version + text + "\n")
        return lambda abi: path

    return make


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> object:
    yield
    if "plain_phone" in request.fixturenames:
        phone = request.getfixturevalue("plain_phone")
        eventually(lambda: not phone.left() and not phone.processes(), 10)


@pytest.mark.parametrize("old", [False, True], ids=["shell_v2", "old daemon"])
def test_a_session_pushes_runs_and_fetches(
    connect: Connect, plain_phone: Phone, script: Script, old: bool
) -> None:
    text = """
        echo 'WARNING: linker: something first'
        echo '{"event": "step", "name": "decode.qkv", "done": 3, "total": 9}'
        cat input > result.json; echo "$@" > result.txt; echo oops >&2; exit 3
    """
    target = connect(plain_phone, agent=script(text), old=old)
    payload = bytes(range(256)) * 5000
    events: list[Event] = []
    with target.session() as session:
        assert session.abi == "linux-x86_64"
        session.push({"input": payload, "plan.txt": Path(__file__)})
        run = session.run(
            "opencl",
            ["run", "--out", "it's; rm -rf /"],
            results=["result.json", "result.txt", "result.bin"],
            deadline=20,
            on_line=events.append,
        )
        assert run.files.keys() == {"result.json", "result.txt"}
        assert run.files["result.json"].read_bytes() == payload
        assert run.files["result.txt"].read_text() == "run --out it's; rm -rf /\n"
        assert plain_phone.left()
    assert (run.exit, run.signal, run.timed_out, run.stderr) == (3, None, False, "oops\n")
    assert events == [Event("opencl", "decode.qkv", 3, 9)]
    assert plain_phone.left() == []


def test_a_long_session_ends_as_well_as_a_short_one(
    connect: Connect, plain_phone: Phone, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gemmafit.probes.adb.session.START_SECONDS", 1.0)
    events: list[Event] = []
    with connect(plain_phone, agent=script("sleep 1.2")).session(events.append) as session:
        assert session.run("cpu", ["run"], deadline=20).exit == 0
    assert plain_phone.left() == []
    assert [event.stage for event in events] == ["push"]  # nothing to say about the clean-up


def test_runs_keep_a_session_alive_and_one_without_ends_by_itself(
    connect: Connect, plain_phone: Phone, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gemmafit.probes.adb.session.LIFE_SECONDS", 4.0)
    with connect(plain_phone, agent=script("sleep 3")).session() as session:
        for _ in range(4):
            assert session.run("cpu", ["run"], deadline=20).exit == 0
        with pytest.raises(ValueError, match="the guard would end it"):
            session.run("cpu", ["run"], deadline=LONGEST_RUN_SECONDS + 1)
        assert plain_phone.left()
        eventually(lambda: not plain_phone.left() and not plain_phone.processes())


def test_the_real_agent_runs(connect: Connect, plain_phone: Phone) -> None:
    try:
        agent.binary("linux-x86_64")
    except ToolchainError as error:
        pytest.skip(f"{error}")
    with connect(plain_phone).session() as session:
        run = session.run(
            "cpu",
            ["probe", "--out", "probe.json", "--only", "cpu", "--deadline", "20"],
            results=["probe.json"],
            deadline=20,
        )
        assert run.exit == 0, run
        assert json.loads(run.files["probe.json"].read_bytes())


def test_results_of_an_earlier_run_are_not_taken_for_those_of_a_later_one(
    connect: Connect, plain_phone: Phone, script: Script
) -> None:
    target = connect(plain_phone, agent=script('[ "$1" = crash ] && kill -11 $$; echo 1 > result.json'))
    with target.session() as session:
        first = session.run("cpu", ["run"], results=["result.json"], deadline=20)
        second = session.run("cpu", ["crash"], results=["result.json"], deadline=20)
    assert "result.json" in first.files
    assert second.files == {}
    assert (second.exit, second.signal) == (None, 11)


def test_a_hanging_agent_is_killed_on_the_phone_with_its_children(
    connect: Connect, plain_phone: Phone, script: Script
) -> None:
    target = connect(plain_phone, agent=script("echo '{\"early\": 1}' > result.json; sleep 600 & wait"))
    with target.session() as session:
        run = session.run("vulkan", ["run"], results=["result.json"], deadline=0.5)
        assert (run.exit, run.timed_out) == (None, True)
        assert "result.json" in run.files
        assert not [line for line in plain_phone.processes().values() if line.startswith("sleep 600")]


def test_stricter_linker_sections_have_their_own_place(
    connect: Connect, plain_phone: Phone, script: Script
) -> None:
    target = connect(plain_phone, agent=script('echo "$0" > result.txt'))
    with target.session() as session:
        run = session.run("opencl", ["probe"], results=["result.txt"], deadline=20, section="isolated")
        assert run.files["result.txt"].read_text().startswith("/data/local/tmp/isolated/gemmafit-")
        with pytest.raises(AgentError, match="could not be started in /data/local/tests/system"):
            session.run("opencl", ["probe"], deadline=20, section="system")


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ('echo "gemmafit-agent 9.9.9 linux-x86_64"; exit\n', r"is of version 9\.9\.9, this is gemmafit"),
        ("kill -4 $$\n", r"was killed by SIGILL \(4\)"),
        ("echo; exit 1\n", r"does not run \(exit status 1\)"),
    ],
    ids=["other version", "illegal instruction", "cannot link"],
)
def test_an_agent_that_is_not_fit_is_refused(
    connect: Connect, plain_phone: Phone, script: Script, version: str, sentence: str
) -> None:
    target = connect(plain_phone, agent=script("exit 0", version))
    with pytest.raises(AgentError, match=sentence), target.session():
        pass


def test_no_execute_permission(connect: Connect, boot_plain: Boot, script: Script, tmp_path: Path) -> None:
    phone = boot_plain(data={"executable": False})
    target = connect(phone, agent=script("exit 0"))
    with (
        pytest.raises(AgentError, match="may not be executed in /data/local/tmp") as caught,
        target.session(),
    ):
        pass
    assert caught.value.hint
    assert phone.left() == []


def test_no_permission_to_write(connect: Connect, boot_plain: Boot, script: Script, tmp_path: Path) -> None:
    phone = boot_plain(data={"writable": False})
    with (
        pytest.raises(AgentError, match=r"no place for the agent: .*Permission denied") as caught,
        connect(phone, agent=script("exit 0")).session(),
    ):
        pass
    assert caught.value.hint


def test_no_space(connect: Connect, boot_plain: Boot, script: Script, tmp_path: Path) -> None:
    phone = boot_plain(data={"size": "12m"})
    big = tmp_path / "big"
    big.write_bytes(bytes(10 << 20))
    before, during = connect(phone, agent=lambda abi: big), connect(phone, agent=script("exit 0"))
    with pytest.raises(AgentError, match=r"12\.6 MB free, .* needs 18\.9 MB"), before.session():
        pass
    with during.session() as session, pytest.raises(AgentError, match="No space left on device") as caught:
        session.push({"weights": bytes(16 << 20)})
    assert caught.value.hint
    assert phone.left() == []


def test_a_phone_of_an_unknown_kind_is_tried_by_its_kernel(
    userland: str, connect: Connect, boot_plain: Boot, tmp_path: Path
) -> None:
    asked: list[str] = []

    def no_agent(abi: str) -> Path:
        asked.append(abi)
        raise ToolchainError(f"no agent for {abi}")

    phone = boot_plain(properties={"ro.product.cpu.abilist": "mips64"})
    target = connect(phone, agent=no_agent)
    if userland == "android5":  # without `uname` the kernel cannot be asked
        with pytest.raises(AgentError, match=r"there is no agent for .*mips64"), target.session():
            pass
        return
    with pytest.raises(ToolchainError), target.session():
        pass
    assert asked == ["linux-x86_64"]


HOST = """
import sys
from pathlib import Path
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.adb.server import Address, AdbServer
from gemmafit.probes.adb.transport import Transport
server = AdbServer(Address.of(sys.argv[1]))
target = AdbTarget(Transport(server, sys.argv[2]), agent=lambda abi: Path(sys.argv[3]))
with target.session() as session:
    session.run("cpu", ["run"], deadline=300)
"""


@pytest.mark.parametrize("what", ["kill the host", "unplug", "kill the daemon", "kill the adb server"])
def test_nothing_is_left_when_it_ends_in_the_middle(
    what: str, connect: Connect, adb_server: AdbServer, boot_plain: Boot, script: Script
) -> None:
    phone = boot_plain()
    connect(phone)
    binary = script("trap '' HUP TERM; echo > started; sleep 600 & wait; sleep 601")("")
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, str(adb_server.address), phone.serial, str(binary)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: any(name.endswith("/started") for name in phone.left()))
        match what:
            case "kill the host":
                host.kill()
            case "unplug":
                phone.tell("unplug")
            case "kill the daemon":
                phone.tell("kill-daemon")
            case _:
                with adb_server.channel(5, "killing the server") as channel:
                    channel.request("host:kill")
        eventually(lambda: not phone.left() and not phone.processes())
        _, message = host.communicate(timeout=60)
    finally:
        host.kill()
        host.wait()
    if what != "kill the host":
        assert "TransportError" in message or "Ended" in message, message
        assert "while running the agent for cpu" in message
    if what == "unplug":
        phone.tell("plug")


def test_what_dead_guards_left_is_swept_and_nothing_else(
    connect: Connect, plain_phone: Phone, script: Script
) -> None:
    target = connect(plain_phone, agent=script("exit 0"))
    base = plain_phone.root / "data/local/tmp"
    names = {
        "gemmafit-0123456789abcdef": "999999",  # its guard is dead
        "gemmafit-fedcba9876543210": "1",  # a live process that is no guard of it
        "gemmafit-notes": "999999",
        "other-0123456789abcdef12": "999999",
    }
    with target.session() as running:
        for name, pid in names.items():
            (base / name).mkdir()
            (base / name / ".guard").write_text(pid + "\n")
            for path in (base / name, base / name / ".guard"):
                chown_to_shell(path)
        with (
            pytest.raises(DeviceBusy, match="in use"),
            connect(plain_phone, agent=script("exit 0")).session(),
        ):
            pass
        left = {p.name for p in base.iterdir()}
        assert {"gemmafit-notes", "other-0123456789abcdef12"} <= left
        assert not {"gemmafit-0123456789abcdef", "gemmafit-fedcba9876543210"} & left
        assert running.run("cpu", ["run"], deadline=20).exit == 0  # the live session was spared
    for name in ("gemmafit-notes", "other-0123456789abcdef12"):
        (base / name / ".guard").unlink()
        (base / name).rmdir()


def test_an_unplugged_phone_is_one_sentence(connect: Connect, boot_plain: Boot, script: Script) -> None:
    phone = boot_plain()
    target = connect(phone, agent=script("exit 0"))
    phone.tell("unplug")
    eventually(lambda: unusable(target))
    with pytest.raises(TransportError) as caught, target.session():
        pass
    assert phone.serial in str(caught.value)


def unusable(target: AdbTarget) -> bool:
    try:
        target.ask([Command("x", "echo 1")])
    except TransportError:
        return True
    return False


def chown_to_shell(path: Path) -> None:
    os.chown(path, 2000, 2000)
