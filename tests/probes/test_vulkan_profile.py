"""Khronos profiles against devices: what is met, missed and unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gemmafit.base.errors import InputError
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.read import read
from gemmafit.probes.snapshot import Vulkan
from gemmafit.probes.vulkan_profile import Outcome, check, missed, parse_profiles, satisfies, webgpu_fallback
from gemmafit.profiles.loader import load

FALLBACK = webgpu_fallback(load())
FEATURES = "VkPhysicalDeviceFeatures"


def device(**changes: Any) -> Vulkan:
    """A device that meets everything of the WebGPU fallback, with changes by field name."""
    values: dict[str, dict[str, Any]] = {
        "VkPhysicalDeviceProperties": {"apiVersion": (1 << 22) | (3 << 12), "limits": {}}
    }
    for block in [one for alternatives in FALLBACK.blocks for one in alternatives]:
        for structure, fields in {**block.get("features", {}), **block.get("properties", {})}.items():
            part = values.setdefault(structure, {})
            for field, value in fields.items():
                if field == "limits":
                    part["limits"].update({k: changes.get(k, v) for k, v in value.items()})
                else:
                    part[field] = changes.get(field, value)
    values["VkPhysicalDeviceProperties"]["apiVersion"] = changes.get("apiVersion", (1 << 22) | (3 << 12))
    return read(Capture("adb", {}, {}, {"probe": {"vulkan": {"devices": [values]}}})).vulkan


def test_a_device_that_meets_all() -> None:
    assert missed(FALLBACK, device()) == ()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"robustBufferAccess": False}, "VkPhysicalDeviceFeatures.robustBufferAccess"),
        ({"maxStorageBufferRange": 134217727}, "VkPhysicalDeviceProperties.limits.maxStorageBufferRange"),
        (
            {"maxComputeWorkGroupSize": [256, 256, 63]},
            "VkPhysicalDeviceProperties.limits.maxComputeWorkGroupSize",
        ),
        ({"shaderFloat16": 0}, "VkPhysicalDeviceShaderFloat16Int8Features.shaderFloat16"),
        ({"apiVersion": 1 << 22}, "apiVersion"),
    ],
)
def test_each_kind_of_requirement_is_missed(changes: dict[str, Any], name: str) -> None:
    assert [row.name for row in missed(FALLBACK, device(**changes))] == [name]


def test_one_of_the_alternatives_is_enough() -> None:
    without_bc = device(textureCompressionBC=False)
    assert missed(FALLBACK, without_bc) == ()
    neither = device(textureCompressionBC=False, textureCompressionASTC_LDR=False)
    assert len(missed(FALLBACK, neither)) == 1


def test_what_is_not_stated_is_unknown_not_missed() -> None:
    rows = check(FALLBACK, Vulkan())
    assert {row.outcome for row in rows} == {Outcome.UNKNOWN}


def test_merged_structures_count() -> None:
    """shaderFloat16 in VkPhysicalDeviceVulkan12Features, as `cmd gpu vkjson` of Android 13 has it."""
    dump = {
        "devices": [
            {
                "properties": {"apiVersion": 4206592, "limits": {}},
                "core11": {"features": {"storageBuffer16BitAccess": 1}},
                "core12": {"features": {"shaderFloat16": 1}},
            }
        ]
    }
    vulkan = read(Capture("adb", {}, {"vkjson": Answer(0, json.dumps(dump))})).vulkan
    outcome = {row.name.split(".")[-1]: row.outcome for row in check(FALLBACK, vulkan)}
    assert outcome["shaderFloat16"] is Outcome.MET
    assert outcome["storageBuffer16BitAccess"] is Outcome.MET
    assert vulkan.fp16 is True and vulkan.storage16 is True


@pytest.mark.parametrize(
    ("field", "required", "value", "met"),
    [
        ("maxX", 4, 4, True),
        ("maxX", 4, 3.9, False),
        ("minUniformBufferOffsetAlignment", 256, 64, True),
        ("minUniformBufferOffsetAlignment", 256, 512, False),
        ("bufferImageGranularity", 1, 1024, False),
        ("minTexelOffset", -8, -8, True),
        ("minTexelOffset", -8, -4, False),
        ("pointSizeRange", [1.0, 511], [1.0, 1024.0], True),
        ("pointSizeRange", [1.0, 511], [0.0, 255.0], False),
        ("sampleCounts", ["VK_SAMPLE_COUNT_1_BIT", "VK_SAMPLE_COUNT_4_BIT"], 0b101, True),
        ("sampleCounts", ["VK_SAMPLE_COUNT_1_BIT", "VK_SAMPLE_COUNT_4_BIT"], 0b001, False),
        ("stages", ["VK_SHADER_STAGE_COMPUTE_BIT"], ["VK_SHADER_STAGE_COMPUTE_BIT", "x"], True),
        ("stages", ["VK_UNHEARD_OF_BIT"], 1, None),
        ("strictLines", True, 1, True),
        ("strictLines", False, 0, True),
        ("maxX", 4, "4", None),
        ("maxX", [1, 2], [1], None),
    ],
)
def test_directions(field: str, required: Any, value: Any, met: bool | None) -> None:
    assert satisfies(field, required, value) is met


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"capabilities": {}, "profiles": []}',
        '{"capabilities": {}, "profiles": {"p": {"capabilities": ["none"]}}}',
        '{"capabilities": {"a": {}}, "profiles": {"p": {"capabilities": ["a"], "api-version": "x"}}}',
        '{"capabilities": {"a": {}}, "profiles": {"p": {"capabilities": [[]]}}}',
        '{"capabilities": {"a": {}}, "profiles": {"p": {"capabilities": [["a", ["a"]]]}}}',
    ],
)
def test_no_profile(text: str) -> None:
    with pytest.raises(InputError):
        parse_profiles(text)


def test_extensions_of_the_instance_are_not_missed() -> None:
    (profile,) = parse_profiles(
        '{"capabilities": {"a": {"extensions": {"VK_KHR_surface": 1, "VK_KHR_swapchain": 1}}},'
        ' "profiles": {"p": {"capabilities": ["a"]}}}'
    )
    vulkan = Vulkan(extensions=frozenset({"VK_KHR_maintenance1"}), api_version="1.1.0")
    outcome = {row.name: row.outcome for row in check(profile, vulkan)}
    assert outcome == {"apiVersion": "met", "VK_KHR_surface": "unknown", "VK_KHR_swapchain": "missed"}
