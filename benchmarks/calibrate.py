"""Fit the speed model to published speeds and print its errors: `python -m gemmafit.benchmarks.calibrate`.

Nothing is scored with a constant that was fitted on the same device: engine constants and class coefficients
are fitted anew without it (leave one device out). Two questions are answered:

* given one measured model of a phone, how fast are the others there?
* from a data sheet alone, how fast is each model on a phone that was never measured?

`--table FILE` takes another table with the columns of profiles/published_speeds.csv; `--constants` prints the
fitted constants as they stand in profiles/calibration.yaml.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, median, quantiles

import msgspec

from ..probes.readers.gpu import identify
from ..probes.snapshot import Gpu, Snapshot, Soc
from ..profiles.calibration import (
    FOLDER,
    Calibration,
    Engine,
    Phase,
    Speed,
    gpu_class,
    joined,
    load_calibration,
    read_speeds,
)
from ..profiles.conditions import Facts
from ..profiles.knowledge import Knowledge, load
from ..profiles.predict import find_chip
from ..profiles.tables import load_tables

PHASES: tuple[Phase, ...] = ("decode", "prefill")
REFERENCES = (("Gemma 2B", "q8"), ("Gemma 2B", "8/4/4"))
"""What is measured first where a phone has it: the model that the reference block is a layer of."""

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


@dataclass(frozen=True)
class Score:
    """A prediction of one row against the truth. `error` is the natural logarithm of predicted / true."""

    row: Speed
    error: float
    covered: bool | None = None

    @property
    def percent(self) -> float:
        return abs(math.exp(self.error) - 1) * 100


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


def device(row: Speed) -> tuple[str, str, str]:
    return row.device, row.soc, row.unit


def by_device(rows: Iterable[Speed]) -> dict[tuple[str, str, str], list[Speed]]:
    groups = defaultdict(list)
    for row in rows:
        groups[device(row)].append(row)
    return dict(groups)


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
) -> list[Score]:
    """Each device's other models from the first of REFERENCES that it has; from each in turn with `each`."""
    scores = []
    for key, group in by_device(rows).items():
        fitted = fit_engine([r for r in rows if device(r) != key], phase, engine)
        spread = model_spread(group[0], phase, engine, calibration)
        usable = [r for r in group if value(r, phase)]
        for known in usable if each else _reference(usable):
            known_rate = rate(known, phase, fitted)
            for row in usable:
                truth = value(row, phase)
                if row is known or known_rate is None or truth is None:
                    continue
                error = math.log(predicted(row, phase, fitted, known_rate) / truth)
                scores.append(Score(row, error, abs(error) <= math.log(spread)))
    return scores


def _reference(rows: Sequence[Speed]) -> list[Speed]:
    for wanted in REFERENCES:
        if found := [r for r in rows if (r.model, r.quantisation) == wanted]:
            return found[:1]
    return []


def model_spread(row: Speed, phase: Phase, engine: Engine, calibration: Calibration) -> float:
    """The interval that a prediction from one measured model carries on a row's device."""
    if row.unit == "CPU":
        return engine.spread(phase)
    group = gpu_class(Facts(snapshot_of(row)), calibration.specification)
    return joined(engine.spread(phase), group.model_spread)


# --- from specifications ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Device:
    """A device with its data sheet: the limit is GB/s for decode, fp16 GFLOP/s for prefill."""

    key: tuple[str, str, str]
    group: str
    limit: float
    rate: float


def snapshot_of(row: Speed) -> Snapshot:
    """What a table row says about its device, as the facts that conditions ask for."""
    found = identify(load_tables().gpus, row.unit)
    gpu = Gpu(found.vendor, row.unit, found.architecture) if found else Gpu(model=row.unit)
    return Snapshot(kind="table", gpu=gpu, soc=Soc(name=row.soc))


def devices(
    rows: Sequence[Speed], phase: Phase, engine: Engine, calibration: Calibration, knowledge: Knowledge
) -> list[Device]:
    """Every device of the rows whose data sheet is known, with the middle of its rates in G/s."""
    found = []
    for key, group in by_device(rows).items():
        snapshot = snapshot_of(group[0])
        chip = find_chip(snapshot, knowledge)
        limit = None if chip is None else chip.dram_gb_s if phase == "decode" else chip.fp16_gflops
        rates = [r for row in group if (r := rate(row, phase, engine))]
        if limit is not None and rates:
            name = gpu_class(Facts(snapshot), calibration.specification).id
            found.append(Device(key, name, limit, median(rates) / 1e9))
    return found


def coefficient(known: Sequence[Device], group: str, exponent: float) -> float:
    """Geometric mean over the devices of a class; over all where the class has none."""
    own = [d for d in known if d.group == group] or list(known)
    return math.exp(fmean(math.log(d.rate / d.limit**exponent) for d in own))


def from_specifications(
    rows: Sequence[Speed], phase: Phase, calibration: Calibration, knowledge: Knowledge, engine: Engine
) -> list[Score]:
    """Every row of a device from its data sheet and from the other devices' coefficients."""
    exponent = calibration.specification.exponent
    classes = {row.id: row for row in calibration.specification.classes}
    scores = []
    for key, group in by_device(rows).items():
        others = [r for r in rows if device(r) != key]
        fitted = fit_engine(others, phase, engine)
        known = devices(others, phase, fitted, calibration, knowledge)
        here = devices(group, phase, fitted, calibration, knowledge)
        if not here or not known:
            continue
        row_class, limit = classes[here[0].group], here[0].limit
        law = coefficient(known, row_class.id, exponent) * limit**exponent
        guess = min(law, row_class.cap(phase) * limit) * 1e9
        for row in group:
            if (truth := value(row, phase)) is not None:
                error = math.log(predicted(row, phase, fitted, guess) / truth)
                scores.append(Score(row, error, abs(error) <= math.log(row_class.spread(phase))))
    return scores


# --- printing --------------------------------------------------------------------------------------------


def summary(scores: Sequence[Score]) -> str:
    """median, 90th percentile, largest error in percent; share of truths inside the bars; how many."""
    if not scores:
        return "nothing to compare"
    errors = sorted(s.percent for s in scores)
    high = quantiles(errors, n=10, method="inclusive")[-1] if len(errors) > 1 else errors[0]
    inside = fmean(1.0 if s.covered else 0.0 for s in scores)
    return f"{median(errors):7.1f} {high:7.1f} {errors[-1]:7.1f} {inside:9.0%} {len(errors):5d}"


def main(arguments: Sequence[str] | None = None, write: Callable[[str], object] | None = None) -> int:
    """Print the tables. Returns an exit status."""
    write = write or (lambda text: sys.stdout.write(text + "\n"))
    parser = argparse.ArgumentParser(prog="calibrate", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--table", type=Path, default=FOLDER / "published_speeds.csv")
    parser.add_argument("--constants", action="store_true", help="print the fitted constants")
    parser.add_argument("--rows", action="store_true", help="print every prediction")
    options = parser.parse_args(arguments)
    knowledge, calibration = load(), load_calibration()
    rows = read_speeds(options.table, knowledge)
    phones = [r for r in rows if r.engine == "ml-drift" and "iGPU" not in r.unit]
    write(f"{'':42s} median     p90     max   in bars     n   (error in % of tokens/s)")
    for phase in PHASES:
        for name, subset in _subsets(rows, phones):
            engine = calibration.engines[subset[0].engine] if subset else None
            if engine is None:
                continue
            for label, each in (("Gemma 2B", False), ("any one model", True)):
                scores = given_one_model(subset, phase, engine, calibration, each=each)
                if scores:
                    write(f"{phase:8s}{name:15s}{'given ' + label:19s} {summary(scores)}")
                    _rows(scores, phase, options.rows and not each, write)
        scores = from_specifications(phones, phase, calibration, knowledge, calibration.engines["ml-drift"])
        write(f"{phase:8s}{'ML Drift phones':15s}{'data sheet only':19s} {summary(scores)}")
        _rows(scores, phase, options.rows, write)
    if options.constants:
        _constants(rows, phones, calibration, knowledge, write)
    return 0


def _subsets(rows: Sequence[Speed], phones: list[Speed]) -> list[tuple[str, list[Speed]]]:
    return [
        ("ML Drift phones", phones),
        ("ML Drift laptop", [r for r in rows if r.engine == "ml-drift" and r not in phones]),
        ("LiteRT GPU", [r for r in rows if r.engine == "litert-gpu"]),
        ("LiteRT CPU", [r for r in rows if r.engine == "cpu"]),
    ]


def _rows(scores: Sequence[Score], phase: Phase, wanted: bool, write: Callable[[str], object]) -> None:
    for s in scores if wanted else ():
        truth = value(s.row, phase) or 0.0
        guess = truth * math.exp(s.error)
        mark = "" if s.covered else "  outside its bars"
        write(
            f"    {s.row.unit:17s}{s.row.model:18s}{s.row.quantisation:15s}"
            f"{truth:8.4g} {guess:8.4g} {100 * guess / truth - 100:+6.1f}%{mark}"
        )


def _constants(
    rows: Sequence[Speed],
    phones: Sequence[Speed],
    calibration: Calibration,
    knowledge: Knowledge,
    write: Callable[[str], object],
) -> None:
    write("\nfitted on all devices:")
    for name, start in calibration.engines.items():
        engine = start
        for phase in PHASES:
            own = phones if name == "ml-drift" else [r for r in rows if r.engine == name]
            engine = fit_engine(own, phase, engine)
        values = {field: getattr(engine, field) for grid in GRID.values() for field, _ in grid}
        write(f"  {name}: {values}")
    for phase in PHASES:
        known = devices(phones, phase, calibration.engines["ml-drift"], calibration, knowledge)
        for d in known:
            own = d.rate / d.limit**calibration.specification.exponent
            write(
                f"  {phase} {d.group}: {d.key[2]} of {d.limit:g} reaches {d.rate:.1f}: coefficient {own:.3f}"
            )
        for row in calibration.specification.classes:
            n = sum(d.group == row.id for d in known)
            if not n:
                continue
            write(
                f"  {phase} coefficient of {row.id}: "
                f"{coefficient(known, row.id, calibration.specification.exponent):.3f} ({n} devices)"
            )


if __name__ == "__main__":
    raise SystemExit(main())
