"""What a Vulkan device can do, as far as the choice of kernels depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_COMPUTE_STAGE = 0x20  # VK_SHADER_STAGE_COMPUTE_BIT
_SUBGROUP_OPERATIONS = (
    0b1101  # VK_SUBGROUP_FEATURE_BASIC_BIT, ARITHMETIC_BIT, BALLOT_BIT: broadcasts are ballots
)
_SHUFFLE = 0b10000  # VK_SUBGROUP_FEATURE_SHUFFLE_BIT
_CPU = 4  # VK_PHYSICAL_DEVICE_TYPE_CPU


@dataclass(frozen=True)
class DeviceFacts:
    """Defaults are what Vulkan 1.0 guarantees.

    Attributes:
        fp16: 16-bit storage and arithmetic.
        storage8: 8-bit storage.
        integer_dot: VK_KHR_shader_integer_dot_product.
        subgroups: basic, arithmetic and ballot operations in compute shaders.
        shuffle: subgroup shuffles too.
        subgroup_size: the driver's default.
        subgroup_sizes: smallest and largest that can be required, or None without size control.
        invocations: most of a work-group; `work_group` its most per dimension.
        shared_bytes: shared memory of a work-group.
        storage_range: bytes of the largest storage buffer binding.
        groups: work-groups of a dispatch, per dimension.
        software: a CPU driver (VkPhysicalDeviceType).
    """

    name: str = ""
    fp16: bool = False
    storage8: bool = False
    integer_dot: bool = False
    subgroups: bool = False
    shuffle: bool = False
    subgroup_size: int = 1
    subgroup_sizes: tuple[int, int] | None = None
    invocations: int = 128
    work_group: tuple[int, int, int] = (128, 128, 64)
    shared_bytes: int = 16384
    storage_range: int = 1 << 27
    groups: tuple[int, int, int] = (65535, 65535, 65535)
    software: bool = False

    @classmethod
    def from_probe(cls, device: Mapping[str, Any]) -> DeviceFacts:
        """From an entry of `devices` in probe.json (Khronos names). A structure that is not there was not
        offered by the device; a limit that is not there has its guaranteed minimum."""
        properties = device.get("VkPhysicalDeviceProperties", {})
        limits = properties.get("limits", {})
        subgroup = device.get("VkPhysicalDeviceSubgroupProperties", {})
        control = device.get("VkPhysicalDeviceSubgroupSizeControlProperties", {})

        def feature(structure: str, name: str) -> bool:
            return bool(device.get(structure, {}).get(name))

        controlled = (
            feature("VkPhysicalDeviceSubgroupSizeControlFeatures", "subgroupSizeControl")
            and control.get("requiredSubgroupSizeStages", 0) & _COMPUTE_STAGE
        )
        operations = subgroup.get("supportedOperations", 0)
        in_compute = bool(subgroup.get("supportedStages", 0) & _COMPUTE_STAGE)
        x, y, z = limits.get("maxComputeWorkGroupSize", cls.work_group)
        gx, gy, gz = limits.get("maxComputeWorkGroupCount", cls.groups)
        return cls(
            name=properties.get("deviceName", ""),
            fp16=feature("VkPhysicalDevice16BitStorageFeatures", "storageBuffer16BitAccess")
            and feature("VkPhysicalDeviceShaderFloat16Int8Features", "shaderFloat16"),
            storage8=feature("VkPhysicalDevice8BitStorageFeatures", "storageBuffer8BitAccess"),
            integer_dot=feature("VkPhysicalDeviceShaderIntegerDotProductFeatures", "shaderIntegerDotProduct"),
            subgroups=in_compute and operations & _SUBGROUP_OPERATIONS == _SUBGROUP_OPERATIONS,
            shuffle=in_compute and bool(operations & _SHUFFLE),
            subgroup_size=subgroup.get("subgroupSize", 1),
            subgroup_sizes=(control["minSubgroupSize"], control["maxSubgroupSize"]) if controlled else None,
            invocations=limits.get("maxComputeWorkGroupInvocations", cls.invocations),
            work_group=(x, y, z),
            shared_bytes=limits.get("maxComputeSharedMemorySize", cls.shared_bytes),
            storage_range=limits.get("maxStorageBufferRange", cls.storage_range),
            groups=(gx, gy, gz),
            software=properties.get("deviceType") == _CPU,
        )
