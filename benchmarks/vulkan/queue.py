"""A logical device of Vulkan with its one queue: what everything that is submitted goes through."""

from __future__ import annotations

from typing import Any

from ..interpreter.interface import BackendMissing, ExecutorError
from .device import STRUCTURES, Facts, Instance, PhysicalDevice, call

_FOREVER = (1 << 64) - 1  # nanoseconds; the worker's watchdog ends a wait that never ends


class Queue:
    """Attributes: `vk` the package, `handle` the VkDevice, `facts` and `limits` of the physical device,
    `commands` and `transfer` two command buffers: of the prepared step, and for copies.

    Raises BackendMissing without a compute queue, ExecutorError if the device cannot be created.
    """

    def __init__(self, instance: Instance, physical: PhysicalDevice) -> None:
        self._instance, self._physical = instance, physical
        self.vk = vk = instance.vk
        self.facts: Facts = physical.facts
        self.limits: Facts = physical.facts["VkPhysicalDeviceProperties"]["limits"]
        self._family = self._compute_family()
        self.handle = self._create_device()
        self._queue = vk.vkGetDeviceQueue(self.handle, self._family, 0)
        pool = vk.VkCommandPoolCreateInfo(
            flags=vk.VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT, queueFamilyIndex=self._family
        )
        self._pool = self.call("vkCreateCommandPool", self.handle, pool, None)
        allocate = vk.VkCommandBufferAllocateInfo(
            commandPool=self._pool, level=vk.VK_COMMAND_BUFFER_LEVEL_PRIMARY, commandBufferCount=2
        )
        self.commands, self.transfer = self.call("vkAllocateCommandBuffers", self.handle, allocate)
        self._fence = self.call("vkCreateFence", self.handle, vk.VkFenceCreateInfo(), None)

    def call(self, function: str, *args: Any) -> Any:
        """See `vulkan_device.call`."""
        return call(self.vk, function, *args)

    @property
    def timestamp_bits(self) -> int:
        """Valid bits of the queue's timestamps; 0: it has no clock."""
        bits: int = self.facts["queueFamilies"][self._family]["timestampValidBits"]
        return bits if self.limits["timestampPeriod"] else 0

    def _compute_family(self) -> int:
        for index, family in enumerate(self.facts["queueFamilies"]):
            if family["queueFlags"] & self.vk.VK_QUEUE_COMPUTE_BIT:
                return index
        raise BackendMissing("the Vulkan device has no queue for compute")

    def _create_device(self) -> Any:
        """Every feature of `STRUCTURES` that the device has is switched on."""
        vk = self.vk
        version = min(self._instance.version, self.facts["VkPhysicalDeviceProperties"]["apiVersion"])
        extensions: list[str] = []
        chain: Any = None
        for structure in STRUCTURES:
            if not structure.is_feature or not self._physical.has(structure):
                continue
            if version < structure.version:
                extensions.append(structure.extension)
            on = {name: 1 for name, value in self.facts[structure.name].items() if value}
            chain = getattr(vk, structure.name)(pNext=chain, **on)
        wanted = ("shaderInt16", "shaderInt64")
        features = {name: 1 for name in wanted if self.facts["VkPhysicalDeviceFeatures"][name]}
        queue = vk.VkDeviceQueueCreateInfo(
            queueFamilyIndex=self._family, queueCount=1, pQueuePriorities=[1.0]
        )
        info = vk.VkDeviceCreateInfo(
            pNext=chain,
            pQueueCreateInfos=[queue],
            ppEnabledExtensionNames=extensions,
            pEnabledFeatures=vk.VkPhysicalDeviceFeatures(**features),
        )
        return self.call("vkCreateDevice", self._physical.handle, info, None)

    def begin(self, commands: Any) -> None:
        """Start recording; what the buffer held is forgotten."""
        self.call("vkBeginCommandBuffer", commands, self.vk.VkCommandBufferBeginInfo())

    def barrier(self, commands: Any) -> None:
        """What was written before is seen by every shader after."""
        shader = self.vk.VK_ACCESS_SHADER_READ_BIT | self.vk.VK_ACCESS_SHADER_WRITE_BIT
        self._barrier(commands, shader, self.vk.VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT)

    def end(self, commands: Any) -> None:
        """End recording; the host sees what was written once the commands are done."""
        self._barrier(commands, self.vk.VK_ACCESS_HOST_READ_BIT, self.vk.VK_PIPELINE_STAGE_HOST_BIT)
        self.call("vkEndCommandBuffer", commands)

    def _barrier(self, commands: Any, access: int, stage: int) -> None:
        vk = self.vk
        before = vk.VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | vk.VK_PIPELINE_STAGE_TRANSFER_BIT
        memory = vk.VkMemoryBarrier(
            srcAccessMask=vk.VK_ACCESS_SHADER_WRITE_BIT | vk.VK_ACCESS_TRANSFER_WRITE_BIT,
            dstAccessMask=access,
        )
        vk.vkCmdPipelineBarrier(commands, before, stage, 0, 1, [memory], 0, None, 0, None)

    def submit(self, commands: Any) -> None:
        """Run recorded commands and wait for them."""
        info = self.vk.VkSubmitInfo(pCommandBuffers=[commands])
        self.call("vkQueueSubmit", self._queue, 1, [info], self._fence)
        self.call("vkWaitForFences", self.handle, 1, [self._fence], 1, _FOREVER)
        self.call("vkResetFences", self.handle, 1, [self._fence])

    def wait_idle(self) -> bool:
        """Whether all work is done; False if the device was lost, and then nothing can be torn down."""
        try:
            self.call("vkDeviceWaitIdle", self.handle)
        except ExecutorError:
            return False
        return True

    def close(self) -> None:
        self.vk.vkDestroyFence(self.handle, self._fence, None)
        self.vk.vkDestroyCommandPool(self.handle, self._pool, None)
        self.vk.vkDestroyDevice(self.handle, None)
        self._instance.close()
