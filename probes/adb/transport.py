"""One device behind an adb server: shell and file transfer, with a deadline on everything.

adbutils finds the adb program and opens connections; what it does on them has no deadlines and cannot carry
binary output, so the shell protocol (shell_v2, and the plain one of daemons before Android 7) and the sync
protocol are spoken here. Both are described in AOSP, packages/modules/adb/docs/dev and SYNC.TXT.
"""

from __future__ import annotations

import contextlib
import io
import re
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path

from ...base import limits, units
from ...base.errors import DeadlineExceeded, TransportError
from .channel import Channel, Ended
from .server import AdbServer

OPEN_SECONDS = 10.0
ANSWER_SECONDS = 15.0
"""For a shell that prints a word, also where the phone's Wi-Fi has to wake up first."""
SYNC_CHUNK = 1 << 16
"""Bytes of data in one message of the sync protocol; its maximum."""
PACKET_BYTES = 1 << 22
"""No daemon sends larger packets of the shell protocol: its own buffer has 1 MiB at most."""
MESSAGE_BYTES = 4096


_NETWORK = re.compile(r":\d{1,5}$|\._adb-tls-connect\._tcp\.?$", re.ASCII)
"""Serials of devices that are connected over the network: HOST:PORT, or by the name they announce."""


class Packet(IntEnum):
    """Kinds of packets of the shell protocol."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    EXIT = 3


class End(StrEnum):
    """How a shell's output came to its end."""

    EXIT = "exit"  # the shell ended and said so
    EOF = "eof"  # the stream ended; an old daemon says no more than that, for others the device is gone
    LATE = "late"  # over the deadline
    SILENT = "silent"  # said nothing for too long
    FLOOD = "flood"  # more output than there can be


@dataclass(frozen=True)
class Output:
    """What a shell printed, also where it did not come to a good end.

    Attributes:
        stdout: with stderr mixed in where the daemon is old.
        exit: the shell's exit status; None where the daemon is old or the shell did not end.
    """

    stdout: bytes
    stderr: bytes
    exit: int | None
    end: End


@dataclass(frozen=True)
class RoundTrip:
    """One request to the device, for `--timings`."""

    what: str
    seconds: float
    sent: int
    received: int


class Transport:
    """See the module.

    Attributes:
        log: the requests to the device so far, in order. Questions that the server answers are not in it.
    """

    def __init__(self, server: AdbServer, serial: str, features: frozenset[str] | None = None) -> None:
        self.server = server
        self.serial = serial
        self.log: list[RoundTrip] = []
        self._features = features

    @property
    def features(self) -> frozenset[str]:
        """What the device's daemon can do."""
        if self._features is None:
            self._features = self.server.features(self.serial)
        return self._features

    @property
    def modern(self) -> bool:
        """The daemon speaks shell_v2 (Android 7 and newer): separate stderr, exit status, long requests."""
        return "shell_v2" in self.features

    def require_device(self, what: str) -> None:
        """Raise TransportError, saying during what, if the device cannot be talked to any more."""
        try:
            state = self.server.state(self.serial)
        except TransportError:
            state = "not there"
        if state != "device":
            raise self.lost(what, f"the device is {state}")

    def require_answer(self, what: str) -> None:
        """Raise TransportError unless the device runs a new command: for a connection that went silent.

        A phone that sleeps, or is out of reach of its network, stays in the adb server's list; one whose
        connection only stalled answers again.
        """
        self.require_device(what)
        with contextlib.suppress(TransportError):
            if b"awake" in self.shell("echo awake", what=what, seconds=ANSWER_SECONDS).stdout:
                return
        error = self.lost(
            what, f"it is still connected, and did not answer within {units.seconds(ANSWER_SECONDS)}"
        )
        if self.wireless:
            error.hint = (
                "over the network a sleeping phone does that: wake it, keep its screen on, or use a cable"
            )
        raise error

    @property
    def wireless(self) -> bool:
        """Connected over the network, by the form of the serial."""
        return _NETWORK.search(self.serial) is not None

    def lost(self, what: str, reason: str = "the connection ended") -> TransportError:
        """The error for a device that went away while something was being done."""
        return TransportError(
            f"{self.serial} was lost while {what}: {reason}",
            serial=self.serial,
            command=what,
            hint="check the cable or the network, then `gemmafit devices`; nothing stays on the phone",
        )

    def shell(
        self,
        script: str,
        *,
        what: str,
        seconds: float,
        silence: float | None = None,
        max_bytes: int = limits.ANSWER_BYTES,
        on_stdout: Callable[[bytes], None] | None = None,
    ) -> Output:
        """Run a script in the device's shell to its end.

        Args:
            script: constant text of ours.
            what: is being done, for messages.
            seconds: for all of it; what has come by then is returned.
            silence: seconds without output after which it is given up.
            max_bytes: of output after which it is given up.
            on_stdout: called with stdout as it comes.

        Raises TransportError if it cannot be started.
        """
        with self.open_shell(script, what=what, seconds=seconds) as stream:
            return stream.follow(silence, max_bytes, on_stdout)

    @contextlib.contextmanager
    def open_shell(self, script: str, *, what: str, seconds: float) -> Iterator[ShellStream]:
        """A running script. Leaving the context closes it, which the device answers with SIGHUP."""
        service = f"shell,v2,raw:{script}" if self.modern else f"shell:{script}"
        with self._service(service, what, seconds) as channel:
            yield ShellStream(channel, self.modern)

    def push(self, files: Mapping[str, tuple[Path | bytes, int]], *, what: str, seconds: float) -> None:
        """Write files, remote path -> (content, mode), and check that their sizes arrived.

        Raises TransportError with the device's own words, e.g. `No space left on device`.
        """
        with self._service("sync:", what, seconds) as channel:
            for remote, (content, mode) in files.items():
                _send_file(channel, remote, content, mode)

    def pull(self, files: Mapping[str, Path], *, what: str, seconds: float, max_bytes: int) -> frozenset[str]:
        """Copy files, remote path -> local path. Returns the remote paths that exist.

        max_bytes: of all of them together.
        """
        found: set[str] = set()
        with self._service("sync:", what, seconds) as channel:
            for remote, local in files.items():
                size = _receive_file(channel, remote, local, max_bytes)
                if size is not None:
                    max_bytes -= size
                    found.add(remote)
        return frozenset(found)

    @contextlib.contextmanager
    def _service(self, service: str, what: str, seconds: float) -> Iterator[Channel]:
        start = time.monotonic()
        with self.server.channel(OPEN_SECONDS, what) as channel:
            channel.serial = self.serial
            channel.request(f"host:transport:{self.serial}")
            channel.request(service)
            channel.extend(seconds, what)
            try:
                yield channel
            finally:
                self.log.append(RoundTrip(what, time.monotonic() - start, channel.sent, channel.received))


class ShellStream:
    """A script that runs on the device."""

    def __init__(self, channel: Channel, modern: bool) -> None:
        self._channel = channel
        self._modern = modern
        self._buffer = bytearray()

    def write(self, data: bytes, seconds: float, what: str) -> None:
        """To the script's standard input."""
        self._channel.extend(seconds, what)
        self._channel.send(_packet(Packet.STDIN, data) if self._modern else data)

    def line(self, start: bytes, seconds: float, what: str) -> bytes | None:
        """The rest of the line that begins with `start`, or None if the script ends without it."""
        if not self.until(start, seconds, what).endswith(start):
            return None
        return self.until(b"\n", seconds, what)

    def until(self, marker: bytes, seconds: float, what: str, max_bytes: int = limits.ANSWER_BYTES) -> bytes:
        """stdout up to and with `marker`, or up to its end without it."""
        self._channel.extend(seconds, what)
        while marker not in self._buffer and len(self._buffer) < max_bytes:
            try:
                kind, data = self._next(None)
            except Ended:
                break
            if kind is Packet.EXIT:
                break
            self._buffer += data
        end = self._buffer.find(marker) + len(marker) if marker in self._buffer else len(self._buffer)
        taken = bytes(self._buffer[:end])
        del self._buffer[:end]
        return taken

    def follow(
        self, silence: float | None, max_bytes: int, on_stdout: Callable[[bytes], None] | None
    ) -> Output:
        """Everything up to the end, whatever that is."""
        stdout, stderr = bytearray(), bytearray()
        status: int | None = None
        end = End.FLOOD
        since = time.monotonic()
        while len(stdout) + len(stderr) <= max_bytes:
            try:
                kind, data = self._next(silence)
            except DeadlineExceeded:
                quiet = silence is not None and time.monotonic() - since >= silence
                end = End.SILENT if quiet else End.LATE
                break
            except Ended:
                end = End.EOF
                break
            since = time.monotonic()
            if kind is Packet.EXIT:
                status, end = (data[0] if data else None), End.EXIT
                break
            if kind is Packet.STDERR:
                stderr += data
            else:
                stdout += data
                if on_stdout is not None:
                    on_stdout(data)
        return Output(bytes(stdout), bytes(stderr), status, end)

    def _next(self, silence: float | None) -> tuple[Packet, bytes]:
        """The next piece of output. Raises Ended at the end of the stream."""
        if not self._modern:
            data = self._channel.some(patience=silence)
            if not data:
                raise Ended("end of stream")
            return Packet.STDOUT, data
        head = self._channel.some(1, patience=silence)
        if not head:
            raise Ended("end of stream")
        kind, size = head[0], int.from_bytes(self._channel.read(4), "little")
        if kind not in (Packet.STDOUT, Packet.STDERR, Packet.EXIT) or size > PACKET_BYTES:
            raise self._channel.error(f"the device sent a packet of kind {kind} and {size} bytes")
        return Packet(kind), self._channel.read(size)


def _packet(kind: Packet, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data


def _send_file(channel: Channel, remote: str, content: Path | bytes, mode: int) -> None:
    size = 0
    _sync(channel, b"SEND", f"{remote},{stat.S_IFREG | mode}")
    for chunk in _chunks(content):
        channel.send(b"DATA" + struct.pack("<I", len(chunk)) + chunk)
        size += len(chunk)
    channel.send(b"DONE" + struct.pack("<I", int(time.time())))
    status, length = struct.unpack("<4sI", channel.read(8))
    if status == b"FAIL":
        raise channel.error(channel.read(min(length, MESSAGE_BYTES)).decode("utf-8", "replace"))
    if status != b"OKAY":
        raise channel.error(f"the device answered {status!r} to a file")
    # A cable pulled at the wrong moment leaves a shorter file behind without a word.
    _, arrived = _stat(channel, remote)
    if arrived != size:
        raise channel.error(f"{arrived} of {size} bytes of {remote} arrived")


def _receive_file(channel: Channel, remote: str, local: Path, max_bytes: int) -> int | None:
    """Its size, or None if there is no such regular file."""
    # Asked first, as newer daemons end the whole exchange over a file that is missing.
    mode, _ = _stat(channel, remote)
    if not stat.S_ISREG(mode):
        return None
    _sync(channel, b"RECV", remote)
    received = 0
    with local.open("wb") as file:
        while True:
            status, length = struct.unpack("<4sI", channel.read(8))
            if status == b"DONE":
                return received
            if status == b"FAIL":
                message = channel.read(min(length, MESSAGE_BYTES)).decode("utf-8", "replace")
                raise channel.error(f"{remote}: {message}")
            received += length
            if status != b"DATA" or length > SYNC_CHUNK or received > max_bytes:
                raise channel.error(f"{remote} is over {max_bytes} bytes, or the answer makes no sense")
            file.write(channel.read(length))


def _stat(channel: Channel, remote: str) -> tuple[int, int]:
    """Mode (0: no such file) and size modulo 2^32."""
    _sync(channel, b"STAT", remote)
    status, mode, size, _ = struct.unpack("<4sIII", channel.read(16))
    if status != b"STAT":
        raise channel.error(f"the device answered {status!r} where STAT was expected")
    return mode, size


def _sync(channel: Channel, request: bytes, path: str) -> None:
    data = path.encode()
    channel.send(request + struct.pack("<I", len(data)) + data)


def _chunks(content: Path | bytes) -> Iterator[bytes]:
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        while chunk := file.read(SYNC_CHUNK):
            yield chunk
