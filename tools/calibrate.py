"""Fit the speed model to published speeds and print its errors: `python -m gemmafit.tools.calibrate`.

Nothing is scored with a constant that was fitted on the same device: engine constants and class coefficients
are fitted anew without it (holdout.py). Two questions are answered:

* given one measured model of a phone, how fast are the others there?
* from a data sheet alone, how fast is each model on a phone that was never measured?

`--table FILE` scores the rows of another table with the columns of profiles/published_speeds.csv, which may
be of new devices and models; the published rows of other devices remain what is fitted on. `--audit` holds
out more: a vendor, a network, a laboratory. `--constants` prints the fitted constants.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..base.errors import GemmafitError
from ..base.units import significant, stated
from ..judge.references import load
from ..profiles.calibration import Calibration, Engine, Phase
from ..profiles.knowledge import Knowledge
from . import holdout
from .holdout import PHASES, Score
from .published import TABLE, Published, Speed, read_speeds

MODEL_GOALS: dict[Phase, tuple[float, float]] = {"decode": (4.0, 12.0), "prefill": (6.0, 13.0)}
"""Given one measured model: percent of error in the median and at the 90th percentile, at most."""
SHEET_GOALS: dict[Phase, float] = {"decode": 12.0, "prefill": 22.0}
"""From a data sheet: percent in the median, at most."""
INSIDE_GOAL = 0.9
"""Share of the truths inside their bars, at least."""

Write = Callable[[str], object]


@dataclass(frozen=True)
class Case:
    """What is scored, and with what.

    Attributes:
        rows: all that may be fitted on and predicted from.
        scored: whose errors are printed.
    """

    rows: Sequence[Speed]
    scored: Sequence[Speed]
    calibration: Calibration
    knowledge: Knowledge

    def engine(self, name: str) -> tuple[Engine, list[Speed], list[Speed]]:
        """Constants, rows and scored rows of an engine."""
        mine = [r for r in self.rows if r.engine == name]
        return self.calibration.engines[name], mine, [r for r in self.scored if r.engine == name]

    @property
    def phones(self) -> list[Speed]:
        """ML Drift on phones: what the classes of GPUs are fitted on."""
        return [r for r in self.rows if r.engine == "ml-drift" and is_phone(r)]


def is_phone(row: Speed) -> bool:
    """Integrated GPUs of PCs are in the table for comparison; no class of GPUs is fitted on them."""
    return "iGPU" not in row.unit


def made(table: Path, knowledge: Knowledge, calibration: Calibration) -> tuple[Case, Published]:
    """The case of a table. Raises InputError."""
    read = read_speeds(table, knowledge)
    rows = list(read.rows)
    if not table.samefile(TABLE):
        known = {_identity(row): row for row in read_speeds(TABLE, knowledge).rows}
        # What is no evidence in the published table is none in another that repeats it.
        rows = [
            replace(row, excluded=known[key].excluded) if (key := _identity(row)) in known else row
            for row in rows
        ]
        read = replace(read, rows=tuple(rows))
        mine = {_identity(row) for row in rows}
        rows += [row for key, row in known.items() if key not in mine]
    return Case(rows, read.rows, calibration, knowledge), read


def _identity(row: Speed) -> tuple[object, ...]:
    """The same measurement in two tables: sources are written differently, and rounded."""
    speeds = [None if speed is None else significant(speed) for speed in (row.decode, row.prefill)]
    return row.device, row.unit, row.engine, row.model, row.quantisation, *speeds


def main(arguments: Sequence[str] | None = None, write: Write | None = None) -> int:
    """Print the tables. Returns an exit status: 2 where the table cannot be read."""
    write = write or (lambda text: sys.stdout.write(text + "\n"))
    parser = argparse.ArgumentParser(prog="calibrate", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--table", type=Path, default=TABLE, help="score these rows (CSV)")
    parser.add_argument("--audit", action="store_true", help="hold out vendors, networks and sources too")
    parser.add_argument("--constants", action="store_true", help="print the fitted constants")
    parser.add_argument("--rows", action="store_true", help="print every prediction")
    options = parser.parse_args(arguments)
    try:
        case, read = made(options.table, load(), load().calibration)
    except GemmafitError as error:
        write(f"error: {error}" + (f"\n  hint: {error.hint}" if error.hint else ""))
        return error.exit_code
    _what_was_read(read, case, options.table != TABLE, write)
    write(f"\n{'error in % of tokens/s':44s} median     p90     max   in bars     n")
    goals = [line for phase in PHASES for line in _phase(case, phase, options.rows, write)]
    write("\ngoals")
    for line in goals:
        write(line)
    if options.audit:
        _audit(case, write)
    if options.constants:
        _constants(case, write)
    return 0


def _what_was_read(read: Published, case: Case, foreign: bool, write: Write) -> None:
    excluded = sum(bool(row.excluded) for row in read.rows)
    write(
        f"{len(read.rows) + len(read.left_out)} rows: {len(read.rows)} of a known model and engine"
        f" ({excluded} of them excluded by their note), {len(read.left_out)} left out"
    )
    for reason, count in Counter(row.reason for row in read.left_out).most_common() if foreign else ():
        first = next(row.line for row in read.left_out if row.reason == reason)
        write(f"  {count} left out, first in line {first}: {reason}")
    for row in case.scored if foreign else ():
        if row.excluded:
            write(f"  {row.device}, {row.unit}, {row.model} {row.quantisation}: {row.excluded}")
    for unit in dict.fromkeys(row.unit for row in case.scored if row.unit != "CPU"):
        row = next(row for row in case.scored if row.unit == unit)
        if is_phone(row) and holdout.limit_of(row, "decode", case.knowledge) is None:
            write(f"  {unit} ({row.soc or 'SoC not named'}): no data sheet; only from a measured model")


def _phase(case: Case, phase: Phase, rows: bool, write: Write) -> list[str]:
    """Print the lines of a phase; the lines of its goals are returned."""
    goals: list[str] = []

    def show(name: str, what: str, scores: list[Score], detail: bool = True) -> None:
        if line := _line(scores):
            write(f"{phase:8s}{name:16s}{what:19s} {line}")
            _rows(scores, phase, rows and detail, write)

    engine, mine, scored = case.engine("ml-drift")
    phones = [r for r in scored if is_phone(r)]
    for name, subset in (
        ("ML Drift phones", phones),
        ("ML Drift laptop", [r for r in scored if not is_phone(r)]),
    ):
        fit_on = [r for r in mine if is_phone(r) == (name == "ML Drift phones")]
        for each, what in ((False, "given Gemma 2B"), (True, "given any one model")):
            scores = holdout.given_one_model(
                fit_on, phase, engine, case.calibration, each=each, scored=subset
            )
            show(name, what, scores, not each)
            if name == "ML Drift phones":
                goals += _goal(phase, what, scores, *MODEL_GOALS[phase])
    scores = holdout.from_data_sheet(
        phones, phase, case.calibration, case.knowledge, engine, phones=case.phones
    )
    show("ML Drift phones", "data sheet only", scores)
    goals += _goal(phase, "data sheet only", scores, SHEET_GOALS[phase])
    for key, name in (("litert-gpu", "LiteRT GPU"), ("cpu", "LiteRT CPU")):
        engine, mine, scored = case.engine(key)
        scores = holdout.given_one_model(mine, phase, engine, case.calibration, each=True, scored=scored)
        show(name, "given any one model", scores)
        if key == "cpu":
            scores = holdout.cpu_from_data_sheet(scored, phase, case.knowledge)
        else:
            scores = holdout.from_data_sheet(
                scored, phase, case.calibration, case.knowledge, engine, phones=case.phones
            )
        show(name, "data sheet only", scores)
    return goals


def _line(scores: Sequence[Score]) -> str | None:
    found = holdout.summary(scores)
    if found is None:
        return None
    return f"{found.median:7.1f} {found.high:7.1f} {found.largest:7.1f} {found.inside:9.0%} {found.count:5d}"


def _goal(
    phase: Phase, what: str, scores: Sequence[Score], middle: float, high: float | None = None
) -> list[str]:
    """One line: each figure beside what it may be, and whether all are met."""
    found = holdout.summary(scores)
    if found is None:
        return [f"  {phase} {what}: no row to score"]
    parts = [f"median {found.median:.1f} % (at most {stated(middle)})"]
    met = found.median <= middle and found.inside >= INSIDE_GOAL
    if high is not None:
        parts.append(f"90th percentile {found.high:.1f} % (at most {stated(high)})")
        met = met and found.high <= high
    parts.append(f"inside the bars {found.inside:.0%} (at least {INSIDE_GOAL:.0%})")
    return [f"  {'met   ' if met else 'MISSED'} {phase} {what}: {', '.join(parts)}"]


def _rows(scores: Sequence[Score], phase: Phase, wanted: bool, write: Write) -> None:
    for s in scores if wanted else ():
        truth = holdout.value(s.row, phase) or 0.0
        guess = truth * math.exp(s.error)
        mark = "" if s.covered else "  outside its bars"
        write(
            f"    {s.row.unit:17s}{s.row.model:18s}{s.row.quantisation:15s}"
            f"{significant(truth, 4):>8} {significant(guess, 4):>8} {100 * guess / truth - 100:+6.1f}%{mark}"
        )


def _audit(case: Case, write: Write) -> None:
    """Harder hold-outs: what was never seen is a whole family of them."""
    write(f"\n{'held out together':44s} median     p90     max   in bars     n")
    drift, mine, _ = case.engine("ml-drift")
    phones = [r for r in mine if is_phone(r)]
    for phase in PHASES:
        for name, apart in (("network", holdout.network), ("vendor", holdout.vendor)):
            scores = holdout.given_one_model(phones, phase, drift, case.calibration, each=True, apart=apart)
            if line := _line(scores):
                write(f"{phase:8s}{'ML Drift phones':16s}{'one model, ' + name:19s} {line}")
        for key in ("litert-gpu", "cpu"):
            engine, rows, _ = case.engine(key)
            scores = holdout.given_one_model(
                rows, phase, engine, case.calibration, each=True, apart=holdout.source
            )
            if line := _line(scores):
                write(f"{phase:8s}{key:16s}{'one model, source':19s} {line}")
        scores = holdout.from_data_sheet(
            phones, phase, case.calibration, case.knowledge, drift, phones=phones, apart=holdout.vendor
        )
        if line := _line(scores):
            write(f"{phase:8s}{'ML Drift phones':16s}{'data sheet, vendor':19s} {line}")
    for phase in PHASES:
        share, ways = holdout.by_chance(phones, phase, case.calibration, case.knowledge)
        write(
            f"{phase}: {share:.0%} of the {ways} ways to deal the data sheets out do as well as the right one"
        )


def _constants(case: Case, write: Write) -> None:
    write("\nfitted on all devices:")
    for name, start in case.calibration.engines.items():
        engine = start
        own = case.phones if name == "ml-drift" else [r for r in case.rows if r.engine == name]
        for phase in PHASES:
            engine = holdout.fit_engine(own, phase, engine)
        values = {field: getattr(engine, field) for grid in holdout.GRID.values() for field, _ in grid}
        write(f"  {name}: {values}")
    exponent = case.calibration.specification.exponent
    for phase in PHASES:
        drift = case.calibration.engines["ml-drift"]
        known = holdout.devices(case.phones, phase, drift, case.calibration, case.knowledge)
        for d in known:
            own_coefficient = d.rate / d.limit**exponent
            write(
                f"  {phase} {d.group}: {d.name} of {stated(d.limit)} reaches {significant(d.rate)}: "
                f"coefficient {own_coefficient:.3f}"
            )
        for row in case.calibration.specification.classes:
            n = sum(d.group == row.id for d in known)
            if not n:
                continue
            needed = holdout.needed_spread(known, row.id, exponent)
            asked = "" if needed is None else f", their scatter asks for x / {needed:.2f}"
            write(
                f"  {phase} coefficient of {row.id}: {holdout.coefficient(known, row.id, exponent):.3f} "
                f"({n} devices{asked}; stored x / {stated(row.spread(phase))})"
            )


if __name__ == "__main__":
    raise SystemExit(main())
