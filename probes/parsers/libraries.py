"""public.libraries files, and `ls -lZ` of library paths."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...base import limits
from .text import ParseError, lines

FILE_HEADER = "# file: "
"""Written by our own command before each file, so that one answer can hold several. Android's own reader
takes such a line for a comment."""


@dataclass(frozen=True)
class PublicLibrary:
    """A line of a public.libraries file.

    Attributes:
        bits: 32 or 64 where the line restricts the library to one ABI width, else None.
        file: the file it stands in, or None where that was not recorded.
    """

    name: str
    bits: int | None = None
    file: str | None = None
    nopreload: bool = False


def parse_public_libraries(text: str) -> tuple[PublicLibrary, ...]:
    """`name.so [32|64] [nopreload]` lines of one or several files; comments and blank lines are skipped.

    A name without `.so` is kept as it stands: Android ignores or rejects such a line, and a reader should
    see it. A file without an entry is a valid file.
    """
    found: list[PublicLibrary] = []
    file: str | None = None
    for line in lines(text):
        if line.startswith(FILE_HEADER):
            file = line[len(FILE_HEADER) :].strip()[: limits.NAME_CHARS] or None
            continue
        words = line.split("#", 1)[0].split()
        if not words or len(found) >= limits.ITEMS:
            continue
        if len(words) > 3 or len(words[0]) > limits.NAME_CHARS or "/" in words[0]:
            continue
        bits = next((int(word) for word in words[1:] if word in ("32", "64")), None)
        found.append(PublicLibrary(words[0], bits, file, "nopreload" in words[1:]))
    if not found and any(c not in "\n\t\r" and not c.isprintable() for c in text[: limits.LINE_CHARS]):
        raise ParseError("public.libraries is not text")
    return tuple(found)


@dataclass(frozen=True)
class FileEntry:
    """A path that `ls` showed.

    Attributes:
        path: absolute, or only a name where a folder was listed.
        label: SELinux context, e.g. u:object_r:same_process_hal_file:s0; None where ls did not show it.
        link: where a symbolic link points to, else None.
        size: bytes, None where not shown.
    """

    path: str
    label: str | None = None
    link: str | None = None
    size: int | None = None

    @property
    def type(self) -> str | None:
        """The type field of the label: same_process_hal_file, vendor_file, ..."""
        parts = (self.label or "").split(":")
        return parts[2] if len(parts) >= 3 else None


_LONG = re.compile(r"[-dlcbps?][-rwxsStT?]{9}[+.@]?\s")
_LABEL = re.compile(r"\bu:object_r:[\w.]+:s\d[\w:,.]*")
_DATE = re.compile(r"\s(\d+)\s+\d{4}-\d\d-\d\d \d\d:\d\d(?:\s|\Z)")


def parse_ls(text: str) -> tuple[FileEntry, ...]:
    """`ls -lZ`, `ls -Z`, `ls -l` or plain `ls` lines; complaints about missing paths are skipped.

    Below a line `/folder:` names are of that folder. Toybox and toolbox differ in the columns and their
    order; the label is found by its form, and the path is what follows the last column (names of libraries
    hold no blanks).
    """
    found: list[FileEntry] = []
    folder = ""
    for line in lines(text):
        line = line.strip()
        if line.startswith("/") and line.endswith(":") and len(line) <= limits.NAME_CHARS:
            folder = line[:-1].rstrip("/") + "/"
            continue
        if not line or line.startswith(("total ", "#")) or ": " in line or len(found) >= limits.ITEMS:
            continue
        label = _LABEL.search(line)
        head, arrow, target = line.partition(" -> ")
        words = head.split()
        if not words or len(words[-1]) > limits.NAME_CHARS:
            continue
        long = _LONG.match(line) is not None
        if len(words) > 1 and not long and label is None:
            continue
        date = _DATE.search(head)
        found.append(
            FileEntry(
                words[-1] if words[-1].startswith("/") else folder + words[-1],
                label[0] if label else None,
                target.strip()[: limits.NAME_CHARS] if arrow else None,
                int(date[1]) if date and len(date[1]) < 16 else None,
            )
        )
    return tuple(found)
