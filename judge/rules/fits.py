"""Fits? Peak memory against what an app gets, the largest table against one buffer, file against storage."""

from __future__ import annotations

from ...base.names import CheckStatus, Column
from ...base.units import size, stated
from ...reports.report import Check, Predicted, Range
from ..case import Case, Question, Variant

PASS, WARN, FAIL, UNKNOWN = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.UNKNOWN


def budget(case: Case) -> float | None:
    """Bytes that one app can count on.

    Android: what the system and its services leave of the total, or more where more is free right now. A
    computer has no such reserve: what is free, or the total less a tenth.
    """
    limits = case.knowledge.thresholds.memory
    memory = case.snapshot.memory
    if memory.total_bytes is None:
        return None if memory.available_bytes is None else float(memory.available_bytes)
    left = memory.total_bytes * (1 - limits.reserve_fraction)
    if not case.android:
        return float(memory.available_bytes if memory.available_bytes is not None else left)
    return max(left - limits.reserve_bytes, memory.available_bytes or 0, 0.0)


def memory(case: Case, variant: Variant, predicted: Predicted) -> list[Check]:
    """Peak memory, and the publisher's own demand."""
    peak = predicted.peak_memory_bytes
    if peak is None:
        return []
    checks = [_peak(case, variant, peak)]
    total, wanted = case.snapshot.memory.total_bytes, variant.model.min_ram_gb
    if case.android and total is not None and wanted is not None:
        visible = wanted * 2**30 * case.knowledge.thresholds.memory.ram_visible_fraction
        if total < visible:
            checks.append(
                case.check(
                    Question(variant, "publisher", Column.MEMORY),
                    WARN,
                    "memory.below-publisher",
                    found=f"{size(total)} in all",
                    required=f"a phone sold with {stated(wanted)} GB",
                )
            )
    return checks


def _peak(case: Case, variant: Variant, peak: Range) -> Check:
    about = Question(variant, "memory", Column.MEMORY)
    room = budget(case)
    required = f"{peak.size()} for the app"
    if room is None:
        return case.check(about, UNKNOWN, "memory.unknown", found="not known", required=required)
    found = f"about {size(room)} for one app"
    if case.snapshot.memory.total_bytes is not None:
        found += f" of {size(case.snapshot.memory.total_bytes)}"
    if peak.low > room:
        return case.check(about, FAIL, "memory.too-small", found=found, required=required)
    if peak.value > room:
        return case.check(about, WARN, "memory.tight", found=found, required=required)
    return case.check(
        about,
        PASS,
        "memory.too-small",
        found=found,
        required=required,
        because="Weights, cache and engine fit beside the system.",
    )


def busy(case: Case, variant: Variant, predicted: Predicted) -> list[Check]:
    """A remark, not a rule: less is free at this moment than is needed."""
    free, peak, room = case.snapshot.memory.available_bytes, predicted.peak_memory_bytes, budget(case)
    if not case.android or free is None or room is None or peak is None or not free < peak.value <= room:
        return []
    return [
        case.check(
            Question(variant, "free-now"),
            WARN,
            "memory.busy",
            found=f"{size(free)} free now",
            required=size(peak.value),
        )
    ]


def storage(case: Case, variant: Variant) -> list[Check]:
    """Free storage against the file's size, where it is known."""
    free = case.snapshot.memory.storage_free_bytes
    if free is None or free >= variant.model.size:
        return []
    return [
        case.check(
            Question(variant, "storage"),
            WARN,
            "storage.full",
            found=f"{size(free)} free",
            required=size(variant.model.size),
        )
    ]
