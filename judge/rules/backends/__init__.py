"""The axis "which backend" before the judge: the rules of each, one module a backend."""

from __future__ import annotations

from collections.abc import Mapping

from ....base.names import Backend
from .cpu import Cpu
from .npu import Npu
from .opencl import OpenCl
from .rules import Rules
from .vulkan import Vulkan

RULES: Mapping[Backend, Rules] = {rules.backend: rules for rules in (Cpu(), OpenCl(), Vulkan(), Npu())}
