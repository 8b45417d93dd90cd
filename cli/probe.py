"""`gemmafit probe`: who is this phone, and what can be seen of it by whom. Runs and judges nothing."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.events import Event, Listener
from ..base.units import seconds
from .app import AdbOption, ForceOption, OutputOption, ProfilesOption, TargetArgument, app
from .console import emit, safe, stderr, stdout

if TYPE_CHECKING:
    from ..probes.snapshot import Snapshot


class ProbeFormat(StrEnum):
    """How the snapshot is printed: a screen for people, or all of it for programs."""

    TEXT = "text"
    YAML = "yaml"
    JSON = "json"


@app.command(short_help="Identify a phone and the GPU libraries apps can open.")
def probe(
    target: TargetArgument = None,
    format: Annotated[
        ProbeFormat, typer.Option("--format", "-f", help="Summary, or everything that was probed.")
    ] = ProbeFormat.TEXT,
    output: OutputOption = None,
    no_push: Annotated[bool, typer.Option("--no-push", help="Push nothing to the phone.")] = False,
    force: ForceOption = False,
    package: Annotated[
        str | None,
        typer.Option(metavar="PKG", help="Judge library access for this installed app."),
    ] = None,
    timings: Annotated[
        bool, typer.Option("--timings", help="List each round trip and agent run with its duration.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
    adb: AdbOption = None,
    profiles: ProfilesOption = None,
) -> None:
    """Show who a phone is: SoC, CPU, GPU, memory, and what is visible to the shell and to apps.

    \b
    Examples:
      gemmafit probe                     the one connected phone
      gemmafit probe --no-push           without copying anything to it
      gemmafit probe --package com.example.app
      gemmafit probe replay:phone.yaml --format yaml
    """
    from ..judge.references import load
    from ..pipeline import broke
    from ..probes.collect import collect
    from ..probes.read import read
    from ..probes.targets import resolve
    from .files import write
    from .progress import progress

    knowledge = load(profiles)
    steps: list[Event] = []
    device = resolve(target, adb)
    with progress(quiet) as show:
        capture = collect(
            device,
            push=not no_push,
            package=package,
            force=force,
            knowledge=knowledge,
            on_event=_both(show, steps.append),
        )
    snapshot = read(capture, knowledge.tables)
    problem = snapshot.agent_problem
    if format is ProbeFormat.TEXT and output is None:
        from ..probes.vulkan_profile import webgpu_fallback
        from .probe_screen import render

        remedy = knowledge.reasons[problem.reason].remedy if problem else None
        render(snapshot, stdout(), remedy, webgpu_fallback(knowledge))
    else:
        text = _serialised(snapshot, format)
        if output is None:
            emit(text)
        else:
            write(output, text)
    if timings:
        _timings(steps)
    elif not quiet and any(step.seconds is not None for step in steps):
        stderr().print(f"[dim]{_asked(steps)}[/dim]")
    if (broken := broke(device, snapshot, knowledge)) is not None:
        raise broken


def _both(first: Listener, second: Listener) -> Listener:
    def listener(event: Event) -> None:
        first(event)
        second(event)

    return listener


def _serialised(snapshot: Snapshot, format: ProbeFormat) -> str:
    from ..probes.snapshot_io import to_dict

    data = to_dict(snapshot)
    if format is ProbeFormat.JSON:
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    import yaml

    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
    return text


def _asked(steps: list[Event]) -> str:
    """How many round trips of questions and how many runs of the agent, and how long they took."""
    parts = []
    for stage, what in (("probe", "round trip"), ("agent", "run of the agent")):
        took = [step.seconds for step in steps if step.stage == stage and step.seconds is not None]
        if took:
            plural = what if len(took) == 1 else what.replace("trip", "trips").replace("run ", "runs ")
            parts.append(f"{len(took)} {plural} in {seconds(sum(took))}")
    return ", ".join(parts)


def _timings(steps: list[Event]) -> None:
    """Every step that took time, in order."""
    console = stderr()
    for step in steps:
        if step.seconds is not None:
            console.print(f"[dim]{step.seconds:8.3f} s  {safe(step.stage)}: {safe(step.message)}[/dim]")
    console.print(f"{sum(step.seconds or 0.0 for step in steps):8.3f} s  in all: {_asked(steps)}")
