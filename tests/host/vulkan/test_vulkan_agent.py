"""The agent and the Python executor run the same plan on the same driver: the same bits."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmafit import agent
from gemmafit.base.errors import GemmafitError
from gemmafit.base.system import host_abi
from gemmafit.benchmarks.block.dims import SMALL, Block, Phase, Scheme, decode, prefill
from gemmafit.benchmarks.timing import Timing
from gemmafit.benchmarks.vulkan import limits
from gemmafit.benchmarks.vulkan import plan as lowering
from gemmafit.benchmarks.vulkan.variants import VkFacts, by_name

RunPlan = Callable[..., dict[str, dict[str, NDArray[np.uint8]]]]


@pytest.fixture(scope="module")
def binary() -> Path:
    try:
        return agent.binary(host_abi())
    except GemmafitError as error:
        pytest.skip(f"no agent: {error}")


def same(a: dict[str, dict[str, NDArray[np.uint8]]], b: dict[str, dict[str, NDArray[np.uint8]]]) -> bool:
    assert {s: set(rows) for s, rows in a.items()} == {s: set(rows) for s, rows in b.items()}
    return all(np.array_equal(a[s][name], b[s][name]) for s in a for name in a[s])


@pytest.mark.parametrize("phase", [decode(37), prefill(13, past=5)], ids=lambda p: p.name)
@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("name", ["lanes", "lanes-unfused", "engine"])
def test_the_block(
    driver: Any, run_plan: RunPlan, binary: Path, scheme: Scheme, phase: Phase, name: str
) -> None:
    timing = Timing(warmup=0, repeat_min=2, repeat_max=2)
    plan = lowering.lower(Block(SMALL, scheme, phase), by_name(name), driver.facts, timing)
    here = run_plan(plan, driver.environment)
    assert same(here, run_plan(plan, driver.environment, command=[binary]))


def test_the_limits(vulkan_facts: VkFacts, run_plan: RunPlan, binary: Path) -> None:
    plan, _ = limits.plan(vulkan_facts, budget_ms=1)
    assert same(run_plan(plan), run_plan(plan, command=[binary]))


def test_the_probe(driver: Any, binary: Path, tmp_path: Path) -> None:
    """What the choice of kernels rests on is the same, whoever asked."""
    out = tmp_path / "probe.json"
    subprocess.run(
        [binary, "probe", "--only", "vulkan", "--out", out, "--deadline", "20"],
        env={**os.environ, **driver.environment},
        check=True,
        timeout=60,
    )
    assert VkFacts.of_probe(json.loads(out.read_text())["vulkan"]["devices"][0]) == driver.facts
