"""The figures of measured rows as values, for a terminal and for a page alike: which rows are shown, how
they are called, how fast they are. Whoever shows a number of a measurement takes it from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..base.names import Backend, Status
from ..base.units import percent, significant, size
from ..benchmarks.layouts import layouts, usable
from ..benchmarks.measurements import MARK, Measurement
from .report import Predicted

PEAKS = ("GFLOP/s", "GOP/s")


@dataclass(frozen=True)
class Bar:
    """A value with its interval. `note` stands behind the number; `strong` marks the recommended one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Point:
    """A kernel on the roofline: intensity in FLOP per byte, speed in GFLOP/s."""

    label: str
    intensity: float
    gflop_per_s: float


@dataclass(frozen=True)
class Roof:
    """What the machine can do: memory bandwidth in GB/s and arithmetic peak in GFLOP/s."""

    label: str
    gb_per_s: float
    peak_gflop_per_s: float | None


def own(rows: Sequence[Measurement]) -> list[Measurement]:
    """The block's rows at ordinary sizes that may be built upon: no sweeps, no limits."""
    return [row for row in rows if row.sweep is None and row.phase != "limit" and usable(row)]


def best(rows: Sequence[Measurement], backend: str, phase: str = "decode") -> Measurement | None:
    """The fastest row of a backend that may be built upon, of any scheme and layout."""
    fastest = [pair.best for pair in layouts(rows, backend, phase)]
    return max(fastest, key=lambda row: row.figure or 0.0, default=None)


def measured(rows: Sequence[Measurement], backend: str) -> str:
    """The best decode row of a backend in words: speed and deviation, e.g. `int8 21.3 GB/s, err 1.2 %`. Where
    none counts: `void`, or `wrong`; nothing where none ran."""
    row = best(rows, backend)
    if row is not None:
        off = f", err {percent(row.deviation.rel_l2)}" if row.deviation is not None else ""
        return f"{row.scheme} {words(row.figure, row.figure_unit)}{row.mark}{off}"
    ran = [r for r in rows if r.backend == backend and r.phase == "decode" and r.status is Status.OK]
    return "" if not ran else "void" if any(row.right for row in ran) else "wrong"


def name(row: Measurement) -> str:
    """What a row is about."""
    backend = f"{row.backend}{row.mark}"
    if row.sweep is not None and not row.samples_s and row.at is None:
        return f"{backend} {row.sweep}"
    if row.phase == "limit":
        return f"{backend} limit {row.variant}"
    text = f"{backend} {row.scheme} {row.phase} {row.variant}"
    return text if row.at is None or str(row.at) in text else f"{text} {row.at}"


def predicted(found: Predicted | None, ends: bool = True) -> tuple[str, str, str]:
    """Prefill and decode in tokens/s and peak memory, with or without the ends of their intervals."""
    p = found or Predicted()
    prefill, decode = (
        "" if r is None else r.text() if ends else significant(r.value)
        for r in (p.prefill_tok_s, p.decode_tok_s)
    )
    memory = p.peak_memory_bytes
    return prefill, decode, "" if memory is None else memory.size() if ends else size(memory.value)


def marked(rows: Sequence[Measurement], backend: str) -> str:
    """The mark of a backend whose device is software, or nothing."""
    return MARK if any(row.backend == backend and row.software for row in rows) else ""


def roofs(rows: Sequence[Measurement]) -> list[Roof]:
    """One roof a backend whose read bandwidth was measured; its peak is that of the widest arithmetic."""
    found: list[Roof] = []
    for backend in Backend:
        limits = [
            row
            for row in rows
            if row.backend is backend and row.phase == "limit" and row.sound and row.value is not None
        ]
        read = next((row.value for row in limits if row.variant == "read"), None)
        peaks = [row.value for row in limits if row.unit in PEAKS and row.value is not None]
        if read:
            found.append(Roof(f"{backend}{marked(rows, backend)}", read, max(peaks, default=None)))
    return found


def points(rows: Sequence[Measurement]) -> list[Point]:
    """The fastest kernels of each backend, scheme and phase."""
    fastest: dict[tuple[str, str, str], Measurement] = {}
    for row in own(rows):
        key = (row.backend, row.scheme, row.phase)
        if key not in fastest or (row.figure or 0.0) > (fastest[key].figure or 0.0):
            fastest[key] = row
    return [
        Point(name(row), row.flops / row.bytes, row.gflop_per_s)
        for row in fastest.values()
        if row.flops and row.bytes and row.gflop_per_s
    ]


def bandwidths(rows: Sequence[Measurement]) -> list[Bar]:
    """GB/s of decode, with the slowest and the fastest repeat."""
    return [_bar(row, row.bytes or 0) for row in own(rows) if row.phase == "decode"]


def rates(rows: Sequence[Measurement]) -> list[Bar]:
    """GFLOP/s of prefill, the same."""
    return [_bar(row, row.flops or 0) for row in own(rows) if row.phase == "prefill"]


def _bar(row: Measurement, amount: int) -> Bar:
    low, high = (amount / seconds / 1e9 for seconds in (max(row.samples_s), min(row.samples_s)))
    return Bar(name(row), row.figure or 0.0, low, high)


def words(value: float | None, unit: str | None) -> str:
    """A speed in words, or nothing."""
    return f"{significant(value)} {unit}" if value else ""


def main(row: Measurement) -> str:
    """The figure that counts for a row, in words."""
    return words(row.value, row.unit) if row.value is not None else words(row.figure, row.figure_unit)


def speed(row: Measurement) -> str:
    """All figures of a row in words."""
    if row.value is not None:
        return words(row.value, row.unit)
    both = (words(row.gb_per_s, "GB/s"), words(row.gflop_per_s, "GFLOP/s"))
    return ", ".join(text for text in both if text)
