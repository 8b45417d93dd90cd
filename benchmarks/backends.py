"""The axis "which backend": what variants it has, how each is lowered to a plan, how exact it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from ..base.names import Backend
from ..probes.snapshot import Snapshot
from ..profiles.knowledge import KernelChoice, KernelClass
from . import limits
from .block.dims import Block
from .cpu import plan as cpu_plan
from .kernel_class import ANY, choice
from .limits import Limit
from .opencl import limits as opencl_limits
from .opencl import plan as opencl_plan
from .opencl import variants as opencl_variants
from .plan import Plan
from .timing import Timing
from .vulkan import limits as vulkan_limits
from .vulkan import plan as vulkan_plan
from .vulkan import variants as vulkan_variants


@dataclass(frozen=True)
class Candidate:
    """A variant that can be tried.

    Attributes:
        precision: of the activations at decode, a key of `deviation.TOLERANCE`.
        engine: its weights lie as in Google's engine, so its speed is the one to predict from.
        fused: several operators in one kernel.
        fused_as: of one that is not fused, the candidate that differs in nothing else.
        cache_item: bytes of a value in the cache.
    """

    name: str
    precision: str
    engine: bool
    fused: bool
    fused_as: str | None = None
    dot: bool = False
    """Its prefill has int8 activations."""
    cache_item: int = 4
    details: tuple[tuple[str, Any], ...] = ()
    """Facts about it for the measurements."""

    def precision_of(self, phase: str) -> str:
        return "qd8" if self.dot and phase == "prefill" else self.precision


class Lowerer(Protocol):
    """One backend of one device."""

    backend: Backend

    def candidates(self) -> tuple[Candidate, ...]:
        """What to try, best guess first."""
        ...

    def lower(self, block: Block, name: str, timing: Timing, *, logits: bool) -> Plan:
        """Raises ToolchainError where the kernels were not built."""
        ...

    def limits(self) -> tuple[Plan, tuple[Limit, ...]]:
        """A plan with a step of the same name for each limit."""
        ...


class Cpu:
    """The agent's CPU routines."""

    backend = Backend.CPU

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads

    def candidates(self) -> tuple[Candidate, ...]:
        threads = () if self._threads is None else (("threads", self._threads),)
        return tuple(
            Candidate(v.name, "qd8", engine=False, fused=v.fused, fused_as=v.fused_as, details=threads)
            for v in cpu_plan.VARIANTS
        )

    def lower(self, block: Block, name: str, timing: Timing, *, logits: bool) -> Plan:
        variant = next(v for v in cpu_plan.VARIANTS if v.name == name)
        return cpu_plan.lower(block, variant, timing, threads=self._threads, logits=logits)

    def limits(self) -> tuple[Plan, tuple[Limit, ...]]:
        return limits.cpu_plan(self._threads)


class OpenCl:
    """An OpenCL device."""

    backend = Backend.OPENCL

    def __init__(self, facts: opencl_variants.Facts, chosen: KernelChoice = ANY) -> None:
        self._facts = facts.limited(chosen)
        self._chosen = chosen

    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(
                v.name,
                "fp16" if v.half and self._facts.fp16 else "fp32",
                engine=v.layout is opencl_variants.Layout.ENGINE,
                fused=v.fused,
                fused_as=v.fused_as,
                dot=v.dot,
                cache_item=2 if v.half and self._facts.fp16 else 4,
                details=(("layout", v.layout.name.lower()), ("work_group", v.work_group)),
            )
            for v in opencl_variants.candidates(self._facts, self._chosen)
        )

    def lower(self, block: Block, name: str, timing: Timing, *, logits: bool) -> Plan:
        return opencl_plan.lower(block, opencl_variants.by_name(name), self._facts, timing, logits)

    def limits(self) -> tuple[Plan, tuple[Limit, ...]]:
        return opencl_limits.plan(self._facts)


class Vulkan:
    """A Vulkan device."""

    backend = Backend.VULKAN

    def __init__(self, facts: vulkan_variants.Facts, chosen: KernelChoice = ANY) -> None:
        self._facts = facts
        self._chosen = chosen

    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(
                v.name,
                v.precision(self._facts),
                engine=v.layout is vulkan_variants.Layout.ENGINE,
                fused=v.fused,
                fused_as=v.fused_as,
                cache_item=2 if v.half and self._facts.fp16 else 4,
                details=(("layout", v.layout.name.lower()), ("work_group", v.work_group)),
            )
            for v in vulkan_variants.candidates(self._facts, self._chosen)
        )

    def lower(self, block: Block, name: str, timing: Timing, *, logits: bool) -> Plan:
        return vulkan_plan.lower(block, vulkan_variants.by_name(name), self._facts, timing, logits)

    def limits(self) -> tuple[Plan, tuple[Limit, ...]]:
        return vulkan_limits.plan(self._facts)


def lowerer(
    backend: Backend,
    snapshot: Snapshot,
    threads: int | None = None,
    classes: Mapping[str, KernelClass] = MappingProxyType({}),
) -> Lowerer:
    """The backend as this device has it, by what its snapshot says and `classes`, rows of kernels.yaml."""
    if backend is Backend.CPU:
        return Cpu(threads)
    chosen = choice(snapshot, backend, classes)
    if backend is Backend.OPENCL:
        return OpenCl(opencl_variants.Facts.of(snapshot.opencl), chosen)
    return Vulkan(vulkan_variants.Facts.of(snapshot.vulkan), chosen)
