"""How the block becomes a plan, the same for every backend: the order of its operators, steps, buffers.

A backend adds its operators, which may be fused, in a `Lowering` of its own (`plan.py` in its folder).
Steps: the phase itself ("decode" or "prefill") and, with decode, "logits".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from ..base.names import Backend
from .block.dims import Block, Weight
from .plan import Buffer, Dispatch, Kernel, Plan, Step
from .timing import Timing

H = TypeVar("H")
"""What an operator hands to a product: the name of a buffer, or of int8 values and of their scales."""


@dataclass
class Lowering(ABC, Generic[H]):
    """Collects buffers, kernels and dispatches. An operator returns what holds its result; a buffer that is
    returned is named as the stage it holds.

    Attributes:
        half: activations and the cache are fp16.
    """

    backend: ClassVar[Backend]
    returned: ClassVar[tuple[str, ...]] = ("norm1", "q", "kcache", "vcache", "attn", "mid", "geglu", "out")

    block: Block
    half: bool = field(default=False, kw_only=True)
    buffers: dict[str, Buffer] = field(default_factory=dict[str, Buffer], init=False)
    kernels: dict[Hashable, Kernel] = field(default_factory=dict[Hashable, Kernel], init=False)
    files: dict[str, Path] = field(default_factory=dict[str, Path], init=False)
    dispatches: list[Dispatch] = field(default_factory=list[Dispatch], init=False)

    @property
    def n(self) -> int:
        return self.block.phase.n

    # Buffers

    def new(self, name: str, size: int) -> str:
        self.buffers.setdefault(name, Buffer(name, size))
        return name

    def floats(self, name: str, count: int) -> str:
        return self.new(name, 4 * count)

    def activations(self, name: str, count: int) -> str:
        return self.new(name, count * (2 if self.half else 4))

    def tensor(self, name: str) -> str:
        """A float tensor of the block; norm weights stay fp32, as in the shipped engines."""
        tensor = self.block.tensors[name]
        self.buffers.setdefault(name, tensor.buffer(self.half and not tensor.norm))
        return name

    def caches(self) -> tuple[str, str]:
        return self.tensor("kcache"), self.tensor("vcache")

    def rope_tables(self) -> tuple[str, str]:
        for b in self.block.rope_buffers():
            self.buffers.setdefault(b.name, b)
        return "rope_cos", "rope_sin"

    # Operators

    @abstractmethod
    def rmsnorm(self, x: str, weight: str, y: str) -> H:
        """norm1 and norm3."""

    @abstractmethod
    def linear(self, x: H, w: Weight, y: str) -> str:
        """y = x . w^T."""

    @abstractmethod
    def attend(self, norm: H) -> H:
        """Queries, keys and values of `norm`, the cache, and what attention makes of them."""

    @abstractmethod
    def residual_norm(self, x: str, projected: str) -> tuple[str, H]:
        """mid = x + projected, and norm2 of it."""

    @abstractmethod
    def feed_forward(self, mid: str, norm: H) -> None:
        """out = mid + (gelu(norm . gate^T) * (norm . up^T)) . down^T."""

    # The block

    def layer(self) -> None:
        x = self.tensor("x")
        attn = self.attend(self.rmsnorm(x, "w_norm1", "norm1"))
        self.feed_forward(*self.residual_norm(x, self.linear(attn, self.block.weights["wo"], "projected")))

    def step(self, name: str, returns: tuple[str, ...], timing: Timing) -> Step:
        dispatches, self.dispatches = tuple(self.dispatches), []
        return timing.step(name, dispatches, returns)

    def plan(self, *steps: Step, options: Mapping[str, str] | None = None) -> Plan:
        kernels = tuple(self.kernels.values())
        return Plan(self.backend, tuple(self.buffers.values()), kernels, steps, options or {}, self.files)

    def lowered(self, timing: Timing, logits: bool, options: Mapping[str, str] | None = None) -> Plan:
        """The plan for one phase; with decode also the step "logits", unless told not to."""
        self.layer()
        steps = [self.step(self.block.phase.name, self.returned, timing)]
        if logits and self.n == 1:
            norm = self.rmsnorm(self.tensor("x"), "w_norm3", "norm3")
            returns = (self.linear(norm, self.block.weights["wvocab"], "logits"),)
            steps.append(self.step("logits", returns, timing))
        return self.plan(*steps, options=options)
