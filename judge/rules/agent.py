"""Ran? Whether the agent did what it was asked for; what it did not see is unknown, and never a failure."""

from __future__ import annotations

from ...base.names import CheckStatus
from ...reports.report import Check
from ..case import Case, Question


def ran(case: Case) -> list[Check]:
    """Nothing where the agent ran or was not asked for.

    An error where the whole run ended over it, a skip where only some backends were left out.
    """
    problem = case.snapshot.agent_problem
    if problem is None:
        return []
    left_out = "" if problem.ended else f"; not looked at: {', '.join(problem.backends)}"
    return [
        case.check(
            Question("agent", "ran"),
            CheckStatus.ERROR if problem.ended else CheckStatus.SKIP,
            problem.reason,
            found=problem.clause + left_out,
            required="the agent runs on the device, for each backend",
            because=f"{problem.statement} {case.knowledge.reasons[problem.reason].because}",
        )
    ]
