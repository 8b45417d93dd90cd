"""`gemmafit estimate`: what to expect of a phone that is not at hand."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..base.errors import UsageError
from .app import ProfilesOption, PromptTokensOption, RamOption, app
from .console import emit, safe, stderr, stdout

if TYPE_CHECKING:
    from ..judge.estimate import Anchor, Estimate
    from ..probes.snapshot import Snapshot
    from ..profiles.knowledge import Knowledge
    from ..reports.report import Range

SCHEMA = "gemmafit.estimate/1"

_BASIS = {"measured model": "m", "published for this chip": "p", "data sheet": "d"}
"""What an estimate rests on -> its mark in the table."""


WIDE = 96
"""Columns from which on there is room for the interval of the prefill speed."""


class EstimateFormat(StrEnum):
    TEXT = "text"
    YAML = "yaml"
    JSON = "json"


@app.command(short_help="Predict a phone that is not at hand.")
def estimate(
    gpu: Annotated[str, typer.Option(metavar="NAME", help='The GPU, e.g. "Adreno 740" or "Mali-G610 MC6".')],
    ram: RamOption,
    soc: Annotated[
        str | None, typer.Option(metavar="NAME", help="The SoC, where the GPU is in several.")
    ] = None,
    measured: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL=DECODE[/PREFILL]",
            help="Tokens/s that one model (id of the catalogue, @cpu or @opencl) reaches on that phone.",
        ),
    ] = None,
    family: Annotated[str, typer.Option(metavar="NAME", help="Only this model family.")] = "any",
    data_sheet: Annotated[
        bool, typer.Option("--data-sheet", help="Ignore what was published about this chip.")
    ] = False,
    prompt_tokens: PromptTokensOption = None,
    format: Annotated[
        EstimateFormat, typer.Option("--format", "-f", help="Output format.")
    ] = EstimateFormat.TEXT,
    profiles: ProfilesOption = None,
) -> None:
    """Predict speed and memory of every model file from a phone's specification, with honest error bars.

    The interval should hold the truth 9 times in 10 (measured by: python -m gemmafit.tools.calibrate).

    \b
    Examples:
      gemmafit estimate --gpu "Adreno 740" --ram 8
      gemmafit estimate --gpu "Mali-G720" --ram 12 --measured gemma-2b-it-gpu-int8=18.2/1280
    """
    from ..judge.estimate import estimate as run
    from ..judge.estimate import phone
    from ..judge.references import load

    knowledge = load(profiles)
    if family != "any" and family not in knowledge.families:
        raise UsageError(f"unknown family {family!r}", hint="Families: " + ", ".join(knowledge.families))
    snapshot = phone(gpu, ram, soc, knowledge)
    anchor = _anchor(measured, knowledge)
    asked = {} if prompt_tokens is None else {"prompt_tokens": prompt_tokens}
    rows = run(snapshot, knowledge, anchor, data_sheet_only=data_sheet, **asked)
    rows = [row for row in rows if family in ("any", row.model.family)]
    if format is EstimateFormat.TEXT:
        _show(snapshot, rows, knowledge)
    else:
        _dump(snapshot, rows, format)


def _anchor(text: str | None, knowledge: Knowledge) -> Anchor | None:
    from ..judge.estimate import Anchor

    if text is None:
        return None
    name, _, speeds = text.partition("=")
    id, _, backend = name.partition("@")
    decode, _, prefill = speeds.partition("/")
    model = knowledge.models.get(id)
    if model is not None and not backend:
        backend = next(
            (b for b in model.backends if b == "opencl"), model.backends[0] if model.backends else ""
        )
    try:
        anchor = Anchor(id, backend, float(decode), float(prefill) if prefill else None)
    except ValueError as error:
        raise UsageError(f"--measured {text}: not MODEL=DECODE[/PREFILL]") from error
    if not 0 < anchor.decode < 1e6 or (anchor.prefill is not None and not 0 < anchor.prefill < 1e7):
        raise UsageError(f"--measured {text}: speeds are tokens per second")
    return anchor


def _show(snapshot: Snapshot, rows: list[Estimate], knowledge: Knowledge) -> None:
    from rich.table import Table

    from ..judge.estimate import possible_socs, similar

    gpu, soc = snapshot.gpu, snapshot.soc
    total = snapshot.memory.total_bytes or 0
    parts = [gpu.model, gpu.architecture, soc.name, f"{total / 2**30:.1f} GiB usable"]
    console = stdout()
    console.print("[bold]" + safe(" · ".join(p for p in parts if p)) + "[/bold]")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("model file", overflow="fold")
    for name in ("on", "decode tok/s", "prefill tok/s", "first s", "GB", "fits", ""):
        table.add_column(name, no_wrap=True)
    for row in rows:
        p = row.predicted
        table.add_row(
            safe(row.model.id),
            row.backend,
            _cell(p.decode_tok_s),
            _cell(p.prefill_tok_s, console.width >= WIDE),
            "?" if p.ttft_s is None else _number(p.ttft_s.value),
            "?" if p.peak_memory_bytes is None else f"{p.peak_memory_bytes.value / 1e9:.1f}",
            str(row.memory),
            _BASIS[row.basis] if p.decode_tok_s is not None else "",
        )
    console.print(table)
    if not any(row.predicted.decode_tok_s for row in rows if row.backend == "opencl"):
        alike = [name for name in similar(gpu.model or "", knowledge) if name != gpu.model]
        note = f"no table has the memory of a phone with {gpu.model}: its speed is not known"
        note += f"; GPUs named alike are {', '.join(alike)}" if alike else ""
        stderr().print(f"[yellow]{safe(note)}[/yellow]")
    if soc.name is None and (names := possible_socs(gpu.model or "", knowledge.tables)):
        note = f"the CPU is not known: name the SoC with --soc ({', '.join(names[:6])})"
        stderr().print(f"[dim]{safe(note)}[/dim]")
    known = dict.fromkeys(row.basis for row in rows if row.predicted.decode_tok_s is not None)
    if known:
        legend = ", ".join(f"{_BASIS[b]} {b}" for b in known)
        stderr().print(f"[dim]value (holds the truth 9 times in 10); from: {legend}; nothing was run[/dim]")


def _cell(value: Range | None, interval: bool = True) -> str:
    if value is None:
        return "?"
    text = _number(value.value, 3)
    return f"{text} ({_number(value.low)}-{_number(value.high)})" if interval else text


def _number(value: float, digits: int = 2) -> str:
    """Rounded to significant digits, never in powers of ten."""
    if value <= 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(value))
    return f"{round(value, places):.{max(places, 0)}f}"


def _dump(snapshot: Snapshot, rows: list[Estimate], format: EstimateFormat) -> None:
    import msgspec

    data: dict[str, Any] = {
        "schema": SCHEMA,
        "evidence": "predicted",
        "gpu": {
            "vendor": snapshot.gpu.vendor,
            "model": snapshot.gpu.model,
            "architecture": snapshot.gpu.architecture,
        },
        "soc": snapshot.soc.name,
        "ram_bytes": snapshot.memory.total_bytes,
        "variants": [
            {
                "id": row.model.id,
                "file": row.model.file,
                "backend": row.backend,
                "basis": row.basis,
                "memory": str(row.memory),
                "predicted": msgspec.to_builtins(row.predicted),
            }
            for row in rows
        ],
    }
    if format is EstimateFormat.JSON:
        emit(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
    else:
        import yaml

        emit(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))
