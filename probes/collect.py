"""Ask a target everything a probe knows to ask: the questions of `commands.py`, then the agent, and last what
only the system can still tell. What is dangerous there by a known fault is left alone (profiles/hazards.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..base import limits
from ..base.errors import AgentCause, AgentError, InputError, ToolchainError, TransportError
from ..base.events import Event, Listener, ignore
from ..base.files import read_text
from ..base.names import MEASURED, Backend, TargetKind
from ..base.units import timestamp
from . import agent_causes
from .capture import Answer, Capture
from .commands import VKJSON, commands
from .parsers.text import ParseError, json_value
from .read import read
from .snapshot import AgentProblem, Conditions
from .target import AgentSession, Command, Target

if TYPE_CHECKING:
    from ..profiles.knowledge import Knowledge, Step


@dataclass(frozen=True)
class ProbePart:
    """What is peculiar to the probe of a backend, which else is one process of the agent.

    Attributes:
        sections: stricter linker sections from which it is repeated. What opens only in [unrestricted] is a
            red flag for apps (see readers/opencl.py).
        otherwise: what the system is asked where the agent left it open, and what a fault may forbid of that.
    """

    sections: tuple[str, ...] = ()
    otherwise: tuple[Command, Step] | None = None


PARTS: Mapping[Backend, ProbePart] = {
    Backend.CPU: ProbePart(),
    Backend.OPENCL: ProbePart(sections=("isolated", "system")),
    Backend.VULKAN: ProbePart(otherwise=(VKJSON, "vkjson")),
}
"""One for each backend that the agent looks at: those that something runs on."""

AGENT_SECONDS = 20
"""Deadline of one probe, which the agent keeps itself; the first load of a driver takes up to 3 s."""
GRACE_SECONDS = 5


def collect(
    target: Target,
    *,
    push: bool = True,
    package: str | None = None,
    system: bool = True,
    force: bool = False,
    knowledge: Knowledge | None = None,
    on_event: Listener = ignore,
) -> Capture:
    """A capture of the target.

    Args:
        push: also run the agent's probes. False leaves nothing on the device, not even for a moment.
        package: an installed app whose declarations are asked for.
        system: False if nobody wants to know what the agent left open: spares risky questions (`otherwise`).
        force: open drivers that a known fault says to leave alone, too.
        knowledge: holds the faults; None for the built-in tables.

    A question or an agent's probe that fails is recorded as such, and so is an agent that did not run
    (`agent`: `error`, `cause`; see readers/agent.py). Raises TargetError if the target is not there,
    TransportError if it is lost before it answered. A device lost while the agent runs leaves what was
    answered; `recorded["incomplete"]` says so, too.
    """
    if target.recording is not None:
        return target.recording
    answers = target.ask(commands(package), on_event)
    recorded: dict[str, Any] = {
        "at": timestamp(),
        "tool": f"gemmafit {__version__}",
        "serial": target.serial,
    }
    agent: dict[str, Any] | None = None

    def avoid(step: Step, backend: Backend) -> str | None:
        """Why a step is left out, by all that is known until now."""
        from ..profiles.hazards import reason
        from ..profiles.loader import load

        known = knowledge or load()
        now = read(Capture(target.kind, recorded, answers, agent), known.tables)
        return reason(step, backend, now, known)

    if push:
        agent = {}
        try:
            with target.session(on_event) as session:
                _probe_all(session, agent, target.kind, None if force else avoid, on_event)
        except (TransportError, ToolchainError) as error:
            problem = agent_causes.of_error(error)
            agent |= problem_row(problem)
            if problem.cause is AgentCause.LOST:
                recorded["incomplete"] = problem.sentence
    if system and "incomplete" not in recorded:
        answers |= _ask_system(target, agent, avoid, recorded, on_event)
    return Capture(target.kind, recorded, answers, agent)


def _ask_system(
    target: Target,
    agent: dict[str, Any] | None,
    avoid: Callable[[Step, Backend], str | None],
    recorded: dict[str, Any],
    on_event: Listener,
) -> dict[str, Answer]:
    """What only the system can still tell, of parts that the agent left open; notes what was left alone."""
    answers: dict[str, Answer] = {}
    for backend, part in PARTS.items():
        if part.otherwise is None or _answered(backend, agent):
            continue
        question, step = part.otherwise
        if (why := avoid(step, backend)) is not None:
            recorded["left_alone"] = {question.key: f"{question.script} was not asked: {why}"}
            continue
        try:
            answers |= target.ask((question,), on_event)
        except TransportError as error:  # the restart that it is reported for: what was answered stays
            recorded["incomplete"] = str(error)
            break
    return answers


def problem_row(problem: AgentProblem) -> dict[str, Any]:
    """As a capture holds it, of the whole agent or of one part of its probe."""
    return {"error": problem.sentence, "cause": str(problem.cause)}


def _answered(backend: Backend, agent: dict[str, Any] | None) -> bool:
    """Whether the agent's probe leaves nothing to ask the system about a backend.

    "No Vulkan" is an answer, and so is a driver that killed the probe or hung in it: in a process of the
    system it would do the same. No answer is an agent that was not pushed, did not start or left nothing to
    read.
    """
    part = ((agent or {}).get("probe") or {}).get(backend)
    return isinstance(part, dict) and (part.get("crashed") is not True or part.get("in_driver") is True)


STATE = ("battery", "power", "power_modes", "thermal", "cpu_topology", "load")
"""The questions that tell the state a device is in."""


def ask_conditions(
    target: Target, on_event: Listener = ignore, session: AgentSession | None = None
) -> Conditions:
    """The device's state now, in one round trip. Raises TransportError if it is lost.

    session: one that is open, which knows whether the device is kept awake.
    """
    answers = target.ask([command for command in commands() if command.key in STATE], on_event)
    found = read(Capture(target.kind, {}, answers)).conditions
    awake = None if session is None else session.awake
    if awake is None:
        return found
    return replace(found, kept_awake=awake.kept, awake_refusal=None if awake.kept else awake.because)


def _probe_all(
    session: AgentSession,
    agent: dict[str, Any],
    kind: TargetKind,
    avoid: Callable[[Step, Backend], str | None] | None,
    on_event: Listener,
) -> None:
    """One process a backend: a driver that crashes costs its own part. `avoid` says which are not opened."""
    probe: dict[str, Any] = {}
    agent["probe"] = probe
    for backend in MEASURED:
        # The CPU has no driver to open: its probe reads files.
        why = avoid("open", backend) if avoid is not None and backend.about.accelerator else None
        if why is not None:
            probe[str(backend)] = {"error": f"its driver was not opened: {why}", "left_alone": True}
        else:
            try:
                probe.update(_probe(session, backend, "unrestricted", on_event))
            except (AgentError, ToolchainError) as error:
                problem = agent_causes.of_error(error)
                if kind.android and problem.cause.of_place:
                    raise
                probe[str(backend)] = {**problem_row(problem), "crashed": True}
    if not kind.android:
        return
    sections: dict[str, Any] = {}
    for backend, part in PARTS.items():
        for section in part.sections if probe[backend].get("left_alone") is not True else ():
            try:
                found = _probe(session, backend, section, on_event)
            except AgentError as error:
                found = problem_row(agent_causes.of_error(error))
            sections[section] = {**sections.get(section, {}), **found}
    if sections:
        agent["sections"] = sections


def _probe(session: AgentSession, backend: Backend, section: str, on_event: Listener) -> dict[str, Any]:
    """The probe of one backend, or in its place what went wrong."""
    what = f"{backend} probe" if section == "unrestricted" else f"{backend} probe from [{section}]"
    on_event(Event("agent", what))
    start = time.monotonic()
    run = session.run(
        backend,
        ["probe", "--out", "probe.json", "--only", backend, "--deadline", str(AGENT_SECONDS)],
        results=["probe.json"],
        deadline=AGENT_SECONDS + GRACE_SECONDS,
        section=section,
    )
    on_event(Event("agent", what, seconds=time.monotonic() - start))
    file = run.files.get("probe.json")
    problem = "it wrote no probe.json"
    read_back: dict[str, Any] = {}
    if file is not None:
        try:
            read_back = checked_probe(read_text(file, limits.PROBE_BYTES, "probe.json", errors="replace"))
            problem = f"its probe.json says nothing about {backend}"
        except (ParseError, InputError) as error:
            problem = str(error).removeprefix(f"{file.parent}/")
    if isinstance(read_back.get(backend), dict):
        return read_back
    if ending := run.ending(AGENT_SECONDS + GRACE_SECONDS):
        problem = f"it {ending}"
    failed: dict[str, Any] = {"error": f"the {what} failed: {problem}", "crashed": True}
    if read_back and (run.timed_out or run.signal is not None):
        # The agent writes what it has before it opens a library: that is where it died.
        failed["in_driver"] = True
    return {**read_back, str(backend): failed}


def checked_probe(text: str) -> dict[str, Any]:
    """probe.json as a mapping that a capture file can hold. Raises ParseError."""
    # The parts of all backends and two more sections share one file, four levels below its top.
    probe = json_value(text, limits.CAPTURE_NODES // 8)
    if not isinstance(probe, dict):
        raise ParseError("probe.json is no JSON object")
    return probe
