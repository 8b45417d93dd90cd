"""From values to pages: what each template is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ...base.names import CheckStatus
from ...base.units import significant
from ..report import Predicted, Report
from . import charts

MOST_BARS = 12
"""Files in a chart; the table has them all."""

COLUMNS = ("visible", "capable", "correct", "deterministic", "speed", "memory")
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
    made.globals |= {"mark": lambda status: _MARKS[str(status)], "interval": interval}
    return made


def interval(predicted: Predicted | None, field: str, unit: float = 1.0, suffix: str = "") -> str:
    """A prediction with its interval in words, or nothing where there is none."""
    value = getattr(predicted, field) if predicted is not None else None
    if value is None:
        return ""
    return f"{value.text(unit)}{suffix}"


def report_page(report: Report) -> str:
    """The page of one report."""
    best = report.recommendation
    settings = [f"{k} {v}" for k, v in best.settings.items() if v is not None] if best else []
    return environment().get_template("report.html").render(
        report=report, name=report.name, facts=device_facts(report.device), best=best,
        settings=settings, columns=COLUMNS, charts=report_charts(report),
    )  # fmt: skip


def device_facts(device: Mapping[str, Any]) -> list[str]:
    """SoC, GPU, Android and memory, as far as they are known."""
    soc, gpu, android = (device.get(key) or {} for key in ("soc", "gpu", "android"))
    ram = device.get("ram_bytes")
    facts = [
        soc.get("name") or soc.get("model"),
        gpu.get("model") or gpu.get("renderer"),
        f"driver {gpu['driver']}" if gpu.get("driver") else None,
        f"Android {android['release']}" if android.get("release") else None,
        f"{ram / 2**30:.1f} GiB RAM" if ram else None,
    ]
    return [str(fact) for fact in facts if fact]


def report_charts(report: Report) -> list[Chart]:
    """Predicted speeds with error bars, measured bandwidth, roofline."""
    best = report.recommendation
    figures: list[Chart] = []
    for field, title in (
        ("decode_tok_s", "Predicted decode speed"),
        ("prefill_tok_s", "Predicted prefill speed"),
    ):
        rows = [
            charts.Bar(
                f"{row.id} {row.backend}", value.value, value.low, value.high,
                strong=best is not None and (row.id, row.backend) == (best.variant, best.backend),
            )
            for row in report.notable(MOST_BARS)
            if row.status is not CheckStatus.FAIL
            and row.predicted
            and (value := getattr(row.predicted, field))
        ]  # fmt: skip
        figures.append(
            Chart(
                title, charts.bars(title, rows, "tok/s"), "The interval should hold the truth 9 times in 10."
            )
        )
    measured = [
        row
        for row in report.measurements
        if row.get("status") == "ok" and row.get("valid", True) and min(row.get("samples_s") or (0.0,)) > 0
    ]
    figures.append(_bandwidth(measured))
    figures.append(_roofline(report, measured))
    return figures


def _label(row: Mapping[str, Any]) -> str:
    software = (row.get("details") or {}).get("device_type") == "cpu" and row.get("backend") != "cpu"
    backend = f"{row.get('backend')}{'*' if software else ''}"
    return " ".join([backend, *(str(row.get(key) or "") for key in ("scheme", "phase", "variant"))]).strip()


def _bandwidth(measured: list[Mapping[str, Any]]) -> Chart:
    rows: list[charts.Bar] = []
    for row in measured:
        if row.get("phase") == "decode" and row.get("bytes"):
            low, middle, high = _speeds(row, row["bytes"])
            rows.append(charts.Bar(_label(row), middle, low, high))
    title = "Measured decode bandwidth of the reference layer"
    return Chart(title, charts.bars(title, rows, "GB/s"), "Whiskers: slowest and fastest repeat.")


def _speeds(row: Mapping[str, Any], amount: float) -> tuple[float, float, float]:
    samples = row["samples_s"]
    scale = amount / 1e9
    return scale / max(samples), scale / median(samples), scale / min(samples)


_ROOFS = {"GB/s": "read", "GFLOP/s": "peak", "GOP/s": "peak"}


def _roofline(report: Report, measured: list[Mapping[str, Any]]) -> Chart:
    limits: dict[str, dict[str, float]] = {}
    for row in report.measurements:
        kind = _ROOFS.get(str(row.get("unit")))
        counts = row.get("value") and row.get("valid", True) and row.get("executor") != "dd"
        if kind and row.get("phase") == "limit" and counts:
            here = limits.setdefault(str(row.get("backend")), {})
            here[kind] = max(here.get(kind, 0.0), float(row["value"]))
    roofs = [
        charts.Roof(b, found["read"], found.get("peak")) for b, found in limits.items() if "read" in found
    ]
    points = [
        charts.Point(_label(row), row["flops"] / row["bytes"], row["flops"] / median(row["samples_s"]) / 1e9)
        for row in measured
        if row.get("flops") and row.get("bytes")
    ]
    title = "Roofline"
    legend = tuple(f"{p.label}: {significant(p.gflop_per_s)} GFLOP/s" for p in points)
    return Chart(title, charts.roofline(title, roofs, points), legend=legend)
