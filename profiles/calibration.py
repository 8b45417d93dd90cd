"""The speed model and its constants: the work of a token, the rate of hardware, and how far off that is.

Decode reads every weight and part of the cache once a token, plus a fixed time per layer; prefill multiplies
by the layers' weights and moves activations::

    seconds per decoded token = (weights + cache_weight x cache) / rate + layers x layer_overhead_s
    operations per prompt token = (2 x weights of the layers + activation_ops x layers x d_model)
                                  x (1 + int8_ops if the weights have 8 bits)

The rates belong to a device: solved from one measured model (`Workload.decode_rate`, `prefill_rate`), or from
specifications by `specified_rate`: coefficient x limit ^ exponent, the coefficient by class of GPU. All
constants are in calibration.yaml; `benchmarks/calibrate.py` fits them to published_speeds.csv and prints
their errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .conditions import Condition, Facts, evaluate
from .knowledge import Architecture, Quantisation, Row
from .report import Range
from .tablefile import Table, compose

FOLDER = Path(__file__).parent

Phase = Literal["decode", "prefill"]
NonNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]


class Engine(Row, frozen=True, kw_only=True):
    """Constants of an engine's kernels; see the module.

    Attributes:
        when: for which model files these are the kernels: facts `backend` and `format`.
        decode_share, prefill_share: its rates as a share of those that ML Drift reaches on the same GPU.
        decode_spread, prefill_spread: what the engine adds to the intervals, as a factor.
    """

    when: Condition
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

    id: str
    when: Condition | None = None
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
    classes: tuple[GpuClass, ...]


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of calibration.yaml."""

    engines: dict[str, Engine]
    specification: Specification


@cache
def load_calibration(path: Path = FOLDER / "calibration.yaml") -> Calibration:
    """Raises InputError naming file, line and key."""
    return Table(compose(path)).mapping(Calibration)


@dataclass(frozen=True)
class Workload:
    """A model file in use: the network, its bits, how many tokens are in the cache while it decodes."""

    architecture: Architecture
    bits: Quantisation
    context: int = 1152

    def decode_bytes(self, engine: Engine) -> float:
        """Bytes that one decoded token costs: the weights, and the engine's share of the cache."""
        cached = self.context * self.architecture.kv_bytes_per_token()
        return self.architecture.bytes_per_token(self.bits) + engine.cache_weight * cached

    def decode_seconds(self, engine: Engine, bytes_per_s: float) -> float:
        """Of one token."""
        overhead = engine.layer_overhead_s * self.architecture.layers
        return self.decode_bytes(engine) / bytes_per_s + overhead

    def prefill_operations(self, engine: Engine) -> float:
        """Operations of one prompt token, activations counted as what they cost in operations."""
        network = self.architecture
        moved = network.layers * network.d_model * network.prefill_share
        work = network.prefill_flops_per_token + engine.activation_ops * moved
        return work * (1 + engine.int8_ops * (self.bits.ffn >= 8))

    def decode_rate(self, engine: Engine, tokens_per_s: float) -> float | None:
        """Bytes per second that a measured speed stands for; None if the overhead alone takes longer."""
        left = 1 / tokens_per_s - engine.layer_overhead_s * self.architecture.layers
        return self.decode_bytes(engine) / left if left > 0 else None

    def prefill_rate(self, engine: Engine, tokens_per_s: float) -> float:
        """Operations per second that a measured speed stands for."""
        return self.prefill_operations(engine) * tokens_per_s


def joined(*spreads: float) -> float:
    """One interval of several independent ones, as factors."""
    return math.exp(math.hypot(*(math.log(s) for s in spreads)))


def around(value: float, spread: float) -> Range:
    return Range(value, value / spread, value * spread)


def engine_for(backend: str, format: str, calibration: Calibration) -> Engine | None:
    """The kernels that run a model file of a format on a backend; None where nothing was calibrated (npu)."""
    facts = Facts(None, {"backend": backend, "format": format})
    return next((e for e in calibration.engines.values() if evaluate(e.when, facts).value), None)


def gpu_class(facts: Facts, specification: Specification) -> GpuClass:
    """The first class whose condition holds, else the last one, which has none."""
    for row in specification.classes:
        if row.when is None or evaluate(row.when, facts).value:
            return row
    raise ValueError("calibration.yaml: the last class must have no condition")


def specified_rate(limit: float, phase: Phase, row: GpuClass, exponent: float) -> Range:
    """A device's rate from a data sheet's: GB/s from GB/s, or GFLOP/s from GFLOP/s."""
    coefficient, cap = (row.decode, row.decode_cap) if phase == "decode" else (row.prefill, row.prefill_cap)
    return around(min(coefficient * limit**exponent, cap * limit), row.spread(phase))
