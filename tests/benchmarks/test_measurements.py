"""Measurement rows come back from files as they were, and only as they should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gemmafit.base.names import Backend, Status
from gemmafit.benchmarks.measurements import Contention, Deviation, Measurement

ROW = Measurement(
    Backend.OPENCL,
    "int8",
    "decode",
    "rows",
    Status.OK,
    samples_s=(0.002, 0.003, 0.001),
    bytes=110_000_000,
    deviation=Deviation(0.1, 0.01, 0.999, "out", 0.02),
    deterministic=True,
    details={"threads": 4},
)


def test_a_row_survives_a_file() -> None:
    assert Measurement.from_dict(ROW.to_dict()) == ROW
    assert Measurement.from_dict(ROW.to_dict() | {"a_later_version": 1}) == ROW
    assert ROW.gb_per_s == pytest.approx(55.0)


def test_a_row_keeps_what_disturbed_it_and_old_rows_say_nothing() -> None:
    assert ROW.contention is None and not ROW.disturbed and "contention" not in ROW.to_dict()
    row = replace(ROW, valid=False, contention=Contention(True, 2, lost=0.5, load=11.0))
    assert row.to_dict()["contention"] == {
        "disturbed": True, "cores": 2, "lost": 0.5, "load": 11.0, "dropped": 0, "tries": 1,
    }  # fmt: skip
    assert Measurement.from_dict(row.to_dict()) == row and row.disturbed


@pytest.mark.parametrize(
    "wrong",
    [
        {"backend": "cuda"},
        {"samples_s": "fast"},
        {"samples_s": [-1.0]},
        {"bytes": "many"},
        {"bytes": -5},
        {"deviation": {"rel_l2": 1.0}},
        {"deviation": 3},
        {"details": []},
        {"contention": {"disturbed": "very"}},
        {"contention": 3},
    ],
)
def test_a_wrong_row_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Measurement.from_dict(ROW.to_dict() | wrong)


def test_not_a_number_is_never_right() -> None:
    assert not Deviation(0.0, float("nan"), 1.0, "out", 0.02).ok


ODD: tuple[Any, ...] = (
    "text",
    3,
    2.5,
    True,
    None,
    [],
    {},
    [[1]],
    [["a", 2]],
    [[1, 2, 3]],
    [[float("nan"), 1.0]],
    10**400,
)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd)[:20])
def test_what_details_say_is_typed_whatever_stands_there(odd: object) -> None:
    """Details of a recording are untrusted: what has another type is not there, and nothing raises."""
    names = ("device_type", "engine_layout", "layout", "sweep", "at", "spread", "sustained", "capped",
             "peak_rss_bytes", "shortage")  # fmt: skip
    row = replace(ROW, details=dict.fromkeys(names, odd))
    for value, kinds in (
        (row.layout, str | None), (row.sweep, str | None), (row.at, str | int | None), (row.spread, float | None),
        (row.peak_rss_bytes, int | None), (row.software, bool), (row.engine_layout, bool), (row.shortage, bool),
    ):  # fmt: skip
        assert isinstance(value, kinds)
    assert row.sustained == () and isinstance(row.capped, tuple) and len(row.capped) < 100
    assert row.mark in ("", "*") and (row.engine_layout, row.shortage) == (odd is True, odd is True)


def test_what_details_say() -> None:
    said = replace(ROW, details={
        "device_type": "cpu", "engine_layout": True, "layout": "engine", "sweep": "chunk", "at": 32, "spread": 0.01,
        "sustained": [[0, 20.0], [1.5, 19]], "capped": ["battery saver was on"], "peak_rss_bytes": 5, "shortage": True,
    })  # fmt: skip
    assert said.software and said.mark and not replace(said, backend=Backend.CPU).software
    assert (said.engine_layout, said.layout, said.sweep, said.at, said.spread) == (
        True,
        "engine",
        "chunk",
        32,
        0.01,
    )
    assert said.sustained == ((0.0, 20.0), (1.5, 19.0)) and said.capped == ("battery saver was on",)
    assert said.peak_rss_bytes == 5 and said.shortage


@pytest.mark.parametrize(
    ("changes", "right", "sound"),
    [
        ({}, True, True),
        ({"valid": False}, True, False),
        ({"deviation": Deviation(0.1, 0.03, 0.9, "out", 0.02)}, False, False),
        ({"deviation": Deviation(0.1, float("nan"), 0.9, "out", 0.02)}, False, False),
        ({"deviation": None}, True, True),
        ({"status": Status.ERROR}, False, False),
        ({"samples_s": ()}, False, False),
        ({"samples_s": (0.002, 0.0)}, False, False),
    ],
)
def test_which_rows_count(changes: dict[str, Any], right: bool, sound: bool) -> None:
    row = replace(ROW, **changes)
    assert (row.right, row.sound) == (right, sound)


def test_the_figure_that_counts() -> None:
    both = replace(ROW, flops=220_000_000)
    assert (both.figure, both.figure_unit) == (both.gb_per_s, "GB/s")
    prefill = replace(both, phase="prefill")
    assert (prefill.figure, prefill.figure_unit) == (prefill.gflop_per_s, "GFLOP/s")
