"""Weights that lie in a file until a step loads them.

docs/plan-format.md, "Stored buffers"; the twin of the agent's storage.c.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...base.protocol import LOAD_UNIT
from ...base.system import cached, drop_cached
from ...base.units import percent
from ..block import fill
from ..plan import Buffer
from .interface import ExecutorError

Upload = Callable[[str, int, NDArray[np.uint8]], None]
Part = tuple[Buffer, int, int]  # offset and size within the buffer


class NotCold(Exception):
    """The system keeps the file in memory. The message says how much of it."""


class Storage:
    """The stored buffers of a plan in a file without a name: nothing stays behind. Raises OSError."""

    def __init__(self, folder: Path, buffers: Sequence[Buffer]) -> None:
        self._buffers = [b for b in buffers if b.stored]
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        for b in self._buffers:
            for piece in fill.chunks(b):
                self._file.write(piece.data)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._size = sum(b.size for b in self._buffers)

    def close(self) -> None:
        self._file.close()

    def evict(self) -> None:
        """Make the next load read from the storage itself. Raises NotCold."""
        try:
            drop_cached(self._file.fileno())
        except OSError as error:
            raise NotCold(error.strerror) from error
        left = cached(self._file.fileno(), self._size)
        if left > 0.05:
            raise NotCold(f"a cold read cannot be had: {percent(left)} of the file stay in memory")

    def load(self, piece: int, upload: Upload | None) -> None:
        """Read all stored buffers, `piece` bytes at a time; each piece is on the device before the next.
        Without `upload` it only reads."""
        # mmap: the memory goes back to the system at the end, so that one load's peak is not the next one's.
        memory = mmap.mmap(-1, piece)
        view = np.frombuffer(memory, np.uint8)
        self._file.seek(0)
        for parts in pieces(self._buffers, piece):
            size = sum(part[2] for part in parts)
            read = 0
            while read < size:
                got = self._file.readinto(view[read:size].data)
                if not got:
                    raise ExecutorError("the weights cannot be read: file ended")
                read += got
            used = 0
            if upload is None:
                continue
            for buffer, start, length in parts:
                upload(buffer.name, start, view[used : used + length])
                used += length
        del view
        memory.close()


def pieces(buffers: Sequence[Buffer], piece: int) -> Iterator[list[Part]]:
    """What is read at once: whole buffers, or a buffer cut at a multiple of LOAD_UNIT."""
    parts: list[Part] = []
    room = piece
    for b in buffers:
        offset = 0
        while offset < b.size:
            size = b.size - offset
            if size > room:
                size = room // LOAD_UNIT * LOAD_UNIT
            if not size:
                yield parts
                parts, room = [], piece
                continue
            parts.append((b, offset, size))
            offset, room = offset + size, room - size
    if parts:
        yield parts
