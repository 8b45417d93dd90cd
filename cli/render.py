"""The verdict sheet on a terminal: what a person reads before, or instead of, the report file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..base.units import significant
from ..reports.report import BUSY
from .console import safe

if TYPE_CHECKING:
    from rich.console import Console

    from ..reports.report import Predicted, Report

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
AGENT = "agent.ran"
"""The check that is shown first, as others follow from it."""
_GRAVITY = ("error", "fail", "unknown", "warn")
_COLUMNS = ("visible", "capable", "correct", "deterministic", "speed", "memory")
_SHORT = {"deterministic": "determ."}

WIDE = 110
"""From this width on there is room for intervals and reason codes."""

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
    _agent(report, console)
    for check in report.checks:
        if check.id == BUSY:
            console.print(f"{_cell(check.status)} [bold]{safe(check.because)}[/bold] {_advice(check.remedy)}")
    console.print(_backends(report, console.width >= WIDE))
    if report.variants:
        console.print(_variants(report, console.width >= WIDE))
    _recommendation(report, console)
    _reasons(report, console)
    for note in report.notes:
        console.print(f"[dim]{safe(note)}[/dim]")


def _agent(report: Report, console: Console) -> None:
    """That the agent did not run, before everything that would have rested on it."""
    for check in report.checks:
        if check.id == AGENT:
            advice = f"\n  [cyan]→ {safe(check.remedy)}[/cyan]" if check.remedy else ""
            console.print(f"{_cell(check.status)} [bold]{safe(check.found, 600)}[/bold]{advice}")


def _device(device: Mapping[str, Any]) -> str:
    soc, gpu, android = (device.get(k) or {} for k in ("soc", "gpu", "android"))
    name = " ".join(str(device[k]) for k in ("manufacturer", "model") if device.get(k))
    clusters = (device.get("cpu") or {}).get("clusters") or ()
    cores = " + ".join(f"{c.get('count') or '?'}×{c['core']}" for c in clusters if c.get("core"))
    ram = device.get("ram_bytes")
    parts = [
        name or ("unknown device" if android else "this computer"),
        soc.get("name") or soc.get("model"),
        cores,
        gpu.get("model") or gpu.get("renderer"),
        f"Android {android['release']} (API {android.get('sdk')})" if android.get("release") else None,
        f"{device['bits']}-bit apps" if device.get("bits") else None,
        f"{ram / 2**30:.1f} GiB RAM" if ram else None,
    ]
    return "[dim] · [/dim]".join(safe(part, 120) for part in parts if part)


def _cell(status: object, words: bool = True) -> str:
    text = str(status)
    return f"[{_STYLE[text]}]{_MARK[text]}{' ' + text if words else ''}[/]"


def _backends(report: Report, words: bool) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("backend", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(_SHORT.get(column, column), no_wrap=True, justify="left" if words else "center")
    table.add_column("measured", overflow="fold")
    for name, row in report.backends.items():
        table.add_row(
            f"[bold]{safe(name)}[/bold]",
            *(_cell(getattr(row, column), words) for column in _COLUMNS),
            safe(measured(report, name)),
        )
    return table


def measured(report: Report, backend: str) -> str:
    """The best decode row of a backend in words: GB/s and deviation, e.g. `int8 21.3 GB/s, err 1.2 %`; `void`
    where none counts."""
    best = ""
    top = 0.0
    for row in report.measurements:
        times = sorted(row.get("samples_s") or ())
        if (row.get("backend"), row.get("phase"), row.get("status")) != (backend, "decode", "ok"):
            continue
        if not times or times[0] <= 0 or not row.get("bytes"):
            continue
        if not row.get("valid", True):
            best = best or "void"
            continue
        speed = row["bytes"] / times[len(times) // 2] / 1e9
        if speed > top:
            top = speed
            best = f"{row.get('scheme')} {significant(speed)} GB/s{_mark(backend, row)}"
            if deviation := row.get("deviation"):
                best += f", err {significant(100 * deviation['rel_l2'], 2)} %"
    return best


def _mark(backend: str, row: Mapping[str, Any]) -> str:
    """An asterisk where a driver that computes on the CPU stood in for a GPU; the notes say so."""
    software = (row.get("details") or {}).get("device_type") == "cpu"
    return "*" if software and backend != "cpu" else ""


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
        best = chosen is not None and (row.id, row.backend) == (chosen.variant, chosen.backend)
        table.add_row(
            "[bold green]→[/]" if best else "",
            safe(row.id),
            safe(row.backend),
            _cell(row.status),
            *_predicted(row.predicted, wide),
            *([safe(", ".join(row.reasons))] if wide else []),
        )
    return table


def _predicted(predicted: Predicted | None, wide: bool) -> tuple[str, str, str]:
    """Tokens per second and memory; with their intervals where there is room."""
    if predicted is None:
        return ("", "", "")
    prefill, decode, memory = predicted.prefill_tok_s, predicted.decode_tok_s, predicted.peak_memory_bytes
    return (
        (prefill.text() if wide else significant(prefill.value)) + " t/s" if prefill else "",
        f"{decode.text() if wide else significant(decode.value)} t/s" if decode else "",
        f"{significant(memory.value / 1e9, 2)} GB" if memory else "",
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
    if best.dependency is not None:
        console.print(f"     [dim]dependency: {safe(best.dependency)}[/dim]")
    if report.fallback:
        chain = " → ".join(f"{safe(step.variant)} on {safe(step.backend)}" for step in report.fallback)
        console.print(f"[bold]then[/] {chain}")


def _reasons(report: Report, console: Console) -> None:
    """What failed, is unknown or gives pause, with what to do; the same cause once, the gravest first."""
    causes: dict[tuple[str, str, str | None], list[str]] = {}
    for check in report.checks:
        if (status := str(check.status)) in _GRAVITY and check.id not in (AGENT, BUSY):
            causes.setdefault((status, check.because, check.remedy), []).append(check.id)
    for (status, because, remedy), ids in sorted(causes.items(), key=lambda c: _GRAVITY.index(c[0][0])):
        names = ids[0] + (f" and {len(ids) - 1} more" if len(ids) > 1 else "")
        text = f"{_cell(status)} [bold]{safe(names)}[/bold] {safe(because)} {_advice(remedy)}"
        console.print(text.rstrip())


def _advice(remedy: str | None) -> str:
    return f"[cyan]→ {safe(remedy)}[/cyan]" if remedy else ""
