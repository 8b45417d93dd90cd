"""An OpenCL device as a backend."""

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
from .variants import ClFacts, ClLayout, by_name, candidates


class OpenClLowerer(Lowerer):
    """See the module."""

    backend = Backend.OPENCL

    def __init__(self, facts: ClFacts, chosen: KernelChoice = ANY) -> None:
        self._facts = facts.limited(chosen)
        self._chosen = chosen

    @classmethod
    def of(cls, snapshot: Snapshot, threads: int | None = None, chosen: KernelChoice = ANY) -> Self:
        return cls(ClFacts.of(snapshot.opencl), chosen)

    @classmethod
    def absent(cls, snapshot: Snapshot) -> str | None:
        cl = snapshot.opencl
        return cl.error or "no OpenCL library could be opened" if cl.present is False else None

    @classmethod
    def identity(cls, snapshot: Snapshot) -> Identity | None:
        cl = snapshot.opencl
        if not cl.device or not cl.driver:
            return None
        named = {"device": cl.device, "vendor": cl.vendor, "units": cl.compute_units}
        return named, f"{cl.driver} | {cl.version} | {cl.platform_version}"

    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(
                v.name,
                "fp16" if v.half and self._facts.fp16 else "fp32",
                engine=v.layout is ClLayout.ENGINE,
                fused=v.fused,
                fused_as=v.fused_as,
                dot=v.dot,
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
        """By a macro that is never read."""
        return replace(kernel, options=(*kernel.options, f"-DGEMMAFIT_BUILD={token}"))
