"""Measurements: what running the reference block yielded. Values only; written to captures and reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import isfinite
from statistics import median
from typing import Any, cast

import msgspec

from ..base import typed
from ..base.limits import FEW, NAME_CHARS
from ..base.names import Backend, Status

MARK = "*"
"""Beside every figure of a device that is software."""


@dataclass(frozen=True)
class Deviation:
    """Distance of an output from the NumPy reference; `stage` names the worst intermediate result."""

    max_abs: float
    rel_l2: float
    cosine: float
    stage: str
    tolerance: float
    """Allowed rel_l2 for this backend and precision."""

    @property
    def ok(self) -> bool:
        """Whether the output counts as right. NaN is never right."""
        return self.rel_l2 <= self.tolerance


@dataclass(frozen=True)
class Contention:
    """What else the device did while a row was measured (`trust.contended`). None: the system does not tell.

    Attributes:
        disturbed: the row does not count for it.
        lost: share of a repeat in which the threads that compute or launch it were ready and did not run;
            the median of all repeats. 0.5: half of the time went to others.
        others: cores that were busy with other programs, on average; None also where too short to tell.
        cores: that the device had online.
        pressure: share of the time in which some thread on the device waited for a core.
        switches: how often a core was taken from a thread of ours.
        load: the load average of the last minute, when the process ended.
        dropped: repeats that were disturbed while most were not; they are not in the row.
        tries: how often it was measured to get this far.
    """

    disturbed: bool
    cores: int
    lost: float | None = None
    others: float | None = None
    pressure: float | None = None
    switches: int | None = None
    load: float | None = None
    dropped: int = 0
    tries: int = 1


@dataclass(frozen=True)
class Measurement:
    """One step of a plan on one backend.

    `key` = backend/scheme/phase/variant is stable across versions and drivers; `device` and `driver`
    are metadata.

    Attributes:
        scheme: int8 | int4 (the 8/4/4 mix) | "" for limits.
        phase: decode | prefill | logits | limit | build (until the kernels have run once; `builds`) | load
            (until the layer has run once on weights from storage; `loads`).
        variant: which kernels (layout, fusion, instruction set), e.g. "rows", "engine", "dotprod".
        precision: of the activations: qd8 | fp16 | fp32.
        samples_s: wall seconds of every timed repeat.
        device_s: the same from the device's own clock, or empty where it has none or reports zero.
        bytes: weights and cache that one repeat must read or write at least.
        flops: 2 x multiply-accumulates of one repeat.
        tokens: tokens processed by one repeat (decode 1, prefill the chunk).
        context: KV-cache length attended to.
        deterministic: all repeats returned the same bits; None with fewer than two repeats.
        valid: False when the conditions changed while measuring (throttling), or when other programs took the
            processor; `reason` says how.
        contention: what else the device did meanwhile; None where that was not asked.
        executor: agent | pyopencl | vulkan.
        value, unit: the result of a limit (e.g. 31.2 GB/s).
        details: further facts (threads, work-group, isa, memory, per-kernel seconds). `tuned`: the variant
            was not searched for but remembered from a search at this time.
    """

    backend: Backend
    scheme: str
    phase: str
    variant: str
    status: Status
    reason: str | None = None
    precision: str | None = None
    samples_s: tuple[float, ...] = ()
    device_s: tuple[float, ...] = ()
    bytes: int | None = None
    flops: int | None = None
    tokens: int | None = None
    context: int | None = None
    deviation: Deviation | None = None
    deterministic: bool | None = None
    valid: bool = True
    contention: Contention | None = None
    executor: str = "agent"
    device: str | None = None
    driver: str | None = None
    value: float | None = None
    unit: str | None = None
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    # Which rows count

    @property
    def sound(self) -> bool:
        """Whether a number may be built upon: it ran, under steady conditions, undisturbed, and what it
        computed is right. Whoever ranks, predicts, compares, draws or remembers takes such rows only."""
        return self.right and self.valid

    @property
    def right(self) -> bool:
        """Whether it ran and what it computed is right, however busy or hot the device was."""
        fits = self.deviation is None or self.deviation.ok
        return self.status is Status.OK and fits and min(self.samples_s, default=0.0) > 0

    @property
    def disturbed(self) -> bool:
        """Whether other programs took the processor, so that the row does not count."""
        return self.contention is not None and self.contention.disturbed

    @property
    def key(self) -> str:
        return "/".join((self.backend, self.scheme, self.phase, self.variant))

    @property
    def seconds(self) -> float | None:
        """Median wall seconds of a repeat, or None if nothing was timed."""
        return median(self.samples_s) if self.samples_s else None

    @property
    def gb_per_s(self) -> float | None:
        return None if self.bytes is None or not self.seconds else self.bytes / self.seconds / 1e9

    @property
    def gflop_per_s(self) -> float | None:
        return None if self.flops is None or not self.seconds else self.flops / self.seconds / 1e9

    @property
    def figure(self) -> float | None:
        """The speed that counts: prefill is bound by arithmetic (GFLOP/s), all else by memory (GB/s)."""
        return self.gflop_per_s if self.phase == "prefill" else self.gb_per_s

    @property
    def figure_unit(self) -> str:
        """Of `figure`."""
        return "GFLOP/s" if self.phase == "prefill" else "GB/s"

    # What `details` says, typed: those of a recording are untrusted, and what has another type is not there.

    @property
    def software(self) -> bool:
        """Whether a driver that computes on the CPU stood in for a GPU: PoCL, lavapipe, SwiftShader and
        others say so themselves."""
        return self.backend.about.accelerator and self.details.get("device_type") == "cpu"

    @property
    def mark(self) -> str:
        """What stands beside its figures: `MARK` or nothing."""
        return MARK if self.software else ""

    @property
    def engine_layout(self) -> bool:
        """Whether the weights lie as in Google's engine."""
        return self.details.get("engine_layout") is True

    @property
    def layout(self) -> str | None:
        """Of the weights, by name."""
        return self._text("layout")

    @property
    def sweep(self) -> str | None:
        """The sweep that the row is a setting of; None: a row at ordinary sizes."""
        return self._text("sweep")

    @property
    def at(self) -> str | int | None:
        """The setting of the sweep."""
        found = self.details.get("at")
        return found[:NAME_CHARS] if isinstance(found, str) else _whole(found)

    @property
    def spread(self) -> float | None:
        """Of the samples, relative (`statistics.spread`)."""
        return _finite(self.details.get("spread"))

    @property
    def sustained(self) -> tuple[tuple[float, float], ...]:
        """The curve under sustained load: (seconds, GB/s)."""
        points: list[tuple[float, float]] = []
        for point in self._list("sustained"):
            at, speed = (
                map(_finite, point) if isinstance(point, list | tuple) and len(point) == 2 else (None, None)
            )
            if at is None or speed is None:
                return ()
            points.append((at, speed))
        return tuple(points)

    @property
    def capped(self) -> tuple[str, ...]:
        """What capped the clocks meanwhile (`trust.caps`)."""
        return tuple(str(what)[:NAME_CHARS] for what in self._list("capped")[:FEW])

    @property
    def peak_rss_bytes(self) -> int | None:
        """Largest resident size of the process, or of the step where it loads."""
        return _whole(self.details.get("peak_rss_bytes"))

    @property
    def shortage(self) -> bool:
        """Whether it was left out for want of memory."""
        return self.details.get("shortage") is True

    def _text(self, key: str) -> str | None:
        found = self.details.get(key)
        return found[:NAME_CHARS] if isinstance(found, str) else None

    def _list(self, key: str) -> list[Any]:
        found = self.details.get(key)
        return list(cast(list[Any], found)) if isinstance(found, list | tuple) else []

    def to_dict(self) -> dict[str, Any]:
        """A plain mapping for YAML and JSON; `None` and empty fields are left out."""
        # Members of StrEnum, of this module's or the block's, as the plain text that YAML takes.
        row = {k: str(v) if isinstance(v, StrEnum) else v for k, v in asdict(self).items()}
        row["samples_s"], row["device_s"] = list(self.samples_s), list(self.device_s)
        if self.contention is not None:
            row["contention"] = {k: v for k, v in asdict(self.contention).items() if v is not None}
        return {k: v for k, v in row.items() if v is not None and v != [] and v != {}}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Measurement:
        """The inverse of `to_dict`; unknown keys are left out. Raises ValueError on rows it cannot read.

        Rows come from captures, which are untrusted: types are checked and nothing is negative.
        """
        try:
            found = typed.convert(row, cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        if not found.backend.about.measured:
            raise ValueError(f"{found.key}: nothing runs on {found.backend}")
        counts = (found.bytes, found.flops, found.tokens, found.context)
        if any(value < 0 for value in (*found.samples_s, *found.device_s, *filter(None, counts))):
            raise ValueError(f"{found.key}: a time or a count is negative")
        return found


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63 else None


def _finite(value: object) -> float | None:
    if isinstance(value, float):
        return value if isfinite(value) else None
    return None if (whole := _whole(value)) is None else float(whole)
