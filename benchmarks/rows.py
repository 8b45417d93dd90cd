"""Turns what a process returned into measurements: times, bytes, operations, distance from the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.names import Backend, Status
from ..base.units import rounded
from . import trust
from .block import deviation, reference
from .block.dims import Block
from .interpreter.result import Result, StepResult
from .limits import Limit
from .lowerer import Candidate
from .measurements import Deviation, Measurement
from .plan import Plan, Step
from .process import PlanOutcome

Stages = Mapping[str, NDArray[np.float32]]


@dataclass
class References:
    """The reference of each block, computed once for all backends."""

    _known: dict[tuple[Block, str], Stages] = field(default_factory=dict[tuple[Block, str], Stages])

    def of(self, block: Block, activations: reference.Activations) -> Stages:
        """All stages; the logits too where the block is a decode."""
        key = (block, activations)
        if key not in self._known:
            stages = reference.layer(block, activations)
            if block.phase.n == 1:
                stages["logits"] = reference.logits(block, activations)
            self._known[key] = stages
        return self._known[key]


def empty_row(backend: Backend, block: Block, candidate: Candidate) -> Measurement:
    """A row about which nothing is known yet but what was meant to be run."""
    return Measurement(
        backend,
        block.scheme,
        block.phase.name,
        candidate.name,
        Status.SKIPPED,
        precision=candidate.precision_of(block.phase.name),
        tokens=block.phase.n,
        context=block.phase.context,
        details={
            "engine_layout": candidate.engine,
            "fused": candidate.fused,
            **dict(candidate.details),
        },
    )


def block_rows(
    empty: Measurement,
    block: Block,
    plan: Plan,
    candidate: Candidate,
    outcome: PlanOutcome,
    references: References,
    place: str,
) -> Iterator[Measurement]:
    """One row a step of the plan. A step without a result is an error with the reason of the whole; one that
    other programs disturbed is void (`place`: the device in its reason, see `trust.place`)."""
    for step in plan.steps:
        row = replace(empty, phase=step.name)
        found = None if outcome.result is None else outcome.result.step(step.name)
        if outcome.result is None or found is None:
            yield replace(row, status=Status.ERROR, reason=outcome.problem or "the step was not run")
        else:
            made = _block_row(row, block, plan, step, candidate, outcome.result, found, references)
            yield trust.contended(made, found.contention, outcome.result.load, place)


def _block_row(
    row: Measurement,
    block: Block,
    plan: Plan,
    step: Step,
    candidate: Candidate,
    result: Result,
    found: StepResult,
    references: References,
) -> Measurement:
    logits = step.name == "logits"
    row = _timed(row, result, found)
    deviations: tuple[Deviation, ...] = ()
    if row.status is Status.OK:
        outputs = _outputs(result, found)
        lost = [name for name in step.returns if name not in outputs]
        deviations = () if lost else _compare(block, outputs, candidate, references)
        if not deviations:
            why = f"{', '.join(lost) or 'everything'} was not returned"
            row = replace(row, status=Status.ERROR, reason=why)
    return replace(
        row,
        bytes=block.logits_bytes() if logits else block.layer_bytes(candidate.cache_item),
        flops=block.logits_flops() if logits else block.layer_flops(),
        deviation=deviation.worst(deviations),
        details={
            **row.details,
            "buffers_bytes": plan.size,
            "dispatches": len(step.dispatches),
            "rel_l2": {d.stage: rounded(d.rel_l2, 3) for d in deviations},
        },
    )


def limit_rows(
    backend: Backend, plan: Plan, limits: tuple[Limit, ...], outcome: PlanOutcome, place: str
) -> Iterator[Measurement]:
    """One row a limit. Its value is that of the fastest repeat: a limit is what can be reached."""
    for limit in limits:
        row = Measurement(backend, "", "limit", limit.name, Status.ERROR, unit=limit.unit)
        found = None if outcome.result is None else outcome.result.step(limit.name)
        if outcome.result is None or found is None:
            yield replace(row, reason=outcome.problem or "the step was not run")
            continue
        row = trust.contended(
            _timed(row, outcome.result, found), found.contention, outcome.result.load, place
        )
        yield replace(row, value=limit.value(min(row.samples_s))) if row.status is Status.OK else row


def _timed(row: Measurement, result: Result, found: StepResult) -> Measurement:
    """Status, times and device of a step."""
    status, reason = found.status, found.reason
    if status is Status.OK and not found.samples_ns:
        status, reason = Status.ERROR, reason or "no repeat was timed"
    built = sum(b.seconds for b in result.builds)
    details: dict[str, Any] = {
        "device_type": result.device.type if result.device else None,
        "build_s": round(built, 4),
        "peak_rss_bytes": result.peak_rss,
        "shortage": result.too_large or None,
    }
    return replace(
        row,
        status=status,
        reason=reason,
        samples_s=tuple(ns * 1e-9 for ns in found.samples_ns),
        device_s=tuple(ns * 1e-9 for ns in found.device_ns),
        deterministic=found.deterministic,
        executor=result.executor,
        device=result.device.name if result.device else None,
        driver=result.device.driver if result.device else None,
        details=row.details | {name: value for name, value in details.items() if value is not None},
    )


def _outputs(result: Result, found: StepResult) -> dict[str, NDArray[np.uint8]]:
    read = {o.name: result.output(found, o.name) for o in found.outputs}
    return {name: data for name, data in read.items() if data is not None}


def _compare(
    block: Block,
    outputs: Mapping[str, NDArray[np.uint8]],
    candidate: Candidate,
    references: References,
) -> tuple[Deviation, ...]:
    """All stages against the exact reference; of a candidate that `rounds` also against the reference that
    does: stages `out.rounded` and so on."""
    precision = candidate.precision_of(block.phase.name)
    exact = deviation.deviations(block, outputs, references.of(block, "fp32"), precision)
    if not candidate.rounds:
        return exact
    rounded = deviation.deviations(block, outputs, references.of(block, "qd8"), "qd8-exact")
    return exact + tuple(replace(d, stage=f"{d.stage}.rounded") for d in rounded)
