"""The virtual phone and an adb server of our own, as fixtures. Skipped, saying why, where they cannot be."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gemmafit.benchmarks import trust
from gemmafit.probes.adb.server import AdbServer, Address
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.adb.transport import Transport
from gemmafit.tests.phone.vphone.handle import Phone, eventually, running, variant
from gemmafit.tests.phone.vphone.userlands import USERLANDS


@pytest.fixture(scope="session", autouse=True)
def _as_if_idle() -> Iterator[None]:
    """Other programs on this computer are no failure: only tests of contention void rows for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trust, "LOST", 2.0)
        patch.setattr(trust, "OTHERS", 2.0)
        yield


@contextmanager
def _server(home: Path) -> Iterator[AdbServer]:
    """The real adb server on a port of its own: a developer's phones and server are left alone."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))  # the server makes keys there
        patch.setenv("ADB_LOCAL_TRANSPORT_MAX_PORT", "5553")  # and must not look for emulators
        for name in ("ANDROID_SERIAL", "ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_PORT"):
            patch.delenv(name, raising=False)
        server = AdbServer(Address("127.0.0.1", port))
        server.ask("host:version")
    yield server
    with server.channel(5, "stopping the adb server") as channel:
        channel.request("host:kill")


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    """An adb server that tests share; it knows the phones of all of them."""
    with _server(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture
def lab_server(tmp_path: Path) -> Iterator[AdbServer]:
    """An adb server for tests in which every phone it knows counts."""
    with _server(tmp_path) as server:
        yield server


@pytest.fixture
def other_server(tmp_path: Path) -> Iterator[AdbServer]:
    """A second one, as on another machine."""
    with _server(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def _flavour_in_the_results(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """For .ci/times.py: in which flavour a test ran."""
    userland = getattr(request.node, "callspec", None) and request.node.callspec.params.get("userland")
    if userland is not None:
        record_property("userland", userland)


@pytest.fixture(scope="session", params=USERLANDS)
def userland(request: pytest.FixtureRequest) -> str:
    """Each flavour of userland in turn: what a test that uses it shows holds for all of them."""
    return str(request.param)


@pytest.fixture(scope="session")
def plain_phone(userland: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """An x86_64 phone of each flavour, without GPU drivers, that tests share; they leave it as they found it."""
    with running(variant(tmp_path_factory.mktemp(userland), userland=userland)) as phone:
        yield phone


@pytest.fixture
def boot() -> Iterator[Callable[[Path], Phone]]:
    """Start phones of one's own: profile file -> phone."""
    with ExitStack() as stack:
        yield lambda profile: stack.enter_context(running(profile))


@pytest.fixture
def boot_plain(boot: Callable[[Path], Phone], userland: str, tmp_path: Path) -> Callable[..., Phone]:
    """Start plain phones of one's own of each flavour: top-level keys of the profile to replace -> phone."""
    return lambda **changes: boot(variant(tmp_path, userland=userland, **changes))


@pytest.fixture
def connect(adb_server: AdbServer) -> Callable[..., AdbTarget]:
    """(phone, agent=..., old=...) -> target. old: as if the daemon had no shell_v2."""

    def to(phone: Phone, *, agent: Callable[[str], Path] | None = None, old: bool = False) -> AdbTarget:
        adb_server.attach(phone.serial)
        eventually(lambda: adb_server.state(phone.serial) == "device")
        transport = Transport(adb_server, phone.serial, frozenset() if old else None)
        return AdbTarget(transport) if agent is None else AdbTarget(transport, agent=agent)

    return to
