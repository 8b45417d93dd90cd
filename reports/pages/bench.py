"""The page of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...benchmarks.measurements import Measurement
from ...benchmarks.sweeps.bench import Bench
from ...benchmarks.sweeps.settings import Sweep
from .. import figures
from . import charts
from .render import WHISKERS, Chart, device_facts, environment, measured_charts

_SWEEPS = {
    Sweep.CHUNK: ("Prefill chunk", "prefill", "tokens/s through one layer"),
    Sweep.CONTEXT: ("Tokens in the cache", "decode", "ms a layer"),
    Sweep.THREADS: ("Threads", "decode", "GB/s"),
}


def bench_page(bench: Bench, header: Mapping[str, Any]) -> str:
    """A self-contained page. `header` as in `Bench.to_dict`."""
    device = header.get("device") or {}
    known = [str(device[key]) for key in ("manufacturer", "model") if device.get(key)]
    return environment().get_template("bench.html").render(
        bench=bench, device=" ".join(known) or header["target"]["serial"], facts=device_facts(device),
        header=header, name=figures.name, layouts=[pair.to_dict() for pair in bench.layouts],
        marked=lambda backend: figures.marked(bench.rows, backend),
        charts=_charts(bench.rows), speed=figures.speed,
        conditions=_conditions(bench),
    )  # fmt: skip


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
    drawn = measured_charts(rows)
    for sweep, (title, phase, unit) in _SWEEPS.items():
        bars = [_swept(sweep, row) for row in rows if row.sound and row.sweep == sweep and row.phase == phase]
        drawn.append(Chart(title, charts.bars(title, bars, unit), WHISKERS))
    return [*drawn, *_sustained(rows)]


def _sustained(rows: Sequence[Measurement]) -> list[Chart]:
    """A curve for each row under sustained load."""
    drawn: list[Chart] = []
    for row in rows:
        if row.sustained and row.sound:
            title = f"Under sustained load: {row.backend}{row.mark} {row.scheme} {row.phase}"
            drawn.append(Chart(title, charts.curve(title, row.sustained, "GB/s")))
    return drawn


def _swept(sweep: Sweep, row: Measurement) -> figures.Bar:
    """A setting of a sweep in the unit of its chart."""
    times = [min(row.samples_s), row.seconds or 0.0, max(row.samples_s)]
    match sweep:
        case Sweep.CHUNK:
            values = [(row.tokens or 0) / t for t in times]
        case Sweep.CONTEXT:
            values = [1e3 * t for t in times]
        case _:
            values = [(row.bytes or 0) / t / 1e9 for t in times]
    return figures.Bar(f"{row.backend}{row.mark} {row.at}", values[1], min(values), max(values))
