"""Correct? The reference block's deviation and determinism here, and known faults reported elsewhere."""

from __future__ import annotations

from math import isnan

from ...base.names import Backend, CheckStatus, Column, Status
from ...base.units import percent
from ...benchmarks.measurements import Measurement
from ...reports.report import Check
from ..case import Case, Question, Variant
from .backends import RULES

PASS, WARN, FAIL, UNKNOWN = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.UNKNOWN


def numbers(case: Case, backend: Backend, scheme: str | None = None) -> Check | None:
    """The deviations of a backend's rows, or of those of one weight scheme. Without rows: what is known of
    such a processor. None where nothing computes."""
    if not backend.about.measured:
        return None
    about = Question(
        backend, "correct" + (f".{scheme}" if scheme else ""), None if scheme else Column.CORRECT
    )
    required = "results within the tolerance of their precision"
    rows = [
        row
        for row in case.rows(backend, scheme=scheme)
        if row.status is Status.OK and row.deviation is not None
    ]
    evidence = case.evidence(backend)
    if not rows:
        return _expected(case, backend, about, required)
    wrong = [row for row in rows if row.deviation is not None and not row.deviation.ok]
    if not wrong:
        return case.check(
            about,
            PASS,
            "numbers.wrong",
            found=f"at most {_worst(rows)}",
            required=required,
            because="The results agree with the reference.",
            evidence=evidence,
        )
    # What one variant of the kernels gets right can be computed on this driver; a scheme is usable if that
    # holds for each of its phases.
    right = {(row.scheme, row.phase) for row in rows if row not in wrong}
    hopeless = {row.scheme for row in wrong if (row.scheme, row.phase) not in right}
    nothing_left = hopeless >= {row.scheme for row in rows}
    return case.check(
        about,
        FAIL if nothing_left else WARN,
        "numbers.wrong" if nothing_left else "numbers.some-kernels-wrong",
        found=f"{len(wrong)} of {len(rows)} rows wrong: {_worst(wrong)}",
        required=required,
        evidence=evidence,
    )


def _expected(case: Case, backend: Backend, about: Question, required: str) -> Check:
    if not RULES[backend].nameable(case):
        return case.check(about, UNKNOWN, "gpu.unknown", found="not known", required=required)
    return case.check(
        about,
        PASS,
        "gpu.unknown",
        found="nothing ran; no fault on record makes all results wrong",
        required=required,
        because="Expected from the type of the processor alone.",
    )


def _worst(rows: list[Measurement]) -> str:
    """The row that is furthest beyond its tolerance; NaN is further than anything."""
    deviations = [(row, row.deviation) for row in rows if row.deviation is not None]
    row, worst = max(deviations, key=lambda pair: (isnan(pair[1].rel_l2), pair[1].rel_l2 - pair[1].tolerance))
    found, allowed = percent(worst.rel_l2), percent(worst.tolerance)
    return f"relative error {found} in {row.key} ({worst.stage}), allowed {allowed}"


def deterministic(case: Case, backend: Backend) -> Check | None:
    """Whether repeats returned the same bits; None where nothing was repeated."""
    rows = [row for row in case.rows(backend) if row.status is Status.OK and row.deterministic is not None]
    if not rows:
        return None
    changing = [row for row in rows if not row.deterministic]
    return case.check(
        Question(backend, "deterministic", Column.DETERMINISTIC),
        WARN if changing else PASS,
        "numbers.not-deterministic",
        found=f"{len(changing)} of {len(rows)} rows changed between repeats",
        required="the same bits in every repeat",
        because=None if changing else "Every repeat returned the same bits.",
        evidence=case.evidence(backend),
    )


def known_faults(case: Case, variant: Variant) -> list[Check]:
    """Rows of drivers.yaml that hold for this variant on this device. An unknown fact makes no fault."""
    return [
        case.known(variant, fault, truth.without(*_OF_THE_CHECK))
        for fault, truth in case.faults(variant)
        if truth.value
    ]


_OF_THE_CHECK = ("backend", "runtime", "model.id", "format")
"""Facts that the name of a check about a variant already holds."""
