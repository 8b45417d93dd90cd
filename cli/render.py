"""The verdict sheet on a terminal: what a person reads before, or instead of, the report file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .console import safe

if TYPE_CHECKING:
    from rich.console import Console

    from ..profiles.report import Predicted, Report, VariantResult

_STYLE = {
    "pass": "green",
    "warn": "yellow",
    "degraded": "yellow",
    "fail": "red",
    "error": "red",
    "unknown": "magenta",
    "inconclusive": "magenta",
    "skip": "dim",
}
_MARK = {"pass": "✓", "warn": "!", "fail": "✗", "error": "✗", "unknown": "?", "skip": "–"}
_COLUMNS = ("visible", "capable", "correct", "deterministic", "speed", "memory")
_SHORT = {"deterministic": "determ."}

MAX_VARIANTS = 8
"""Rows of the model table on a screen; the report has them all."""


def render(report: Report, console: Console) -> None:
    """Print the summary of a report: device, verdict, backends, files, reasons, fallback."""
    from rich.panel import Panel

    verdict = str(report.verdict)
    console.print(
        Panel(
            f"{_device(report.device)}\n[bold]{safe(report.summary, 1000)}[/bold]",
            title=f"[{_STYLE[verdict]} bold] {verdict.upper()} [/]",
            title_align="left",
            border_style=_STYLE[verdict],
        )
    )
    console.print(_backends(report))
    if report.variants:
        console.print(_variants(report))
    _recommendation(report, console)
    _reasons(report, console)


def _device(device: Mapping[str, Any]) -> str:
    soc, gpu, android = (device.get(k) or {} for k in ("soc", "gpu", "android"))
    name = " ".join(str(device[k]) for k in ("manufacturer", "model") if device.get(k)) or "unknown device"
    ram = device.get("ram_bytes")
    parts = [
        name,
        soc.get("name") or soc.get("model"),
        gpu.get("model") or gpu.get("renderer"),
        f"Android {android['release']} (API {android.get('sdk')})" if android.get("release") else None,
        f"{device['bits']}-bit apps" if device.get("bits") else None,
        f"{ram / 2**30:.1f} GiB RAM" if ram else None,
    ]
    return "[dim] · [/dim]".join(safe(part, 120) for part in parts if part)


def _cell(status: object) -> str:
    text = str(status)
    return f"[{_STYLE[text]}]{_MARK[text]} {text}[/]"


def _backends(report: Report) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("backend", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(_SHORT.get(column, column), no_wrap=True)
    table.add_column("measured", overflow="fold")
    for name, row in report.backends.items():
        table.add_row(
            f"[bold]{safe(name)}[/bold]",
            *(_cell(getattr(row, column)) for column in _COLUMNS),
            safe(measured(report, name)),
        )
    return table


def measured(report: Report, backend: str) -> str:
    """The best decode row of a backend in words: GB/s and deviation, e.g. `int8 21.3 GB/s, err 1.2 %`."""
    best = ""
    top = 0.0
    for row in report.measurements:
        times = sorted(row.get("samples_s") or ())
        if (row.get("backend"), row.get("phase"), row.get("status")) != (backend, "decode", "ok"):
            continue
        if not times or not row.get("bytes"):
            continue
        speed = row["bytes"] / times[len(times) // 2] / 1e9
        if speed > top:
            top = speed
            best = f"{row.get('scheme')} {speed:.3g} GB/s"
            if deviation := row.get("deviation"):
                best += f", err {100 * deviation['rel_l2']:.2g} %"
    return best


def _variants(report: Report) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model file", overflow="fold", ratio=3)
    table.add_column("on", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("prefill t/s", justify="right", no_wrap=True)
    table.add_column("decode t/s", justify="right", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold", ratio=3)
    chosen = report.recommendation
    for row in _notable(report):
        mark = "→ " if chosen and (row.id, row.backend) == (chosen.variant, chosen.backend) else "  "
        table.add_row(
            f"[bold]{mark}[/bold]{safe(row.file)}",
            safe(row.backend),
            _cell(row.status),
            *_predicted(row.predicted),
            safe(", ".join(row.reasons)),
        )
    return table


def _notable(report: Report) -> list[VariantResult]:
    """The recommended and the fallback rows first, then the rest in the report's order."""
    order = [(step.variant, step.backend) for step in report.fallback]
    if report.recommendation:
        order.insert(0, (report.recommendation.variant, report.recommendation.backend))
    rank = {key: place for place, key in reversed(list(enumerate(order)))}
    rows = sorted(report.variants, key=lambda row: rank.get((row.id, row.backend), len(order)))
    return rows[:MAX_VARIANTS]


def _predicted(predicted: Predicted | None) -> tuple[str, str, str]:
    if predicted is None:
        return ("", "", "")
    prefill, decode, memory = predicted.prefill_tok_s, predicted.decode_tok_s, predicted.peak_memory_bytes
    return (
        prefill.text() if prefill else "",
        decode.text() if decode else "",
        f"{memory.value / 1e9:.2g} GB" if memory else "",
    )


def _recommendation(report: Report, console: Console) -> None:
    best = report.recommendation
    if best is None:
        return
    settings = ", ".join(f"{key}={value}" for key, value in best.settings.items() if value is not None)
    console.print(
        f"[bold green]ship[/] [bold]{safe(best.file)}[/] on {safe(best.backend)} with {safe(best.runtime)}"
        f" [dim]({safe(best.evidence)})[/dim]" + (f"  {safe(settings)}" if settings else "")
    )
    console.print(f"     {safe(best.because, 600)}")
    if report.fallback:
        chain = " → ".join(f"{safe(step.variant)} on {safe(step.backend)}" for step in report.fallback)
        console.print(f"[bold]then[/] {chain}")


def _reasons(report: Report, console: Console) -> None:
    """The checks that failed or are unknown, with what to do; one line each."""
    for check in report.checks:
        status = str(check.status)
        if status in ("fail", "error", "unknown", "warn"):
            remedy = f" [cyan]→ {safe(check.remedy)}[/cyan]" if check.remedy else ""
            console.print(f"{_cell(status)} [bold]{safe(check.id)}[/bold] {safe(check.because)}{remedy}")
