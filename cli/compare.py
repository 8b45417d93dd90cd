"""`gemmafit compare`: what changed between two reports, folders of reports, or labels of a history."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.units import significant
from .app import HistoryOption, HtmlOption, ThresholdOption, app
from .console import safe, stdout

if TYPE_CHECKING:
    from ..lab.collection import ReportSource
    from ..lab.compare import Comparison

_STYLES = {"regression": "red", "improvement": "green", "change": "yellow", "unclear": "magenta"}


@app.command(short_help="Compare reports; exit 1 on a regression.")
def compare(
    before: Annotated[str, typer.Argument(metavar="A", help="Older report, folder, or history:LABEL.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Newer report, folder, or history:LABEL.")],
    threshold: ThresholdOption = 0.10,
    history: HistoryOption = None,
    html: HtmlOption = None,
) -> None:
    """What changed in verdict, recommendation, driver and speed. Exit 1 on a regression, 5 if unclear."""
    from ..lab.compare import compare_all

    comparison = compare_all(_sources(before, history), _sources(after, history), threshold)
    _print(comparison)
    if html is not None:
        from ..lab.pages import comparison_page
        from .files import write

        write(html, comparison_page(comparison, before, after, threshold))
    raise typer.Exit(comparison.exit)


def _sources(what: str, history: str | None) -> Iterable[ReportSource]:
    """The reports a user names; `history:LABEL` are those added under a label."""
    from ..base.errors import InputError
    from ..lab.collection import read_all

    prefix, _, label = what.partition(":")
    if prefix == "history":
        from ..lab.history import DEFAULT, Selection, open_history

        with open_history(history or DEFAULT) as opened:
            found = list(opened.newest(Selection(label=label)))
        if not found:
            raise InputError(f"the history holds no report with the label {label!r}")
        return found
    sources, unreadable = read_all([Path(what)])
    if not sources:
        reason = unreadable[0].reason if unreadable else "no YAML or JSON file in it"
        raise InputError(f"{what}: no report: {reason}")
    return sources


def _print(comparison: Comparison) -> None:
    console = stdout()
    for phone in comparison.phones:
        if not phone.changes:
            continue
        console.print(f"[bold]{safe(phone.name)}[/bold]")
        for change in phone.changes:
            ratio = f"  × {significant(change.ratio)}" if change.ratio else ""
            style = _STYLES[change.kind]
            console.print(
                f"  [{style}]{change.kind:<11}[/] {safe(change.what)}: "
                f"{safe(change.before)} → {safe(change.after)}{ratio}"
            )
    unchanged = sum(not phone.changes for phone in comparison.phones)
    console.print(f"[dim]{len(comparison.phones)} phones compared, {unchanged} unchanged[/dim]")
    for title, names in (("only in A", comparison.only_before), ("only in B", comparison.only_after)):
        if names:
            console.print(f"[dim]{title}: {safe(', '.join(names), 1000)}[/dim]")
