"""`gemmafit lab run`: many phones, from an inventory."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.errors import UsageError
from ..base.names import Exit
from ..base.units import seconds
from .app import AdbOption, HtmlOption, ParallelOption, app
from .console import emit, safe, stderr, stdout

if TYPE_CHECKING:
    from ..lab.job import JobRow
    from ..lab.pool import Pool

lab_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Run a whole device lab, resume it, list results."
)
app.add_typer(lab_app, name="lab")

_STYLES = {"done": "green", "partial": "red", "failed": "red", "unreachable": "yellow", "stopped": "yellow"}


@lab_app.command()
def run(
    inventory: Annotated[
        Path | None,
        typer.Argument(metavar="LAB.yaml", help="Servers and phones (default: all connected phones)."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the plan, results and reports."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run in DIR; finished phones are skipped.")
    ] = False,
    parallel: ParallelOption = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="tcp://HOST:PORT", help="Dask scheduler, for a lab that spans machines."),
    ] = None,
    html: HtmlOption = None,
    adb: AdbOption = None,
) -> None:
    """Examine every phone of a lab in parallel. A report or a reason for each, however it ended.

    Ctrl-C once lets the running steps end and writes what is there; twice stops at once; --resume goes on.
    """
    import msgspec

    from ..lab.inventory import Inventory, load
    from ..lab.run import LabRun, execute, make_plan

    if folder is None:
        raise UsageError("a lab run needs a folder", hint="Add -o DIR.")
    lab = load(inventory) if inventory is not None else Inventory()
    if adb is not None:
        lab = msgspec.structs.replace(lab, servers=(adb,))
    pool = _pool(scheduler, parallel or lab.parallel)
    kept = LabRun(folder)
    console = stderr()
    if resume:
        jobs = kept.todo()
        console.print(f"[dim]resuming: {len(jobs)} of {len(kept.plan().jobs)} phones to do[/dim]")
    else:
        plan = make_plan(lab, pool.discover(lab))
        kept.start(plan)
        jobs = list(plan.jobs)
        for row in plan.unreachable:
            console.print(row_line(row))
    execute(kept, jobs, pool, lambda row: console.print(row_line(row)))
    rows = kept.rows()
    if html is not None:
        _page(html, rows, folder)
    code = Exit.worst(row.exit() for row in rows)
    console.print(f"[dim]{len(rows)} phones, exit {code}; results in {safe(folder)}[/dim]")
    raise typer.Exit(code)


class PhonesAs(StrEnum):
    """How the phones of a run are listed."""

    TEXT = "text"
    MARKDOWN = "markdown"


@lab_app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a lab run.")],
    format: Annotated[PhonesAs, typer.Option("--format", "-f", help="Output format.")] = PhonesAs.TEXT,
    html: HtmlOption = None,
) -> None:
    """List the phones of a run and how each ended."""
    from ..lab.run import LabRun
    from ..lab.table import markdown

    kept = LabRun(folder)
    kept.plan()
    rows = kept.rows()
    if html is not None:
        _page(html, rows, folder)
    if format is PhonesAs.MARKDOWN:
        emit(markdown(rows))
    else:
        console = stdout()
        for row in rows:
            console.print(row_line(row))


@lab_app.command()
def worker(
    scheduler: Annotated[str, typer.Argument(metavar="tcp://HOST:PORT", help="The Dask scheduler.")],
    adb: AdbOption = None,
) -> None:
    """Serve the phones of this machine's adb server to a lab run elsewhere."""
    from ..lab.cluster import serve

    serve(scheduler, adb)


def _page(html: Path, rows: list[JobRow], folder: Path) -> None:
    from ..lab.pages import lab_page
    from .files import write

    write(html, lab_page(rows, str(folder)))


def _pool(scheduler: str | None, parallel: int) -> Pool:
    if scheduler is not None:
        from ..lab.cluster import DaskPool

        return DaskPool(scheduler)
    from ..lab.pool import ThreadPool

    return ThreadPool(parallel)


def row_line(row: JobRow) -> str:
    """A phone's result on one line, as Rich markup."""
    style = _STYLES[row.status]
    parts = [f"[{style}]{row.status:<11}[/] [bold]{safe(row.serial)}[/bold]"]
    if row.verdict:
        parts.append(safe(row.verdict))
    if row.seconds:
        parts.append(f"[dim]{seconds(row.seconds)}[/dim]")
    if row.waited_s >= 1:
        parts.append(f"[dim]waited {seconds(row.waited_s)}[/dim]")
    if row.error:
        parts.append(safe(row.error) + (f" [cyan]→ {safe(row.hint)}[/cyan]" if row.hint else ""))
    return "  ".join(parts)
