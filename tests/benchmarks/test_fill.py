"""The fills against the specification, written down once more in plain integers."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemmafit.benchmarks.block import fill
from gemmafit.benchmarks.plan import Buffer, Fill, PlanError

MASK = 0xFFFFFFFF


def mix(x: int) -> int:
    x ^= x >> 16
    x = x * 0x21F0AAAD & MASK
    x ^= x >> 15
    x = x * 0xD35A2D97 & MASK
    return x ^ x >> 15


def word(seed: int, j: int) -> int:
    return mix((mix(seed) + j) & MASK)


def element(b: Buffer, i: int) -> int | float:
    """The value as it is stored: a byte, a nibble, a float."""
    if b.fill == "i8":
        byte = word(b.seed, i // 4) >> 8 * (i % 4) & 255
        return 0 if byte == 128 else byte
    if b.fill == "i4":
        return word(b.seed, i // 8) >> 4 * (i % 8) & 15
    value = b.lo + (b.hi - b.lo) * ((word(b.seed, i) >> 8) * 2.0**-24)
    # A half is rounded from the float, not from the exact value: that differs where the float is halfway.
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def expected(b: Buffer) -> bytes:
    """The bytes of a buffer, element after element in storage order."""
    height, width = b.tile or (1, b.cols)
    stored = []
    for row0 in range(0, b.rows, height):
        for col0 in range(0, b.cols, width):
            inner = [(r, c) for r in range(height) for c in range(width)]
            if b.transposed:
                inner.sort(key=lambda rc: (rc[1], rc[0]))
            stored += [element(b, b.first + (row0 + r) * b.cols + col0 + c) for r, c in inner]
    if b.fill == "i8":
        return bytes(int(v) for v in stored)
    if b.fill == "i4":
        return bytes(int(a) | int(b) << 4 for a, b in zip(stored[::2], stored[1::2], strict=True))
    return struct.pack(f"<{len(stored)}{'e' if b.fill == 'f16' else 'f'}", *stored)


BITS = {"i8": 8, "i4": 4, "f32": 32, "f16": 16}


@settings(max_examples=60)
@given(
    kind=st.sampled_from(sorted(BITS)),
    seed=st.integers(0, MASK),
    tile=st.none() | st.tuples(st.sampled_from([1, 2, 4, 16]), st.sampled_from([2, 4, 8])),
    blocks=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    transposed=st.booleans(),
    first=st.sampled_from([0, 1, 7, 4096]),
)
def test_against_the_specification(
    kind: Fill, seed: int, tile: tuple[int, int] | None, blocks: tuple[int, int], transposed: bool, first: int
) -> None:
    height, width = tile or (1, 2)
    rows, cols = height * blocks[0], width * blocks[1]
    size = rows * cols * BITS[kind] // 8
    b = Buffer(
        "b", size, kind, seed, rows, cols, tile, transposed and tile is not None, -0.3, 0.7, first=first
    )
    assert fill.contents(b).tobytes() == expected(b)


def test_pieces_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    b = Buffer("b", 96 * 40 // 2, "i4", 5, 96, 40, (16, 8))
    whole = fill.contents(b)
    monkeypatch.setattr(fill, "_CHUNK", 700)
    pieces = list(fill.chunks(b))
    assert len(pieces) > 3
    assert np.array_equal(np.concatenate(pieces), whole)


def test_known_words() -> None:
    """The generator is part of the format: recorded results would become worthless if it changed."""
    assert fill.words(1, 0, 3).tolist() == [0x9E19A430, 0xC80AF510, 0xBA9BD802]
    assert fill.int8(11, 0, 4).tolist() == [90, -88, -3, -120]


def test_never_minus_128() -> None:
    values = fill.int8(3, 0, 1 << 16)
    assert values.min() == -127 and values.max() == 127


def test_a_slice_has_the_values_of_the_whole() -> None:
    whole = fill.contents(Buffer("w", 64 * 32, "i8", 9, 64, 32)).reshape(64, 32)
    part = fill.contents(Buffer("p", 16 * 32, "i8", 9, 16, 32, first=24 * 32)).reshape(16, 32)
    assert np.array_equal(part, whole[24:40])


@pytest.mark.parametrize(
    "b",
    [
        Buffer("b", 100, "i8", rows=10, cols=11),
        Buffer("b", 80, "i8", rows=10, cols=8, tile=(4, 8)),
        Buffer("b", 80, "i8", rows=10, cols=8, tile=(0, 8)),
        Buffer("b", 3, "hex", data=b"ab"),
    ],
)
def test_what_does_not_fit_is_refused(b: Buffer) -> None:
    with pytest.raises(PlanError, match="buffer b"):
        fill.contents(b)
