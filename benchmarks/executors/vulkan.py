"""Executes a plan through Vulkan, with the `vulkan` package; one device, one queue.

Buffers live in memory that the host can map where the device has such memory (phones and CPU drivers
do), else they are filled and read through a staging buffer. A step is recorded once, with a full barrier
between its dispatches, and submitted for each repeat.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plan import Arg, Buffer, Dispatch, Kernel
from .interface import BackendMissing, DeviceInfo, ExecutorError
from .vulkan_device import STRUCTURES, Facts, Instance, PhysicalDevice, call

_STAGING = 4 << 20
_FOREVER = (1 << 64) - 1  # the worker's watchdog ends a wait that never ends

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
_SUBGROUP_CAPABILITIES = {
    61: 0,
    62: 1,
    63: 2,
    64: 3,
    65: 4,
    66: 5,
    67: 6,
    68: 7,
}  # -> bit of supportedOperations


@dataclass
class _Memory:
    buffer: Any
    memory: Any
    size: int
    mapped: Any = None  # a pointer, or None: reached through staging


@dataclass
class _Pipeline:
    kernel: Kernel
    pipeline: Any
    layout: Any
    sets: Any


def probe() -> Facts:
    """The `vulkan` part of probe.json."""
    attempt: Facts = {"name": "libvulkan", "route": "dlopen", "opened": False, "error": None}
    answer: Facts = {"attempts": [attempt], "library": None, "error": None, "devices": []}
    try:
        instance = Instance()
    except BackendMissing as error:
        loaded = error.__cause__ is not None and not isinstance(error.__cause__, OSError)
        attempt["opened"] = loaded
        answer["error"] = str(error)
        if not loaded:
            attempt["error"] = str(error.__cause__)
        return answer
    attempt["opened"] = True
    answer["library"] = "libvulkan"
    answer["instance_version"] = _dotted(instance.version)
    try:
        answer["devices"] = [d.facts for d in instance.devices()]
        if not answer["devices"]:
            answer["error"] = "no Vulkan device"
    except (BackendMissing, ExecutorError) as error:
        answer["error"] = str(error)
    finally:
        instance.close()
    return answer


def open_executor(options: Mapping[str, str]) -> VulkanExecutor:
    """The device of the option `device`, else the preferred one. Raises BackendMissing."""
    instance = Instance()
    try:
        devices = instance.devices()
        if not devices:
            raise BackendMissing("no Vulkan device")
        index = int(options.get("device", "0"))
        if not 0 <= index < len(devices):
            raise BackendMissing(f"no Vulkan device {index}: there are {len(devices)}")
        return VulkanExecutor(instance, devices[index])
    except ExecutorError as error:
        instance.close()
        raise BackendMissing(f"the Vulkan device cannot be opened: {error}") from error
    except BaseException:
        instance.close()
        raise


class VulkanExecutor:
    """See `interface.Executor`."""

    def __init__(self, instance: Instance, physical: PhysicalDevice) -> None:
        self._instance, self._physical = instance, physical
        self._vk = vk = instance.vk
        properties = physical.facts["VkPhysicalDeviceProperties"]
        self._limits: Facts = properties["limits"]
        self.device = DeviceInfo(properties["deviceName"], physical.driver, physical.type)
        self._family = self._queue_family()
        self._handle = self._create_device()
        self._queue = vk.vkGetDeviceQueue(self._handle, self._family, 0)
        pool = vk.VkCommandPoolCreateInfo(
            flags=vk.VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT, queueFamilyIndex=self._family
        )
        self._command_pool = self._call("vkCreateCommandPool", self._handle, pool, None)
        allocate = vk.VkCommandBufferAllocateInfo(
            commandPool=self._command_pool, level=vk.VK_COMMAND_BUFFER_LEVEL_PRIMARY, commandBufferCount=2
        )
        self._commands, self._transfer = self._call("vkAllocateCommandBuffers", self._handle, allocate)
        self._fence = self._call("vkCreateFence", self._handle, vk.VkFenceCreateInfo(), None)
        self._timer = self._create_timer()
        self._buffers: dict[str, _Memory] = {}
        self._pipelines: dict[str, _Pipeline] = {}
        self._sets: Any = None  # descriptor pool of the prepared step
        self._staging: _Memory | None = None

    # Setting up

    def _call(self, function: str, *args: Any) -> Any:
        return call(self._vk, function, *args)

    def _queue_family(self) -> int:
        """A family with compute; one without graphics last, since phones have none."""
        for index, family in enumerate(self._physical.facts["queueFamilies"]):
            if family["queueFlags"] & self._vk.VK_QUEUE_COMPUTE_BIT:
                return index
        raise BackendMissing(f"{self.device.name}: no queue for compute")

    def _create_device(self) -> Any:
        """With every feature on that `_CAPABILITIES` and subgroup size control need and the device has."""
        vk, facts = self._vk, self._physical.facts
        version = min(self._instance.version, facts["VkPhysicalDeviceProperties"]["apiVersion"])
        extensions: list[str] = []
        chain: Any = None
        for structure in STRUCTURES:
            if not structure.is_feature or not self._physical.has(structure):
                continue
            if version < structure.version:
                extensions.append(structure.extension)
            on = {name: 1 for name, value in facts[structure.name].items() if value}
            chain = getattr(vk, structure.name)(pNext=chain, **on)
        wanted = ("shaderInt16", "shaderInt64")
        features = {name: 1 for name in wanted if facts["VkPhysicalDeviceFeatures"][name]}
        queue = vk.VkDeviceQueueCreateInfo(
            queueFamilyIndex=self._family, queueCount=1, pQueuePriorities=[1.0]
        )
        info = vk.VkDeviceCreateInfo(
            pNext=chain,
            pQueueCreateInfos=[queue],
            ppEnabledExtensionNames=extensions,
            pEnabledFeatures=vk.VkPhysicalDeviceFeatures(**features),
        )
        return self._call("vkCreateDevice", self._physical.handle, info, None)

    def _create_timer(self) -> Any:
        """A query pool of two timestamps, or None where the queue has no clock."""
        vk = self._vk
        family = self._physical.facts["queueFamilies"][self._family]
        if not family["timestampValidBits"] or not self._limits["timestampPeriod"]:
            return None
        info = vk.VkQueryPoolCreateInfo(queryType=vk.VK_QUERY_TYPE_TIMESTAMP, queryCount=2)
        return self._call("vkCreateQueryPool", self._handle, info, None)

    # Memory

    def allocate(self, buffer: Buffer) -> None:
        limit = self._limits["maxStorageBufferRange"]
        if buffer.size > limit:
            raise ExecutorError(f"{buffer.size} bytes are more than maxStorageBufferRange, {limit}")
        self._buffers[buffer.name] = self._new_memory(buffer.size)

    def _new_memory(self, size: int, *, staging: bool = False) -> _Memory:
        vk = self._vk
        usage = vk.VK_BUFFER_USAGE_TRANSFER_SRC_BIT | vk.VK_BUFFER_USAGE_TRANSFER_DST_BIT
        if not staging:
            usage |= vk.VK_BUFFER_USAGE_STORAGE_BUFFER_BIT
        info = vk.VkBufferCreateInfo(size=size, usage=usage, sharingMode=vk.VK_SHARING_MODE_EXCLUSIVE)
        buffer = self._call("vkCreateBuffer", self._handle, info, None)
        try:
            needs = vk.vkGetBufferMemoryRequirements(self._handle, buffer)
            kind, mappable = self._memory_type(needs.memoryTypeBits, staging=staging)
            request = vk.VkMemoryAllocateInfo(allocationSize=needs.size, memoryTypeIndex=kind)
            memory = self._call("vkAllocateMemory", self._handle, request, None)
        except ExecutorError:
            vk.vkDestroyBuffer(self._handle, buffer, None)
            raise
        self._call("vkBindBufferMemory", self._handle, buffer, memory, 0)
        mapped = None
        if mappable:
            view = self._call("vkMapMemory", self._handle, memory, 0, size, 0)
            mapped = vk.ffi.from_buffer(view, require_writable=True)
        return _Memory(buffer, memory, size, mapped)

    def _memory_type(self, allowed: int, *, staging: bool) -> tuple[int, bool]:
        """Index of the memory type to use, and whether the host maps it."""
        vk = self._vk
        visible = vk.VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | vk.VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
        local, cached = vk.VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, vk.VK_MEMORY_PROPERTY_HOST_CACHED_BIT
        choices = (
            (visible | cached, visible)
            if staging
            else (visible | local | cached, visible | local, local, visible)
        )
        types = self._physical.facts["VkPhysicalDeviceMemoryProperties"]["memoryTypes"]
        for wanted in choices:
            for index, row in enumerate(types):
                if allowed >> index & 1 and row["propertyFlags"] & wanted == wanted:
                    return index, bool(wanted & visible)
        raise ExecutorError("no memory type for storage buffers")

    def upload(self, name: str, offset: int, data: NDArray[np.uint8]) -> None:
        target = self._buffers[name]
        if target.mapped is not None:
            self._vk.ffi.memmove(target.mapped + offset, data, data.nbytes)
            return
        staging = self._stage()
        for start in range(0, data.nbytes, _STAGING):
            part = data[start : start + _STAGING]
            self._vk.ffi.memmove(staging.mapped, part, part.nbytes)
            self._copy(staging, 0, target, offset + start, part.nbytes)

    def download(self, name: str, size: int) -> NDArray[np.uint8]:
        source = self._buffers[name]
        out = np.empty(size, np.uint8)
        if source.mapped is not None:
            self._vk.ffi.memmove(out, source.mapped, size)
            return out
        staging = self._stage()
        for start in range(0, size, _STAGING):
            part = out[start : start + _STAGING]
            self._copy(source, start, staging, 0, part.nbytes)
            self._vk.ffi.memmove(part, staging.mapped, part.nbytes)
        return out

    def _stage(self) -> _Memory:
        if self._staging is None:
            self._staging = self._new_memory(_STAGING, staging=True)
        return self._staging

    def _copy(self, source: _Memory, start: int, target: _Memory, offset: int, size: int) -> None:
        vk, commands = self._vk, self._transfer
        self._begin(commands)
        region = vk.VkBufferCopy(srcOffset=start, dstOffset=offset, size=size)
        vk.vkCmdCopyBuffer(commands, source.buffer, target.buffer, 1, [region])
        self._barrier(commands, to_host=True)
        self._call("vkEndCommandBuffer", commands)
        self._submit(commands)

    # Kernels

    def build(self, kernel: Kernel, source: bytes) -> str:
        self._check_module(source)
        vk = self._vk
        info = vk.VkShaderModuleCreateInfo(codeSize=len(source), pCode=source)
        module = self._call("vkCreateShaderModule", self._handle, info, None)
        try:
            self._pipelines[kernel.name] = self._create_pipeline(kernel, module)
        finally:
            vk.vkDestroyShaderModule(self._handle, module, None)
        return ""

    def _check_module(self, source: bytes) -> None:
        """Raise ExecutorError if the module asks for what the device lacks."""
        if len(source) < 20 or len(source) % 4 or source[:4] != b"\x03\x02\x23\x07":
            raise ExecutorError("not a SPIR-V module")
        facts = self._physical.facts
        subgroups = facts.get("VkPhysicalDeviceSubgroupProperties", {})
        for capability in capabilities(source):
            if capability in _SUBGROUP_CAPABILITIES:
                bit = 1 << _SUBGROUP_CAPABILITIES[capability]
                stages = subgroups.get("supportedStages", 0)
                if not (
                    subgroups.get("supportedOperations", 0) & bit
                    and stages & self._vk.VK_SHADER_STAGE_COMPUTE_BIT
                ):
                    raise ExecutorError(
                        f"the device lacks subgroup operations (SPIR-V capability {capability})"
                    )
            elif capability in _CAPABILITIES:
                structure, feature = _CAPABILITIES[capability]
                if not facts.get(structure, {}).get(feature):
                    raise ExecutorError(f"the device lacks {feature}")

    def _create_pipeline(self, kernel: Kernel, module: Any) -> _Pipeline:
        vk = self._vk
        if kernel.push > self._limits["maxPushConstantsSize"]:
            raise ExecutorError(f"{kernel.push} bytes of push constants are more than the device has")
        binding = [
            vk.VkDescriptorSetLayoutBinding(
                binding=i,
                descriptorType=vk.VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                descriptorCount=1,
                stageFlags=vk.VK_SHADER_STAGE_COMPUTE_BIT,
            )
            for i in range(kernel.bindings)
        ]
        sets = self._call(
            "vkCreateDescriptorSetLayout",
            self._handle,
            vk.VkDescriptorSetLayoutCreateInfo(pBindings=binding),
            None,
        )
        ranges = []
        if kernel.push:
            ranges = [vk.VkPushConstantRange(stageFlags=vk.VK_SHADER_STAGE_COMPUTE_BIT, size=kernel.push)]
        layout = self._call(
            "vkCreatePipelineLayout",
            self._handle,
            vk.VkPipelineLayoutCreateInfo(pSetLayouts=[sets], pPushConstantRanges=ranges),
            None,
        )
        values = b"".join(
            struct.pack("<f" if isinstance(v, float) else "<I", v if isinstance(v, float) else v & 0xFFFFFFFF)
            for _, v in kernel.spec
        )
        entries = [
            vk.VkSpecializationMapEntry(constantID=number, offset=4 * i, size=4)
            for i, (number, _) in enumerate(kernel.spec)
        ]
        constants = vk.ffi.from_buffer(values)
        stage = vk.VkPipelineShaderStageCreateInfo(
            pNext=self._subgroup(kernel),
            stage=vk.VK_SHADER_STAGE_COMPUTE_BIT,
            module=module,
            pName=kernel.entry,
            pSpecializationInfo=vk.VkSpecializationInfo(
                pMapEntries=entries, dataSize=len(values), pData=constants
            ),
        )
        info = vk.VkComputePipelineCreateInfo(stage=stage, layout=layout)
        pipeline = self._call("vkCreateComputePipelines", self._handle, None, 1, [info], None)[0]
        return _Pipeline(kernel, pipeline, layout, sets)

    def _subgroup(self, kernel: Kernel) -> Any:
        """The structure that requires a subgroup size, or None for the driver's choice."""
        if not kernel.subgroup:
            return None
        facts = self._physical.facts
        control = facts.get("VkPhysicalDeviceSubgroupSizeControlProperties", {})
        low, high = control.get("minSubgroupSize", 0), control.get("maxSubgroupSize", 0)
        allowed = facts.get("VkPhysicalDeviceSubgroupSizeControlFeatures", {}).get("subgroupSizeControl")
        stages = control.get("requiredSubgroupSizeStages", 0)
        compute = stages & self._vk.VK_SHADER_STAGE_COMPUTE_BIT
        if not allowed or not compute or not low <= kernel.subgroup <= high:
            raise ExecutorError(f"the device does not run subgroups of {kernel.subgroup} on demand")
        return self._vk.VkPipelineShaderStageRequiredSubgroupSizeCreateInfo(
            requiredSubgroupSize=kernel.subgroup
        )

    # Running

    def prepare(self, dispatches: Sequence[Dispatch]) -> None:
        vk, commands = self._vk, self._commands
        if self._sets is not None:
            vk.vkDestroyDescriptorPool(self._handle, self._sets, None)
            self._sets = None
        bindings = sum(self._pipelines[d.kernel].kernel.bindings for d in dispatches)
        sizes = vk.VkDescriptorPoolSize(
            type=vk.VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, descriptorCount=max(1, bindings)
        )
        pool = vk.VkDescriptorPoolCreateInfo(maxSets=max(1, len(dispatches)), pPoolSizes=[sizes])
        self._sets = self._call("vkCreateDescriptorPool", self._handle, pool, None)
        self._begin(commands)
        if self._timer is not None:
            vk.vkCmdResetQueryPool(commands, self._timer, 0, 2)
            vk.vkCmdWriteTimestamp(commands, vk.VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, self._timer, 0)
        for number, dispatch in enumerate(dispatches):
            if number:
                self._barrier(commands)
            self._record(commands, dispatch)
        if self._timer is not None:
            vk.vkCmdWriteTimestamp(commands, vk.VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, self._timer, 1)
        self._barrier(commands, to_host=True)
        self._call("vkEndCommandBuffer", commands)

    def _record(self, commands: Any, dispatch: Dispatch) -> None:
        vk = self._vk
        p = self._pipelines[dispatch.kernel]
        groups = (*dispatch.global_size, 1, 1, 1)[:3]
        most = self._limits["maxComputeWorkGroupCount"]
        if any(not 0 < g <= limit for g, limit in zip(groups, most, strict=True)):
            raise ExecutorError(f"kernel {dispatch.kernel}: {groups} work-groups, the device takes {most}")
        names = [str(a.value) for a in dispatch.args if a.kind == "B"]
        push = b"".join(_scalar(a) for a in dispatch.args if a.kind != "B")
        if len(names) != p.kernel.bindings or len(push) != p.kernel.push:
            raise ExecutorError(
                f"kernel {dispatch.kernel}: {len(names)} buffers and {len(push)} bytes of scalars given, "
                f"{p.kernel.bindings} and {p.kernel.push} declared"
            )
        allocate = vk.VkDescriptorSetAllocateInfo(descriptorPool=self._sets, pSetLayouts=[p.sets])
        bound = self._call("vkAllocateDescriptorSets", self._handle, allocate)[0]
        writes = [
            vk.VkWriteDescriptorSet(
                dstSet=bound,
                dstBinding=i,
                descriptorType=vk.VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                pBufferInfo=[
                    vk.VkDescriptorBufferInfo(
                        buffer=self._buffers[name].buffer, offset=0, range=self._buffers[name].size
                    )
                ],
                descriptorCount=1,
            )
            for i, name in enumerate(names)
        ]
        vk.vkUpdateDescriptorSets(self._handle, len(writes), writes, 0, None)
        compute = vk.VK_PIPELINE_BIND_POINT_COMPUTE
        vk.vkCmdBindPipeline(commands, compute, p.pipeline)
        vk.vkCmdBindDescriptorSets(commands, compute, p.layout, 0, 1, [bound], 0, None)
        if push:
            data = vk.ffi.from_buffer(push)
            vk.vkCmdPushConstants(commands, p.layout, vk.VK_SHADER_STAGE_COMPUTE_BIT, 0, len(push), data)
        vk.vkCmdDispatch(commands, *groups)

    def submit(self) -> int | None:
        self._submit(self._commands)
        if self._timer is None:
            return None
        vk = self._vk
        ticks = vk.ffi.new("uint64_t[2]")
        self._call(
            "vkGetQueryPoolResults",
            self._handle,
            self._timer,
            0,
            2,
            16,
            ticks,
            8,
            vk.VK_QUERY_RESULT_64_BIT | vk.VK_QUERY_RESULT_WAIT_BIT,
        )
        bits = self._physical.facts["queueFamilies"][self._family]["timestampValidBits"]
        elapsed = (ticks[1] - ticks[0]) % (1 << bits)  # the counter wraps
        return round(elapsed * self._limits["timestampPeriod"]) or None

    def _begin(self, commands: Any) -> None:
        self._call("vkBeginCommandBuffer", commands, self._vk.VkCommandBufferBeginInfo())

    def _submit(self, commands: Any) -> None:
        vk = self._vk
        info = vk.VkSubmitInfo(pCommandBuffers=[commands])
        self._call("vkQueueSubmit", self._queue, 1, [info], self._fence)
        self._call("vkWaitForFences", self._handle, 1, [self._fence], 1, _FOREVER)
        self._call("vkResetFences", self._handle, 1, [self._fence])

    def _barrier(self, commands: Any, *, to_host: bool = False) -> None:
        vk = self._vk
        work = vk.VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | vk.VK_PIPELINE_STAGE_TRANSFER_BIT
        memory = vk.VkMemoryBarrier(
            srcAccessMask=vk.VK_ACCESS_SHADER_WRITE_BIT | vk.VK_ACCESS_TRANSFER_WRITE_BIT,
            dstAccessMask=vk.VK_ACCESS_HOST_READ_BIT
            if to_host
            else vk.VK_ACCESS_SHADER_READ_BIT | vk.VK_ACCESS_SHADER_WRITE_BIT,
        )
        after = vk.VK_PIPELINE_STAGE_HOST_BIT if to_host else vk.VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT
        vk.vkCmdPipelineBarrier(commands, work, after, 0, 1, [memory], 0, None, 0, None)

    def close(self) -> None:
        vk, device = self._vk, self._handle
        # Without the wait a device that was lost would be torn down under its own work; what it says then
        # is of no use any more.
        try:
            self._call("vkDeviceWaitIdle", device)
        except ExecutorError:
            return
        if self._sets is not None:
            vk.vkDestroyDescriptorPool(device, self._sets, None)
        for p in self._pipelines.values():
            vk.vkDestroyPipeline(device, p.pipeline, None)
            vk.vkDestroyPipelineLayout(device, p.layout, None)
            vk.vkDestroyDescriptorSetLayout(device, p.sets, None)
        staging = [self._staging] if self._staging is not None else []
        for m in [*self._buffers.values(), *staging]:
            vk.vkDestroyBuffer(device, m.buffer, None)
            vk.vkFreeMemory(device, m.memory, None)
        if self._timer is not None:
            vk.vkDestroyQueryPool(device, self._timer, None)
        vk.vkDestroyFence(device, self._fence, None)
        vk.vkDestroyCommandPool(device, self._command_pool, None)
        vk.vkDestroyDevice(device, None)
        self._instance.close()


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


def _scalar(arg: Arg) -> bytes:
    match arg.kind:
        case "I":
            return struct.pack("<i", arg.value)
        case "U":
            return struct.pack("<I", arg.value)
        case "F":
            return struct.pack("<f", arg.value)
        case kind:
            raise ExecutorError(f"an argument of kind {kind} means nothing to Vulkan")


def _dotted(version: int) -> str:
    return f"{version >> 22 & 0x7F}.{version >> 12 & 0x3FF}.{version & 0xFFF}"
