"""The reference block as data: one Gemma-2B (v1) decoder layer, the final norm and the logits.

Everything that a backend must agree on is here: sizes, tensors with their seeds and ranges, phases, and
the stages whose intermediate results are compared. How it is computed is `reference.py` (NumPy) and the
lowerings (`cpu/plan.py`, `opencl/plan.py`, `vulkan/plan.py` of the backends).

    norm1  = rmsnorm(x, w_norm1)                      q, k, v = norm1 . wq^T, wk^T, wv^T
    q, k   = rope(q), rope(k)                         k, v -> cache rows past .. past+n-1
    attn   = softmax(q . K^T * head_dim^-0.5) . V     mid = x + attn . wo^T
    norm2  = rmsnorm(mid, w_norm2)                    geglu = gelu_tanh(norm2 . wgate^T) * (norm2 . wup^T)
    out    = mid + geglu . wdown^T
    logits = rmsnorm(x, w_norm3)[first token] . wvocab^T      (a step of its own, on x)

Sources of the forms: google/gemma_pytorch `gemma/model.py`, google-deepmind/gemma `gm/nn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ..plan import Buffer, Fill


@dataclass(frozen=True)
class Dims:
    """Sizes. `vocab` rows of the `vocab_total` are executed: the whole table would need 524 MB at int8. With
    twice as many, an OpenCL driver that brings its compiler (PoCL: 240 MB) took the agent to 419 MB."""

    d_model: int = 2048
    heads: int = 8
    head_dim: int = 256
    hidden: int = 16384
    vocab: int = 16384
    vocab_total: int = 256000
    layers: int = 18
    rope_base: float = 10000.0
    eps: float = 1e-6

    @property
    def q_dim(self) -> int:
        return self.heads * self.head_dim


GEMMA_2B = Dims()
SMALL = Dims(d_model=256, heads=6, head_dim=64, hidden=768, vocab=512, vocab_total=512, layers=2)
"""For tests: sizes divide by the tiles of every layout, and sizes that could be mixed up are different."""


class Scheme(StrEnum):
    """Weight precision as shipped. INT4 is the published mix: attention 8 bit, FFN and embedding 4 bit."""

    INT8 = "int8"
    INT4 = "int4"


@dataclass(frozen=True)
class Phase:
    """`n` tokens against a cache that already holds `past`."""

    name: str
    n: int
    past: int

    @property
    def context(self) -> int:
        """Rows of the cache after this phase."""
        return self.past + self.n


def decode(context: int = 128) -> Phase:
    """One token against a cache of `context` tokens."""
    return Phase("decode", 1, context)


def prefill(chunk: int = 128, past: int = 0) -> Phase:
    """`chunk` tokens of a prompt at once, after `past` others."""
    return Phase("prefill", chunk, past)


@dataclass(frozen=True)
class Weight:
    """A quantised matrix [rows, cols] = [outputs, inputs] with one float scale per output channel.

    The scales are uniform in [lo, hi]; their mean is chosen so that outputs have an RMS near `gain`.
    """

    name: str
    rows: int
    cols: int
    bits: int
    seed: int
    lo: float
    hi: float
    first_row: int = 0
    """Where this matrix begins in the stacked one that it is a slice of."""

    def slice(self, name: str, first_row: int, rows: int) -> Weight:
        """Some rows as a matrix of their own, with the same values and scales."""
        return replace(self, name=name, rows=rows, first_row=first_row)

    @property
    def size(self) -> int:
        """Bytes of the packed values, without the scales."""
        return self.rows * self.cols * self.bits // 8

    @property
    def scale_name(self) -> str:
        return f"{self.name}.s"

    @property
    def scale_seed(self) -> int:
        return self.seed + 100

    def buffer(self, tile: tuple[int, int] | None = None, transposed: bool = False) -> Buffer:
        """The values in the storage order of a kernel."""
        fill: Fill = "i8" if self.bits == 8 else "i4"
        return Buffer(
            self.name,
            self.size,
            fill,
            seed=self.seed,
            rows=self.rows,
            cols=self.cols,
            tile=tile,
            transposed=transposed,
            first=self.first_row * self.cols,
        )

    def scale_buffer(self) -> Buffer:
        """The scales, f32 [rows]."""
        return Buffer(
            self.scale_name,
            4 * self.rows,
            "f32",
            self.scale_seed,
            1,
            self.rows,
            lo=self.lo,
            hi=self.hi,
            first=self.first_row,
        )


@dataclass(frozen=True)
class Tensor:
    """A float matrix, uniform in [lo, hi]. `norm`: the weights of a norm, which stay fp32 in the engines."""

    name: str
    rows: int
    cols: int
    seed: int
    lo: float
    hi: float
    norm: bool = False

    def buffer(self, half: bool = False) -> Buffer:
        size = self.rows * self.cols * (2 if half else 4)
        fill: Fill = "f16" if half else "f32"
        return Buffer(self.name, size, fill, self.seed, self.rows, self.cols, lo=self.lo, hi=self.hi)


@dataclass(frozen=True)
class Stage:
    """An intermediate result that is compared: rows `first` .. `first + rows` of the buffer `buffer`,
    which has `cols` columns and holds f32 or f16 (told by its size)."""

    name: str
    buffer: str
    rows: int
    cols: int
    first: int = 0
    total: int = 0
    """Rows of the whole buffer."""


# RMS of uniform integers: -127..127 (with -128 folded to 0), and -8..7.
_RMS_OF_BITS: Mapping[int, float] = {8: 73.6, 4: 4.637}
_SPREAD = 0.5  # scales vary by +-50 % over the channels: a scale taken from a wrong channel shows

SCORE_STD = 2.0
"""Standard deviation of the attention scores: large enough that the softmax is far from uniform."""
_BRANCH = 0.4
"""RMS of what attention and FFN each add to a residual of RMS 1.
The peaks of a GeGLU product cost a per-row int8 quantisation 3 % of that branch; at this weight the
layer's output keeps within 1.7 % (measured; 2.0 % at 0.5)."""


@dataclass(frozen=True)
class Block:
    """The tensors of one scheme and phase."""

    dims: Dims
    scheme: Scheme
    phase: Phase

    def _weight(self, name: str, rows: int, cols: int, bits: int, seed: int, gain: float) -> Weight:
        mean = gain / (sqrt(cols) * _RMS_OF_BITS[bits])
        return Weight(name, rows, cols, bits, seed, mean * (1 - _SPREAD), mean * (1 + _SPREAD))

    @cached_property
    def weights(self) -> dict[str, Weight]:
        """wq wk wv wo wgate wup wdown wvocab, and for fused kernels the stacked wqkv (query, key, value rows)
        and wgateup (all gate rows, then all up rows) of which the first are slices."""
        d = self.dims
        ffn = 8 if self.scheme is Scheme.INT8 else 4
        qkv = self._weight("wqkv", d.q_dim + 2 * d.head_dim, d.d_model, 8, 11, sqrt(SCORE_STD))
        gate_up = self._weight("wgateup", 2 * d.hidden, d.d_model, ffn, 15, 1.0)
        rows = (
            qkv,
            qkv.slice("wq", 0, d.q_dim),
            qkv.slice("wk", d.q_dim, d.head_dim),
            qkv.slice("wv", d.q_dim + d.head_dim, d.head_dim),
            self._weight("wo", d.d_model, d.q_dim, 8, 14, _BRANCH / 0.7),  # attn has an RMS of about 0.7
            gate_up,
            gate_up.slice("wgate", 0, d.hidden),
            gate_up.slice("wup", d.hidden, d.hidden),
            self._weight("wdown", d.d_model, d.hidden, ffn, 17, _BRANCH / 0.7),  # geglu: about 0.7
            self._weight("wvocab", d.vocab, d.d_model, ffn, 18, 1.0),
        )
        return {w.name: w for w in rows}

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """x [n, d_model]; norm1 norm2 norm3 weights [1, d_model]; kcache vcache [past + n, head_dim], of
        which rows from `past` on are overwritten by the block."""
        d, p = self.dims, self.phase
        unit = sqrt(3.0)  # uniform in +-sqrt(3) has RMS 1
        peak = unit * sqrt(SCORE_STD)
        rows = (
            Tensor("x", p.n, d.d_model, 1, -unit, unit),
            Tensor("w_norm1", 1, d.d_model, 2, -0.5, 0.5, norm=True),
            Tensor("w_norm2", 1, d.d_model, 3, -0.5, 0.5, norm=True),
            Tensor("w_norm3", 1, d.d_model, 4, -0.5, 0.5, norm=True),
            Tensor("kcache", p.context, d.head_dim, 5, -peak, peak),
            Tensor("vcache", p.context, d.head_dim, 6, -peak, peak),
        )
        return {t.name: t for t in rows}

    @property
    def score_scale(self) -> float:
        return 1.0 / sqrt(self.dims.head_dim)

    def rope_tables(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """cos and sin, f32 [n, head_dim/2], of the positions past .. past+n-1, computed in double."""
        half = self.dims.head_dim // 2
        frequency = self.dims.rope_base ** (-np.arange(half, dtype=np.float64) / half)
        angle = np.arange(self.phase.past, self.phase.context, dtype=np.float64)[:, None] * frequency
        return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)

    def rope_buffers(self) -> tuple[Buffer, Buffer]:
        """The tables as buffers `rope_cos` and `rope_sin`."""
        cos, sin = (t.astype("<f4").tobytes() for t in self.rope_tables())
        return Buffer("rope_cos", len(cos), "hex", data=cos), Buffer("rope_sin", len(sin), "hex", data=sin)

    @cached_property
    def stages(self) -> dict[str, Stage]:
        """All stages of the layer, and `logits`, which belongs to a step of its own.

        A buffer is named as its stage, but for k and v, which are rows of the caches. A fused variant has
        no buffer for some (LAYER_OPTIONAL); what a step returns is compared.
        """
        d, p = self.dims, self.phase
        stages = [
            Stage("norm1", "norm1", p.n, d.d_model, 0, p.n),
            Stage("q", "q", p.n, d.q_dim, 0, p.n),
            Stage("k", "kcache", p.n, d.head_dim, p.past, p.context),
            Stage("v", "vcache", p.n, d.head_dim, p.past, p.context),
            Stage("attn", "attn", p.n, d.q_dim, 0, p.n),
            Stage("mid", "mid", p.n, d.d_model, 0, p.n),
            Stage("geglu", "geglu", p.n, d.hidden, 0, p.n),
            Stage("out", "out", p.n, d.d_model, 0, p.n),
            Stage("logits", "logits", 1, d.vocab, 0, 1),
        ]
        if p.past:  # what the cache held must still be there, bit by bit up to the precision of the cache
            stages += [
                Stage("kcache", "kcache", p.past, d.head_dim, 0, p.context),
                Stage("vcache", "vcache", p.past, d.head_dim, 0, p.context),
            ]
        return {s.name: s for s in stages}

    @cached_property
    def layer_weights(self) -> tuple[Weight, ...]:
        return tuple(self.weights[name] for name in ("wqkv", "wo", "wgateup", "wdown"))

    def layer_bytes(self, cache_item: int = 4) -> int:
        """Bytes the layer must at least read: weights, scales, and the cache (`cache_item` bytes a value)."""
        weights = sum(w.size + 4 * w.rows for w in self.layer_weights)
        return weights + 2 * self.phase.context * self.dims.head_dim * cache_item

    def layer_flops(self) -> int:
        """2 x multiply-accumulates of the linear layers and of attention."""
        n, past = self.phase.n, self.phase.past
        linear = n * sum(w.rows * w.cols for w in self.layer_weights)
        attended = sum(past + i + 1 for i in range(n))
        return 2 * (linear + 2 * attended * self.dims.q_dim)

    def logits_bytes(self) -> int:
        vocab = self.weights["wvocab"]
        return vocab.size + 4 * vocab.rows

    def logits_flops(self) -> int:
        vocab = self.weights["wvocab"]
        return 2 * vocab.rows * vocab.cols


LAYER_REQUIRED = ("k", "v", "attn", "mid", "out")
"""Stages that every variant of the layer returns."""
LAYER_OPTIONAL = ("norm1", "q", "geglu")
"""Stages that a fused variant may not have as a buffer."""
