"""The whole block on each driver, by each variant, against the NumPy reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmafit.benchmarks.block import deviation, reference
from gemmafit.benchmarks.block.dims import GEMMA_2B, SMALL, Block, Dims, Scheme, decode, prefill
from gemmafit.benchmarks.timing import Timing
from gemmafit.benchmarks.vulkan import plan as lowering
from gemmafit.benchmarks.vulkan.variants import VARIANTS, VkFacts, VkVariant, by_name, candidates

RunPlan = Callable[..., dict[str, dict[str, NDArray[np.uint8]]]]
ONCE = Timing(warmup=0, repeat_min=2, repeat_max=2)


@cache
def expected(block: Block) -> dict[str, NDArray[np.float32]]:
    stages = reference.layer(block)
    stages["logits"] = reference.logits(block)
    return stages


def check(
    block: Block, variant: VkVariant, facts: VkFacts, outputs: dict[str, dict[str, NDArray[np.uint8]]]
) -> None:
    precision = variant.precision(facts)
    for step, found in outputs.items():
        rows = deviation.deviations(block, found, expected(block), precision)
        assert {d.stage for d in rows} >= ({"logits"} if step == "logits" else {"q", "k", "v", "attn", "out"})
        for d in rows:
            assert d.ok, f"{step} {d}"


@pytest.mark.parametrize("variant", [v for v in VARIANTS if not v.subgroup], ids=lambda v: v.name)
@pytest.mark.parametrize("scheme", Scheme)
def test_decode(driver: Any, run_plan: RunPlan, scheme: Scheme, variant: VkVariant) -> None:
    """Every variant, whether or not it would be chosen here."""
    block = Block(SMALL, scheme, decode(37))
    if variant.work_group > driver.facts.invocations:
        pytest.skip("larger than a work-group here")
    if variant.dot8 and not driver.facts.integer_dot:
        pytest.skip("no integer dot product on this driver")
    outputs = run_plan(lowering.lower(block, variant, driver.facts, ONCE), driver.environment)
    assert set(outputs) == {"decode", "logits"}
    check(block, variant, driver.facts, outputs)


@pytest.mark.parametrize("half", [True, False], ids=["fp16", "fp32"])
@pytest.mark.parametrize("name", ["lanes", "lanes-unfused", "lanes-dot8", "engine"])
@pytest.mark.parametrize("scheme", Scheme)
def test_prefill(driver: Any, run_plan: RunPlan, scheme: Scheme, name: str, half: bool) -> None:
    if half and not driver.facts.fp16:
        pytest.skip("no fp16 on this driver")
    block = Block(SMALL, scheme, prefill(13, past=5))
    variant = replace(by_name(name), half=half)
    check(
        block,
        variant,
        driver.facts,
        run_plan(lowering.lower(block, variant, driver.facts, ONCE), driver.environment),
    )


@pytest.mark.parametrize("scheme", Scheme)
def test_decode_at_true_size(driver: Any, run_plan: RunPlan, scheme: Scheme) -> None:
    block = Block(GEMMA_2B, scheme, decode(128))
    plan = lowering.lower(block, by_name("lanes"), driver.facts, ONCE)
    assert plan.size < 250e6
    check(block, by_name("lanes"), driver.facts, run_plan(plan, driver.environment))


@pytest.mark.parametrize("scheme", Scheme)
def test_prefill_at_true_size(vulkan_facts: VkFacts, run_plan: RunPlan, scheme: Scheme) -> None:
    """Not on SwiftShader, where it takes half a minute."""
    block = Block(GEMMA_2B, scheme, prefill(5, past=120))
    plan = lowering.lower(block, by_name("lanes"), vulkan_facts, ONCE)
    check(block, by_name("lanes"), vulkan_facts, run_plan(plan))


@pytest.mark.parametrize("past", [511, 512, 1300])
def test_decode_with_a_long_cache(driver: Any, run_plan: RunPlan, past: int) -> None:
    """From 512 positions on, attention goes over pieces of the cache."""
    block = Block(SMALL, Scheme.INT8, decode(past))
    plan = lowering.lower(block, by_name("lanes"), driver.facts, ONCE)
    assert any(k.file.startswith("attention.pieces.") for k in plan.kernels) == (past >= 512)
    check(block, by_name("lanes"), driver.facts, run_plan(plan, driver.environment))


def stages_of(
    run_plan: RunPlan, block: Block, facts: VkFacts, variant: VkVariant
) -> dict[str, NDArray[np.uint8]]:
    return run_plan(lowering.lower(block, variant, facts, ONCE))["prefill" if block.phase.n > 1 else "decode"]


@pytest.mark.parametrize("name", ["lanes", "lanes-unfused", "engine"])
def test_matrices_above_the_storage_range_are_split(
    run_plan: RunPlan, vulkan_facts: VkFacts, name: str
) -> None:
    """Split by rows into several buffers, the results are the same bit for bit."""
    block = Block(SMALL, Scheme.INT8, decode(5))
    variant = by_name(name)
    small = replace(vulkan_facts, storage_range=40_000)
    plan = lowering.lower(block, variant, small, ONCE)
    parts = [b for b in plan.buffers if b.name.startswith("wdown.") and b.fill == "i8"]
    # 256 rows of 768 bytes: 32 at a time (one tile), or 52 and a shorter last one
    assert [b.rows for b in parts] == ([52] * 4 + [48] if name == "engine" else [32] * 8)
    assert all(b.size <= 40_000 for b in plan.buffers if b.fill == "i8")
    whole = stages_of(run_plan, block, vulkan_facts, variant)
    split = run_plan(plan)["decode"]
    assert set(whole) == set(split)
    assert all(np.array_equal(whole[s], split[s]) for s in whole)


def test_long_products_are_several_dispatches(
    run_plan: RunPlan, vulkan_facts: VkFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = Block(SMALL, Scheme.INT4, prefill(21))
    variant = by_name("lanes")
    whole_plan = lowering.lower(block, variant, vulkan_facts, ONCE)
    monkeypatch.setattr(lowering, "MACS_PER_DISPATCH", 768 * 256 * 8)
    split_plan = lowering.lower(block, variant, vulkan_facts, ONCE)
    assert len(split_plan.steps[0].dispatches) > len(whole_plan.steps[0].dispatches)
    whole, split = run_plan(whole_plan)["prefill"], run_plan(split_plan)["prefill"]
    assert all(np.array_equal(whole[s], split[s]) for s in whole)


def test_no_dispatch_of_the_true_block_runs_for_long(vulkan_facts: VkFacts) -> None:
    """2^30 multiply-accumulates are below a second at 3 GFLOP/s."""
    block = Block(GEMMA_2B, Scheme.INT8, prefill(128))
    plan = lowering.lower(block, by_name("lanes-split-unfused"), vulkan_facts, ONCE)
    down = [d for d in plan.steps[0].dispatches if any(a.value == "wdown" for a in d.args)]
    assert len(down) == 4  # 128 tokens x 2048 x 16384
    tokens = [[a.value for a in d.args if a.kind == "U"] for d in down]
    assert [(t[3], t[0]) for t in tokens] == [(0, 32), (32, 64), (64, 96), (96, 128)]


@pytest.mark.parametrize("dims", [SMALL, GEMMA_2B], ids=["small", "gemma-2b"])
def test_subgroups_share_only_what_all_need(dims: Dims, built: Any) -> None:
    """A subgroup that reached over two parts of K would hand around the wrong activations."""
    facts = VkFacts(subgroups=True, shuffle=True, subgroup_size=64, invocations=256, group_width=256)
    block = Block(dims, Scheme.INT8, decode(8))
    for variant in VARIANTS:
        for kernel in lowering.lower(block, variant, facts, ONCE).kernels:
            spec = dict(kernel.spec)
            if kernel.file.startswith("linear.") and not kernel.file.endswith(".plain.spv"):
                assert spec[1] == 1 or spec[0] // spec[1] % 64 == 0, (variant, kernel)


def test_the_least_device_that_vulkan_allows_has_a_variant(built: Any) -> None:
    """128 invocations, four storage buffers, no subgroups, no fp16: also with a long cache."""
    facts = VkFacts()
    found = candidates(facts)
    assert found
    for variant in found:
        for phase in (decode(2000), prefill(9)):
            plan = lowering.lower(Block(GEMMA_2B, Scheme.INT4, phase), variant, facts, ONCE)
            assert all(k.bindings <= 4 and dict(k.spec)[0] <= 128 for k in plan.kernels)
            assert all(b.size <= facts.storage_range for b in plan.buffers)
