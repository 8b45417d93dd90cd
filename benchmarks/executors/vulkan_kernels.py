"""The kernels of a plan as Vulkan compute pipelines."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ..plan import Kernel
from .interface import ExecutorError
from .vulkan_queue import Queue

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

    def __init__(self, queue: Queue) -> None:
        self._queue, self._vk = queue, queue.vk
        self._pipelines: dict[str, Pipeline] = {}

    def __getitem__(self, name: str) -> Pipeline:
        return self._pipelines[name]

    def build(self, kernel: Kernel, source: bytes) -> None:
        self._check(source)
        queue = self._queue
        info = self._vk.VkShaderModuleCreateInfo(codeSize=len(source), pCode=source)
        module = queue.call("vkCreateShaderModule", queue.handle, info, None)
        try:
            self._pipelines[kernel.name] = self._create(kernel, module)
        finally:
            self._vk.vkDestroyShaderModule(queue.handle, module, None)

    def close(self) -> None:
        device = self._queue.handle
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
        handle = queue.call("vkCreateComputePipelines", queue.handle, None, 1, [info], None)[0]
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
