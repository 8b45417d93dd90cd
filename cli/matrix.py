"""`gemmafit matrix`: which kinds of phones a set of reports covers, and which are missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.units import significant
from .app import HistoryOption, HtmlOption, app
from .console import safe, stderr, stdout

if TYPE_CHECKING:
    from ..lab.matrix import Axis, Matrix

_VERDICTS = {"pass": "green", "degraded": "yellow", "fail": "red", "inconclusive": "magenta"}
_MOST_MISSING = 12


@app.command(short_help="Show which chips and Android versions a lab covers.")
def matrix(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="REPORTS...", help="Report files or folders.")
    ] = None,
    history: HistoryOption = None,
    html: HtmlOption = None,
) -> None:
    """Count phones by CPU core, GPU generation, Android version and memory, with verdicts and speeds.

    Says which architectures are missing, and which phone would close the largest gap. Without REPORTS the
    newest report of each phone in the history counts.
    """
    from ..lab import matrix as coverage
    from ..lab.collection import read_all
    from ..lab.field import field
    from ..lab.history import DEFAULT, open_history
    from ..profiles.loader import load

    known, kinds = field(load().tables)
    if paths:
        sources, unreadable = read_all(paths)
        for bad in unreadable:
            stderr().print(f"[yellow]not a report:[/yellow] {safe(bad.reason)}")
        built = coverage.build(sources, known, kinds)
    else:
        with open_history(history or DEFAULT) as opened:
            built = coverage.build(opened.newest(), known, kinds)
    _print(built)
    if html is not None:
        from ..lab.pages import matrix_page
        from .files import write

        write(html, matrix_page(built))


def _print(built: Matrix) -> None:
    console = stdout()
    console.print(f"[bold]{built.phones} phones[/bold] [dim]in {built.reports} reports[/dim]")
    for axis in built.axes:
        console.print(_table(axis))
        if axis.missing:
            more = len(axis.missing) - _MOST_MISSING
            rest = f" and {more} more" if more > 0 else ""
            console.print(f"[dim]missing:[/dim] {safe(', '.join(axis.missing[:_MOST_MISSING]), 2000)}{rest}")
    for suggestion in built.suggestions:
        adds = ", ".join(value for _, value in suggestion.closes)
        console.print(f"[bold]add[/bold] {safe(suggestion.example)} [dim]for {safe(adds)}[/dim]")


def _table(axis: Axis) -> object:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(axis.title)
    table.add_column("phones", justify="right")
    for verdict, style in _VERDICTS.items():
        table.add_column(verdict, justify="right", style=style)
    table.add_column("decode", justify="right")
    for cell in axis.cells:
        speed = f"{significant(cell.decode_tok_s)} t/s" if cell.decode_tok_s else ""
        counts = (str(cell.verdicts.get(verdict, "")) for verdict in _VERDICTS)
        table.add_row(safe(cell.value), str(cell.phones), *counts, speed)
    return table
