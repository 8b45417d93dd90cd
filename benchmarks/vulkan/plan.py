"""Lowers the block to a plan for a Vulkan device.

Steps: the phase itself ("decode" or "prefill") and, with decode, "logits". All stages are returned; a buffer
is named as the stage it holds. Which kernels are used follows from the facts and the variant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...base.errors import ToolchainError
from ...base.names import Backend
from ..block.dims import Block, Weight
from ..plan import Arg, Buffer, Dispatch, Kernel, Plan, Step
from ..timing import DEFAULT, Timing
from .modules import TOKENS, Module, product
from .variants import Facts, Layout, Variant

MACS_PER_DISPATCH = 1 << 30
"""Drivers end what runs for seconds. A Mali-T830 does about 10 GFLOP/s at best: a dispatch of 2^30
multiply-accumulates stays below a second there even at a quarter of that peak."""

POSITIONS_AT_ONCE = 512
"""Of the cache, for one work-group at decode: with a context of 4096, 8 heads become 64 work-groups."""

_TOKEN_TILE = max(TOKENS)
_SHARING = 8  # lanes of a subgroup that fetch activations for all


@dataclass
class _Lowering:
    """Collects buffers, kernels and dispatches; the methods below "Operators" each add one operator."""

    block: Block
    variant: Variant
    facts: Facts
    buffers: dict[str, Buffer] = field(default_factory=dict[str, Buffer])
    kernels: dict[tuple[object, ...], Kernel] = field(default_factory=dict[tuple[object, ...], Kernel])
    dispatches: list[Dispatch] = field(default_factory=list[Dispatch])
    files: dict[str, Path] = field(default_factory=dict[str, Path])

    @property
    def half(self) -> bool:
        return self.variant.half and self.facts.fp16

    @property
    def activation(self) -> str:
        return "fp16" if self.half else "fp32"

    @property
    def lanes(self) -> str:
        return "sub" if self.variant.subgroups and self.facts.subgroups else "plain"

    @property
    def n(self) -> int:
        return self.block.phase.n

    @property
    def group(self) -> int:
        """Work-group size of the kernels that are not products."""
        return min(64, self.facts.invocations, self.facts.group_width)

    # Buffers

    def tensor(self, name: str) -> str:
        """A float tensor of the block; norm weights stay fp32, as in the shipped engines."""
        half = self.half and not self.block.tensors[name].norm
        self.buffers.setdefault(name, self.block.tensors[name].buffer(half))
        return name

    def activations(self, name: str, elements: int) -> str:
        self.buffers.setdefault(name, Buffer(name, elements * (2 if self.half else 4)))
        return name

    def rope_tables(self) -> tuple[str, str]:
        for b in self.block.rope_buffers():
            self.buffers.setdefault(b.name, b)
        return "rope_cos", "rope_sin"

    def weight(self, w: Weight) -> list[Weight]:
        """Add the buffers of a matrix: several, by rows, where it is larger than a binding may be."""
        block_rows = self.variant.lanes if self.variant.layout is Layout.LANES else 4
        most = self.facts.storage_range // (w.size // w.rows) // block_rows * block_rows
        self.buffers.setdefault(w.scale_name, w.scale_buffer())
        parts = (
            [w] if w.rows <= most else [_rows(w, i, min(most, w.rows - i)) for i in range(0, w.rows, most)]
        )
        for part in parts:
            tile = (part.rows, 4)
            if self.variant.layout is Layout.LANES:
                tile = (self.variant.lanes, 16 if w.bits == 8 else 32)
            self.buffers.setdefault(part.name, part.buffer(tile))
        return parts

    # Kernels

    def run(
        self,
        module: Module,
        constants: Sequence[int | float],
        names: Sequence[str],
        push: Sequence[int],
        *groups: int,
    ) -> None:
        """Dispatch a module; `constants` are its specialisation constants 0, 1, .. in order."""
        key = (module, *constants)
        if key not in self.kernels:
            if not module.path.is_file():
                raise ToolchainError(
                    f"The Vulkan kernels are not built: {module.path} is missing.",
                    hint="Build them with `python -m gemmafit.benchmarks.vulkan.build`.",
                )
            self.files[module.name] = module.path
            self.kernels[key] = Kernel(
                f"{Path(module.source).stem}{len(self.kernels)}",
                file=module.name,
                spec=tuple(enumerate(constants)),
                bindings=len(names),
                push=4 * len(push),
                subgroup=self.variant.subgroup if module.uses_subgroups else 0,
            )
        args = tuple(Arg("B", name) for name in names) + tuple(Arg("U", v) for v in push)
        self.dispatches.append(Dispatch(self.kernels[key].name, args, groups))

    # Operators. Each returns the name of its result.

    def rmsnorm(self, x: str, w: str, y: str, tokens: int) -> str:
        names = (x, self.tensor(w), self.activations(y, tokens * self.block.dims.d_model))
        self._norm((), names, tokens)
        return y

    def residual_norm(self, x: str, r: str, w: str, total: str, y: str) -> str:
        """total = x + r; y = norm(total)."""
        size = self.n * self.block.dims.d_model
        names = (x, self.tensor(w), self.activations(y, size), r, self.activations(total, size))
        self._norm(("residual",), names, self.n)
        return y

    def _norm(self, form: tuple[str, ...], names: tuple[str, ...], tokens: int) -> None:
        module = Module("rmsnorm.comp", (*form, self.activation, self.lanes))
        d = self.block.dims
        self.run(module, (self.group, d.d_model, float(d.eps)), names, (), tokens)

    def linear(self, x: str, w: Weight, y: str, tokens: int, residual: str = "") -> str:
        """y = x . w^T, or y = residual + x . w^T."""
        self._product("residual" if residual else "", (w,), x, y, tokens, (residual,) if residual else ())
        return y

    def gated(self, x: str, gate: Weight, up: Weight, y: str) -> str:
        """y = gelu(x . gate^T) * (x . up^T)."""
        self._product("gated", (gate, up), x, y, self.n, ())
        return y

    def _product(
        self, form: str, weights: tuple[Weight, ...], x: str, y: str, tokens: int, more: tuple[str, ...]
    ) -> None:
        w, v = weights[0], self.variant
        engine = v.layout is Layout.ENGINE
        tile = 1 if tokens == 1 else _TOKEN_TILE
        width, parts = v.geometry(w.rows, w.bits, tokens)
        module = product(
            v.layout,
            form,
            w.bits,
            tile,
            self.activation,
            "" if engine else self.sharing(width, parts),
            storage8=v.storage8 and self.facts.storage8,
            dot8=v.dot8,
        )
        self.activations(y, tokens * w.rows)
        if v.dot8:
            x, scales = self.quantized(x, w, tokens)
            more = (*more, scales)
        rows_per_group = width * (4 if engine else 1)
        at_once = max(tile, MACS_PER_DISPATCH // (w.rows * w.cols * len(weights)) // tile * tile)
        first = 0
        for slices in zip(*(self.weight(w) for w in weights), strict=True):
            rows = slices[0].rows
            bound = [name for s, w in zip(slices, weights, strict=True) for name in (s.name, w.scale_name)]
            names = (*bound[:2], x, y, *bound[2:], *more)
            constants = (width * parts, parts, w.cols, rows if engine else width, w.rows)
            for token in range(0, tokens, at_once):
                end = min(tokens, token + at_once)
                push = (end, rows, first, token)
                self.run(
                    module, constants, names, push, -(-rows // rows_per_group), -(-(end - token) // tile)
                )
            first += rows

    def quantized(self, x: str, w: Weight, tokens: int) -> tuple[str, str]:
        """x as int8 in the order in which the weights' words hold their columns, and its scales."""
        q, scales = f"{x}.q{w.bits}", f"{x}.s{w.bits}"
        if q not in self.buffers:
            self.buffers[q] = Buffer(q, tokens * w.cols)
            self.buffers[scales] = Buffer(scales, 4 * tokens)
            module = Module("quantize.comp", (self.activation, self.lanes))
            self.run(module, (self.group, w.cols, int(w.bits == 4)), (x, q, scales), (), tokens)
        return q, scales

    def sharing(self, width: int, parts: int) -> str:
        """How the lanes of a linear work-group share activations: all lanes of a subgroup must need the same,
        so that a subgroup may not reach over two parts of K."""
        size = self.variant.subgroup or self.facts.subgroup_size
        if self.lanes == "plain" or size < _SHARING or (parts > 1 and width % size):
            return "plain"
        return "shuffle" if self.variant.shuffle and self.facts.shuffle else "sub"

    def rope(self, x: str, y: str, heads: int) -> str:
        d = self.block.dims
        names = (x, *self.rope_tables(), self.activations(y, self.n * heads * d.head_dim))
        self._turn((), names, heads, 0, heads)
        return y

    def rope_append(self, qkv: str, q: str, k: str, v: str) -> str:
        """Query, key and value of one stacked product: turned queries to q, the rest to the caches."""
        d = self.block.dims
        names = (qkv, *self.rope_tables(), self.activations(q, self.n * d.q_dim), k, v)
        self._turn(("stacked",), names, d.heads, self.block.phase.past, d.heads + 2)
        return q

    def _turn(self, form: tuple[str, ...], names: tuple[str, ...], heads: int, at: int, stack: int) -> None:
        dim = self.block.dims.head_dim
        module = Module("rope.comp", (*form, self.activation))
        groups = -(-self.n * stack * dim // 8 // self.group)
        self.run(module, (self.group, heads, dim), names, (self.n, at), groups)

    def append(self, rows: str, cache: str) -> None:
        d = self.block.dims
        module = Module("rows.comp", (self.activation,))
        groups = -(-self.n * d.head_dim // 4 // self.group)
        self.run(module, (self.group, d.head_dim), (rows, cache), (self.n, self.block.phase.past), groups)

    def attention(self, q: str, k: str, v: str, y: str) -> str:
        d, past = self.block.dims, self.block.phase.past
        self.activations(y, self.n * d.q_dim)
        constants = (self.group, d.heads, d.head_dim, float(self.block.score_scale))
        axes = (self.activation, self.lanes)
        pieces = -(-self.block.phase.context // POSITIONS_AT_ONCE) if self.n == 1 else 1
        if pieces == 1 or self.facts.storage_buffers < 5:
            module = Module("attention.comp", axes)
            self.run(module, constants, (q, k, v, y), (past,), d.heads, self.n)
            return y
        sums, maximum = f"{y}.sums", f"{y}.maximum"
        self.buffers[sums] = Buffer(sums, 4 * pieces * d.q_dim)
        self.buffers[maximum] = Buffer(maximum, 8 * pieces * d.heads)
        module = Module("attention.comp", ("pieces", *axes))
        names = (q, k, v, sums, maximum)
        self.run(module, (*constants, POSITIONS_AT_ONCE), names, (past,), d.heads, 1, pieces)
        merge = Module("attention_merge.comp", (self.activation,))
        self.run(merge, (self.group, d.heads, d.head_dim), (sums, maximum, y), (pieces,), d.heads)
        return y

    def elementwise(self, source: str, a: str, b: str, y: str, elements: int) -> str:
        """add.comp or geglu.comp."""
        module = Module(f"{source}.comp", (self.activation,))
        names = (a, b, self.activations(y, elements))
        self.run(module, (self.group,), names, (elements // 4,), -(-elements // 4 // self.group))
        return y

    # The block

    def attend(self, norm: str) -> str:
        d, n, w = self.block.dims, self.n, self.block.weights
        k, v = self.tensor("kcache"), self.tensor("vcache")
        if self.variant.fused and w["wqkv"].size <= self.facts.storage_range:
            qkv = self.linear(norm, w["wqkv"], "qkv", n)
            q = self.rope_append(qkv, "q", k, v)
        else:
            q = self.rope(self.linear(norm, w["wq"], "q_flat", n), "q", d.heads)
            self.append(self.rope(self.linear(norm, w["wk"], "k_flat", n), "k_turned", 1), k)
            self.append(self.linear(norm, w["wv"], "v_flat", n), v)
        return self.attention(q, k, v, "attn")

    def layer(self) -> None:
        d, n, w = self.block.dims, self.n, self.block.weights
        x = self.tensor("x")
        attn = self.attend(self.rmsnorm(x, "w_norm1", "norm1", n))
        projected = self.linear(attn, w["wo"], "projected", n)
        if self.variant.fused:
            norm2 = self.residual_norm(x, projected, "w_norm2", "mid", "norm2")
            geglu = self.gated(norm2, w["wgate"], w["wup"], "geglu")
            self.linear(geglu, w["wdown"], "out", n, residual="mid")
        else:
            mid = self.elementwise("add", x, projected, "mid", n * d.d_model)
            norm2 = self.rmsnorm(mid, "w_norm2", "norm2", n)
            gate, up = (self.linear(norm2, w[name], name[1:], n) for name in ("wgate", "wup"))
            geglu = self.elementwise("geglu", gate, up, "geglu", n * d.hidden)
            self.elementwise("add", mid, self.linear(geglu, w["wdown"], "down", n), "out", n * d.d_model)

    def logits(self) -> None:
        norm = self.rmsnorm(self.tensor("x"), "w_norm3", "norm3", 1)
        self.linear(norm, self.block.weights["wvocab"], "logits", 1)

    def step(self, name: str, returns: tuple[str, ...], timing: Timing) -> Step:
        dispatches, self.dispatches = tuple(self.dispatches), []
        return Step(
            name, dispatches, returns, timing.warmup, timing.repeat_min, timing.repeat_max, timing.budget_ms
        )


def _rows(w: Weight, first: int, rows: int) -> Weight:
    """Some rows of a matrix as one of their own."""
    return replace(w, name=f"{w.name}.{first}", rows=rows, first_row=w.first_row + first)


def lower(
    block: Block, variant: Variant, facts: Facts, timing: Timing = DEFAULT, logits: bool = True
) -> Plan:
    """The plan for one phase; with decode also the step "logits" (unless told not to).

    Raises ToolchainError if the kernels were not built.
    """
    low = _Lowering(block, variant, facts)
    low.layer()
    returned = ("norm1", "q", "kcache", "vcache", "attn", "mid", "geglu", "out")
    steps = [low.step(block.phase.name, returned, timing)]
    if logits and block.phase.n == 1:
        low.logits()
        steps.append(low.step("logits", ("logits",), timing))
    return Plan(
        Backend.VULKAN,
        tuple(low.buffers.values()),
        tuple(low.kernels.values()),
        tuple(steps),
        files=dict(low.files),
    )
