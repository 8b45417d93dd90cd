"""A benchmark on a terminal: a table that grows while it runs, then bars, a roofline and sentences."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..base import units
from ..base.events import Event, Listener, ignore
from .console import plain, safe, stderr

if TYPE_CHECKING:
    from rich.console import Console

    from ..base.names import Backend
    from ..benchmarks.measurements import Measurement
    from ..benchmarks.sweeps.bench import Bench, OnRow

_FRAME = 6
"""Lines of the live display that are not rows."""
WIDTH = 100
"""No plot is wider: longer bars say no more. Below, a row has but the figure that counts."""
_NARROW = 72
"""Below it, the live table has no times."""


@contextmanager
def live(quiet: bool) -> Iterator[tuple[Listener, OnRow]]:
    """Listeners for events and rows: a live table at a terminal, a line a row elsewhere."""
    if quiet:
        yield ignore, lambda row: None
        return
    console = stderr()
    if not console.is_terminal:
        yield ignore, lambda row: console.print(line(row), markup=False, soft_wrap=True)
        return
    from rich.console import Group
    from rich.live import Live
    from rich.spinner import Spinner

    from ..benchmarks.sweeps.bench import STAGE

    rows: list[Measurement] = []
    started = time.monotonic()
    spinner = Spinner("dots", "starting")
    with Live(spinner, console=console, transient=True, refresh_per_second=8) as shown:
        count = ""

        def on_event(event: Event) -> None:
            nonlocal count
            if event.stage == STAGE:
                count = f"  {event.done}/{event.total}"
            elapsed = f"[dim]{time.monotonic() - started:4.0f} s{count}[/dim]"
            spinner.update(text=f"{elapsed}  {safe(event.stage)}  {safe(event.message, 60)}")

        def on_row(row: Measurement) -> None:
            rows.append(row)
            room = max(console.height - _FRAME, 3)
            shown.update(Group(_table(rows[-room:], console.width), spinner))

        yield on_event, on_row


def line(row: Measurement) -> str:
    """A row in one line of at most 80 characters."""
    what, *cells = _cells(row)
    text = f"{what}  {'  '.join(cell for cell in cells if cell)}"
    return text if len(text) <= 80 else text[:79] + "…"


def _cells(row: Measurement) -> tuple[str, str, str, str]:
    """What, how long, how fast, how right."""
    from ..reports.figures import name, speed

    what = name(row)
    took = units.seconds(row.seconds) if row.seconds else ""
    if row.reason is not None:
        status = f"{row.status if row.valid else 'void'}: {plain(row.reason, 200)}"
    else:
        status = f"err {units.percent(row.deviation.rel_l2)}" if row.deviation is not None else ""
        if row.deviation is not None and not row.deviation.ok:
            status += " WRONG"
    return plain(what), took, speed(row), status


def _table(rows: list[Measurement], width: int) -> Any:
    """What and how fast always fit; how long is left out where it is narrow, and the last column is cut."""
    from rich.table import Table

    from ..reports.figures import main

    cells = [_cells(row) for row in rows]
    if width < WIDTH:
        cells = [
            (what, took, main(row), status) for row, (what, took, _, status) in zip(rows, cells, strict=True)
        ]
    titles = [("what", 0), ("time", 1), ("speed", 2), ("numbers", 3)]
    if width < _NARROW:
        titles.remove(("time", 1))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    left = width
    for title, n in titles:
        longest = max((len(each[n]) for each in cells), default=0)
        taken = min(max(longest, len(title)), max(left, 1)) if n == 3 else max(longest, len(title))
        left -= taken + 2
        table.add_column(title, no_wrap=True, justify="right" if title == "time" else "left", width=taken)
    for each in cells:
        table.add_row(*(safe(each[n]) for _, n in titles))
    return table


def summary(bench: Bench, console: Console) -> None:
    """Bars, roofline, sentences and what to know about the numbers."""
    from textwrap import wrap

    from ..base.names import Backend
    from ..benchmarks import layouts
    from ..reports import figures
    from . import plot

    width = min(console.width, WIDTH)

    def show(title: str, lines: list[str]) -> None:
        if lines:
            console.print(f"\n[bold]{title}[/bold]")
            for text in lines:
                console.print(plain(text, 400), markup=False, soft_wrap=True)

    show("Decode", plot.bars(figures.bandwidths(bench.rows), "GB/s", width))
    show("Prefill", plot.bars(figures.rates(bench.rows), "GFLOP/s", width))
    show("Roofline", plot.roofline(figures.roofs(bench.rows), figures.points(bench.rows), width))

    def bullets(texts: list[str], style: str | None = None) -> None:
        for text in texts:
            for line in wrap(plain(text), width, initial_indent="  · ", subsequent_indent="    "):
                console.print(line, style=style, markup=False, soft_wrap=True)

    for backend in Backend:
        sentences = [finding.text for finding in bench.findings if finding.backend is backend]
        sentences += layouts.sentences(pair for pair in bench.layouts if pair.best.backend is backend)
        problem = _problem(bench, backend)
        if sentences or problem:
            console.print(f"\n[bold]{backend}{figures.marked(bench.rows, backend)}[/bold]")
        if problem:
            bullets([problem], "red")
        bullets(sentences)
    if bench.remarks:
        console.print("\n[bold]About these numbers[/bold]")
        bullets(bench.remarks, "yellow")


def _problem(bench: Bench, backend: Backend) -> str | None:
    """Why nothing of a backend could be measured, or None."""
    from ..base.names import Status

    rows = [row for row in bench.rows if row.backend is backend and row.phase != "limit"]
    if not rows or any(row.status is Status.OK for row in rows):
        return None
    return f"nothing measured: {rows[0].reason}"
