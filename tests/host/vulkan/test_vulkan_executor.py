"""The Vulkan executor and its probe: what it refuses, and how it says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gemmafit.benchmarks.block import fill
from gemmafit.benchmarks.block.dims import SMALL, Block, Scheme, decode
from gemmafit.benchmarks.interpreter.interface import BackendMissing, ExecutorError
from gemmafit.benchmarks.limits import Limit
from gemmafit.benchmarks.plan import Arg, Buffer, Dispatch, Kernel, Plan
from gemmafit.benchmarks.timing import Timing
from gemmafit.benchmarks.vulkan import executor as vulkan
from gemmafit.benchmarks.vulkan import limits
from gemmafit.benchmarks.vulkan import plan as lowering
from gemmafit.benchmarks.vulkan import queue as vulkan_queue
from gemmafit.benchmarks.vulkan.modules import Module
from gemmafit.benchmarks.vulkan.variants import VkFacts, by_name

ADD = Module("add.comp", ("fp32",))
ADD_KERNEL = Kernel("add", ADD.name, spec=((0, 64),), bindings=3, push=4)


@pytest.fixture
def executor(vulkan_facts: VkFacts) -> Iterator[vulkan.VulkanExecutor]:
    found = vulkan.open_executor({})
    yield found
    found.close()


def add(count: int = 16, groups: tuple[int, ...] = (1,)) -> Dispatch:
    return Dispatch("add", (Arg("B", "a"), Arg("B", "b"), Arg("B", "c"), Arg("U", count)), groups)


def three(executor: vulkan.VulkanExecutor) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Buffers a, b, c of 64 floats; a and b hold 0 .. 63."""
    values = np.arange(64, dtype=np.float32)
    for name in "abc":
        executor.allocate(Buffer(name, 256))
        executor.upload(name, 0, values.view(np.uint8))
    executor.build(ADD_KERNEL, ADD.path.read_bytes())
    return values


def test_it_adds(executor: vulkan.VulkanExecutor) -> None:
    values = three(executor)
    executor.prepare([add()])
    nanoseconds = executor.submit()
    assert nanoseconds is None or 0 < nanoseconds < 10**10
    assert np.array_equal(executor.download("c", 256).view(np.float32), 2 * values)


def test_dispatches_of_a_step_see_each_other(executor: vulkan.VulkanExecutor) -> None:
    values = three(executor)
    again = replace(add(), args=(Arg("B", "c"), Arg("B", "c"), Arg("B", "a"), Arg("U", 16)))
    executor.prepare([add(), again])
    executor.submit()
    assert np.array_equal(executor.download("a", 256).view(np.float32), 4 * values)


def test_memory_that_the_host_cannot_map_is_staged(
    executor: vulkan.VulkanExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = executor.memory.memory_type

    def unmapped(allowed: int, *, staging: bool) -> tuple[int, bool]:
        index, mapped = choose(allowed, staging=staging)
        return index, mapped and staging

    monkeypatch.setattr(executor.memory, "memory_type", unmapped)
    big = Buffer("big", 9 << 20, "i8", seed=1, rows=9, cols=1 << 20)
    executor.allocate(big)
    expected = fill.contents(big)
    executor.upload("big", 0, expected)
    executor.upload("big", 5_000_000, expected[5_000_000:])
    assert np.array_equal(executor.download("big", big.size), expected)
    values = three(executor)
    executor.prepare([add()])
    executor.submit()
    assert np.array_equal(executor.download("c", 256).view(np.float32), 2 * values)


@pytest.mark.parametrize(
    ("dispatch", "words"),
    [
        (add(groups=(1 << 30,)), "work-groups"),
        (add(groups=(0,)), "work-groups"),
        (replace(add(), args=add().args[1:]), "2 buffers and 4 bytes of scalars given, 3 and 4 declared"),
        (replace(add(), args=add().args[:3]), "3 buffers and 0 bytes of scalars given"),
        (replace(add(), args=(*add().args[:3], Arg("L", 64))), "kind L"),
    ],
)
def test_a_bad_dispatch_is_refused(executor: vulkan.VulkanExecutor, dispatch: Dispatch, words: str) -> None:
    three(executor)
    with pytest.raises(ExecutorError, match=words):
        executor.prepare([dispatch])
    executor.prepare([add()])  # and the next step is none the worse for it
    executor.submit()


def test_too_many_bindings_are_refused(
    executor: vulkan.VulkanExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(executor.queue.limits, "maxPerStageDescriptorStorageBuffers", 2)
    with pytest.raises(ExecutorError, match="3 storage buffers"):
        executor.build(ADD_KERNEL, ADD.path.read_bytes())


def test_a_buffer_above_the_storage_range_is_refused(executor: vulkan.VulkanExecutor) -> None:
    with pytest.raises(ExecutorError, match="maxStorageBufferRange"):
        executor.allocate(Buffer("huge", 1 << 40))


def test_memory_that_is_not_there_is_an_error_by_name(
    executor: vulkan.VulkanExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(executor.queue.limits, "maxStorageBufferRange", 1 << 62)
    with pytest.raises(ExecutorError, match=r"VK_ERROR_\w+ \(-\d+\) in vk\w+"):
        executor.allocate(Buffer("huge", 1 << 45))


def test_a_lost_device_is_an_error_by_name(
    executor: vulkan.VulkanExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(executor)
    executor.prepare([add()])

    def lost(*_: object) -> None:
        raise executor.queue.vk.VkErrorDeviceLost

    monkeypatch.setattr(executor.queue.vk, "vkQueueSubmit", lost)
    with pytest.raises(ExecutorError, match=r"^VK_ERROR_DEVICE_LOST \(-4\) in vkQueueSubmit$"):
        executor.submit()


def test_a_queue_without_a_clock_gives_no_device_time(
    vulkan_facts: VkFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vulkan_queue.Queue, "timestamp_bits", 0)
    executor = vulkan.open_executor({})
    try:
        values = three(executor)
        executor.prepare([add()])
        assert executor.submit() is None
        assert np.array_equal(executor.download("c", 256).view(np.float32), 2 * values)
    finally:
        executor.close()


@pytest.mark.parametrize("source", [b"", b"x" * 64, b"\x03\x02\x23\x07" + b"\0" * 8])
def test_what_is_no_spirv_is_refused(executor: vulkan.VulkanExecutor, source: bytes) -> None:
    with pytest.raises(ExecutorError, match="not a SPIR-V module"):
        executor.build(ADD_KERNEL, source)


@pytest.mark.parametrize(
    ("module", "structure", "words"),
    [
        (Module("add.comp", ("fp16",)), "VkPhysicalDevice16BitStorageFeatures", "storageBuffer16BitAccess"),
        (
            Module("linear.comp", ("i8", "s8", "t1", "fp32", "plain")),
            "VkPhysicalDevice8BitStorageFeatures",
            "storageBuffer8BitAccess",
        ),
        (
            Module("rmsnorm.comp", ("fp32", "sub")),
            "VkPhysicalDeviceSubgroupProperties",
            "subgroup operations",
        ),
        (
            Module("peak_dot8.comp", ()),
            "VkPhysicalDeviceShaderIntegerDotProductFeatures",
            "shaderIntegerDotProduct",
        ),
    ],
)
def test_a_module_that_asks_for_more_than_there_is_is_refused(
    executor: vulkan.VulkanExecutor, module: Module, structure: str, words: str
) -> None:
    """Such a module would not fail but crash."""
    executor.queue.facts.pop(structure, None)
    with pytest.raises(ExecutorError, match=words):
        executor.build(Kernel("k", module.name, bindings=4, push=16), module.path.read_bytes())


def test_a_subgroup_size_that_there_is_not_is_refused(executor: vulkan.VulkanExecutor) -> None:
    with pytest.raises(ExecutorError, match="subgroups of 512"):
        executor.build(replace(ADD_KERNEL, subgroup=512), ADD.path.read_bytes())


def test_a_required_subgroup_size_is_taken(executor: vulkan.VulkanExecutor, vulkan_facts: VkFacts) -> None:
    if vulkan_facts.subgroup_sizes is None:
        pytest.skip("no subgroup size control here")
    module = Module("rmsnorm.comp", ("fp32", "sub"))
    spec = tuple(enumerate((64, 64, 1e-6)))
    kernel = Kernel("k", module.name, spec=spec, bindings=3, subgroup=vulkan_facts.subgroup_sizes[0])
    executor.build(kernel, module.path.read_bytes())


def test_no_such_device() -> None:
    try:
        vulkan.open_executor({}).close()
    except BackendMissing as error:
        pytest.skip(str(error))
    with pytest.raises(BackendMissing, match="no Vulkan device 99"):
        vulkan.open_executor({"device": "99"})


def worker(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gemmafit.benchmarks.interpreter.worker", "vulkan", *arguments],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def plan_file(directory: Path, facts: VkFacts = VkFacts()) -> Plan:  # noqa: B008 (frozen)
    block = Block(SMALL, Scheme.INT8, decode(3))
    plan = lowering.lower(block, by_name("lanes"), facts, Timing(warmup=0, repeat_min=1, repeat_max=1))
    (directory / "plan.txt").write_text(plan.to_text())
    return plan


def no_loader(directory: Path) -> str:
    """A `vulkan` package that fails as the real one does where libvulkan is missing."""
    package = directory / "shadow" / "vulkan"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise OSError('Cannot find Vulkan SDK version.')\n")
    return str(package.parent)


def test_without_a_loader_it_ends_with_3(built: list[Path], tmp_path: Path) -> None:
    plan_file(tmp_path)
    done = worker(tmp_path, "run", "--plan", "plan.txt", "--out", "result", PYTHONPATH=no_loader(tmp_path))
    assert (done.returncode, done.stderr) == (3, "")
    assert "no Vulkan loader" in json.loads((tmp_path / "result.json").read_text())["error"]


def test_the_probe_without_a_loader_is_a_finding(tmp_path: Path) -> None:
    done = worker(tmp_path, "probe", "--out", "probe.json", PYTHONPATH=no_loader(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    part = json.loads((tmp_path / "probe.json").read_text())["vulkan"]
    assert part["error"].startswith("no Vulkan loader")
    assert part["library"] is None and part["devices"] == []
    assert part["attempts"][0]["opened"] is False and "SDK" in part["attempts"][0]["error"]


def test_without_a_driver_it_ends_with_3(vulkan_facts: VkFacts, tmp_path: Path) -> None:
    plan_file(tmp_path)
    nothing = str(tmp_path / "nothing.json")
    done = worker(
        tmp_path,
        "run",
        "--plan",
        "plan.txt",
        "--out",
        "result",
        VK_ICD_FILENAMES=nothing,
        VK_DRIVER_FILES=nothing,
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert "no Vulkan driver" in json.loads((tmp_path / "result.json").read_text())["error"]


def test_the_probe_names_what_the_choice_of_kernels_needs(vulkan_facts: VkFacts, tmp_path: Path) -> None:
    done = worker(tmp_path, "probe", "--out", "probe.json")
    assert done.returncode == 0, done.stderr
    part = json.loads((tmp_path / "probe.json").read_text())["vulkan"]
    assert part["error"] is None and part["library"] and part["instance_version"].startswith("1.")
    device = part["devices"][0]
    assert VkFacts.of_probe(device) == vulkan_facts
    assert device["VkPhysicalDeviceProperties"]["limits"]["maxStorageBufferRange"] >= 1 << 27
    assert isinstance(device["VkPhysicalDeviceFeatures"]["robustBufferAccess"], bool)
    assert device["VkPhysicalDeviceMemoryProperties"]["memoryHeaps"][0]["size"] > 0
    assert device["queueFamilies"][0]["queueFlags"] & 2


def test_facts_of_nothing_are_what_vulkan_guarantees() -> None:
    assert VkFacts.of_probe({}) == VkFacts()
    hostile = {"VkPhysicalDeviceProperties": {"limits": {"maxStorageBufferRange": "big"}}, "extensions": 3}
    assert VkFacts.of_probe(hostile) == VkFacts()
    assert (
        VkFacts.of_probe({"VkPhysicalDeviceProperties": 7, "VkPhysicalDeviceSubgroupProperties": []})
        == VkFacts()
    )


def test_limits_are_measured_and_their_kernels_compute(driver, run_plan) -> None:  # type: ignore[no-untyped-def]
    """The sums, the fixed point of the chains and the dot products are checked: a chain that the compiler
    removed, or a read that did not happen, would show."""
    plan, figures = limits.plan(driver.facts, budget_ms=1)
    outputs = run_plan(plan, driver.environment)
    assert set(outputs) == {f.name for f in figures}
    assert {"read", "copy", "peak_fp32", "dispatch", "submit"} <= set(outputs)
    data = fill.contents(next(b for b in plan.buffers if b.name == "data")).view(np.uint32)
    assert outputs["read"]["sums"].view(np.uint32).sum(dtype=np.uint32) == data.sum(dtype=np.uint32)
    for name in {"peak_fp32", "peak_fp16"} & set(outputs):
        assert (outputs[name]["chains"].view(np.float32) == 8).all()  # x -> x / 2 + 1 tends to 2, four chains
    assert driver.facts.fp16 == ("peak_fp16" in outputs)
    if "peak_dot8" in outputs:
        assert np.array_equal(outputs["peak_dot8"]["chains"].view(np.int32).reshape(-1, 4)[:64], dot_chains())


def dot_chains() -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """What peak_dot8.comp leaves in its first 64 invocations."""
    with np.errstate(over="ignore"):
        a = np.arange(64, dtype=np.int32) + np.int32(limits.MIXED)
        b = np.array([limits.MIXED], np.int32).view(np.int8).astype(np.int32)
        chains = np.tile(np.arange(4, dtype=np.int32), (64, 1))
        for _ in range(limits.ROUNDS * 4):
            values = np.ascontiguousarray(a[:, None] ^ chains).view(np.int8).reshape(64, 4, 4)
            chains += (values.astype(np.int32) * b).sum(axis=2, dtype=np.int32)
    return chains


def test_a_limit_is_amount_over_time() -> None:
    assert Limit("read", "GB/s", 2e9).value(0.5) == 4
    assert Limit("dispatch", "us", 64).value(64e-6) == pytest.approx(1)
