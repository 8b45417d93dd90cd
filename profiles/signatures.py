"""The known failures of on-device Gemma as rows (`signatures.yaml`), and their patterns compiled.

A pattern is the message itself, written as cleaned text (see `logtext.clean`), matched without regard to
case, with three kinds of holes:

* ``{n}``     a number
* ``{word}``  one run of characters other than blanks, at most once between two gaps
* `` ... ``   a gap: the rest follows later in the same line

It is not a regular expression, so a row can neither be wrong in a way that only a log shows nor make a
hostile log slow: each piece between two gaps is searched once, from where the one before it ended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated

import msgspec
from msgspec import Meta

from ..base.logtext import clean
from ..base.names import Backend
from .conditions import Condition
from .rows import Asks, Holes, Text

_HOLE = re.compile(r"(\{n\}|\{word\})")
_HOLES = {"{n}": r"-?\d{1,20}", "{word}": r"[^\s]{1,64}"}


class Certainty(StrEnum):
    """How the cause of a failure is known."""

    STATED = "stated"  # by a maintainer, or visible in the source that prints the message
    INFERRED = "inferred"  # follows from what was observed; nobody who knows has said so
    UNVERIFIED = "unverified"  # one report, or nobody knows


class Kind(StrEnum):
    """What a signature is about."""

    FAILURE = "failure"
    NOTICE = "notice"  # looks like an error and is none, or is evidence of what ran


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it fails, and how sure that is."""

    status: Certainty
    text: Text


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One known failure.

    Attributes:
        patterns: the messages it shows itself by; any one of them is an exact match.
        phrases: how people describe it where there is no message. They only ever make text *resemble* it.
        takes: backends of which the remedy tells to take a file, where it names no file itself.
        applies_when: what has to hold of a phone (or file) for this cause to be possible there; None: the
            cause does not depend on the phone.
    """

    id: Text
    title: Text
    cause: Cause
    remedy: Text
    source: Annotated[tuple[Text, ...], Meta(min_length=1)]
    because: Text
    kind: Kind = Kind.FAILURE
    patterns: tuple[Annotated[Text, Holes(("n", "word"))], ...] = ()
    phrases: tuple[Text, ...] = ()
    takes: tuple[Backend, ...] = ()
    applies_when: Annotated[Condition, Asks(("snapshot", "file.*"))] | None = None

    def __post_init__(self) -> None:
        if not (self.patterns or self.phrases):
            raise ValueError(f"{self.id}: neither patterns nor phrases")
        for text in (self.title, self.cause.text, self.remedy, self.because):
            if not text.strip():
                raise ValueError(f"{self.id}: an empty text")
        self.compiled  # noqa: B018 - a pattern that cannot be compiled is a mistake of the row

    @cached_property
    def compiled(self) -> tuple[Pattern, ...]:
        return tuple(Pattern.parse(text) for text in self.patterns)


@dataclass(frozen=True)
class Pattern:
    """A compiled pattern. `anchor` is text (lower case) that every match contains."""

    text: str
    anchor: str
    pieces: tuple[re.Pattern[str], ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises ValueError for a pattern that is too vague or could be slow."""
        if clean(text) != text:
            raise ValueError(f"pattern {text!r}: is not cleaned text ({clean(text)!r})")
        pieces, literals = [], []
        for piece in text.split(" ... "):
            parts = _HOLE.split(piece)
            literals += parts[::2]
            if len(parts[0]) < 3:
                raise ValueError(f"pattern {text!r}: a piece must start with three literal characters")
            if parts[1::2].count("{word}") > 1:
                raise ValueError(f"pattern {text!r}: more than one {{word}} between two gaps")
            source = "".join(_HOLES.get(part, re.escape(part)) for part in parts)
            pieces.append(re.compile(source, re.IGNORECASE))
        anchor = max(literals, key=len)
        if len(anchor) < 6:
            raise ValueError(f"pattern {text!r}: needs six literal characters in a row")
        return cls(text, anchor.lower(), tuple(pieces))

    def search(self, line: str) -> bool:
        """Whether a cleaned line contains the pieces in order."""
        position = 0
        for piece in self.pieces:
            match = piece.search(line, position)
            if match is None:
                return False
            position = match.end()
        return True
