"""Speed and memory of a model file on a backend, with the interval that should hold the truth.

Decode is a bandwidth problem: every weight is read once a token, so tokens/s = achieved GB/s / bytes. Prefill
is an arithmetic problem: 2 operations per weight of the layers and token. Rates are taken, in falling order
of trust, from a model file that somebody measured on this device and backend (an `Anchor`), the reference
block on this device (in the engine's layout of the weights where that was measured), a figure reached on the
same chip, its specification.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from ..base.errors import UsageError
from ..base.names import Backend
from ..base.units import stated
from ..benchmarks.layouts import layouts
from ..benchmarks.measurements import Measurement
from ..probes.snapshot import Snapshot
from ..profiles.calibration import Calibration, Engine, Phase, Specification
from ..profiles.conditions import Facts
from ..profiles.knowledge import Architecture, Chip, Knowledge, Model
from ..profiles.socs import SocRow, least
from ..reports.report import Predicted, Range
from .calibration import Workload, around, engine_for, gpu_class, joined, specified_rate

MODEL, MEASURED, CHIP, SPECIFICATION = "measured model", "measured", "chip", "specification"

SAME_MODEL = 1.02
"""Spread of a figure that was measured with the very file: how it was rounded."""


@dataclass(frozen=True)
class Anchor:
    """A model file that somebody measured on the device: tokens/s of decode and, if known, prefill."""

    model: str
    backend: Backend
    decode: float
    prefill: float | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what is no speed."""
        if not 0 < self.decode < 1e6 or (self.prefill is not None and not 0 < self.prefill < 1e7):
            raise UsageError(f"{self.model}: a measured speed is tokens per second, above 0")


@dataclass(frozen=True)
class Rate:
    """Something per second (bytes, operations): the estimate, its interval, and what it rests on.

    Attributes:
        capped: what held the clocks down while it was measured (`trust.caps`): the device can do more.
    """

    range: Range
    basis: str
    capped: str | None = None


def predict(
    model: Model,
    backend: Backend,
    snapshot: Snapshot,
    measurements: Sequence[Measurement],
    knowledge: Knowledge,
    *,
    prompt_tokens: int = 256,
    context: int = 512,
    anchor: Anchor | None = None,
) -> Predicted:
    """Predicted speeds and peak memory; what nothing is known about is None.

    Args:
        prompt_tokens: the prompt of `ttft_s`.
        context: cache length that memory is asked for, and that decoding attends to.
        anchor: a model of the catalogue that was measured on the device; it counts for its own backend.

    Raises UsageError where the anchor is too fast to be true.
    """
    memory = peak_memory(model, backend, context, knowledge)
    architecture = knowledge.architectures.get(model.architecture)
    if architecture is None:  # a file that is not in the catalogue: the work of a token is not known
        return Predicted(peak_memory_bytes=memory)
    if anchor is not None and anchor.backend is backend:
        found = _from_anchor(model, anchor, snapshot, knowledge, prompt_tokens, context)
        return replace(found, peak_memory_bytes=memory)
    engine = engine_for(backend, model.format, knowledge.calibration)
    reading = rate("decode", model.scheme, backend, snapshot, measurements, knowledge, engine)
    if reading is None:
        return Predicted(peak_memory_bytes=memory)
    step = _step(model, architecture, backend, reading, context, knowledge, engine)
    decode = Range(1 / step.value, 1 / step.high, 1 / step.low)

    computing = rate("prefill", model.scheme, backend, snapshot, measurements, knowledge, engine)
    if computing is None:
        return Predicted(
            decode_tok_s=decode, peak_memory_bytes=memory, basis=reading.basis, capped=reading.capped
        )
    operations = float(architecture.prefill_flops_per_token)
    if computing.basis == SPECIFICATION and engine is not None:
        # The calibrated rates count activations; those of the reference block have them in its seconds.
        operations = Workload(architecture, model.bits, context).prefill_operations(engine)
    prefill = Range(*(rate / operations for rate in _values(computing.range)))
    ttft = Range(
        prompt_tokens / prefill.value + step.value,
        prompt_tokens / prefill.high + step.low,
        prompt_tokens / prefill.low + step.high,
    )
    return Predicted(
        prefill,
        decode,
        ttft,
        memory,
        basis=_weaker(reading.basis, computing.basis),
        capped=reading.capped or computing.capped,
    )


def _step(
    model: Model,
    architecture: Architecture,
    backend: Backend,
    reading: Rate,
    context: int,
    knowledge: Knowledge,
    engine: Engine | None,
) -> Range:
    """Seconds of one decoded token: weights and cache read, and what a layer costs beside that."""
    weights = architecture.bytes_per_token(model.bits)
    cache = float(context * architecture.kv_bytes_per_token(knowledge.thresholds.memory.kv_bytes_per_value))
    if reading.basis != MEASURED and engine is not None:
        cache *= engine.cache_weight
    overhead = architecture.layers * _layer_overhead(model, backend, reading, knowledge, engine)
    swing = knowledge.prediction.layer_overhead_s
    return Range(
        (weights + cache) / reading.range.value + overhead,
        (weights + cache) / reading.range.high + overhead * swing.low,
        (weights + cache) / reading.range.low + overhead * swing.high,
    )


def _from_anchor(
    model: Model, anchor: Anchor, snapshot: Snapshot, knowledge: Knowledge, prompt: int, context: int
) -> Predicted:
    """All speeds from one: the rates it stands for, and the work of the other model."""
    calibration, backend = knowledge.calibration, anchor.backend
    known = knowledge.models[anchor.model]
    there = engine_for(backend, known.format, calibration)
    here = engine_for(backend, model.format, calibration)
    if there is None or here is None:
        return Predicted()
    measured = Workload(knowledge.architectures[known.architecture], known.bits, min(context, known.context))
    wanted = Workload(knowledge.architectures[model.architecture], model.bits, context)
    reading = measured.decode_rate(there, anchor.decode)
    if reading is None:
        raise UsageError(
            f"{stated(anchor.decode)} tokens/s is faster than {anchor.model} can be on this engine"
        )
    reading *= here.decode_share / there.decode_share
    same = model.id == anchor.model
    spread = SAME_MODEL if same else _anchored_spread("decode", backend, there, here, snapshot, calibration)
    decode = around(1 / wanted.decode_seconds(here, reading), spread)
    if anchor.prefill is None:
        return Predicted(decode_tok_s=decode, basis=MODEL)
    computing = measured.prefill_rate(there, anchor.prefill) * here.prefill_share / there.prefill_share
    spread = SAME_MODEL if same else _anchored_spread("prefill", backend, there, here, snapshot, calibration)
    prefill = around(computing / wanted.prefill_operations(here), spread)
    ttft = Range(
        prompt / prefill.value + 1 / decode.value,
        prompt / prefill.high + 1 / decode.high,
        prompt / prefill.low + 1 / decode.low,
    )
    return Predicted(prefill, decode, ttft, basis=MODEL)


def _anchored_spread(
    phase: Phase, backend: Backend, there: Engine, here: Engine, snapshot: Snapshot, calibration: Calibration
) -> float:
    """Of a prediction from one measured model: what the engines add, and on a GPU its class."""
    engines = [here.spread(phase)] if here is there else [here.spread(phase), there.spread(phase)]
    if not backend.about.accelerator:
        return joined(*engines)
    return joined(*engines, gpu_class(Facts(snapshot), calibration.specification).model_spread)


def rate(
    phase: Phase,
    scheme: str,
    backend: Backend,
    snapshot: Snapshot,
    measurements: Sequence[Measurement],
    knowledge: Knowledge,
    engine: Engine | None = None,
) -> Rate | None:
    """Bytes per second that decoding reads weights of this scheme with, or operations per second that prefill
    computes with, under the kernels of `engine`."""

    def expected() -> Rate | None:
        unmeasured = _expected_reading if phase == "decode" else _expected_computing
        return unmeasured(backend, snapshot, knowledge, engine)

    rows = [pair.basis for pair in layouts(measurements, backend, phase)]
    measured = _measured(rows, scheme, knowledge)
    return expected() if measured is None else _opened(measured, expected)


def _expected_reading(
    backend: Backend, snapshot: Snapshot, knowledge: Knowledge, engine: Engine | None
) -> Rate | None:
    """Without a measurement."""
    chip = find_chip(snapshot, knowledge)
    spec = knowledge.prediction.spec.get(backend)
    if chip is None or spec is None:
        return None
    if backend.about.is_gpu and chip.read_gb_s is not None:
        return Rate(_reached(chip.read_gb_s, "decode", knowledge, engine), CHIP)
    if backend.about.accelerator and engine is not None:
        return _specified(chip.dram_gb_s, "decode", snapshot, engine, knowledge.calibration.specification)
    share = spec.dram_share
    peak = chip.dram_gb_s * 1e9
    return Rate(Range(peak * share.value, peak * share.low, peak * share.high), SPECIFICATION)


def _expected_computing(
    backend: Backend, snapshot: Snapshot, knowledge: Knowledge, engine: Engine | None
) -> Rate | None:
    """Without a measurement."""
    spec = knowledge.prediction.spec.get(backend)
    if spec is None:
        return None
    if not backend.about.accelerator:
        peak = _cpu_peak(snapshot, knowledge)
    else:
        chip = find_chip(snapshot, knowledge)
        if chip is not None and chip.compute_gflops is not None:
            return Rate(_reached(chip.compute_gflops, "prefill", knowledge, engine), CHIP)
        if chip is not None and chip.fp16_gflops is not None and engine is not None:
            return _specified(
                chip.fp16_gflops, "prefill", snapshot, engine, knowledge.calibration.specification
            )
        peak = chip.fp16_gflops * 1e9 if chip is not None and chip.fp16_gflops is not None else None
    if not peak:  # unknown, or a phone that states a clock of zero
        return None
    share = spec.compute_share
    return Rate(Range(peak * share.value, peak * share.low, peak * share.high), SPECIFICATION)


def _measured(rows: Sequence[Measurement], scheme: str, knowledge: Knowledge) -> Rate | None:
    """The rate of this weight scheme from one row of each that ran; None without any."""
    spread = knowledge.prediction.measured.spread
    figures = [(row, figure) for row in rows if (figure := row.figure)]
    if own := [(row, figure) for row, figure in figures if row.scheme == scheme]:
        row, figure = own[0]
    elif figures:
        # Another width of the weights: the same memory, but other work to unpack them.
        row, figure = min(figures, key=lambda pair: pair[1])
        spread **= 1.5
    else:
        return None
    return Rate(around(figure * 1e9, spread), MEASURED, ", ".join(row.capped) or None)


def _opened(rate: Rate, expected: Callable[[], Rate | None]) -> Rate:
    """A rate that was measured under capped clocks is the least that the device can do: its interval reaches
    as high as without the measurement."""
    if rate.capped is None or (without := expected()) is None:
        return rate
    return replace(rate, range=replace(rate.range, high=max(rate.range.high, without.range.high)))


def _reached(figure: float, phase: Phase, knowledge: Knowledge, engine: Engine | None) -> Range:
    """1e9 a second that something reached on this chip: in another phone, perhaps by another engine."""
    known = knowledge.prediction.known_bandwidth.spread
    return around(figure * 1e9, known if engine is None else joined(known, engine.spread(phase)))


def _specified(
    limit: float, phase: Phase, snapshot: Snapshot, engine: Engine, specification: Specification
) -> Rate:
    """A GPU's rate from its data sheet: the calibrated law of its class, and what the engine makes of it."""
    row = gpu_class(Facts(snapshot), specification)
    value = specified_rate(limit, phase, row, specification.exponent).value * engine.share(phase)
    return Rate(around(value * 1e9, joined(row.spread(phase), engine.spread(phase))), SPECIFICATION)


def peak_memory(model: Model, backend: Backend, context: int, knowledge: Knowledge) -> Range | None:
    """Peak resident bytes: a published peak of this file, else the memory model of its runtime."""
    architecture = knowledge.architectures.get(model.architecture)
    cache, streamed = 0, 0.0  # of a network that nobody knows
    if architecture is not None:
        cache = min(context, model.context) * architecture.kv_bytes_per_token(
            knowledge.thresholds.memory.kv_bytes_per_value
        )
        streamed = architecture.streamed_fraction
    for seen in model.memory:
        if seen.backend == backend:
            return Range(seen.bytes, seen.bytes * 0.8, seen.bytes * 1.3)
    shape = knowledge.runtimes[model.runtime].memory.get(backend)
    if shape is None:
        return None
    resident = model.size * (1 - streamed)
    return Range(
        model.size * shape.factor + shape.fixed + cache,
        resident * shape.factor_low + shape.fixed_low + cache,
        model.size * shape.factor_high + shape.fixed_high + cache,
    )


def find_chip(snapshot: Snapshot, knowledge: Knowledge) -> Chip | None:
    """The limits of this device: its chip's row; of several for one GPU the SoC decides, then the cores, then
    the slowest. Without a row: what the table of SoCs states, or None. Where it may be one of several
    chips: the least of each limit, and none that is not known of all."""
    if not snapshot.soc.one_of:
        return _chip_of(snapshot, knowledge)
    found = [
        _chip_of(replace(snapshot, soc=replace(snapshot.soc, name=name, model=None, one_of=())), knowledge)
        for name in snapshot.soc.one_of
    ]
    chips = [chip for chip in found if chip is not None]
    if len(chips) < len(found):
        return None
    first = min(chips, key=lambda chip: chip.read_gb_s or chip.dram_gb_s)
    return msgspec.structs.replace(
        first,
        dram_gb_s=min(chip.dram_gb_s for chip in chips),
        **{limit: least([getattr(c, limit) for c in chips]) for limit in _LIMITS},
    )


_LIMITS = ("fp16_gflops", "read_gb_s", "compute_gflops")


def _chip_of(snapshot: Snapshot, knowledge: Knowledge) -> Chip | None:
    name = (snapshot.gpu.model or "").casefold()
    rows = [row for row in knowledge.chips.values() if name in (g.casefold() for g in row.gpu)]
    soc = knowledge.tables.socs.named(snapshot.soc.name) if snapshot.soc.name else None
    by_soc = [row for row in rows if soc is not None and soc in _socs_of(row, knowledge)]
    by_cores = [row for row in rows if row.cores is not None and row.cores == snapshot.gpu.cores]
    # A row that is for other SoCs says nothing about this one's memory once this one is known.
    stated = _from_soc(soc, snapshot.gpu.model)
    if not by_soc and stated is not None:
        open_rows = [row for row in rows if not row.socs]
        return open_rows[0] if open_rows else stated
    return min(by_soc or by_cores or rows, key=lambda row: row.read_gb_s or row.dram_gb_s, default=stated)


def _socs_of(chip: Chip, knowledge: Knowledge) -> set[SocRow]:
    """The SoCs that a row is for."""
    return {row for name in chip.socs for row in knowledge.tables.socs.find(name, spoken=True).rows}


def _from_soc(soc: SocRow | None, gpu: str | None) -> Chip | None:
    """What the table of SoCs states of a chip's memory and GPU, as a row like those of chips.yaml."""
    if soc is None or soc.dram_gb_s is None:
        return None
    return Chip(
        id=soc.name,
        gpu=(gpu or "unknown",),
        basis="estimated",
        dram_gb_s=soc.dram_gb_s,
        fp16_gflops=soc.gpu.fp16_gflops,
        because=soc.because or soc.name,
        source=soc.source or soc.name,
    )


def _cpu_peak(snapshot: Snapshot, knowledge: Knowledge) -> float | None:
    """int8 operations per second of the fastest cores that an engine uses."""
    most = knowledge.prediction.max_threads
    cores = sorted(
        (
            (cluster.max_mhz, cluster.core)
            for cluster in snapshot.cpu.clusters
            if cluster.max_mhz is not None
            for _ in range(min(cluster.count or 0, most))
        ),
        key=lambda pair: pair[0],
        reverse=True,
    )[:most]
    rates = [_ops_per_cycle(core, snapshot, knowledge) for _, core in cores]
    if not rates or None in rates:
        return None
    return sum(mhz * 1e6 * (rate or 0) for (mhz, _), rate in zip(cores, rates, strict=True))


def _ops_per_cycle(core: str | None, snapshot: Snapshot, knowledge: Knowledge) -> float | None:
    """By the device's own features, which all its cores have, else by the core's name."""
    known, table = snapshot.cpu.features, knowledge.prediction.cpu_ops_per_cycle
    for feature in ("i8mm", "asimddp", "asimd"):
        if (
            feature in known
            if known is not None
            else core in getattr(knowledge.prediction.cpu_cores, feature)
        ):
            return float(getattr(table, feature))
    return None


def _layer_overhead(
    model: Model, backend: Backend, reading: Rate, knowledge: Knowledge, engine: Engine | None
) -> float:
    """Seconds a layer beyond its bytes. Measured rates contain that of the reference block's layers."""
    seconds = getattr(knowledge.prediction.layer_overhead_s, backend, 0.0)
    if reading.basis != MEASURED:
        return engine.layer_overhead_s if engine is not None and backend.about.accelerator else seconds
    reference, own = knowledge.architectures["gemma-2b"], knowledge.architectures[model.architecture]
    size = own.bytes_per_token(model.bits) / own.layers
    return seconds * max(0.0, 1 - size * reference.layers / reference.bytes_per_token(model.bits))


def _values(r: Range) -> tuple[float, float, float]:
    return r.value, r.low, r.high


def _weaker(a: str, b: str) -> str:
    order = (MEASURED, CHIP, SPECIFICATION)
    return max(a, b, key=order.index)
