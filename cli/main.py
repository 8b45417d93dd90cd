"""The entry point: registers the commands, turns errors into one clear sentence and an exit code."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from typing import Annotated, NoReturn, TextIO, cast

import typer

from .. import __version__
from ..base.errors import GemmafitError, TransportError
from ..base.names import Exit
from .app import app
from .console import SPELLED, Stream, plain

COMMANDS = (
    "check",
    "devices",
    "probe",
    "record",
    "bench",
    "report",
    "estimate",
    "explain",
    "model",
    "profiles",
    "compare",
    "matrix",
    "allowlist",
    "history",
    "lab",
    "schema",
)
"""Modules of this package in the order that `--help` shows; importing one registers its command."""

DEBUG = "GEMMAFIT_DEBUG"

for _name in COMMANDS:
    importlib.import_module(f".{_name}", __package__)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"gemmafit {__version__}")
        raise typer.Exit


_STATUSES = "\n".join(f"  {status:<3d} {status.meaning}" for status in Exit)
_HELP = f"""Will Gemma run on this Android phone, on which backend, with which model file, and how fast?

Start with `gemmafit check` (a phone on a cable) or `gemmafit check local` (this computer).

\b
Exit status:
{_STATUSES}
"""


@app.callback(help=_HELP)
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """The options of the program itself."""


def report_error(error: GemmafitError) -> None:
    """Print what failed, where, and what to do next, on stderr."""
    lines = [f"error: {plain(error, 1000)}"]
    if isinstance(error, TransportError):
        if error.serial:
            lines.append(f"  device:  {plain(error.serial)}")
        if error.command:
            lines.append(f"  command: {plain(error.command)}")
        if error.exit_status is not None:
            lines.append(f"  exit:    {error.exit_status}")
        if error.output.strip():
            lines.append(f"  output:  {plain(error.output.strip()[-400:])}")
    if error.hint:
        lines.append(f"  hint:    {plain(error.hint, 1000)}")
    typer.echo("\n".join(lines), err=True)


def _leave(status: int) -> NoReturn:
    """End with this status. Python ends itself by SIGINT instead where Ctrl-C met code that `exec` ran, as
    definitions of dataclasses are, though the interrupt was caught (pythonrun.c)."""
    if status == Exit.INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


def main() -> None:
    """Run the tool. Tracebacks are shown only with GEMMAFIT_DEBUG=1 in the environment."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file is UTF-8 whatever this computer's language is; a terminal shows what it can.
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors=SPELLED)
    sys.stdout, sys.stderr = (
        cast(TextIO, Stream(sys.stdout, answer=True)),
        cast(TextIO, Stream(sys.stderr, answer=False)),
    )
    try:
        app()
    except GemmafitError as error:
        if os.environ.get(DEBUG):
            raise
        report_error(error)
        _leave(error.exit_code)
    except SystemExit as ended:
        if ended.code == Exit.INTERRUPTED:  # Typer's own answer to Ctrl-C, before a command had one
            typer.echo("interrupted", err=True)
            _leave(Exit.INTERRUPTED)
        raise
    except Exception as error:
        # A defect of ours. Python's own exit status 1 would read as the verdict "fail".
        if os.environ.get(DEBUG):
            raise
        typer.echo(f"internal error: {type(error).__name__}: {plain(error)}", err=True)
        typer.echo(f"  hint:    {DEBUG}=1 shows where; please report it with that output", err=True)
        sys.exit(Exit.BROKE)


if __name__ == "__main__":
    main()
