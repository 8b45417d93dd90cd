"""Fields of a serialized protobuf message by number, without its schema. Bounded; for a few small fields."""

from __future__ import annotations

from collections.abc import Iterator

from .source import BadContentError

MAX_FIELDS = 10_000


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value): an int for varint and fixed fields, bytes for length-delimited ones.

    Raises BadContentError where the data is no protobuf message.
    """
    position = 0
    for _ in range(MAX_FIELDS):
        if position == len(data):
            return
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise BadContentError("a field of a protobuf message has number 0")
        if kind == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if kind == 2:
            size, position = _varint(data, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise BadContentError(f"a field of a protobuf message has wire type {kind}")
        piece = data[position : position + size]
        if len(piece) < size:
            raise BadContentError("a protobuf message ends inside a field")
        position += size
        yield number, piece if kind == 2 else int.from_bytes(piece, "little")
    raise BadContentError(f"a protobuf message has more than {MAX_FIELDS} fields")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise BadContentError("a protobuf message ends inside a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise BadContentError("a number of a protobuf message has more than ten bytes")
