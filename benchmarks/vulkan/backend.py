"""A Vulkan device as a backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from ...base.names import Backend
from ...probes.snapshot import Snapshot
from ...profiles.knowledge import KernelChoice
from ..block.dims import Block
from ..kernel_class import ANY
from ..limits import Limit
from ..lowerer import Candidate, Identity, Lowerer
from ..plan import Kernel, Plan
from ..timing import Timing
from . import limits, plan
from .variants import VkFacts, VkLayout, by_name, candidates

_UNUSED_CONSTANT = 1000


class VulkanLowerer(Lowerer):
    """See the module."""

    backend = Backend.VULKAN

    def __init__(self, facts: VkFacts, chosen: KernelChoice = ANY) -> None:
        self._facts = facts
        self._chosen = chosen

    @classmethod
    def of(cls, snapshot: Snapshot, threads: int | None = None, chosen: KernelChoice = ANY) -> Self:
        return cls(VkFacts.of(snapshot.vulkan), chosen)

    @classmethod
    def absent(cls, snapshot: Snapshot) -> str | None:
        vk = snapshot.vulkan
        return vk.error or "no Vulkan library could be opened" if vk.present is False else None

    @classmethod
    def identity(cls, snapshot: Snapshot) -> Identity | None:
        vk = snapshot.vulkan
        if not vk.device or vk.driver_version is None:
            return None
        named = {"device": vk.device, "vendor": vk.vendor_id, "units": vk.device_id}
        return named, f"{vk.driver_version} | {vk.driver_name} | {vk.driver_info} | {vk.api_version}"

    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(
                v.name,
                v.precision(self._facts),
                engine=v.layout is VkLayout.ENGINE,
                fused=v.fused,
                fused_as=v.fused_as,
                cache_item=2 if v.half and self._facts.fp16 else 4,
                details=(("layout", v.layout.name.lower()), ("work_group", v.work_group)),
            )
            for v in candidates(self._facts, self._chosen)
        )

    def lower(self, block: Block, name: str, timing: Timing, *, logits: bool) -> Plan:
        return plan.lower(block, by_name(name), self._facts, timing, logits)

    def limits(self) -> tuple[Plan, tuple[Limit, ...]]:
        return limits.plan(self._facts)

    def renamed(self, kernel: Kernel, token: int) -> Kernel:
        """By a specialisation constant that no shader declares, which "does not affect the behavior of the
        pipeline" (Vulkan specification, VkSpecializationMapEntry) but is part of what it is made from."""
        return replace(kernel, spec=(*kernel.spec, (_UNUSED_CONSTANT, token)))
