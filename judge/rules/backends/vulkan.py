"""Vulkan: no runtime ships it, but LiteRT-LM's WebGPU fallback stands on it."""

from __future__ import annotations

from ....base.names import Backend, Column
from ....base.units import size
from ....reports.report import Check
from ...case import Case, Question
from .rules import PASS, UNKNOWN, WARN, Rules


class VulkanRules(Rules):
    """See the module."""

    backend = Backend.VULKAN
    always = ("vulkan.fallback-only",)

    def visible(self, case: Case) -> Check:
        vk = case.snapshot.vulkan
        about = Question(self.backend, "visible", Column.VISIBLE)
        required = "a Vulkan device for the WebGPU fallback"
        if case.ran(self.backend) or vk.present:
            return case.check(
                about,
                PASS,
                "vulkan.fallback-only",
                found=vk.device or "a device",
                required=required,
                because="It can carry LiteRT-LM's WebGPU fallback; no runtime ships a Vulkan backend.",
                evidence=case.evidence(self.backend),
            )
        if vk.present is False:
            return case.check(about, WARN, "vulkan.missing", found=vk.error or "no device", required=required)
        reason = "vulkan.probe-failed" if vk.error else "vulkan.unknown"
        return case.check(about, UNKNOWN, reason, found=vk.error or "not known", required=required)

    def known(self, case: Case) -> bool:
        return case.snapshot.vulkan.present is True

    def nameable(self, case: Case) -> bool:
        found = case.snapshot
        return bool(found.gpu.model or found.opencl.device or found.vulkan.device)

    def remarks(self, case: Case) -> list[Check]:
        """The storage-buffer limit that WebGPU inherits, against Gemma-2B's embedding table at 4 bits."""
        limit = case.snapshot.vulkan.max_storage_buffer_range
        if limit is None:
            return []
        architecture = case.knowledge.architectures["gemma-2b"]
        table = architecture.embedding_weights // 2
        if limit >= table:
            return []
        return [
            case.check(
                Question(self.backend, "binding"),
                WARN,
                "vulkan.small-binding",
                found=f"at most {size(limit)} a binding",
                required=size(table),
            )
        ]
