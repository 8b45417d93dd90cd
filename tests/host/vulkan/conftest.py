"""What the Vulkan tests share: built kernels, drivers, one kernel run, one plan run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmafit.base.errors import ToolchainError
from gemmafit.benchmarks.block import fill
from gemmafit.benchmarks.interpreter import result
from gemmafit.benchmarks.interpreter.interface import BackendMissing
from gemmafit.benchmarks.plan import Arg, Buffer, Dispatch, Kernel, Plan
from gemmafit.benchmarks.vulkan import build
from gemmafit.benchmarks.vulkan import executor as vulkan
from gemmafit.benchmarks.vulkan.device import Instance
from gemmafit.benchmarks.vulkan.modules import Module
from gemmafit.benchmarks.vulkan.variants import VkFacts

Array = NDArray[Any]

SWIFTSHADER = ("/usr/lib/chromium/vk_swiftshader_icd.json", "/opt/google/chrome/vk_swiftshader_icd.json")


@pytest.fixture(scope="session")
def built() -> list[Path]:
    """The SPIR-V modules, up to date."""
    try:
        return build.build()
    except ToolchainError as error:
        if "No GLSL compiler" in str(error):
            pytest.skip(f"{error} {error.hint}")
        raise


@pytest.fixture(scope="session")
def vulkan_facts(built: list[Path]) -> VkFacts:
    """Of the preferred device of this computer."""
    try:
        instance = Instance()
    except BackendMissing as error:
        pytest.skip(f"{error} (Debian: libvulkan1 mesa-vulkan-drivers)")
    try:
        devices = instance.devices()
    except BackendMissing as error:
        pytest.skip(str(error))
    finally:
        instance.close()
    if not devices:
        pytest.skip("no Vulkan device")
    return VkFacts.of_probe(devices[0].facts)


@dataclass(frozen=True)
class Driver:
    """A Vulkan driver to run workers with."""

    facts: VkFacts
    environment: Mapping[str, str]


@pytest.fixture(scope="session", params=["default", "swiftshader"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """This computer's driver, and SwiftShader: no fp16, no 8-bit storage, subgroups of 4 - the old phone."""
    if request.param == "default":
        return Driver(request.getfixturevalue("vulkan_facts"), {})
    request.getfixturevalue("built")
    icd = next((p for p in (os.environ.get("SWIFTSHADER_ICD", ""), *SWIFTSHADER) if Path(p).is_file()), None)
    if icd is None:
        pytest.skip(
            "no SwiftShader (Debian: chromium-common; or set SWIFTSHADER_ICD to its vk_swiftshader_icd.json)"
        )
    environment = {"VK_ICD_FILENAMES": icd, "VK_DRIVER_FILES": icd}
    script = "import json; from gemmafit.benchmarks.vulkan.executor import probe; print(json.dumps(probe()))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    devices = answer["devices"]
    if not devices:
        pytest.skip(f"no Vulkan device of SwiftShader: {answer['error']}")
    return Driver(VkFacts.of_probe(devices[0]), environment)


@pytest.fixture
def run_plan(tmp_path: Path) -> Callable[..., dict[str, dict[str, Array]]]:
    """Run a plan in a worker process: step -> buffer -> bytes. Every step has to be ok and deterministic."""

    def run(
        plan: Plan,
        environment: Mapping[str, str] | None = None,
        *,
        files: Mapping[str, Path] | None = None,
        command: Sequence[str | Path] = (
            sys.executable,
            "-m",
            "gemmafit.benchmarks.interpreter.worker",
            "vulkan",
        ),
    ) -> dict[str, dict[str, Array]]:
        (tmp_path / "plan.txt").write_text(plan.to_text())
        for name, path in (files or plan.files).items():
            shutil.copy(path, tmp_path / name)
        done = subprocess.run(
            [*command, "run", "--plan", "plan.txt", "--out", "result", "--deadline", "100"],
            cwd=tmp_path,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        found = result.read(tmp_path / "result.json", tmp_path / "result.bin")
        assert found.complete, found.error
        assert all(s.status == "ok" and s.deterministic is not False for s in found.steps), found
        outputs: dict[str, dict[str, Array]] = {}
        for s in found.steps:
            rows = {o.name: found.output(s, o.name) for o in s.outputs}
            outputs[s.name] = {name: data for name, data in rows.items() if data is not None}
        return outputs

    return run


@pytest.fixture
def run_kernel(vulkan_facts: VkFacts) -> Callable[..., list[Array]]:
    """Run one module on arrays (or filled buffers), in this process; returns the buffers asked for."""

    def run(
        module: Module,
        constants: Sequence[int | float],
        inputs: Sequence[Array | Buffer],
        push: Sequence[int | float] = (),
        groups: tuple[int, ...] = (1,),
        *,
        returns: Sequence[int],
    ) -> list[Array]:
        executor = vulkan.open_executor({})
        try:
            names = [f"b{i}" for i in range(len(inputs))]
            for name, value in zip(names, inputs, strict=True):
                data = fill.contents(value) if isinstance(value, Buffer) else value.reshape(-1).view(np.uint8)
                executor.allocate(Buffer(name, data.nbytes))
                executor.upload(name, 0, data)
            spec = tuple(enumerate(constants))
            kernel = Kernel("k", module.name, spec=spec, bindings=len(inputs), push=4 * len(push))
            executor.build(kernel, module.path.read_bytes())
            scalars = tuple(Arg("F", v) if isinstance(v, float) else Arg("U", v) for v in push)
            dispatch = Dispatch("k", tuple(Arg("B", n) for n in names) + scalars, groups)
            executor.prepare([dispatch])
            executor.submit()
            found: list[Array] = []
            for i in returns:
                value = inputs[i]
                assert isinstance(value, np.ndarray)
                found.append(executor.download(names[i], value.nbytes).view(value.dtype).reshape(value.shape))
            return found
        finally:
            executor.close()

    return run
