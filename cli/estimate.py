"""`gemmafit estimate`: what to expect of a phone that is not at hand."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.errors import UsageError
from ..base.names import Backend, ReportFormat
from ..base.units import significant, size, timestamp
from .app import ProfilesOption, PromptTokensOption, RamOption, RuntimeVersionOption, SdkOption, app
from .console import safe, stderr, stdout
from .files import write_report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..judge.estimate import Anchor
    from ..profiles.knowledge import Knowledge
    from ..reports.report import Range, Report

WIDE = 110
"""Columns from which on there is room for the interval of the prefill speed, and for what it rests on."""


class EstimateFormat(StrEnum):
    """How the estimate is printed."""

    TEXT = "text"
    YAML = "yaml"
    JSON = "json"


@app.command(short_help="Predict from specifications, without the phone.")
def estimate(
    gpu: Annotated[str, typer.Option(metavar="NAME", help='The GPU, e.g. "Adreno 740" or "Mali-G610 MC6".')],
    ram: RamOption,
    soc: Annotated[
        str | None, typer.Option(metavar="NAME", help="The SoC, if several have this GPU.")
    ] = None,
    measured: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL=DECODE[/PREFILL]",
            help="Speed measured on that phone: MODEL[@cpu or @opencl]=DECODE[/PREFILL], in tokens/s.",
        ),
    ] = None,
    cpu: Annotated[
        str | None,
        typer.Option(metavar="CORES", help="CPU cores and MHz, e.g. 4xCortex-A53@1500+4xCortex-A73@2000."),
    ] = None,
    abi: Annotated[
        str | None, typer.Option(metavar="NAME", help="App ABI, e.g. arm64-v8a or armeabi-v7a.")
    ] = None,
    sdk: SdkOption = None,
    driver: Annotated[
        str | None, typer.Option(metavar="TEXT", help="GPU driver version, as the phone reports it.")
    ] = None,
    facts: Annotated[
        list[str] | None,
        typer.Option(
            "--fact",
            metavar="NAME=VALUE",
            help="Any other fact the tables ask for, e.g. identity.model=SM-G977B (repeatable).",
        ),
    ] = None,
    family: Annotated[str, typer.Option(metavar="NAME", help="Model family to judge.")] = "any",
    data_sheet: Annotated[
        bool, typer.Option("--data-sheet", help="Ignore published benchmarks of this chip.")
    ] = False,
    prompt_tokens: PromptTokensOption = None,
    runtime_version: RuntimeVersionOption = None,
    format: Annotated[
        EstimateFormat, typer.Option("--format", "-f", help="Output format.")
    ] = EstimateFormat.TEXT,
    profiles: ProfilesOption = None,
) -> None:
    """Judge a phone by its specification: verdict, the file to ship, speed and memory of every model file.

    The rules are those of `check`, on what is stated; what a description rarely says is assumed, and the line
    `assumed:` names it. The interval of a speed should hold the truth 9 times in 10 (measured by: python -m
    gemmafit.tools.calibrate). YAML and JSON are the report, as of `check`.

    \b
    Examples:
      gemmafit estimate --gpu "Adreno 740" --ram 8
      gemmafit estimate --gpu "Mali-G720" --ram 12 --measured gemma-2b-it-gpu-int8=18.2/1280
      gemmafit estimate --gpu "Adreno 660" --ram 8 --abi armeabi-v7a --fact opencl.app.visible=no

    Exit status: 0 whatever the verdict; nothing was run.
    """
    from ..base.options import Options
    from ..judge.estimate import estimate as run
    from ..judge.references import load

    knowledge = load(profiles)
    report = run(
        gpu=gpu,
        ram_gb=ram,
        knowledge=knowledge,
        soc=soc,
        cpu=cpu,
        abi=abi,
        sdk=sdk,
        driver=driver,
        facts=_facts(facts or ()),
        measured=_anchor(measured, knowledge),
        data_sheet_only=data_sheet,
        options=Options(family=family, prompt_tokens=prompt_tokens, runtime_version=runtime_version),
        created=timestamp(),
    )
    if format is EstimateFormat.TEXT:
        _show(report, knowledge)
    else:
        write_report(report, ReportFormat(format), None)


def _facts(texts: Iterable[str]) -> dict[str, str]:
    found = [text.partition("=") for text in texts]
    for name, sign, value in found:
        if not (name and sign and value):
            raise UsageError(f"--fact {name}{sign}{value}: not NAME=VALUE")
    return {name.strip(): value.strip() for name, _, value in found}


def _anchor(text: str | None, knowledge: Knowledge) -> Anchor | None:
    from ..judge.estimate import Anchor

    if text is None:
        return None
    name, _, speeds = text.partition("=")
    id, _, backend = name.partition("@")
    decode, _, prefill = speeds.partition("/")
    model = knowledge.models.get(id)
    if backend:
        where = Backend.of(backend)
    else:
        files = model.listed_on if model is not None else (Backend.OPENCL,)
        where = min(files, key=lambda b: b.about.rank)
    if where is None:
        raise UsageError(
            f"--measured {text}: no backend {backend!r}", hint=f"Backends: {', '.join(Backend)}."
        )
    try:
        return Anchor(id, where, float(decode), float(prefill) if prefill else None)
    except ValueError as error:
        raise UsageError(f"--measured {text}: not MODEL=DECODE[/PREFILL]") from error


def _show(report: Report, knowledge: Knowledge) -> None:
    from ..judge.estimate import possible_socs, similar
    from .render import answer, causes, closing, decisive, opening

    console, notes = stdout(), stderr()
    opening(report, console)
    answer(report, console)
    decisive(report, console)
    causes(report, console)
    console.print(_files(report, knowledge, console))
    closing(report, console)
    speeds = [row for row in report.variants if row.predicted and row.predicted.decode_tok_s]
    gpu = str(report.device["gpu"]["model"])
    if not any((b := Backend.of(row.backend)) and b.about.is_gpu for row in speeds):
        alike = [name for name in similar(gpu, knowledge) if name != gpu]
        note = f"no table has the memory of a phone with {gpu}: its speed is not known"
        note += f"; GPUs named alike are {', '.join(alike)}" if alike else ""
        notes.print(f"[yellow]{safe(note)}[/yellow]")
    soc = report.device["soc"]
    if not (soc["name"] or soc["one_of"]) and (names := possible_socs(gpu, knowledge.tables)):
        note = f"the CPU is not known: name the SoC with --soc ({', '.join(names[:6])})"
        notes.print(f"[dim]{safe(note)}[/dim]")
    if speeds:
        notes.print("[dim]value (holds the truth 9 times in 10); nothing was run[/dim]")


def _files(report: Report, knowledge: Knowledge, console: Console) -> Table:
    """Every file of the family asked for on every backend, as judged."""
    from rich.table import Table

    from .render import cell

    family = report.extra["asked"]["family"]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("model file", overflow="fold")
    wide = console.width >= WIDE
    for name in ("on", "", "decode tok/s", "prefill", "first s", "memory", *(["from"] if wide else [])):
        table.add_column(name, no_wrap=True)
    for row in report.variants:
        p = row.predicted
        if p is None or p.peak_memory_bytes is None or family not in ("any", knowledge.models[row.id].family):
            continue  # made for something else
        table.add_row(
            safe(row.id),
            row.backend,
            cell(row.status, wide),
            _speed(p.decode_tok_s),
            _speed(p.prefill_tok_s, wide),
            "?" if p.ttft_s is None else significant(p.ttft_s.value),
            "?" if p.peak_memory_bytes is None else size(p.peak_memory_bytes.value),
            *([safe(p.basis or "")] if wide else []),
        )
    return table


def _speed(value: Range | None, interval: bool = True) -> str:
    if value is None:
        return "?"
    return value.text() if interval else significant(value.value)
