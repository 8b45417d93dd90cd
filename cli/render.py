"""The verdict sheet on a terminal: what a person reads before, or instead of, the report file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base.names import Backend, CheckStatus, Column, Verdict
from ..base.units import significant, size
from ..benchmarks.layouts import every, sentences
from ..reports import figures
from ..reports.report import AGENT, Predicted
from .console import safe

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from ..reports.report import BackendResult, Check, Report

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

_ANSWER = {
    Verdict.PASS: ("green", "pass", "YES"),
    Verdict.DEGRADED: ("yellow", "warn", "YES, WITH LIMITS,"),
    Verdict.FAIL: ("red", "fail", "NO"),
    Verdict.INCONCLUSIVE: ("magenta", "unknown", "NOT KNOWN"),
}
_CONCERN = {
    Verdict.PASS: (),
    Verdict.DEGRADED: ("fail", "error", "warn"),
    Verdict.FAIL: ("fail", "error"),
    Verdict.INCONCLUSIVE: ("unknown",),
}
"""The lines of backends whose remedies are what to do; those of the recommended one always are."""
MAX_ADVICE, MAX_STEPS, MAX_WHY = 2, 3, 100
"""Remedies, steps of the fallback chain, and characters of a reason that is not cut to its first sentence."""

MAX_VARIANTS = 8
"""Rows of the model table on a screen; the report has them all."""


def render(report: Report, console: Console, verbose: bool = False, saved: Path | None = None) -> None:
    """Print a report: the answer first and last, between them a line a backend, or (verbose) everything, and
    the file that it was saved in."""
    opening(report, console)
    answer(report, console)
    if verbose:
        console.print(safe(report.summary, 1000))
        console.print(_backends(report, console.width >= WIDE))
        if report.variants:
            console.print(_variants(report, console.width >= WIDE))
        causes(report, console)
    else:
        decisive(report, console)
        _rest(report, console)
    if saved is not None:
        console.print(_marked("", f"[dim]report: {safe(saved)}[/dim]"))
    closing(report, console)


def opening(report: Report, console: Console) -> None:
    """The verdict, what it rests on, the device, and what kept the run from saying more."""
    ran = [row for row in report.measurements if row.samples_s]
    why = "what was run does not count" if ran else "nothing was run"
    basis = "" if any(row.valid for row in ran) else f" [dim](predicted, {why})[/dim]"
    console.print(_marked(*_verdict(report, basis)))
    console.print(_marked("", _device(report)))
    _agent(report, console)
    for check in report.checks:
        if check.whole and check.status in _GRAVITY and check.id != AGENT:
            text = f"[bold]{safe(check.because)}[/bold] {_advice(check.remedy)}"
            console.print(_marked(cell(check.status, words=False), text))
    if report.incomplete is not None:
        console.print(f"{cell('warn')} [bold]incomplete[/bold]: {safe(report.incomplete, 600)}")


def _verdict(report: Report, more: str) -> tuple[str, str]:
    """Its mark, and the answer about the family with what follows it."""
    style, status, words = _ANSWER[report.verdict]
    asked = report.extra.get("asked") or {}
    family = safe(asked.get("title") or asked.get("family") or "Gemma")
    return cell(status, words=False), f"[bold {style}]{words}[/] for {family}{more}"


def closing(report: Report, console: Console) -> None:
    """The answer again: after a long text the last line is what a person reads."""
    best = report.recommendation or report.works_instead
    instead = "" if report.recommendation is not None else " instead"
    file = (
        f"ship [bold]{safe(best.file)}[/bold] on {_place(best.backend)}{instead}" if best else _none(report)
    )
    console.print(_marked(*_verdict(report, f": {file}")))


def _none(report: Report) -> str:
    """That there is no file to ship. What is not known may well work."""
    if report.verdict is Verdict.INCONCLUSIVE:
        return "which model file works here is not known"
    return "no model file known to gemmafit is expected to work here"


def decisive(report: Report, console: Console) -> None:
    """A line a backend with the reason that decided it, and what to do."""
    lines = _lines(report)
    table = _grid(3)
    for name, row, check in lines:
        known = Backend.of(name)
        label = known.about.label if known is not None else name
        why = _works(report, name) if check is None else check.because.rstrip(".")
        if check is not None and len(why) > MAX_WHY:
            why = check.brief
        why += check.figure if check is not None else ""
        table.add_row(cell(row.status, words=False), f"[bold]{safe(label)}[/bold]", safe(why, 600))
    console.print(table)
    concern = _CONCERN[report.verdict]
    chosen = report.recommendation.backend if report.recommendation is not None else None
    decided = [c for name, row, c in lines if c and (str(row.status) in concern or name == chosen)]
    decided.sort(key=lambda check: -(check.gravity or 0))
    for remedy in list(dict.fromkeys(check.remedy for check in decided if check.remedy))[:MAX_ADVICE]:
        console.print(_marked("[cyan]→[/cyan]", f"[cyan]{safe(remedy)}[/cyan]"))


def _lines(report: Report) -> list[tuple[str, BackendResult, Check | None]]:
    checks = {check.id: check for check in report.checks}
    return [(name, row, checks.get(row.decided_by or "")) for name, row in report.backends.items()]


def _rest(report: Report, console: Console) -> None:
    """What to know about the answers, but for the kernels, and how much more there is to read."""
    kernels = set(sentences(every(report.measurements)))
    for note in report.notes:
        if note not in kernels:
            console.print(_marked("", f"[dim]{safe(note)}[/dim]"))
    shown = {check.because for _, _, check in _lines(report) if check is not None}
    more = len({because for _, because, _ in _grouped(report)} - shown) + len(kernels)
    remarks = f"{more} more remark{'' if more == 1 else 's'} and the tables" if more else "the tables"
    console.print(_marked("", f"[dim]{remarks}: --verbose[/dim]"))


def _works(report: Report, backend: str) -> str:
    """The first file that runs on a backend, and how fast."""
    for row in report.notable(len(report.variants)):
        if row.backend == backend and row.status is CheckStatus.PASS:
            return ", ".join([row.id, *_pace(row.predicted or Predicted())]) + f" ({row.evidence})"
    return figures.measured(report.measurements, backend)


def _pace(predicted: Predicted) -> list[str]:
    decode = predicted.decode_tok_s
    return [f"about {significant(decode.value, 2)} tokens/s"] if decode is not None else []


def _place(backend: str) -> str:
    known = Backend.of(backend)
    return known.about.title if known is not None else safe(backend)


def _grid(columns: int) -> Any:
    """Columns without lines: marks, names, and a text that wraps within itself."""
    from rich.table import Table

    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, width=1)
    for _ in range(columns - 2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _marked(mark: str, text: str) -> Any:
    """A line behind its mark, or below the one of the line before."""
    line = _grid(2)
    line.add_row(mark, text)
    return line


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
    best = report.recommendation or report.works_instead
    if best is None:
        console.print(_marked(_verdict(report, "")[0], _none(report)))
        return
    word = "SHIP" if report.recommendation is not None else "SHIP INSTEAD"
    memory = best.predicted.peak_memory_bytes
    facts = [f"with {best.runtime}", *_pace(best.predicted)]
    facts += [f"{size(memory.value)} of memory"] if memory is not None else []
    where = f"on {_place(best.backend)} {', '.join(facts)}"
    console.print(
        _marked(
            cell("pass", words=False),
            f"[bold green]{word}[/] [bold]{safe(best.file)}[/] {safe(where)} ({safe(best.evidence)})",
        )
    )
    console.print(_marked("", f"[dim]{safe(best.because, 600)}[/dim]"))
    settings = [f"{key}={value}" for key, value in best.settings.items() if value is not None]
    settings += [f"dependency: {best.dependency}"] if best.dependency is not None else []
    if settings:
        console.print(_marked("", f"[dim]{safe(', '.join(settings))}[/dim]"))
    steps = [step for step in report.fallback if (step.variant, step.backend) != (best.variant, best.backend)]
    if steps:
        chain = ", ".join(f"{step.variant} on {_place(step.backend)}" for step in steps[:MAX_STEPS])
        console.print(_marked("", f"if that fails: {safe(chain)}{' …' if steps[MAX_STEPS:] else ''}"))


def _grouped(report: Report) -> dict[tuple[str, str, str | None], list[str]]:
    """The ids of the checks that have the same cause."""
    causes: dict[tuple[str, str, str | None], list[str]] = {}
    for check in report.checks:
        if (status := str(check.status)) in _GRAVITY and not check.whole:
            causes.setdefault((status, check.because, check.remedy), []).append(check.id)
    return causes


def causes(report: Report, console: Console) -> None:
    """What failed, is unknown or gives pause, with what to do; the same cause once, the gravest first. Then
    what to know about the answers."""
    for (status, because, remedy), ids in sorted(
        _grouped(report).items(), key=lambda c: _GRAVITY.index(c[0][0])
    ):
        names = ids[0] + (f" and {len(ids) - 1} more" if len(ids) > 1 else "")
        text = f"{cell(status)} [bold]{safe(names)}[/bold] {safe(because)} {_advice(remedy)}"
        console.print(text.rstrip())
    for note in report.notes:
        console.print(f"[dim]{safe(note)}[/dim]")


def _advice(remedy: str | None) -> str:
    return f"[cyan]→ {safe(remedy)}[/cyan]" if remedy else ""
