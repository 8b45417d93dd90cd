"""`gemmafit devices`: what there is to examine, and what to do about what cannot be used."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from .app import AdbOption, app
from .console import emit, safe, stderr, stdout

if TYPE_CHECKING:
    from ..probes.targets import Device


class DevicesAs(StrEnum):
    """How the list is printed."""

    TEXT = "text"
    JSON = "json"


@app.command(short_help="List phones, and how to fix those that are not ready.")
def devices(
    format: Annotated[DevicesAs, typer.Option("--format", "-f", help="Output format.")] = DevicesAs.TEXT,
    adb: AdbOption = None,
) -> None:
    """List the phones that adb knows, with their state and what to do about a bad one."""
    from ..probes.targets import devices as connected

    found = connected(adb)
    if format is DevicesAs.JSON:
        emit(json.dumps([{**asdict(d), "usable": d.usable} for d in found], indent=2))
    else:
        _table(found)


def _table(found: list[Device]) -> None:
    from rich.table import Table

    if not found:
        stderr().print("No phone is connected. `gemmafit check local` examines this computer.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("target", "state", "model", "what to do"):
        table.add_column(heading, overflow="fold")
    for d in found:
        state = f"[green]{safe(d.state)}[/]" if d.usable else f"[red]{safe(d.state)}[/]"
        table.add_row(safe(d.serial), state, safe(d.model or ""), safe(d.advice or ""))
    stdout().print(table)
