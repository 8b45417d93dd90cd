"""Explain an error: which known failure a text shows, whether it fits this phone, what to change.

Pure. Text may be one line or a stream of many megabytes: it is read once, in bounded memory. What matches a
pattern is an exact match; text that only shares a signature's rare words is said to *resemble* it.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ..base.logtext import clean, lines, message
from ..base.names import Backend, CheckStatus
from ..probes.snapshot import Snapshot
from ..profiles.conditions import Facts, evaluate
from ..profiles.knowledge import Knowledge
from ..profiles.signatures import Kind, Pattern, Signature
from ..reports.report import Report

BATCH = 2048
"""Lines that are searched for all anchors at once, which is some fifty times faster than line by line."""

SHORT = 400
"""A text of at most so many lines is also read as one message: dialogs and chats wrap lines anywhere."""

EXCERPTS = 3
RESEMBLES = 0.6
"""Share of a signature's word weight that a line must have. Below it, errors of other runtimes start to
match (`tests/judge/test_explain.py` has a list of them)."""

MAX_GUESSES = 3
MAX_GUESSED_LINES = 20_000
"""Resemblance is looked for in so many lines that speak of an error, no more: it costs more than matching."""

MAX_GUESSED_CHARS = 2000

_WORD = re.compile(r"[a-z][a-z0-9_.]{2,63}")
_ERROR_WORDS = (
    "error", "fail", "fatal", "abort", "crash", "exception", "unable", "cannot", "can not", "could not",
    "invalid", "not found", "missing", "support", "denied", "kill", "garbage", "gibberish", "junk", "wrong",
    "stuck", "freez", "slow",
)  # fmt: skip
_STOP = frozenset(
    "the and for with not that this from was are has have but error errors failed failure fail when after"  # noqa: SIM905
    " only its into than then does did can could cannot app phone android model models".split()
)


class Match(StrEnum):
    """How sure it is that a text is a known failure: its pattern is there, or most of its words."""

    EXACT = "exact"
    RESEMBLES = "resembles"


class Answer(StrEnum):
    """Whether a failure's cause holds on the phone; unknown where the facts it asks for are."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Applicability:
    """Whether the cause is possible on this phone (or with this file), and the facts that say so."""

    answer: Answer
    because: str


@dataclass(frozen=True)
class Excerpt:
    """A line of the text: its number from 1, and the cleaned message (still to be escaped for a terminal)."""

    line: int
    text: str


@dataclass(frozen=True)
class Explanation:
    """One finding. `count` is how many lines show it; `excerpts` are the first of them.

    `score` is 1.0 for an exact match, else the share of the signature's words that the text has.
    """

    signature: Signature
    match: Match
    applies: Applicability
    score: float = 1.0
    count: int = 1
    excerpts: tuple[Excerpt, ...] = field(default=())


def explain(
    text: str | Iterable[str],
    signatures: Sequence[Signature],
    snapshot: Snapshot | None = None,
    facts: Mapping[str, Any] | None = None,
) -> list[Explanation]:
    """What is known about the failures in a text, the most certain and most applicable first.

    Args:
        text: the text, or its pieces in order (a file read in blocks).
        snapshot: the phone it happened on, or None.
        facts: further facts by name, for example `file.*` of a model file.
    """
    scan = _Scan(signatures)
    stream = lines([text] if isinstance(text, str) else text)
    short: list[tuple[int, str]] | None = []
    batch: list[tuple[int, str]] = []
    for number, raw in stream:
        batch.append((number, clean(raw)))
        if short is not None:
            short.append(batch[-1])
            short = short if len(short) <= SHORT else None
        if len(batch) >= BATCH:
            scan.search(batch)
            batch = []
    scan.search(batch)
    if short is not None:
        scan.search_joined(short)
    known = Facts(snapshot, facts)
    found = [replace(e, applies=_applies(e.signature, known)) for e in scan.results()]
    order = {Answer.YES: 0, Answer.UNKNOWN: 1, Answer.NO: 2}
    return sorted(
        found,
        key=lambda e: (
            e.match is not Match.EXACT,
            e.signature.kind is not Kind.FAILURE,
            order[e.applies.answer],
            -e.score,
            e.excerpts[0].line if e.excerpts else 0,
        ),
    )


def _applies(signature: Signature, facts: Facts) -> Applicability:
    condition = signature.applies_when
    if condition is None:
        return Applicability(Answer.YES, "the cause does not depend on the phone")
    about_file = all(name.startswith("file.") for name in condition.facts())
    if facts.snapshot is None and not about_file:
        return Applicability(Answer.UNKNOWN, "no phone was named")
    truth = evaluate(condition, facts)
    answer = {True: Answer.YES, False: Answer.NO, None: Answer.UNKNOWN}[truth.value]
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

_UNJUDGED = Applicability(Answer.UNKNOWN, "")


class _Scan:
    """Collects matches over batches of cleaned lines."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self._signatures = signatures
        self._patterns: list[tuple[Pattern, Signature]] = [
            (pattern, signature) for signature in signatures for pattern in signature.compiled
        ]
        self._exact: dict[str, Explanation] = {}
        self._words = _Words(signatures)
        self._guesses: dict[str, Explanation] = {}
        self._guessed_lines = 0

    def search(self, batch: Sequence[tuple[int, str]]) -> None:
        """Match every line on its own."""
        if not batch:
            return
        whole = "\n".join(text for _, text in batch).lower()
        possible = [(p, s) for p, s in self._patterns if p.anchor in whole]
        for number, text in batch:
            matched = self._match(number, text, possible) if possible else False
            if not matched:
                self._guess(number, text)

    def search_joined(self, batch: Sequence[tuple[int, str]]) -> None:
        """Match a short text as one message, for what was not found in any line of it."""
        text = " ".join(message(line) for _, line in batch).strip()
        rest = [(p, s) for p, s in self._patterns if s.id not in self._exact and p.anchor in text.lower()]
        if rest and batch:
            self._match(batch[0][0], text, rest)
        if batch and not self._exact:
            self._guess(batch[0][0], text, ask=False)

    def results(self) -> Iterator[Explanation]:
        yield from self._exact.values()
        guesses = [e for id_, e in self._guesses.items() if id_ not in self._exact]
        yield from sorted(guesses, key=lambda e: -e.score)[:MAX_GUESSES]

    def _match(self, number: int, text: str, patterns: Sequence[tuple[Pattern, Signature]]) -> bool:
        lower = text.lower()
        hits = {s.id: s for p, s in patterns if p.anchor in lower and p.search(text)}
        for id_, signature in hits.items():
            self._exact[id_] = _more(
                self._exact.get(id_) or Explanation(signature, Match.EXACT, _UNJUDGED, count=0), number, text
            )
        return bool(hits)

    def _guess(self, number: int, text: str, *, ask: bool = True) -> None:
        if self._guessed_lines >= MAX_GUESSED_LINES:
            return
        lower = text.lower()
        if ask and not any(word in lower for word in _ERROR_WORDS):
            return
        self._guessed_lines += 1
        for signature, score in self._words.similar(message(text)[:MAX_GUESSED_CHARS]):
            old = self._guesses.get(signature.id)
            if old is None or score > old.score:
                self._guesses[signature.id] = _more(
                    Explanation(signature, Match.RESEMBLES, _UNJUDGED, score, count=0), number, text
                )


def _more(found: Explanation, number: int, text: str) -> Explanation:
    excerpts = found.excerpts
    if len(excerpts) < EXCERPTS:
        excerpts = (*excerpts, Excerpt(number, message(text)[:300]))
    return replace(found, count=found.count + 1, excerpts=excerpts)


class _Words:
    """Similarity by shared words, each weighed by how few signatures have it."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        texts = [(s, t) for s in signatures for t in (*s.patterns, *s.phrases)]
        self._bags = [(s, _words(t)) for s, t in texts]
        frequency = Counter(word for _, bag in self._bags for word in bag)
        self._weight = {w: math.log((len(texts) + 1) / n) for w, n in frequency.items()}
        self._index: dict[str, list[int]] = defaultdict(list)
        for i, (_, bag) in enumerate(self._bags):
            for word in bag:
                self._index[word].append(i)

    def similar(self, text: str) -> Iterator[tuple[Signature, float]]:
        """Signatures of which the text has at least two words and most of the weight."""
        words = _words(text)
        shared: dict[int, float] = defaultdict(float)
        count: Counter[int] = Counter()
        for word in words:
            for i in self._index.get(word, ()):
                shared[i] += self._weight[word]
                count[i] += 1
        for i, weight in shared.items():
            signature, bag = self._bags[i]
            score = weight / sum(self._weight[w] for w in bag)
            if count[i] >= 2 and score >= RESEMBLES:
                # Never as sure as a match of the whole message.
                yield signature, min(score, 0.99)


def _words(text: str) -> frozenset[str]:
    plain = text.lower().replace("{word}", " ").replace("{n}", " ")
    return frozenset(w.strip(".") for w in _WORD.findall(plain)) - _STOP
