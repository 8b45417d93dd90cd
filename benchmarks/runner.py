"""One backend of a device, ready to run plans: builds them, runs them, and turns what comes back into rows.

All that may go wrong on a device is a row; only a device that is lost raises.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from ..base.errors import AgentCause, AgentError, DeadlineExceeded, ToolchainError
from ..base.events import Event, Listener, ignore
from ..base.names import Status
from ..base.protocol import FREE_PERCENT, RUN_SECONDS
from ..base.units import size
from ..probes.snapshot import Snapshot
from ..probes.target import AgentSession
from . import trust
from .block.dims import GEMMA_2B, Block, Dims, Phase, Scheme
from .limits import Limit
from .lowerer import Candidate, Lowerer
from .measurements import Measurement
from .plan import Plan
from .process import PlanOutcome, execute
from .rows import References, block_rows, empty_row, limit_rows
from .timing import Timing


@dataclass(frozen=True)
class NotRun:
    """Why a plan has no outcome. `cause`: its interpreter is not there, or did not start. `shortage`: it
    needs more memory than there is."""

    status: Status
    reason: str
    cause: AgentCause | None = None
    shortage: bool = False

    def row(self, empty: Measurement) -> Measurement:
        """As a measurement."""
        details = empty.details if self.cause is None else {**empty.details, "cause": str(self.cause)}
        details = {**details, "shortage": True} if self.shortage else details
        return replace(empty, status=self.status, reason=self.reason, details=details)


MOST_TRIES = 3
"""How often a plan is run at most where other programs disturbed it."""
PAUSE_S = 0.5
"""Before it is run again: what an app does when it starts or is left is over by then."""


@dataclass
class Patience:
    """Seconds left for measuring again, of a runner and its copies: a device that is busy throughout is not
    waited for at each plan."""

    seconds: float = 15.0


@dataclass
class Runner:
    """See the module. `references` may be shared by the runners of several backends.

    Attributes:
        patience: for rows that other programs disturbed.
        gone: the backend turned out not to be there, or its interpreter cannot be started.
    """

    session: AgentSession
    snapshot: Snapshot
    lower: Lowerer
    references: References
    dims: Dims = GEMMA_2B
    on_event: Listener = ignore
    gone: bool = False
    patience: Patience = field(default_factory=Patience)

    @property
    def place(self) -> str:
        """The device in a sentence."""
        return self.snapshot.origin.noun

    def block(
        self,
        scheme: Scheme,
        phase: Phase,
        candidate: Candidate,
        timing: Timing,
        *,
        logits: bool = True,
        again: bool = True,
    ) -> list[Measurement]:
        """The rows of one process: one a step; one alone where it could not be run. `again`: in further
        processes where other programs disturbed it."""
        block = Block(self.dims, scheme, phase)
        empty = empty_row(self.lower.backend, block, candidate)
        self.on_event(Event("block", f"{self.lower.backend} {scheme} {phase.name}, {candidate.name}"))

        def once() -> Iterable[Measurement]:
            outcome = self.execute(
                lambda: self.lower.lower(block, candidate.name, timing, logits=logits), timing.deadline
            )
            if isinstance(outcome, NotRun):
                return [outcome.row(empty)]
            return block_rows(empty, block, outcome[0], candidate, outcome[1], self.references, self.place)

        return self.undisturbed(once) if again else list(once())

    def limits(self) -> list[Measurement]:
        """One row a machine limit; one alone where none could be measured."""
        self.on_event(Event("limits", f"{self.lower.backend} machine limits"))
        backend = self.lower.backend

        def once() -> Iterable[Measurement]:
            figures: list[Limit] = []

            def make() -> Plan:
                plan, limits = self.lower.limits()
                figures.extend(limits)
                return plan

            outcome = self.execute(make)
            if isinstance(outcome, NotRun):
                return [outcome.row(Measurement(backend, "", "limit", "all", outcome.status))]
            return limit_rows(backend, outcome[0], tuple(figures), outcome[1], self.place)

        return self.undisturbed(once)

    def undisturbed(self, once: Callable[[], Iterable[Measurement]]) -> list[Measurement]:
        """The rows of a process; while other programs disturb any, of further ones, as long as patience
        lasts."""
        rows = list(once())
        for _ in range(MOST_TRIES - 1):
            hit = next((row for row in rows if row.disturbed), None)
            if hit is None or self.gone or self.patience.seconds <= 0:
                break
            self.on_event(Event("busy", f"{hit.reason}: measuring again"))
            start = time.monotonic()
            time.sleep(PAUSE_S)
            repeated = {(row.phase, row.variant): row for row in once()}
            rows = [
                trust.better(row, repeated[row.phase, row.variant])
                if row.disturbed and (row.phase, row.variant) in repeated
                else row
                for row in rows
            ]
            self.patience.seconds -= time.monotonic() - start
        return rows

    def execute(
        self, make: Callable[[], Plan], deadline: float = RUN_SECONDS
    ) -> tuple[Plan, PlanOutcome] | NotRun:
        """Build and run a plan. A device that is lost, or has no place for the agent any more, raises
        TransportError; all else is a value.

        What was not built, and an interpreter that does not start, say nothing about the device: skipped.
        """
        try:
            plan = make()
            free = self.snapshot.memory.available_bytes
            if free is not None and 100 * plan.size > FREE_PERCENT * free:
                needs = f"needs {size(plan.size)}, {size(free)} of memory are free"
                return NotRun(Status.SKIPPED, needs, shortage=True)
            outcome = execute(self.session, plan, deadline, self.on_event)
        except (AgentError, ToolchainError) as error:
            cause = error.cause or AgentCause.FAILED
            if isinstance(error, AgentError) and cause.of_place:
                raise
            self.gone = True
            if cause is AgentCause.FLOOD:  # it was started
                return NotRun(Status.ERROR, str(error))
            return NotRun(Status.SKIPPED, str(error), cause)
        except DeadlineExceeded as error:
            return NotRun(Status.ERROR, str(error))
        if outcome.missing:
            self.gone = True
            return NotRun(Status.UNSUPPORTED, outcome.problem or "this backend is not there")
        return plan, outcome
