"""Which OpenCL kernels there are: one row a variant, and which devices it is tried on.

Two kinds are measured: the *engine's* layout, from which Google's engine is predicted, and the others, of
which the fastest correct one is the *best* of that device. A row is chosen by what a device can do, never by
its maker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from ...probes.snapshot import OpenCl
from ...profiles.knowledge import KernelChoice
from ..kernel_class import ANY, arranged


class ClLayout(IntEnum):
    """Where the weights lie; the numbers are gemv.cl's and gemm.cl's LAYOUT."""

    ROWS = 0
    TILED = 1
    ENGINE = 2
    LANES = 3


class Dot(IntEnum):
    """A dot product of four bytes; the numbers are gemm.cl's DOT."""

    PLAIN = 0
    KHR = 1
    ARM = 2
    QUALCOMM = 3

    @property
    def extension(self) -> str:
        return _DOT_EXTENSIONS[self]

    @property
    def options(self) -> tuple[str, ...]:
        """Build options without which a compiler does not know it: it is built in from OpenCL C 2.0 on."""
        return ("-cl-std=CL3.0",) if self is Dot.KHR else ()


class Subgroups(IntEnum):
    """Sums over the work-items of a subgroup; the numbers are gemv.cl's SUBGROUP."""

    KHR = 1
    INTEL = 2

    @property
    def extension(self) -> str:
        return _SUBGROUP_EXTENSIONS[self]

    @property
    def options(self) -> tuple[str, ...]:
        """The Khronos functions are known from OpenCL C 2.0 on, Intel's in any version."""
        return (f"-DSUBGROUP={int(self)}", *(("-cl-std=CL2.0",) if self is Subgroups.KHR else ()))


_SUBGROUP_EXTENSIONS = {Subgroups.KHR: "cl_khr_subgroups", Subgroups.INTEL: "cl_intel_subgroups"}


_DOT_EXTENSIONS = (
    "(none: any device can run it)",
    "cl_khr_integer_dot_product",
    "cl_arm_integer_dot_product_accumulate_int8",
    "cl_qcom_dot_product8",
)


@dataclass(frozen=True)
class ClFacts:
    """What of a device decides about kernels. The defaults are the least that phones have (Midgard).

    Attributes:
        image: largest width and height of a 2D image; None: no images.
    """

    cpu: bool = False
    fp16: bool = False
    max_work_group: int = 256
    local_bytes: int = 32768
    dot: Dot | None = None
    subgroups: Subgroups | None = None
    image: tuple[int, int] | None = None

    @classmethod
    def of(cls, device: OpenCl) -> ClFacts:
        """From the snapshot; what is unknown keeps the guaranteed value."""
        return cls(
            cpu=device.device_type == "cpu",
            fp16=bool(device.fp16),
            max_work_group=device.max_work_group_size or cls.max_work_group,
            local_bytes=device.local_mem_bytes or cls.local_bytes,
            dot=_dot(device.extensions or frozenset()),
            subgroups=_subgroups(device.extensions or frozenset()),
            image=_image(device.properties),
        )

    @classmethod
    def of_probe(cls, part: Mapping[str, Any]) -> ClFacts:
        """From the `device` mapping of an agent's or a worker's probe.json."""

        def number(name: str, default: int) -> int:
            value = part.get(name)
            return value if isinstance(value, int) and value > 0 else default

        types, extensions = part.get("CL_DEVICE_TYPE"), part.get("CL_DEVICE_EXTENSIONS")
        names = frozenset(extensions.split()) if isinstance(extensions, str) else frozenset[str]()
        return cls(
            cpu=isinstance(types, list) and "cpu" in types,
            fp16="cl_khr_fp16" in names,
            max_work_group=number("CL_DEVICE_MAX_WORK_GROUP_SIZE", cls.max_work_group),
            local_bytes=number("CL_DEVICE_LOCAL_MEM_SIZE", cls.local_bytes),
            dot=_dot(names),
            subgroups=_subgroups(names),
            image=_image(part),
        )

    def limited(self, chosen: KernelChoice) -> ClFacts:
        """With the limits of its class, where those are lower."""
        most = chosen.max_work_group or self.max_work_group
        return replace(
            self,
            max_work_group=min(self.max_work_group, most),
            image=self.image if chosen.images else None,
        )


def _dot(extensions: frozenset[str]) -> Dot | None:
    """The first that the device names; whether its compiler keeps the promise is found out there."""
    return next((dot for dot in Dot if dot.extension in extensions), None)


def _subgroups(extensions: frozenset[str]) -> Subgroups | None:
    return next((kind for kind in Subgroups if kind.extension in extensions), None)


def _image(properties: Mapping[str, Any]) -> tuple[int, int] | None:
    """An image whose size nobody states is not counted on."""
    sizes = [properties.get(f"CL_DEVICE_IMAGE2D_MAX_{side}") for side in ("WIDTH", "HEIGHT")]
    width, height = (size if isinstance(size, int) and size > 0 else 0 for size in sizes)
    supported = properties.get("CL_DEVICE_IMAGE_SUPPORT") in (True, 1)
    return (width, height) if supported and width and height else None


@dataclass(frozen=True)
class ClVariant:
    """One way to run the block. Meanings of out, parts, items, tile: the head of gemv.cl.

    Attributes:
        fused: QKV in one product, RoPE with the cache append, residual with the norm, gate+up+GeGLU in one.
        fused_as: of one that is not fused, the variant that differs in nothing else.
        half: activations in fp16 where the device has it.
        dot: prefill with int8 activations and integer dot products, where the device has them.
        subgroups: sums go through subgroups, where the device has them.
        image: layout ENGINE: weights are images, where the device has them and they are not too large.
        group: work-group size for layout ENGINE, of which `engine_parts` go to the sum.
        cpu: for CPU devices (True), for others (False).
    """

    name: str
    layout: ClLayout
    because: str
    cpu: bool
    out: int = 1
    parts: int = 1
    items: int = 1
    tile: int = 16
    group: int = 0
    fused: bool = True
    fused_as: str | None = None
    half: bool = True
    dot: bool = False
    subgroups: bool = False
    image: bool = False

    @property
    def work_group(self) -> int:
        return self.group or self.parts * self.items

    def geometry(self, rows: int, bits: int) -> tuple[int, int]:
        """(parts, items) for a product with `rows` outputs."""
        if self.layout is not ClLayout.ENGINE:
            return self.parts, self.items
        parts = min(engine_parts(rows, bits), self.group)
        return parts, self.group // parts


def engine_parts(rows: int, bits: int) -> int:
    """Over how many work-items ML Drift splits one sum: by output slices (rows / 4).

    Source: google-ai-edge/ml-drift, fully connected task (shared work-group rule for quantised weights).
    """
    slices = rows // 4
    if slices >= 8192:
        return 1
    if slices >= 4096:
        return 2
    if slices >= 2048:
        return 2 if bits == 8 else 4
    if slices >= 1024:
        return 4
    if slices >= 512:
        return 8 if bits == 8 else 16
    return 16


VARIANTS: tuple[ClVariant, ...] = (
    ClVariant(
        "lanes",
        ClLayout.LANES,
        "a CPU's vectors hold 16 rows; fp16 would only cost conversions",
        cpu=True,
        out=16,
        items=1,
        half=False,
    ),
    ClVariant(
        "lanes-unfused",
        ClLayout.LANES,
        "what fusing gains",
        cpu=True,
        out=16,
        items=1,
        half=False,
        fused=False,
        fused_as="lanes",
    ),
    ClVariant(
        "engine",
        ClLayout.ENGINE,
        "ML Drift: 64 work-items on Mali, 128 elsewhere; 64 runs on all",
        cpu=False,
        out=4,
        group=64,
    ),
    ClVariant(
        "engine-dot",
        ClLayout.ENGINE,
        "ML Drift quantises the activations of large products where the device has a dot product of bytes",
        cpu=False,
        out=4,
        group=64,
        dot=True,
    ),
    ClVariant("engine-128", ClLayout.ENGINE, "ML Drift on Adreno, PowerVR, AMD", cpu=False, out=4, group=128),
    ClVariant(
        "tiled",
        ClLayout.TILED,
        "neighbours read neighbouring 16 bytes; the sum is split over 4",
        cpu=False,
        parts=4,
        items=32,
        tile=32,
    ),
    ClVariant(
        "engine-image",
        ClLayout.ENGINE,
        "ML Drift keeps weights in textures where the texture path reads faster than the buffer path",
        cpu=False,
        out=4,
        group=64,
        image=True,
    ),
    ClVariant(
        "rows-subgroup",
        ClLayout.ROWS,
        "64 neighbours read one row and add up without local memory or barriers",
        cpu=False,
        out=4,
        parts=64,
        subgroups=True,
    ),
    ClVariant(
        "rows",
        ClLayout.ROWS,
        "row-major weights: 32 neighbours read one row, 4 rows share the activations",
        cpu=False,
        out=4,
        parts=32,
        items=2,
    ),
    ClVariant(
        "engine-256",
        ClLayout.ENGINE,
        "ML Drift for quantised weights on Adreno 7xx and later",
        cpu=False,
        out=4,
        group=256,
    ),
    ClVariant(
        "engine-image-128",
        ClLayout.ENGINE,
        "the same in ML Drift's work-groups for Adreno, PowerVR, AMD",
        cpu=False,
        out=4,
        group=128,
        image=True,
    ),
    ClVariant(
        "tiled-unfused",
        ClLayout.TILED,
        "what fusing gains",
        cpu=False,
        parts=4,
        items=32,
        tile=32,
        fused=False,
        fused_as="tiled",
    ),
)


def candidates(facts: ClFacts, chosen: KernelChoice = ANY) -> tuple[ClVariant, ...]:
    """The variants to try on a device, best guess first: what its facts allow, in the order of its class.
    The engine's layout is always among them.
    """
    allowed = (
        v
        for v in VARIANTS
        if (v.cpu == facts.cpu or v.name == "engine")
        and v.work_group <= facts.max_work_group
        and (facts.dot is not None or not v.dot)
        and (facts.subgroups is not None or not v.subgroups)
        and (facts.image is not None or not v.image)
    )
    return arranged(allowed, chosen)


def by_name(name: str) -> ClVariant:
    """Raises KeyError."""
    return {v.name: v for v in VARIANTS}[name]
