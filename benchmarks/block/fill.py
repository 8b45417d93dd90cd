"""What the buffers of a plan hold at the start, in NumPy: docs/plan-format.md, "Fill".

The logical values (`values`) are what a reference computes with; `contents` is the same in the storage
order of the buffer. Both work on any range of rows, so that 100 MB of weights need little memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..plan import Buffer, PlanError

_CHUNK = 1 << 20  # elements worked on at once: the intermediates stay in the cache


def _mix(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """In place; the two multipliers are those of the format."""
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x21F0AAAD)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0xD35A2D97)
    x ^= x >> np.uint32(15)
    return x


def words(seed: int, start: int, stop: int) -> NDArray[np.uint32]:
    """word(seed, j) for start <= j < stop."""
    first = _mix(np.array([seed], dtype=np.uint32))
    return _mix(np.arange(start, stop, dtype=np.uint32) + first)


def int8(seed: int, start: int, stop: int) -> NDArray[np.int8]:
    """Elements start .. stop-1 of an `i8` fill."""
    low = start // 4
    raw = words(seed, low, -(-stop // 4)).astype("<u4", copy=False).view(np.int8)
    out = raw[start - 4 * low : stop - 4 * low]
    out[out == -128] = 0
    return out


def nibbles(seed: int, start: int, stop: int) -> NDArray[np.uint8]:
    """Elements start .. stop-1 of an `i4` fill as stored, 0..15; the value is nibble - 8."""
    low = start // 8
    raw = words(seed, low, -(-stop // 8)).astype("<u4", copy=False).view(np.uint8)
    out = np.empty(2 * raw.size, np.uint8)
    np.bitwise_and(raw, 15, out=out[0::2])
    np.right_shift(raw, 4, out=out[1::2])
    return out[start - 8 * low : stop - 8 * low]


def floats(seed: int, start: int, stop: int, lo: float, hi: float) -> NDArray[np.float32]:
    """Elements start .. stop-1 of an `f32` fill. The plan's text gives lo and hi as doubles."""
    u = (words(seed, start, stop) >> np.uint32(8)).astype(np.float64) * 2.0**-24
    return (lo + (hi - lo) * u).astype(np.float32)


def pack(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two 4-bit values a byte, the low nibble first."""
    out: NDArray[np.uint8] = stored[1::2] << np.uint8(4)
    out |= stored[0::2]
    return out


def _elements(b: Buffer, start: int, stop: int) -> NDArray[np.generic]:
    match b.fill:
        case "i8":
            return int8(b.seed, start, stop)
        case "i4":
            return nibbles(b.seed, start, stop)
        case "f32":
            return floats(b.seed, start, stop, b.lo, b.hi)
        case "f16":
            return floats(b.seed, start, stop, b.lo, b.hi).astype(np.float16)
        case _:
            raise PlanError(f"buffer {b.name}: fill {b.fill} has no elements")


def chunks(b: Buffer) -> Iterator[NDArray[np.uint8]]:
    """The bytes of a buffer in order, a piece at a time (a piece is a whole number of row blocks).

    Raises PlanError if size, shape and tile do not fit together.
    """
    if b.fill == "zero":
        for start in range(0, b.size, _CHUNK):
            yield np.zeros(min(_CHUNK, b.size - start), np.uint8)
        return
    if b.fill == "hex":
        if len(b.data) != b.size:
            raise PlanError(f"buffer {b.name}: {len(b.data)} bytes of data for {b.size}")
        yield np.frombuffer(b.data, np.uint8)
        return
    bits = {"i8": 8, "i4": 4, "f32": 32, "f16": 16}[b.fill]
    if b.rows * b.cols * bits != 8 * b.size:
        raise PlanError(f"buffer {b.name}: {b.rows} x {b.cols} {b.fill} is not {b.size} bytes")
    height, width = b.tile or (1, b.cols)
    if height <= 0 or width <= 0 or b.rows % height or b.cols % width:
        raise PlanError(f"buffer {b.name}: tile {height},{width} does not divide {b.rows} x {b.cols}")
    step = height * max(1, _CHUNK // (height * b.cols))
    # A row of 4-bit values with an odd number of columns would end inside a byte.
    step *= 2 if bits == 4 and step * b.cols % 2 else 1
    for row in range(0, b.rows, step):
        end = min(row + step, b.rows)
        part = _elements(b, b.first + row * b.cols, b.first + end * b.cols)
        if b.tile is not None:
            blocks = part.reshape((end - row) // height, height, b.cols // width, width)
            order = (0, 2, 3, 1) if b.transposed else (0, 2, 1, 3)
            part = np.ascontiguousarray(blocks.transpose(order)).reshape(-1)
        if bits == 4:
            yield pack(part.view(np.uint8))
        else:
            yield part.astype(part.dtype.newbyteorder("<"), copy=False).view(np.uint8)


def contents(b: Buffer) -> NDArray[np.uint8]:
    """All bytes of a buffer."""
    out = np.empty(b.size, np.uint8)
    at = 0
    for piece in chunks(b):
        out[at : at + piece.size] = piece
        at += piece.size
    return out
