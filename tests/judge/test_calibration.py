"""The speed model against the published table, each phone scored by constants fitted without it."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any

import pytest

from gemmafit.judge import judge
from gemmafit.judge import references as base
from gemmafit.judge.calibration import Workload, gpu_class, joined, specified_rate
from gemmafit.judge.estimate import stated
from gemmafit.profiles.conditions import Facts
from gemmafit.profiles.knowledge import Quantisation
from gemmafit.tools import calibrate, holdout
from gemmafit.tools.published import COLUMNS, TABLE, read_speeds

KNOWLEDGE = base.load()
CALIBRATION = KNOWLEDGE.calibration
ROWS = read_speeds(TABLE, KNOWLEDGE).rows
PHONES = [r for r in ROWS if r.engine == "ml-drift" and calibrate.is_phone(r)]
ML_DRIFT = CALIBRATION.engines["ml-drift"]
Q8 = Quantisation(8, 8, 8)


def from_data_sheet(rows: Any, phase: Any, **options: Any) -> Any:
    return holdout.from_data_sheet(rows, phase, CALIBRATION, KNOWLEDGE, ML_DRIFT, phones=rows, **options)


def figures(scores: Any) -> Any:
    errors = [s.percent for s in scores]
    return (
        median(errors),
        quantiles(errors, n=10, method="inclusive")[-1],
        fmean(bool(s.covered) for s in scores),
    )


@pytest.mark.parametrize(("phase", "goal"), [("decode", (4, 12)), ("prefill", (6, 13))])
def test_given_one_measured_model(phase: Any, goal: Any) -> None:
    middle, high, covered = figures(holdout.given_one_model(PHONES, phase, ML_DRIFT, CALIBRATION))
    assert middle <= goal[0]
    assert high <= goal[1]
    assert covered >= 0.9


@pytest.mark.parametrize(("phase", "goal"), [("decode", 12), ("prefill", 22)])
def test_from_a_data_sheet_with_the_device_left_out(phase: Any, goal: Any) -> None:
    scores = from_data_sheet(PHONES, phase)
    middle, _, covered = figures(scores)
    assert len(scores) == len([r for r in PHONES if not r.excluded])
    assert middle <= goal
    assert covered >= 0.9


@pytest.mark.parametrize("engine", ["litert-gpu", "cpu"])
@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_bars_hold_for_the_engines_that_are_known_less_well(engine: Any, phase: Any) -> None:
    rows = [r for r in ROWS if r.engine == engine]
    scores = holdout.given_one_model(rows, phase, CALIBRATION.engines[engine], CALIBRATION, each=True)
    assert figures(scores)[2] >= 0.9


def test_a_phone_left_out_does_not_see_itself() -> None:
    """Speeding one phone up threefold must not move its own data-sheet prediction."""
    changed = [replace(r, decode=r.decode * 3) if r.unit == "Adreno 830" and r.decode else r for r in PHONES]

    def guess(rows: Any) -> Any:
        scores = from_data_sheet(rows, "decode")
        return [(s.row.decode or 0.0) * math.exp(s.error) for s in scores if s.row.unit == "Adreno 830"]

    assert guess(changed) == pytest.approx(guess(PHONES))


def test_stored_constants_are_the_fitted_ones() -> None:
    engine = ML_DRIFT
    for phase in holdout.PHASES:
        engine = holdout.fit_engine(PHONES, phase, engine)
        known = holdout.devices(PHONES, phase, ML_DRIFT, CALIBRATION, KNOWLEDGE)
        for row in CALIBRATION.specification.classes:
            assert row.devices == sum(d.group == row.id for d in known)
            if not row.devices and row.when is not None:
                continue
            fitted = holdout.coefficient(known, row.id, CALIBRATION.specification.exponent)
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
    row = gpu_class(Facts(holdout.snapshot_of(PHONES[0])), CALIBRATION.specification)
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
    assert "in bars" in out and "MISSED" not in out
    assert out.count("Adreno 740") >= 4


def test_the_audit_prints_its_hold_outs(capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate.main(["--audit"]) == 0
    out = capsys.readouterr().out
    for word in ("one model, network", "one model, source", "data sheet, vendor", "of the 120 ways"):
        assert word in out


@pytest.mark.parametrize("phase", holdout.PHASES)
def test_bars_hold_for_a_vendor_a_network_and_a_laboratory_never_seen(phase: Any) -> None:
    assert figures(from_data_sheet(PHONES, phase, apart=holdout.vendor))[2] >= 0.9
    apart = holdout.network
    scores = holdout.given_one_model(PHONES, phase, ML_DRIFT, CALIBRATION, each=True, apart=apart)
    assert figures(scores)[2] >= 0.9
    for name in ("litert-gpu", "cpu"):
        engine, rows = CALIBRATION.engines[name], [r for r in ROWS if r.engine == name]
        apart = holdout.source
        scores = holdout.given_one_model(rows, phase, engine, CALIBRATION, each=True, apart=apart)
        assert figures(scores)[2] >= 0.9, name


@pytest.mark.parametrize("phase", holdout.PHASES)
def test_bars_of_the_other_engines_hold_from_a_data_sheet(phase: Any) -> None:
    gpu = [r for r in ROWS if r.engine == "litert-gpu"]
    engine = CALIBRATION.engines["litert-gpu"]
    scores = holdout.from_data_sheet(gpu, phase, CALIBRATION, KNOWLEDGE, engine, phones=PHONES)
    assert figures(scores)[2] >= 0.9
    cpu = holdout.cpu_from_data_sheet([r for r in ROWS if r.engine == "cpu"], phase, KNOWLEDGE)
    assert len(cpu) > 20 and figures(cpu)[2] >= 0.9


@pytest.mark.parametrize("phase", holdout.PHASES)
def test_stored_intervals_are_no_narrower_than_the_scatter_of_devices_asks_for(phase: Any) -> None:
    known = holdout.devices(PHONES, phase, ML_DRIFT, CALIBRATION, KNOWLEDGE)
    classes = [c for c in CALIBRATION.specification.classes if c.devices]
    assert {c.id for c in classes} == {"adreno", "arm"}
    for row in classes:
        needed = holdout.needed_spread(known, row.id, CALIBRATION.specification.exponent)
        assert needed is not None and row.spread(phase) >= needed


def test_the_judge_reads_no_table_but_those_it_is_given(tmp_path: Path) -> None:
    """So that an overlay counts, whatever the table: here the calibration."""
    readers = {
        path.name
        for path in Path(judge.__file__).parent.rglob("*.py")
        if re.search(
            r"^\s*from \.+(profiles\.loader|judge\.references|references) import",
            path.read_text("utf-8"),
            re.M,
        )
    }
    assert readers == {"references.py", "validate.py"}
    (tmp_path / "calibration.yaml").write_text(
        "engines: {litert-gpu: {layer_overhead_s: 0.01}}\n", encoding="utf-8"
    )
    phone = stated("Adreno 740", 8, KNOWLEDGE)
    own, mine = (
        {(v.id, v.backend): v.predicted for v in judge.judge(phone, (), known).variants}
        for known in (KNOWLEDGE, base.load(tmp_path))
    )
    assert {key[1] for key in own if own[key] != mine[key]} == {"opencl"}


def test_device_names_decide_nothing() -> None:
    """Phones, SoCs and laboratories under other names give the same errors: only chip and model count."""
    renamed = [replace(r, device=f"phone {r.device[::-1]}", source="elsewhere") for r in PHONES]
    for phase in holdout.PHASES:
        found, again = (
            [s.error for s in holdout.given_one_model(rows, phase, ML_DRIFT, CALIBRATION)]
            + [s.error for s in from_data_sheet(rows, phase)]
            for rows in (PHONES, renamed)
        )
        assert found == again


def test_a_network_with_shared_caches_prefills_through_fewer_layers() -> None:
    """Its own layers only: one rate explains Gemma 4 and Qwen3 of one phone, which is 4 times off otherwise."""
    engine = CALIBRATION.engines["litert-gpu"]
    phone = [r for r in ROWS if r.device == "Galaxy S26 SM-S942Q" and r.unit == "Adreno 840"]
    rates = {r.model: holdout.rate(r, "prefill", engine) or 0.0 for r in phone}
    assert rates["Gemma4 E2B"] / rates["Qwen3 1.7B"] == pytest.approx(1.0, abs=0.25)


HEADER = ",".join((*COLUMNS, "prompt_len", "note"))
NEW = "mine,New Phone,SD 8 Elite,Adreno 830,ML Drift OpenCL"


def scored(tmp_path: Path, capsys: Any, *lines: str, options: Any = ()) -> tuple[int, str]:
    table = tmp_path / "t.csv"
    table.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    status = calibrate.main(["--table", str(table), *options])
    return status, capsys.readouterr().out


def test_rows_of_a_new_phone_are_scored_by_what_others_say(tmp_path: Path, capsys: Any) -> None:
    status, out = scored(
        tmp_path, capsys,
        f"{NEW},gemma-2b,Q8,1400,22,1024,", f"{NEW},Gemma 2 2B,q8,1200,20.5,1024,", f"{NEW},Llama 3.1 8B,8/4/4,410,13,1024,",
        options=["--rows"],
    )  # fmt: skip
    assert status == 0
    assert "3 rows: 3 of a known model and engine (0 of them excluded by their note), 0 left out" in out
    assert "data sheet only" in out and "met    decode data sheet only" in out
    assert out.count("Gemma 2 2B") == 2 * 2  # given one model and from the data sheet, decode and prefill


def test_rows_that_cannot_be_scored_are_named_with_their_reason(tmp_path: Path, capsys: Any) -> None:
    status, out = scored(
        tmp_path, capsys,
        f"{NEW},Gemma 2B,q8,fast,22,1024,", f"{NEW},Gemma 2B,q8,-3,22,1024,", f"{NEW},Gemma 2B,q8,nan,22,1024,",
        f"{NEW},Gemma 2B,q8,,,1024,", f"{NEW},Grok 9,q8,1,2,1024,", f"{NEW},Gemma 2B,int5,1,2,1024,",
        "mine,P,S,Adreno 830,new-engine,Gemma 2B,q8,1,2,1024,", "mine,P,S,NPU,LiteRT-LM QNN,Gemma 2B,q8,1,2,1024,",
        "mine,P", 'mine,"P,\x1b[31m,S,Voodoo 9,ML Drift,Gemma 2B,q8,1,2,1024,', f"{NEW},Gemma 2B,q8,1400,22,many,",
    )  # fmt: skip
    assert status == 0
    for reason in (
        "prefill_tok_s 'fast' is no speed", "'-3' is no speed", "'nan' is no speed", "neither prefill nor decode",
        "model 'Grok 9' is not in", "quantisation 'int5' is none of", "engine 'new-engine'", "engine 'LiteRT-LM QNN'",
        "the row ends before soc",
    ):  # fmt: skip
        assert reason in out, reason


def test_an_unknown_gpu_is_said_to_have_no_data_sheet(tmp_path: Path, capsys: Any) -> None:
    row = "mine,P,Some SoC,Voodoo 9,ML Drift OpenCL"
    status, out = scored(
        tmp_path, capsys, f"{row},Gemma 2B,q8,900,14,1024,", f"{row},Gemma2 2B,q8,800,13,1024,"
    )
    assert status == 0 and "Voodoo 9 (Some SoC): no data sheet; only from a measured model" in out
    assert "given Gemma 2B" in out and "decode data sheet only: no row to score" in out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "no column source"),
        (b"a,b\n1,2\n", "no column source"),
        ((HEADER + "\n").encode(), "no rows"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (HEADER.encode() + b"\n" + b"x" * 200_000 + b"\n", "not a table"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(
    tmp_path: Path, capsys: Any, content: Any, words: str
) -> None:
    table = tmp_path / "t.csv"
    if content is not None:
        table.write_bytes(content)
    assert calibrate.main(["--table", str(table)]) == 2
    out = capsys.readouterr().out
    assert out.startswith("error: ") and words in out


def test_a_row_that_was_excluded_stays_so_in_another_table(tmp_path: Path, capsys: Any) -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    bad = next(row for row in rows if row["note"].startswith("excluded"))
    line = ",".join("" if key == "note" else bad[key] for key in (*COLUMNS, "prompt_len", "note"))
    status, out = scored(tmp_path, capsys, line)
    assert status == 0 and "(1 of them excluded by their note)" in out and bad["note"][:40] in out
