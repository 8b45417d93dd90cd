"""The kernels of a plan as Vulkan compute pipelines."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ..interpreter.interface import Built, ExecutorError
from ..interpreter.programs import Programs
from ..plan import Kernel
from .queue import Queue

# SPIR-V capabilities (the specification's numbers) that a device must have switched on: loading a module that
# asks for another is undefined behaviour, in practice a crash. -> structure, feature.
_CAPABILITIES = {
    9: ("VkPhysicalDeviceShaderFloat16Int8Features", "shaderFloat16"),
    39: ("VkPhysicalDeviceShaderFloat16Int8Features", "shaderInt8"),
    22: ("VkPhysicalDeviceFeatures", "shaderInt16"),
    11: ("VkPhysicalDeviceFeatures", "shaderInt64"),
    4433: ("VkPhysicalDevice16BitStorageFeatures", "storageBuffer16BitAccess"),
    4434: ("VkPhysicalDevice16BitStorageFeatures", "uniformAndStorageBuffer16BitAccess"),
    4448: ("VkPhysicalDevice8BitStorageFeatures", "storageBuffer8BitAccess"),
    4449: ("VkPhysicalDevice8BitStorageFeatures", "uniformAndStorageBuffer8BitAccess"),
    6018: ("VkPhysicalDeviceShaderIntegerDotProductFeatures", "shaderIntegerDotProduct"),
    6019: ("VkPhysicalDeviceShaderIntegerDotProductFeatures", "shaderIntegerDotProduct"),
}
_CACHE = "pipelines"
_HEADER = struct.Struct("<IIII16s")
"""VkPipelineCacheHeaderVersionOne: size, version, vendor, device, UUID."""
_SUBGROUP_CAPABILITIES = range(61, 69)
"""GroupNonUniform, ..Vote, ..Arithmetic, ... in the order of the bits of VkSubgroupFeatureFlagBits."""


@dataclass(frozen=True)
class Pipeline:
    """A kernel ready to be dispatched. `sets` is the layout of its descriptor set."""

    kernel: Kernel
    handle: Any
    layout: Any
    sets: Any


class Kernels:
    """Pipelines by name. Methods raise ExecutorError."""

    def __init__(self, queue: Queue, programs: Programs) -> None:
        self._queue, self._vk = queue, queue.vk
        self._pipelines: dict[str, Pipeline] = {}
        self._programs = programs
        self._cache: Any = None
        self._note = ""  # why the cache holds nothing of an earlier process

    def __getitem__(self, name: str) -> Pipeline:
        return self._pipelines[name]

    def build(self, kernel: Kernel, source: bytes) -> Built:
        self._check(source)
        queue = self._queue
        if self._programs.mode and self._cache is None:
            self._create_cache()
        info = self._vk.VkShaderModuleCreateInfo(codeSize=len(source), pCode=source)
        module = queue.call("vkCreateShaderModule", queue.handle, info, None)
        try:
            self._pipelines[kernel.name] = self._create(kernel, module)
        finally:
            self._vk.vkDestroyShaderModule(queue.handle, module, None)
        return Built(self._note, self._programs.taking and not self._note)

    def keep(self) -> None:
        if self._cache is None:
            return
        vk, device = self._vk, self._queue.handle
        get = vk.lib.vkGetPipelineCacheData  # the package wraps all functions but this one
        size = vk.ffi.new("size_t *")
        data = None
        for _ in range(2):  # for the size, then for as many bytes
            data = vk.ffi.NULL if data is None else vk.ffi.new("char[]", size[0])
            if result := get(device, self._cache, size, data):
                raise ExecutorError(f"VkResult {result} in vkGetPipelineCacheData")
        self._programs.keep(_CACHE, bytes(vk.ffi.buffer(data, size[0])))

    def _create_cache(self) -> None:
        """A driver drops what is not its own without a word (Vulkan specification, "Pipeline Cache Header"),
        so the header is read here too."""
        vk, data = self._vk, self._programs.take(_CACHE) if self._programs.taking else None
        if self._programs.taking:
            wrong = "no pipelines were kept" if data is None else self._foreign(data)
            self._note = f"{wrong}: built from SPIR-V" if wrong else ""
            data = None if wrong else data
        initial = None if data is None else vk.ffi.from_buffer(data)
        info = vk.VkPipelineCacheCreateInfo(initialDataSize=len(data or b""), pInitialData=initial)
        self._cache = self._queue.call("vkCreatePipelineCache", self._queue.handle, info, None)

    def _foreign(self, data: bytes) -> str | None:
        refused = "the kept pipelines were refused"
        if len(data) < _HEADER.size:
            return f"{refused}, it is too short"
        size, version, vendor, device, uuid = _HEADER.unpack_from(data)
        if version != 1 or size < _HEADER.size:
            return f"{refused}, its header is of another version"
        own = self._queue.facts["VkPhysicalDeviceProperties"]
        known = (own["vendorID"], own["deviceID"], bytes(own["pipelineCacheUUID"]))
        return None if (vendor, device, uuid) == known else f"{refused}, it is another driver's"

    def close(self) -> None:
        device = self._queue.handle
        if self._cache is not None:
            self._vk.vkDestroyPipelineCache(device, self._cache, None)
        for p in self._pipelines.values():
            self._vk.vkDestroyPipeline(device, p.handle, None)
            self._vk.vkDestroyPipelineLayout(device, p.layout, None)
            self._vk.vkDestroyDescriptorSetLayout(device, p.sets, None)

    def _check(self, source: bytes) -> None:
        """Raise ExecutorError if the module asks for what the device lacks."""
        if len(source) < 20 or len(source) % 4 or source[:4] != b"\x03\x02\x23\x07":
            raise ExecutorError("not a SPIR-V module")
        facts = self._queue.facts
        subgroups = facts.get("VkPhysicalDeviceSubgroupProperties", {})
        in_compute = subgroups.get("supportedStages", 0) & self._vk.VK_SHADER_STAGE_COMPUTE_BIT
        operations = subgroups.get("supportedOperations", 0) if in_compute else 0
        for capability in capabilities(source):
            if capability in _SUBGROUP_CAPABILITIES:
                if not operations >> (capability - _SUBGROUP_CAPABILITIES[0]) & 1:
                    raise ExecutorError(f"the device lacks subgroup operations (capability {capability})")
            elif capability in _CAPABILITIES:
                structure, feature = _CAPABILITIES[capability]
                if not facts.get(structure, {}).get(feature):
                    raise ExecutorError(f"the device lacks {feature}")

    def _create(self, kernel: Kernel, module: Any) -> Pipeline:
        vk, queue = self._vk, self._queue
        if kernel.push > queue.limits["maxPushConstantsSize"]:
            raise ExecutorError(f"{kernel.push} bytes of push constants are more than the device has")
        if kernel.bindings > queue.limits["maxPerStageDescriptorStorageBuffers"]:
            raise ExecutorError(f"{kernel.bindings} storage buffers are more than a kernel may have here")
        compute = vk.VK_SHADER_STAGE_COMPUTE_BIT
        bindings = [
            vk.VkDescriptorSetLayoutBinding(
                binding=i,
                descriptorType=vk.VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                descriptorCount=1,
                stageFlags=compute,
            )
            for i in range(kernel.bindings)
        ]
        set_layout = vk.VkDescriptorSetLayoutCreateInfo(pBindings=bindings)
        sets = queue.call("vkCreateDescriptorSetLayout", queue.handle, set_layout, None)
        push = [vk.VkPushConstantRange(stageFlags=compute, size=kernel.push)] if kernel.push else []
        pipeline_layout = vk.VkPipelineLayoutCreateInfo(pSetLayouts=[sets], pPushConstantRanges=push)
        layout = queue.call("vkCreatePipelineLayout", queue.handle, pipeline_layout, None)
        values = b"".join(_constant(value) for _, value in kernel.spec)
        entries = [
            vk.VkSpecializationMapEntry(constantID=number, offset=4 * i, size=4)
            for i, (number, _) in enumerate(kernel.spec)
        ]
        constants = vk.VkSpecializationInfo(
            pMapEntries=entries, dataSize=len(values), pData=vk.ffi.from_buffer(values)
        )
        stage = vk.VkPipelineShaderStageCreateInfo(
            pNext=self._required_subgroup(kernel.subgroup),
            stage=compute,
            module=module,
            pName=kernel.entry,
            pSpecializationInfo=constants,
        )
        info = vk.VkComputePipelineCreateInfo(stage=stage, layout=layout)
        handle = queue.call("vkCreateComputePipelines", queue.handle, self._cache, 1, [info], None)[0]
        return Pipeline(kernel, handle, layout, sets)

    def _required_subgroup(self, size: int) -> Any:
        """The structure that requires a subgroup size, or None for the driver's choice."""
        if not size:
            return None
        facts = self._queue.facts
        control = facts.get("VkPhysicalDeviceSubgroupSizeControlProperties", {})
        low, high = control.get("minSubgroupSize", 0), control.get("maxSubgroupSize", 0)
        allowed = facts.get("VkPhysicalDeviceSubgroupSizeControlFeatures", {}).get("subgroupSizeControl")
        in_compute = control.get("requiredSubgroupSizeStages", 0) & self._vk.VK_SHADER_STAGE_COMPUTE_BIT
        if not allowed or not in_compute or not low <= size <= high:
            raise ExecutorError(f"the device does not run subgroups of {size} on demand")
        return self._vk.VkPipelineShaderStageRequiredSubgroupSizeCreateInfo(requiredSubgroupSize=size)


def capabilities(module: bytes) -> list[int]:
    """The capabilities that a SPIR-V module declares (OpCapability, at its very beginning)."""
    found: list[int] = []
    at = 20  # after the header of five words
    while at + 8 <= len(module):
        first, operand = struct.unpack_from("<II", module, at)
        if first != (2 << 16 | 17):  # two words, OpCapability
            break
        found.append(operand)
        at += 8
    return found


def _constant(value: int | float) -> bytes:
    if isinstance(value, float):
        return struct.pack("<f", value)
    return struct.pack("<I", value & 0xFFFFFFFF)
