"""Vulkan requirements as data: Khronos profile JSON, read as it is published, against a device.

Vulkan matters here for one thing: LiteRT-LM's WebGPU fallback stands on it. What that needs is a profile
of the same form (profiles/webgpu_fallback.json).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..base import limits
from ..base.errors import InputError
from ..base.files import read_text
from ..profiles.knowledge import Knowledge
from .parsers.text import ParseError, json_value, number
from .parsers.versions import parse_vulkan_version
from .readers.vulkan import lookup
from .snapshot import Vulkan

_MERGED = {
    # Structures of extensions -> where Vulkan 1.1 to 1.3 repeat their fields.
    "Features": tuple(f"VkPhysicalDeviceVulkan{v}Features" for v in (11, 12, 13, 14)),
    "Properties": tuple(f"VkPhysicalDeviceVulkan{v}Properties" for v in (11, 12, 13, 14)),
}
_FLAGS = {
    # Bit numbers of the enumerations that profiles name (Vulkan specification).
    "VK_SHADER_STAGE_VERTEX_BIT": 0,
    "VK_SHADER_STAGE_FRAGMENT_BIT": 4,
    "VK_SHADER_STAGE_COMPUTE_BIT": 5,
    "VK_SUBGROUP_FEATURE_BASIC_BIT": 0,
    "VK_SUBGROUP_FEATURE_VOTE_BIT": 1,
    "VK_SUBGROUP_FEATURE_ARITHMETIC_BIT": 2,
    "VK_SUBGROUP_FEATURE_BALLOT_BIT": 3,
    "VK_SUBGROUP_FEATURE_SHUFFLE_BIT": 4,
    "VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT": 5,
    "VK_SUBGROUP_FEATURE_CLUSTERED_BIT": 6,
    "VK_SUBGROUP_FEATURE_QUAD_BIT": 7,
    **{f"VK_SAMPLE_COUNT_{1 << n}_BIT": n for n in range(7)},
}


# Extensions of the instance, which a device does not list (Vulkan registry, type="instance").
_INSTANCE = re.compile(
    r"_surface\Z|_KHR_get_(?:physical_device_properties2|surface_capabilities2|display_properties2)\Z"
    r"|_external_(?:semaphore|memory|fence)_capabilities\Z|_device_group_creation\Z|_swapchain_colorspace\Z"
    r"|_EXT_debug_(?:report|utils)\Z|_validation_f|_layer_settings\Z|_portability_enumeration\Z"
)


class Outcome(StrEnum):
    """Whether a device meets a requirement."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"  # the device's dump does not hold the field


@dataclass(frozen=True)
class Requirement:
    """One requirement of a profile and how a device meets it.

    Attributes:
        name: `VkPhysicalDeviceFeatures.robustBufferAccess`, `VK_KHR_...`, `apiVersion`.
        required, found: as text; `found` is None where the device does not say.
    """

    name: str
    required: str
    found: str | None
    outcome: Outcome


@dataclass(frozen=True)
class Profile:
    """One profile of a file: its name, label and required capabilities.

    Attributes:
        blocks: each a tuple of alternatives, of which one has to be met.
    """

    name: str
    label: str
    api_version: tuple[int, int, int]
    blocks: tuple[tuple[dict[str, Any], ...], ...]


def read_profiles(path: Path) -> tuple[Profile, ...]:
    """The profiles of a Khronos profile file. Raises InputError naming the file."""
    return parse_profiles(read_text(path, limits.PROFILE_BYTES, "profile"), origin=str(path))


def webgpu_fallback(knowledge: Knowledge) -> Profile:
    """What LiteRT-LM's WebGPU fallback needs. Raises InputError where the table is no such profile."""
    file = knowledge.webgpu_fallback
    return _profiles({"capabilities": file.capabilities, "profiles": file.profiles}, "webgpu_fallback.json")[
        0
    ]


def parse_profiles(text: str, *, origin: str = "profile") -> tuple[Profile, ...]:
    """The profiles in a text. Raises InputError."""
    try:
        data = json_value(text)
    except ParseError as error:
        raise InputError(f"{origin}: {error}") from None
    return _profiles(data, origin)


def _profiles(data: Any, origin: str) -> tuple[Profile, ...]:
    capabilities = data.get("capabilities") if isinstance(data, dict) else None
    rows = data.get("profiles") if isinstance(data, dict) else None
    if not isinstance(capabilities, dict) or not isinstance(rows, dict):
        raise InputError(f"{origin}: not a Vulkan profile: `capabilities` and `profiles` were expected")
    return tuple(_profile(str(name), row, capabilities, origin) for name, row in rows.items())


def _profile(name: str, row: Any, capabilities: dict[str, Any], origin: str) -> Profile:
    shown = repr(name[: limits.QUOTE_CHARS])
    listed = row.get("capabilities") if isinstance(row, dict) else None
    if not isinstance(listed, list):
        raise InputError(f"{origin}: profile {shown} lists no capabilities")
    blocks = []
    for entry in listed:
        names = entry if isinstance(entry, list) else [entry]
        missing = [
            key for key in names if not isinstance(key, str) or not isinstance(capabilities.get(key), dict)
        ]
        if missing or not names:
            raise InputError(
                f"{origin}: profile {shown} names an unknown capability {str(missing)[: limits.QUOTE_CHARS]}"
            )
        blocks.append(tuple(capabilities[key] for key in names))
    try:
        api = parse_vulkan_version(str(row.get("api-version", "1.0.0")))
    except ParseError as error:
        raise InputError(f"{origin}: profile {shown}: api-version: {error}") from None
    return Profile(name, str(row.get("label", name)), api, tuple(blocks))


def check(profile: Profile, vulkan: Vulkan) -> tuple[Requirement, ...]:
    """Every requirement with its outcome. Of alternatives the one that comes closest is listed.

    Formats are left out: neither the agent nor vkjson's structures state them by name.
    """
    found = [_api(profile, vulkan)]
    for alternatives in profile.blocks:
        results = [tuple(_block(block, vulkan)) for block in alternatives]
        found += min(results, key=lambda rows: [sum(r.outcome is o for r in rows) for o in _WORST_FIRST])
    return tuple(found)


_WORST_FIRST = (Outcome.MISSED, Outcome.UNKNOWN)


def missed(profile: Profile, vulkan: Vulkan) -> tuple[Requirement, ...]:
    """The requirements that the device is known not to meet."""
    return tuple(row for row in check(profile, vulkan) if row.outcome is Outcome.MISSED)


def _api(profile: Profile, vulkan: Vulkan) -> Requirement:
    required = ".".join(map(str, profile.api_version))
    if vulkan.api_version is None:
        return Requirement("apiVersion", required, None, Outcome.UNKNOWN)
    met = parse_vulkan_version(vulkan.api_version) >= profile.api_version
    return Requirement("apiVersion", required, vulkan.api_version, Outcome.MET if met else Outcome.MISSED)


def _block(block: dict[str, Any], vulkan: Vulkan) -> Iterator[Requirement]:
    extensions = block.get("extensions")
    for name in extensions if isinstance(extensions, dict) else ():
        if vulkan.extensions is None or _INSTANCE.search(name):
            yield Requirement(name, "supported", None, Outcome.UNKNOWN)
        else:
            there = name in vulkan.extensions
            yield Requirement(
                name,
                "supported",
                "supported" if there else "not supported",
                Outcome.MET if there else Outcome.MISSED,
            )
    for kind in ("features", "properties"):
        structures = block.get(kind)
        for structure, fields in structures.items() if isinstance(structures, dict) else ():
            if isinstance(fields, dict):
                yield from _fields(vulkan, structure, kind.capitalize(), fields)


def _fields(
    vulkan: Vulkan, structure: str, kind: str, fields: dict[str, Any], inside: str | None = None
) -> Iterator[Requirement]:
    for field, required in fields.items():
        if isinstance(required, dict) and inside is None:
            yield from _fields(vulkan, structure, kind, required, field)
            continue
        if inside is None:
            value = lookup(vulkan.properties, field, structure, *_MERGED.get(kind, ()))
        else:
            outer = lookup(vulkan.properties, inside, structure)
            value = outer.get(field) if isinstance(outer, dict) else None
        name = ".".join(filter(None, (structure, inside, field)))
        if value is None:
            yield Requirement(name, _shown(required), None, Outcome.UNKNOWN)
            continue
        met = satisfies(field, required, value)
        outcome = Outcome.UNKNOWN if met is None else Outcome.MET if met else Outcome.MISSED
        yield Requirement(name, _shown(required), _shown(value), outcome)


def satisfies(field: str, required: Any, value: Any) -> bool | None:
    """Whether a device's value meets a required one; None where the two cannot be compared.

    The direction follows from the field's name, as the specification's limit types do: `min...`,
    alignments and granularities are met by less, ranges by containing, bit sets by a superset, all else by
    more.
    """
    if isinstance(required, bool):
        as_bool = number(value)
        return None if as_bool is None else not required or bool(as_bool)
    if isinstance(required, list) and required and all(isinstance(item, str) for item in required):
        bits = number(value)
        if isinstance(value, list):
            return set(required) <= set(map(str, value))
        if bits is None or not all(item in _FLAGS for item in required):
            return None
        return all(bits >> _FLAGS[item] & 1 for item in required)
    if isinstance(required, list):
        if not isinstance(value, list) or len(value) != len(required):
            return None
        if field.endswith("Range"):
            low, high = _less(value[0], required[0]), _less(required[-1], value[-1])
            return None if low is None or high is None else low and high
        parts = [satisfies(field, r, v) for r, v in zip(required, value, strict=True)]
        return None if None in parts else all(parts)
    if field.startswith("min") or field.endswith(("Alignment", "Granularity", "AtomSize")):
        return _less(value, required)
    return _less(required, value)


def _less(left: Any, right: Any) -> bool | None:
    """left <= right for numbers."""
    if isinstance(left, bool | str) or isinstance(right, bool | str):
        return None
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return None
    return left <= right


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value[: limits.FEW])) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)[: limits.QUOTE_CHARS]
