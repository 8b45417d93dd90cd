"""Which Vulkan kernels there are: one row a variant, and which devices it is tried on.

As for OpenCL, two kinds are measured: the *engine's* weight layout, from which Google's engine is
predicted, and the others, of which the fastest correct one is the *best* of that device. A row is chosen by
what a device can do, never by its maker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ...probes.snapshot import Vulkan
from ...profiles.knowledge import KernelChoice
from ..kernel_class import ANY, arranged
from ..opencl.variants import engine_parts

_COMPUTE_STAGE = 0x20  # VK_SHADER_STAGE_COMPUTE_BIT
_SUBGROUP_OPERATIONS = (
    0b1101  # VK_SUBGROUP_FEATURE_BASIC_BIT, ARITHMETIC_BIT, BALLOT_BIT: broadcasts are ballots
)
_SHUFFLE = 0b10000  # VK_SUBGROUP_FEATURE_SHUFFLE_BIT
_CPU = 4  # VK_PHYSICAL_DEVICE_TYPE_CPU


@dataclass(frozen=True)
class VkFacts:
    """What of a device decides about kernels. Defaults are what Vulkan 1.0 guarantees.

    Attributes:
        cpu: a CPU driver (VkPhysicalDeviceType).
        fp16: 16-bit storage and arithmetic.
        storage8: 8-bit storage.
        integer_dot, fast_dot8: VK_KHR_shader_integer_dot_product, and that it is said to be faster than
            multiplying one by one, for four signed bytes in a word.
        subgroups: basic, arithmetic and ballot operations in compute shaders.
        shuffle: subgroup shuffles too.
        subgroup_size: the driver's default.
        subgroup_sizes: smallest and largest that can be required, or None without size control.
        invocations, group_width: most of a work-group, and most of it in x.
        storage_range: bytes of the largest storage buffer binding.
        storage_buffers: that a kernel may have bound at once.
        groups: work-groups of a dispatch in one dimension.
    """

    cpu: bool = False
    fp16: bool = False
    storage8: bool = False
    integer_dot: bool = False
    fast_dot8: bool = False
    subgroups: bool = False
    shuffle: bool = False
    subgroup_size: int = 1
    subgroup_sizes: tuple[int, int] | None = None
    invocations: int = 128
    group_width: int = 128
    storage_range: int = 1 << 27
    storage_buffers: int = 4
    groups: int = 65535

    def runs_subgroups_of(self, size: int) -> bool:
        """Whether this size can be required, and is not what one gets anyway."""
        sizes = self.subgroup_sizes
        return sizes is not None and sizes[0] <= size <= sizes[1] and size != self.subgroup_size

    @classmethod
    def of(cls, device: Vulkan) -> VkFacts:
        """From the snapshot."""
        return cls.of_probe(device.properties)

    @classmethod
    def of_probe(cls, device: Mapping[str, Any]) -> VkFacts:
        """From an entry of `devices` in probe.json (Khronos names). A structure that is not there was not
        offered by the device; a limit that is not there, or makes no sense, has its guaranteed minimum."""
        properties = _mapping(device, "VkPhysicalDeviceProperties")
        limits = _mapping(properties, "limits")
        subgroup = _mapping(device, "VkPhysicalDeviceSubgroupProperties")
        control = _mapping(device, "VkPhysicalDeviceSubgroupSizeControlProperties")

        def feature(structure: str, name: str) -> bool:
            return bool(_mapping(device, structure).get(name))

        in_compute = bool(_number(subgroup, "supportedStages", 0) & _COMPUTE_STAGE)
        operations = _number(subgroup, "supportedOperations", 0) if in_compute else 0
        controlled = (
            feature("VkPhysicalDeviceSubgroupSizeControlFeatures", "subgroupSizeControl")
            and _number(control, "requiredSubgroupSizeStages", 0) & _COMPUTE_STAGE
        )
        sizes = _number(control, "minSubgroupSize", 0), _number(control, "maxSubgroupSize", 0)
        return cls(
            cpu=properties.get("deviceType") in (_CPU, "VK_PHYSICAL_DEVICE_TYPE_CPU"),
            fp16=feature("VkPhysicalDevice16BitStorageFeatures", "storageBuffer16BitAccess")
            and feature("VkPhysicalDeviceShaderFloat16Int8Features", "shaderFloat16"),
            storage8=feature("VkPhysicalDevice8BitStorageFeatures", "storageBuffer8BitAccess"),
            integer_dot=feature("VkPhysicalDeviceShaderIntegerDotProductFeatures", "shaderIntegerDotProduct"),
            fast_dot8=feature(
                "VkPhysicalDeviceShaderIntegerDotProductProperties",
                "integerDotProduct4x8BitPackedSignedAccelerated",
            ),
            subgroups=operations & _SUBGROUP_OPERATIONS == _SUBGROUP_OPERATIONS,
            shuffle=bool(operations & _SHUFFLE),
            subgroup_size=_number(subgroup, "subgroupSize", 1),
            subgroup_sizes=sizes if controlled and 0 < sizes[0] <= sizes[1] else None,
            invocations=_number(limits, "maxComputeWorkGroupInvocations", cls.invocations),
            group_width=_number(limits, "maxComputeWorkGroupSize", cls.group_width),
            storage_range=_number(limits, "maxStorageBufferRange", cls.storage_range),
            storage_buffers=_number(limits, "maxPerStageDescriptorStorageBuffers", cls.storage_buffers),
            groups=_number(limits, "maxComputeWorkGroupCount", cls.groups),
        )


def _mapping(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = row.get(name)
    return value if isinstance(value, Mapping) else {}


def _number(row: Mapping[str, Any], name: str, default: int) -> int:
    """A positive integer, or the first of a list of them."""
    value = row.get(name)
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, int) and value > 0 else default


class VkLayout(StrEnum):
    """Where the weights lie; also the kernel that reads them."""

    LANES = "linear"
    """Tiles of `lanes` rows x 16 bytes: a lane owns a row."""
    ENGINE = "engine"
    """Google's: blocks of 4 outputs x 4 inputs, an invocation owns 4 rows."""


@dataclass(frozen=True)
class VkVariant:
    """One way to run the block.

    Attributes:
        because: why the row exists.
        fused: one product for query, key and value, RoPE with the cache append, residual with the norm, gate,
            up and GeGLU in one, residual with the last product.
        fused_as: of one that is not fused, the variant that differs in nothing else.
        half: activations and cache in fp16 where the device has it.
        subgroups: subgroup operations, where the device has them.
        shuffle: hand activations around by shuffles rather than broadcasts, where the device has them.
        storage8: weights as 8-bit storage rather than 32-bit words.
        dot8: layout LANES: activations of the products quantised to int8, integer dot products.
        subgroup: required subgroup size, 0 for the driver's choice.
        lanes: layout LANES: of a linear work-group, each one row.
        split: layout LANES: (rows at most, parts of K) that a work-group has for a matrix with so many rows;
            the first line that fits counts. With few rows and no split, most of a GPU idles.
        group: layout ENGINE: work-group size, of which `engine_parts` go to the sum.
        cpu: for CPU drivers (True), for others (False), for both (None).
    """

    name: str
    because: str
    layout: VkLayout = VkLayout.LANES
    fused: bool = True
    fused_as: str | None = None
    half: bool = True
    subgroups: bool = True
    shuffle: bool = True
    storage8: bool = False
    dot8: bool = False
    subgroup: int = 0
    lanes: int = 32
    split: tuple[tuple[int, int], ...] = ((512, 4), (2048, 4), (4096, 2))
    group: int = 64
    cpu: bool | None = False

    def geometry(self, rows: int, bits: int, tokens: int) -> tuple[int, int]:
        """Lanes (layout ENGINE: slices of 4 rows) and parts of K of a work-group, for a product with `rows`
        outputs. Several tokens are work enough without sharing out K."""
        if self.layout is VkLayout.ENGINE:
            parts = min(engine_parts(rows, bits), self.group) if tokens == 1 else 1
            return self.group // parts, parts
        parts = next((parts for most, parts in self.split if rows <= most), 1)
        return self.lanes, parts if tokens == 1 else 1

    def precision(self, facts: VkFacts) -> str:
        """Of the activations: fp32, fp16 or qd8."""
        return "qd8" if self.dot8 else "fp16" if self.half and facts.fp16 else "fp32"

    @property
    def storage_buffers(self) -> int:
        """Most that one of its kernels has bound: the gated product, or one with a residual or a scale."""
        return (6 if self.fused else 4) + self.dot8

    @property
    def work_group(self) -> int:
        """Invocations of the largest work-group."""
        if self.layout is VkLayout.ENGINE:
            return self.group
        return self.lanes * max((parts for _, parts in self.split), default=1)


VARIANTS: tuple[VkVariant, ...] = (
    VkVariant("lanes", "a CPU driver runs a work-group on one thread: splits only cost", split=(), cpu=True),
    VkVariant("lanes-unfused", "what fusing gains", split=(), fused=False, fused_as="lanes", cpu=True),
    VkVariant("lanes-split", "128 invocations, the least any device takes; few rows share out their columns"),
    VkVariant("lanes-dot8", "int8 arithmetic, as Google's engine does at prefill", dot8=True),
    VkVariant("lanes-broadcast", "drivers with slow shuffles", shuffle=False),
    VkVariant("lanes-64", "subgroups of 64 share their activations", lanes=64, split=((2048, 2),)),
    VkVariant(
        "lanes-64-required", "the same where 64 is not the default", lanes=64, split=((2048, 2),), subgroup=64
    ),
    VkVariant("lanes-s8", "compilers that convert bytes better than they shift", storage8=True),
    VkVariant("lanes-split-unfused", "what fusing gains", fused=False, fused_as="lanes-split"),
    VkVariant(
        "engine",
        "ML Drift: 64 work-items on Mali; runs on all",
        layout=VkLayout.ENGINE,
        cpu=None,
    ),
)


def candidates(facts: VkFacts, chosen: KernelChoice = ANY) -> tuple[VkVariant, ...]:
    """The variants to try on a device, best guess first: what its facts allow, in the order of its class. The
    engine's layout is among them wherever its kernels can be bound.
    """
    most = min(facts.invocations, facts.group_width, chosen.max_work_group or facts.invocations)
    allowed = (
        v
        for v in VARIANTS
        if v.cpu in (facts.cpu, None)
        and (facts.storage8 or not v.storage8)
        and (facts.fast_dot8 or not v.dot8)
        and (facts.shuffle or v.shuffle)  # without shuffles `lanes-broadcast` is the same as the first
        and (not v.subgroup or facts.runs_subgroups_of(v.subgroup))
        and v.storage_buffers <= facts.storage_buffers
        and v.work_group <= most
    )
    return arranged(allowed, chosen)


def by_name(name: str) -> VkVariant:
    """Raises KeyError."""
    return {v.name: v for v in VARIANTS}[name]
