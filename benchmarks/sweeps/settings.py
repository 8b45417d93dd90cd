"""Sweeps: one thing is varied, all else stays, and the rows say what it gains.

A sweep is a set of points; each is a process of its own. Its rows carry `details["sweep"]` and
`details["at"]` (the value that was varied), from which `findings.py` draws its sentences, now or from a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ...base.names import Backend, Status
from ...base.protocol import CPU_MAX_THREADS
from ...base.units import seconds
from ..block.deviation import worst
from ..block.dims import Phase, Scheme, decode, prefill
from ..lowerer import Candidate
from ..measurements import Measurement
from ..runner import Runner
from ..timing import DEFAULT, Timing
from . import builds, loads


class Sweep(StrEnum):
    """What is varied."""

    WEIGHTS = "weights"  # int8 against the 8/4/4 mix
    FUSION = "fusion"  # fused operators against single ones
    CHUNK = "chunk"  # tokens of a prefill
    CONTEXT = "context"  # tokens in the cache at decode
    THREADS = "threads"  # of the CPU
    BUILD = "build"  # kernels compiled, or kept by the driver or by us
    LOAD = "load"  # weights read from storage at once or in shards


USUAL = (Sweep.FUSION, Sweep.LOAD, Sweep.BUILD, Sweep.THREADS, Sweep.WEIGHTS)
"""What is swept unless it is named; with the backends' own measurements it takes a minute or two. The last is
what a device that is slow does without: both precisions are among the backends' own measurements."""
QUICK = (Sweep.FUSION,)

CHUNKS = (8, 16, 32, 64, 128, 256)
CONTEXTS = (128, 512, 1024, 2048, 4096)
"""Gemma-2B's own limit is 8192; the shipped files are built for at most 4096."""
LONGEST_REPEAT_S = 3.0
"""A chunk is left out when one repeat would take longer by the one before it."""

TWICE = (Sweep.WEIGHTS, Sweep.FUSION)
"""Two things are compared: there and back again (A B B A), so that neither a machine that warms up nor the
luck of one process decides; their spread then is also that between processes."""


@dataclass(frozen=True)
class Base:
    """What is varied around: the best variant at decode, and the ordinary sizes."""

    candidate: Candidate
    scheme: Scheme
    context: int
    chunk: int
    decode: Timing = DEFAULT
    prefill: Timing = DEFAULT

    def timing(self, phase: Phase) -> Timing:
        return self.decode if phase.name == "decode" else self.prefill


@dataclass(frozen=True)
class SweepPoint:
    """One setting. `at` is the value of what is varied."""

    at: str | int
    scheme: Scheme
    phase: Phase
    candidate: Candidate
    threads: int | None = None


def points(sweep: Sweep, base: Base, candidates: Sequence[Candidate], cores: int) -> tuple[SweepPoint, ...]:
    """The settings of a sweep; none where there is nothing to vary."""
    point = SweepPoint("", base.scheme, decode(base.context), base.candidate)
    both = (point.phase, prefill(base.chunk))
    match sweep:
        case Sweep.WEIGHTS:
            return tuple(
                replace(point, at=str(scheme), scheme=scheme, phase=phase)
                for phase in both
                for scheme in Scheme
            )
        case Sweep.FUSION:
            pair = fusion_pair(candidates)
            return tuple(
                replace(point, at="fused" if c.fused else "unfused", candidate=c, phase=phase)
                for phase in both
                for c in pair
            )
        case Sweep.CHUNK:
            return tuple(replace(point, at=n, phase=prefill(n)) for n in CHUNKS)
        case Sweep.CONTEXT:
            return tuple(replace(point, at=n, phase=decode(n)) for n in CONTEXTS)
        case Sweep.THREADS:
            return tuple(
                replace(point, at=n, threads=n, phase=phase) for phase in both for n in thread_counts(cores)
            )
        case _:
            return ()


def fusion_pair(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """(unfused, the same fused), or () without such a pair."""
    by_name = {c.name: c for c in candidates}
    for unfused in candidates:
        if unfused.fused_as is not None and (partner := by_name.get(unfused.fused_as)) is not None:
            return unfused, partner
    return ()


def thread_counts(cores: int) -> tuple[int, ...]:
    """1 to all cores; powers of two and all where there are more than eight."""
    if cores <= 8:
        return tuple(range(1, cores + 1))
    return (*(n for n in (1, 2, 4, 6, 8, 12, 16, 24, 32) if n < cores), min(cores, CPU_MAX_THREADS))


def sweep_rows(sweep: Sweep, runner: Runner, base: Base, cores: int) -> Iterator[Measurement]:
    """The rows of a sweep on one backend; each with a status, and a reason where it is not OK.

    Raises TransportError if the device is lost.
    """
    empty = _empty(sweep, runner.lower.backend, base)
    if sweep is Sweep.THREADS and runner.lower.threaded(1) is None:
        yield replace(empty, status=Status.UNSUPPORTED, reason="the device shares out its own threads")
    elif sweep is Sweep.BUILD:
        yield from builds.rows(runner, base.scheme, base.candidate)
    elif sweep is Sweep.LOAD:
        yield from loads.rows(runner, base.scheme, base.context, base.candidate)
    else:
        settings = points(sweep, base, runner.lower.candidates(), cores)
        if not settings:
            yield replace(empty, reason="this device has no pair of variants that differ in nothing else")
        twice = sweep in TWICE
        rows = _settings(sweep, runner, base, (*settings, *reversed(settings)) if twice else settings)
        yield from merged(rows) if twice else rows


def _empty(sweep: Sweep, backend: Backend, base: Base) -> Measurement:
    row = Measurement(backend, base.scheme, "decode", base.candidate.name, Status.SKIPPED)
    return replace(row, details={"sweep": str(sweep)})


def _settings(
    sweep: Sweep, runner: Runner, base: Base, settings: Sequence[SweepPoint]
) -> Iterator[Measurement]:
    per_token: float | None = None
    for point in settings:
        at = {"sweep": str(sweep), "at": point.at}
        expected = (per_token or 0.0) * point.phase.n
        if sweep is Sweep.CHUNK and expected > LONGEST_REPEAT_S:
            row = replace(
                _empty(sweep, runner.lower.backend, base),
                phase="prefill",
                tokens=point.phase.n,
                context=point.phase.context,
                reason=f"one repeat would take about {seconds(expected)}",
            )
            yield replace(row, details=at)
            continue
        own = None if point.threads is None else runner.lower.threaded(point.threads)
        one = replace(runner, lower=own or runner.lower)
        timing = base.timing(point.phase)
        for row in one.block(point.scheme, point.phase, point.candidate, timing, logits=False):
            per_token = row.seconds / point.phase.n if row.seconds else per_token
            yield replace(row, details={**row.details, **at})
        if one.gone:
            return


def merged(rows: Iterable[Measurement]) -> list[Measurement]:
    """Rows of the same setting as one: all samples, the worse of what else they found."""
    found: dict[tuple[str, object], Measurement] = {}
    for row in rows:
        key = (row.phase, row.at)
        other = found.setdefault(key, row)
        if other is not row:
            found[key] = _merge(other, row)
    return list(found.values())


def _merge(a: Measurement, b: Measurement) -> Measurement:
    for row in (a, b):
        if row.status is not Status.OK:
            return row
    flags = (a.deterministic, b.deterministic)
    # Times of a void row count beside those of another void one only: then all of it is void.
    timed = [row for row in (a, b) if row.valid] or [a, b]
    return replace(
        timed[0],
        samples_s=tuple(s for row in timed for s in row.samples_s),
        device_s=tuple(s for row in timed for s in row.device_s),
        deviation=worst(tuple(d for d in (a.deviation, b.deviation) if d is not None)),
        deterministic=False if False in flags else None if None in flags else True,
    )
