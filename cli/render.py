"""The verdict sheet on a terminal: what a person reads before, or instead of, the report file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base.names import Column
from ..base.units import size
from ..reports import figures
from ..reports.report import AGENT, BUSY
from .console import safe

if TYPE_CHECKING:
    from rich.console import Console

    from ..reports.report import Recommendation, Report

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
_GRAVITY = ("error", "fail", "unknown", "warn")
_SHORT = {Column.DETERMINISTIC: "determ."}

WIDE = 110
"""From this width on there is room for intervals and reason codes."""

MAX_VARIANTS = 8
"""Rows of the model table on a screen; the report has them all."""


def render(report: Report, console: Console) -> None:
    """Print the summary of a report: device, verdict, backends, files, reasons, fallback."""
    headline(report, console)
    _agent(report, console)
    for check in report.checks:
        if check.id == BUSY:
            console.print(f"{cell(check.status)} [bold]{safe(check.because)}[/bold] {_advice(check.remedy)}")
    console.print(_backends(report, console.width >= WIDE))
    if report.variants:
        console.print(_variants(report, console.width >= WIDE))
    answer(report, console)
    reasons(report, console)


def headline(report: Report, console: Console) -> None:
    """Device, verdict and summary in a box."""
    from rich.panel import Panel

    verdict = str(report.verdict)
    console.print(
        Panel(
            f"{_device(report)}\n[bold]{safe(report.summary, 1000)}[/bold]",
            title=f"[{_STYLE[verdict]} bold] {verdict.upper()} [/]",
            title_align="left",
            border_style=_STYLE[verdict],
        )
    )


def _agent(report: Report, console: Console) -> None:
    """That the agent did not run, before everything that would have rested on it."""
    for check in report.checks:
        if check.id == AGENT:
            advice = f"\n  [cyan]→ {safe(check.remedy)}[/cyan]" if check.remedy else ""
            console.print(f"{cell(check.status)} [bold]{safe(check.found, 600)}[/bold]{advice}")


def _device(report: Report) -> str:
    device = report.device
    soc, gpu, android = (device.get(k) or {} for k in ("soc", "gpu", "android"))
    name = " ".join(str(device[k]) for k in ("manufacturer", "model") if device.get(k))
    clusters = (device.get("cpu") or {}).get("clusters") or ()
    cores = " + ".join(f"{c.get('count') or '?'}×{c['core']}" for c in clusters if c.get("core"))
    ram = device.get("ram_bytes")
    parts = [
        name or report.name,
        soc.get("name") or " or ".join(soc.get("one_of") or ()) or soc.get("model"),
        cores,
        gpu.get("model") or gpu.get("renderer"),
        f"Android {android['release']} (API {android.get('sdk')})" if android.get("release") else None,
        f"{device['bits']}-bit apps" if device.get("bits") else None,
        f"{size(ram)} RAM" if ram else None,
    ]
    return "[dim] · [/dim]".join(safe(part, 120) for part in parts if part)


def cell(status: object, words: bool = True) -> str:
    """A status as a mark in its colour, and as a word where there is room for one."""
    text = str(status)
    return f"[{_STYLE[text]}]{_MARK[text]}{' ' + text if words else ''}[/]"


def _backends(report: Report, words: bool) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("backend", no_wrap=True)
    for column in Column:
        table.add_column(_SHORT.get(column, column), no_wrap=True, justify="left" if words else "center")
    table.add_column("measured", overflow="fold")
    for name, row in report.backends.items():
        table.add_row(
            f"[bold]{safe(name)}[/bold]",
            *(cell(getattr(row, column), words) for column in Column),
            safe(figures.measured(report.measurements, name)),
        )
    return table


def _variants(report: Report, wide: bool) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("model file", overflow="fold")
    table.add_column("on", no_wrap=True)
    table.add_column("", no_wrap=True)
    for title in ("prefill", "decode", "memory"):
        table.add_column(title, justify="right", no_wrap=True)
    if wide:
        table.add_column("reasons", overflow="fold")
    chosen = report.recommendation
    for row in report.notable(MAX_VARIANTS):
        *speeds, memory = figures.predicted(row.predicted, wide)
        best = chosen is not None and (row.id, row.backend) == (chosen.variant, chosen.backend)
        table.add_row(
            "[bold green]→[/]" if best else "",
            safe(row.id),
            safe(row.backend),
            cell(row.status),
            *(f"{speed} t/s" if speed else "" for speed in speeds),
            memory,
            *([safe(", ".join(row.reasons))] if wide else []),
        )
    return table


def answer(report: Report, console: Console) -> None:
    """The file to ship or, where the family has none, what works instead; then the fallback chain."""
    if report.recommendation is not None:
        _file("ship", report.recommendation, console)
    elif report.works_instead is not None:
        _file("works instead", report.works_instead, console)
    if report.fallback:
        chain = " → ".join(f"{safe(step.variant)} on {safe(step.backend)}" for step in report.fallback)
        console.print(f"[bold]then[/] {chain}")


def _file(word: str, best: Recommendation, console: Console) -> None:
    settings = ", ".join(f"{key}={value}" for key, value in best.settings.items() if value is not None)
    console.print(
        f"[bold green]{word}[/] [bold]{safe(best.file)}[/] on {safe(best.backend)} with {safe(best.runtime)}"
        f" [dim]({safe(best.evidence)})[/dim]" + (f"  {safe(settings)}" if settings else "")
    )
    console.print(f"     {safe(best.because, 600)}")
    if best.dependency is not None:
        console.print(f"     [dim]dependency: {safe(best.dependency)}[/dim]")


def reasons(report: Report, console: Console) -> None:
    """What failed, is unknown or gives pause, with what to do; the same cause once, the gravest first. Then
    what to know about the answers."""
    causes: dict[tuple[str, str, str | None], list[str]] = {}
    for check in report.checks:
        if (status := str(check.status)) in _GRAVITY and check.id not in (AGENT, BUSY):
            causes.setdefault((status, check.because, check.remedy), []).append(check.id)
    for (status, because, remedy), ids in sorted(causes.items(), key=lambda c: _GRAVITY.index(c[0][0])):
        names = ids[0] + (f" and {len(ids) - 1} more" if len(ids) > 1 else "")
        text = f"{cell(status)} [bold]{safe(names)}[/bold] {safe(because)} {_advice(remedy)}"
        console.print(text.rstrip())
    for note in report.notes:
        console.print(f"[dim]{safe(note)}[/dim]")


def _advice(remedy: str | None) -> str:
    return f"[cyan]→ {safe(remedy)}[/cyan]" if remedy else ""
