"""The speed model and its constants: the work of a token, the rate of hardware, and how far off that is.

Decode reads every weight and part of the cache once a token, plus a fixed time per layer; prefill multiplies
by the layers' weights and moves activations::

    seconds per decoded token = (weights + cache_weight x cache) / rate + layers x layer_overhead_s
    operations per prompt token = (2 x weights of the layers + activation_ops x layers x d_model)
                                  x (1 + int8_ops if the weights have 8 bits)

The rates belong to a device: solved from one measured model (`Workload.decode_rate`, `prefill_rate`), or from
specifications by `specified_rate`: coefficient x limit ^ exponent, the coefficient by class of GPU. All
constants are in calibration.yaml; `tools/calibrate.py` fits them to published_speeds.csv and prints
their errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..base.names import Backend
from ..profiles.calibration import Calibration, Engine, GpuClass, Phase, Specification
from ..profiles.conditions import Facts, evaluate
from ..profiles.knowledge import Architecture, Quantisation
from ..reports.report import Range


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
    """The interval from value / spread to value x spread."""
    return Range(value, value / spread, value * spread)


def engine_for(backend: Backend, format: str, calibration: Calibration) -> Engine | None:
    """The kernels that run a model file of a format on a backend; None where nothing was calibrated."""
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
