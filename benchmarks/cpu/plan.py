"""Lowers the block to the agent's CPU routines: dynamic int8 activations, as the shipped CPU engine has them.

Steps: the phase itself ("decode" or "prefill") and, with decode, "logits". The unfused variant returns every
stage; the fused one has no buffer for norm1 and attn, which it hands on as int8.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...base.names import Backend
from ..block.dims import Block, Weight
from ..plan import Buffer, Dispatch, Kernel, Plan, Step, buffers, ints
from ..timing import DEFAULT, Timing
from .layout import CPU_TILES


@dataclass(frozen=True)
class Variant:
    """`fused`: QKV in one product, RoPE with the cache append, norms and attention that quantise, residual
    with the norm, gate+up+GeGLU in one. `fused_as`: of one that is not, the variant that differs in nothing
    else."""

    name: str
    fused: bool
    fused_as: str | None = None


VARIANTS = (Variant("fused", True), Variant("unfused", False, fused_as="fused"))


@dataclass
class _Lowering:
    block: Block
    isa: str
    buffers: dict[str, Buffer] = field(default_factory=dict[str, Buffer])
    kernels: dict[str, Kernel] = field(default_factory=dict[str, Kernel])
    dispatches: list[Dispatch] = field(default_factory=list[Dispatch])

    def new(self, name: str, size: int) -> str:
        self.buffers.setdefault(name, Buffer(name, size))
        return name

    def floats(self, name: str, count: int) -> str:
        return self.new(name, 4 * count)

    def q8(self, name: str, n: int, d: int) -> tuple[str, str]:
        """Buffers of an int8 matrix and its row scales."""
        return self.new(f"{name}.q", n * d), self.new(f"{name}.qs", 4 * n)

    def tensor(self, name: str) -> str:
        self.buffers.setdefault(name, self.block.tensors[name].buffer())
        return name

    def run(self, routine: str, names: tuple[str, ...], *numbers: int) -> None:
        self.kernels.setdefault(routine, Kernel(routine, routine=routine, isa=self.isa))
        self.dispatches.append(Dispatch(routine, buffers(*names) + ints(*numbers)))

    def linear(self, q: tuple[str, str], w: Weight, y: str, n: int, routine: str = "linear") -> str:
        """y [n, rows] from int8 activations; `linear_geglu` makes half as many rows of a stacked matrix."""
        rows = w.rows // 2 if routine == "linear_geglu" else w.rows
        self.buffers.setdefault(w.name, w.buffer(CPU_TILES["int8" if w.bits == 8 else "int4"]))
        self.buffers.setdefault(w.scale_name, w.scale_buffer())
        names = (*q, w.name, w.scale_name, self.floats(y, n * rows))
        self.run(f"{routine}_i{w.bits}", names, n, rows, w.cols)
        return y

    def quantize(self, x: str, n: int, d: int) -> tuple[str, str]:
        q = self.q8(x, n, d)
        self.run("quantize", (x, *q), n, d)
        return q

    def rope_tables(self) -> tuple[str, str]:
        for b in self.block.rope_buffers():
            self.buffers.setdefault(b.name, b)
        return "rope_cos", "rope_sin"

    def caches(self) -> tuple[str, str]:
        return self.tensor("kcache"), self.tensor("vcache")

    def fused(self) -> tuple[str, ...]:
        d, w, n, past = self.block.dims, self.block.weights, self.block.phase.n, self.block.phase.past
        x, caches = self.tensor("x"), self.caches()
        norm1 = self.q8("norm1", n, d.d_model)
        self.run("rmsnorm_q8", (x, self.tensor("w_norm1"), *norm1), n, d.d_model)
        qkv = self.linear(norm1, w["wqkv"], "qkv", n)
        q = self.floats("q", n * d.q_dim)
        self.run("rope_append", (qkv, *self.rope_tables(), q, *caches), n, d.heads, d.head_dim, past)
        attn = self.q8("attn", n, d.q_dim)
        self.run("attention_q8", (q, *caches, *attn), n, d.heads, d.head_dim, past)
        projected = self.linear(attn, w["wo"], "projected", n)
        mid, norm2 = self.floats("mid", n * d.d_model), self.q8("norm2", n, d.d_model)
        names = (x, projected, mid, self.tensor("w_norm2"), *norm2)
        self.run("add_rmsnorm_q8", names, n, d.d_model)
        geglu = self.linear(norm2, w["wgateup"], "geglu", n, "linear_geglu")
        down = self.linear(self.quantize(geglu, n, d.hidden), w["wdown"], "down", n)
        self.run("add", (mid, down, self.floats("out", n * d.d_model)), n * d.d_model)
        return ("q", "kcache", "vcache", "mid", "geglu", "out")

    def unfused(self) -> tuple[str, ...]:
        d, w, n, past = self.block.dims, self.block.weights, self.block.phase.n, self.block.phase.past
        count = n * d.d_model
        x, (kcache, vcache), tables = self.tensor("x"), self.caches(), self.rope_tables()
        norm1 = self.norm(x, "w_norm1", "norm1", n)
        q, k, v = (self.linear(norm1, w[f"w{name}"], name, n) for name in ("q", "k", "v"))
        self.run("rope", (q, *tables), n, d.heads, d.head_dim)
        self.run("rope", (k, *tables), n, 1, d.head_dim)
        self.run("copy_rows", (k, kcache), n, d.head_dim, past)
        self.run("copy_rows", (v, vcache), n, d.head_dim, past)
        attn = self.floats("attn", n * d.q_dim)
        self.run("attention", (q, kcache, vcache, attn), n, d.heads, d.head_dim, past)
        projected = self.linear(self.quantize(attn, n, d.q_dim), w["wo"], "projected", n)
        mid = self.floats("mid", count)
        self.run("add", (x, projected, mid), count)
        norm2 = self.norm(mid, "w_norm2", "norm2", n)
        gate, up = (self.linear(norm2, w[f"w{name}"], name, n) for name in ("gate", "up"))
        geglu = self.floats("geglu", n * d.hidden)
        self.run("geglu", (gate, up, geglu), n, d.hidden)
        down = self.linear(self.quantize(geglu, n, d.hidden), w["wdown"], "down", n)
        self.run("add", (mid, down, self.floats("out", count)), count)
        return ("norm1", "q", "kcache", "vcache", "attn", "mid", "geglu", "out")

    def norm(self, x: str, weight: str, y: str, n: int) -> tuple[str, str]:
        d = self.block.dims.d_model
        self.run("rmsnorm", (x, self.tensor(weight), self.floats(y, n * d)), n, d)
        return self.quantize(y, n, d)

    def logits(self) -> tuple[str, ...]:
        d = self.block.dims.d_model
        norm3 = self.q8("norm3", 1, d)
        self.run("rmsnorm_q8", (self.tensor("x"), self.tensor("w_norm3"), *norm3), 1, d)
        return (self.linear(norm3, self.block.weights["wvocab"], "logits", 1),)

    def step(self, name: str, returns: tuple[str, ...], timing: Timing) -> Step:
        dispatches, self.dispatches = tuple(self.dispatches), []
        return timing.step(name, dispatches, returns)


def lower(
    block: Block,
    variant: Variant,
    timing: Timing = DEFAULT,
    *,
    isa: str = "auto",
    threads: int | None = None,
    logits: bool = True,
) -> Plan:
    """The plan for one phase; with decode also the step "logits" (unless told not to)."""
    low = _Lowering(block, isa)
    returned = low.fused() if variant.fused else low.unfused()
    steps = [low.step(block.phase.name, returned, timing)]
    if logits and block.phase.n == 1:
        steps.append(low.step("logits", low.logits(), timing))
    options = {} if threads is None else {"threads": str(threads)}
    return Plan(Backend.CPU, tuple(low.buffers.values()), tuple(low.kernels.values()), tuple(steps), options)
