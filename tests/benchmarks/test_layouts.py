"""The engine's layout and the best one: which of them a prediction rests on, and what is said of both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gemmafit.base.names import Backend, Status
from gemmafit.benchmarks import layouts
from gemmafit.benchmarks.block.dims import Scheme
from gemmafit.benchmarks.measurements import Deviation, Measurement
from gemmafit.judge import predict
from gemmafit.judge.references import load
from gemmafit.probes.snapshot import Gpu, Snapshot
from gemmafit.reports.writers.yaml import dump

RIGHT, WRONG = Deviation(0.1, 0.01, 0.99, "out", 0.02), Deviation(9.0, 0.5, 0.4, "out", 0.02)
PHONE = Snapshot("adb", gpu=Gpu("Qualcomm", "Adreno 750", "Adreno 7xx"))


def row(variant: str, gb_per_s: float, **changes: Any) -> Measurement:
    made = Measurement(
        Backend.OPENCL, "int8", "decode", variant, Status.OK, samples_s=(0.1 / gb_per_s,), bytes=10**8,
        flops=2 * 10**8, deviation=RIGHT, details={"engine_layout": variant.startswith("engine"), "layout": "x"},
    )  # fmt: skip
    return replace(made, **changes)


ENGINE, BEST = row("engine", 20.0), row("tiled", 40.0)


def rate(*rows: Measurement) -> float:
    found = predict.rate("decode", "int8", Backend.OPENCL, PHONE, rows, load())
    assert found is not None and found.basis == "measured"
    return found.range.value / 1e9


def test_speed_is_predicted_from_the_engine_layout_though_another_is_faster() -> None:
    assert rate(BEST, ENGINE) == pytest.approx(20.0)
    assert rate(BEST, ENGINE, row("engine-128", 25.0)) == pytest.approx(25.0)  # the engine picks its own best
    prefill = [replace(r, phase="prefill", flops=10**11) for r in (ENGINE, BEST)]
    found = predict.rate("prefill", "int8", Backend.OPENCL, PHONE, prefill, load())
    assert found is not None and found.range.value == pytest.approx(prefill[0].flops / ENGINE.samples_s[0])  # type: ignore[operator]
    (pair,) = layouts.layouts([BEST, ENGINE], "opencl", "decode")
    (said,) = layouts.sentences([pair, pair])
    assert said.count("int8 decode 20 with engine, best 40 GB/s with tiled") == 2
    assert pair.to_dict() == {
        "backend": "opencl", "scheme": "int8", "phase": "decode", "unit": "GB/s",
        "engine": {"variant": "engine", "layout": "x", "value": 20.0},
        "best": {"variant": "tiled", "layout": "x", "value": 40.0}, "predicted_from": "engine",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"deviation": WRONG}, "its results are wrong"),
        ({"status": Status.ERROR, "reason": "CL_OUT_OF_RESOURCES", "samples_s": ()}, "CL_OUT_OF_RESOURCES"),
        ({"valid": False, "reason": "throttled"}, "throttled"),
    ],
)
def test_without_a_right_figure_of_the_engine_the_best_counts_and_that_is_said(
    changes: Any, why: str
) -> None:
    rows = (BEST, replace(ENGINE, **changes))
    assert rate(*rows) == pytest.approx(40.0)
    (pair,) = layouts.layouts(rows, "opencl", "decode")
    assert pair.engine is None and pair.to_dict()["predicted_from"] == "best"
    assert pair.to_dict()["engine_problem"] == why and why in layouts.sentences([pair])[0]


def test_what_a_file_gets_is_plain() -> None:
    (pair,) = layouts.layouts([replace(ENGINE, scheme=Scheme.INT8)], "opencl", "decode")
    assert type(pair.to_dict()["scheme"]) is str and "scheme: int8" in dump(pair.to_dict())


def test_only_right_rows_of_the_block_itself_count() -> None:
    swept = replace(row("tiled", 90.0), details={"sweep": "context", "at": 128})
    forged = replace(row("tiled", 80.0), details={"engine_layout": "yes"})  # a recording may say anything
    (pair,) = layouts.layouts([swept, ENGINE, forged], "opencl", "decode")
    assert pair.engine is ENGINE and pair.best is forged
    assert layouts.layouts([replace(BEST, deviation=WRONG)], "opencl", "decode") == []
    assert layouts.layouts([replace(BEST, samples_s=(0.0,))], "opencl", "decode") == []  # a timer of zero
    (alone,) = layouts.layouts([ENGINE], "opencl", "decode")
    assert "which is also the best" in layouts.sentences([alone])[0]


def test_the_cpu_has_no_layout_of_the_engine() -> None:
    assert layouts.every([replace(BEST, backend=Backend.CPU)]) == []
    assert [p.best.phase for p in layouts.every([replace(ENGINE, phase="prefill"), ENGINE])] == [
        "decode",
        "prefill",
    ]
