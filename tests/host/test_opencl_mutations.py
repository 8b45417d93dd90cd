"""Kernels made subtly wrong: each has to be caught, far above every tolerance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gemmafit.benchmarks.block.deviation import TOLERANCE
from gemmafit.benchmarks.block.dims import SMALL, Block, Scheme, decode, prefill
from gemmafit.benchmarks.opencl.plan import lower
from gemmafit.benchmarks.opencl.variants import ClFacts, by_name
from gemmafit.benchmarks.timing import Timing

ONCE = Timing(warmup=0, repeat_min=1, repeat_max=1)
DECODE, PREFILL = decode(21), prefill(16, 5)

NIBBLES = "vload16(k, block)"
SWAPPED = "(((vload16(k, block) & 0x0f0f0f0f) << 4) | ((vload16(k, block) >> 4) & 0x0f0f0f0f))"

# what is wrong, variant, phase, file, right text, wrong text
MUTATIONS = [
    ("rope sign", "lanes", DECODE, "block.cl", "a * c - b * s", "a * c + b * s"),
    ("rope sign of the other half", "lanes-unfused", PREFILL, "block.cl", "b * c + a * s", "b * c - a * s"),
    ("missing 1+w", "lanes", DECODE, "block.cl", "(1.0f + vload4(i, w))", "vload4(i, w)"),
    ("swapped nibbles", "lanes", DECODE, "gemv.cl", NIBBLES, SWAPPED),
    ("swapped nibbles", "lanes", PREFILL, "gemm.cl", NIBBLES, SWAPPED),
    ("offset of the neighbour nibble", "lanes", DECODE, "gemv.cl", "1.03125f", "1.5f"),
    (
        "another slice of an image",
        "engine-image",
        DECODE,
        "gemv.cl",
        "row / 4, slice)",
        "row / 4, slice ^ 1)",
    ),
    ("a nibble of an image twice", "engine-image", DECODE, "gemv.cl", "texel >> 8u", "texel >> 4u"),
    (
        "rows of an image exchanged",
        "engine-image",
        PREFILL,
        "gemm.cl",
        "? pair.y : pair.x",
        "? pair.x : pair.y",
    ),
    (
        "no sum over the subgroup",
        "rows-subgroup",
        DECODE,
        "gemv.cl",
        "sub_group_reduce_add(sum[o])",
        "sum[o]",
    ),
    ("missing scale", "lanes", DECODE, "gemv.cl", "sum[o] * scale[row + o]", "sum[o]"),
    ("scale of another row", "lanes", DECODE, "gemv.cl", "scale[row + o]", "scale[row]"),
    ("scale of another row", "tiled", PREFILL, "gemm.cl", "vload4(0, scale + row)", "scale[row]"),
    ("no softmax scale", "lanes", DECODE, "block.cl", "LOAD4(q, row + lane) * scale", "LOAD4(q, row + lane)"),
    ("gelu sign", "lanes", DECODE, "gemv.cl", "(1.0f + t)", "(1.0f - t)"),
    ("gelu sign", "lanes", PREFILL, "block.cl", "(1.0f + t)", "(1.0f - t)"),
    ("gelu cubic term", "lanes", DECODE, "gemv.cl", "0.044715f", "-0.44715f"),
    (
        "cache position",
        "lanes",
        DECODE,
        "block.cl",
        "row = (at + token) * DIM",
        "row = (at + token - 1) * DIM",
    ),
    ("cache position", "lanes-unfused", DECODE, "block.cl", "at * (d / 4) + i", "(at - 1) * (d / 4) + i"),
    ("the newest key is not seen", "lanes", PREFILL, "block.cl", "past + token + 1", "past + token"),
    ("no causal mask", "lanes", PREFILL, "block.cl", "past + token + 1", "past + (int)get_num_groups(1)"),
    ("missing residual", "lanes", DECODE, "gemv.cl", "LOAD(residual, row + o) + ", ""),
    (
        "gate and up exchanged",
        "lanes",
        DECODE,
        "gemv.cl",
        "row + total / 2, total, cols, part, up",
        "row, total, cols, part, up",
    ),
]


@pytest.mark.parametrize(
    ("what", "variant", "phase", "file", "right", "wrong"),
    MUTATIONS,
    ids=[f"{m[0]}-{m[1]}-{m[2].name}" for m in MUTATIONS],
)
def test_a_wrong_kernel_is_caught(
    opencl: Any,
    compare: Any,
    reference_of: Any,
    tmp_path: Path,
    what: str,
    variant: str,
    phase: Any,
    file: str,
    right: str,
    wrong: str,
) -> None:
    block = Block(SMALL, Scheme.INT4, phase)
    device = ClFacts.of_probe(opencl.probe()["device"])
    facts = ClFacts(image=device.image, subgroups=device.subgroups)  # all in fp32
    if (by_name(variant).image and not facts.image) or (by_name(variant).subgroups and not facts.subgroups):
        pytest.skip(f"the driver cannot run {variant}")
    plan = lower(block, by_name(variant), facts, ONCE)
    source = plan.files[file].read_text()
    assert right in source, "the mutation no longer matches the kernel"
    (tmp_path / file).write_text(source.replace(right, wrong))
    run = opencl.run(replace(plan, files={**plan.files, file: tmp_path / file}))
    found = compare(block, run, reference_of(block), "fp32")
    assert max(d.rel_l2 for d in found) > 2 * max(TOLERANCE.values()), (what, found)
