"""Text as people paste it, made comparable: logs, dialogs, JSON strings, terminal output.

Removes what is not the message (terminal colours, logcat and absl prefixes, escaped quoting, line ends of
another system) in linear time, and cuts a stream of any size into lines of bounded length.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

MAX_LINE = 1 << 14
"""Characters of one line that are looked at together; a longer line is seen in overlapping pieces."""

OVERLAP = 1 << 10
"""A message cut by the end of a piece is found in the next one."""

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]{0,32}[ -/]?[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)?|[()][0-9A-B]|.)?")
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([nrt])|([\"'\\/]))")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\xa0\u2000-\u200f\u2028-\u202f\u2060-\u206f\ufeff]+")
_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "…": "..."})

# Three shapes of logcat (threadtime, brief, Android Studio), then what absl and glog put before a message.
_PREFIX = re.compile(
    r"^\s*(?:(?:\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d\.\d{3,6}\s+(?:\S{1,32}\s+)?(\d{1,7})[ -]{1,8}\d{1,7}\s+"
    r"(?:[VDIWEFA]\s+[^:]{1,64}:|.{1,80}?\s[VDIWEFA]\s)"
    r"|[VDIWEFA]/[^(]{1,64}\(\s{0,6}(\d{1,7})\):)\s*"
)
_ABSL = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d(?:[.:]\d+)*\s+\d+ (?=\S)")


def clean(text: str) -> str:
    """`text` as one line: no control characters, quoting undone, every run of blanks one space."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\\" in text:
        text = _ESCAPED.sub(_unescape, text)
    if not text.isascii():
        text = text.translate(_QUOTES)
    if not text.isprintable():
        text = _INVISIBLE.sub(" ", text)
    return " ".join(text.split())


def _unescape(match: re.Match[str]) -> str:
    code, blank, char = match.groups()
    if code is not None:
        return chr(int(code, 16))
    return " " if blank is not None else str(char)


def message(line: str) -> str:
    """A cleaned line without the prefix that logcat and absl write before the message."""
    body = _PREFIX.sub("", line, count=1)
    return _ABSL.sub("", body, count=1)


def process(line: str) -> int | None:
    """The process that logged a cleaned line, from logcat's prefix; None without one."""
    match = _PREFIX.match(line)
    return None if match is None else int(match[1] or match[2])


def lines(chunks: Iterable[str]) -> Iterator[tuple[int, str]]:
    """(line number from 1, raw text) of a stream. No piece is longer than MAX_LINE.

    CRLF, CR alone and LF end a line. Memory: one chunk and one line.
    """
    number, rest, pending_cr = 1, "", False
    for raw in chunks:
        chunk = raw
        if pending_cr and chunk.startswith("\n"):
            chunk = chunk[1:]
        pending_cr = chunk.endswith("\r") if chunk else pending_cr
        text = rest + chunk
        parts = re.split(r"\r\n|\r|\n", text) if "\r" in text else text.split("\n")
        rest = parts.pop()
        for part in parts:
            for piece in _pieces(part):
                yield number, piece
            number += 1
        while len(rest) > MAX_LINE:
            yield number, rest[:MAX_LINE]
            rest = rest[MAX_LINE - OVERLAP :]
    if rest:
        yield number, rest


def _pieces(line: str) -> Iterator[str]:
    start = 0
    while True:
        yield line[start : start + MAX_LINE]
        if start + MAX_LINE >= len(line):
            return
        start += MAX_LINE - OVERLAP


def decoded(blocks: Iterable[bytes]) -> Iterator[str]:
    """A stream of bytes as text: UTF-8, or UTF-16 where it starts with a byte-order mark (PowerShell's `>`).

    Bytes that are no text become replacement characters; nothing raises.
    """
    decoder: codecs.IncrementalDecoder | None = None
    held = b""
    for raw in blocks:
        block = held + raw
        if decoder is None:
            if len(block) < 3:
                held = block
                continue
            held = b""
            wide = block[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")("replace")
        yield decoder.decode(block)
    if decoder is None:
        yield held.decode("utf-8", "replace")
    else:
        yield decoder.decode(b"", final=True)
