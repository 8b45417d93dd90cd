"""From values to pages: what each template is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ...base import units
from ...base.names import CheckStatus, Column
from ...base.units import significant, size
from ...benchmarks.measurements import Measurement
from .. import figures
from ..report import Report
from . import charts

MOST_BARS = 12
"""Files in a chart; the table has them all."""

_MARKS = {"pass": "✓", "warn": "!", "fail": "✗", "error": "✗", "unknown": "?", "skip": "–"}


@dataclass(frozen=True)
class Chart:
    """A figure of a page; an empty `svg` leaves it out."""

    title: str
    svg: Markup
    note: str = ""
    legend: tuple[str, ...] = ()


@cache
def environment() -> Environment:
    """The templates. Device strings are untrusted: all is escaped but the SVG, which escapes its own text."""
    made = Environment(
        loader=PackageLoader(__package__, "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.globals |= {
        "mark": lambda status: _MARKS[str(status)],
        "units": units,
        "predicted": figures.predicted,
    }
    return made


def report_page(report: Report) -> str:
    """The page of one report."""
    best = report.recommendation
    settings = [f"{k} {v}" for k, v in best.settings.items() if v is not None] if best else []
    return environment().get_template("report.html").render(
        report=report, name=report.name, facts=device_facts(report.device), best=best,
        settings=settings, columns=list(Column), charts=report_charts(report),
        measured=lambda backend: figures.measured(report.measurements, backend),
    )  # fmt: skip


def device_facts(device: Mapping[str, Any]) -> list[str]:
    """SoC, GPU, Android and memory, as far as they are known."""
    soc, gpu, android = (device.get(key) or {} for key in ("soc", "gpu", "android"))
    ram = device.get("ram_bytes")
    facts = [
        soc.get("name") or " or ".join(soc.get("one_of") or ()) or soc.get("model"),
        gpu.get("model") or gpu.get("renderer"),
        f"driver {gpu['driver']}" if gpu.get("driver") else None,
        f"Android {android['release']}" if android.get("release") else None,
        f"{size(ram)} RAM" if ram else None,
    ]
    return [str(fact) for fact in facts if fact]


def report_charts(report: Report) -> list[Chart]:
    """Predicted speeds with error bars, then what was measured."""
    best = report.recommendation
    drawn: list[Chart] = []
    for field, title in (
        ("decode_tok_s", "Predicted decode speed"),
        ("prefill_tok_s", "Predicted prefill speed"),
    ):
        rows = [
            figures.Bar(
                f"{row.id} {row.backend}", value.value, value.low, value.high,
                strong=best is not None and (row.id, row.backend) == (best.variant, best.backend),
            )
            for row in report.notable(MOST_BARS)
            if row.status is not CheckStatus.FAIL
            and row.predicted
            and (value := getattr(row.predicted, field))
        ]  # fmt: skip
        drawn.append(
            Chart(
                title, charts.bars(title, rows, "tok/s"), "The interval should hold the truth 9 times in 10."
            )
        )
    return [*drawn, *measured_charts(report.measurements)]


WHISKERS = "Whiskers: slowest and fastest repeat."


def measured_charts(rows: Sequence[Measurement]) -> list[Chart]:
    """What was measured of the reference layer, and how near to the machine's limits it is."""
    decode, prefill, roofline = "Decode", "Prefill", "Roofline"
    points = figures.points(rows)
    legend = tuple(f"{p.label}: {significant(p.gflop_per_s)} GFLOP/s" for p in points)
    return [
        Chart(decode, charts.bars(decode, figures.bandwidths(rows), "GB/s"), WHISKERS),
        Chart(prefill, charts.bars(prefill, figures.rates(rows), "GFLOP/s"), WHISKERS),
        Chart(roofline, charts.roofline(roofline, figures.roofs(rows), points), legend=legend),
    ]
