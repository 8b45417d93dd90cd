"""Why the agent did not run, from what a capture holds about it."""

from __future__ import annotations

from ...base import limits
from ...base.errors import AgentCause
from ...base.names import MEASURED
from ..capture import Capture
from ..snapshot import AgentProblem
from .facts import Readout

_USUAL = frozenset({AgentCause.REFUSED, AgentCause.NO_FOLDER, AgentCause.READ_ONLY, AgentCause.NO_EXEC})
"""On most phones one of the stricter sections' places cannot be used, which says nothing."""


def agent_problem(capture: Capture) -> AgentProblem | None:
    """None: it ran, or was not asked for."""
    agent = capture.agent or {}
    probe = agent.get("probe")
    parts: dict[str, object] = probe if isinstance(probe, dict) else {}
    found = _problem(agent)
    if found is not None:
        missed = tuple(str(backend) for backend in MEASURED if backend not in parts)
        return AgentProblem(found.cause, found.sentence, missed)
    # A part that crashed was started. One with a cause could not be.
    rows = {str(backend): row for backend in MEASURED if (row := _problem(parts.get(backend), typed=True))}
    if not rows:
        return None
    first = next(iter(rows.values()))
    return AgentProblem(first.cause, first.sentence, tuple(rows), ended=len(rows) == len(MEASURED))


def read_sections(facts: Readout) -> list[str]:
    """Warnings: the agent could not look from one of the linker's stricter sections, for no usual reason."""
    sections = (facts.capture.agent or {}).get("sections")
    found: list[str] = []
    for name, row in list(sections.items())[: limits.FEW] if isinstance(sections, dict) else ():
        problem = _problem(row, typed=True)
        if problem is not None and problem.cause not in _USUAL:
            found.append(f"nothing was seen from [{str(name)[: limits.KEY_CHARS]}]: {problem.sentence}")
    return found


def _problem(row: object, *, typed: bool = False) -> AgentProblem | None:
    """`error` and `cause` of a mapping. Recordings of earlier versions have no cause: `typed` passes them
    over, as there an error was also a finding of the agent's own."""
    if not isinstance(row, dict) or not isinstance(row.get("error"), str):
        return None
    stated = row.get("cause")
    if typed and stated is None:
        return None
    known = isinstance(stated, str) and stated in AgentCause.__members__.values()
    cause = AgentCause(str(stated)) if known else AgentCause.FAILED
    return AgentProblem(cause, row["error"][: limits.TEXT_CHARS])
