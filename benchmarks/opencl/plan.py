"""Lowers the block to a plan for an OpenCL device. All stages are returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ...base.names import Backend
from ..block.dims import GEMMA_2B, Block, Scheme, Weight, decode
from ..lowering import Lowering
from ..plan import Arg, Buffer, Dispatch, Fill, Kernel, Plan, buffers, ints
from ..timing import DEFAULT, Timing
from .variants import ClFacts, ClLayout, ClVariant

SOURCES = Path(__file__).parent
LONGEST_DISPATCH = 2.0e9
"""Floating-point operations of one dispatch: 0.2 s on a GPU of 10 GFLOP/s; drivers kill after 1 to 2 s."""
KEYS_AT_ONCE = 512
"""Keys that one work-group attends to at decode: with 4096, 8 heads become 64 work-groups."""
_GEMM_ROWS = 64  # of a work-group in gemm.cl's local-memory kernel
_GEMM_TOKENS = 32


@dataclass
class _Lowering(Lowering[str]):
    variant: ClVariant
    facts: ClFacts
    backend = Backend.OPENCL

    @cached_property
    def norm_group(self) -> int:
        """Work-items of a norm's work-group: a power of two."""
        size = 64
        while size > self.facts.max_work_group:
            size //= 2
        return size

    # Buffers

    def weight(self, w: Weight) -> tuple[str, str]:
        match self.variant.layout:
            case ClLayout.ROWS:
                tile = None
            case ClLayout.TILED:
                tile = (self.variant.tile, 16)
            case ClLayout.ENGINE:
                tile = (w.rows, 4)
            case ClLayout.LANES:
                tile = (16, 32 // w.bits)
        buffer = w.buffer(tile)
        if self.imaged(w):
            buffer = replace(buffer, image=(w.rows // 4, 4 * w.bits))
        self.buffers.setdefault(w.name, buffer)
        self.buffers.setdefault(w.scale_name, w.scale_buffer())
        return w.name, w.scale_name

    def imaged(self, w: Weight) -> bool:
        """Whether a weight is an image: of a texel for 4 x 4 values, if the device has one of that size."""
        most = self.facts.image
        if not self.variant.image or most is None:
            return False
        return w.rows // 4 <= most[0] and w.cols // 4 <= most[1]

    # Kernels

    def dispatch(
        self, kernel: Kernel, args: tuple[Arg, ...], size: tuple[int, ...], local: tuple[int, ...] = ()
    ) -> None:
        self.kernels.setdefault(kernel.name, kernel)
        self.files[kernel.file] = SOURCES / kernel.file
        self.dispatches.append(Dispatch(kernel.name, args, size, local))

    def part(self, entry: str) -> Kernel:
        """A kernel of block.cl; all have the same options, so that a driver compiles the file once."""
        options = [f"-DDIM={self.block.dims.head_dim}", f"-DWG={self.norm_group}"]
        return Kernel(entry, "block.cl", entry, tuple(options + ["-DHALF"] * self.half))

    def product_options(self, w: Weight) -> list[str]:
        v = self.variant
        options = ["-cl-mad-enable", f"-DBITS={w.bits}", f"-DLAYOUT={int(v.layout)}", f"-DTILE={v.tile}"]
        return options + ["-DHALF"] * self.half + ["-DIMAGE"] * self.imaged(w)

    def linear(self, x: str, w: Weight, y: str, entry: str = "linear", extra: tuple[str, ...] = ()) -> str:
        """y = w . x by gemv.cl for one token, by gemm.cl for more (there only the plain entry exists)."""
        rows = w.rows // 2 if entry == "linear_geglu" else w.rows
        self.activations(y, self.n * rows)
        if self.n > 1:
            assert entry == "linear"
            self._gemm(x, w, y)
            return y
        parts, items = self.variant.geometry(rows, w.bits)
        while rows // self.variant.out % items:  # a small test size
            items //= 2
        name = f"{entry}{w.bits}.{parts}x{items}" + ".image" * self.imaged(w)
        options = [f"-DOUT={self.variant.out}", f"-DPARTS={parts}", f"-DITEMS={items}"]
        if self.variant.subgroups and self.facts.subgroups is not None:
            options += self.facts.subgroups.options
        kernel = Kernel(name, "gemv.cl", entry, tuple(self.product_options(w) + options))
        size, local = (rows // self.variant.out, parts), (items, parts)
        if self.variant.layout is ClLayout.ROWS:
            size, local = size[::-1], local[::-1]
        args = buffers(x, *self.weight(w), *extra, y) + ints(w.rows, w.cols)
        self.dispatch(kernel, args, size, local)
        return y

    def quantized(self, x: str, d: int) -> tuple[str, str]:
        """x as int8 with a scale a row, made once."""
        q, scale = f"{x}.q", f"{x}.qs"
        if q not in self.buffers:
            self.buffers[q] = Buffer(q, self.n * d)
            group = self.norm_group
            args = buffers(x, q, self.floats(scale, self.n)) + ints(d)
            self.dispatch(self.part("quantize"), args, (self.n * group,), (group,))
        return q, scale

    def _gemm(self, x: str, w: Weight, y: str) -> None:
        options = self.product_options(w)
        lanes = self.variant.layout is ClLayout.LANES
        entry = "gemm"
        inputs: tuple[str, ...] = (x,)
        if lanes:
            tokens = next(t for t in (8, 4, 2, 1) if self.n % t == 0)
            options.append(f"-DTOKENS={tokens}")
        elif self.variant.dot and self.facts.dot is not None:
            options += [f"-DDOT={int(self.facts.dot)}", *self.facts.dot.options]
            entry, inputs = "gemm_dot", self.quantized(x, w.cols)
        elif self.half:
            options.append("-DHALF_MATH")
        name = f"{entry}{w.bits}" + ".image" * self.imaged(w)
        kernel = Kernel(name, "gemm.cl", entry, tuple(options))
        longest = max(1, int(LONGEST_DISPATCH / (2 * self.n * w.cols * _GEMM_ROWS))) * _GEMM_ROWS
        for first in range(0, w.rows, longest):
            rows = min(longest, w.rows - first)
            args = buffers(*inputs, *self.weight(w), y) + ints(self.n, w.rows, w.cols, first)
            if lanes:
                self.dispatch(kernel, args, (self.n // tokens, rows // 16), (1, 1))
            else:
                groups = -(-self.n // _GEMM_TOKENS)
                self.dispatch(kernel, args, (rows // _GEMM_ROWS * 16, groups * 8), (16, 8))

    def quads(self, entry: str, inputs: tuple[str, ...], y: str, count: int, *numbers: int) -> str:
        """An element-wise kernel of block.cl over `count` values, four a work-item."""
        self.dispatch(self.part(entry), buffers(*inputs, y) + ints(*numbers), (count // 4,))
        return y

    def rmsnorm(self, x: str, weight: str, y: str) -> str:
        d = self.block.dims.d_model
        self.activations(y, self.n * d)
        group = self.norm_group
        args = buffers(x, self.tensor(weight), y) + ints(d)
        self.dispatch(self.part("rmsnorm"), args, (self.n * group,), (group,))
        return y

    def attend(self, norm: str) -> str:
        d, n, past, w = self.block.dims, self.n, self.block.phase.past, self.block.weights
        q = self.activations("q", n * d.q_dim)
        kcache, vcache = self.caches()
        tables = self.rope_tables()
        half = d.head_dim // 2
        if self.variant.fused:
            qkv = self.linear(norm, w["wqkv"], "qkv")
            args = buffers(qkv, *tables, q, kcache, vcache) + ints(d.heads, past)
            self.dispatch(self.part("rope_append"), args, ((d.heads + 2) * half, n), (half, 1))
        else:
            k, v = (self.linear(norm, w[name], name[1:]) for name in ("wk", "wv"))
            self.linear(norm, w["wq"], q)
            rope = self.part("rope")
            self.dispatch(rope, buffers(q, *tables, q) + ints(d.heads, 0), (d.heads * half, n))
            self.dispatch(rope, buffers(k, *tables, kcache) + ints(1, past), (half, n))
            self.quads("copy_rows", (v,), vcache, n * d.head_dim, d.head_dim, past)
        return self._attention(q, kcache, vcache)

    def _attention(self, q: str, kcache: str, vcache: str) -> str:
        d, n, keys = self.block.dims, self.n, self.block.phase.context
        out = self.activations("attn", n * d.q_dim)
        scale = Arg("F", self.block.score_scale)
        lanes = d.head_dim // 4
        pieces = -(-keys // KEYS_AT_ONCE) if n == 1 else 1
        if pieces == 1:
            args = (*buffers(q, kcache, vcache, out), *ints(d.heads, self.block.phase.past), scale)
            self.dispatch(self.part("attention"), args, (d.heads * lanes, n), (lanes, 1))
            return out
        sums, totals = (
            self.floats("attn.sums", pieces * d.q_dim),
            self.floats("attn.totals", 2 * pieces * d.heads),
        )
        args = (*buffers(q, kcache, vcache, sums, totals), *ints(keys, KEYS_AT_ONCE), scale)
        self.dispatch(self.part("attention_pieces"), args, (d.heads * lanes, pieces), (lanes, 1))
        args = buffers(sums, totals, out) + ints(pieces)
        self.dispatch(self.part("attention_merge"), args, (d.heads * lanes,), (lanes,))
        return out

    def residual_norm(self, x: str, projected: str) -> tuple[str, str]:
        n, d = self.n, self.block.dims.d_model
        mid, norm2 = self.activations("mid", n * d), self.activations("norm2", n * d)
        if self.variant.fused:
            args = buffers(x, projected, self.tensor("w_norm2"), mid, norm2) + ints(d)
            self.dispatch(self.part("add_rmsnorm"), args, (n * self.norm_group,), (self.norm_group,))
            return mid, norm2
        return self.quads("add", (x, projected), mid, n * d), self.rmsnorm(mid, "w_norm2", norm2)

    def feed_forward(self, mid: str, norm: str) -> None:
        d, n, w = self.block.dims, self.n, self.block.weights
        geglu, out = self.activations("geglu", n * d.hidden), self.activations("out", n * d.d_model)
        if self.variant.fused and n == 1:
            self.linear(norm, w["wgateup"], geglu, "linear_geglu")
            self.linear(geglu, w["wdown"], out, "linear_add", (mid,))
        else:
            gate, up = (self.linear(norm, w[name], name[1:]) for name in ("wgate", "wup"))
            self.quads("geglu", (gate, up), geglu, n * d.hidden)
            self.quads("add", (mid, self.linear(geglu, w["wdown"], "down")), out, n * d.d_model)


def lower(
    block: Block, variant: ClVariant, facts: ClFacts, timing: Timing = DEFAULT, logits: bool = True
) -> Plan:
    """The plan for one phase; with decode also the step "logits" (unless told not to)."""
    return _lowering(block, variant, facts).lowered(timing, logits)


def _lowering(block: Block, variant: ClVariant, facts: ClFacts) -> _Lowering:
    return _Lowering(block, variant, facts, half=variant.half and facts.fp16)


def products(weights: Sequence[Weight], variant: ClVariant, facts: ClFacts, timing: Timing = DEFAULT) -> Plan:
    """A plan with the step "work": the matrix products of one token and nothing else, for comparisons."""
    low = _lowering(Block(GEMMA_2B, Scheme.INT8, decode(1)), variant, facts)
    for w in weights:
        x, item = f"x{w.cols}", 2 if low.half else 4
        fill: Fill = "f16" if low.half else "f32"
        low.buffers.setdefault(x, Buffer(x, item * w.cols, fill, 2, 1, w.cols, lo=-1.0, hi=1.0))
        low.linear(x, w, f"y{w.rows}")
    return low.plan(low.step("work", (), timing))
