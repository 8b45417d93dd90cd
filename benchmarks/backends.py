"""The axis "which backend": for each that is measured, the class that lowers the block to its plans."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..base.names import Backend
from ..probes.snapshot import Snapshot
from ..profiles.knowledge import KernelClass
from .cpu.backend import CpuLowerer
from .kernel_class import choice
from .lowerer import Candidate, Lowerer
from .opencl.backend import OpenClLowerer
from .vulkan.backend import VulkanLowerer

__all__ = ["LOWERERS", "Candidate", "Lowerer", "lowerer"]

LOWERERS: Mapping[Backend, type[Lowerer]] = {
    kind.backend: kind for kind in (CpuLowerer, OpenClLowerer, VulkanLowerer)
}


def lowerer(
    backend: Backend,
    snapshot: Snapshot,
    threads: int | None = None,
    classes: Mapping[str, KernelClass] = MappingProxyType({}),
) -> Lowerer:
    """The backend as this device has it, by what its snapshot says and `classes`, rows of kernels.yaml."""
    return LOWERERS[backend].of(snapshot, threads, choice(snapshot, backend, classes))
