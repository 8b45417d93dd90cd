"""`cmd gpu vkjson`, brought to Khronos structure names (`VkPhysicalDeviceProperties`, ...).

The agent writes its Vulkan part in those names already; Android's own dump uses its member names, which
follow a rule (`subgroupProperties` -> `VkPhysicalDeviceSubgroupProperties`; frameworks/native/vulkan/vkjson).
"""

from __future__ import annotations

import re
from typing import Any

from ...base import limits
from ...base.protocol import VULKAN_MAX_DEVICES
from .text import ParseError, json_prefix, json_value, number

Device = dict[str, Any]
"""Structure name -> {field: value}, and `extensions` {name: version}, `queueFamilies` [...]."""

_STRUCTURE = re.compile(r"([A-Za-z0-9]+?)(Properties|Features)(?:KHR|EXT)?\Z")
_CORE = re.compile(r"core(1\d)\Z")
_PLAIN = {
    "properties": "VkPhysicalDeviceProperties",
    "features": "VkPhysicalDeviceFeatures",
    "memory": "VkPhysicalDeviceMemoryProperties",
}


def parse_vkjson(text: str) -> list[Device]:
    """The physical devices of the dump, in the driver's order (an empty list: Vulkan, but no device).

    Accepts `{"devices": [...]}`, a single bare device (VkJson's older form), and a text without its end.
    """
    start = text.find("{")
    if start < 0:
        raise ParseError("no JSON object in vkjson's output")
    try:
        dump = json_value(text[start:])
    except ParseError:
        dump = json_prefix(text[start:])
    devices = None
    if isinstance(dump, dict):
        bare = "properties" in dump or any(key.startswith("VkPhysicalDevice") for key in dump)
        devices = dump.get("devices", [dump] if bare else None)
    if not isinstance(devices, list):
        raise ParseError("vkjson's output holds no list of devices")
    return [_device(row) for row in devices[:VULKAN_MAX_DEVICES] if isinstance(row, dict)]


def _device(row: dict[str, Any]) -> Device:
    device: Device = {}
    for key, value in row.items():
        core = _CORE.match(key)
        if key.startswith("VkPhysicalDevice"):
            device[key] = value
        elif key in _PLAIN:
            device[_PLAIN[key]] = value
        elif core and isinstance(value, dict):
            for part in ("Properties", "Features"):
                if isinstance(value.get(part.lower()), dict):
                    device[f"VkPhysicalDeviceVulkan{core[1]}{part}"] = value[part.lower()]
        elif key.startswith("VK_") and isinstance(value, dict):
            device.update(
                {structure_name(name): part for name, part in value.items() if isinstance(part, dict)}
            )
        elif isinstance(value, dict) and _STRUCTURE.match(key):
            device[structure_name(key)] = value
    queues = row.get("queues")
    device["queueFamilies"] = (
        [queue for queue in queues if isinstance(queue, dict)] if isinstance(queues, list) else []
    )
    device["extensions"] = parse_extensions(row.get("extensions"))
    return device


def structure_name(member: str) -> str:
    """`16bitStorageFeaturesKHR` -> `VkPhysicalDevice16BitStorageFeatures`; unknown forms stay as they are."""
    found = _STRUCTURE.match(member)
    if member.startswith("Vk") or not found:
        return member
    stem = re.sub(r"\A(\d+)b", r"\1B", found[1])
    return f"VkPhysicalDevice{stem[:1].upper()}{stem[1:]}{found[2]}"


def parse_extensions(value: object) -> dict[str, int]:
    """Extensions as a list of VkExtensionProperties, a list of names, or a mapping name -> version."""
    found: dict[str, int] = {}
    if isinstance(value, dict):
        found = {str(key): number(version) or 0 for key, version in list(value.items())[: limits.ITEMS]}
    elif isinstance(value, list):
        for row in value[: limits.ITEMS]:
            if isinstance(row, dict) and isinstance(row.get("extensionName"), str):
                found[row["extensionName"]] = number(row.get("specVersion")) or 0
            elif isinstance(row, str):
                found[row] = 0
    return {key[: limits.NAME_CHARS]: version for key, version in found.items()}
