"""Compares what a backend returned with the reference, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

import numpy as np
from numpy.typing import NDArray

from ..measurements import Deviation
from .dims import Block, Stage

TOLERANCE: Mapping[str, float] = {
    # Only the order of float sums differs; seen: 2e-6 over a sum of 16384 terms.
    "fp32": 1e-4,
    # 11 bits of mantissa in every stored activation and in the cache; seen: 1e-3, with fp16 sums 3e-3.
    "fp16": 1e-2,
    # int8 activations with one scale a row, against the exact reference: 1.7 % by construction of the tensors
    # (block.py), as in ML Drift against XNNPACK (1.0 to 1.6 %).
    "qd8": 2e-2,
    # The same against a reference that rounds as well: a value at the edge of a step may go the other way.
    "qd8-exact": 4e-3,
}
"""Allowed relative L2 distance by the precision of the activations."""


def decode_stage(stage: Stage, raw: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """The rows of a stage from the bytes of its buffer, f32 or f16 by its size; None if the size is wrong."""
    count = stage.total * stage.cols
    flat: NDArray[np.float32]
    if raw.size == 4 * count:
        flat = raw.view("<f4").astype(np.float32, copy=False)
    elif raw.size == 2 * count:
        flat = raw.view("<f2").astype(np.float32)
    else:
        return None
    return flat.reshape(stage.total, stage.cols)[stage.first : stage.first + stage.rows]


def compare(
    found: NDArray[np.float32], expected: NDArray[np.float32], stage: str, tolerance: float
) -> Deviation:
    """Distances of one stage. Not-a-number anywhere makes all of them not-a-number, which is never right."""
    a, b = found.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    norm_a, norm_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    difference = a - b
    return Deviation(
        max_abs=float(np.abs(difference).max()),
        rel_l2=float(np.linalg.norm(difference)) / norm_b if norm_b else float("inf"),
        cosine=float(a @ b) / (norm_a * norm_b) if norm_a and norm_b else 0.0,
        stage=stage,
        tolerance=tolerance,
    )


def deviations(
    block: Block,
    outputs: Mapping[str, NDArray[np.uint8]],
    reference: Mapping[str, NDArray[np.float32]],
    precision: str,
) -> tuple[Deviation, ...]:
    """One row for each stage whose buffer was returned.

    A buffer of the wrong size is a Deviation of infinity: it was computed, and it is not right.
    """
    rows: list[Deviation] = []
    for stage in block.stages.values():
        if stage.buffer not in outputs or stage.name not in reference:
            continue
        found = decode_stage(stage, outputs[stage.buffer])
        if found is None:
            inf = float("inf")
            rows.append(Deviation(inf, inf, 0.0, stage.name, TOLERANCE[precision]))
        else:
            rows.append(compare(found, reference[stage.name], stage.name, TOLERANCE[precision]))
    return tuple(rows)


def worst(rows: tuple[Deviation, ...]) -> Deviation | None:
    """The row that uses up most of its tolerance; one that is not a number wins."""
    return max(rows, key=lambda d: (isnan(d.rel_l2), d.rel_l2 / d.tolerance), default=None)
