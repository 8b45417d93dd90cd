"""TARGET resolved, every state of a device, and daemons from before shell_v2, on a small fake adb server.

The real server and daemon are tested on the virtual phone; these are states that they cannot be brought into.
"""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemmafit.base.errors import DeadlineExceeded, InputError, TargetError, TransportError, UsageError
from gemmafit.cli.app import TARGET_HELP
from gemmafit.probes.adb import target as adb_module
from gemmafit.probes.adb.server import AdbServer, Address
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.adb.transport import Transport
from gemmafit.probes.capture import Capture
from gemmafit.probes.local import LocalTarget
from gemmafit.probes.replay import ReplayTarget
from gemmafit.probes.target import WORDS, Command, Target, Word
from gemmafit.probes.targets import ADVICE, devices, resolve


class FakeServer:
    """Speaks the adb server's protocol, as much of it as is asked for here.

    Attributes:
        rows: what `host:devices-l` answers.
        connects: HOST:PORT -> the row that appears once it was connected to.
        refusal: the server's words to whoever wants to talk to a device; None lets him.
        daemon: how the one device answers: `pty` (a shell behind a terminal, as before Android 7), `silent`,
            or bytes that it sends whatever it is asked.
        says: serial -> the bytes that this device sends whatever it is asked.
    """

    def __init__(self) -> None:
        self.rows = ""
        self.connects: dict[str, str] = {}
        self.refusal: str | None = None
        self.daemon: str | bytes = "pty"
        self.says: dict[str, bytes] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._stop = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._stop.set()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        serial = ""
        with connection:
            while head := connection.recv(4, socket.MSG_WAITALL):
                request = connection.recv(int(head, 16), socket.MSG_WAITALL).decode()
                match request.split(":"):
                    case ["host", "devices-l"]:
                        _okay(connection, self.rows)
                    case ["host", "connect", *address]:
                        row = self.connects.get(":".join(address))
                        self.rows += f"{row}\n" if row else ""
                        _okay(connection, "connected to " if row else "failed to connect: Connection refused")
                    case ["host", "disconnect", *_]:
                        _okay(connection, "disconnected")
                    case ["host", "transport", *name] if self.refusal is None:
                        serial = ":".join(name)
                        connection.sendall(b"OKAY")
                        continue
                    case ["shell", *words]:
                        connection.sendall(b"OKAY")
                        self._shell(connection, self.says.get(serial, self.daemon), ":".join(words))
                    case [host, *_, "get-state"] if host == "host-serial" and self.refusal is None:
                        _okay(connection, "device")
                    case _:
                        text = (self.refusal or "unknown host service").encode()
                        connection.sendall(b"FAIL%04x" % len(text) + text)
                return

    def _shell(self, connection: socket.socket, daemon: str | bytes, script: str) -> None:
        if daemon == "silent":
            self._stop.wait(30)
        elif isinstance(daemon, bytes):
            with contextlib.suppress(OSError):  # nobody listens to the end of a flood
                connection.sendall(daemon)
        else:  # a terminal in its usual mode: LF becomes CR LF, stderr is mixed in, no exit status
            master, slave = pty.openpty()
            shell = subprocess.Popen(["sh", "-c", script], stdin=slave, stdout=slave, stderr=slave)
            os.close(slave)
            while data := _read(master):
                connection.sendall(data)
            shell.wait()
            os.close(master)


def _okay(connection: socket.socket, text: str) -> None:
    connection.sendall(b"OKAY%04x" % len(text.encode()) + text.encode())


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError:  # EIO: all that had the terminal open are gone
        return b""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    fake = FakeServer()
    yield fake
    fake.close()


def row(serial: str, state: str, attributes: str = "") -> str:
    return f"{serial:<22} {state} {attributes}".rstrip() + "\n"


def test_the_one_connected_phone(server: FakeServer) -> None:
    server.rows = row("0123 45", "device", "product:x model:Pixel_8 device:shiba transport_id:1")
    assert resolve(None, server.address).serial == "0123 45"


def test_one_usable_phone_among_others_is_the_one(server: FakeServer) -> None:
    server.rows = row("A", "unauthorized") + row("B", "device") + row("C", "offline")
    assert resolve(None, server.address).serial == "B"


def test_several_are_listed_with_the_way_to_choose(server: FakeServer) -> None:
    server.rows = row("A", "device", "model:One") + row("B", "device", "model:Two")
    with pytest.raises(TargetError, match=r"2 devices are connected: A \(One\), B \(Two\)") as caught:
        resolve(None, server.address)
    assert "gemmafit check A" in (caught.value.hint or "")


@pytest.mark.parametrize(("number", "chosen"), [(b"R5CT\r\n", True), (b"OTHER\r\n", False), (b"\r\n", False)])
def test_a_phone_connected_by_cable_and_network_is_one(
    server: FakeServer, number: bytes, chosen: bool
) -> None:
    names = ("USB1", "192.168.1.20:5555", "adb-R5CT-x._adb-tls-connect._tcp")
    server.rows = "".join(row(name, "device") for name in names)
    server.says = {"USB1": b"R5CT\r\n" if number.strip() else b"\r\n", names[1]: number, names[2]: number}
    if chosen:
        assert resolve(None, server.address).serial == "USB1"
    else:
        with pytest.raises(TargetError, match="3 devices are connected"):
            resolve(None, server.address)


def test_none_mentions_this_computer(server: FakeServer) -> None:
    with pytest.raises(TargetError, match="no phone is connected") as caught:
        resolve(None, server.address)
    assert "local" in (caught.value.hint or "")
    assert caught.value.exit_code == 3


def test_android_serial_is_honoured(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.rows = row("A", "device") + row("B", "device")
    monkeypatch.setenv("ANDROID_SERIAL", "B")
    assert resolve(None, server.address).serial == "B"


@pytest.mark.parametrize("state", sorted(ADVICE))
def test_every_bad_state_has_a_way_out(server: FakeServer, state: str) -> None:
    shown = "no permissions (missing udev rules?); see [http://x]" if state == "no permissions" else state
    server.rows = row("A", shown)
    for wanted in (None, "A"):
        with pytest.raises(TargetError, match=r"^A is ") as caught:
            resolve(wanted, server.address)
        assert caught.value.hint == ADVICE[state]
    listed = devices(server.address)
    assert [(d.serial, d.state, d.usable, d.advice) for d in listed] == [("A", state, False, ADVICE[state])]


def test_a_serial_that_does_not_exist_names_those_that_do(server: FakeServer) -> None:
    server.rows = row("A", "device", "model:One")
    with pytest.raises(TargetError, match="there is no device B") as caught:
        resolve("B", server.address)
    assert caught.value.hint == "connected: A (One)"


def test_host_and_port_are_connected_first(server: FakeServer) -> None:
    server.connects["10.0.0.7:5555"] = row("10.0.0.7:5555", "device").strip()
    assert resolve("10.0.0.7:5555", server.address).serial == "10.0.0.7:5555"
    with pytest.raises(TargetError, match=r"cannot connect to 10\.0\.0\.8:5555: .*refused"):
        resolve("10.0.0.8:5555", server.address)


def test_targets_that_need_no_adb(tmp_path: Path) -> None:
    assert isinstance(resolve("local", "127.0.0.1:1"), LocalTarget)
    with pytest.raises(InputError):
        resolve(f"replay:{tmp_path / 'missing.yaml'}", "127.0.0.1:1")
    with pytest.raises(UsageError) as caught:
        resolve("", "127.0.0.1:1")
    assert caught.value.hint is not None
    for word in WORDS:
        assert word.form in caught.value.hint and f"{word.form} for {word.means}" in TARGET_HELP


def test_another_word_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def log(file: str) -> Target:
        made.append(file)
        return ReplayTarget(Capture("adb"))

    monkeypatch.setattr("gemmafit.probes.targets.WORDS", (*WORDS, Word("log:FILE", "an app's log", log)))
    assert resolve("log:a:b.txt", "127.0.0.1:1").recording is not None and made == ["a:b.txt"]
    with pytest.raises(TargetError, match="there is no device logs"):
        resolve("logs", "127.0.0.1:1")


def test_a_remote_server_that_is_not_there_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemmafit.probes.adb.server.LOCAL", frozenset())
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    with pytest.raises(TargetError, match="no adb server answers at"):
        devices(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "127.0.0.1:5037"),
        ({"ANDROID_ADB_SERVER_PORT": "5038"}, "127.0.0.1:5038"),
        ({"ANDROID_ADB_SERVER_ADDRESS": "lab", "ANDROID_ADB_SERVER_PORT": "5038"}, "lab:5038"),
        ({"ADB_SERVER_SOCKET": "tcp:5039", "ANDROID_ADB_SERVER_PORT": "5038"}, "127.0.0.1:5039"),
        ({"ADB_SERVER_SOCKET": "tcp:lab:5039"}, "lab:5039"),
    ],
)
def test_where_the_server_is(environment: dict[str, str], expected: str) -> None:
    assert str(Address.of(None, environment)) == expected
    assert str(Address.of("other:1", environment)) == "other:1"


@pytest.mark.parametrize(
    "environment",
    [
        {"ADB_SERVER_SOCKET": "localfilesystem:/x"},
        {"ANDROID_ADB_SERVER_PORT": "70000"},
        {"ADB_SERVER_SOCKET": "tcp:x"},
    ],
)
def test_a_server_that_cannot_be_meant(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        Address.of(None, environment)


@pytest.fixture
def old_phone(server: FakeServer) -> AdbTarget:
    """A device whose daemon the server knows no features of."""
    return AdbTarget(Transport(AdbServer(Address.of(server.address)), "A"))


def test_a_terminal_before_shell_v2_is_undone_exactly(old_phone: AdbTarget) -> None:
    answers = old_phone.ask(
        [
            Command("lines", r"printf 'a\nb\r\nc\r\r\nd'"),
            Command("errors", "echo out; echo err >&2; exit 3"),
            Command("cut", "yes", max_bytes=1001),
        ]
    )
    assert answers["lines"].out == "a\nb\r\nc\r\r\nd"
    assert (answers["errors"].out, answers["errors"].exit) == ("out\n", 3)
    assert answers["cut"].out == "y\n" * 500 + "y"
    assert answers["cut"].cut >= 1


def test_a_phone_that_goes_away_is_one_sentence(server: FakeServer, old_phone: AdbTarget) -> None:
    server.refusal = "device 'A' not found"
    with pytest.raises(TransportError, match="asking A 1 questions: device 'A' not found"):
        old_phone.ask([Command("x", "echo")])


@pytest.mark.parametrize("garbage", [b"", b"\x00\xff" * 5000, b"sh: not found\n", b"y\n" * 3_000_000])
def test_garbage_instead_of_a_shell(server: FakeServer, old_phone: AdbTarget, garbage: bytes) -> None:
    server.daemon = garbage
    with pytest.raises(TransportError, match="asking A 1 questions") as caught:
        old_phone.ask([Command("x", "echo")])
    assert caught.value.hint
    assert len(caught.value.output) <= 4000


def test_a_phone_that_says_nothing_has_a_deadline(
    server: FakeServer, old_phone: AdbTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.daemon = "silent"
    monkeypatch.setattr(adb_module, "GRACE", 0.2)
    with pytest.raises(TransportError, match=r"the phone stopped responding|did not answer in time"):
        old_phone.ask([Command("x", "echo", deadline=0.3)])


def test_a_server_that_says_nothing_has_a_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])
        with pytest.raises(DeadlineExceeded, match="asking the adb server for host:version"):
            AdbServer(address).ask("host:version", seconds=0.3)
