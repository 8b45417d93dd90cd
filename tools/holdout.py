"""Scores of the speed model on published speeds, never with a constant that was fitted on what is scored.

`apart` names what is held out together: with a row, all rows of the same `apart` leave the fit. Usual is the
device, or the chip for predictions from a data sheet; `vendor`, `network` and `source` ask whether the model
holds for a family, a network or a laboratory that was never seen.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from statistics import fmean, median, quantiles

import msgspec

from ..base.names import Backend, TargetKind
from ..judge.calibration import gpu_class, joined
from ..judge.predict import find_chip, predict
from ..judge.references import load
from ..probes.readers.gpu import identify
from ..probes.snapshot import Cluster, Cpu, Gpu, Snapshot, Soc
from ..profiles.calibration import Calibration, Engine, GpuClass, Phase
from ..profiles.conditions import Facts
from ..profiles.knowledge import Knowledge
from ..profiles.socs import common
from .published import Speed

PHASES: tuple[Phase, ...] = ("decode", "prefill")
REFERENCES = (("gemma-2b", 8), ("gemma-2b", 4))
"""Network and bits of its FFN: what is measured first where a phone has it, as the reference block is a layer
of it."""

MIN_PROMPT = 512
"""Prompts shorter than this pay fixed costs that no rate explains (a twentieth of the speed at 20 tokens)."""

MIN_DEVICES = 4
"""With fewer devices of several models each, a fit follows the noise of one of them."""

GRID: dict[Phase, tuple[tuple[str, tuple[float, ...]], ...]] = {
    "decode": (
        ("cache_weight", (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)),
        ("layer_overhead_s", (0.0, 1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 7e-4, 1e-3)),
    ),
    "prefill": (
        ("activation_ops", (0.0, 5e3, 1e4, 1.5e4, 2e4, 2.5e4, 3e4, 4e4)),
        ("int8_ops", (0.0, 0.02, 0.04, 0.06, 0.08)),
    ),
}
"""Values tried for each constant. Coarse on purpose: a dozen devices cannot tell finer ones apart."""

Apart = Callable[[Speed], str]


@dataclass(frozen=True)
class Score:
    """A prediction of one row against the truth. `error` is the natural logarithm of predicted / true."""

    row: Speed
    error: float
    covered: bool

    @property
    def percent(self) -> float:
        return abs(math.exp(self.error) - 1) * 100


@dataclass(frozen=True)
class Summary:
    """Errors in percent of tokens/s; `inside`: share of the truths that are inside their bars."""

    median: float
    high: float
    largest: float
    inside: float
    count: int


def summary(scores: Sequence[Score]) -> Summary | None:
    """None without scores. `high` is the 90th percentile."""
    if not scores:
        return None
    errors = sorted(s.percent for s in scores)
    high = quantiles(errors, n=10, method="inclusive")[-1] if len(errors) > 1 else errors[0]
    return Summary(median(errors), high, errors[-1], fmean(s.covered for s in scores), len(errors))


# --- what is held out together ---------------------------------------------------------------------------


def device(row: Speed) -> str:
    """A phone and the unit of it that was measured."""
    return "/".join((row.device, row.soc, row.unit))


def chip(row: Speed) -> str:
    """A CPU is known by its SoC."""
    return row.soc if row.unit == "CPU" else row.unit


def network(row: Speed) -> str:
    """The architecture, whatever its bits."""
    return row.workload.architecture.id


def source(row: Speed) -> str:
    """The publication, which is a laboratory and its protocol."""
    return row.source


def vendor(row: Speed) -> str:
    """Of the GPU; of a CPU the first word of its SoC's name."""
    return snapshot_of(row).gpu.vendor or row.soc.partition(" ")[0]


# --- one row ---------------------------------------------------------------------------------------------


def value(row: Speed, phase: Phase) -> float | None:
    """The published tokens/s that count for a phase, or None."""
    if row.excluded:
        return None
    if phase == "decode":
        return row.decode
    return row.prefill if row.prompt is not None and row.prompt >= MIN_PROMPT else None


def rate(row: Speed, phase: Phase, engine: Engine) -> float | None:
    """Bytes or operations per second that a row stands for under an engine's constants."""
    speed = value(row, phase)
    if speed is None:
        return None
    if phase == "decode":
        return row.workload.decode_rate(engine, speed)
    return row.workload.prefill_rate(engine, speed)


def predicted(row: Speed, phase: Phase, engine: Engine, device_rate: float) -> float:
    """Tokens/s of a row's model on a device of that rate."""
    if phase == "decode":
        return 1 / row.workload.decode_seconds(engine, device_rate)
    return device_rate / row.workload.prefill_operations(engine)


def snapshot_of(row: Speed) -> Snapshot:
    """What a table row says about its device, as the facts that conditions ask for."""
    found = identify(load().tables.gpus, row.unit)
    gpu = Gpu(found.vendor, row.unit, found.architecture) if found else Gpu(model=row.unit)
    return Snapshot(kind=TargetKind.STATED, gpu=gpu, soc=Soc(name=row.soc))


def by_device(rows: Iterable[Speed]) -> dict[str, list[Speed]]:
    """In groups that share phone, SoC and unit."""
    groups = defaultdict(list)
    for row in rows:
        groups[device(row)].append(row)
    return dict(groups)


# --- given one measured model ----------------------------------------------------------------------------


def fit_engine(rows: Sequence[Speed], phase: Phase, engine: Engine) -> Engine:
    """The constants of one phase under which each device's rates agree best (least sum of deviations).

    `engine` as it is where fewer than MIN_DEVICES have several models.
    """
    groups = [[r for r in group if value(r, phase)] for group in by_device(rows).values()]
    groups = [group for group in groups if len(group) > 1]
    if len(groups) < MIN_DEVICES:
        return engine
    names = [name for name, _ in GRID[phase]]

    def spread(values: Sequence[float]) -> float:
        candidate = msgspec.structs.replace(engine, **dict(zip(names, values, strict=True)))
        total = 0.0
        for group in groups:
            logs = [math.log(r) if (r := rate(row, phase, candidate)) else math.inf for row in group]
            middle = median(logs)
            total += sum(min(abs(x - middle), 10.0) for x in logs)
        return total

    best = min(product(*(values for _, values in GRID[phase])), key=spread)
    return msgspec.structs.replace(engine, **dict(zip(names, best, strict=True)))


def given_one_model(
    rows: Sequence[Speed],
    phase: Phase,
    engine: Engine,
    calibration: Calibration,
    *,
    each: bool = False,
    scored: Collection[Speed] | None = None,
    apart: Apart = device,
) -> list[Score]:
    """Each device's other models from the first of REFERENCES that it has; from each in turn with `each`.

    Args:
        scored: only these rows are; the others are there to fit on and to predict from. None: all.
    """
    fits: dict[str, Engine] = {}
    scores = []
    for group in by_device(rows).values():
        spread = model_spread(group[0], phase, engine, calibration)
        usable = [r for r in group if value(r, phase)]
        for known in usable if each else _reference(usable):
            for row in usable:
                truth = value(row, phase)
                if row is known or truth is None or (scored is not None and row not in scored):
                    continue
                held_out = apart(row)
                if held_out not in fits:
                    fits[held_out] = fit_engine([r for r in rows if apart(r) != held_out], phase, engine)
                known_rate = rate(known, phase, fits[held_out])
                if known_rate is None:
                    continue
                error = math.log(predicted(row, phase, fits[held_out], known_rate) / truth)
                scores.append(Score(row, error, abs(error) <= math.log(spread)))
    return scores


def _reference(rows: Sequence[Speed]) -> list[Speed]:
    for wanted in REFERENCES:
        if found := [r for r in rows if (network(r), r.workload.bits.ffn) == wanted]:
            return found[:1]
    return []


def model_spread(row: Speed, phase: Phase, engine: Engine, calibration: Calibration) -> float:
    """The interval that a prediction from one measured model carries on a row's device."""
    if row.unit == "CPU":
        return engine.spread(phase)
    group = gpu_class(Facts(snapshot_of(row)), calibration.specification)
    return joined(engine.spread(phase), group.model_spread)


# --- from a data sheet -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Device:
    """A device with its data sheet: the limit is GB/s for decode, fp16 GFLOP/s for prefill."""

    name: str
    group: str
    limit: float
    rate: float


def limit_of(row: Speed, phase: Phase, knowledge: Knowledge) -> float | None:
    """The data sheet's figure that bounds a phase, or None where no table has the chip."""
    found = find_chip(snapshot_of(row), knowledge)
    if found is None:
        return None
    return found.dram_gb_s if phase == "decode" else found.fp16_gflops


def class_of(row: Speed, calibration: Calibration) -> GpuClass:
    """The class of GPUs that a row was measured on."""
    return gpu_class(Facts(snapshot_of(row)), calibration.specification)


def devices(
    rows: Sequence[Speed], phase: Phase, engine: Engine, calibration: Calibration, knowledge: Knowledge
) -> list[Device]:
    """Every device of the rows whose data sheet is known, with the middle of its rates in G/s."""
    found = []
    for group in by_device(rows).values():
        limit = limit_of(group[0], phase, knowledge)
        rates = [r for row in group if (r := rate(row, phase, engine))]
        if limit is not None and rates:
            found.append(
                Device(group[0].unit, class_of(group[0], calibration).id, limit, median(rates) / 1e9)
            )
    return found


def coefficient(known: Sequence[Device], group: str, exponent: float) -> float:
    """Geometric mean over the devices of a class; over all where the class has none."""
    own = [d for d in known if d.group == group] or list(known)
    return math.exp(fmean(math.log(d.rate / d.limit**exponent) for d in own))


def from_data_sheet(
    rows: Sequence[Speed],
    phase: Phase,
    calibration: Calibration,
    knowledge: Knowledge,
    engine: Engine,
    *,
    phones: Sequence[Speed],
    scored: Collection[Speed] | None = None,
    apart: Apart = chip,
) -> list[Score]:
    """Every row from its chip's data sheet and what other chips made of theirs.

    Args:
        engine: that of the rows.
        phones: rows of ML Drift, which the coefficients of the classes are fitted on.

    A class none of whose chips is left carries the interval of the class that nobody measured.
    """
    drift, exponent = calibration.engines["ml-drift"], calibration.specification.exponent
    fits: dict[str, tuple[Engine, list[Device]]] = {}
    scores = []
    for row in rows if scored is None else scored:
        truth, limit = value(row, phase), limit_of(row, phase, knowledge)
        if truth is None or limit is None:
            continue
        held_out = apart(row)
        if held_out not in fits:
            others = [r for r in phones if apart(r) != held_out]
            fitted = fit_engine(others, phase, drift)
            fits[held_out] = fitted, devices(others, phase, fitted, calibration, knowledge)
        fitted, known = fits[held_out]
        if not known:
            continue
        group = class_of(row, calibration)
        law = coefficient(known, group.id, exponent) * limit**exponent
        guess = min(law, group.cap(phase) * limit) * 1e9 * engine.share(phase)
        constants = fitted if engine == drift else engine
        error = math.log(predicted(row, phase, constants, guess) / truth)
        seen = not group.devices or any(d.group == group.id for d in known)
        widest = calibration.specification.classes[-1]
        spread = joined((group if seen else widest).spread(phase), engine.spread(phase))
        scores.append(Score(row, error, abs(error) <= math.log(spread)))
    return scores


def cpu_from_data_sheet(rows: Sequence[Speed], phase: Phase, knowledge: Knowledge) -> list[Score]:
    """Every row of a known SoC's CPU by the predictor as it ships: its shares were set once, by hand, and are
    not refitted here."""
    template = next(iter(knowledge.models.values()))
    scores = []
    for row in rows:
        truth, soc = value(row, phase), common(knowledge.tables.socs.find(row.soc, spoken=True).rows)
        if truth is None or soc is None:
            continue
        network = row.workload.architecture
        known = msgspec.structs.replace(
            knowledge, architectures={**knowledge.architectures, network.id: network}
        )
        model = msgspec.structs.replace(
            template,
            architecture=network.id,
            bits=row.workload.bits,
            format="litertlm",
            backends=(Backend.CPU,),
        )
        snapshot = Snapshot(
            TargetKind.STATED,
            gpu=Gpu(model=soc.gpu.model),
            soc=Soc(soc.manufacturer, name=soc.name),
            cpu=Cpu(tuple(Cluster(c.core, c.count, c.mhz) for c in soc.cpu)),
        )
        speeds = predict(model, Backend.CPU, snapshot, (), known, context=row.workload.context)
        found = speeds.decode_tok_s if phase == "decode" else speeds.prefill_tok_s
        if found is not None:
            scores.append(Score(row, math.log(found.value / truth), found.low <= truth <= found.high))
    return scores


def by_chance(
    phones: Sequence[Speed], phase: Phase, calibration: Calibration, knowledge: Knowledge
) -> tuple[float, int]:
    """Does the data sheet say anything? Share of the ways to deal the devices' data sheets out among them
    that predict as well as the right one (median error, the device left out), and how many ways there are.

    Classes stay with their devices: what is asked is whether the figure helps beyond the class.
    """
    drift, exponent = calibration.engines["ml-drift"], calibration.specification.exponent
    known = devices(phones, phase, fit_engine(phones, phase, drift), calibration, knowledge)

    def error(limits: Sequence[float]) -> float:
        dealt = [Device(d.name, d.group, x, d.rate) for d, x in zip(known, limits, strict=True)]
        errors = []
        for d in dealt:
            others = [other for other in dealt if other.name != d.name]
            guess = coefficient(others, d.group, exponent) * d.limit**exponent
            errors.append(abs(math.log(guess / d.rate)))
        return median(errors)

    right = error([d.limit for d in known])
    ways = [error(limits) for limits in permutations(d.limit for d in known)]
    return fmean(e <= right + 1e-12 for e in ways), len(ways)


def needed_spread(known: Sequence[Device], group: str, exponent: float) -> float | None:
    """The interval, as a factor, that the scatter of the devices asks for: Student's t of the scatter within
    classes, pooled, for one more device of a class. None where no class has two devices."""
    logs: dict[str, list[float]] = defaultdict(list)
    for d in known:
        logs[d.group].append(math.log(d.rate / d.limit**exponent))
    freedom = sum(len(v) - 1 for v in logs.values())
    if freedom < 1 or group not in logs:
        return None
    scatter = math.sqrt(sum((x - fmean(v)) ** 2 for v in logs.values() for x in v) / freedom)
    return math.exp(_student(freedom) * scatter * math.sqrt(1 + 1 / len(logs[group])))


def _student(freedom: int) -> float:
    """Two-sided 90 % quantile of Student's t."""
    table = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)
    return table[freedom - 1] if freedom <= len(table) else 1.645 * (1 + 1 / freedom)
