"""Runs the reference block on a target: every backend, scheme and phase, each compared with the reference.

One process for each backend and plan, so that a driver that crashes costs a row. Of the variants of a GPU
backend the fastest *correct* one at decode also does the prefill; a wrong one is recorded and never chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import AgentError, DeadlineExceeded, ToolchainError
from ..events import Event, Listener, ignore
from ..probes.snapshot import Snapshot
from ..probes.target import AgentSession, Target
from . import deviation, reference
from .backends import Candidate, Lowerer, lowerer
from .block import GEMMA_2B, Block, Dims, Phase, Scheme, decode, prefill
from .executors.result import Result, StepResult
from .measurements import Backend, Deviation, Measurement, Status
from .plan import Plan
from .process import Outcome, execute
from .timing import Timing


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        backends: () for all three.
        quick: fewer repeats and variants, a shorter prefill.
        chunk: tokens of the prefill; None: 128, quick 32.
        context: tokens in the cache at decode.
        variants: only these; () for those that the device suggests.
        threads: of the CPU backend; None: as many as the agent thinks right.
        deadline: seconds for one process.
    """

    backends: tuple[str, ...] = ()
    quick: bool = False
    schemes: tuple[Scheme, ...] = (Scheme.INT8, Scheme.INT4)
    phases: tuple[str, ...] = ("decode", "prefill")
    chunk: int | None = None
    context: int = 128
    variants: tuple[str, ...] = ()
    threads: int | None = None
    dims: Dims = GEMMA_2B
    deadline: float = 60.0

    def phase(self, name: str) -> Phase:
        if name == "decode":
            return decode(self.context)
        return prefill(self.chunk or (32 if self.quick else 128))

    def timing(self, phase: str) -> Timing:
        if phase == "decode":
            return Timing(repeat_max=10, budget_ms=300) if self.quick else Timing()
        return Timing(repeat_min=2, repeat_max=5, budget_ms=500 if self.quick else 1500)


MOST_VARIANTS = 4
"""How many variants are tried on a device, at most: a search has to end within half a minute."""
_QUICK_VARIANTS = 2


def measure(
    target: Target,
    snapshot: Snapshot,
    options: Options,
    on_event: Listener = ignore,
    *,
    into: list[Measurement] | None = None,
) -> list[Measurement]:
    """The rows of all backends. `into` receives each row as soon as it is there, so that a device lost on
    the way leaves what came before.

    Raises TransportError if the device is lost, AgentError if no session can be opened on it.
    """
    rows = [] if into is None else into
    references = _References()
    chosen = [b for b in Backend if not options.backends or b in options.backends]
    with target.session(on_event) as session:
        for backend in chosen:
            absent = _absent(backend, snapshot)
            if absent is not None:
                rows.append(Measurement(backend, "", "decode", "", Status.UNSUPPORTED, absent))
                continue
            lower = lowerer(backend, snapshot, options.threads)
            for row in _Bench(session, snapshot, lower, options, references, on_event).rows():
                rows.append(row)
    return rows


def _absent(backend: Backend, snapshot: Snapshot) -> str | None:
    """Why there is nothing to run, or None. Unknown is no reason: then it is tried."""
    if backend is Backend.OPENCL and snapshot.opencl.present is False:
        return snapshot.opencl.error or "no OpenCL library could be opened"
    if backend is Backend.VULKAN and snapshot.vulkan.present is False:
        return snapshot.vulkan.error or "no Vulkan library could be opened"
    return None


@dataclass
class _References:
    """The reference of each block, computed once for all backends."""

    _known: dict[tuple[Block, str], Mapping[str, NDArray[np.float32]]] = field(default_factory=dict)

    def of(self, block: Block, activations: reference.Activations) -> Mapping[str, NDArray[np.float32]]:
        key = (block, activations)
        if key not in self._known:
            stages = reference.layer(block, activations)
            if block.phase.n == 1:
                stages["logits"] = reference.logits(block, activations)
            self._known[key] = stages
        return self._known[key]


@dataclass
class _Bench:
    """One backend."""

    session: AgentSession
    snapshot: Snapshot
    lower: Lowerer
    options: Options
    references: _References
    on_event: Listener
    gone: bool = False
    """The backend turned out not to be there, or its interpreter cannot be started: no more attempts."""

    def rows(self) -> Iterator[Measurement]:
        """All rows of the backend. The first scheme tries the variants, the others follow its choice."""
        best: Candidate | None = None
        for scheme in self.options.schemes:
            candidates = self._candidates(best)
            if "decode" in self.options.phases:
                tried: list[tuple[Measurement, Candidate]] = []
                for candidate in candidates:
                    for row in self._run(scheme, "decode", candidate):
                        yield row
                        if row.phase == "decode":
                            tried.append((row, candidate))
                best = fastest(tried) or best
            if "prefill" in self.options.phases:
                for candidate in self._for_prefill(best, candidates):
                    yield from self._run(scheme, "prefill", candidate)

    def _candidates(self, best: Candidate | None) -> list[Candidate]:
        every = self.lower.candidates()
        if self.options.variants:
            return [c for c in every if c.name in self.options.variants]
        if best is not None:  # the choice of the first scheme, and what it is compared with
            return [c for c in every if c.name == best.name or (c.engine and not self.options.quick)]
        most = _QUICK_VARIANTS if self.options.quick else MOST_VARIANTS
        if self.lower.backend is Backend.CPU and self.options.quick:
            most = 1  # nothing to choose: the fused routines do the same arithmetic
        kept = list(every[:most])
        engine = next((c for c in every if c.engine), None)
        if engine is not None and engine not in kept:
            kept[-1] = engine
        return kept

    def _for_prefill(self, best: Candidate | None, candidates: list[Candidate]) -> list[Candidate]:
        if self.options.variants or best is None:
            return candidates if self.options.variants else candidates[:1]
        engine = [c for c in candidates if c.engine and c != best and not self.options.quick]
        return [best, *engine]

    def _run(self, scheme: Scheme, phase: str, candidate: Candidate) -> Iterator[Measurement]:
        """The rows of one process: one a step."""
        block = Block(self.options.dims, scheme, self.options.phase(phase))
        empty = Measurement(
            self.lower.backend,
            scheme,
            phase,
            candidate.name,
            Status.SKIPPED,
            precision=candidate.precision,
            tokens=block.phase.n,
            context=block.phase.context,
        )
        if self.gone:
            return
        self.on_event(Event("block", f"{self.lower.backend} {scheme} {phase}, {candidate.name}"))
        try:
            plan = self.lower.lower(block, candidate.name, self.options.timing(phase), logits=True)
            lack = self._lack_of_memory(plan)
            if lack is not None:
                yield replace(empty, reason=lack)
                return
            outcome = execute(self.session, plan, self.options.deadline, self.on_event)
        except (AgentError, ToolchainError) as error:
            self.gone = True
            yield replace(empty, status=Status.ERROR, reason=str(error))
            return
        except DeadlineExceeded as error:
            yield replace(empty, status=Status.ERROR, reason=str(error))
            return
        if outcome.missing:
            self.gone = True
            yield replace(empty, status=Status.UNSUPPORTED, reason=outcome.problem)
            return
        for step in plan.steps:
            yield self._row(replace(empty, phase=step.name), block, plan, step.name, outcome, candidate)

    def _lack_of_memory(self, plan: Plan) -> str | None:
        free = self.snapshot.memory.available_bytes
        if free is None or plan.size < 0.8 * free:
            return None
        return f"needs {plan.size >> 20} MiB, {free >> 20} MiB are free"

    def _row(
        self, empty: Measurement, block: Block, plan: Plan, name: str, outcome: Outcome, candidate: Candidate
    ) -> Measurement:
        result = outcome.result
        step = None if result is None else result.step(name)
        if result is None or step is None:
            return replace(empty, status=Status.ERROR, reason=outcome.problem or "the step was not run")
        logits = name == "logits"
        deviations = self._compare(block, result, step, candidate.precision)
        worst = deviation.worst(deviations)
        status, reason = step.status, step.reason
        if status is Status.OK and worst is None:
            status, reason = Status.ERROR, "nothing was returned that could be compared"
        build = [b.seconds for b in result.builds]
        return replace(
            empty,
            status=status,
            reason=reason,
            samples_s=tuple(ns * 1e-9 for ns in step.samples_ns),
            device_s=tuple(ns * 1e-9 for ns in step.device_ns),
            bytes=block.logits_bytes() if logits else block.layer_bytes(candidate.cache_item),
            flops=block.logits_flops() if logits else block.layer_flops(),
            deviation=worst,
            deterministic=step.deterministic,
            executor=result.executor,
            device=result.device.name if result.device else None,
            driver=result.device.driver if result.device else None,
            details={
                "engine_layout": candidate.engine,
                "fused": candidate.fused,
                "buffers_bytes": plan.size,
                "peak_rss_bytes": result.peak_rss,
                "build_s": round(sum(build), 4) if build else None,
                "dispatches": len(next(s for s in plan.steps if s.name == name).dispatches),
                "rel_l2": {d.stage: float(f"{d.rel_l2:.3g}") for d in deviations},
                **self.lower.facts(),
            },
        )

    def _compare(
        self, block: Block, result: Result, step: StepResult, precision: str
    ) -> tuple[Deviation, ...]:
        found = {o.name: result.output(step, o.name) for o in step.outputs}
        outputs = {name: data for name, data in found.items() if data is not None}
        if not outputs:
            return ()
        exact = deviation.deviations(block, outputs, self.references.of(block, "fp32"), precision)
        if precision != "qd8":
            return exact
        rounded = deviation.deviations(block, outputs, self.references.of(block, "qd8"), "qd8-exact")
        return exact + tuple(replace(d, stage=f"{d.stage}.rounded") for d in rounded)


def fastest(tried: list[tuple[Measurement, Candidate]]) -> Candidate | None:
    """The candidate of the fastest row that is right, or None."""
    right = [
        (row.seconds, candidate)
        for row, candidate in tried
        if row.status is Status.OK and row.seconds and row.deviation is not None and row.deviation.ok
    ]
    return min(right, key=lambda pair: pair[0] or 0.0)[1] if right else None
