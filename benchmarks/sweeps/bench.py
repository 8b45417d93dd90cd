"""`gemmafit bench` as one function: the backends' own measurements, limits, sweeps and sustained load, each
between two looks at the state of the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...base.bounds import require
from ...base.errors import TransportError
from ...base.events import Event, Listener, ignore
from ...base.names import MEASURED, Backend, Status
from ...base.units import seconds
from ...probes.collect import ask_conditions
from ...probes.snapshot import Conditions, Snapshot
from ...probes.target import AgentSession, Target
from .. import layouts, notes, run, trust
from ..backends import Candidate, lowerer
from ..measurements import Measurement
from ..rows import References
from ..runner import Runner
from ..states import Span, conditions
from . import settings as sweeps
from . import storage
from .findings import SweepFinding, above_the_roof, findings
from .settings import Base, Sweep

SCHEMA = "gemmafit.bench/1"

_CUT = "Interrupted: more was to come, and whether the device throttled during the last rows is not known."

STAGE = "bench"
"""Of the events that count the steps of a benchmark; others count within a plan."""
USUAL_S = 110.0
"""Seconds after which no usual sweep is begun: who asks for nothing special waits two minutes. A sweep that
was named is always done."""

PREFILL_MS = 500
"""Of timed prefill in a process of a sweep; what is compared there has two processes each."""

OnRow = Callable[[Measurement], None]


@dataclass(frozen=True)
class Wish(run.BlockOptions):
    """What to measure: the block as `run.BlockOptions` say, and beyond it.

    Attributes:
        sweeps: None for the usual ones.
        sustained: seconds of decode on each backend, or None.
    """

    limits: bool = False
    sweeps: tuple[Sweep, ...] | None = None
    sustained: float | None = None

    def __post_init__(self) -> None:
        require(vars(self))

    @property
    def swept(self) -> tuple[Sweep, ...]:
        named = self.sweeps if self.sweeps is not None else sweeps.QUICK if self.quick else sweeps.USUAL
        return tuple(sorted(named, key=lambda sweep: sweep not in sweeps.QUICK))


@dataclass
class Bench:
    """What was measured so far.

    Attributes:
        rows: all rows, also those that are void, skipped or broken.
        spans: the device's state around each step.
        broken: what ended it before its time, or None.
        interrupted: the user ended it: what was measured by then is there.
    """

    before: Conditions = field(default_factory=Conditions)
    after: Conditions = field(default_factory=Conditions)
    rows: list[Measurement] = field(default_factory=list[Measurement])
    broken: TransportError | None = None
    interrupted: bool = False
    spans: list[Span] = field(default_factory=list[Span])

    @property
    def findings(self) -> list[SweepFinding]:
        """What the rows say, in sentences."""
        return findings(self.rows)

    @property
    def layouts(self) -> list[layouts.Layouts]:
        """The engine's layout and the best one, where both were measured."""
        return layouts.every(self.rows)

    @property
    def remarks(self) -> list[str]:
        """What a reader of the numbers should know."""
        cut = [_CUT] if self.interrupted else []
        return cut + notes.notes(self.rows, self.before, self.after) + above_the_roof(self.rows)

    def to_dict(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """The file of a benchmark: `header` (tool, target, device, created), conditions, findings, rows."""
        return {
            "schema": SCHEMA,
            **header,
            "conditions": conditions(self.spans, self.before, self.after),
            **({"incomplete": str(self.broken)} if self.broken is not None else {}),
            **({"interrupted": True} if self.interrupted else {}),
            "notes": self.remarks,
            "layouts": [pair.to_dict() for pair in self.layouts],
            "agent": notes.agent_memory(self.rows),
            "findings": [finding.to_dict() for finding in self.findings],
            "measurements": [row.to_dict() for row in self.rows],
        }


def bench(
    target: Target,
    snapshot: Snapshot,
    wish: Wish,
    on_event: Listener = ignore,
    on_row: OnRow = lambda row: None,
) -> Bench:
    """Measure. A device that is lost on the way ends it: `broken` says how, the rows until then are there.
    So are they after Ctrl-C (`interrupted`).

    Raises AgentError if no session can be opened on the target.
    """
    done = Bench()
    try:
        with target.session(on_event, awake=True) as session:
            done.before = done.after = ask_conditions(target, session=session)
            _Run(target, session, snapshot, wish, on_event, on_row, done).all()
    except TransportError as error:
        done.broken = error
    except KeyboardInterrupt:
        done.interrupted = True
    return done


@dataclass
class _Run:
    target: Target
    session: AgentSession
    snapshot: Snapshot
    wish: Wish
    on_event: Listener
    on_row: OnRow
    done: Bench
    references: References = field(default_factory=References)
    started: float = field(default_factory=time.monotonic)
    steps: int = 0
    step: int = 0
    what: str = ""

    def all(self) -> None:
        chosen = [b for b in MEASURED if not self.wish.backends or b in self.wish.backends]
        self.steps = len(chosen) * (1 + self.wish.limits + len(self.wish.swept)) + self.wish.limits
        self.steps += len(chosen) * bool(self.wish.sustained)
        ready = [found for backend in chosen if (found := self.backend(backend)) is not None]
        if self.wish.limits:
            self.next("limits", "storage")
            cpu = lowerer(Backend.CPU, self.snapshot)
            self.add(storage.storage_rows(Runner(self.session, self.snapshot, cpu, self.references)))
        if self.wish.sustained:  # last: a phone that it made hot is of no use for anything else
            for runner, base in ready:
                backend = runner.lower.backend
                self.next("sustained", f"{backend} for {seconds(self.wish.sustained)}")
                self.add([trust.sustained(runner, base, self.wish.sustained)])

    def next(self, stage: str, message: str) -> None:
        """Say what begins, and how far the whole is: steps are not equally long, so no time is promised."""
        self.step += 1
        self.what = f"{stage} {message}"
        self.on_event(Event(STAGE, f"{stage} {message}", self.step, self.steps))

    def add(self, rows: Iterable[Measurement]) -> list[Measurement]:
        """Keep and show rows, which are being measured: void if the device is no longer as at the start."""
        here: list[Measurement] = []
        start = len(self.done.rows)
        for row in rows:
            row = notes.typed([*self.done.rows, row])[-1]
            here.append(row)
            self.done.rows.append(row)
            self.on_row(row)
        before, self.done.after = self.done.after, ask_conditions(self.target, session=self.session)
        here = trust.judged(here, before, self.done.after, self.done.before)
        self.done.spans.append(Span(self.what, before, self.done.after))
        self.done.rows[start:] = here
        return here

    def backend(self, backend: Backend) -> tuple[Runner, Base] | None:
        self.next("block", str(backend))
        own = replace(self.wish, limits=False)  # they come next, once for every backend
        args = (self.session, self.snapshot, backend, own, self.references, self.on_event)
        rows = self.add(run.backend_rows(*args))
        runner = Runner(
            self.session,
            self.snapshot,
            lowerer(backend, self.snapshot, classes=self.wish.classes),
            self.references,
            self.wish.dims,
            on_event=self.on_event,
        )
        base = self.base(runner, rows)
        if base is None:
            self.step += self.wish.limits + len(self.wish.swept)
            return None
        if self.wish.limits:
            self.next("limits", str(backend))
            self.add(runner.limits())
        cores = sum(cluster.count or 0 for cluster in self.snapshot.cpu.clusters) or 1
        for sweep in self.wish.swept:
            self.next("sweep", f"{backend} {sweep}")
            late = self.wish.sweeps is None and time.monotonic() - self.started > USUAL_S
            self.add([_late(sweep, backend, base)] if late else sweeps.sweep_rows(sweep, runner, base, cores))
        return runner, base

    def base(self, runner: Runner, rows: list[Measurement]) -> Base | None:
        """The fastest right variant of the first scheme that has one; None if nothing runs there. Where no
        row is sound, the first right one in the order that suits such a device: sweeps are measured for
        themselves."""
        candidates = {c.name: c for c in runner.lower.candidates()}
        for scheme in self.wish.schemes:
            tried: dict[Candidate, Measurement] = {
                candidates[row.variant]: row
                for row in rows
                if row.phase == "decode" and row.scheme == scheme and row.variant in candidates
            }
            best = run.fastest(tried) or next((c for c, row in tried.items() if row.right), None)
            if best is not None:
                return Base(
                    best,
                    scheme,
                    self.wish.context,
                    self.wish.chunk_for(tried[best].seconds),
                    self.wish.timing("decode"),
                    replace(self.wish.timing("prefill"), budget_ms=PREFILL_MS),
                )
        return None


def _late(sweep: Sweep, backend: Backend, base: Base) -> Measurement:
    why = f"{seconds(USUAL_S)} were over; `--sweep {sweep}` measures it"
    row = Measurement(backend, base.scheme, "decode", base.candidate.name, Status.SKIPPED, why)
    return replace(row, details={"sweep": str(sweep)})
