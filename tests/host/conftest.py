"""Runs plans on this computer, in the interpreters that a user's `gemmafit check local` uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmafit.base.errors import ToolchainError
from gemmafit.base.events import ignore
from gemmafit.base.names import Backend
from gemmafit.benchmarks import trust
from gemmafit.benchmarks.backends import Lowerer
from gemmafit.benchmarks.block import deviation, reference
from gemmafit.benchmarks.block.dims import Block
from gemmafit.benchmarks.cpu.backend import CpuLowerer
from gemmafit.benchmarks.interpreter.result import Result
from gemmafit.benchmarks.measurements import Deviation
from gemmafit.benchmarks.opencl.backend import OpenClLowerer
from gemmafit.benchmarks.opencl.variants import ClFacts
from gemmafit.benchmarks.plan import Plan
from gemmafit.benchmarks.process import execute
from gemmafit.benchmarks.vulkan.backend import VulkanLowerer
from gemmafit.benchmarks.vulkan.variants import VkFacts
from gemmafit.probes.local import Interpreter, LocalTarget

Stages = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Returned:
    """A result and the returned buffers by name, read before the session's directory was gone."""

    result: Result
    outputs: Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Runner:
    """A backend of this computer in one interpreter (python: the workers, agent: the C program)."""

    backend: Backend
    interpreter: Interpreter

    def run(self, plan: Plan, deadline: float = 60.0) -> Returned:
        """Run a plan that should work; skips where the backend is not on this computer."""
        with LocalTarget(interpreter=self.interpreter).session() as session:
            outcome = execute(session, plan, deadline, ignore)
            if outcome.missing:
                pytest.skip(f"{self.backend} in the {self.interpreter}: {outcome.problem}")
            assert outcome.result is not None and outcome.problem is None, outcome.problem
            return Returned(outcome.result, dict(_outputs(outcome.result)))

    def probe(self) -> Mapping[str, Any]:
        """What the interpreter says about the backend; skips where it is not on this computer."""
        found = _probe(self.backend, self.interpreter)
        if isinstance(found, str):
            pytest.skip(f"{self.backend} in the {self.interpreter}: {found}")
        return found

    def lowerer(self) -> Lowerer:
        match self.backend:
            case Backend.CPU:
                return CpuLowerer()
            case Backend.OPENCL:
                return OpenClLowerer(ClFacts.of_probe(self.probe()["device"]))
            case Backend.VULKAN:
                return VulkanLowerer(VkFacts.of_probe(self.probe()["devices"][0]))
            case other:
                raise ValueError(f"{other} is not measured")


def _outputs(result: Result) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for step in result.steps:
        for o in step.outputs:
            data = result.output(step, o.name)
            assert data is not None
            yield o.name, data


@cache
def _probe(backend: Backend, interpreter: Interpreter) -> Mapping[str, Any] | str:
    args = ["probe", "--out", "probe.json", "--only", str(backend), "--deadline", "20"]
    try:
        with LocalTarget(interpreter=interpreter).session() as session:
            run = session.run(backend, args, results=["probe.json"], deadline=20)
            assert run.exit == 0, run.stderr
            part = json.loads(run.files["probe.json"].read_text())[backend]
    except ToolchainError as error:
        return str(error)
    assert isinstance(part, dict)
    return str(part["error"]) if part.get("error") else part


@pytest.fixture(scope="module", autouse=True)
def _as_if_idle() -> Iterator[None]:
    """Other programs on this computer are no failure: only tests of contention void rows for them. Of each module
    anew, so that what runs after this folder has the true limits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trust, "LOST", 2.0)
        patch.setattr(trust, "OTHERS", 2.0)
        yield


@pytest.fixture(
    params=[
        ("cpu", "agent"),
        ("opencl", "python"),
        ("opencl", "agent"),
        ("vulkan", "python"),
        ("vulkan", "agent"),
    ],
    ids=lambda p: "-".join(p),
)
def runner(request: pytest.FixtureRequest) -> Runner:
    """Every backend in every interpreter that has it."""
    backend, interpreter = request.param
    return Runner(Backend(backend), interpreter)


@pytest.fixture
def opencl() -> Runner:
    return Runner(Backend.OPENCL, "python")


@pytest.fixture
def cpu() -> Runner:
    return Runner(Backend.CPU, "agent")


@pytest.fixture
def reference_of() -> Callable[[Block], Stages]:
    """All stages of a block, logits included; computed once a session."""
    return _reference


@cache
def _reference(block: Block) -> Stages:
    return reference.layer(block) | {"logits": reference.logits(block)}


@pytest.fixture
def compare() -> Callable[[Block, Returned, Stages, str], tuple[Deviation, ...]]:
    """Deviations of everything that was returned."""

    def compared(block: Block, run: Returned, expected: Stages, precision: str) -> tuple[Deviation, ...]:
        return deviation.deviations(block, run.outputs, expected, precision)

    return compared
