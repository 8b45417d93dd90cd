"""Measurements: what running the reference block yielded. Values only; written to captures and reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from statistics import median
from typing import Any

import msgspec

from ..base import typed
from ..base.names import Backend, Status


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
        others: cores that were busy with other programs, on average.
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
        counts = (found.bytes, found.flops, found.tokens, found.context)
        if any(value < 0 for value in (*found.samples_s, *found.device_s, *filter(None, counts))):
            raise ValueError(f"{found.key}: a time or a count is negative")
        return found
