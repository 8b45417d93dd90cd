"""`gemmafit history`: keep reports over years and find them again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..base.names import ReportFormat
from .app import HistoryOption, IdentifierArgument, LimitOption, OutputOption, app
from .console import safe, stderr, stdout

history_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Store reports over time, in SQLite or PostgreSQL.",
)
app.add_typer(history_app, name="history")


@history_app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(metavar="REPORTS...", help="Report files or folders.")],
    label: Annotated[str, typer.Option(help="Label for these reports, for `compare history:LABEL`.")] = "",
    history: HistoryOption = None,
) -> None:
    """Append reports; one that is there already is not added again."""
    from ..base.errors import InputError
    from ..lab.collection import read_all
    from ..lab.history import DEFAULT, open_history

    sources, unreadable = read_all(paths)
    for bad in unreadable:
        stderr().print(f"[yellow]not a report:[/yellow] {safe(bad.reason)}")
    if not sources:
        raise InputError("no report to add")
    with open_history(history or DEFAULT) as opened:
        added, known = opened.add(sources, label)
    stderr().print(f"{added} added, {known} already there")


@history_app.command("list")
def list_reports(
    phone: Annotated[str | None, typer.Option(help="Only phones whose name or serial contains this.")] = None,
    label: Annotated[str | None, typer.Option(help="Only reports with this label.")] = None,
    limit: LimitOption = 50,
    history: HistoryOption = None,
) -> None:
    """List reports, the newest first."""
    from rich import box
    from rich.table import Table

    from ..lab.history import DEFAULT, Selection, open_history

    with open_history(history or DEFAULT) as opened:
        entries = opened.entries(Selection(label=label, phone=phone), limit)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("id", "created", "label", "phone", "verdict", "recommended", "GPU", "driver"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        cells = (entry.id, entry.created, entry.label, entry.name, entry.verdict, entry.choice, entry.gpu)
        table.add_row(*(safe(cell if cell is not None else "") for cell in (*cells, entry.driver)))
    stdout().print(table)


@history_app.command()
def show(
    identifier: IdentifierArgument,
    output: OutputOption = None,
    history: HistoryOption = None,
) -> None:
    """Print one report as it was added."""
    from ..lab.history import DEFAULT, open_history
    from .files import write_report

    with open_history(history or DEFAULT) as opened:
        source = opened.report(identifier)
    write_report(source.report, ReportFormat.YAML, output)
