"""Weights read from storage, at once or in shards: the sweep `load`.

One process writes the layer's weights to a file of its own, then times how long it takes until the layer has
run once on weights that are not in memory yet, and how much memory that needs at most:

    shards  a piece is read and copied to the device before the next is read
    whole   the file is read into memory, then copied to the device

each with the file out of the page cache (cold) and in it (warm). Shards come first: where a system does not
let a process reset its peak of memory, a later step's cannot be below an earlier one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...base import units
from ...base.protocol import LOAD_UNIT
from ..block.dims import Block, Scheme, decode
from ..lowerer import Candidate
from ..measurements import Measurement
from ..plan import Plan, Step
from ..rows import block_rows, empty_row
from ..runner import NotRun, Runner
from ..timing import DEFAULT, Timing

SHARD_BYTES = 16 << 20
"""Large enough that storage reads at full speed, small beside a layer (66 to 110 MB)."""
REPEATS = 3
_WAYS = {f"load.{way}-{state}": f"{way}-{state}" for way in ("shards", "whole") for state in ("cold", "warm")}
"""Step of the plan -> the way of loading that it times, as `details["at"]` of its row says."""
_STORAGE_SHARE = 0.25
"""Of the free storage: a file larger than this is not written."""


def rows(runner: Runner, scheme: Scheme, context: int, candidate: Candidate) -> Iterator[Measurement]:
    """One row for each way of loading, or one alone that says why there is none."""
    block = Block(runner.dims, scheme, decode(context))
    empty = replace(empty_row(runner.lower.backend, block, candidate), phase="load")
    empty = replace(empty, details={**empty.details, "sweep": "load"})
    size = 0

    def make() -> Plan:
        nonlocal size
        plan = with_loads(runner.lower.lower(block, candidate.name, DEFAULT, logits=False))
        size = stored_bytes(plan)
        return plan

    free = runner.snapshot.memory.storage_free_bytes
    estimate = block.layer_bytes(candidate.cache_item)
    if free is not None and estimate > _STORAGE_SHARE * free:
        reason = f"{units.size(estimate)} of weights would be written, {units.size(free)} of storage are free"
        yield replace(empty, reason=reason)
        return

    def once() -> Iterator[Measurement]:
        outcome = runner.execute(make)
        if isinstance(outcome, NotRun):
            yield replace(empty, status=outcome.status, reason=outcome.reason)
            return
        plan, done = outcome
        for row in block_rows(empty, block, plan, candidate, done, runner.references, runner.place):
            step = None if done.result is None else done.result.step(row.phase)
            details = {**row.details, "at": _WAYS[row.phase]}
            if step is not None and step.peak_rss_bytes:
                details["peak_rss_bytes"] = step.peak_rss_bytes
            yield replace(row, bytes=size, flops=None, details=details)

    for row in runner.undisturbed(once):
        yield replace(row, phase="load")


def with_loads(plan: Plan) -> Plan:
    """The plan with its weights in storage and its one step once for each way of loading them."""
    buffers = tuple(replace(b, stored=b.fill in ("i8", "i4")) for b in plan.buffers)
    plan = replace(plan, buffers=buffers)
    whole = max(stored_bytes(plan), LOAD_UNIT)
    (step,) = plan.steps
    steps = tuple(
        _step(step, f"load.{way}-{state}", piece, cold=state == "cold")
        for way, piece in (("shards", min(SHARD_BYTES, whole)), ("whole", whole))
        for state in ("cold", "warm")
    )
    return replace(plan, steps=steps)


def stored_bytes(plan: Plan) -> int:
    """What a load reads: all buffers of the plan that lie in a file."""
    return sum(b.size for b in plan.buffers if b.stored)


def _step(step: Step, name: str, piece: int, *, cold: bool) -> Step:
    # The untimed one is the first to touch the device's memory, which would count for one way only.
    timing = Timing(1, REPEATS, REPEATS, budget_ms=0)
    return replace(timing.step(name, step.dispatches, step.returns), load=piece, cold=cold)
