"""What makes a number valid: the state of the device before and after, and what it does under load.

A phone that throttles while it is measured gives a number of no use. Frequency limits are what the kernel's
thermal driver lowers (`scaling_max_freq`); the thermal status is what Android makes of its sensors.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from statistics import median
from typing import Any

from ..base.names import Backend, Status
from ..probes.snapshot import Conditions
from .block.dims import decode
from .measurements import Measurement
from .runner import Runner
from .statistics import Gain, gain, spread
from .sweeps.settings import Base
from .timing import Timing

FREQUENCY_DROP = 0.15
"""Share of a core's frequency limit; a run during which more is lost is void. Source: edge-llm-bench's rule,
see the design. Below it, clocks move in steps of 5 to 10 %."""
LOW_BATTERY_PERCENT = 15
"""From here on Android's battery saver may come by itself (`low_power_trigger_level`)."""
PIECE_S = 10.0
"""Seconds of timed work in one process under sustained load. Each process fills its weights first, which is
a pause; longer pieces would lose more of the curve when one of them fails."""
POINTS = 60
"""Points of a curve, at most: each is the median of its share of the time."""


def void_reason(before: Conditions, after: Conditions, cpus: Collection[int] | None = None) -> str | None:
    """Why what was measured in between is void, or None.

    Args:
        cpus: the cores that were used; None where that is unknown: then every core counts.

    What is unknown before or after says nothing.
    """
    for cpu, was in sorted(before.cpu_max_mhz.items()):
        now = after.cpu_max_mhz.get(cpu)
        if now is None or was <= 0 or (cpus is not None and cpu not in cpus):
            continue
        if now < was * (1 - FREQUENCY_DROP):
            return f"throttled: the limit of cpu {cpu} fell from {was} to {now} MHz"
    was_hot, is_hot = before.thermal_status, after.thermal_status
    if was_hot is not None and is_hot is not None and was_hot != is_hot:
        return f"the thermal status went from {was_hot} to {is_hot}"
    return None


def judged(rows: Sequence[Measurement], before: Conditions, after: Conditions) -> list[Measurement]:
    """The rows with their spread, and void where the conditions changed while they were measured. Sustained
    load is meant to change them."""
    return [_judged(row, before, after) for row in rows]


def _judged(row: Measurement, before: Conditions, after: Conditions) -> Measurement:
    found = spread(row.samples_s)
    if found is not None:
        row = replace(row, details={**row.details, "spread": round(found, 4)})
    if not row.samples_s or "sustained" in row.details:
        return row
    reason = void_reason(before, after, used_cpus(row))
    return row if reason is None else replace(row, valid=False, reason=reason)


def used_cpus(row: Measurement) -> frozenset[int] | None:
    """The cores that the agent says it used (`isa dotprod, cpus 4-7`), or None."""
    _, found, text = (row.driver or "").partition("cpus ")
    cpus: set[int] = set()
    for part in text.split(",") if found and row.backend is Backend.CPU else ():
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal() or len(last or first) > 4:
            return None
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus) or None


def remarks(conditions: Conditions) -> list[str]:
    """What about a device's state a reader of its numbers should know, in sentences."""
    found: list[str] = []
    battery = conditions.battery_percent
    if battery is not None and battery <= LOW_BATTERY_PERCENT:
        found.append(f"The battery is at {battery} %: phones lower their clocks there.")
    if conditions.charging:
        found.append("It was charging, which warms a phone.")
    if conditions.thermal_status:
        found.append(f"It was warm before it started (thermal status {conditions.thermal_status}).")
    return found


def to_dict(conditions: Conditions) -> dict[str, Any]:
    """For a file; what is unknown is left out."""
    return {key: value for key, value in asdict(conditions).items() if value not in (None, {})}


def sustained(runner: Runner, base: Base, seconds: float) -> Measurement:
    """One decode row over that long, in bounded pieces: a process each, so that a crash costs its piece.

    `details["sustained"]` is the curve, [seconds, GB/s]; `details["busy"]` the share of the time that was
    timed work, the rest being pauses in which a process starts and fills its weights.
    """
    clock = time.monotonic
    start = clock()
    phase = decode(base.context)
    pieces: list[tuple[float, Measurement]] = []
    problem: str | None = None
    piece = min(PIECE_S, max(seconds / 2, 1.0))
    timing = Timing(warmup=1, repeat_min=2, repeat_max=10_000, budget_ms=int(piece * 1000))
    while clock() - start < seconds:
        row = runner.block(base.scheme, phase, base.candidate, timing, logits=False)[0]
        if row.status is not Status.OK:
            if not pieces:
                return replace(row, details={**row.details, "sweep": "sustained"})
            problem = f"ended after {clock() - start:.0f} s: {row.reason}"
            break
        pieces.append((clock() - start, row))
    began = pieces[0][0] - sum(pieces[0][1].samples_s)
    pieces = [(ended - began, row) for ended, row in pieces]
    last = pieces[-1][1]
    samples = tuple(sample for _, row in pieces for sample in row.samples_s)
    details = {
        **last.details,
        "sweep": "sustained",
        "sustained": curve(pieces),
        "busy": round(sum(samples) / pieces[-1][0], 3),
    }
    deterministic = all(row.deterministic for _, row in pieces)
    return replace(
        last, reason=problem, samples_s=samples, device_s=(), deterministic=deterministic, details=details
    )


def curve(pieces: Sequence[tuple[float, Measurement]], points: int = POINTS) -> list[list[float]]:
    """[seconds, GB/s] from (when a piece ended, its row): medians over equal shares of the samples."""
    timed: list[tuple[float, float]] = []
    for ended, row in pieces:
        at = ended - sum(row.samples_s)
        for sample in row.samples_s:
            at += sample
            timed.append((at, (row.bytes or 0) / sample / 1e9))
    size = max(1, -(-len(timed) // points))
    shares = [timed[i : i + size] for i in range(0, len(timed), size)]
    return [[round(median(t for t, _ in s), 2), round(median(v for _, v in s), 3)] for s in shares]


def trend(samples: Sequence[Sequence[float]]) -> Gain | None:
    """Speed in the last fifth of a curve over that in the first (0.8: a fifth slower); needs five points."""
    fifth = len(samples) // 5
    if not fifth or any(value <= 0 for _, value in samples):
        return None
    first, last = ([1 / value for _, value in part] for part in (samples[:fifth], samples[-fifth:]))
    return gain(first, last)
