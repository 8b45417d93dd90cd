"""Runs one plan in a session: a process of its own on the target, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.errors import AgentError
from ..base.events import Listener
from ..base.protocol import EXIT_MISSING, EXIT_OK, EXIT_USAGE
from ..base.units import stated
from ..probes.target import AgentRun, AgentSession
from .interpreter.result import Result, read
from .plan import Plan


@dataclass(frozen=True)
class PlanOutcome:
    """How a plan ended.

    Attributes:
        result: what was written, as far as it got; None if nothing readable.
        problem: why not all of it is there, or None.
        missing: the backend is not there.
    """

    result: Result | None
    problem: str | None
    missing: bool = False


def execute(session: AgentSession, plan: Plan, deadline: float, on_line: Listener) -> PlanOutcome:
    """Push and run a plan. A crash, a refusal and an unreadable result are outcomes.

    Raises TransportError if the device itself is lost, AgentError if the interpreter cannot be started.
    """
    session.push({"plan.txt": plan.to_text().encode(), **plan.files})
    run = session.run(
        plan.backend,
        ["run", "--plan", "plan.txt", "--out", "result", "--deadline", stated(deadline)],
        results=["result.json", "result.bin"],
        deadline=deadline,
        on_line=on_line,
    )
    result: Result | None = None
    unreadable: str | None = None
    if "result.json" in run.files:
        try:
            result = read(run.files["result.json"], run.files.get("result.bin"))
        except AgentError as error:
            unreadable = str(error)
    problem = _ending(run, deadline, result)
    if result is None and problem is None:
        problem = unreadable or "no result was written"
    return PlanOutcome(result, problem, missing=run.exit == EXIT_MISSING)


def _ending(run: AgentRun, deadline: float, result: Result | None) -> str | None:
    error = result.error if result is not None else None
    if run.exit == EXIT_OK:
        return None if result is None or result.complete else error or "ended before all steps were run"
    if run.exit == EXIT_MISSING:
        return error or run.said or "this backend is not there"
    if run.exit == EXIT_USAGE:
        return f"the plan was refused: {run.said}"
    return run.ending(deadline)
