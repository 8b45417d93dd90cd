"""The axis "which backend" before the judge: the rules of each, one module a backend."""

from __future__ import annotations

from collections.abc import Mapping

from ....base.names import Backend
from .cpu import CpuRules
from .npu import NpuRules
from .opencl import OpenClRules
from .rules import Rules
from .vulkan import VulkanRules

RULES: Mapping[Backend, Rules] = {
    rules.backend: rules for rules in (CpuRules(), OpenClRules(), VulkanRules(), NpuRules())
}
