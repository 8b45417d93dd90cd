"""Which file to ship: the best of the family, the best of all, the chain to fall back along, and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..base.names import Backend, CheckStatus, Evidence
from ..reports.report import Check, FallbackStep, Predicted, Recommendation
from .case import Case, Variant
from .rules import fits, speed

MAX_SMALLER = 2
"""Smaller models at the end of the chain."""


@dataclass(frozen=True)
class Judged:
    """A variant with its answers.

    Attributes:
        checks: what its status is the worst of.
        remarks: what is worth saying and decides nothing.
    """

    variant: Variant
    status: CheckStatus
    evidence: Evidence
    scope: str
    checks: tuple[Check, ...]
    remarks: tuple[Check, ...]
    predicted: Predicted

    @property
    def works(self) -> bool:
        return self.status in (CheckStatus.PASS, CheckStatus.WARN)

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Codes of everything that is not fine, the deciding ones first."""
        order = {CheckStatus.FAIL: 0, CheckStatus.ERROR: 0, CheckStatus.UNKNOWN: 1, CheckStatus.WARN: 2}
        found = sorted(
            (c for c in (*self.checks, *self.remarks) if c.reason is not None),
            key=lambda c: (c in self.remarks, order.get(c.status, 3)),
        )
        return tuple(dict.fromkeys(c.reason for c in found if c.reason is not None))

    @property
    def only_speed_open(self) -> bool:
        """Whether nothing speaks against it, and all that is not known is how fast it is."""
        left = [c for c in self.checks if c.status not in (CheckStatus.PASS, CheckStatus.SKIP)]
        return bool(left) and all(c.reason in ("speed.unknown", "speed.disturbed") for c in left)

    @property
    def maybe_slower(self) -> bool:
        """Whether the CPU may finish the work sooner: it does, or nobody knows when this one begins."""
        return self.has("gpu.slower-than-cpu", speed.FIRST_TOKEN_UNKNOWN)

    def has(self, *reasons: str) -> bool:
        return not set(reasons).isdisjoint(self.reasons)


def gravity(judged: Judged) -> int:
    """Of the gravest reservation; 0 without any."""
    return max((check.gravity or 0 for check in judged.checks), default=0)


def best_of_family(case: Case, all_judged: Iterable[Judged]) -> Judged | None:
    """The best working file of the family asked for."""
    return _best([j for j in all_judged if case.of_family(j.variant)], _rank(case))


def best_of_all(case: Case, all_judged: Iterable[Judged]) -> Judged | None:
    """The most capable file that works without reservation, on a maintained runtime where possible."""
    general = [j for j in all_judged if j.variant.model.purpose is None]
    return _best(general, _rank(case, by_capability=True))


def _best(all_judged: Sequence[Judged], rank: Callable[[Judged], tuple[float, ...]]) -> Judged | None:
    """The best that works. A GPU with reservations is not better than a CPU of which only the speed is not
    known."""
    best = min((j for j in all_judged if j.works), key=rank, default=None)
    if best is None or best.status is CheckStatus.PASS or best.variant.backend is Backend.CPU:
        return best
    return min(
        (j for j in all_judged if j.variant.backend is Backend.CPU and j.only_speed_open),
        key=rank,
        default=best,
    )


def _rank(case: Case, by_capability: bool = False) -> Callable[[Judged], tuple[float, ...]]:
    """Sorts the better first: without reservations, on a maintained runtime, the more capable model.

    Within one family the file that the family stands for comes first, and the precision of the weights
    decides before the backend: 8 bits on the CPU answer better than 4 bits on the GPU, as long as both are
    fast enough. Where nothing is, the fastest comes first.
    """
    family = case.knowledge.families.get(case.options.family)

    def key(judged: Judged) -> tuple[float, ...]:
        model = judged.variant.model
        seconds = speed.job_seconds(case, judged.predicted) or float("inf")
        stands_for = family is not None and model.id == family.primary and judged.variant.backend.about.is_gpu
        return (
            judged.status is not CheckStatus.PASS,
            gravity(judged),
            seconds if judged.has("speed.slow", "speed.first-token") else 0.0,
            by_capability or not stands_for or judged.maybe_slower,
            case.runtime(model).deprecated,
            -case.architecture(model).capability,
            -model.bits.ffn,
            model.rank,
            _backend_rank(judged),
            seconds,
        )

    return key


def status_order(case: Case, judged: Judged) -> tuple[float, ...]:
    """Sorts the most promising first, also among variants that do not work."""
    order = (CheckStatus.PASS, CheckStatus.WARN, CheckStatus.UNKNOWN, CheckStatus.ERROR, CheckStatus.FAIL)
    return (order.index(judged.status), *_rank(case)(judged))


def _backend_rank(judged: Judged) -> float:
    """Of the table; a GPU that is slower than the CPU, as far as is known, comes next after it."""
    return Backend.CPU.about.rank + 0.5 if judged.maybe_slower else judged.variant.backend.about.rank


def chain(case: Case, chosen: Judged | None, all_judged: Sequence[Judged]) -> tuple[FallbackStep, ...]:
    """What an app tries next, in order: the other backend, fewer bits, a smaller model.

    Only files that are expected to work; those with reports of wrong answers only if nothing else is left.
    """
    family = [j for j in all_judged if j.works and case.of_family(j.variant) and j is not chosen]
    sound = [j for j in family if gravity(j) < 3] or family
    if chosen is not None and not chosen.variant.backend.about.accelerator:
        # Who is on the CPU because the GPU is slower gains nothing by going back.
        sound = [j for j in sound if not j.has("gpu.slower-than-cpu")]
    if case.options.family == "any":
        sound = [
            j for j in sound if chosen and j.variant.model.architecture == chosen.variant.model.architecture
        ]
    if any(j.variant.model.rank == 0 for j in sound):
        sound = [j for j in sound if j.variant.model.rank == 0]
    steps = sorted(sound, key=lambda j: _distance(j, chosen))
    return tuple(
        FallbackStep(j.variant.model.id, str(j.variant.backend))
        for j in (*steps, *_smaller(case, chosen, all_judged))
    )


def _distance(judged: Judged, chosen: Judged | None) -> tuple[Any, ...]:
    model = judged.variant.model
    same_bits = chosen is not None and model.bits == chosen.variant.model.bits
    same_backend = chosen is not None and judged.variant.backend == chosen.variant.backend
    return (not same_bits, -model.bits.ffn, not same_backend, judged.status is not CheckStatus.PASS, model.id)


def _smaller(case: Case, chosen: Judged | None, all_judged: Sequence[Judged]) -> list[Judged]:
    """Working models of other families, each a smaller file than the one before (at first the chosen one)."""
    if chosen is not None:
        limit = chosen.variant.model.size
        family = chosen.variant.model.family
    elif case.options.family == "any":
        return []
    else:
        family = case.options.family
        limit = case.knowledge.models[case.knowledge.families[family].primary].size
    candidates = [
        j
        for j in all_judged
        if j.works
        and j.variant.model.purpose is None
        and j.variant.model.rank == 0
        and j.variant.model.family != family
        and not case.runtime(j.variant.model).deprecated
        and gravity(j) < 3
    ]
    steps: list[Judged] = []
    for judged in sorted(candidates, key=_rank(case, by_capability=True)):
        # After a model that runs without reservation only a smaller one is a fallback.
        if judged.variant.model.size < limit:
            steps.append(judged)
            limit = judged.variant.model.size
    return steps[:MAX_SMALLER]


def recommendation(case: Case, judged: Judged, because: str) -> Recommendation:
    """A judged variant as the report's recommendation."""
    model = judged.variant.model
    return Recommendation(
        variant=model.id,
        file=model.file,
        revision=model.revision,
        runtime=model.runtime,
        format=model.format,
        backend=str(judged.variant.backend),
        settings=settings(case, judged),
        predicted=judged.predicted,
        evidence=judged.evidence,
        because=because,
        dependency=case.runtime(model).dependency,
    )


def settings(case: Case, judged: Judged) -> dict[str, Any]:
    """max_tokens that fits, the prefill chunk of the measured sweep, CPU threads and which cores."""
    out: dict[str, Any] = {
        "max_tokens": _max_tokens(case, judged),
        "prefill_chunk": _prefill_chunk(case, judged),
    }
    if not judged.variant.backend.about.accelerator:
        out["threads"], out["cpus"] = _threads(case)
    return out


def _max_tokens(case: Case, judged: Judged) -> int | None:
    """The largest usual context whose cache fits beside the rest. None: the memory is not known."""
    model, peak, room = judged.variant.model, judged.predicted.peak_memory_bytes, fits.budget(case)
    if model.compiled:
        return model.context
    if peak is None or room is None:
        return None
    per_token = case.architecture(model).kv_bytes_per_token(
        case.knowledge.thresholds.memory.kv_bytes_per_value
    )
    rest = peak.value - case.demand.context * per_token
    step = case.runtime(model).context_step if judged.variant.backend.about.is_gpu else 1
    fitting = [
        c
        for c in case.knowledge.thresholds.contexts
        if c <= model.context and rest + max(c, step) * per_token <= room
    ]
    # A file that fits only narrowly still needs room for the work asked for.
    return max(fitting, default=min(case.demand.context, model.context))


def _prefill_chunk(case: Case, judged: Judged) -> int | None:
    rows = [row for row in case.rows(judged.variant.backend, "prefill") if row.tokens and row.sound]
    own = [row for row in rows if row.scheme == judged.variant.model.scheme] or rows
    best = max(own, key=lambda row: (row.tokens or 0) / (row.seconds or 1), default=None)
    return best.tokens if best is not None else None


def _threads(case: Case) -> tuple[int | None, list[int]]:
    """One thread for each fast core, as many as engines use; the little cores slow the others down."""
    clusters = [c for c in case.snapshot.cpu.clusters if c.count]
    if not clusters:
        return None, []
    ordered = sorted(clusters, key=lambda c: c.max_mhz or 0, reverse=True)
    most = case.knowledge.prediction.max_threads
    threads, cpus = 0, list[int]()
    top = ordered[0].max_mhz
    for cluster in ordered:
        # In a phone with fast cores, cores at less than two thirds of their clock are the little ones.
        little = top is not None and cluster.max_mhz is not None and cluster.max_mhz < top * 2 / 3
        if threads >= most or (threads >= 2 and little):
            break
        take = min(cluster.count or 0, most - threads)
        threads += take
        cpus += list(cluster.cpus[:take])
    return threads, sorted(cpus)
