"""What the rows of a benchmark say, in sentences. Pure: from rows just measured or from a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...base.names import Backend, Status
from ...base.units import percent, seconds, significant, size
from .. import trust
from ..measurements import Measurement
from ..statistics import Gain, gain
from .settings import Sweep

THRESHOLD = 0.03
"""Two processes with the same plan differ by up to this on an idle machine; a gain below it is none."""

_ROOF_MARGIN = 0.1


@dataclass(frozen=True)
class SweepFinding:
    """One sentence, and the gain it rests on: speed of what is meant to be faster over the other's."""

    sweep: str
    backend: Backend
    text: str
    gain: Gain | None = None

    def to_dict(self) -> dict[str, object]:
        """For a file."""
        row: dict[str, object] = {"sweep": str(self.sweep), "backend": str(self.backend), "text": self.text}
        if self.gain is not None:
            row |= {"ratio": self.gain.ratio, "low": self.gain.low, "high": self.gain.high}
        return row


def findings(rows: Iterable[Measurement]) -> list[SweepFinding]:
    """The sentences of all sweeps that `rows` hold, by backend. Void and wrong rows are no ground for any;
    what a backend cannot have needs no sentence."""
    listed = list(rows)
    found: list[SweepFinding] = []
    for backend in Backend:
        for sweep in Sweep:
            mine = [r for r in listed if r.backend is backend and r.sweep == sweep]
            if not mine or all(row.status is Status.UNSUPPORTED for row in mine):
                continue
            found += _of(sweep, backend, mine)
        for row in listed:
            if row.backend is backend and row.sustained:
                found.append(_sustained(row))
    return found


def above_the_roof(rows: Iterable[Measurement]) -> list[str]:
    """Kernels that read faster than the limit of reading: then the limit is too low, or a cache helped."""
    listed = list(rows)
    limits = {
        r.backend: r.value
        for r in listed
        if r.phase == "limit" and r.variant == "read" and r.value and r.sound
    }
    found: list[str] = []
    for backend, limit in limits.items():
        speeds = [
            r.gb_per_s or 0.0 for r in listed if r.backend is backend and r.phase == "decode" and r.sound
        ]
        top = max(speeds, default=0.0)
        if top > limit * (1 + _ROOF_MARGIN):
            found.append(
                f"{backend}: a kernel reads {significant(top)} GB/s, above the measured limit of "
                f"{significant(limit)}: weights lie in a cache, or the machine was busy when it was measured."
            )
    return found


def _of(sweep: Sweep, backend: Backend, rows: Sequence[Measurement]) -> list[SweepFinding]:
    good = [row for row in rows if row.sound]
    if not good:
        return [SweepFinding(sweep, backend, f"{sweep}: nothing measured ({_why_not(rows)}).")]
    match sweep:
        case Sweep.WEIGHTS:
            return _pairs(sweep, backend, good, "int8", "int4", "8/4/4", "int8")
        case Sweep.FUSION:
            return _pairs(sweep, backend, good, "unfused", "fused", "fused", "unfused")
        case Sweep.BUILD:
            return _build(backend, good)
        case Sweep.LOAD:
            return _load(backend, good)
        case Sweep.CHUNK:
            return [_chunk(backend, good)]
        case Sweep.CONTEXT:
            return [_context(backend, good)]
        case Sweep.THREADS:
            return [_threads(backend, good, phase) for phase in _phases(good)]


def _why_not(rows: Sequence[Measurement]) -> str:
    wrong = "its numbers are wrong"
    return next((row.reason or wrong for row in rows if not row.sound), "no row")


def _phases(rows: Sequence[Measurement]) -> list[str]:
    return list(dict.fromkeys(row.phase for row in rows))


def _pairs(
    sweep: Sweep, backend: Backend, rows: Sequence[Measurement], before: str, after: str, new: str, old: str
) -> list[SweepFinding]:
    """One finding a phase that has both."""
    found: list[SweepFinding] = []
    for phase in _phases(rows):
        at = {row.at: row for row in rows if row.phase == phase}
        if before not in at or after not in at:
            found.append(
                SweepFinding(sweep, backend, f"{phase}: {new} and {old} cannot be compared; one is missing.")
            )
            continue
        change = gain(at[before].samples_s, at[after].samples_s)
        times = f"{_took(at[after])} against {_took(at[before])}"
        found.append(SweepFinding(sweep, backend, f"{phase}: {compared(change, new, old)}: {times}.", change))
    return found


def compared(change: Gain | None, new: str, old: str) -> str:
    """A gain in words: how much faster, or that it is not."""
    if change is None or not change.beyond(THRESHOLD):
        between = f" ({_factor(change.low)} to {_factor(change.high)} times)" if change is not None else ""
        return f"{new} is not faster than {old}, nor slower, beyond the noise{between}"
    if change.ratio > 1:
        between = f"{_factor(change.low)} to {_factor(change.high)}"
        return f"{new} is {_factor(change.ratio)} times as fast as {old} ({between})"
    between = f"{_factor(1 / change.high)} to {_factor(1 / change.low)}"
    return f"{new} is NOT faster than {old} but {_factor(1 / change.ratio)} times slower ({between})"


def _build(backend: Backend, rows: Sequence[Measurement]) -> list[SweepFinding]:
    """What the driver's own cache saves, and what keeping compiled kernels does."""
    at = {row.at: row for row in rows}
    first = at.get("first")
    if first is None:
        return [SweepFinding(Sweep.BUILD, backend, "build: no first build to compare with.")]
    text = f"compiling the kernels and running them once takes {_took(first)}."
    found = [SweepFinding(Sweep.BUILD, backend, text)]
    whose = {
        "second": "the driver's own cache, in a second process",
        "cold": "kernels that we kept, read from storage",
        "warm": "kernels that we kept, read from memory",
    }
    for name, what in whose.items():
        if name not in at:
            continue
        row = at[name]
        change = gain(first.samples_s, row.samples_s)
        if name != "second" and not row.details.get("kept"):
            said = f"the driver takes none ({_refusal(row)})"
        elif change is not None and change.ratio > 1 and change.beyond(0.25):
            said = f"{_factor(change.ratio)} times as fast ({_took(row)})"
        else:
            said = f"no gain ({_took(row)})"
        found.append(SweepFinding(Sweep.BUILD, backend, f"{what}: {said}.", change))
    return found


def _refusal(row: Measurement) -> str:
    notes = row.details.get("notes")
    return str(notes[0]) if isinstance(notes, list) and notes else "it gave nothing to keep"


def _load(backend: Backend, rows: Sequence[Measurement]) -> list[SweepFinding]:
    """Time to the first token and peak memory: in shards against at once."""
    at = {row.at: row for row in rows}
    found: list[SweepFinding] = []
    for state in ("cold", "warm"):
        whole, shards = at.get(f"whole-{state}"), at.get(f"shards-{state}")
        if whole is None or shards is None:
            continue
        change = gain(whole.samples_s, shards.samples_s)
        text = (
            f"{state} weights: {compared(change, 'loading in shards', 'loading at once')}: "
            f"{_took(shards)} against {_took(whole)} to the first token of a layer"
        )
        peaks = [row.peak_rss_bytes for row in (shards, whole)]
        if peaks[0] is not None and peaks[1] is not None:
            text += f", with {size(peaks[0])} against {size(peaks[1])} at most"
        found.append(SweepFinding(Sweep.LOAD, backend, f"{text}.", change))
    return found or [SweepFinding(Sweep.LOAD, backend, "load: no two ways of loading to compare.")]


def _chunk(backend: Backend, rows: Sequence[Measurement]) -> SweepFinding:
    """The best chunk by tokens a second; of chunks that do not differ beyond the noise, the smallest."""
    by_size = sorted(rows, key=lambda row: row.tokens or 0)
    per_token = {row.tokens or 1: [s / (row.tokens or 1) for s in row.samples_s] for row in by_size}
    fastest = min(by_size, key=lambda row: (row.seconds or 0.0) / (row.tokens or 1)).tokens or 1
    best = next(
        n
        for n, samples in per_token.items()
        if n == fastest or not ((g := gain(samples, per_token[fastest])) and g.beyond(THRESHOLD))
    )
    smallest = next(iter(per_token))
    change = gain(per_token[smallest], per_token[best])
    row = next(row for row in by_size if row.tokens == best)
    speed = significant(best / (row.seconds or 1.0))
    text = f"prefill is fastest in chunks of {best} ({speed} tokens/s through one layer)"
    if best != smallest and change is not None:
        text += f", {_factor(change.ratio)} times as fast as in chunks of {smallest}"
    if best == max(per_token):
        text += "; larger ones were not measured"
    return SweepFinding(Sweep.CHUNK, backend, f"{text}.", change)


def _context(backend: Backend, rows: Sequence[Measurement]) -> SweepFinding:
    ordered = sorted(rows, key=lambda row: row.context or 0)
    first, last = ordered[0], ordered[-1]
    change = gain(first.samples_s, last.samples_s)
    if first is last or change is None:
        return SweepFinding(Sweep.CONTEXT, backend, f"decode was measured at {first.at} tokens only.")
    text = (
        f"decode with {last.at} tokens in the cache takes {_factor(1 / change.ratio)} times "
        f"as long as with {first.at}: {_took(last)} against {_took(first)}"
    )
    return SweepFinding(Sweep.CONTEXT, backend, f"{text}.", change)


def _threads(backend: Backend, rows: Sequence[Measurement], phase: str) -> SweepFinding:
    """The least number of threads that is as fast as the best."""
    at = {row.at: row for row in rows if row.phase == phase and isinstance(row.at, int)}
    if not at:
        return SweepFinding(Sweep.THREADS, backend, f"{phase}: no row says how many threads it had.")
    fastest = min(at, key=lambda n: at[n].seconds or 0.0)
    best = next(
        n
        for n in sorted(at)
        if n == fastest or not ((g := gain(at[n].samples_s, at[fastest].samples_s)) and g.beyond(THRESHOLD))
    )
    least = min(at)
    change = gain(at[least].samples_s, at[best].samples_s)
    cpus = trust.used_cpus(at[best])
    where = f" on cores {_ranges(sorted(cpus))}" if cpus else ""
    text = f"{phase}: {best} thread{'s' if best > 1 else ''}{where} {'are' if best > 1 else 'is'} enough"
    if best != least and change is not None:
        text += f", {_factor(change.ratio)} times as fast as {least}"
    return SweepFinding(Sweep.THREADS, backend, f"{text} (of up to {max(at)} tried).", change)


def _sustained(row: Measurement) -> SweepFinding:
    if not row.sound:
        return SweepFinding("sustained", row.backend, f"sustained: nothing measured ({_why_not([row])}).")
    samples = row.sustained
    change = trust.trend(samples)
    end = seconds(samples[-1][0])
    if change is None:
        text = f"sustained decode: too few points in {end} for a trend"
    elif not change.beyond(THRESHOLD):
        text = f"sustained decode holds its speed over {end}, within the noise"
    else:
        way = f"{'loses' if change.ratio < 1 else 'gains'} {percent(abs(1 - change.ratio))}"
        text = f"sustained decode {way} from the first to the last fifth of {end}"
    busy = row.details.get("busy")
    share = f" ({percent(busy)} of it under load)" if busy else ""
    return SweepFinding("sustained", row.backend, f"{text}{share}.", change)


def _took(row: Measurement) -> str:
    return seconds(row.seconds or 0.0)


def _factor(ratio: float) -> str:
    return significant(ratio) if ratio < 100 else "over 100"


def _ranges(numbers: Sequence[int]) -> str:
    """0, 1, 2, 5 as 0-2,5."""
    parts: list[list[int]] = []
    for n in numbers:
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
