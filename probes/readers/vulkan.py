"""Vulkan facts of the device that would be used, from the agent's probe or `cmd gpu vkjson`."""

from __future__ import annotations

from typing import Any

from ...base import limits
from ...base.protocol import VULKAN_MAX_DEVICES
from ..parsers.text import number
from ..parsers.versions import vulkan_version
from ..parsers.vulkan import Device, parse_extensions, parse_vkjson
from ..snapshot import Vulkan
from .facts import Readout

_TYPES = {0: "other", 1: "integrated", 2: "discrete", 3: "virtual", 4: "cpu"}
_ORDER = (1, 2, 3, 4, 0)
"""docs: the device used is the first of type integrated, discrete, virtual, cpu, other."""


def read_vulkan(facts: Readout) -> Vulkan:
    """Present, absent with an error, or unknown where nobody looked."""
    part = facts.probe("vulkan")
    if part is not None:
        facts.note("vulkan", "agent")
        rows = part.get("devices")
        devices = (
            [dict(row) for row in rows[:VULKAN_MAX_DEVICES] if isinstance(row, dict)]
            if isinstance(rows, list)
            else []
        )
        error = part.get("error")
        if devices:
            return _read(choose(devices))
        unknown = facts.left_alone("vulkan", part) or part.get("crashed") is True
        failed = Vulkan(
            present=None if unknown else False,
            error=error[: limits.TEXT_CHARS] if isinstance(error, str) else None,
        )
        if not unknown or "vkjson" not in facts.capture.commands:
            return failed
    else:
        failed = Vulkan(error=_not_asked(facts))
    dumped = facts.parse("vkjson", parse_vkjson)
    if dumped is None:
        return failed
    facts.note("vulkan", "cmd gpu vkjson")
    return _read(choose(dumped)) if dumped else Vulkan(present=False, error="no Vulkan device")


def _not_asked(facts: Readout) -> str | None:
    """Why `cmd gpu vkjson` was left out, where it was."""
    left = facts.capture.recorded.get("left_alone")
    why = left.get("vkjson") if isinstance(left, dict) else None
    return why[: limits.TEXT_CHARS] if isinstance(why, str) else None


def choose(devices: list[Device]) -> Device:
    """The device an engine would use, of at least one."""

    def rank(device: Device) -> int:
        kind = number(_section(device, "VkPhysicalDeviceProperties").get("deviceType"))
        return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)

    return min(devices, key=rank)


def lookup(device: Device, field: str, *structures: str) -> Any:
    """A field from the first structure that has it: extensions' structures were merged into
    VkPhysicalDeviceVulkan11/12/13 Features and Properties under the same field names."""
    for structure in structures:
        section = _section(device, structure)
        if field in section:
            return section[field]
    return None


def _section(device: Device, structure: str) -> dict[str, Any]:
    found = device.get(structure)
    return found if isinstance(found, dict) else {}


def _read(device: Device) -> Vulkan:
    properties = _section(device, "VkPhysicalDeviceProperties")
    limit_values = properties.get("limits")
    limit: dict[str, Any] = limit_values if isinstance(limit_values, dict) else {}
    heaps = _section(device, "VkPhysicalDeviceMemoryProperties").get("memoryHeaps")
    api = number(properties.get("apiVersion"))
    kind = number(properties.get("deviceType"))
    return Vulkan(
        present=True,
        device=_text(properties.get("deviceName")),
        device_type=_TYPES.get(kind) if kind is not None else None,
        api_version=vulkan_version(api) if api is not None and api >= 0 else None,
        driver_id=number(_found(device, "driverID")),
        driver_name=_text(_found(device, "driverName")),
        driver_info=_text(_found(device, "driverInfo")),
        driver_version=number(properties.get("driverVersion")),
        vendor_id=number(properties.get("vendorID")),
        device_id=number(properties.get("deviceID")),
        extensions=frozenset(parse_extensions(device.get("extensions"))) or None,
        fp16=_truth(_found(device, "shaderFloat16")),
        int8=_truth(_found(device, "shaderInt8")),
        storage16=_truth(_found(device, "storageBuffer16BitAccess")),
        storage8=_truth(_found(device, "storageBuffer8BitAccess")),
        integer_dot=_truth(_found(device, "shaderIntegerDotProduct")),
        subgroup_size=number(_found(device, "subgroupSize")),
        max_storage_buffer_range=number(limit.get("maxStorageBufferRange")),
        max_work_group_invocations=number(limit.get("maxComputeWorkGroupInvocations")),
        max_shared_memory=number(limit.get("maxComputeSharedMemorySize")),
        heaps=_heaps(heaps),
        timestamp_period_ns=_decimal(limit.get("timestampPeriod")),
        properties=device,
    )


_DRIVER = ("VkPhysicalDeviceDriverProperties", "VkPhysicalDeviceVulkan12Properties")
_FLOAT16 = ("VkPhysicalDeviceShaderFloat16Int8Features", "VkPhysicalDeviceVulkan12Features")
_SECTIONS = {
    "driverID": _DRIVER,
    "driverName": _DRIVER,
    "driverInfo": _DRIVER,
    "shaderFloat16": _FLOAT16,
    "shaderInt8": _FLOAT16,
    "storageBuffer16BitAccess": ("VkPhysicalDevice16BitStorageFeatures", "VkPhysicalDeviceVulkan11Features"),
    "storageBuffer8BitAccess": ("VkPhysicalDevice8BitStorageFeatures", "VkPhysicalDeviceVulkan12Features"),
    "shaderIntegerDotProduct": (
        "VkPhysicalDeviceShaderIntegerDotProductFeatures",
        "VkPhysicalDeviceVulkan13Features",
    ),
    "subgroupSize": ("VkPhysicalDeviceSubgroupProperties", "VkPhysicalDeviceVulkan11Properties"),
}
"""Member -> the structures that may hold it: its extension's, and the core version's that took it over."""


def _found(device: Device, member: str) -> object:
    return lookup(device, member, *_SECTIONS[member])


def _decimal(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _heaps(rows: object) -> tuple[int, ...] | None:
    if not isinstance(rows, list):
        return None
    sizes = [number(row.get("size")) for row in rows[: limits.FEW] if isinstance(row, dict)]
    return tuple(size for size in sizes if size is not None) or None


def _truth(value: object) -> bool | None:
    """A VkBool32: JSON's booleans, or 0 and 1 (vkjson prints them as numbers)."""
    if isinstance(value, bool):
        return value
    as_number = number(value)
    return bool(as_number) if as_number is not None else None


def _text(value: object) -> str | None:
    return value.strip()[: limits.NAME_CHARS] or None if isinstance(value, str) else None
