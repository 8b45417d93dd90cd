"""The speed model against the published table, each phone scored by constants fitted without it."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any

import pytest

from gemmafit.benchmarks import calibrate
from gemmafit.profiles import knowledge as base
from gemmafit.profiles.calibration import (
    FOLDER,
    Workload,
    gpu_class,
    joined,
    load_calibration,
    read_speeds,
    specified_rate,
)
from gemmafit.profiles.conditions import Facts
from gemmafit.profiles.knowledge import Quantisation

KNOWLEDGE = base.load()
CALIBRATION = load_calibration()
TABLE = FOLDER / "published_speeds.csv"
ROWS = read_speeds(TABLE, KNOWLEDGE)
PHONES = [r for r in ROWS if r.engine == "ml-drift" and "iGPU" not in r.unit]
ML_DRIFT = CALIBRATION.engines["ml-drift"]
Q8 = Quantisation(8, 8, 8)


def figures(scores: Any) -> Any:
    errors = [s.percent for s in scores]
    return (
        median(errors),
        quantiles(errors, n=10, method="inclusive")[-1],
        fmean(bool(s.covered) for s in scores),
    )


@pytest.mark.parametrize(("phase", "goal"), [("decode", (4, 12)), ("prefill", (6, 13))])
def test_given_one_measured_model(phase: Any, goal: Any) -> None:
    middle, high, covered = figures(calibrate.given_one_model(PHONES, phase, ML_DRIFT, CALIBRATION))
    assert middle <= goal[0]
    assert high <= goal[1]
    assert covered >= 0.9


@pytest.mark.parametrize(("phase", "goal"), [("decode", 12), ("prefill", 22)])
def test_from_a_data_sheet_with_the_device_left_out(phase: Any, goal: Any) -> None:
    scores = calibrate.from_specifications(PHONES, phase, CALIBRATION, KNOWLEDGE, ML_DRIFT)
    middle, _, covered = figures(scores)
    assert len(scores) == len([r for r in PHONES if not r.excluded])
    assert middle <= goal
    assert covered >= 0.9


@pytest.mark.parametrize("engine", ["litert-gpu", "cpu"])
@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_bars_hold_for_the_engines_that_are_known_less_well(engine: Any, phase: Any) -> None:
    rows = [r for r in ROWS if r.engine == engine]
    scores = calibrate.given_one_model(rows, phase, CALIBRATION.engines[engine], CALIBRATION, each=True)
    assert figures(scores)[2] >= 0.9


def test_a_phone_left_out_does_not_see_itself() -> None:
    """Speeding one phone up threefold must not move its own data-sheet prediction."""
    changed = [replace(r, decode=r.decode * 3) if r.unit == "Adreno 830" and r.decode else r for r in PHONES]

    def guess(rows: Any) -> Any:
        scores = calibrate.from_specifications(rows, "decode", CALIBRATION, KNOWLEDGE, ML_DRIFT)
        return [(s.row.decode or 0.0) * math.exp(s.error) for s in scores if s.row.unit == "Adreno 830"]

    assert guess(changed) == pytest.approx(guess(PHONES))


def test_stored_constants_are_the_fitted_ones() -> None:
    engine = ML_DRIFT
    for phase in calibrate.PHASES:
        engine = calibrate.fit_engine(PHONES, phase, engine)
        known = calibrate.devices(PHONES, phase, ML_DRIFT, CALIBRATION, KNOWLEDGE)
        for row in CALIBRATION.specification.classes:
            assert row.devices == sum(d.group == row.id for d in known)
            if not row.devices and row.when is not None:
                continue
            fitted = calibrate.coefficient(known, row.id, CALIBRATION.specification.exponent)
            stored = row.decode if phase == "decode" else row.prefill
            assert stored == pytest.approx(fitted, rel=0.02), (phase, row.id)
    assert engine == ML_DRIFT


def test_work_of_gemma_2b_by_hand() -> None:
    work = Workload(KNOWLEDGE.architectures["gemma-2b"], Q8, context=1000)
    weights = 169_869_312 + 1_811_939_328 + 524_288_000
    assert work.decode_bytes(ML_DRIFT) == weights + 0.5 * 1000 * 18_432
    layers = 2 * (169_869_312 + 1_811_939_328)
    assert work.prefill_operations(ML_DRIFT) == pytest.approx((layers + 20_000 * 18 * 2048) * 1.04)
    litert = CALIBRATION.engines["litert-gpu"]
    speed = 1 / work.decode_seconds(litert, 50e9)
    assert work.decode_rate(litert, speed) == pytest.approx(50e9)
    assert work.decode_rate(litert, 1e6) is None  # faster than the overhead alone


def test_class_and_interval() -> None:
    row = gpu_class(Facts(calibrate.snapshot_of(PHONES[0])), CALIBRATION.specification)
    assert row.id == "arm"  # the first row of the table is a Pixel
    rate = specified_rate(64.0, "decode", row, 0.5)
    assert rate.value == pytest.approx(8 * row.decode)
    assert specified_rate(4.0, "decode", row, 0.5).value == pytest.approx(4 * row.decode_cap)
    assert rate.high / rate.value == pytest.approx(rate.value / rate.low) == pytest.approx(row.decode_spread)
    assert joined(2.0, 1.0) == pytest.approx(2.0)
    assert joined(1.3, 1.4) < 1.3 * 1.4


def test_the_table_reads_as_published_and_exclusions_say_why(tmp_path: Path) -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        published = list(csv.DictReader(file))
    assert all(row["source"] for row in published)
    assert len(ROWS) >= 60
    assert {len(r.excluded) > 30 for r in ROWS if r.excluded} == {True}
    units = {r.unit for r in ROWS}
    assert {"Adreno 740", "Mali-G715", "Immortalis-G720", "CPU"} <= units


def test_the_script_prints_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate.main(["--constants", "--rows"]) == 0
    out = capsys.readouterr().out
    assert "data sheet only" in out
    assert "in bars" in out
    assert out.count("Adreno 740") >= 4


def test_another_table_can_be_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "t.csv"
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join(lines[:12]) + "\n", encoding="utf-8")
    assert calibrate.main(["--table", str(table)]) == 0
    assert "ML Drift phones" in capsys.readouterr().out
