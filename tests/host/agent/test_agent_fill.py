"""What the agent fills buffers with, against the rules of docs/plan-format.md written down once more."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemmafit.base.names import Backend
from gemmafit.benchmarks.block import fill
from gemmafit.benchmarks.plan import Buffer, Dispatch, Kernel, Plan, Step, buffers, ints

M32 = 0xFFFFFFFF


def mix(x: int) -> int:
    x ^= x >> 16
    x = x * 0x21F0AAAD & M32
    x ^= x >> 15
    x = x * 0xD35A2D97 & M32
    return x ^ x >> 15


def element(b: Buffer, row: int, col: int) -> Any:
    """One logical value, by the letter of the document; for i4 the stored nibble."""

    def word(j: int) -> int:
        return mix((mix(b.seed) + j) & M32)

    i = b.first + row * b.cols + col
    if b.fill == "i8":
        value = word(i // 4) >> 8 * (i % 4) & 255
        return 0 if value == 128 else value
    if b.fill == "i4":
        return word(i // 8) >> 4 * (i % 8) & 15
    u = (word(i) >> 8) * 2.0**-24
    return b.lo + (b.hi - b.lo) * u


def expected(b: Buffer) -> bytes:
    """The bytes of a buffer: blocks of R x C, row blocks outermost; inside row by row or column by column."""
    height, width = b.tile or (1, b.cols)
    stored = []
    for top, left in itertools.product(range(0, b.rows, height), range(0, b.cols, width)):
        places = itertools.product(range(height), range(width))
        if b.transposed:
            places = ((r, c) for c in range(width) for r in range(height))  # type: ignore[assignment]
        stored += [element(b, top + r, left + c) for r, c in places]
    match b.fill:
        case "i8":
            return bytes(stored)
        case "i4":
            return bytes(low | high << 4 for low, high in zip(stored[0::2], stored[1::2], strict=True))
        case "f32":
            return np.array(stored, np.float64).astype("<f4").tobytes()
        case _:
            return np.array(stored, np.float64).astype("<f4").astype("<f2").tobytes()


def plan_of(*filled: Buffer) -> str:
    """A plan that returns the buffers untouched; a step must run something."""
    dummy = (Buffer("from", 64), Buffer("to", 64))
    copy = Dispatch("copy", buffers("from", "to") + ints(1, 16, 0))
    step = Step("fill", (copy,), tuple(b.name for b in filled), warmup=0, repeat_min=1, repeat_max=1)
    return Plan(Backend.CPU, (*filled, *dummy), (Kernel("copy", routine="copy_rows"),), (step,)).to_text()


def filled_by(agent: Any, *wanted: Buffer) -> list[bytes]:
    ended = agent.plan(plan_of(*wanted))
    assert ended.exit == 0, ended.stderr
    step = ended.result.steps[0]
    return [ended.result.output(step, b.name).tobytes() for b in wanted]


BITS = {"i8": 8, "i4": 4, "f32": 32, "f16": 16}


def matrix(name: str, kind: Any, rows: int, cols: int, **options: Any) -> Buffer:
    return Buffer(name, rows * cols * BITS[kind] // 8, kind, rows=rows, cols=cols, **options)


def test_against_the_document(agent: Any) -> None:
    wanted = []
    layouts: list[dict[str, Any]] = [
        {},
        {"tile": (16, 4)},
        {"tile": (4, 16), "first": 3},
        {"tile": (2, 2), "first": 1 << 20},
        {"tile": (16, 8), "transposed": True},
        {"tile": (4, 6), "transposed": True, "first": 5},
        {"tile": (1, 1)},
        {"tile": (32, 48)},
        {"tile": (32, 48), "transposed": True},
    ]
    for number, (kind, layout) in enumerate(itertools.product(BITS, layouts)):
        span: Any = {"lo": -0.75, "hi": 1e-3} if kind[0] == "f" else {}
        wanted.append(matrix(f"{kind}.{number}", kind, 32, 48, seed=1000 + number, **layout, **span))
    for b, found in zip(wanted, filled_by(agent, *wanted), strict=True):
        assert found == expected(b), b


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_shape_against_numpy(agent: Any, data: st.DataObject) -> None:
    """Odd widths, runs that begin inside a word, and the chunks of several threads."""
    kind: Any = data.draw(st.sampled_from(sorted(BITS)))
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    rows, cols = height * data.draw(st.integers(1, 400)), width * data.draw(st.integers(1, 30))
    if kind == "i4" and rows * cols % 2:
        rows *= 2
    b = matrix(
        "m",
        kind,
        rows,
        cols,
        seed=data.draw(st.integers(0, M32)),
        first=data.draw(st.integers(0, 1 << 31)),
        tile=(height, width),
        transposed=data.draw(st.booleans()),
        lo=data.draw(st.floats(-100, 100)),
        hi=data.draw(st.floats(-100, 100)),
    )
    found = np.frombuffer(filled_by(agent, b)[0], np.uint8)
    assert np.array_equal(found, fill.contents(b)), b


def test_minus_128_does_not_occur(agent: Any) -> None:
    found = np.frombuffer(filled_by(agent, matrix("m", "i8", 256, 4096, seed=1))[0], np.int8)
    assert found.min() == -127 and found.max() == 127
    assert abs(found.mean()) < 0.5


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (2.0**-24, 0x0001),
        (2.0**-25, 0x0000),  # a tie goes to even: zero
        (2.0**-25 * 1.5, 0x0001),
        (3 * 2.0**-25, 0x0002),  # a tie again, to the even one above
        (2.0**-14, 0x0400),
        (1.0 + 2.0**-11, 0x3C00),
        (1.0 + 3 * 2.0**-11, 0x3C02),
        (65504.0, 0x7BFF),
        (65519.0, 0x7BFF),
        (65520.0, 0x7C00),
        (-1e30, 0xFC00),
    ],
)
def test_half_precision_rounds_to_nearest_even(agent: Any, value: float, bits: int) -> None:
    b = matrix("m", "f16", 1, 2, lo=value, hi=value)
    assert np.frombuffer(filled_by(agent, b)[0], "<u2").tolist() == [bits, bits]


def test_constants(agent: Any) -> None:
    data = bytes(range(256))
    zero, constants = filled_by(agent, Buffer("z", 33), Buffer("h", 256, "hex", data=data))
    assert (zero, constants) == (bytes(33), data)
