"""Prefill with int8 activations and integer dot products: exact where a device has them, and portably."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gemmafit.benchmarks.block import reference
from gemmafit.benchmarks.block.dims import SMALL, Block, Scheme, prefill
from gemmafit.benchmarks.opencl.plan import lower
from gemmafit.benchmarks.opencl.variants import ClFacts, ClLayout, ClVariant, Dot, by_name
from gemmafit.benchmarks.timing import Timing

ONCE = Timing(warmup=0, repeat_min=2, repeat_max=2)


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize(
    "variant",
    [by_name("engine-dot"), replace(by_name("tiled"), dot=True), replace(by_name("rows"), dot=True)],
    ids=lambda v: ClLayout(v.layout).name.lower(),
)
def test_as_exact_as_the_rounding_allows(
    opencl: Any, compare: Any, scheme: Scheme, variant: ClVariant
) -> None:
    """With fp32 storage only values at the edge of a rounding step differ from the reference that rounds."""
    block = Block(SMALL, scheme, prefill(19, 6))
    facts = ClFacts.of_probe(opencl.probe()["device"])
    dots = {Dot.PLAIN, facts.dot} - {None}
    for dot in dots:
        run = opencl.run(lower(block, variant, ClFacts(dot=dot), ONCE))
        assert run.result.steps[0].deterministic, run.result
        found = compare(block, run, reference.layer(block, "qd8"), "qd8-exact")
        assert len(found) == 10 and all(d.ok for d in found), (dot, found)
