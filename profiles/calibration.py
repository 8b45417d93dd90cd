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

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .conditions import Condition, Facts, evaluate
from .knowledge import Architecture, Bits, Knowledge, Quantisation, Row
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
        work = network.prefill_flops_per_token + engine.activation_ops * network.layers * network.d_model
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


# --- the published table ---------------------------------------------------------------------------------

QUANTISATIONS: Mapping[str, tuple[Bits, Bits, Bits]] = {
    "q8": (8, 8, 8),
    "int8": (8, 8, 8),
    "8/4/4": (8, 4, 4),
    "int4": (4, 4, 4),
    "int4 qat": (4, 4, 4),
    "int4 b128": (4, 4, 8),
    "int4 b32": (4, 4, 8),
    "int4 mixed b32": (4, 4, 8),
    "fp32": (32, 32, 32),
}
"""Bits of attention, FFN and embedding by the table's names (the embedding's from the files' sizes)."""

EXCLUDED = "excluded"
"""A note that begins so takes a row out of the fits; it stays in the table for everybody to see."""


@dataclass(frozen=True)
class Speed:
    """A published speed of a known network. `engine` is a row of calibration.yaml.

    Attributes:
        unit: the GPU's model, or "CPU".
        excluded: why the row is no evidence, or "".
    """

    source: str
    device: str
    soc: str
    unit: str
    engine: str
    model: str
    quantisation: str
    workload: Workload
    prefill: float | None
    decode: float | None
    prompt: int | None
    excluded: str = ""


def read_speeds(path: Path, knowledge: Knowledge) -> list[Speed]:
    """Rows of a published table (the columns of published_speeds.csv) whose network and engine are known."""
    networks = _networks(knowledge)
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            bits = QUANTISATIONS.get(row["quant"].strip().lower())
            engine = _engine(row["backend"], row["gpu_or_cpu"])
            if bits is None or engine is None or row["model"] not in networks:
                continue
            prompt = row["prompt_len"].lstrip("~")
            note = row.get("note") or ""
            context = 4096 if "4096" in note else 1280
            found.append(
                Speed(
                    source=row["source"],
                    device=row["device"],
                    soc=row["soc"],
                    unit=_unit(row["gpu_or_cpu"]),
                    engine=engine,
                    model=row["model"],
                    quantisation=row["quant"],
                    workload=Workload(
                        networks[row["model"]], Quantisation(*bits), _mean_context(context, engine)
                    ),
                    prefill=_number(row["prefill_tok_s"]),
                    decode=_number(row["decode_tok_s"]),
                    prompt=int(prompt) if prompt.isdigit() else None,
                    excluded=note if note.startswith(EXCLUDED) else "",
                )
            )
    return found


def _mean_context(compiled: int, engine: str) -> int:
    # ML Drift attends to what is there (1024 of prompt, on average half of the 256 that follow); the graphs
    # of the CPU are compiled for the whole cache and read all of it.
    return compiled if engine == "cpu" else min(1152, compiled)


def _engine(backend: str, unit: str) -> str | None:
    name = backend.lower()
    if "mtp" in name or "mlc" in name:
        return None
    if name.startswith("ml drift"):
        return "ml-drift"
    if not name.startswith(("mediapipe", "litert-lm")):
        return None
    return "cpu" if unit.upper().startswith("CPU") else "litert-gpu"


def _unit(text: str) -> str:
    """`Mali-G715 MC7` -> `Mali-G715`, `GPU (Adreno 840)` -> `Adreno 840`, `CPU 4t` -> `CPU`."""
    if text.upper().startswith("CPU"):
        return "CPU"
    inner = text.partition("(")[2].partition(")")[0] or text
    return inner.partition(" MC")[0].partition(" MP")[0].strip()


def _number(text: str | None) -> float | None:
    return float(text) if text and text.strip() else None


def _networks(knowledge: Knowledge) -> dict[str, Architecture]:
    networks = {}
    with (FOLDER / "published_models.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = row["name"]
            if row["architecture"]:
                networks[name] = knowledge.architectures[row["architecture"]]
                continue
            sizes = {
                key: int(row[key])
                for key in ("layers", "d_model", "heads", "kv_heads", "head_dim", "ffn", "vocab")
            }
            network = Architecture(
                id=name, title=name, context=4096, parameters=1, capability=0, because="calibration only",
                source=row["source"], **sizes,
            )  # fmt: skip
            networks[name] = network
    return networks
