"""The known failures of on-device Gemma (`signatures.yaml`), and whose a text is (`origins.yaml`), as rows.

A pattern is the message itself, written as cleaned text (see `logtext.clean`), matched without regard to
case, with three kinds of holes:

* ``{n}``     a number
* ``{word}``  one run of characters other than blanks, at most once between two gaps
* `` ... ``   a gap: the rest follows later in the same line

It is not a regular expression, so a row can neither be wrong in a way that only a log shows nor make a
hostile log slow: each piece between two gaps is searched once, from where the one before it ended.

A native crash is matched as one line of its own, whatever its log looked like (`crash.py` in `judge/`)::

    crash: SIGSEGV in liblitertlm_jni.so: icu::RegexMatcher::find; liblitertlm_jni.so: Java_...
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
from .rows import Asks, Holes, Ref, Text

_HOLE = re.compile(r"(\{n\}|\{word\})")
GAP = " ... "
_HOLES = {"{n}": r"-?\d{1,20}", "{word}": r"[^\s]{1,64}"}


class Certainty(StrEnum):
    """How the cause of a failure is known."""

    STATED = "stated"  # by a maintainer, or visible in the source that prints the message
    INFERRED = "inferred"  # follows from what was observed; nobody who knows has said so
    UNVERIFIED = "unverified"  # one report, or nobody knows


class Kind(StrEnum):
    """What a signature is about."""

    FAILURE = "failure"
    GENERAL = "general"  # says that something failed and not why: steps back behind a failure
    NOTICE = "notice"  # looks like an error and is none, or is evidence of what ran: never an answer


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it fails, and how sure that is."""

    status: Certainty
    text: Text


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One known failure.

    Attributes:
        patterns: the messages it shows itself by; any one of them is an exact match.
        described: how people tell it where there is no message: terms that all have to be there as whole
            words, joined by " + ", each with its alternatives ("cold start|warm up + first token").
        of: the runtime (`origins.yaml`) whose failure it is, where it is not Google's. Lines that bear a
            runtime's mark are matched by its own rows alone.
        on_phone_only: the text alone does not tell this cause: it counts only where `applies_when` holds.
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
    described: tuple[Text, ...] = ()
    of: Annotated[str, Ref("origins")] | None = None
    on_phone_only: bool = False
    takes: tuple[Backend, ...] = ()
    applies_when: Annotated[Condition, Asks(("snapshot", "file.*"))] | None = None

    def __post_init__(self) -> None:
        if not (self.patterns or self.described):
            raise ValueError(f"{self.id}: neither patterns nor described")
        if self.on_phone_only and self.applies_when is None:
            raise ValueError(f"{self.id}: on_phone_only without applies_when")
        for text in (self.title, self.cause.text, self.remedy, self.because):
            if not text.strip():
                raise ValueError(f"{self.id}: an empty text")
        _ = self.compiled, self.descriptions  # a pattern that cannot be read is a mistake of the row

    @cached_property
    def compiled(self) -> tuple[Pattern, ...]:
        return tuple(Pattern.parse(text) for text in self.patterns)

    @cached_property
    def descriptions(self) -> tuple[Description, ...]:
        return tuple(Description.parse(text) for text in self.described)


class OriginPart(StrEnum):
    """What an origin is to somebody who runs a model."""

    RUNTIME = "runtime"
    NPU = "npu-runtime"  # a vendor's NPU runtime, below Google's
    DRIVER = "driver"
    SYSTEM = "system"  # libraries through which every crash goes: they are never the culprit


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Somebody's software as texts show it: whose a crash or a message is.

    Attributes:
        ours: Google's runtimes, whose failures the table of signatures is about.
        libraries: how the names of its libraries begin; the longest beginning decides.
        marks: what its messages bear, as patterns.
        ask: where its failures are dealt with.
    """

    id: Text
    title: Text
    part: OriginPart
    because: Text
    source: Annotated[tuple[Text, ...], Meta(min_length=1)]
    ours: bool = False
    libraries: tuple[Text, ...] = ()
    marks: tuple[Text, ...] = ()
    ask: Text | None = None

    def __post_init__(self) -> None:
        _ = self.compiled  # as above

    @cached_property
    def compiled(self) -> tuple[Pattern, ...]:
        return tuple(Pattern.parse(text, least=5) for text in self.marks)


@dataclass(frozen=True)
class Description:
    """Terms that all have to be in a text; each has alternatives."""

    alternatives: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Description:
        """Raises ValueError for one that ordinary sentences would fulfil: one term, or single words alone."""
        terms = tuple(tuple(a.strip() for a in term.split("|")) for term in text.split(" + "))
        if len(terms) < 2 or not all(all(term) for term in terms):
            raise ValueError(f"description {text!r}: needs two terms or more")
        if len(terms) < 3 and all(any(_plain(word) for word in term) for term in terms):
            raise ValueError(f"description {text!r}: one of two terms must be phrases or names only")
        return cls(terms)

    @cached_property
    def terms(self) -> tuple[re.Pattern[str], ...]:
        """Compiled when a text is there to search: most commands read the table and search none."""
        words = ("|".join(map(re.escape, term)) for term in self.alternatives)
        return tuple(re.compile(rf"(?<!\w)(?:{word})(?!\w)", re.IGNORECASE) for word in words)

    def holds(self, text: str) -> bool:
        """Whether every term is in the text."""
        return all(term.search(text) for term in self.terms)


def _plain(text: str) -> bool:
    """Whether it is one ordinary word."""
    return text.isalpha() and text[1:].islower()


@dataclass(frozen=True)
class Pattern:
    """A pattern that was checked. `anchor` is text (lower case) that every match contains."""

    text: str
    anchor: str

    @classmethod
    def parse(cls, text: str, least: int = 6) -> Pattern:
        """Raises ValueError for a pattern that is too vague (`least` literal characters) or could be slow."""
        if clean(text) != text:
            raise ValueError(f"pattern {text!r}: is not cleaned text ({clean(text)!r})")
        literals: list[str] = []
        for piece in text.split(GAP):
            parts = _HOLE.split(piece)
            literals += parts[::2]
            if len(parts[0]) < 3:
                raise ValueError(f"pattern {text!r}: a piece must start with three literal characters")
            if parts[1::2].count("{word}") > 1:
                raise ValueError(f"pattern {text!r}: more than one {{word}} between two gaps")
        anchor = max(literals, key=len)
        if len(anchor) < least:
            raise ValueError(f"pattern {text!r}: needs {least} literal characters in a row")
        return cls(text, anchor.lower())

    @cached_property
    def pieces(self) -> tuple[re.Pattern[str], ...]:
        """What stands between the gaps, compiled when there is something to search (`Description.terms`)."""
        return tuple(
            re.compile(
                "".join(_HOLES.get(part, re.escape(part)) for part in _HOLE.split(piece)), re.IGNORECASE
            )
            for piece in self.text.split(GAP)
        )

    def search(self, line: str) -> bool:
        """Whether a cleaned line contains the pieces in order."""
        position = 0
        for piece in self.pieces:
            match = piece.search(line, position)
            if match is None:
                return False
            position = match.end()
        return True
