"""Version strings of OpenCL, and the version numbers packed into Vulkan's 32-bit words."""

from __future__ import annotations

import re

from .text import ParseError

_OPENCL = re.compile(r"\s*OpenCL (C )?(\d{1,3})\.(\d{1,3})(?:\s+(.*))?\Z", re.DOTALL)


def parse_cl_version(text: str) -> tuple[tuple[int, int], str]:
    """CL_DEVICE_VERSION, CL_PLATFORM_VERSION, CL_DEVICE_OPENCL_C_VERSION: `OpenCL 2.0 <vendor's text>`."""
    found = _OPENCL.match(text)
    if not found:
        raise ParseError("not of the form `OpenCL <major>.<minor> <vendor's text>`")
    return (int(found[2]), int(found[3])), (found[4] or "").strip()


def vulkan_version(word: int) -> str:
    """apiVersion as `1.3.275` (VK_API_VERSION: 3 bits variant, 7 major, 10 minor, 12 patch)."""
    return f"{(word >> 22) & 0x7F}.{(word >> 12) & 0x3FF}.{word & 0xFFF}"


_VULKAN = re.compile(r"\s*(\d{1,3})\.(\d{1,4})(?:\.(\d{1,5}))?")


def parse_vulkan_version(text: str) -> tuple[int, int, int]:
    """`1.3.275` or `1.1` -> (1, 3, 275), (1, 1, 0)."""
    found = _VULKAN.match(text)
    if not found:
        raise ParseError("not a Vulkan version such as 1.3.275")
    return int(found[1]), int(found[2]), int(found[3] or 0)
