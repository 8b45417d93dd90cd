"""A socket to the adb server with one deadline for all that happens on it, and the server's framing."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

from ...base.errors import DeadlineExceeded, TransportError
from ...base.units import seconds

CHUNK = 1 << 16
BLOCK_BYTES = 0xFFFF
"""Largest block: its length is four hexadecimal digits."""


class Ended(TransportError):
    """The other side closed the connection."""


class Channel:
    """See the module. Methods raise DeadlineExceeded, Ended or TransportError."""

    def __init__(self, sock: socket.socket, seconds: float, what: str, serial: str | None = None) -> None:
        # Requests are small and answered one by one: waiting to fill a segment costs 40 ms each.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._what = what
        self.serial = serial
        self.sent = 0
        self.received = 0

    def extend(self, seconds: float, what: str) -> None:
        """A new deadline, from now, for the next part of the exchange."""
        self._seconds, self._until, self._what = seconds, time.monotonic() + seconds, what

    def request(self, text: str) -> None:
        """Send a request of the server's protocol and wait for its OKAY."""
        data = text.encode()
        if len(data) > BLOCK_BYTES:
            raise ValueError(f"a request of {len(data)} bytes; adb takes {BLOCK_BYTES}")
        self.send(b"%04x" % len(data) + data)
        self.okay()

    def okay(self) -> None:
        """Wait for OKAY; the text of a FAIL becomes the error's."""
        status = self.read(4)
        if status == b"FAIL":
            raise self.error(self.block().decode("utf-8", "replace").strip() or "refused")
        if status != b"OKAY":
            raise self.error(f"adb answered {status!r} where OKAY or FAIL was expected")

    def block(self) -> bytes:
        """Bytes preceded by their number in four hexadecimal digits."""
        size = self.read(4)
        try:
            return self.read(int(size, 16))
        except ValueError:
            raise self.error(f"adb answered {size!r} where a length was expected") from None

    def send(self, data: bytes) -> None:
        """All of it."""
        with self._translated():
            self._socket.settimeout(self._left())
            self._socket.sendall(data)
        self.sent += len(data)

    def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        parts = bytearray()
        while len(parts) < size:
            data = self.some(min(size - len(parts), CHUNK))
            if not data:
                raise Ended(
                    f"adb closed the connection while {self._what}", serial=self.serial, command=self._what
                )
            parts += data
        return bytes(parts)

    def some(self, size: int = CHUNK, patience: float | None = None) -> bytes:
        """What has come, at least one byte; nothing at the end of the stream.

        patience: seconds of silence that are too many, where that is before the deadline.
        """
        left = self._left()
        wait = left if patience is None else min(left, patience)
        with self._translated():
            self._socket.settimeout(wait)
            data = self._socket.recv(size)
        self.received += len(data)
        return data

    def error(self, message: str) -> TransportError:
        """An error that names what was being done and where."""
        return TransportError(f"{self._what}: {message}", serial=self.serial, command=self._what)

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise self._late()
        return left

    def _late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{self._what} did not end within {seconds(self._seconds)}",
            serial=self.serial,
            command=self._what,
        )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise self._late() from None
        except OSError as error:
            raise Ended(
                f"the connection broke while {self._what}: {error.strerror or error}",
                serial=self.serial,
                command=self._what,
            ) from error
