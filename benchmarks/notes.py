"""What a reader of measured numbers must know about them, in sentences. Pure: from rows, new or read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..base.names import Backend, Status
from ..base.protocol import AGENT_BYTES
from ..base.units import size
from ..probes.snapshot import Conditions
from . import trust
from .measurements import MARK, Measurement

SOFTWARE = "proves correctness and layout, not a phone's speed"
LEFT_ALONE, FORCED = "left_alone", "forced"
"""Keys of a row's details: the known fault for which a backend was not run, or in spite of which it was."""


def notes(rows: Iterable[Measurement], before: Conditions, after: Conditions | None = None) -> list[str]:
    """About the device's state, devices that are none, rows that do not count or were left out."""
    listed = list(rows)
    return [
        *(trust.remarks(before, after) if listed else ()),
        *software_notes(listed),
        *_hazards(listed),
        *_void(listed),
        *_left_out(listed),
        *_not_started(listed),
        *_memory(listed),
        *_remembered(listed),
    ]


def typed(rows: Iterable[Measurement]) -> list[Measurement]:
    """The rows, where those without a type of device (compile times) have that of the others on the same."""
    listed = list(rows)
    known = {(r.backend, r.device): r.details["device_type"] for r in listed if "device_type" in r.details}
    return [
        replace(row, details={**row.details, "device_type": known[row.backend, row.device]})
        if (row.backend, row.device) in known and "device_type" not in row.details
        else row
        for row in listed
    ]


def software_notes(rows: Sequence[Measurement]) -> list[str]:
    """One sentence a device."""
    devices = dict.fromkeys((row.backend, row.device) for row in rows if row.software)
    return [
        f"{MARK} {backend}: {device or 'its device'} computes on the CPU; it {SOFTWARE}."
        for backend, device in devices
    ]


def peak_memory(rows: Iterable[Measurement]) -> int | None:
    """Largest resident bytes (VmHWM) of any of the agent's processes, or None where it did not run."""
    peaks = (row.peak_rss_bytes for row in rows if row.executor == "agent" and row.samples_s)
    return max((peak for peak in peaks if peak is not None), default=None)


def agent_memory(rows: Iterable[Measurement]) -> dict[str, Any]:
    """For a file: the agent's peak and what it is allowed; empty where it did not run."""
    peak = peak_memory(rows)
    return {} if peak is None else {"peak_rss_bytes": peak, "limit_bytes": AGENT_BYTES}


def left_alone(rows: Iterable[Measurement]) -> str | None:
    """The known fault for which a backend, whose rows these are, was not run; None where it was."""
    return _detail(rows, LEFT_ALONE)


def _detail(rows: Iterable[Measurement], key: str) -> str | None:
    """The first text under `key`; rows may come from a recording, where anything may stand."""
    found = (row.details.get(key) for row in rows)
    return next((text for text in found if isinstance(text, str)), None)


def _hazards(rows: Sequence[Measurement]) -> list[str]:
    """One sentence for each backend that was left alone, or run in spite of a known fault."""
    found: list[str] = []
    for backend in Backend:
        mine = [row for row in rows if row.backend is backend]
        if (fault := left_alone(mine)) is not None:
            found.append(f"{backend}: nothing was run, for {fault}. --force runs it all the same.")
        if (fault := _detail(mine, FORCED)) is not None:
            found.append(f"{backend}: was run by --force in spite of {fault}.")
    return found


def _void(rows: Sequence[Measurement]) -> list[str]:
    """Other programs in one sentence, since each row has figures of its own; else one for each reason."""
    others = [row for row in rows if not row.valid and not row.disturbed]
    reasons = Counter(row.reason or "the conditions changed" for row in others)
    if (seen := trust.busy_found(rows)) is not None:
        reasons[f"the processor was busy ({seen})"] = sum(row.disturbed for row in rows)
    return [f"{count} of {len(rows)} rows are void: {reason}." for reason, count in reasons.items()]


def _left_out(rows: Sequence[Measurement]) -> list[str]:
    """Rows that were skipped for want of memory, by backend. Other reasons stand in the rows alone."""
    skipped = [row for row in rows if row.status is Status.SKIPPED and row.shortage]
    found: list[str] = []
    for backend in Backend:
        mine = [row for row in skipped if row.backend is backend]
        if mine:
            what = ", ".join(dict.fromkeys(f"{r.scheme} {r.phase} {r.variant}".strip() for r in mine))
            found.append(f"{backend}: skipped, not enough free memory: {what} ({mine[0].reason}).")
    return found


def _not_started(rows: Sequence[Measurement]) -> list[str]:
    """One sentence for each backend whose interpreter is not there or does not start."""
    reasons = {
        row.backend: row.reason for row in rows if row.status is Status.SKIPPED and "cause" in row.details
    }
    return [f"{backend}: not measured: {reason}." for backend, reason in reasons.items()]


def _memory(rows: Sequence[Measurement]) -> list[str]:
    peak = peak_memory(rows)
    if peak is None:
        return []
    limit = size(AGENT_BYTES)
    verdict = f"of the {limit} that it may" if peak <= AGENT_BYTES else f"MORE than the {limit} that it may"
    return [f"The agent held at most {size(peak)}, {verdict}."]


def _remembered(rows: Sequence[Measurement]) -> list[str]:
    """One sentence for each backend whose variant was not searched for."""
    when: dict[Backend, str] = {}
    for row in rows:
        if isinstance(made := row.details.get("tuned"), str):
            when.setdefault(row.backend, made)
    return [
        f"{backend}: variants are those that a search found on such a device and driver, {made}; "
        "--retune searches again."
        for backend, made in when.items()
    ]
