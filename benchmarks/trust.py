"""What makes a number valid: the state of the device before and after, what else it did meanwhile, and what
it does under load.

A phone that throttles while it is measured gives a number of no use. Frequency limits are what the kernel's
thermal driver lowers (`scaling_max_freq`); the thermal status is what Android makes of its sensors.

Three answers to a state that matters, and why:

* It *changed* while a row was measured (clocks fell, battery saver or a power mode went on or off, another
  thermal status): the row is void. Its repeats were taken in two states, so it is the speed of neither.
* It *caps the clocks* all the while (`caps`: battery saver, a maker's power mode, thermal status moderate and
  above): the row counts and says so in `details["capped"]`. It is a true number of this phone in that state,
  and the best of variants is still the best; but it is a lower bound of what the phone can do, so that a
  prediction from it is marked (`Predicted.capped`), reaches as high as without it, and does not make the
  phone too slow.
* It *may* matter (screen off, charging, a low battery): a remark. Whether makers keep background work off the
  fast cores differs, and clocks that really fell are seen as such.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from ..base import units
from ..base.names import Status
from ..base.protocol import MAX_REPEATS
from ..probes.snapshot import THERMAL, Conditions
from .block.deviation import worst
from .block.dims import decode
from .measurements import Contention, Measurement
from .statistics import Gain, gain, spread
from .timing import Timing

if TYPE_CHECKING:
    from .interpreter.contention import Load, StepContention
    from .runner import Runner
    from .sweeps.settings import Base

FREQUENCY_DROP = 0.15
"""Share of a core's frequency limit; a run during which more is lost is void. Source: edge-llm-bench's rule,
see the design. Below it, clocks move in steps of 5 to 10 %."""
LOW_BATTERY_PERCENT = 15
"""From here on Android's battery saver may come by itself (`low_power_trigger_level`)."""
LOST = 0.1
"""Share of a repeat's time that others may have had. Measured by `python -m gemmafit.tools.contention`
on two cores: 0.35 to 0.91 in each of 40 rows beside two busy loops or more, on the CPU, PoCL and lavapipe."""
OTHERS = 0.25
"""Share of all cores that other programs may keep busy on average: they take bandwidth of the memory even
where cores are left over. Measured as above: 0.38 to 0.87 beside loops; 0.00 to 0.16 in 24 idle rows."""
WITNESS = 0.05
"""Share of all cores that other programs must have had at least where CPU time that is missing is put down to
them. On an idle machine a sleeping worker's core wakes late: 1 ms was missing from each repeat, and nobody
had it."""
TICK_S = 0.01
"""Of /proc/stat, which counts in such steps for each core: how far a short look at it may be wrong."""
PIECE_S = 10.0
"""Seconds of timed work in one process under sustained load. Each process fills its weights first, which is
a pause; longer pieces would lose more of the curve when one of them fails."""
POINTS = 60
"""Points of a curve, at most: each is the median of its share of the time."""
MODERATE = 2
"""From this thermal status on a sustained load is slowed down. Source: Android PowerManager: light is
throttling that is not noticed, moderate such as is not much noticed, severe such as is."""


def caps(state: Conditions) -> list[str]:
    """What about a state is known to cap clocks, as the end of `measured while ...`."""
    found = ["battery saver was on"] if state.battery_saver else []
    found += [f"{mode} was on" for mode in state.power_modes or ()]
    if state.thermal_status is not None and state.thermal_status >= MODERATE:
        found.append(f"the thermal status was {_thermal(state.thermal_status)}")
    return found


def void_reason(before: Conditions, after: Conditions, cpus: Collection[int] | None = None) -> str | None:
    """Why what was measured in between is void, or None.

    Args:
        cpus: the cores that were used; None where that is unknown: then every core counts.

    What is unknown before or after says nothing.
    """
    return _switched(before, after) or throttled(before, after, cpus)


def _switched(before: Conditions, after: Conditions) -> str | None:
    """What was switched on or off in between."""
    if (
        None not in (before.battery_saver, after.battery_saver)
        and before.battery_saver != after.battery_saver
    ):
        return f"battery saver went {'on' if after.battery_saver else 'off'} while it was measured"
    if before.power_modes is not None and after.power_modes is not None:
        for mode in sorted({*before.power_modes} ^ {*after.power_modes}):
            return f"{mode} went {'on' if mode in after.power_modes else 'off'} while it was measured"
    return None


def throttled(before: Conditions, after: Conditions, cpus: Collection[int] | None = None) -> str | None:
    """Why a device that was as `before` can be as fast no more; arguments as of `void_reason`."""
    went_off = before.screen_on is True and after.screen_on is False
    because = " when the screen went off" if went_off else ""
    for cpu, was in sorted(before.cpu_max_mhz.items()):
        now = after.cpu_max_mhz.get(cpu)
        if now is None or was <= 0 or (cpus is not None and cpu not in cpus):
            continue
        if now < was * (1 - FREQUENCY_DROP):
            return f"throttled: the limit of cpu {cpu} fell from {was} to {now} MHz{because}"
    was_hot, is_hot = before.thermal_status, after.thermal_status
    if was_hot is not None and is_hot is not None and was_hot != is_hot:
        return f"the thermal status went from {was_hot} to {is_hot}"
    return None


def contended(row: Measurement, facts: StepContention | None, load: Load, where: str) -> Measurement:
    """The row with what else the device did while it was measured: without the repeats that were disturbed
    where most were not, void where most were or where other programs kept too many cores busy throughout.

    Args:
        facts: of the step, one value for each of the row's samples; None where an interpreter has none.
        where: the device in a sentence (`TargetKind.noun`).
    """
    if facts is None or row.status is not Status.OK or not row.samples_s:
        return row
    lost = _lost(row.samples_s, facts)
    others = _others(facts)
    kept = [i for i, share in enumerate(lost) if share <= LOST]
    mostly = not lost or 2 * len(kept) > len(lost)
    disturbed = not mostly or (others is not None and _certain(others, facts) > OTHERS * facts.cores)
    told = disturbed or facts.span_ns * OTHERS >= TICK_S * 1e9  # a shorter look may be off by more than that
    found = Contention(
        disturbed=disturbed,
        cores=facts.cores,
        lost=_rounded(median(lost) if lost else None),
        others=_rounded(others) if told else None,
        pressure=_rounded(_share(facts.pressure_ns, facts.span_ns)),
        switches=facts.switches,
        load=load.average,
        dropped=0 if disturbed or not lost else len(lost) - len(kept),
    )
    row = replace(row, contention=found)
    if disturbed:
        return replace(row, valid=False, reason=_busy(found, where))
    return _without(row, kept) if found.dropped else row


def _lost(samples: Sequence[float], facts: StepContention) -> list[float]:
    """Of each repeat, the share that its threads were ready to run in and did not; () where nothing tells.

    Two signs, the larger counts: the time they waited in a queue, which the kernel adds up when a wait ends,
    and, where others are known to have run, the CPU time that is missing of threads that do nothing but
    compute, which also sees a wait that has not ended. Workers that wait for each other spin, which is CPU
    time too.
    """
    others = _others(facts)
    missing = facts.computing and (others is None or _certain(others, facts) > WITNESS * facts.cores)
    if facts.waited_ns is None and not missing:
        return []
    found: list[float] = []
    for i, seconds in enumerate(samples):
        time_of_all = seconds * facts.threads * 1e9
        waited = 0.0 if facts.waited_ns is None else facts.waited_ns[i] / time_of_all
        lacking = 1 - facts.cpu_ns[i] / time_of_all if missing else 0.0
        found.append(min(max(waited, lacking, 0.0), 1.0))
    return found


def _others(facts: StepContention) -> float | None:
    """Cores that were busy with other programs (or with another virtual machine), on average."""
    if facts.machine_ns is None or facts.own_ns is None or facts.span_ns <= 0:
        return None
    return min(max(0.0, (facts.machine_ns - facts.own_ns) / facts.span_ns), float(facts.cores))


def _certain(others: float, facts: StepContention) -> float:
    """So many at least, in spite of the steps in which the system counts."""
    return others - facts.cores * TICK_S * 1e9 / facts.span_ns


def _without(row: Measurement, kept: Sequence[int]) -> Measurement:
    own_clock = row.device_s if len(row.device_s) == len(row.samples_s) else ()
    return replace(
        row,
        samples_s=tuple(row.samples_s[i] for i in kept),
        device_s=tuple(own_clock[i] for i in kept) if own_clock else (),
    )


def _busy(found: Contention, where: str) -> str:
    others = found.others
    taken = (
        "" if others is None else f"other programs took {units.significant(others, 2)} of {found.cores} cores"
    )
    if others is not None and others > OTHERS * found.cores / 2:
        return f"{where} was busy: {taken}"
    got = f"its threads got {units.percent(1 - (found.lost or 0))} of the time that they were ready to run"
    limit = f"; {taken}, so something limits what this process may use" if taken else ""
    return f"{where} was busy: {got}{limit}"


def _share(part: int | None, whole: int) -> float | None:
    return None if part is None or whole <= 0 else min(part / whole, 1.0)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def better(old: Measurement, new: Measurement) -> Measurement:
    """Of a row that was disturbed and the same measured again, the one that counts. What either found besides
    times (an error, wrong results, changing bits) stays."""
    if new.status is not Status.OK or not (old.contention and new.contention):
        return new
    tries = old.contention.tries + 1
    ahead = old if new.disturbed and (old.contention.lost or 0) < (new.contention.lost or 0) else new
    assert ahead.contention is not None
    return replace(
        ahead,
        contention=replace(ahead.contention, tries=tries),
        deviation=worst(tuple(d for d in (old.deviation, new.deviation) if d is not None)),
        deterministic=False if False in (old.deterministic, new.deterministic) else ahead.deterministic,
    )


def busy_found(rows: Sequence[Measurement]) -> str | None:
    """What was seen where rows are void because other programs ran, in figures; None where none is."""
    hit = [row.contention for row in rows if row.disturbed and row.contention is not None]
    if not hit:
        return None
    loads = [c.load for c in hit if c.load is not None]
    others = [c.others for c in hit if c.others is not None]
    lost = [c.lost for c in hit if c.lost is not None]
    parts = [
        f"load {units.significant(max(loads), 2)}" if loads else "",
        f"other programs use {units.significant(median(others), 2)} of {hit[0].cores} cores"
        if others
        else "",
        f"threads lose {units.percent(median(lost))} of their time" if lost and not others else "",
    ]
    return ", ".join(part for part in parts if part) or "other programs use the processor"


def judged(
    rows: Sequence[Measurement], before: Conditions, after: Conditions, first: Conditions | None = None
) -> list[Measurement]:
    """The rows with their spread and what capped their clocks, and void where the conditions changed while
    they were measured. Sustained load is meant to change them.

    Args:
        first: the state before anything was measured. Clocks that fell since then void a row as well, though
            they may not have fallen further while it was measured.
    """
    return [_judged(row, before, after, first or before) for row in rows]


def _judged(row: Measurement, before: Conditions, after: Conditions, first: Conditions) -> Measurement:
    found = spread(row.samples_s)
    if found is not None:
        row = replace(row, details={**row.details, "spread": round(found, 4)})
    if not row.samples_s or row.sustained:
        return row
    cpus = used_cpus(row)
    reason = void_reason(before, after, cpus) or throttled(first, after, cpus)
    if reason is not None:
        return replace(row, valid=False, reason=reason)
    capped = list(dict.fromkeys([*caps(before), *caps(after)]))
    return replace(row, details={**row.details, "capped": capped}) if capped else row


def used_cpus(row: Measurement) -> frozenset[int] | None:
    """The cores that the agent says it used (`isa dotprod, cpus 4-7`), or None."""
    _, found, text = (row.driver or "").partition("cpus ")
    cpus: set[int] = set()
    for part in text.split(",") if found and not row.backend.about.accelerator else ():
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal() or len(last or first) > 4:
            return None
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus) or None


def remarks(before: Conditions, after: Conditions | None = None) -> list[str]:
    """What about a device's state a reader of its numbers should know, in sentences."""
    found: list[str] = []
    battery = before.battery_percent
    if battery is not None and battery <= LOW_BATTERY_PERCENT:
        found.append(f"The battery is at {battery} %: phones lower their clocks there.")
    if before.charging:
        found.append("It was charging, which warms a phone.")
    if before.battery_saver:
        found.append("Battery saver is on: it caps the clocks, and the phone can do more without it.")
    found += [f"{mode} is on: it caps the clocks." for mode in before.power_modes or ()]
    if before.thermal_status:
        status = before.thermal_status
        hot = " Clocks are capped there." if status >= MODERATE else ""
        found.append(f"It was warm before it started (thermal status {_thermal(status)}).{hot}")
    if before.screen_on is False:
        found.append("The screen was off: some phones keep what runs then on their slower cores.")
    if before.kept_awake is False:
        why = f" ({before.awake_refusal})" if before.awake_refusal else ""
        found.append(f"adb may not keep the screen on{why}: keep it on by hand while it is measured.")
    elif before.kept_awake and before.charging is False:
        found.append("It is not plugged in, so its screen may go off while it is measured.")
    if after is None:
        return found
    if before.screen_on and after.screen_on is False:
        found.append("The screen went off while it was measured: some phones move work to slower cores then.")
    if (switched := _switched(before, after)) is not None:
        found.append(f"{switched[0].upper()}{switched[1:]}.")
    return found


def _thermal(status: int) -> str:
    return f"{status}, {THERMAL[status]}" if 0 <= status < len(THERMAL) else str(status)


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
    timing = Timing(warmup=1, repeat_min=2, repeat_max=MAX_REPEATS, budget_ms=int(piece * 1000))
    while clock() - start < seconds:
        row = runner.block(base.scheme, phase, base.candidate, timing, logits=False, again=False)[0]
        if row.status is not Status.OK:
            if not pieces:
                return replace(row, details={**row.details, "sweep": "sustained"})
            problem = f"ended after {units.seconds(clock() - start)}: {row.reason}"
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
    void = [row for _, row in pieces if not row.valid]
    if void:
        last = replace(last, contention=void[0].contention, valid=False)
        problem = problem or f"{len(void)} of {len(pieces)} pieces: {void[0].reason}"
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
