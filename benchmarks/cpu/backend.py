"""The agent's CPU routines as a backend."""

from __future__ import annotations

from typing import Self

from ...base.names import Backend
from ...probes.snapshot import Snapshot
from ...profiles.knowledge import KernelChoice
from .. import limits
from ..block.dims import Block
from ..kernel_class import ANY
from ..limits import Limit
from ..lowerer import Candidate, Lowerer
from ..plan import Plan
from ..timing import Timing
from . import plan


class CpuLowerer(Lowerer):
    """See the module."""

    backend = Backend.CPU
    prebuilt = True

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads

    @classmethod
    def of(cls, snapshot: Snapshot, threads: int | None = None, chosen: KernelChoice = ANY) -> Self:
        return cls(threads)

    def candidates(self) -> tuple[Candidate, ...]:
        threads = () if self._threads is None else (("threads", self._threads),)
        return tuple(
            Candidate(
                v.name,
                "qd8",
                engine=False,
                fused=v.fused,
                fused_as=v.fused_as,
                rounds=True,
                details=threads,
            )
            for v in plan.VARIANTS
        )

    def lower(self, block: Block, name: str, timing: Timing, *, logits: bool) -> Plan:
        variant = next(v for v in plan.VARIANTS if v.name == name)
        return plan.lower(block, variant, timing, threads=self._threads, logits=logits)

    def limits(self) -> tuple[Plan, tuple[Limit, ...]]:
        return limits.cpu_plan(self._threads)

    def threaded(self, threads: int) -> Lowerer:
        return CpuLowerer(threads)
