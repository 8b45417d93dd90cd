"""The comparison with the reference notices a kernel that is subtly wrong: each mutant must fail it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmafit.benchmarks.block import deviation, reference
from gemmafit.benchmarks.block.dims import SMALL, Block, Phase, Scheme, decode, prefill
from gemmafit.benchmarks.timing import Timing
from gemmafit.benchmarks.vulkan import build
from gemmafit.benchmarks.vulkan import plan as lowering
from gemmafit.benchmarks.vulkan.modules import SOURCES, modules
from gemmafit.benchmarks.vulkan.variants import VkFacts, by_name

RunPlan = Callable[..., dict[str, dict[str, NDArray[np.uint8]]]]


_PHASE = prefill(5, past=9)


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    variant: str = "lanes"
    phase: Phase = _PHASE


MUTANTS = (
    Mutant(
        "rope turns the other way",
        "rope.comp",
        "a * c - b * s, high = b * c + a * s",
        "a * c + b * s, high = b * c - a * s",
    ),
    Mutant("rope of neighbours", "rope.comp", "x[from + half_dim]", "x[from + 1]"),
    Mutant("rope of the first position only", "rope.comp", "cosine[token * half_dim + pair]", "cosine[pair]"),
    Mutant(
        "rope unfused turns the other way", "rope.comp", "a * c - b * s", "a * c + b * s", "lanes-unfused"
    ),
    Mutant("key not appended behind the past", "rope.comp", "uint row = (at + token)", "uint row = (token)"),
    Mutant("rows appended one early", "rows.comp", "y[at *", "y[(at - 1) *", "lanes-unfused"),
    Mutant("norm without (1 + w)", "rmsnorm.comp", "(1.0 + w[i])", "w[i]"),
    Mutant("norm without the mean", "rmsnorm.comp", "/ float(WIDTH) + EPS", "+ EPS"),
    Mutant(
        "norm forgets the residual",
        "rmsnorm.comp",
        "a += vec4(r[base + i]);\n#endif\n        y",
        "#endif\n        y",
    ),
    Mutant(
        "residual is not kept", "rmsnorm.comp", "total[base + i] = REAL4(a)", "total[base + i] = x[base + i]"
    ),
    Mutant("swapped nibbles", "linear.glsl", "uvec4(0, 4, 8, 12)", "uvec4(4, 0, 12, 8)"),
    Mutant("nibbles off by one", "linear.comp", "vec4(8.0)", "vec4(7.0)"),
    Mutant(
        "bytes unsigned",
        "linear.glsl",
        "vec4(ivec4(int(p) << 24, int(p) << 16, int(p) << 8, int(p)) >> 24)",
        "vec4(uvec4(p << 24, p << 16, p << 8, p) >> 24)",
    ),
    Mutant("no scale", "linear.glsl", "value *= s0[channel]", "value *= s0[0]"),
    Mutant("scale of the neighbour", "linear.glsl", "value *= s0[channel]", "value *= s0[channel ^ 1]"),
    Mutant("no scale of the up half", "linear.glsl", "up * s1[channel]", "up * s0[channel]"),
    Mutant("last columns forgotten", "linear.comp", "g < GROUPS;", "g < GROUPS - 1;"),
    Mutant("columns half swapped", "linear.comp", "FROM_LANE(part[t], j)", "FROM_LANE(part[t], j ^ 4)"),
    Mutant("wrong row of the tile", "linear.comp", "+ stored % TILE;", "+ (stored + 1) % TILE;"),
    Mutant(
        "gelu by sigmoid", "common.glsl", "0.7978845608028654 * x * (1.0 + 0.044715 * x * x)", "0.851 * x"
    ),
    Mutant("gelu without the half", "common.glsl", "return 0.5 * x", "return x"),
    Mutant("gelu of a negative number", "common.glsl", "z < 0.0 ? -t : t", "t"),
    Mutant("residual of the last product", "linear.glsl", "value += float(r[at])", "value += 0.0"),
    Mutant(
        "gate and up exchanged",
        "geglu.comp",
        "gelu(vec4(gate[i])) * vec4(up[i])",
        "gelu(vec4(up[i])) * vec4(gate[i])",
        "lanes-unfused",
    ),
    Mutant("sum forgets the second", "add.comp", "+ vec4(b[i])", "", "lanes-unfused"),
    Mutant("attention sees the future", "attention.comp", "past + token + 1", "past + gl_NumWorkGroups.y"),
    Mutant("attention misses its own token", "attention.comp", "past + token + 1", "past + token"),
    Mutant("scores not scaled", "attention.comp", "* SCALE", ""),
    Mutant("softmax not normalised", "attention.comp", "sum[j] / total", "sum[j]"),
    Mutant(
        "running maximum forgotten", "attention.comp", "total * keep", "total", phase=prefill(5, past=100)
    ),
    Mutant("last value forgotten", "attention.comp", "c < count", "c < count - 1"),
    Mutant(
        "piece not scaled",
        "attention_merge.comp",
        "float keep = exp(maximum[piece].x - top)",
        "float keep = 1.0",
        "lanes",
        decode(600),
    ),
    Mutant(
        "last piece forgotten",
        "attention_merge.comp",
        "uint p = 0; p < pieces",
        "uint p = 0; p < pieces - 1",
        "lanes",
        decode(1030),
    ),
    Mutant(
        "every piece starts at the beginning",
        "attention.comp",
        "start = gl_WorkGroupID.z * SPAN",
        "start = 0",
        "lanes",
        decode(1030),
    ),
    Mutant("int8: scale of the first token", "linear.glsl", "*= sx[token_index]", "*= sx[0]", "lanes-dot8"),
    Mutant("int8: columns in order", "quantize.comp", "INTERLEAVED != 0", "INTERLEAVED > 1", "lanes-dot8"),
    Mutant(
        "int8: halves exchanged", "linear.comp", "(p) >> 4 & 0x0f0f0f0fu", "(p) & 0x0f0f0f0fu", "lanes-dot8"
    ),
    Mutant(
        "int8: clipped", "quantize.comp", "inverse, -127.0, 127.0", "inverse, -100.0, 100.0", "lanes-dot8"
    ),
    Mutant("engine: inputs of the neighbour", "engine.comp", "x[x0[t] + k]", "x[x0[t] + (k ^ 1)]", "engine"),
    Mutant(
        "engine: rows transposed",
        "engine.comp",
        "vec4(x[x0[t] + k]) * block",
        "block * vec4(x[x0[t] + k])",
        "engine",
    ),
    Mutant(
        "engine: one part of K lost",
        "linear.glsl",
        "uint i = 0; i < PARTS",
        "uint i = 1; i < PARTS",
        "engine",
        decode(9),
    ),
)


def wrong_stages(
    run_plan: RunPlan, facts: VkFacts, mutant: Mutant, scheme: Scheme, sources: Path, out: Path
) -> dict[str, float]:
    """Stages outside their tolerance with the kernels from `sources`."""
    block = Block(SMALL, scheme, mutant.phase)
    timing = Timing(warmup=0, repeat_min=1, repeat_max=1)
    plan = lowering.lower(block, by_name(mutant.variant), facts, timing, logits=False)
    known = {m.name: m for m in modules()}
    compiler = build.find_compiler()
    for name in plan.files:
        build.compile_module(compiler, known[name], out / name, sources)
    outputs = run_plan(plan, files={name: out / name for name in plan.files})
    precision = by_name(mutant.variant).precision(facts)
    rows = deviation.deviations(block, outputs[mutant.phase.name], reference.layer(block), precision)
    return {d.stage: d.rel_l2 for d in rows if not d.ok}


@pytest.fixture
def patched(tmp_path: Path) -> Path:
    sources = tmp_path / "sources"
    sources.mkdir()
    for path in (*SOURCES.glob("*.comp"), *SOURCES.glob("*.glsl")):
        shutil.copy(path, sources)
    (tmp_path / "out").mkdir()
    return sources


@pytest.mark.parametrize("variant", ["lanes", "lanes-unfused", "lanes-dot8", "engine"])
def test_the_kernels_themselves_pass(
    run_plan: RunPlan, vulkan_facts: VkFacts, patched: Path, tmp_path: Path, variant: str
) -> None:
    if variant == "lanes-dot8" and not vulkan_facts.integer_dot:
        pytest.skip("no integer dot product on this driver")
    original = Mutant("none", "", "", "", variant)
    assert not wrong_stages(run_plan, vulkan_facts, original, Scheme.INT4, patched, tmp_path / "out")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name.replace(" ", "-"))
def test_a_mutant_fails(
    run_plan: RunPlan, vulkan_facts: VkFacts, patched: Path, tmp_path: Path, mutant: Mutant
) -> None:
    source = (patched / mutant.file).read_text()
    assert mutant.old in source
    if mutant.variant == "lanes-dot8" and not vulkan_facts.integer_dot:
        pytest.skip("no integer dot product on this driver")
    (patched / mutant.file).write_text(source.replace(mutant.old, mutant.new))
    assert wrong_stages(run_plan, vulkan_facts, mutant, Scheme.INT4, patched, tmp_path / "out")
