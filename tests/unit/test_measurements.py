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
