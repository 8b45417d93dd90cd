"""How often a step is repeated."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.protocol import RUN_SECONDS
from .plan import Dispatch, Step


@dataclass(frozen=True)
class Timing:
    """How often a step is timed; see `plan.Step`.

    Attributes:
        deadline: seconds, of the process that runs the step.
    """

    warmup: int = 1
    repeat_min: int = 3
    repeat_max: int = 20
    budget_ms: int = 1000
    deadline: float = RUN_SECONDS

    def step(self, name: str, dispatches: tuple[Dispatch, ...] = (), returns: tuple[str, ...] = ()) -> Step:
        return Step(name, dispatches, returns, self.warmup, self.repeat_min, self.repeat_max, self.budget_ms)


DEFAULT = Timing()
