"""Executes a plan through Vulkan, with the `vulkan` package; one device, one queue.

A step is recorded once, with a full barrier between its dispatches, and submitted for each repeat.

vulkan_device.py   loader, instance, what devices say about themselves
vulkan_queue.py    the device that runs, its queue and barriers
vulkan_memory.py   the plan's buffers
vulkan_kernels.py  the plan's kernels
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..interpreter.interface import BackendMissing, Built, DeviceInfo, ExecutorError
from ..interpreter.programs import NO_PROGRAMS, Programs
from ..plan import Arg, Buffer, Dispatch, Kernel, Transfer
from .device import Facts, Instance, PhysicalDevice
from .kernels import Kernels
from .memory import DeviceMemory
from .queue import Queue


def probe() -> Facts:
    """The `vulkan` part of probe.json."""
    attempt: Facts = {"name": "libvulkan", "route": "dlopen", "opened": False, "error": None}
    answer: Facts = {"attempts": [attempt], "library": None, "error": None, "devices": []}
    try:
        instance = Instance()
    except BackendMissing as error:
        no_library = isinstance(error.__cause__, OSError)
        attempt["opened"] = not no_library
        attempt["error"] = str(error.__cause__) if no_library else None
        answer["library"] = None if no_library else "libvulkan"
        answer["error"] = str(error)
        return answer
    attempt["opened"] = True
    answer["library"] = "libvulkan"
    version = instance.version
    answer["instance_version"] = f"{version >> 22 & 0x7F}.{version >> 12 & 0x3FF}.{version & 0xFFF}"
    try:
        answer["devices"] = [d.facts for d in instance.devices()]
        if not answer["devices"]:
            answer["error"] = "no Vulkan device"
    except (BackendMissing, ExecutorError) as error:
        answer["error"] = str(error)
    finally:
        instance.close()
    return answer


def open_executor(options: Mapping[str, str], programs: Programs = NO_PROGRAMS) -> VulkanExecutor:
    """The device of the option `device`, else the preferred one. Raises BackendMissing."""
    instance = Instance()
    try:
        devices = instance.devices()
        if not devices:
            raise BackendMissing("no Vulkan device")
        index = int(options.get("device", "0"))
        if not 0 <= index < len(devices):
            raise BackendMissing(f"no Vulkan device {index}: there are {len(devices)}")
        return VulkanExecutor(instance, devices[index], programs)
    except ExecutorError as error:
        instance.close()
        raise BackendMissing(f"the Vulkan device cannot be opened: {error}") from error
    except BaseException:
        instance.close()
        raise


class VulkanExecutor:
    """See `interface.Executor`."""

    def __init__(self, instance: Instance, physical: PhysicalDevice, programs: Programs) -> None:
        name = physical.facts["VkPhysicalDeviceProperties"]["deviceName"]
        self.device = DeviceInfo(name, physical.driver, physical.type)
        self.queue = Queue(instance, physical)
        self._vk = self.queue.vk
        self.memory = DeviceMemory(self.queue)
        self.kernels = Kernels(self.queue, programs)
        self._timer = self._create_timer()
        self._sets: Any = None  # descriptor pool of the prepared step

    def allocate(self, buffer: Buffer) -> None:
        self.memory.allocate(buffer)

    def upload(self, name: str, offset: int, data: NDArray[np.uint8]) -> None:
        self.memory.upload(name, offset, data)

    def download(self, name: str, size: int) -> NDArray[np.uint8]:
        return self.memory.download(name, size)

    def transfer(self, transfer: Transfer, data: NDArray[np.uint8]) -> None:
        self.memory.transfer(transfer, data)

    def build(self, kernel: Kernel, source: bytes) -> Built:
        return self.kernels.build(kernel, source)

    def keep(self) -> None:
        self.kernels.keep()

    def prepare(self, dispatches: Sequence[Dispatch]) -> None:
        vk, commands = self._vk, self.queue.commands
        self._create_sets(dispatches)
        self.queue.begin(commands)
        if self._timer is not None:
            vk.vkCmdResetQueryPool(commands, self._timer, 0, 2)
            vk.vkCmdWriteTimestamp(commands, vk.VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, self._timer, 0)
        for number, dispatch in enumerate(dispatches):
            if number:
                self.queue.barrier(commands)
            self._record(commands, dispatch)
        if self._timer is not None:
            vk.vkCmdWriteTimestamp(commands, vk.VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, self._timer, 1)
        self.queue.end(commands)

    def submit(self) -> int | None:
        self.queue.submit(self.queue.commands)
        if self._timer is None:
            return None
        vk = self._vk
        ticks = vk.ffi.new("uint64_t[2]")
        flags = vk.VK_QUERY_RESULT_64_BIT | vk.VK_QUERY_RESULT_WAIT_BIT
        device = self.queue.handle
        self.queue.call("vkGetQueryPoolResults", device, self._timer, 0, 2, 16, ticks, 8, flags)
        elapsed = (ticks[1] - ticks[0]) % (1 << self.queue.timestamp_bits)  # the counter wraps
        return round(elapsed * self.queue.limits["timestampPeriod"]) or None

    def close(self) -> None:
        if not self.queue.wait_idle():
            return
        self._destroy_sets()
        if self._timer is not None:
            self._vk.vkDestroyQueryPool(self.queue.handle, self._timer, None)
        self.kernels.close()
        self.memory.close()
        self.queue.close()

    def _create_timer(self) -> Any:
        """A query pool of two timestamps, or None where the queue has no clock."""
        if not self.queue.timestamp_bits:
            return None
        info = self._vk.VkQueryPoolCreateInfo(queryType=self._vk.VK_QUERY_TYPE_TIMESTAMP, queryCount=2)
        return self.queue.call("vkCreateQueryPool", self.queue.handle, info, None)

    def _create_sets(self, dispatches: Sequence[Dispatch]) -> None:
        self._destroy_sets()
        vk = self._vk
        bindings = sum(self.kernels[d.kernel].kernel.bindings for d in dispatches)
        sizes = vk.VkDescriptorPoolSize(
            type=vk.VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, descriptorCount=max(1, bindings)
        )
        pool = vk.VkDescriptorPoolCreateInfo(maxSets=max(1, len(dispatches)), pPoolSizes=[sizes])
        self._sets = self.queue.call("vkCreateDescriptorPool", self.queue.handle, pool, None)

    def _destroy_sets(self) -> None:
        if self._sets is not None:
            self._vk.vkDestroyDescriptorPool(self.queue.handle, self._sets, None)
            self._sets = None

    def _record(self, commands: Any, dispatch: Dispatch) -> None:
        vk = self._vk
        p = self.kernels[dispatch.kernel]
        groups = (*dispatch.global_size, 1, 1, 1)[:3]
        most = self.queue.limits["maxComputeWorkGroupCount"]
        if any(not 0 < g <= limit for g, limit in zip(groups, most, strict=True)):
            raise ExecutorError(f"kernel {dispatch.kernel}: {groups} work-groups, the device takes {most}")
        names = [str(a.value) for a in dispatch.args if a.kind == "B"]
        push = b"".join(_scalar(a) for a in dispatch.args if a.kind != "B")
        if len(names) != p.kernel.bindings or len(push) != p.kernel.push:
            raise ExecutorError(
                f"kernel {dispatch.kernel}: {len(names)} buffers and {len(push)} bytes of scalars given, "
                f"{p.kernel.bindings} and {p.kernel.push} declared"
            )
        compute = vk.VK_PIPELINE_BIND_POINT_COMPUTE
        vk.vkCmdBindPipeline(commands, compute, p.handle)
        bound = self._bind(names, p.sets)
        vk.vkCmdBindDescriptorSets(commands, compute, p.layout, 0, 1, [bound], 0, None)
        if push:
            stages, data = vk.VK_SHADER_STAGE_COMPUTE_BIT, vk.ffi.from_buffer(push)
            vk.vkCmdPushConstants(commands, p.layout, stages, 0, len(push), data)
        vk.vkCmdDispatch(commands, *groups)

    def _bind(self, names: Sequence[str], layout: Any) -> Any:
        """A descriptor set with these buffers at binding 0, 1, .."""
        vk, device = self._vk, self.queue.handle
        allocate = vk.VkDescriptorSetAllocateInfo(descriptorPool=self._sets, pSetLayouts=[layout])
        bound = self.queue.call("vkAllocateDescriptorSets", device, allocate)[0]
        buffers = [self.memory[name] for name in names]
        writes = [
            vk.VkWriteDescriptorSet(
                dstSet=bound,
                dstBinding=i,
                descriptorType=vk.VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                descriptorCount=1,
                pBufferInfo=[vk.VkDescriptorBufferInfo(buffer=b.buffer, offset=0, range=b.size)],
            )
            for i, b in enumerate(buffers)
        ]
        vk.vkUpdateDescriptorSets(device, len(writes), writes, 0, None)
        return bound


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
