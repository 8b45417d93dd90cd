"""`gemmafit allowlist`: from reports to the lists that apps and stores use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..base.names import AllowlistFormat
from .app import OutputOption, ProfilesOption, app
from .console import safe, stderr


@app.command(short_help="Turn reports into a device list for an app or a store.")
def allowlist(
    paths: Annotated[list[Path], typer.Argument(metavar="REPORTS...", help="Report files or folders.")],
    output: OutputOption = None,
    format: Annotated[
        AllowlistFormat,
        typer.Option(
            "--format",
            "-f",
            help="gemmafit's YAML, AI Edge Gallery JSON, Play device-targeting XML, or a table for apps.",
        ),
    ] = AllowlistFormat.YAML,
    deny: Annotated[bool, typer.Option("--deny", help="List the phones on which nothing works.")] = False,
    profiles: ProfilesOption = None,
) -> None:
    """Rules for which phones get which file, no further than the evidence goes; conflicts are listed."""
    from ..base.errors import InputError
    from ..judge.references import load
    from ..lab import allowlist as rules
    from ..lab.collection import read_all
    from ..lab.formats import writer
    from .files import deliver

    sources, unreadable = read_all(paths)
    console = stderr()
    for bad in unreadable:
        console.print(f"[yellow]not a report:[/yellow] {safe(bad.reason)}")
    if not sources:
        raise InputError("no report to make a list from")
    built = rules.build(sources)
    listed = built.only(denied=deny)
    for conflict in built.conflicts:
        console.print(f"[yellow]conflict:[/yellow] {safe(conflict.what)}: {safe(conflict.because)}")
    for left in built.left_out:
        console.print(f"[dim]left out: {safe(left.path)}: {safe(left.reason)}[/dim]")
    deliver(writer(format)(listed, load(profiles)), output)
    console.print(f"{len(listed.rules)} rules from {len(sources)} reports")
