"""Explain an error: which known failure a text shows, whether it fits this phone, what to change.

Pure. Text may be one line or a stream of many megabytes: it is read once, in bounded memory. A failure is
recognised by its own message (a pattern), by its crash, or by a description of it in people's words; text
that only shares a run of words with a message *resembles* it, which offers a name and no cause.

Whose a text is decides which failures it can show: a crash belongs to the library it happened in, a line to
the runtime whose mark it bears (`profiles/origins.yaml`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

from ..base.logtext import clean, lines, message, process
from ..base.names import Backend, CheckStatus
from ..probes.snapshot import Snapshot
from ..profiles.conditions import Facts, evaluate
from ..profiles.knowledge import Knowledge
from ..profiles.signatures import GAP, Kind, Origin, OriginPart, Pattern, Signature
from ..reports.report import Report
from .crash import Crash, Crashes, Frame, Owners

BATCH = 2048
"""Lines that are searched for all anchors at once, which is some fifty times faster than line by line."""

SHORT = 40
SHORT_CHARS = 2000
"""A text of at most so much without a log's prefixes is also read as one message: dialogs and chats wrap
lines anywhere, and people tell what happened in their own words."""

GAPPED_CHARS = 600
"""A pattern with gaps may reach across the lines of such a text; in a longer one it would join strangers."""

EXCERPTS = 3
MAX_PROCESSES = 8
RESEMBLES = 0.5
"""Share of a message's pairs of neighbouring words that a line must have. Word pairs, not words: the words
of errors are everybody's (`tests/judge/test_explain.py` shuffles them)."""

MIN_PAIRS = 2
COMMON = 3
"""A word that messages of so many signatures have says nothing: a pair needs one that is rarer."""

MAX_GUESSES = 3
MAX_GUESSED_LINES = 20_000
"""Resemblance is looked for in so many lines that speak of an error, no more: it costs more than matching."""

MAX_GUESSED_CHARS = 2000
MAX_FROM = 3

_WORD = re.compile(r"[a-z][a-z0-9_]{1,63}")
_ERROR_WORDS = (
    "error", "fail", "fatal", "abort", "crash", "exception", "unable", "cannot", "can not", "could not",
    "invalid", "not found", "missing", "support", "denied", "kill", "wrong", "unknown",
)  # fmt: skip


class Match(StrEnum):
    """How a text shows a failure: by its message, told in words, or by a part of the message's words."""

    EXACT = "exact"
    DESCRIBED = "described"
    RESEMBLES = "resembles"


class Applies(StrEnum):
    """Whether a failure's cause holds on the phone; unknown where the facts it asks for are."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Applicability:
    """Whether the cause is possible on this phone (or with this file), and the facts that say so."""

    answer: Applies
    because: str


@dataclass(frozen=True)
class Excerpt:
    """A line of the text: its number from 1, and the cleaned message (still to be escaped for a terminal)."""

    line: int
    text: str


@dataclass(frozen=True)
class Explanation:
    """One finding. `count` is how many lines show it; `excerpts` are the first of them.

    Attributes:
        score: 1.0, or of what only resembles the share of the message that the text has.
        elsewhere: only processes logged it that are not the one that crashed.
        processes: the first of those that logged it.
        length: of the longest pattern that matched: what says more stands before what says less.
    """

    signature: Signature
    match: Match
    applies: Applicability
    score: float = 1.0
    count: int = 1
    excerpts: tuple[Excerpt, ...] = field(default=())
    elsewhere: bool = False
    processes: frozenset[int] = frozenset()
    length: int = 0

    @property
    def known(self) -> bool:
        """Whether this recognises a failure: a notice and a resemblance never do."""
        return self.match is not Match.RESEMBLES and self.signature.kind is not Kind.NOTICE


@dataclass(frozen=True)
class Culprit:
    """A crash, the frame that is to blame, and whose library that is; None where the text does not tell."""

    crash: Crash
    frame: Frame | None
    owner: Origin | None


@dataclass(frozen=True)
class LogReading:
    """What a text says.

    Attributes:
        found: what is known about the failures in it, the one cause first; then what else it shows, harmless
            lines, and what it only resembles.
        crashes: the native crashes in it, in its order.
        origins: whose messages it bears, the most frequent first.
    """

    found: tuple[Explanation, ...] = ()
    crashes: tuple[Culprit, ...] = ()
    origins: tuple[Origin, ...] = ()

    @property
    def recognised(self) -> bool:
        """Whether a known failure is in it."""
        return any(e.known for e in self.found)


def explain(
    text: str | Iterable[str],
    knowledge: Knowledge,
    snapshot: Snapshot | None = None,
    facts: Mapping[str, Any] | None = None,
) -> LogReading:
    """What is known about the failures in a text.

    Args:
        text: the text, or its pieces in order (a file read in blocks).
        snapshot: the phone it happened on, or None.
        facts: further facts by name, for example `file.*` of a model file.
    """
    scan = _Scan(knowledge)
    short: list[tuple[int, str]] | None = []
    batch: list[tuple[int, str]] = []
    for number, raw in lines([text] if isinstance(text, str) else text):
        batch.append((number, clean(raw)))
        if short is not None:
            short.append(batch[-1])
            short = short if len(short) <= SHORT else None
        if len(batch) >= BATCH:
            scan.search(batch)
            batch = []
    scan.search(batch)
    scan.search_crashes()
    if short and all(process(line) is None for _, line in short):
        scan.search_joined(short)
    known = Facts(snapshot, facts)
    found = [replace(e, applies=_applies(e.signature, known)) for e in scan.results()]
    found = [e for e in found if not e.signature.on_phone_only or e.applies.answer is Applies.YES]
    return LogReading(tuple(sorted(found, key=_rank)), scan.culprits, scan.origins())


_KINDS = {Kind.FAILURE: 0, Kind.GENERAL: 1, Kind.NOTICE: 2}


def _rank(e: Explanation) -> tuple[Any, ...]:
    """The cause first: what is sure, says why, can be here, is of the process that crashed; the earliest."""
    return (
        e.match is Match.RESEMBLES,
        _KINDS[e.signature.kind],
        e.applies.answer is Applies.NO,
        e.elsewhere,
        -e.score,
        e.excerpts[0].line if e.excerpts else 0,
        -e.length,
    )


def _applies(signature: Signature, facts: Facts) -> Applicability:
    condition = signature.applies_when
    if condition is None:
        return Applicability(Applies.YES, "the cause does not depend on the phone")
    about_file = all(name.startswith("file.") for name in condition.facts())
    if facts.snapshot is None and not about_file:
        return Applicability(Applies.UNKNOWN, "no phone was named")
    truth = evaluate(condition, facts)
    answer = {True: Applies.YES, False: Applies.NO, None: Applies.UNKNOWN}[truth.value]
    return Applicability(answer, truth.because)


def remedy(signature: Signature, report: Report | None, knowledge: Knowledge) -> str:
    """What to do about a failure on the phone of a report: the row's advice, unless that report says that it
    does not help there; then what the report recommends instead."""
    if report is None:
        return signature.remedy
    working = [row for row in report.variants if row.status in (CheckStatus.PASS, CheckStatus.WARN)]
    named = [
        model
        for model in knowledge.models.values()
        if {model.id, model.file} & set(_NAME.findall(signature.remedy))
    ]
    if named and not {model.id for model in named} & {row.id for row in working}:
        return f"The file that helps elsewhere does not run on this phone. {answer(report)}"
    if signature.takes and not set(signature.takes) & {row.backend for row in working}:
        where = " or ".join(backend.about.title for backend in signature.takes)
        return f"{signature.remedy} But no file is known to run on {where} of this phone. {answer(report)}"
    return signature.remedy


def answer(report: Report) -> str:
    """The file that a report recommends, in a sentence."""
    best = report.recommendation or report.works_instead
    if best is None:
        return "No published file is known to run on it."
    what = "Take" if report.recommendation is not None else "Of another family works"
    return f"{what} {best.file} on {Backend.spoken(best.backend)} with {best.runtime}."


_NAME = re.compile(r"[\w.-]*\w")

_UNJUDGED = Applicability(Applies.UNKNOWN, "")


class _Scan:
    """Collects matches over batches of cleaned lines."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._signatures = tuple(knowledge.signatures.values())
        self._origins = knowledge.origins
        self._patterns = [(p, s) for s in self._signatures for p in s.compiled]
        self._marks = [(p, o) for o in self._origins.values() for p in o.compiled]
        self._owners = Owners(self._origins)
        self._crashes = Crashes()
        self._pairs = _Pairs(self._signatures)
        self._found: dict[str, Explanation] = {}
        self._guesses: dict[str, Explanation] = {}
        self._guessed_lines = 0
        self._bears: Counter[str] = Counter()
        self._failing: set[int] = set()
        self.culprits: tuple[Culprit, ...] = ()

    def search(self, batch: Sequence[tuple[int, str]]) -> None:
        """Match every line on its own."""
        if not batch:
            return
        whole = "\n".join(text for _, text in batch).lower()
        possible = [(p, s) for p, s in self._patterns if p.anchor in whole]
        marks = [(p, o) for p, o in self._marks if p.anchor in whole]
        errors = [word for word in _ERROR_WORDS if word in whole]
        crashes = any(word in whole for word in ("signal", "sig", "#0", "#1", "abort", "illegal", "segment"))
        for number, text in batch:
            lower = text.lower()
            owner = self._owner(text, lower, marks) if marks else None
            if crashes:
                self._crashes.add(number, text, process(text))
            if "fatal exception" in lower and (failing := process(text)) is not None:
                self._failing.add(failing)
            matched = bool(possible) and self._match(number, text, lower, owner, possible)
            if not matched and any(word in lower for word in errors):
                self._guess(number, text, owner)

    def search_crashes(self) -> None:
        """Match every crash as the one line that it is for signatures."""
        found = []
        for crash in self._crashes.found:
            frame = self._owners.culprit(crash.frames)
            owner = self._owners.of(frame.library) if frame is not None else None
            found.append(Culprit(crash, frame, owner))
            if crash.process is not None:
                self._failing.add(crash.process)
            if owner is not None and owner.part is not OriginPart.SYSTEM:
                self._bears[owner.id] += 1
            line = self._owners.line(crash)
            self._match(crash.at, line, line.lower(), owner, self._patterns)
        self.culprits = tuple(found)

    def search_joined(self, batch: Sequence[tuple[int, str]]) -> None:
        """Read a short text as one message, for what was not found in any line of it."""
        text = " ".join(message(line) for _, line in batch).strip()
        if len(text) > SHORT_CHARS or any(crash.frames for crash in self._crashes.found):
            return
        lower, at = text.lower(), batch[0][0]
        owner = self._owner(text, lower, self._marks, count=False)
        whole = len(text) <= GAPPED_CHARS
        rest = [(p, s) for p, s in self._patterns if s.id not in self._found and (whole or GAP not in p.text)]
        self._match(at, text, lower, owner, rest)
        if not any(e.known for e in self._found.values()):
            for signature in self._signatures:
                if any(told.holds(text) for told in signature.descriptions):
                    self._add(at, text, signature, 0, Match.DESCRIBED)
            if not self._found:
                self._guess(at, text, owner)

    def results(self) -> Iterator[Explanation]:
        """Every finding, not yet in order."""
        bears = [self._origins[id_] for id_ in self._bears]
        foreign = any(_foreign(o) for o in bears) and not any(o.ours for o in bears)
        for e in self._found.values():
            if foreign and e.signature.of is None and e.signature.kind is not Kind.NOTICE:
                continue  # another runtime is in the text and Google's are not: it is that one's failure
            elsewhere = bool(self._failing and e.processes and not self._failing & e.processes)
            yield replace(e, elsewhere=elsewhere)
        guesses = [e for id_, e in self._guesses.items() if id_ not in self._found and not foreign]
        yield from sorted(guesses, key=lambda e: -e.score)[:MAX_GUESSES]

    def origins(self) -> tuple[Origin, ...]:
        """Whose messages and crashes the text bears."""
        return tuple(self._origins[id_] for id_, _ in self._bears.most_common(MAX_FROM))

    def _owner(
        self, text: str, lower: str, marks: Sequence[tuple[Pattern, Origin]], *, count: bool = True
    ) -> Origin | None:
        """The other runtime whose mark a line bears."""
        bears = {o.id: o for p, o in marks if p.anchor in lower and p.search(text)}
        if count and bears:
            self._bears.update(bears.keys())
        return next((o for o in bears.values() if _foreign(o)), None)

    def _may(self, signature: Signature, owner: Origin | None) -> bool:
        """Whether a line of `owner` can show this failure: its own ones, and those of what lies below it."""
        if owner is None or not _foreign(owner) or signature.of == owner.id:
            return True
        return signature.of is not None and self._origins[signature.of].part is not OriginPart.RUNTIME

    def _match(
        self,
        number: int,
        text: str,
        lower: str,
        owner: Origin | None,
        patterns: Sequence[tuple[Pattern, Signature]],
    ) -> bool:
        hits: dict[str, tuple[Signature, int]] = {}
        for pattern, signature in patterns:
            if pattern.anchor in lower and self._may(signature, owner) and pattern.search(text):
                longest = max(len(pattern.text), hits.get(signature.id, (signature, 0))[1])
                hits[signature.id] = signature, longest
        for signature, length in hits.values():
            self._add(number, text, signature, length)
        return bool(hits)

    def _add(
        self, number: int, text: str, signature: Signature, length: int, match: Match = Match.EXACT
    ) -> None:
        old = self._found.get(signature.id) or Explanation(signature, match, _UNJUDGED, count=0)
        self._found[signature.id] = replace(_more(old, number, text), length=max(old.length, length))

    def _guess(self, number: int, text: str, owner: Origin | None) -> None:
        if self._guessed_lines >= MAX_GUESSED_LINES:
            return
        self._guessed_lines += 1
        for signature, score in self._pairs.similar(message(text)[:MAX_GUESSED_CHARS]):
            old = self._guesses.get(signature.id)
            if self._may(signature, owner) and (old is None or score > old.score):
                self._guesses[signature.id] = _more(
                    Explanation(signature, Match.RESEMBLES, _UNJUDGED, score, count=0), number, text
                )


def _foreign(origin: Origin) -> bool:
    return origin.part is OriginPart.RUNTIME and not origin.ours


def _more(found: Explanation, number: int, text: str) -> Explanation:
    excerpts = found.excerpts
    if len(excerpts) < EXCERPTS:
        excerpts = (*excerpts, Excerpt(number, message(text)[:300]))
    processes = found.processes
    if len(processes) < MAX_PROCESSES and (logged := process(text)) is not None:
        processes |= {logged}
    return replace(found, count=found.count + 1, excerpts=excerpts, processes=processes)


class _Pairs:
    """Similarity by pairs of neighbouring words."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        texts = [(s, t) for s in signatures if s.kind is Kind.FAILURE for t in s.patterns]
        holders: dict[str, set[str]] = defaultdict(set)
        for signature, text in texts:
            for word in _words(text):
                holders[word].add(signature.id)
        self._common = {word for word, ids in holders.items() if len(ids) >= COMMON}
        self._bags = [(s, self._pairs(t)) for s, t in texts]
        self._index: dict[tuple[str, str], list[int]] = defaultdict(list)
        for i, (_, bag) in enumerate(self._bags):
            for pair in bag:
                self._index[pair].append(i)

    def similar(self, text: str) -> Iterator[tuple[Signature, float]]:
        """Signatures of which the text has enough pairs, one of them nobody else's."""
        shared: Counter[int] = Counter()
        own: set[int] = set()
        for pair in self._pairs(text):
            holders = self._index.get(pair, ())
            shared.update(holders)
            if len({self._bags[i][0].id for i in holders}) == 1:
                own.update(holders)
        for i in own:
            signature, bag = self._bags[i]
            if shared[i] >= MIN_PAIRS and shared[i] >= RESEMBLES * len(bag):
                # Never as sure as a match of the whole message.
                yield signature, min(shared[i] / len(bag), 0.99)

    def _pairs(self, text: str) -> frozenset[tuple[str, str]]:
        words = _words(text)
        return frozenset(pair for pair in pairwise(words) if not self._common.issuperset(pair))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("{word}", " ").replace("{n}", " "))
