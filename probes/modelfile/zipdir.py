"""The directory of a ZIP archive with 64-bit offsets, read without trusting it or inflating anything.

The standard library reads a directory of any claimed size into memory and raises a dozen kinds of errors on
damaged archives. Layout: PKWARE APPNOTE 6.3.10, sections 4.3.7 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise

from .source import BadContentError, Source

END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
LOCATOR64 = b"PK\x06\x07"
ENTRY = b"PK\x01\x02"
LOCAL = b"PK\x03\x04"

MAX_COMMENT = 0xFFFF
MAX_DIRECTORY = 4 << 20
MAX_MEMBERS = 10_000

_WIDE = 0xFFFFFFFF


@dataclass(frozen=True)
class Member:
    """An entry. `begin` is where its data starts; `stored` bytes of it are in the archive."""

    name: str
    method: int
    begin: int
    stored: int
    size: int
    encrypted: bool

    @property
    def end(self) -> int:
        return self.begin + self.stored


def read_members(source: Source) -> list[Member]:
    """All members in the directory's order. Raises BadContentError for a broken or incomplete archive."""
    count, size, start = _end_record(source)
    if size > MAX_DIRECTORY or count > MAX_MEMBERS:
        raise BadContentError(f"claims a directory of {count} members in {size} bytes")
    data = source.read(start, size)
    members, position = [], 0
    for _ in range(count):
        entry, position = _entry(data, position)
        members.append(_locate(source, entry, limit=start))
    ordered = sorted(members, key=lambda m: m.begin)
    for a, b in pairwise(ordered):
        if b.begin < a.end:
            raise BadContentError(f"the members {a.name} and {b.name} overlap")
    return members


def _end_record(source: Source) -> tuple[int, int, int]:
    """(members, bytes of the directory, its offset) from the record at the end of the archive."""
    length = min(source.size, 22 + MAX_COMMENT)
    tail = source.read(source.size - length, length)
    at = tail.rfind(END)
    while at >= 0:
        # A comment may contain the signature: the record's comment has to end where the file ends.
        if at + 22 <= length and at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") == length:
            break
        at = tail.rfind(END, 0, at)
    if at < 0:
        raise BadContentError(
            "has no directory at its end: the download is incomplete, or it is no ZIP archive"
        )
    count, size, start = struct.unpack_from("<HII", tail, at + 10)
    position = source.size - length + at
    if count == 0xFFFF or _WIDE in (size, start):
        count, size, start = _end_record64(source, position, (count, size, start))
    if start + size > position:
        raise BadContentError("names a directory that lies outside the archive")
    return count, size, start


def _end_record64(source: Source, position: int, narrow: tuple[int, int, int]) -> tuple[int, int, int]:
    if position < 20:
        return narrow
    locator = source.read(position - 20, 20)
    if locator[:4] != LOCATOR64:
        return narrow
    record = source.read(int.from_bytes(locator[8:16], "little"), 56)
    if record[:4] != END64:
        raise BadContentError("has a broken ZIP64 record")
    count, size, start = struct.unpack_from("<QQQ", record, 32)
    return count, size, start


@dataclass(frozen=True)
class _Entry:
    name: str
    flags: int
    method: int
    stored: int
    size: int
    header: int


def _entry(data: bytes, position: int) -> tuple[_Entry, int]:
    if position + 46 > len(data) or data[position : position + 4] != ENTRY:
        raise BadContentError("has a broken directory")
    flags, method = struct.unpack_from("<HH", data, position + 8)
    stored, size, name_size, extra_size, comment_size = struct.unpack_from("<IIHHH", data, position + 20)
    (header,) = struct.unpack_from("<I", data, position + 42)
    at = position + 46
    end = at + name_size + extra_size + comment_size
    if end > len(data):
        raise BadContentError("has a broken directory")
    name = data[at : at + name_size].decode("utf-8", "replace")
    wide = _extra64(data[at + name_size : at + name_size + extra_size])
    for place, value in enumerate((size, stored, header)):
        if value == _WIDE and wide:
            chosen = wide.pop(0)
            size, stored, header = (
                chosen if i == place else old for i, old in enumerate((size, stored, header))
            )
    return _Entry(name, flags, method, stored, size, header), end


def _extra64(extra: bytes) -> list[int]:
    """The 64-bit values of the ZIP64 field, in the order size, stored size, offset of the header."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == 1:
            body = extra[position + 4 : position + 4 + length]
            return [int.from_bytes(body[i : i + 8], "little") for i in range(0, len(body) - 7, 8)]
        position += 4 + length
    return []


def _locate(source: Source, entry: _Entry, limit: int) -> Member:
    """Follow an entry to its data; the local header may have an extra field of another length."""
    if entry.header + 30 > limit:
        raise BadContentError(f"the member {entry.name} lies outside the archive")
    local = source.read(entry.header, 30)
    if local[:4] != LOCAL:
        raise BadContentError(f"the member {entry.name} is not where the directory says")
    begin = (
        entry.header + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
    )
    if begin + entry.stored > limit:
        raise BadContentError(f"the member {entry.name} ends outside the archive")
    return Member(entry.name, entry.method, begin, entry.stored, entry.size, bool(entry.flags & 1))
