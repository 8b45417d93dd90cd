"""Lowers the block to a plan for a Vulkan device. All stages are returned.

Which kernels are used follows from the facts and the variant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import ToolchainError
from ...base.names import Backend
from ..block.dims import Block, Weight
from ..lowering import Lowering
from ..plan import Arg, Dispatch, Kernel, Plan
from ..timing import DEFAULT, Timing
from .modules import TOKENS, Module, product
from .variants import VkFacts, VkLayout, VkVariant

MACS_PER_DISPATCH = 1 << 30
"""Drivers end what runs for seconds. A Mali-T830 does about 10 GFLOP/s at best: a dispatch of 2^30
multiply-accumulates stays below a second there even at a quarter of that peak."""

POSITIONS_AT_ONCE = 512
"""Of the cache, for one work-group at decode: with a context of 4096, 8 heads become 64 work-groups."""

_TOKEN_TILE = max(TOKENS)
_SHARING = 8  # lanes of a subgroup that fetch activations for all


@dataclass
class _Lowering(Lowering[str]):
    variant: VkVariant
    facts: VkFacts
    backend = Backend.VULKAN

    @property
    def activation(self) -> str:
        return "fp16" if self.half else "fp32"

    @property
    def lanes(self) -> str:
        return "sub" if self.variant.subgroups and self.facts.subgroups else "plain"

    @property
    def group(self) -> int:
        """Work-group size of the kernels that are not products."""
        return min(64, self.facts.invocations, self.facts.group_width)

    # Buffers

    def weight(self, w: Weight) -> list[Weight]:
        """Add the buffers of a matrix: several, by rows, where it is larger than a binding may be."""
        block_rows = self.variant.lanes if self.variant.layout is VkLayout.LANES else 4
        most = self.facts.storage_range // (w.size // w.rows) // block_rows * block_rows
        self.buffers.setdefault(w.scale_name, w.scale_buffer())
        parts = [w]
        if w.rows > most:
            rows = {first: min(most, w.rows - first) for first in range(0, w.rows, most)}
            parts = [w.slice(f"{w.name}.{i}", w.first_row + i, count) for i, count in rows.items()]
        for part in parts:
            tile = (part.rows, 4)
            if self.variant.layout is VkLayout.LANES:
                tile = (self.variant.lanes, 16 if w.bits == 8 else 32)
            self.buffers.setdefault(part.name, part.buffer(tile))
        return parts

    # Kernels

    def dispatch(
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

    # Operators

    def rmsnorm(self, x: str, weight: str, y: str) -> str:
        self._norm((), (x, self.tensor(weight), self.activations(y, self.n * self.block.dims.d_model)))
        return y

    def residual_norm(self, x: str, projected: str) -> tuple[str, str]:
        size = self.n * self.block.dims.d_model
        if not self.variant.fused:
            mid = self.elementwise("add", x, projected, "mid", size)
            return mid, self.rmsnorm(mid, "w_norm2", "norm2")
        weight, norm2 = self.tensor("w_norm2"), self.activations("norm2", size)
        self._norm(("residual",), (x, weight, norm2, projected, self.activations("mid", size)))
        return "mid", norm2

    def _norm(self, form: tuple[str, ...], names: tuple[str, ...]) -> None:
        module = Module("rmsnorm.comp", (*form, self.activation, self.lanes))
        d = self.block.dims
        self.dispatch(module, (self.group, d.d_model, float(d.eps)), names, (), self.n)

    def linear(self, x: str, w: Weight, y: str, residual: str = "") -> str:
        """y = x . w^T, or y = residual + x . w^T."""
        self._product("residual" if residual else "", (w,), x, y, (residual,) if residual else ())
        return y

    def _product(self, form: str, weights: tuple[Weight, ...], x: str, y: str, more: tuple[str, ...]) -> None:
        w, v, tokens = weights[0], self.variant, self.n
        engine = v.layout is VkLayout.ENGINE
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
            x, scales = self.quantized(x, w)
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
                self.dispatch(
                    module, constants, names, push, -(-rows // rows_per_group), -(-(end - token) // tile)
                )
            first += rows

    def quantized(self, x: str, w: Weight) -> tuple[str, str]:
        """x as int8 in the order in which the weights' words hold their columns, and its scales."""
        q, scales = f"{x}.q{w.bits}", f"{x}.s{w.bits}"
        if q not in self.buffers:
            self.new(q, self.n * w.cols)
            self.floats(scales, self.n)
            module = Module("quantize.comp", (self.activation, self.lanes))
            self.dispatch(module, (self.group, w.cols, int(w.bits == 4)), (x, q, scales), (), self.n)
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
        self.dispatch(module, (self.group, heads, dim), names, (self.n, at), groups)

    def append(self, rows: str, cache: str) -> None:
        d = self.block.dims
        module = Module("rows.comp", (self.activation,))
        groups = -(-self.n * d.head_dim // 4 // self.group)
        self.dispatch(
            module, (self.group, d.head_dim), (rows, cache), (self.n, self.block.phase.past), groups
        )

    def attention(self, q: str, k: str, v: str, y: str) -> str:
        d, past = self.block.dims, self.block.phase.past
        self.activations(y, self.n * d.q_dim)
        constants = (self.group, d.heads, d.head_dim, float(self.block.score_scale))
        axes = (self.activation, self.lanes)
        pieces = -(-self.block.phase.context // POSITIONS_AT_ONCE) if self.n == 1 else 1
        if pieces == 1 or self.facts.storage_buffers < 5:
            module = Module("attention.comp", axes)
            self.dispatch(module, constants, (q, k, v, y), (past,), d.heads, self.n)
            return y
        sums, maximum = f"{y}.sums", f"{y}.maximum"
        self.floats(sums, pieces * d.q_dim)
        self.floats(maximum, 2 * pieces * d.heads)
        module = Module("attention.comp", ("pieces", *axes))
        names = (q, k, v, sums, maximum)
        self.dispatch(module, (*constants, POSITIONS_AT_ONCE), names, (past,), d.heads, 1, pieces)
        merge = Module("attention_merge.comp", (self.activation,))
        self.dispatch(merge, (self.group, d.heads, d.head_dim), (sums, maximum, y), (pieces,), d.heads)
        return y

    def elementwise(self, source: str, a: str, b: str, y: str, elements: int) -> str:
        """add.comp or geglu.comp."""
        module = Module(f"{source}.comp", (self.activation,))
        names = (a, b, self.activations(y, elements))
        self.dispatch(module, (self.group,), names, (elements // 4,), -(-elements // 4 // self.group))
        return y

    # The block

    def attend(self, norm: str) -> str:
        d, w = self.block.dims, self.block.weights
        k, v = self.caches()
        if self.variant.fused and w["wqkv"].size <= self.facts.storage_range:
            qkv = self.linear(norm, w["wqkv"], "qkv")
            q = self.rope_append(qkv, "q", k, v)
        else:
            q = self.rope(self.linear(norm, w["wq"], "q_flat"), "q", d.heads)
            self.append(self.rope(self.linear(norm, w["wk"], "k_flat"), "k_turned", 1), k)
            self.append(self.linear(norm, w["wv"], "v_flat"), v)
        return self.attention(q, k, v, "attn")

    def feed_forward(self, mid: str, norm: str) -> None:
        d, n, w = self.block.dims, self.n, self.block.weights
        if self.variant.fused:
            self._product("gated", (w["wgate"], w["wup"]), norm, "geglu", ())
            self.linear("geglu", w["wdown"], "out", residual=mid)
        else:
            gate, up = (self.linear(norm, w[name], name[1:]) for name in ("wgate", "wup"))
            geglu = self.elementwise("geglu", gate, up, "geglu", n * d.hidden)
            self.elementwise("add", mid, self.linear(geglu, w["wdown"], "down"), "out", n * d.d_model)


def lower(
    block: Block, variant: VkVariant, facts: VkFacts, timing: Timing = DEFAULT, logits: bool = True
) -> Plan:
    """The plan for one phase; with decode also the step "logits" (unless told not to).

    Raises ToolchainError if the kernels were not built.
    """
    low = _Lowering(block, variant, facts, half=variant.half and facts.fp16)
    return low.lowered(timing, logits)
