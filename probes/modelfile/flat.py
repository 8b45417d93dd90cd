"""FlatBuffers read by hand from a range of a file, every access checked against the range.

The generated readers trust their input and want all of it in memory; model files are neither trustworthy nor
small. Layout: https://flatbuffers.dev/internals (offsets are 32-bit and relative, values little-endian).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .source import BadContentError, Source

MAX_ELEMENTS = 200_000
"""Tables of one vector that are visited. The largest published model has some ten thousand tensors."""

MAX_TEXT = 4096


@dataclass(frozen=True)
class Extent:
    """The bytes [begin, end) of a file, in which one FlatBuffer lies."""

    source: Source
    begin: int
    end: int

    def read(self, position: int, size: int) -> bytes:
        if position < self.begin or size < 0 or position + size > self.end:
            raise BadContentError(
                f"an offset points to byte {position - self.begin}, outside its {self.end - self.begin} bytes"
            )
        return self.source.read(position, size)

    def u32(self, position: int) -> int:
        return int.from_bytes(self.read(position, 4), "little")

    def root(self) -> FlatTable:
        """The root table."""
        return FlatTable(self, self.begin + self.u32(self.begin))

    @property
    def identifier(self) -> bytes:
        """The four bytes after the root offset."""
        return self.read(self.begin + 4, 4)


@dataclass(frozen=True)
class Vector:
    """A vector: position of its first element and the number of elements; not yet read."""

    range: Extent
    start: int
    length: int

    def bytes(self, limit: int) -> bytes:
        """The first `limit` bytes of a vector of bytes."""
        return self.range.read(self.start, min(self.length, limit))

    def end(self, width: int) -> int:
        """Position after the last element of `width` bytes; raises if that is outside."""
        end = self.start + self.length * width
        if end > self.range.end:
            raise BadContentError(f"a vector of {self.length} elements ends outside the file or section")
        return end

    def u32s(self, limit: int) -> list[int]:
        count = min(self.length, limit)
        return list(struct.unpack(f"<{count}I", self.range.read(self.start, 4 * count)))

    def tables(self) -> Iterator[FlatTable]:
        """Its tables. Raises BadContentError for more than MAX_ELEMENTS."""
        if self.length > MAX_ELEMENTS:
            raise BadContentError(f"a vector claims {self.length} tables")
        for i in range(self.length):
            position = self.start + 4 * i
            yield FlatTable(self.range, position + self.range.u32(position))


class FlatTable:
    """A table. A field that is absent gives the default, one that points outside raises BadContentError."""

    __slots__ = ("_fields", "_position", "_range")

    def __init__(self, range: Extent, position: int) -> None:
        self._range = range
        self._position = position
        back = int.from_bytes(range.read(position, 4), "little", signed=True)
        vtable = position - back
        size = int.from_bytes(range.read(vtable, 2), "little")
        if size < 4 or size % 2:
            raise BadContentError(f"a table at byte {position - range.begin} has a broken index")
        self._fields = range.read(vtable, size)

    def _at(self, field: int) -> int | None:
        """Position of a field by its number in the schema, counted from 0."""
        index = 4 + 2 * field
        offset = int.from_bytes(self._fields[index : index + 2], "little")
        return self._position + offset if offset else None

    def integer(self, field: int, width: int, default: int = 0, *, signed: bool = False) -> int:
        """A scalar of `width` bytes."""
        at = self._at(field)
        if at is None:
            return default
        return int.from_bytes(self._range.read(at, width), "little", signed=signed)

    def real(self, field: int, width: int) -> float:
        at = self._at(field)
        if at is None:
            return 0.0
        value: float = struct.unpack("<f" if width == 4 else "<d", self._range.read(at, width))[0]
        return value

    def table(self, field: int) -> FlatTable | None:
        at = self._at(field)
        return None if at is None else FlatTable(self._range, at + self._range.u32(at))

    def vector(self, field: int) -> Vector | None:
        at = self._at(field)
        if at is None:
            return None
        start = at + self._range.u32(at)
        return Vector(self._range, start + 4, self._range.u32(start))

    def text(self, field: int) -> str | None:
        """A string, cut to MAX_TEXT bytes; bytes that are no text become replacement characters."""
        vector = self.vector(field)
        if vector is None:
            return None
        vector.end(1)
        return vector.bytes(MAX_TEXT).decode("utf-8", "replace")
