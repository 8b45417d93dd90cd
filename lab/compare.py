"""What changed between two reports of one phone, and whether it got worse.

Speeds are compared beyond their own noise only: a change counts when it exceeds both the threshold and
what the spread of the samples explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..base.bounds import require
from ..base.names import Exit, Status, Verdict
from ..base.units import seconds
from ..benchmarks.measurements import Measurement
from ..benchmarks.statistics import gain
from ..reports.report import Report
from .collection import ReportSource, newest, text

THRESHOLD = 0.10
"""Relative change of a median below which a speed counts as unchanged: warm phones vary by as much."""

_RANK = {Verdict.PASS: 2, Verdict.DEGRADED: 1, Verdict.FAIL: 0}

_FACTS = {
    "gpu driver": ("gpu", "driver"),
    "android": ("android", "release"),
    "security patch": ("android", "security_patch"),
    "gpu": ("gpu", "model"),
}


class ChangeKind(StrEnum):
    """What a change means."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    CHANGE = "change"
    UNCLEAR = "unclear"
    """A verdict was or became inconclusive, or a run broke: nothing can be said."""


_EXITS = {ChangeKind.REGRESSION: Exit.FAIL, ChangeKind.UNCLEAR: Exit.INCONCLUSIVE}


@dataclass(frozen=True)
class Change:
    """One difference. `ratio` is after / before in speed, for speeds only."""

    what: str
    kind: ChangeKind
    before: str
    after: str
    ratio: float | None = None


@dataclass(frozen=True)
class PhoneComparison:
    """One phone. `changes` is empty when nothing changed beyond the noise."""

    phone: str
    name: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Comparison:
    """All phones of two sets. Phones in one set only are listed, not compared."""

    phones: tuple[PhoneComparison, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()

    @property
    def worst(self) -> ChangeKind | None:
        """What the whole amounts to: a regression, unclear, or None for neither."""
        kinds = {change.kind for phone in self.phones for change in phone.changes}
        return next((kind for kind in _EXITS if kind in kinds), None)

    @property
    def exit(self) -> Exit:
        """The exit status of `compare`."""
        return Exit.PASS if self.worst is None else _EXITS[self.worst]


def compare_all(
    before: Iterable[ReportSource], after: Iterable[ReportSource], threshold: float = THRESHOLD
) -> Comparison:
    """Pair the newest report of each phone in both sets and compare the pairs.

    Raises UsageError for a threshold that is none.
    """
    require({"threshold": threshold})
    old, new = newest(before), newest(after)
    pairs = [key for key in old if key in new]
    return Comparison(
        tuple(PhoneComparison(k, new[k].name, compare(old[k], new[k], threshold)) for k in pairs),
        tuple(sorted(old[key].name for key in old.keys() - new.keys())),
        tuple(sorted(new[key].name for key in new.keys() - old.keys())),
    )


def compare(before: Report, after: Report, threshold: float = THRESHOLD) -> tuple[Change, ...]:
    """Differences in verdict, recommendation, facts and speeds, worst first."""
    changes = [*_verdict(before, after), *_recommendation(before, after), *_facts(before, after)]
    old, new = _rows(before), _rows(after)
    for key in old.keys() | new.keys():
        changes += _row(key, old.get(key), new.get(key), threshold)
    order = list(ChangeKind)
    return tuple(sorted(changes, key=lambda change: (order.index(change.kind), change.what)))


def _verdict(before: Report, after: Report) -> list[Change]:
    if before.verdict is after.verdict:
        return []
    if Verdict.INCONCLUSIVE in (before.verdict, after.verdict) or before.incomplete or after.incomplete:
        kind = ChangeKind.UNCLEAR
    else:
        worse = _RANK[after.verdict] < _RANK[before.verdict]
        kind = ChangeKind.REGRESSION if worse else ChangeKind.IMPROVEMENT
    return [Change("verdict", kind, before.verdict, after.verdict)]


def _recommendation(before: Report, after: Report) -> list[Change]:
    old, new = (r.recommendation.choice if r.recommendation else "none" for r in (before, after))
    return [] if old == new else [Change("recommendation", ChangeKind.CHANGE, old, new)]


def _facts(before: Report, after: Report) -> list[Change]:
    changes: list[Change] = []
    for label, path in _FACTS.items():
        old, new = text(before.device, *path), text(after.device, *path)
        if old != new:
            changes.append(Change(label, ChangeKind.CHANGE, old or "unknown", new or "unknown"))
    return changes


def _rows(report: Report) -> dict[str, Measurement]:
    return {row.key: row for row in report.measurements}


def _row(key: str, old: Measurement | None, new: Measurement | None, threshold: float) -> list[Change]:
    if old is None or new is None:
        # A variant that is measured in one version of the tool only says nothing about the phone.
        return []
    if old.status is not new.status:
        kind = ChangeKind.REGRESSION if old.status is Status.OK else ChangeKind.CHANGE
        if new.status is Status.OK:
            kind = ChangeKind.IMPROVEMENT
        return [Change(key, kind, old.status, new.status)]
    changes: list[Change] = []
    if (old.deterministic, new.deterministic) == (True, False):
        changes.append(Change(f"{key} repeats", ChangeKind.REGRESSION, "same bits", "different bits"))
    if old.deviation and new.deviation and old.deviation.ok is not new.deviation.ok:
        kind = ChangeKind.IMPROVEMENT if new.deviation.ok else ChangeKind.REGRESSION
        changes.append(Change(f"{key} numbers", kind, _word(old.deviation.ok), _word(new.deviation.ok)))
    ratio = speed_ratio(old.samples_s, new.samples_s, threshold)
    if ratio is not None and old.sound and new.sound:
        kind = ChangeKind.IMPROVEMENT if ratio > 1 else ChangeKind.REGRESSION
        before, after = (seconds(row.seconds or 0) for row in (old, new))
        changes.append(Change(key, kind, before, after, ratio))
    return changes


def _word(right: bool) -> str:
    return "right" if right else "wrong"


def speed_ratio(before: Sequence[float], after: Sequence[float], threshold: float) -> float | None:
    """Speed after / before where the change is real, beyond the threshold and the noise, else None."""
    change = gain(before, after)
    return change.ratio if change is not None and change.beyond(threshold) else None
