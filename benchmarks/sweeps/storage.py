"""How fast storage reads, without root: what a model file needs to be loaded.

The agent writes a file of pseudo-random bytes, so that neither compression nor a sparse file flatters the
result, and reads it in pieces without looking at them: cold, after the file left the page cache, and warm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...base.names import Backend
from ...base.protocol import LOAD_UNIT
from ..limits import Limit
from ..measurements import Measurement
from ..plan import Buffer, Plan
from ..rows import limit_rows
from ..runner import NotRun, Runner
from ..timing import Timing

FILE_BYTES = 64 << 20
"""Several times what a read-ahead hides; a phone's storage writes it in a second."""


def plan() -> tuple[Plan, tuple[Limit, ...]]:
    """storage_cold and storage_warm, GB/s."""
    timing = Timing(warmup=1, repeat_min=3, repeat_max=5, budget_ms=500)
    names = ("storage_cold", "storage_warm")
    steps = tuple(replace(timing.step(name), load=LOAD_UNIT, cold=name == "storage_cold") for name in names)
    file = Buffer("file", FILE_BYTES, "i8", seed=3, rows=FILE_BYTES >> 12, cols=1 << 12, stored=True)
    return Plan(Backend.CPU, (file,), (), steps), tuple(Limit(name, "GB/s", FILE_BYTES) for name in names)


def storage_rows(runner: Runner) -> list[Measurement]:
    """A row for each, or one alone where nothing ran. `runner` is one of the CPU. Raises TransportError if
    the device is lost."""
    made, limits = plan()

    def once() -> Iterable[Measurement]:
        outcome = runner.execute(lambda: made)
        if isinstance(outcome, NotRun):
            return [Measurement(Backend.CPU, "", "limit", "storage", outcome.status, outcome.reason)]
        return limit_rows(Backend.CPU, made, limits, outcome[1], runner.place)

    return runner.undisturbed(once)
