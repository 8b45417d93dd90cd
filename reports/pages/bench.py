"""The page of a benchmark, and its figures as values, which a terminal shows too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...base.names import Backend
from ...base.units import significant
from ...benchmarks.measurements import Measurement
from ...benchmarks.notes import MARK, is_software
from ...benchmarks.sweeps.bench import Bench
from ...benchmarks.sweeps.settings import Sweep
from ...benchmarks.trust import sound
from . import charts
from .render import Chart, device_facts, environment

PEAKS = ("GFLOP/s", "GOP/s")

_SWEEPS = {
    Sweep.CHUNK: ("Prefill chunk", "prefill", "tokens/s through one layer"),
    Sweep.CONTEXT: ("Tokens in the cache", "decode", "ms a layer"),
    Sweep.THREADS: ("Threads", "decode", "GB/s"),
}


def own(rows: Sequence[Measurement]) -> list[Measurement]:
    """The block's rows at ordinary sizes that may be built upon: no sweeps, no limits."""
    return [row for row in rows if sound(row) and row.bytes and row.flops and "sweep" not in row.details]


def name(row: Measurement) -> str:
    """What a row is about."""
    at, sweep = row.details.get("at"), row.details.get("sweep")
    backend = f"{row.backend}{MARK if is_software(row) else ''}"
    if sweep is not None and not row.samples_s and at is None:
        return f"{backend} {sweep}"
    if row.phase == "limit":
        return f"{backend} limit {row.variant}"
    text = f"{backend} {row.scheme} {row.phase} {row.variant}"
    return text if at is None or str(at) in text else f"{text} {at}"


def marked(rows: Sequence[Measurement], backend: str) -> str:
    """The mark of a backend whose device is software, or nothing."""
    return MARK if any(row.backend == backend and is_software(row) for row in rows) else ""


def roofs(rows: Sequence[Measurement]) -> list[charts.Roof]:
    """One roof a backend whose read bandwidth was measured; its peak is that of the widest arithmetic."""
    found: list[charts.Roof] = []
    for backend in Backend:
        limits = [r for r in rows if r.backend is backend and r.phase == "limit" and r.value is not None]
        read = next((r.value for r in limits if r.variant == "read"), None)
        peaks = [r.value for r in limits if r.unit in PEAKS and r.value is not None]
        if read:
            found.append(charts.Roof(f"{backend}{marked(rows, backend)}", read, max(peaks, default=None)))
    return found


def points(rows: Sequence[Measurement]) -> list[charts.Point]:
    """The fastest kernels of each backend, scheme and phase."""
    best: dict[tuple[str, str, str], Measurement] = {}
    for row in own(rows):
        key = (row.backend, row.scheme, row.phase)
        if key not in best or (row.gflop_per_s or 0.0) > (best[key].gflop_per_s or 0.0):
            best[key] = row
    return [
        charts.Point(name(row), (row.flops or 0) / (row.bytes or 1), row.gflop_per_s or 0.0)
        for row in best.values()
    ]


def bandwidths(rows: Sequence[Measurement]) -> list[charts.Bar]:
    """GB/s of decode, with the slowest and the fastest repeat."""
    return [_bar(row, row.bytes or 0) for row in own(rows) if row.phase == "decode"]


def rates(rows: Sequence[Measurement]) -> list[charts.Bar]:
    """GFLOP/s of prefill, the same."""
    return [_bar(row, row.flops or 0) for row in own(rows) if row.phase == "prefill"]


def _bar(row: Measurement, amount: int) -> charts.Bar:
    low, high = (amount / seconds / 1e9 for seconds in (max(row.samples_s), min(row.samples_s)))
    return charts.Bar(name(row), amount / (row.seconds or 1.0) / 1e9, low, high)


def bench_page(bench: Bench, header: Mapping[str, Any]) -> str:
    """A self-contained page. `header` as in `Bench.to_dict`."""
    device = header.get("device") or {}
    known = [str(device[key]) for key in ("manufacturer", "model") if device.get(key)]
    return environment().get_template("bench.html").render(
        bench=bench, device=" ".join(known) or header["target"]["serial"], facts=device_facts(device),
        header=header, name=name, layouts=[pair.to_dict() for pair in bench.layouts],
        marked=lambda backend: marked(bench.rows, backend),
        charts=_charts(bench.rows), significant=significant, speed=speed,
        conditions=_conditions(bench),
    )  # fmt: skip


def speed(row: Measurement) -> str:
    """A row's figure in words."""
    if row.value is not None:
        return f"{significant(row.value)} {row.unit}"
    both = (
        f"{significant(v)} {unit}" for v, unit in ((row.gb_per_s, "GB/s"), (row.gflop_per_s, "GFLOP/s")) if v
    )
    return ", ".join(both)


def _conditions(bench: Bench) -> list[tuple[str, str, str]]:
    """(what, before, after) of what is known."""
    found: list[tuple[str, str, str]] = []
    for what, field, unit in (
        ("battery", "battery_percent", " %"),
        ("charging", "charging", ""),
        ("battery temperature", "battery_temperature_c", " °C"),
        ("thermal status", "thermal_status", ""),
        ("governor", "governor", ""),
        ("power source", "power_source", ""),
        ("screen on", "screen_on", ""),
        ("locked", "locked", ""),
        ("battery saver", "battery_saver", ""),
        ("power modes", "power_modes", ""),
    ):
        both = [getattr(c, field) for c in (bench.before, bench.after)]
        if any(v is not None for v in both):
            before, after = (_worded(v, unit) for v in both)
            found.append((what, before, after))
    for cpu in sorted(bench.before.cpu_max_mhz | bench.after.cpu_max_mhz):
        both = [c.cpu_max_mhz.get(cpu) for c in (bench.before, bench.after)]
        before, after = ("unknown" if v is None else f"{v} MHz" for v in both)
        found.append((f"limit of cpu {cpu}", before, after))
    return found


def _worded(value: object, unit: str) -> str:
    if value is None:
        return "unknown"
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else f"{value}{unit}"


def _charts(rows: Sequence[Measurement]) -> list[Chart]:
    whiskers = "Whiskers: slowest and fastest repeat."
    title = "Roofline"
    listed = points(rows)
    legend = tuple(f"{p.label}: {significant(p.gflop_per_s)} GFLOP/s" for p in listed)
    figures = [
        Chart("Decode", charts.bars("Decode", bandwidths(rows), "GB/s"), whiskers),
        Chart("Prefill", charts.bars("Prefill", rates(rows), "GFLOP/s"), whiskers),
        Chart(title, charts.roofline(title, roofs(rows), listed), legend=legend),
    ]
    for sweep, (title, phase, unit) in _SWEEPS.items():
        swept = [r for r in rows if sound(r) and r.details.get("sweep") == sweep and r.phase == phase]
        bars = [_swept(sweep, row) for row in swept]
        figures.append(Chart(title, charts.bars(title, bars, unit), whiskers))
    for row in rows:
        if samples := row.details.get("sustained"):
            mark = MARK if is_software(row) else ""
            title = f"Under sustained load: {row.backend}{mark} {row.scheme} {row.phase}"
            figures.append(Chart(title, charts.curve(title, [(t, v) for t, v in samples], "GB/s")))
    return figures


def _swept(sweep: Sweep, row: Measurement) -> charts.Bar:
    """A setting of a sweep in the unit of its chart."""
    times = [min(row.samples_s), row.seconds or 0.0, max(row.samples_s)]
    match sweep:
        case Sweep.CHUNK:
            values = [(row.tokens or 0) / t for t in times]
        case Sweep.CONTEXT:
            values = [1e3 * t for t in times]
        case _:
            values = [(row.bytes or 0) / t / 1e9 for t in times]
    mark = MARK if is_software(row) else ""
    return charts.Bar(f"{row.backend}{mark} {row.details['at']}", values[1], min(values), max(values))
