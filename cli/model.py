"""`gemmafit model inspect`: what a model file really is, whether all of it is there, whether it will load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..base.names import Exit
from .app import AdbOption, ProfilesOption, app
from .console import emit, plain, safe, stdout

if TYPE_CHECKING:
    from rich.console import Console

    from ..benchmarks.measurements import Measurement
    from ..judge.modelfit import Fit, Recognised
    from ..probes.modelfile import Finding, ModelFile, Section, TensorGroup
    from ..probes.snapshot import Snapshot
    from ..profiles.knowledge import Knowledge, Model
    from ..reports.report import Report

model_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Inspect model files.")
app.add_typer(model_app, name="model")

SCHEMA = "gemmafit.modelfile/1"
_STYLE = {"error": "red", "fail": "red", "warning": "yellow", "warn": "yellow", "pass": "green"}


class ModelFormat(StrEnum):
    """How the file is described."""

    TEXT = "text"
    YAML = "yaml"
    JSON = "json"


@model_app.callback()
def group() -> None:
    """Inspect model files."""


@model_app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Model file, under any name.")],
    target: Annotated[
        str | None,
        typer.Argument(metavar="TARGET", help="Also judge whether it loads on this phone (as for `check`)."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A gemmafit report of the phone instead.")
    ] = None,
    hash: Annotated[
        bool, typer.Option("--hash", help="Also compute the SHA-256 (reads the whole file).")
    ] = False,
    format: Annotated[ModelFormat, typer.Option("--format", "-f", help="Output format.")] = ModelFormat.TEXT,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    adb: AdbOption = None,
    profiles: ProfilesOption = None,
) -> None:
    """Read a model file's tables: format, sections, quantisation, backend, completeness, catalogue entry.

    Reads some megabytes at most, also of files over 4 GiB; --hash reads all of it.

    \b
    Examples:
      gemmafit model inspect gemma-2b-it-gpu-int8.bin
      gemmafit model inspect gemma3-1b-it-int4.litertlm R5CT200ABCD --hash

    Exit status: 0 good, 1 the file is broken or loads on none of its backends there, 5 it is unknown.
    """
    from ..base.errors import UsageError
    from ..judge.modelfit import identify, will_run
    from ..judge.references import load
    from ..probes.modelfile import inspect as read

    if target is not None and report is not None:
        raise UsageError("TARGET and --report exclude each other")
    knowledge = load(profiles)
    found = read(file)
    if hash:
        found = replace(found, sha256=_digest(file, quiet))
    identity = identify(found, knowledge)
    judged = _judged(target, report, adb, knowledge)
    fit = None
    if judged is not None:
        snapshot, known, measurements = judged
        fit = will_run(found, identity, snapshot, knowledge, report=known, measurements=measurements)
    if format is ModelFormat.TEXT:
        show(found, identity, fit)
    else:
        _dump(found, identity, fit, format)
    if status := exit_code(found, identity, fit):
        raise typer.Exit(status)


def exit_code(file: ModelFile, identity: Recognised, fit: tuple[Fit, ...] | None) -> Exit:
    """See the command's help."""
    broken = any(f.severity == "error" for f in (*file.findings, *identity.findings))
    if broken or (fit and all(f.status in ("fail", "error") for f in fit)):
        return Exit.FAIL
    if fit is not None and not any(f.status in ("pass", "warn") for f in fit):
        return Exit.INCONCLUSIVE
    return Exit.PASS if file.complete else Exit.INCONCLUSIVE


def _digest(file: Path, quiet: bool) -> str:
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from ..base.events import Event
    from ..probes.modelfile import digest
    from .console import stderr

    if quiet:
        return digest(file)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress("SHA-256", *columns, console=stderr(), transient=True) as bar:
        task = bar.add_task("hash", total=None)

        def show(event: Event) -> None:
            bar.update(task, completed=event.done, total=event.total)

        return digest(file, show)


def _judged(
    target: str | None, report: Path | None, adb: str | None, knowledge: Knowledge
) -> tuple[Snapshot, Report, Sequence[Measurement]] | None:
    """What is known of the phone, the judge's report on it, and what ran there; None where none is named."""
    if report is not None:
        from ..reports.from_report import snapshot_of
        from ..reports.report_io import load

        known = load(report)
        return snapshot_of(known), known, list(known.measurements)
    if target is not None:
        from ..base.options import Request
        from ..pipeline import examine
        from ..probes.targets import resolve

        found = examine(resolve(target, adb), Request(run=False, push=False), knowledge=knowledge)
        if found.broken is not None:
            raise found.broken
        return found.snapshot, found.report, found.measurements
    return None


def show(file: ModelFile, identity: Recognised, fit: tuple[Fit, ...] | None) -> None:
    """Print what is known of a file, and where it loads."""
    console = stdout()
    complete = {True: "[green]complete[/]", False: "[red]not complete[/]", None: "[magenta]unknown[/]"}
    console.print(f"[bold]{safe(Path(file.path).name)}[/]: {safe(file.what)}, {file.size:,} bytes")
    console.print(f"  content: {complete[file.complete]}")
    facts = {
        "backends": _backends(file.backends),
        "does": ", ".join(("text", *file.parts)) if file.backends and file.parts else None,
        "compiled for": (" ".join(file.npu).strip() or "an NPU") if file.npu else None,
        "model type": file.model_type,
        "context": file.context,
        "needs runtime": file.min_runtime,
        "sha256": file.sha256,
    }
    for name, value in facts.items():
        if value is not None:
            console.print(f"  {name}: {safe(value)}")
    if identity.model is not None:
        console.print(f"  catalogue: {safe(identity.model.id)} [dim](by {identity.how})[/dim]")
        for line in _catalogue(identity.model) if file.complete else ():
            console.print(f"    {safe(line)}")
    else:
        console.print("  catalogue: not in it")
    _weights(console, file.weights or (file.tflite.weights if file.tflite else ()), "  ")
    for section in file.sections:
        _section(console, section)
    for finding in (*file.findings, *identity.findings):
        _finding(console, finding)
    if fit and all(one.status in ("fail", "error") for one in fit):
        why = next((check for one in fit for check in one.checks if check.status in ("fail", "error")), None)
        if why is not None:
            needs = f"it needs {safe(why.required)}, there is {safe(why.found)}"
            console.print(f"[bold red]loads nowhere there[/]: {needs}")
    for one in fit or ():
        style = _STYLE.get(one.status, "magenta")
        codes = f" [dim]{safe(', '.join(one.reasons))}[/dim]" if one.reasons else ""
        console.print(f"[bold]runs on {safe(one.backend)} there[/]: [{style}]{one.status}[/]{codes}")
        for check in one.checks:
            if check.status != "pass":
                console.print(
                    f"  [{_STYLE.get(check.status, 'magenta')}]{check.status}[/] {safe(check.id)}: "
                    f"{safe(check.because)} Found: {safe(check.found)}. Required: {safe(check.required)}."
                )


def _catalogue(row: Model) -> list[str]:
    """What the catalogue says of a file that its own tables do not."""
    able = [("text", row.backends), *row.does.items()] if row.backends else []
    lines = [f"{skill}: {', '.join(backends)}" for skill, backends in able]
    if row.needs is not None:
        lines.append(f"needs {row.runtime} {row.needs} or later")
    if row.purpose is not None:
        lines.append(f"made for {row.purpose}")
    return lines


def _backends(names: tuple[str, ...] | None) -> str | None:
    return f"{names[0]} only" if names and len(names) == 1 else ", ".join(names or ()) or None


def _section(console: Console, section: Section) -> None:
    constraint = section.properties.get("backend_constraint")
    extra = f" [dim]only on {safe(constraint)}[/dim]" if constraint else ""
    console.print(f"  {section.begin:>14,}  {section.size:>14,} bytes  {safe(section.name)}{extra}")
    if section.tflite is not None:
        _weights(console, section.tflite.weights, " " * 18)


def _weights(console: Console, groups: Sequence[TensorGroup], indent: str) -> None:
    for group in groups[:6]:
        console.print(
            f"{indent}{safe(group.dtype)}, {_scales(group.scales)}: {group.tensors} tensors, "
            f"{group.bytes:,} bytes, largest {group.largest:,}"
        )


def _scales(name: str) -> str:
    return "no scales" if name == "none" else f"a scale per {safe(name)}"


def _finding(console: Console, finding: Finding) -> None:
    style = _STYLE.get(finding.severity, "dim")
    remedy = f" [cyan]→ {safe(finding.remedy)}[/cyan]" if finding.remedy else ""
    console.print(f"[{style}]{finding.severity}[/]: {safe(finding.text, 1000)}{remedy}")


def _dump(file: ModelFile, identity: Recognised, fit: tuple[Fit, ...] | None, format: ModelFormat) -> None:
    import msgspec

    data: dict[str, Any] = {"schema": SCHEMA, **msgspec.to_builtins(file)}
    data["path"] = plain(data["path"], 4096)
    row = identity.model
    data["catalogue"] = None if row is None else {"id": row.id, "file": row.file, "by": str(identity.how)}
    data["findings"] += msgspec.to_builtins(identity.findings)
    if fit is not None:
        data["loads"] = msgspec.to_builtins(fit)
    if format is ModelFormat.JSON:
        emit(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
    else:
        import yaml

        emit(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))
