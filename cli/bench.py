"""`gemmafit bench`: how fast the reference layer runs there, against what the machine can do at most."""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import __version__
from ..base.errors import Interrupted, UsageError
from ..base.units import timestamp
from .app import (
    AdbOption,
    BackendsOption,
    ForceOption,
    HtmlOption,
    NoCacheOption,
    ProfilesOption,
    RetuneOption,
    SustainedOption,
    TargetArgument,
    app,
    tuning,
)
from .console import emit, stderr
from .files import write

if TYPE_CHECKING:
    from ..base.events import Listener
    from ..benchmarks.sweeps.bench import Bench, OnRow, Wish
    from ..probes.snapshot import Snapshot
    from ..probes.target import Target
    from ..profiles.knowledge import Knowledge
    from ..profiles.tables import Tables


class SchemeName(StrEnum):
    """Weight schemes; the same names as `benchmarks.block.dims.Scheme`, which `--help` must not import."""

    INT8 = "int8"
    INT4 = "int4"


class SweepName(StrEnum):
    """Sweeps; the same names as `benchmarks.sweeps.settings.Sweep`."""

    WEIGHTS = "weights"
    FUSION = "fusion"
    CHUNK = "chunk"
    CONTEXT = "context"
    THREADS = "threads"
    BUILD = "build"
    LOAD = "load"


class DataFormat(StrEnum):
    """How the rows are written."""

    YAML = "yaml"
    JSON = "json"


@app.command(short_help="Benchmark the kernels: sweeps, machine limits, sustained load.")
def bench(
    target: TargetArgument = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the rows to this file (default: stdout, unless it is a terminal).",
        ),
    ] = None,
    format: Annotated[
        DataFormat | None,
        typer.Option(
            "--format", "-f", help="Format of the rows (default: from the extension of -o, else yaml)."
        ),
    ] = None,
    html: HtmlOption = None,
    sweep: Annotated[
        list[SweepName] | None,
        typer.Option(help="Sweep to run (repeatable; default: all but chunk and context)."),
    ] = None,
    limits: Annotated[
        bool | None,
        typer.Option(
            "--limits/--no-limits", help="Also measure machine limits (default: yes, unless --quick)."
        ),
    ] = None,
    sustained: SustainedOption = None,
    backend: BackendsOption = None,
    scheme: Annotated[
        list[SchemeName] | None, typer.Option(help="Only this weight format (repeatable).")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="int8 only, fewer repeats, no sweep but fusion, no limits.")
    ] = False,
    force: ForceOption = False,
    no_cache: NoCacheOption = False,
    retune: RetuneOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing to stderr.")] = False,
    adb: AdbOption = None,
    profiles: ProfilesOption = None,
) -> None:
    """How fast does the reference Gemma-2B layer run there, how near to the machine's limits?

    Every number comes with its spread, its distance from the reference and the state of the device; one that
    was measured while the device throttled is marked void.

    \b
    Examples:
      gemmafit bench local --quick               half a minute on this computer
      gemmafit bench --sweep chunk --sweep context
      gemmafit bench --sustained 120 --html throttling.html
      gemmafit bench replay:phone.yaml           the rows of a recording
    """
    from ..benchmarks.block.dims import Scheme
    from ..benchmarks.sweeps.bench import Wish
    from ..benchmarks.sweeps.settings import Sweep
    from ..benchmarks.tuning import Tuning
    from ..judge.references import load
    from ..probes.targets import resolve
    from .bench_screen import live, summary

    knowledge = load(profiles)
    wish = Wish(
        backends=tuple(backend or ()),
        schemes=tuple(Scheme(str(name)) for name in scheme or ([SchemeName.INT8] if quick else SchemeName)),
        quick=quick,
        limits=not quick if limits is None else limits,
        sweeps=tuple(Sweep(str(name)) for name in sweep) if sweep else None,
        sustained=sustained,
        tuning=Tuning(tuning(no_cache, retune)),
        classes=knowledge.kernels,
        force=force,
    )
    found = resolve(target, adb)
    with live(quiet) as (on_event, on_row):
        try:
            done, header = (
                _recorded(found, knowledge.tables)
                if found.recording is not None
                else _measured(found, wish, knowledge, on_event, on_row)
            )
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted before anything was measured; nothing was written") from error
    if done.interrupted and not done.rows:
        raise Interrupted("interrupted before anything was measured; nothing was written")
    data = done.to_dict(header)
    if output is not None:
        write(
            output, _text(data, format or (DataFormat.JSON if output.suffix == ".json" else DataFormat.YAML))
        )
    elif format is not None or not sys.stdout.isatty():
        emit(_text(data, format or DataFormat.YAML))
    if html is not None:
        from ..reports.pages.bench import bench_page

        write(html, bench_page(done, header))
    if not quiet:
        summary(done, stderr())
    if done.broken is not None:
        raise done.broken
    if done.interrupted:
        raise Interrupted(f"interrupted: the {len(done.rows)} rows until then were kept, marked as partial")


def _measured(
    target: Target, wish: Wish, knowledge: Knowledge, on_event: Listener, on_row: OnRow
) -> tuple[Bench, dict[str, Any]]:
    """The rows; none, with the reason, where the agent did not run."""
    from ..base.names import MEASURED
    from ..benchmarks.sweeps.bench import Bench
    from ..benchmarks.sweeps.bench import bench as measure
    from ..pipeline import broke
    from ..probes.collect import collect
    from ..probes.read import read
    from ..profiles.hazards import not_run

    capture = collect(target, force=wish.force, knowledge=knowledge, on_event=on_event)
    snapshot = read(capture, knowledge.tables)
    if (broken := broke(target, snapshot, knowledge)) is not None:
        state = snapshot.conditions
        return Bench(before=state, after=state, broken=broken), _header(target, snapshot)
    wish = replace(wish, hazards=not_run(MEASURED, snapshot, knowledge))
    return measure(target, snapshot, wish, on_event, on_row), _header(target, snapshot)


def _recorded(target: Target, tables: Tables) -> tuple[Bench, dict[str, Any]]:
    """The rows that a recording holds. Raises UsageError where it holds none."""
    from ..benchmarks.sweeps.bench import Bench
    from ..pipeline import recorded_measurements, recorded_spans
    from ..probes.collect import collect
    from ..probes.read import read

    capture = collect(target)
    rows = recorded_measurements(capture, target.serial)
    if not rows:
        raise UsageError(
            f"{target.serial} holds no measurements",
            hint="Record them with `gemmafit check TARGET --record FILE`.",
        )
    snapshot = read(capture, tables)
    spans = recorded_spans(capture, target.serial)
    before, after = (spans[0].before, spans[-1].after) if spans else (snapshot.conditions,) * 2
    return Bench(before=before, after=after, rows=rows, spans=spans), _header(target, snapshot)


def _header(target: Target, snapshot: Snapshot) -> dict[str, Any]:
    """What the rows are of: tool, time, target, device."""
    from ..judge.device import describe

    return {
        "tool": {"name": "gemmafit", "version": __version__},
        "created": timestamp(),
        "target": {"kind": str(target.kind), "serial": target.serial},
        "device": describe(snapshot),
    }


def _text(data: dict[str, Any], format: DataFormat) -> str:
    if format is DataFormat.JSON:
        import msgspec

        return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"
    from ..reports.writers.yaml import dump

    return dump(data)
