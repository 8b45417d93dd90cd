"""The constants of the speed model (calibration.yaml) as types; what they mean: judge/calibration.py."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .conditions import Condition
from .rows import Asks, Positive, Row, Text

Phase = Literal["decode", "prefill"]
NonNegative = Annotated[float, Meta(ge=0)]


class Engine(Row, frozen=True, kw_only=True):
    """Constants of an engine's kernels; see the module.

    Attributes:
        when: for which model files these are the kernels.
        decode_share, prefill_share: its rates as a share of those that ML Drift reaches on the same GPU.
        decode_spread, prefill_spread: what the engine adds to the intervals, as a factor.
    """

    when: Annotated[Condition, Asks(("backend", "format"))]
    cache_weight: NonNegative
    layer_overhead_s: NonNegative
    activation_ops: NonNegative
    int8_ops: NonNegative
    decode_share: Positive = 1.0
    prefill_share: Positive = 1.0
    decode_spread: Annotated[float, Meta(ge=1)]
    prefill_spread: Annotated[float, Meta(ge=1)]

    def spread(self, phase: Phase) -> float:
        return self.decode_spread if phase == "decode" else self.prefill_spread

    def share(self, phase: Phase) -> float:
        return self.decode_share if phase == "decode" else self.prefill_share


class GpuClass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """GPUs that use their memory and arithmetic alike. The first class whose condition holds counts.

    Attributes:
        decode, prefill: coefficient of the rate in GB/s and GFLOP/s.
        decode_cap, prefill_cap: the largest share of the limit that is reached; keeps the law from being
            carried on to small devices.
        decode_spread, prefill_spread: predicted from a data sheet, the truth is within value / spread and
            value x spread 9 times in 10.
        model_spread: the same, given one measured model of the phone.
        devices: how many the coefficients rest on.
    """

    id: Text
    when: Annotated[Condition, Asks(("snapshot",))] | None = None
    decode: Positive
    prefill: Positive
    decode_cap: Positive
    prefill_cap: Positive
    decode_spread: Annotated[float, Meta(gt=1)]
    prefill_spread: Annotated[float, Meta(gt=1)]
    model_spread: Annotated[float, Meta(gt=1)]
    devices: int

    def cap(self, phase: Phase) -> float:
        return self.decode_cap if phase == "decode" else self.prefill_cap

    def spread(self, phase: Phase) -> float:
        return self.decode_spread if phase == "decode" else self.prefill_spread


class Specification(Row, frozen=True, kw_only=True):
    """Rates from data sheets. One exponent for all, less than 1: faster memory is used less well."""

    exponent: Annotated[float, Meta(gt=0, le=1)]
    classes: Annotated[tuple[GpuClass, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        if any(row.when is None for row in self.classes[:-1]) or self.classes[-1].when is not None:
            raise ValueError("classes: the last one, and no other, has no condition")


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of calibration.yaml."""

    engines: Annotated[dict[Text, Engine], Meta(min_length=1)]
    specification: Specification
