"""Runs the reference block on a target: every backend, scheme and phase, each compared with the reference.

One process for each backend and plan, so that a driver that crashes costs a row. Of the variants of a GPU
backend two do every scheme and phase: the fastest *correct* one at decode, and the fastest in the engine's
layout, which its speed is predicted from. A wrong one is recorded and never chosen. What was chosen is
remembered (`tuning.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..base.errors import ToolchainError, UsageError
from ..base.events import Event, Listener, ignore
from ..base.names import MEASURED, Backend, Status
from ..base.units import seconds
from ..probes.collect import ask_conditions
from ..probes.snapshot import Snapshot
from ..probes.target import AgentSession, Target
from ..profiles.knowledge import KernelClass
from . import notes, trust
from .backends import LOWERERS, Candidate, Lowerer, lowerer
from .block.dims import GEMMA_2B, Block, Dims, Phase, Scheme, decode, prefill
from .measurements import Measurement
from .rows import References, empty_row
from .runner import Runner
from .states import Span
from .timing import Timing
from .tuning import Choices, Tuning, memory


@dataclass(frozen=True)
class BlockOptions:
    """What to run.

    Attributes:
        backends: () for all that can be measured.
        quick: fewer repeats and variants, a shorter prefill, no limits.
        thorough: all variants, also the unfused kernels.
        chunk: tokens of the prefill; None: up to 128 (quick: 32), as many as take a second or two.
        context: tokens in the cache at decode.
        variants: only these; () for those that the device suggests.
        threads: of the CPU backend; None: as many as the agent thinks right.
        tuning: whether the choice of a variant is remembered, and taken when it is.
        classes: of GPUs (rows of profiles/kernels.yaml).
        hazards: backend -> the known fault that speaks against running anything there.
        force: run there all the same.
    """

    backends: tuple[str, ...] = ()
    quick: bool = False
    thorough: bool = False
    schemes: tuple[Scheme, ...] = (Scheme.INT8, Scheme.INT4)
    phases: tuple[str, ...] = ("decode", "prefill")
    chunk: int | None = None
    context: int = 128
    variants: tuple[str, ...] = ()
    threads: int | None = None
    dims: Dims = GEMMA_2B
    limits: bool = True
    tuning: Tuning = Tuning.OFF
    classes: Mapping[str, KernelClass] = field(default_factory=dict[str, KernelClass])
    hazards: Mapping[str, str] = field(default_factory=dict[str, str])
    force: bool = False

    def chunk_for(self, decode_s: float | None) -> int:
        """Tokens of a prefill by what one token takes at decode, which is an upper bound for each of many."""
        if self.chunk is not None:
            return self.chunk
        most = 32 if self.quick else 128
        if not decode_s:
            return min(most, 32)
        return min(most, max(8, int(LONGEST_PREFILL_S / decode_s) // 8 * 8))

    def timing(self, phase: str, expected_s: float | None = None) -> Timing:
        """`expected_s`: of one repeat, where that is known."""
        if phase == "decode":
            return Timing(repeat_max=10, budget_ms=300) if self.quick else Timing()
        if expected_s is not None and expected_s > SLOW_REPEAT_S:
            return Timing(repeat_min=1, repeat_max=1, deadline=SLOW_RUN_S)
        return Timing(repeat_min=2, repeat_max=5, budget_ms=500 if self.quick else 1000)


MOST_VARIANTS = 4
"""How many variants are tried on a device, at most (unless `thorough`)."""
_QUICK_VARIANTS = 2
SEARCH_S = 20.0
"""Seconds after which no further variant is begun (unless `thorough`), except the engine's layout."""
LONGEST_PREFILL_S = 1.0
"""Seconds that one repeat of the prefill may take at the speed of decode."""
SLOW_REPEAT_S, SLOW_RUN_S = 4.0, 180.0
"""A prefill that takes longer at the speed of decode is timed once, and its process has so much time. So slow
are drivers that compute on a slow CPU; they compile at the first run (PoCL, lavapipe under qemu: 20 to 40 s).
"""


def measure(
    target: Target,
    snapshot: Snapshot,
    options: BlockOptions,
    on_event: Listener = ignore,
    *,
    into: list[Measurement] | None = None,
    spans: list[Span] | None = None,
) -> list[Measurement]:
    """The rows of all backends; those of a backend are void if the device was not as before once it was
    done (`trust`). `into` receives each row as soon as it is there, so that a device lost on the way leaves
    what came before; `spans` receives the device's state around each backend, which is asked for once before
    the first and once after each.

    Raises TransportError if the device is lost, AgentError if no session can be opened on it.
    """
    rows = [] if into is None else into
    references = References()
    chosen = [b for b in MEASURED if not options.backends or b in options.backends]
    with target.session(on_event, awake=True) as session:
        first = before = ask_conditions(target, session=session)
        for backend in chosen:
            start = len(rows)
            for row in backend_rows(session, snapshot, backend, options, references, on_event):
                rows.append(row)
            if any(row.samples_s for row in rows[start:]):
                now = ask_conditions(target, session=session)
                rows[start:] = trust.judged(rows[start:], before, now, first)
                if spans is not None:
                    spans.append(Span(str(backend), before, now))
                before = now
    return rows


def backend_rows(
    session: AgentSession,
    snapshot: Snapshot,
    backend: Backend,
    options: BlockOptions,
    references: References,
    on_event: Listener = ignore,
) -> Iterator[Measurement]:
    """The rows of one backend, each as soon as it is there. Raises TransportError if the device is lost."""
    reason = LOWERERS[backend].absent(snapshot)
    hazard = options.hazards.get(backend)
    if reason is not None:
        yield Measurement(backend, "", "decode", "", Status.UNSUPPORTED, reason)
    elif hazard is not None and not options.force:
        why = f"not run without --force: {hazard}"
        yield Measurement(backend, "", "decode", "", Status.SKIPPED, why, details={notes.LEFT_ALONE: hazard})
    else:
        lower = lowerer(backend, snapshot, options.threads, options.classes)
        runner = Runner(session, snapshot, lower, references, options.dims, on_event)
        for row in _Bench(runner, options, _memory(runner, options)).rows():
            forced = {} if hazard is None else {notes.FORCED: hazard}
            yield replace(row, details={**row.details, **forced}) if forced else row


def _memory(runner: Runner, options: BlockOptions) -> Choices | None:
    """The memory of earlier choices. None where every variant is wanted, or named."""
    if options.thorough or options.variants:
        return None
    try:
        return memory(runner.snapshot, runner.lower, options.dims, options.context, options.tuning)
    except ToolchainError:  # kernels that were not built: each row will say so
        return None


@dataclass
class _Bench:
    """One backend."""

    runner: Runner
    options: BlockOptions
    memory: Choices | None = None

    @property
    def lower(self) -> Lowerer:
        return self.runner.lower

    def rows(self) -> Iterator[Measurement]:
        """All rows of the backend. The first scheme tries the variants, the others follow its choice."""
        best: Candidate | None = None
        engine: Candidate | None = None
        end = math.inf if self.options.thorough else time.monotonic() + SEARCH_S
        for scheme in self.options.schemes:
            candidates = self._candidates(best, engine)
            decoded: dict[Candidate, Measurement] = {}
            if "decode" in self.options.phases:
                phase = decode(self.options.context)
                planned = (phase, self.options.timing(phase.name))
                yield from self._search(scheme, dict.fromkeys(candidates, planned), decoded, end)
                best = fastest(decoded) or best
                engine = fastest_engine(decoded) or engine
            if "prefill" in self.options.phases:
                phases: dict[Candidate, tuple[Phase, Timing]] = {}
                for candidate in self._for_prefill(best, engine, candidates):
                    known = decoded.get(candidate) or decoded.get(best or candidate)
                    token_s = known.seconds if known else None
                    phase = prefill(self.options.chunk_for(token_s))
                    expected = phase.n * token_s if token_s else None
                    phases[candidate] = phase, self.options.timing(phase.name, expected)
                yield from self._search(scheme, phases, {})
        if self.options.limits and not self.options.quick and not self.runner.gone:
            yield from self.runner.limits()

    def _search(
        self,
        scheme: Scheme,
        phases: Mapping[Candidate, tuple[Phase, Timing]],
        tried: dict[Candidate, Measurement],
        end: float = math.inf,
    ) -> Iterator[Measurement]:
        """The rows of one phase, of all candidates or, as long as those are right, of the remembered alone.
        `tried` receives the phase's own row of each; after `end` no other than the engine's is begun."""
        candidates = list(phases)
        name = next(iter(phases.values()))[0].name if phases else ""
        choice = self.memory.recall(scheme, name, candidates) if self.memory else None
        if choice is not None:
            chosen = [c for c in candidates if c.name in choice.names]
            for candidate in chosen:
                for row in self._run(scheme, *phases[candidate], candidate):
                    yield replace(row, details={**row.details, "tuned": f"{choice.made:%Y-%m-%dT%H:%M:%SZ}"})
                    if row.phase == name:
                        tried[candidate] = row
            if all(one in tried and tried[one].right for one in chosen):
                return
            self.runner.on_event(Event("tuning", "the remembered variant fails now: searching again"))
        for candidate in (c for c in candidates if c not in tried):
            if tried and time.monotonic() > end and not candidate.engine:
                row = empty_row(
                    self.lower.backend, Block(self.options.dims, scheme, phases[candidate][0]), candidate
                )
                yield replace(row, reason=f"the search for a variant ended after {seconds(SEARCH_S)}")
                continue
            for row in self._run(scheme, *phases[candidate], candidate):
                yield row
                if row.phase == name:
                    tried[candidate] = row
        self._remember(scheme, name, candidates, tried)

    def _remember(
        self, scheme: Scheme, phase: str, candidates: list[Candidate], tried: dict[Candidate, Measurement]
    ) -> None:
        best = fastest(tried)
        if self.memory is None or best is None or self.runner.gone:
            return
        if any(not row.valid for row in tried.values()):  # one of those may be the fastest
            return
        try:
            self.memory.keep(scheme, phase, best, fastest_engine(tried), candidates)
        except UsageError as error:  # costs the next run a search, and this one nothing
            self.runner.on_event(Event("tuning", f"the choice of a variant cannot be remembered: {error}"))

    def _run(self, scheme: Scheme, phase: Phase, timing: Timing, candidate: Candidate) -> list[Measurement]:
        return [] if self.runner.gone else self.runner.block(scheme, phase, candidate, timing)

    def _candidates(self, best: Candidate | None, engine: Candidate | None) -> list[Candidate]:
        every = self.lower.candidates()
        if self.options.variants:
            return [c for c in every if c.name in self.options.variants]
        thorough = self.options.thorough
        every = tuple(c for c in every if (c.fused or thorough) and not c.dot)
        if best is not None:  # the choice of the first scheme, and what it is compared with
            return [c for c in every if c in (best, engine) or (thorough and (c.engine or not c.fused))]
        kept = list(every if thorough else every[: _QUICK_VARIANTS if self.options.quick else MOST_VARIANTS])
        engine = next((c for c in every if c.engine), None)
        if engine is not None and engine not in kept:
            kept[-1] = engine
        return kept

    def _for_prefill(
        self, best: Candidate | None, engine: Candidate | None, candidates: list[Candidate]
    ) -> list[Candidate]:
        if self.options.variants or best is None:
            return candidates if self.options.variants else candidates[:1]
        thorough = self.options.thorough
        others = [c for c in candidates if c == engine or (thorough and (c.engine or not c.fused))]
        if not self.options.quick:
            others += [c for c in self.lower.candidates() if c.dot]  # at decode they are like the others
        return [best, *(c for c in others if c != best)]


def fastest(tried: Mapping[Candidate, Measurement]) -> Candidate | None:
    """The candidate of the fastest row that is sound, or None. By the token: slow ones prefill fewer."""
    counting = [
        (row.seconds / (row.tokens or 1), candidate)
        for candidate, row in tried.items()
        if row.seconds and row.deviation is not None and row.sound
    ]
    return min(counting, key=lambda pair: pair[0])[1] if counting else None


def fastest_engine(tried: Mapping[Candidate, Measurement]) -> Candidate | None:
    """The same in the engine's layout."""
    return fastest({c: row for c, row in tried.items() if c.engine})
