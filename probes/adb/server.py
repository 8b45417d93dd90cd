"""The adb server: where it is, how it is started, and what it is asked about devices.

The usual environment variables are honoured: ADB_SERVER_SOCKET, ANDROID_ADB_SERVER_ADDRESS (adbutils also
knows ..._HOST), ANDROID_ADB_SERVER_PORT, ADBUTILS_ADB_PATH. Only a server on this computer is started.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...base.errors import TargetError, TransportError, UsageError
from .channel import Channel

if TYPE_CHECKING:
    from adbutils import AdbConnection

PORT = 5037
START_SECONDS = 20.0
ANSWER_SECONDS = 10.0
CONNECT_SECONDS = 15.0
"""How long the server may try to reach HOST:PORT."""
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Address:
    """Of an adb server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def of(cls, text: str | None, environment: Mapping[str, str] = os.environ) -> Address:
        """From `--adb HOST:PORT`, else from the environment, else the default. Raises UsageError."""
        if text is not None:
            return cls._parse(text, "--adb")
        if spec := environment.get("ADB_SERVER_SOCKET"):
            kind, _, rest = spec.partition(":")
            if kind != "tcp":
                raise UsageError(
                    f"ADB_SERVER_SOCKET={spec}: only tcp:HOST:PORT can be used",
                    hint="start the server with a TCP socket, or unset the variable",
                )
            return cls._parse(rest if ":" in rest else f"127.0.0.1:{rest}", "ADB_SERVER_SOCKET")
        host = environment.get("ANDROID_ADB_SERVER_ADDRESS") or environment.get("ANDROID_ADB_SERVER_HOST")
        port = environment.get("ANDROID_ADB_SERVER_PORT") or str(PORT)
        return cls._parse(f"{host or '127.0.0.1'}:{port}", "ANDROID_ADB_SERVER_ADDRESS and ..._PORT")

    @classmethod
    def _parse(cls, text: str, source: str) -> Address:
        host, _, port = text.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise UsageError(f"{source}: {text!r} is not HOST:PORT", hint="for example 127.0.0.1:5037")
        return cls(host.strip("[]"), int(port))


class AdbServer:
    """One adb server. Every method has a deadline and raises TransportError, or what it names."""

    def __init__(self, address: Address) -> None:
        self.address = address

    @contextlib.contextmanager
    def channel(self, seconds: float, what: str) -> Iterator[Channel]:
        """A connection to the server on which nothing has been asked yet.

        Args:
            seconds: until the whole exchange has to be over.
            what: that is done on it, for messages.
        """
        connection = self._connect()
        try:
            yield Channel(connection.conn, seconds, what)
        finally:
            connection.conn.close()

    def ask(self, request: str, seconds: float = ANSWER_SECONDS) -> str:
        """A question to the server itself, e.g. `host:devices-l`."""
        with self.channel(seconds, f"asking the adb server for {request}") as channel:
            channel.request(request)
            return channel.block().decode("utf-8", "replace")

    def devices(self) -> str:
        """The text below the header of `adb devices -l`."""
        return self.ask("host:devices-l")

    def features(self, serial: str) -> frozenset[str]:
        """What the device's daemon can do; known to the server, so no round trip to the device."""
        try:
            return frozenset(self.ask(f"host-serial:{serial}:features").split(","))
        except TransportError:
            return frozenset()  # a server or a daemon from before there were features

    def state(self, serial: str) -> str:
        """`device` if it can be talked to. Raises TransportError if the server does not know it."""
        return self.ask(f"host-serial:{serial}:get-state")

    def attach(self, host_port: str) -> None:
        """`adb connect HOST:PORT`. Raises TargetError if nothing answers there."""
        try:
            answer = self.ask(f"host:connect:{host_port}", CONNECT_SECONDS)
        except TransportError as error:
            raise TargetError(f"cannot connect to {host_port}: {error}", hint=error.hint) from error
        if not answer.startswith(("connected to", "already connected to")):
            raise TargetError(
                f"cannot connect to {host_port}: {answer.strip()}",
                hint="on the phone: Developer options, Wireless debugging; once: adb pair HOST:PORT; "
                "or with a cable: adb tcpip 5555",
            )

    def detach(self, host_port: str) -> None:
        """`adb disconnect HOST:PORT`; that there is no such connection is as good."""
        with contextlib.suppress(TransportError):
            self.ask(f"host:disconnect:{host_port}")

    def _connect(self) -> AdbConnection:
        # Imported here: it costs 160 ms, and `check local` needs none of it.
        from adbutils import AdbClient, AdbError

        if not self._listens():
            self._start()
        try:
            return AdbClient(self.address.host, self.address.port).make_connection(timeout=ANSWER_SECONDS)
        except (AdbError, OSError) as error:
            raise TargetError(f"the adb server at {self.address} cannot be reached: {error}") from error

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.address.host, self.address.port), timeout=3).close()
        except OSError:
            return False
        return True

    def _start(self) -> None:
        # adbutils would start one by itself, but on the default port instead of this one.
        from adbutils import AdbError, adb_path

        if self.address.host not in LOCAL:
            raise TargetError(
                f"no adb server answers at {self.address}",
                hint="start it there: adb -a nodaemon server start",
            )
        environment = {k: v for k, v in os.environ.items() if k != "ADB_SERVER_SOCKET"}
        try:
            done = subprocess.run(
                [adb_path(), "-P", str(self.address.port), "start-server"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                timeout=START_SECONDS,
            )
        except AdbError as error:
            raise TargetError(
                "there is no adb program here",
                hint="install Android's platform-tools (Debian: apt install adb; macOS: brew install "
                "android-platform-tools), or name one in ADBUTILS_ADB_PATH",
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TargetError(f"the adb server does not start: {error}") from error
        if done.returncode != 0:
            message = done.stderr.decode("utf-8", "replace").strip()[-300:]
            raise TargetError(f"the adb server does not start on port {self.address.port}: {message}")
        until = time.monotonic() + START_SECONDS
        while not self._listens() and time.monotonic() < until:
            time.sleep(0.05)
