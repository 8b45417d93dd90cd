"""The buffers of a plan in a Vulkan device's memory.

They lie in memory that the host can map where the device has such memory (phones and CPU drivers do), else
they are filled and read through a staging buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...base.protocol import STAGING_BYTES
from ..interpreter.interface import ExecutorError
from ..plan import Buffer, Transfer
from .queue import Queue


@dataclass(frozen=True)
class Allocation:
    """A VkBuffer with memory of its own. `mapped`: a pointer, or None: reached through staging."""

    buffer: Any
    memory: Any
    size: int
    mapped: Any = None


class DeviceMemory:
    """Buffers by name. Methods raise ExecutorError."""

    def __init__(self, queue: Queue) -> None:
        self._queue, self._vk = queue, queue.vk
        self._buffers: dict[str, Allocation] = {}
        self._staging: Allocation | None = None

    def __getitem__(self, name: str) -> Allocation:
        return self._buffers[name]

    def allocate(self, buffer: Buffer) -> None:
        limit = self._queue.limits["maxStorageBufferRange"]
        if buffer.size > limit:
            raise ExecutorError(f"{buffer.size} bytes are more than maxStorageBufferRange, {limit}")
        self._buffers[buffer.name] = self._create(buffer.size)

    def upload(self, name: str, offset: int, data: NDArray[np.uint8]) -> None:
        target = self._buffers[name]
        if target.mapped is not None:
            self._vk.ffi.memmove(target.mapped + offset, data, data.nbytes)
        else:
            self._write(target, offset, data)

    def download(self, name: str, size: int) -> NDArray[np.uint8]:
        source = self._buffers[name]
        out = np.empty(size, np.uint8)
        if source.mapped is not None:
            self._vk.ffi.memmove(out, source.mapped, size)
        else:
            self._read(source, out)
        return out

    def transfer(self, transfer: Transfer, data: NDArray[np.uint8]) -> None:
        """Writing and reading go through the staging buffer also where the host maps the buffer: that is what
        a mapping saves."""
        target = self._buffers[transfer.buffer]
        match transfer.kind:
            case "write":
                self._write(target, 0, data)
            case "read":
                self._read(target, data)
            case "map":
                if target.mapped is None:
                    raise ExecutorError("the host cannot map the device's memory")
                self._vk.ffi.memmove(target.mapped, data, data.nbytes)

    def _write(self, target: Allocation, offset: int, data: NDArray[np.uint8]) -> None:
        staging = self._stage()
        for start in range(0, data.nbytes, STAGING_BYTES):
            part = data[start : start + STAGING_BYTES]
            self._vk.ffi.memmove(staging.mapped, part, part.nbytes)
            self._copy(staging, 0, target, offset + start, part.nbytes)

    def _read(self, source: Allocation, out: NDArray[np.uint8]) -> None:
        staging = self._stage()
        for start in range(0, out.nbytes, STAGING_BYTES):
            part = out[start : start + STAGING_BYTES]
            self._copy(source, start, staging, 0, part.nbytes)
            self._vk.ffi.memmove(part, staging.mapped, part.nbytes)

    def close(self) -> None:
        staging = [self._staging] if self._staging is not None else []
        for row in [*self._buffers.values(), *staging]:
            self._vk.vkDestroyBuffer(self._queue.handle, row.buffer, None)
            self._vk.vkFreeMemory(self._queue.handle, row.memory, None)

    def _create(self, size: int, *, staging: bool = False) -> Allocation:
        vk, queue = self._vk, self._queue
        usage = vk.VK_BUFFER_USAGE_TRANSFER_SRC_BIT | vk.VK_BUFFER_USAGE_TRANSFER_DST_BIT
        if not staging:
            usage |= vk.VK_BUFFER_USAGE_STORAGE_BUFFER_BIT
        info = vk.VkBufferCreateInfo(size=size, usage=usage, sharingMode=vk.VK_SHARING_MODE_EXCLUSIVE)
        buffer = queue.call("vkCreateBuffer", queue.handle, info, None)
        try:
            needs = vk.vkGetBufferMemoryRequirements(queue.handle, buffer)
            kind, mappable = self.memory_type(needs.memoryTypeBits, staging=staging)
            request = vk.VkMemoryAllocateInfo(allocationSize=needs.size, memoryTypeIndex=kind)
            memory = queue.call("vkAllocateMemory", queue.handle, request, None)
        except ExecutorError:
            vk.vkDestroyBuffer(queue.handle, buffer, None)
            raise
        queue.call("vkBindBufferMemory", queue.handle, buffer, memory, 0)
        mapped = None
        if mappable:
            view = queue.call("vkMapMemory", queue.handle, memory, 0, size, 0)
            mapped = vk.ffi.from_buffer(view, require_writable=True)
        return Allocation(buffer, memory, size, mapped)

    def memory_type(self, allowed: int, *, staging: bool) -> tuple[int, bool]:
        """Index of the memory type to use, and whether the host maps it."""
        vk = self._vk
        visible = vk.VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | vk.VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
        local, cached = vk.VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, vk.VK_MEMORY_PROPERTY_HOST_CACHED_BIT
        choices: tuple[Any, ...] = (visible | local | cached, visible | local, local, visible)
        if staging:
            choices = (visible | cached, visible)
        types = self._queue.facts["VkPhysicalDeviceMemoryProperties"]["memoryTypes"]
        for wanted in choices:
            for index, row in enumerate(types):
                if allowed >> index & 1 and row["propertyFlags"] & wanted == wanted:
                    return index, bool(wanted & visible)
        raise ExecutorError("no memory type for storage buffers")

    def _stage(self) -> Allocation:
        if self._staging is None:
            self._staging = self._create(STAGING_BYTES, staging=True)
        return self._staging

    def _copy(self, source: Allocation, start: int, target: Allocation, offset: int, size: int) -> None:
        queue = self._queue
        queue.begin(queue.transfer)
        region = self._vk.VkBufferCopy(srcOffset=start, dstOffset=offset, size=size)
        self._vk.vkCmdCopyBuffer(queue.transfer, source.buffer, target.buffer, 1, [region])
        queue.end(queue.transfer)
        queue.submit(queue.transfer)
