"""What counts as right."""

import math

import numpy as np
import pytest

from gemmafit.benchmarks.block.deviation import TOLERANCE, compare, decode_stage, deviations, worst
from gemmafit.benchmarks.block.dims import SMALL, Block, Scheme, decode
from gemmafit.benchmarks.measurements import Deviation

BLOCK = Block(SMALL, Scheme.INT8, decode(10))


def as_bytes(a: np.ndarray) -> np.ndarray:
    return np.frombuffer(a.tobytes(), np.uint8)


def test_distances() -> None:
    found, expected = np.array([3.0, 4.0], np.float32), np.array([3.0, 5.0], np.float32)
    d = compare(found, expected, "out", 0.2)
    assert d.max_abs == 1 and math.isclose(d.rel_l2, 1 / math.sqrt(34))
    assert math.isclose(d.cosine, 29 / (5 * math.sqrt(34)))
    assert d.ok and not compare(found, expected, "out", 0.1).ok


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_a_number_is_never_right(bad: float) -> None:
    found = np.array([1.0, bad], np.float32)
    assert not compare(found, np.ones(2, np.float32), "out", 1e9).ok


def test_zeros_are_not_right() -> None:
    assert not compare(np.zeros(4, np.float32), np.ones(4, np.float32), "out", 0.02).ok


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_cache_rows_are_taken_from_where_they_belong(dtype: type) -> None:
    cache = np.arange(11 * SMALL.head_dim, dtype=dtype).reshape(11, SMALL.head_dim) / 64
    row = decode_stage(BLOCK.stages["k"], as_bytes(cache))
    assert row is not None and np.array_equal(row, cache[10:11].astype(np.float32))
    before = decode_stage(BLOCK.stages["kcache"], as_bytes(cache))
    assert before is not None and np.array_equal(before, cache[:10].astype(np.float32))


def test_a_buffer_of_the_wrong_size_is_wrong() -> None:
    expected = {"out": np.ones((1, SMALL.d_model), np.float32)}
    rows = deviations(BLOCK, {"out": np.zeros(7, np.uint8)}, expected, "fp32")
    assert [r.ok for r in rows] == [False]


def test_the_worst_is_the_one_nearest_to_its_limit() -> None:
    near = Deviation(0, 0.5e-4, 1, "near", 1e-4)
    far = Deviation(0, 5e-3, 1, "far", 2e-2)
    nan = Deviation(0, math.nan, 1, "nan", 1e-4)
    found = worst((far, near))
    assert found is near
    assert worst((near, nan, far)) is nan
    assert worst(()) is None


def test_quantised_outputs_keep_within_two_percent() -> None:
    assert TOLERANCE["qd8"] == 0.02 and TOLERANCE["fp16"] <= 0.01 and TOLERANCE["fp32"] <= 1e-4
