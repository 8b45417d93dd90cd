"""What a backend has to offer to be measured: variants, and how each becomes a plan.

One class a backend, in its folder; `backends.py` lists them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ..base.names import Backend
from ..probes.snapshot import Snapshot
from ..profiles.knowledge import KernelChoice
from .block.dims import Block
from .kernel_class import ANY
from .limits import Limit
from .plan import Kernel, Plan
from .timing import Timing


@dataclass(frozen=True)
class Candidate:
    """A variant that can be tried.

    Attributes:
        precision: of the activations at decode, a key of `deviation.TOLERANCE`.
        engine: its weights lie as in Google's engine, so its speed is the one to predict from.
        fused: several operators in one kernel.
        fused_as: of one that is not fused, the candidate that differs in nothing else.
        cache_item: bytes of a value in the cache.
        rounds: activations to int8 and keeps all else in fp32, as the reference can too: what it computes is
            held against that as well, which is far stricter.
    """

    name: str
    precision: str
    engine: bool
    fused: bool
    fused_as: str | None = None
    dot: bool = False
    """Its prefill has int8 activations."""
    cache_item: int = 4
    rounds: bool = False
    details: tuple[tuple[str, Any], ...] = ()
    """Facts about it for the measurements."""

    def precision_of(self, phase: str) -> str:
        return "qd8" if self.dot and phase == "prefill" else self.precision


Identity = tuple[dict[str, Any], str]
"""What decides which kernel is fast on a device, and the version of its driver."""


class Lowerer(ABC):
    """One backend of one device."""

    backend: ClassVar[Backend]
    prebuilt: ClassVar[bool] = False
    """Its programs are compiled before anybody runs them."""

    @classmethod
    @abstractmethod
    def of(cls, snapshot: Snapshot, threads: int | None = None, chosen: KernelChoice = ANY) -> Self:
        """As a device has it, by what its snapshot says.

        Args:
            threads: of a backend that shares out the cores itself; None: as many as the agent thinks right.
            chosen: what its class of GPU changes.
        """

    @classmethod
    def absent(cls, snapshot: Snapshot) -> str | None:
        """Why there is nothing to run, or None. Unknown is no reason: then it is tried."""
        return None

    @classmethod
    def identity(cls, snapshot: Snapshot) -> Identity | None:
        """What a remembered variant holds for; None: none is remembered."""
        return None

    @abstractmethod
    def candidates(self) -> tuple[Candidate, ...]:
        """What to try, best guess first."""

    @abstractmethod
    def lower(self, block: Block, name: str, timing: Timing, *, logits: bool) -> Plan:
        """Raises ToolchainError where the kernels were not built."""

    @abstractmethod
    def limits(self) -> tuple[Plan, tuple[Limit, ...]]:
        """A plan with a step of the same name for each limit."""

    def renamed(self, kernel: Kernel, token: int) -> Kernel:
        """The same kernel as a program that no driver has seen."""
        return kernel

    def threaded(self, threads: int) -> Lowerer | None:
        """The same with so many threads; None: the device shares out its own."""
        return None
