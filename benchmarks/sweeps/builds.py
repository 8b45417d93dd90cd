"""Where compiled kernels come from, and what that saves: the sweep `build`.

Four processes, the same kernels in each, which no driver has seen before:

    first   compiled from source (OpenCL C, SPIR-V), and kept in the session's folder
    second  compiled from source again: the driver's own cache, if there is one, knows them now
    cold    taken from what the first kept, read from storage itself
    warm    taken from what the first kept, read from memory

What counts is the time from source to the end of the first run, since drivers may put off a part of their
work until then. It is computed for a small block: a compiler does not care how large a matrix is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

from ...base.names import Status
from ..block.dims import Block, Dims, Scheme, decode
from ..interpreter.result import Result
from ..lowerer import Candidate
from ..measurements import Measurement
from ..plan import Plan
from ..rows import block_rows, empty_row
from ..runner import NotRun, Runner
from ..timing import Timing

ROUNDS = 2
"""How many times programs are made new: four processes each."""
SOURCES = {"first": "keep", "second": "", "cold": "cold", "warm": "warm"}
"""What each process does with kept programs: the plan's option `programs`."""
_CONTEXT = 128


def rows(runner: Runner, scheme: Scheme, candidate: Candidate) -> Iterator[Measurement]:
    """One row a source of programs, or one alone that says why there is none."""
    block = Block(_small(runner.dims), scheme, decode(_CONTEXT))
    empty = empty_row(runner.lower.backend, block, candidate)
    empty = replace(empty, phase="build", tokens=None, context=None, details={"sweep": "build"})
    if runner.lower.prebuilt:
        reason = f"the routines of {runner.lower.backend.about.title} are compiled beforehand"
        yield replace(empty, status=Status.UNSUPPORTED, reason=reason)
        return
    found: dict[str, list[Measurement]] = {at: [] for at in SOURCES}
    # The driver's libraries come from storage themselves: a process that does not count reads them.
    runner.execute(_renamed(runner, block, candidate, 0, ""))
    for _ in range(ROUNDS):
        token = secrets.randbits(31)
        for at, programs in SOURCES.items():
            make = _renamed(runner, block, candidate, token, programs)
            row = _process(runner, block, candidate, make, empty)
            if row.status is not Status.OK:
                yield row
                return
            found[at].append(row)
    for at, same in found.items():
        # What other programs disturbed counts only where nothing else is left, and is void then.
        same = [row for row in same if row.valid] or same
        samples = tuple(row.samples_s[0] for row in same)
        worst = max(same, key=lambda row: row.deviation.rel_l2 if row.deviation else 0.0)
        details = {**same[-1].details, "at": at, "build_s": [row.details["build_s"] for row in same]}
        yield replace(worst, samples_s=samples, device_s=(), deterministic=None, details=details)


def _process(
    runner: Runner, block: Block, candidate: Candidate, make: Callable[[], Plan], empty: Measurement
) -> Measurement:
    """One process: its one sample is what it took to build and to run once."""
    outcome = runner.execute(make)
    if isinstance(outcome, NotRun):
        return replace(empty, status=outcome.status, reason=outcome.reason)
    plan, done = outcome
    row = next(iter(block_rows(empty, block, plan, candidate, done, runner.references, runner.place)))
    row = replace(row, phase="build")
    if row.status is not Status.OK or done.result is None:
        return row
    built = sum(build.seconds for build in done.result.builds)
    details = {**empty.details, "build_s": round(built, 5), **_kept(done.result)}
    return replace(row, samples_s=(built + row.samples_s[0],), bytes=None, flops=None, details=details)


def _kept(result: Result) -> dict[str, object]:
    """How many kernels were taken and not compiled; what a driver had against it."""
    refused = dict.fromkeys(build.log for build in result.builds if "refused" in build.log)
    kept = sum(build.kept for build in result.builds)
    return {"kept": kept, "kernels": len(result.builds)} | ({"notes": list(refused)} if refused else {})


def _small(dims: Dims) -> Dims:
    """The same heads, fewer of them and of all else: nothing to wait for but the compiler."""
    return replace(
        dims,
        d_model=min(dims.d_model, 512),
        heads=min(dims.heads, 2),
        hidden=min(dims.hidden, 1024),
    )


def _renamed(
    runner: Runner, block: Block, candidate: Candidate, token: int, programs: str
) -> Callable[[], Plan]:
    """The plan with programs that no driver has seen."""
    once = Timing(warmup=0, repeat_min=1, repeat_max=1, budget_ms=0)

    def make() -> Plan:
        plan = runner.lower.lower(block, candidate.name, once, logits=False)
        kernels = tuple(runner.lower.renamed(k, token) for k in plan.kernels)
        options = {**plan.options, **({"programs": programs} if programs else {})}
        return replace(plan, kernels=kernels, options=options)

    return make
