"""Lowers the block to the agent's CPU routines: dynamic int8 activations, as the shipped CPU engine has them.

The unfused variant returns every stage; the fused one has no buffer for norm1 and attn, which are int8 there.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...base.names import Backend
from ..block.dims import Block, Weight
from ..lowering import Lowering
from ..plan import Dispatch, Kernel, Plan, buffers, ints
from ..timing import DEFAULT, Timing
from .layout import CPU_TILES


@dataclass(frozen=True)
class CpuVariant:
    """`fused`: QKV in one product, RoPE with the cache append, norms and attention that quantise, residual
    with the norm, gate+up+GeGLU in one. `fused_as`: of one that is not, the variant that differs in nothing
    else."""

    name: str
    fused: bool
    fused_as: str | None = None


Int8 = tuple[str, str]
"""The buffers of an int8 matrix and of its row scales."""

VARIANTS = (CpuVariant("fused", True), CpuVariant("unfused", False, fused_as="fused"))


@dataclass
class _Unfused(Lowering[Int8]):
    isa: str
    backend = Backend.CPU

    def q8(self, name: str, d: int) -> Int8:
        return self.new(f"{name}.q", self.n * d), self.floats(f"{name}.qs", self.n)

    def dispatch(self, routine: str, names: tuple[str, ...], *numbers: int) -> None:
        self.kernels.setdefault(routine, Kernel(routine, routine=routine, isa=self.isa))
        self.dispatches.append(Dispatch(routine, buffers(*names) + ints(*numbers)))

    def linear(self, x: Int8, w: Weight, y: str, routine: str = "linear") -> str:
        """y [n, rows]; `linear_geglu` makes half as many rows of a stacked matrix."""
        rows = w.rows // 2 if routine == "linear_geglu" else w.rows
        self.buffers.setdefault(w.name, w.buffer(CPU_TILES["int8" if w.bits == 8 else "int4"]))
        self.buffers.setdefault(w.scale_name, w.scale_buffer())
        names = (*x, w.name, w.scale_name, self.floats(y, self.n * rows))
        self.dispatch(f"{routine}_i{w.bits}", names, self.n, rows, w.cols)
        return y

    def quantize(self, x: str, d: int) -> Int8:
        q = self.q8(x, d)
        self.dispatch("quantize", (x, *q), self.n, d)
        return q

    def normed(self, x: str, weight: str, y: str) -> Int8:
        """A norm that quantises."""
        d = self.block.dims.d_model
        q = self.q8(y, d)
        self.dispatch("rmsnorm_q8", (x, self.tensor(weight), *q), self.n, d)
        return q

    def rmsnorm(self, x: str, weight: str, y: str) -> Int8:
        if y == "norm3":  # no stage
            return self.normed(x, weight, y)
        d = self.block.dims.d_model
        self.dispatch("rmsnorm", (x, self.tensor(weight), self.floats(y, self.n * d)), self.n, d)
        return self.quantize(y, d)

    def attend(self, norm: Int8) -> Int8:
        d, w, n, past = self.block.dims, self.block.weights, self.n, self.block.phase.past
        (kcache, vcache), tables = self.caches(), self.rope_tables()
        q, k, v = (self.linear(norm, w[f"w{name}"], name) for name in ("q", "k", "v"))
        self.dispatch("rope", (q, *tables), n, d.heads, d.head_dim)
        self.dispatch("rope", (k, *tables), n, 1, d.head_dim)
        self.dispatch("copy_rows", (k, kcache), n, d.head_dim, past)
        self.dispatch("copy_rows", (v, vcache), n, d.head_dim, past)
        attn = self.floats("attn", n * d.q_dim)
        self.dispatch("attention", (q, kcache, vcache, attn), n, d.heads, d.head_dim, past)
        return self.quantize(attn, d.q_dim)

    def residual_norm(self, x: str, projected: str) -> tuple[str, Int8]:
        return self.add(x, projected, "mid"), self.rmsnorm("mid", "w_norm2", "norm2")

    def feed_forward(self, mid: str, norm: Int8) -> None:
        d, w = self.block.dims, self.block.weights
        geglu = self.gated(norm)
        self.add(mid, self.linear(self.quantize(geglu, d.hidden), w["wdown"], "down"), "out")

    def gated(self, norm: Int8) -> str:
        d, w, n = self.block.dims, self.block.weights, self.n
        gate, up = (self.linear(norm, w[f"w{name}"], name) for name in ("gate", "up"))
        geglu = self.floats("geglu", n * d.hidden)
        self.dispatch("geglu", (gate, up, geglu), n, d.hidden)
        return geglu

    def add(self, a: str, b: str, y: str) -> str:
        count = self.n * self.block.dims.d_model
        self.dispatch("add", (a, b, self.floats(y, count)), count)
        return y


class _Fused(_Unfused):
    returned = ("q", "kcache", "vcache", "mid", "geglu", "out")

    def rmsnorm(self, x: str, weight: str, y: str) -> Int8:
        return self.normed(x, weight, y)

    def attend(self, norm: Int8) -> Int8:
        d, n, past = self.block.dims, self.n, self.block.phase.past
        caches = self.caches()
        qkv = self.linear(norm, self.block.weights["wqkv"], "qkv")
        q = self.floats("q", n * d.q_dim)
        self.dispatch("rope_append", (qkv, *self.rope_tables(), q, *caches), n, d.heads, d.head_dim, past)
        attn = self.q8("attn", d.q_dim)
        self.dispatch("attention_q8", (q, *caches, *attn), n, d.heads, d.head_dim, past)
        return attn

    def residual_norm(self, x: str, projected: str) -> tuple[str, Int8]:
        n, d = self.n, self.block.dims.d_model
        mid, norm2 = self.floats("mid", n * d), self.q8("norm2", d)
        self.dispatch("add_rmsnorm_q8", (x, projected, mid, self.tensor("w_norm2"), *norm2), n, d)
        return mid, norm2

    def gated(self, norm: Int8) -> str:
        return self.linear(norm, self.block.weights["wgateup"], "geglu", "linear_geglu")


def lower(
    block: Block,
    variant: CpuVariant,
    timing: Timing = DEFAULT,
    *,
    isa: str = "auto",
    threads: int | None = None,
    logits: bool = True,
) -> Plan:
    """The plan for one phase; with decode also the step "logits" (unless told not to)."""
    low = (_Fused if variant.fused else _Unfused)(block, isa)
    low.tensor("x"), low.caches()  # what comes in stands first
    if not variant.fused:
        low.rope_tables()
    return low.lowered(timing, logits, {} if threads is None else {"threads": str(threads)})
