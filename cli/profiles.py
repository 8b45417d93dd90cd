"""`gemmafit profiles`: look into the knowledge base, and check a folder of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import ProfilesOption, app
from .console import emit, plain

profiles_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(
    profiles_app, name="profiles", help="Show the tables of models, runtimes, chips and known faults."
)


@profiles_app.command("list")
def list_(
    table: Annotated[
        str | None,
        typer.Argument(metavar="[TABLE]", help="Table whose rows to list (default: list the tables)."),
    ] = None,
    profiles: ProfilesOption = None,
) -> None:
    """List the tables, or the rows of one: id and why it is there."""
    from ..base.errors import UsageError
    from ..judge.validate import tables

    everything = tables(profiles)
    if table is None:
        emit("\n".join(f"{name:16}{len(rows):5} rows" for name, rows in everything.items()))
        return
    if table not in everything:
        raise UsageError(f"no table {table!r}", hint=f"Tables: {', '.join(everything)}.")
    width = min(44, max(map(len, everything[table]), default=0))
    for id, row in everything[table].items():
        emit(f"{plain(id):{width}}  {plain(_because(row), 110)}".rstrip())


def _because(row: object) -> object:
    """Why a row is there; rows of some tables hold it one level down, settings have none."""
    if not isinstance(row, dict):
        return row
    return row.get("because") or row.get("origin", {}).get("because", "")


@profiles_app.command()
def show(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A name from `gemmafit profiles list`.")],
    id: Annotated[str, typer.Argument(metavar="ID", help="Row id.")],
    profiles: ProfilesOption = None,
) -> None:
    """Print one row with its reason and source, as YAML."""
    import yaml

    from ..judge.validate import row

    found = row(profiles, table, id)
    emit(yaml.safe_dump({"id": id} | found, sort_keys=False, allow_unicode=True, width=100))


@profiles_app.command()
def validate(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Folder of your own tables (default: the built-in ones)."),
    ] = None,
) -> None:
    """Check every table: types, keys, references between them, reasons and sources.

    Exit status 2 names the file, line and key that are wrong.
    """
    from ..judge.validate import tables

    everything = tables(folder)
    emit(f"ok: {len(everything)} tables, {sum(map(len, everything.values()))} rows")
