"""What an interpreter of plans prints while it runs: progress lines, and a tail for error messages."""

from __future__ import annotations

import json

from ..base.events import Event, Listener

LINE_BYTES = 4096
TAIL_BYTES = 8192


class Progress:
    """Feeds on stdout as it arrives; calls the listener for each progress line; keeps the tail.

    A progress line is `{"event": "step", "name": ..., "done": ..., "total": ...}`. Anything else is only
    kept in the tail: on API 23 the linker writes a warning first, and a device may print what it likes.
    """

    def __init__(self, stage: str, on_line: Listener) -> None:
        self._stage = stage
        self._listener = on_line
        self._line = bytearray()
        self._tail = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of stdout."""
        self._tail += data
        del self._tail[:-TAIL_BYTES]
        *lines, rest = (bytes(self._line) + data).split(b"\n")
        self._line[:] = rest[: LINE_BYTES + 1]
        for line in lines:
            event = read_line(self._stage, line) if len(line) <= LINE_BYTES else None
            if event is not None:
                self._listener(event)

    @property
    def tail(self) -> str:
        """The last bytes printed, decoded; unescaped."""
        return self._tail.decode("utf-8", "replace")


def read_line(stage: str, line: bytes) -> Event | None:
    """The event that a line of stdout stands for, or None."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or row.get("event") != "step" or not isinstance(row.get("name"), str):
        return None
    return Event(stage, row["name"][:80], _count(row.get("done")), _count(row.get("total")))


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 1 << 32 else None
