"""A clinfo listing -> platforms and devices by `CL_...` property names.

clinfo's human form (`Max compute units   3`), its raw form (`CL_DEVICE_MAX_COMPUTE_UNITS 3`), and tools
that print `device[0x..]: MAX_COMPUTE_UNITS: 12` or only `name<TAB>version`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...base import limits
from .text import ParseError, integer, lines

Value = str | int | bool | list[int] | list[str]


@dataclass
class ClDevice:
    """One device of a listing; `properties` by CL_... name, `platform` the index of its platform."""

    platform: int | None
    properties: dict[str, Value] = field(default_factory=dict[str, Value])


@dataclass
class ClInfo:
    """`platforms` by CL_PLATFORM_... name; None for `count` where the listing does not say."""

    platforms: list[dict[str, Value]]
    devices: list[ClDevice]
    count: int | None = None


_HUMAN = {
    "Platform Name": "CL_PLATFORM_NAME",
    "Platform Vendor": "CL_PLATFORM_VENDOR",
    "Platform Version": "CL_PLATFORM_VERSION",
    "Platform Profile": "CL_PLATFORM_PROFILE",
    "Platform Extensions": "CL_PLATFORM_EXTENSIONS",
    "Device Name": "CL_DEVICE_NAME",
    "Device Vendor": "CL_DEVICE_VENDOR",
    "Device Vendor ID": "CL_DEVICE_VENDOR_ID",
    "Device Version": "CL_DEVICE_VERSION",
    "Driver Version": "CL_DRIVER_VERSION",
    "Device OpenCL C Version": "CL_DEVICE_OPENCL_C_VERSION",
    "Device Type": "CL_DEVICE_TYPE",
    "Device Profile": "CL_DEVICE_PROFILE",
    "Device Available": "CL_DEVICE_AVAILABLE",
    "Compiler Available": "CL_DEVICE_COMPILER_AVAILABLE",
    "Max compute units": "CL_DEVICE_MAX_COMPUTE_UNITS",
    "Max clock frequency": "CL_DEVICE_MAX_CLOCK_FREQUENCY",
    "Max work item dimensions": "CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS",
    "Max work item sizes": "CL_DEVICE_MAX_WORK_ITEM_SIZES",
    "Max work group size": "CL_DEVICE_MAX_WORK_GROUP_SIZE",
    "Global memory size": "CL_DEVICE_GLOBAL_MEM_SIZE",
    "Max memory allocation": "CL_DEVICE_MAX_MEM_ALLOC_SIZE",
    "Unified memory for Host and Device": "CL_DEVICE_HOST_UNIFIED_MEMORY",
    "Global Memory cache size": "CL_DEVICE_GLOBAL_MEM_CACHE_SIZE",
    "Global Memory cache line size": "CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE",
    "Image support": "CL_DEVICE_IMAGE_SUPPORT",
    "Local memory type": "CL_DEVICE_LOCAL_MEM_TYPE",
    "Local memory size": "CL_DEVICE_LOCAL_MEM_SIZE",
    "Device Extensions": "CL_DEVICE_EXTENSIONS",
    "Address bits": "CL_DEVICE_ADDRESS_BITS",
    "Base address alignment for 2D image buffers": "CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT",
    "Pitch alignment for 2D image buffers": "CL_DEVICE_IMAGE_PITCH_ALIGNMENT",
    "Max size for 1D images from buffer": "CL_DEVICE_IMAGE_MAX_BUFFER_SIZE",
    "Max 1D or 2D image array size": "CL_DEVICE_IMAGE_MAX_ARRAY_SIZE",
}
_NUMBERS = frozenset(
    [
        "CL_DEVICE_VENDOR_ID",
        "CL_DEVICE_MAX_COMPUTE_UNITS",
        "CL_DEVICE_MAX_CLOCK_FREQUENCY",
        "CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS",
        "CL_DEVICE_MAX_WORK_GROUP_SIZE",
        "CL_DEVICE_GLOBAL_MEM_SIZE",
        "CL_DEVICE_MAX_MEM_ALLOC_SIZE",
        "CL_DEVICE_GLOBAL_MEM_CACHE_SIZE",
        "CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE",
        "CL_DEVICE_LOCAL_MEM_SIZE",
        "CL_DEVICE_ADDRESS_BITS",
        "CL_DEVICE_MEM_BASE_ADDR_ALIGN",
        "CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT",
        "CL_DEVICE_IMAGE_PITCH_ALIGNMENT",
        "CL_DEVICE_IMAGE_MAX_BUFFER_SIZE",
        "CL_DEVICE_IMAGE_MAX_ARRAY_SIZE",
        "CL_DEVICE_IMAGE2D_MAX_WIDTH",
        "CL_DEVICE_IMAGE2D_MAX_HEIGHT",
        "CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE",
    ]
)
_TRUTH = frozenset(
    [
        "CL_DEVICE_AVAILABLE",
        "CL_DEVICE_COMPILER_AVAILABLE",
        "CL_DEVICE_HOST_UNIFIED_MEMORY",
        "CL_DEVICE_IMAGE_SUPPORT",
    ]
)

_TAGGED = re.compile(
    r"\s*(platform|device)\[[^\]]{1,24}\]: (?:CL_(?:PLATFORM|DEVICE)_)?([A-Za-z0-9_]{2,60}):\s?(.*)\Z"
)
_RAW = re.compile(r"\s*(?:\[[^\]]{1,60}\])?\s*(CL_(?:PLATFORM|DEVICE|DRIVER)_[A-Z0-9_]{2,60})\s+(.*)\Z")
_BARE = re.compile(r"([^\t]{2,80})\t(OpenCL \d.*)\Z")
_COUNT = re.compile(r"\s*(?:Number of platforms\s+|#PLATFORMS\s+|Found )(\d{1,3})\b")
_FIRST = re.compile(r"0x[0-9a-fA-F]+|\d+")


def parse_clinfo(text: str) -> ClInfo:
    """All platforms and devices of the listing."""
    info = ClInfo([], [])
    for line in lines(text):
        count = _COUNT.match(line)
        if count and info.count is None:
            info.count = int(count[1])
            continue
        bare = _BARE.match(line)
        if bare:
            _add(info, "CL_DEVICE_NAME", bare[1])
            _add(info, "CL_DEVICE_VERSION", bare[2])
            continue
        key, value = _key_value(line)
        if key:
            _add(info, key, value)
    if not info.platforms and not info.devices and info.count is None:
        raise ParseError("no platform or device property in the listing")
    return info


def _key_value(line: str) -> tuple[str | None, str]:
    tagged = _TAGGED.match(line)
    if tagged:
        suffix = tagged[2].upper()
        if suffix == "DRIVER_VERSION":
            return "CL_DRIVER_VERSION", tagged[3].strip()
        return f"CL_{tagged[1].upper()}_{suffix}", tagged[3].strip()
    raw = _RAW.match(line)
    if raw:
        return raw[1], raw[2].strip()
    # The human form: two columns separated by at least two blanks, or a label without a value.
    label, _, value = line.strip().partition("  ")
    return _HUMAN.get(label), value.strip()


def _add(info: ClInfo, key: str, text: str) -> None:
    if key.startswith("CL_PLATFORM_"):
        # clinfo prints the platform's name again before its devices.
        named = [row.get("CL_PLATFORM_NAME") for row in info.platforms]
        if key == "CL_PLATFORM_NAME" and text in named:
            return
        if not info.platforms or key in info.platforms[-1]:
            if len(info.platforms) >= limits.CL_DEVICES or (
                info.platforms and key != "CL_PLATFORM_NAME" and "CL_PLATFORM_NAME" not in info.platforms[-1]
            ):
                return
            info.platforms.append({})
        info.platforms[-1].setdefault(key, text[: limits.LINE_CHARS])
        return
    if not info.devices or (key == "CL_DEVICE_NAME" and key in info.devices[-1].properties):
        if len(info.devices) >= limits.CL_DEVICES:
            return
        info.devices.append(ClDevice(len(info.platforms) - 1 if info.platforms else None))
    properties = info.devices[-1].properties
    if len(properties) < limits.ITEMS:
        properties.setdefault(key, _value(key, text))


def _value(key: str, text: str) -> Value:
    if key == "CL_DEVICE_TYPE":
        return [word.lower() for word in re.split(r"[^A-Za-z]+", text) if word and word.lower() != "default"]
    if key == "CL_DEVICE_MAX_WORK_ITEM_SIZES":
        sizes = [integer(word) for word in _FIRST.findall(text)[:8]]
        return [size for size in sizes if size is not None]
    if key in _TRUTH:
        return text.split(" ")[0].lower() in ("yes", "true", "1", "cl_true")
    if key in _NUMBERS:
        first = _FIRST.match(text)
        value = integer(first[0]) if first else None
        return value if value is not None else text[: limits.NAME_CHARS]
    return text
