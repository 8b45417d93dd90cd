"""`gemmafit history`: keep reports over years and find them again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import HistoryOption, OutputOption, app
from .console import emit, safe, stderr, stdout

history_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Keep reports: SQLite by default, PostgreSQL by URL.",
)
app.add_typer(history_app, name="history")


@history_app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(metavar="REPORTS...", help="Report files or folders.")],
    label: Annotated[str, typer.Option(help="What these reports are, for `compare history:LABEL`.")] = "",
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
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
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
    identifier: Annotated[int, typer.Argument(metavar="ID", help="Number from `history list`.")],
    output: OutputOption = None,
    history: HistoryOption = None,
) -> None:
    """Print one report as it was added."""
    from ..lab.history import DEFAULT, open_history
    from ..reports.writers import Format
    from .files import write

    with open_history(history or DEFAULT) as opened:
        text = Format.YAML.writer()(opened.report(identifier).report)
    if output is None:
        emit(text)
    else:
        write(output, text)
