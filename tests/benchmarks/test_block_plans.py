"""What every lowering of the block must keep to, whatever the device. No device is needed."""

from collections.abc import Iterator

import pytest

from gemmafit.benchmarks.block import fill
from gemmafit.benchmarks.block.dims import GEMMA_2B, SMALL, Block, Dims, Scheme, decode, prefill
from gemmafit.benchmarks.cpu import plan as cpu_plan
from gemmafit.benchmarks.cpu.layout import COLUMN_MULTIPLE, ROW_MULTIPLE
from gemmafit.benchmarks.opencl import plan as opencl_plan
from gemmafit.benchmarks.opencl.variants import VARIANTS, ClFacts, ClLayout, Dot, candidates, engine_parts
from gemmafit.benchmarks.plan import Plan, parse

MIDGARD = ClFacts()
MODERN = ClFacts(fp16=True, max_work_group=1024, local_bytes=32768, dot=Dot.ARM)
POCL = ClFacts(cpu=True, max_work_group=4096, local_bytes=1 << 21)
PHASES = (decode(128), prefill(128), prefill(7, 5))


def plans(dims: Dims = GEMMA_2B) -> Iterator[tuple[str, Block, Plan]]:
    for scheme in Scheme:
        for phase in PHASES:
            block = Block(dims, scheme, phase)
            for facts in (MIDGARD, MODERN, POCL):
                for v in candidates(facts):
                    yield f"{v.name}/{scheme}/{phase.name}", block, opencl_plan.lower(block, v, facts)
            for c in cpu_plan.VARIANTS:
                yield f"cpu {c.name}/{scheme}/{phase.name}", block, cpu_plan.lower(block, c)


def test_plans_are_well_formed() -> None:
    for name, block, plan in plans():
        assert parse(plan.to_text(), plan.files) == plan, name
        buffers = {b.name for b in plan.buffers}
        kernels = {k.name for k in plan.kernels}
        for step in plan.steps:
            assert {d.kernel for d in step.dispatches} <= kernels, name
            used = {str(a.value) for d in step.dispatches for a in d.args if a.kind == "B"}
            assert used <= buffers and set(step.returns) <= buffers, name
        assert {s.name for s in plan.steps} >= {block.phase.name}, name
        assert ("logits" in {s.name for s in plan.steps}) == (block.phase.n == 1), name
        assert plan.size <= 250e6, (name, plan.size)
        assert len(plan.to_text()) < 1 << 20, name


def test_work_groups_divide_and_fit() -> None:
    for facts in (MIDGARD, MODERN, POCL):
        for v in candidates(facts):
            for dims in (SMALL, GEMMA_2B):
                for phase in PHASES:
                    plan = opencl_plan.lower(Block(dims, Scheme.INT4, phase), v, facts)
                    for d in (d for s in plan.steps for d in s.dispatches if d.local_size):
                        items = 1
                        for size, local in zip(d.global_size, d.local_size, strict=True):
                            assert size % local == 0 and size > 0, (v.name, d)
                            items *= local
                        assert items <= facts.max_work_group, (v.name, d)


def test_every_row_of_a_product_is_computed_once() -> None:
    block = Block(GEMMA_2B, Scheme.INT8, prefill(128))
    for v in VARIANTS:
        plan = opencl_plan.lower(block, v, MODERN)
        covered: dict[str, list[range]] = {}
        for d in (d for d in plan.steps[0].dispatches if d.kernel.startswith("gemm")):
            n, total, cols, first = (int(a.value) for a in d.args if a.kind == "I")
            rows = d.global_size[1] * 16 if v.layout is ClLayout.LANES else d.global_size[0] * 4
            assert 2.0 * n * rows * cols <= opencl_plan.LONGEST_DISPATCH
            weight = next(str(a.value) for a in d.args if a.value in block.weights)
            covered.setdefault(weight, []).append(range(first, first + rows))
            assert total == block.weights[weight].rows
        assert covered
        for name, parts in covered.items():
            assert sorted(r for p in parts for r in p) == list(range(block.weights[name].rows)), (
                v.name,
                name,
            )


def test_fusing_saves_dispatches() -> None:
    block = Block(GEMMA_2B, Scheme.INT8, decode(16))
    by_name = {v.name: opencl_plan.lower(block, v, POCL) for v in candidates(POCL)}
    assert len(by_name["lanes"].steps[0].dispatches) == 8
    assert len(by_name["lanes-unfused"].steps[0].dispatches) == 16


def test_midgard_gets_no_half_precision_and_small_groups() -> None:
    names = [v.name for v in candidates(MIDGARD)]
    assert "engine" in names
    for v in candidates(MIDGARD):
        plan = opencl_plan.lower(Block(GEMMA_2B, Scheme.INT8, decode(16)), v, MIDGARD)
        assert not any("HALF" in o for k in plan.kernels for o in k.options)


def test_engine_variant_is_tried_everywhere() -> None:
    for facts in (MIDGARD, MODERN, POCL):
        assert any(v.layout is ClLayout.ENGINE for v in candidates(facts))


@pytest.mark.parametrize(
    ("rows", "bits", "parts"),
    [(16384, 8, 2), (2048, 8, 8), (2048, 4, 16), (256000, 8, 1), (256, 8, 16)],
)
def test_engine_work_group_rule(rows: int, bits: int, parts: int) -> None:
    assert engine_parts(rows, bits) == parts


def test_cpu_sizes_are_what_the_routines_take() -> None:
    for dims in (SMALL, GEMMA_2B):
        for scheme in Scheme:
            for w in Block(dims, scheme, decode(1)).weights.values():
                assert w.rows % ROW_MULTIPLE == 0 and w.cols % COLUMN_MULTIPLE == 0


def test_weights_fill_without_error_in_every_layout() -> None:
    for name, _, plan in plans(SMALL):
        for b in plan.buffers:
            assert fill.contents(b).size == b.size, (name, b.name)
