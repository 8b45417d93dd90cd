"""The reference: the block of `dims.py` in NumPy, float32, every stage returned.

It shares the definition of the tensors with the backends and nothing else: RoPE is a complex rotation
here, the softmax goes over a full masked matrix, weights are expanded to floats a few rows at a time
(peak memory some 30 MB beside the results).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import fill
from .dims import Block, Tensor, Weight

Array = NDArray[np.float32]
Activations = Literal["fp32", "qd8"]
"""fp32: exact. qd8: the input of each linear layer is rounded to int8 with one scale a row, as the shipped
CPU engine does; then only the order of float sums is left as a difference to the CPU kernels."""

_CHUNK = 4 << 20  # weights expanded to float at once


def values(w: Weight, start: int, stop: int) -> Array:
    """Rows start .. stop-1 of a weight matrix as integers in float32, without their scales."""
    first = (w.first_row + start) * w.cols
    last = (w.first_row + stop) * w.cols
    if w.bits == 8:
        return fill.int8(w.seed, first, last).astype(np.float32).reshape(-1, w.cols)
    return fill.nibbles(w.seed, first, last).astype(np.float32).reshape(-1, w.cols) - np.float32(8)


def tensor(t: Tensor) -> Array:
    """The values of a tensor as every backend fills it, f32 [rows, cols]."""
    return fill.floats(t.seed, 0, t.rows * t.cols, t.lo, t.hi).reshape(t.rows, t.cols)


def quantize(x: Array) -> tuple[Array, Array]:
    """int8 values (held as float32) and one scale a row [n, 1]; a row of zeros has scale 0."""
    peak = np.abs(x).max(axis=1, keepdims=True)
    inverse = np.divide(np.float32(127), peak, out=np.zeros_like(peak), where=peak > 0)
    return np.rint(x * inverse), peak / np.float32(127)


def linear(x: Array, w: Weight, activations: Activations) -> Array:
    """x [n, cols] . w^T -> [n, rows]."""
    scale: Array | None = None
    if activations == "qd8":
        x, scale = quantize(x)
    y = np.empty((len(x), w.rows), np.float32)
    step = max(1, _CHUNK // w.cols)
    for start in range(0, w.rows, step):
        stop = min(start + step, w.rows)
        y[:, start:stop] = x @ values(w, start, stop).T
    y *= fill.floats(w.scale_seed, w.first_row, w.first_row + w.rows, w.lo, w.hi)
    if scale is not None:
        y *= scale
    return y


def rmsnorm(x: Array, w: Array, eps: float) -> Array:
    """Each row of x over its root mean square, times 1 + w; sums in double."""
    mean_square = np.mean(x.astype(np.float64) ** 2, axis=1, keepdims=True)
    normed = x / np.sqrt(mean_square + eps)
    y: Array = (normed * (1.0 + w.astype(np.float64))).astype(np.float32)
    return y


def rope(x: Array, head_dim: int, past: int, base: float) -> Array:
    """Rotate the pairs (i, i + head_dim/2) of every head by position * base^(-2i/head_dim).

    x: [n, heads * head_dim], its first row at position `past`.
    """
    n, width = x.shape
    halves = x.reshape(n, width // head_dim, 2, head_dim // 2).astype(np.float64)
    pairs = halves[:, :, 0] + 1j * halves[:, :, 1]
    positions = past + np.arange(n)
    angle = positions[:, None, None] * base ** (-2.0 * np.arange(head_dim // 2) / head_dim)
    turned = pairs * np.exp(1j * angle)
    return np.stack([turned.real, turned.imag], axis=2).reshape(n, width).astype(np.float32)


def attention(q: Array, k: Array, v: Array, heads: int, past: int) -> Array:
    """q [n, heads * dim] against one key-value head k, v [past + n, dim]; token i sees rows 0 .. past + i."""
    n, dim = len(q), k.shape[1]
    hidden = np.arange(past + n)[None, :] > past + np.arange(n)[:, None]
    out = np.empty((n, heads, dim), np.float32)
    for h in range(heads):
        scores = q[:, h * dim : (h + 1) * dim] @ k.T * np.float32(dim**-0.5)
        scores[hidden] = -np.inf
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, h] = weights @ v / weights.sum(axis=1, keepdims=True)
    return out.reshape(n, heads * dim)


def gelu_tanh(x: Array) -> Array:
    """The tanh form of GELU, which Gemma's feed-forward part uses."""
    inner: Array = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)
    y: Array = (0.5 * x * (1 + np.tanh(inner))).astype(np.float32)
    return y


def layer(block: Block, activations: Activations = "fp32") -> dict[str, Array]:
    """All stages of the layer, by the names of `Block.stages`."""
    d, phase, w = block.dims, block.phase, block.weights
    t = {name: tensor(row) for name, row in block.tensors.items()}
    x, past = t["x"], phase.past

    norm1 = rmsnorm(x, t["w_norm1"], d.eps)
    q = rope(linear(norm1, w["wq"], activations), d.head_dim, past, d.rope_base)
    k = rope(linear(norm1, w["wk"], activations), d.head_dim, past, d.rope_base)
    v = linear(norm1, w["wv"], activations)
    cached_k, cached_v = t["kcache"][:past], t["vcache"][:past]
    attn = attention(q, np.concatenate([cached_k, k]), np.concatenate([cached_v, v]), d.heads, past)
    mid = x + linear(attn, w["wo"], activations)

    norm2 = rmsnorm(mid, t["w_norm2"], d.eps)
    geglu = gelu_tanh(linear(norm2, w["wgate"], activations)) * linear(norm2, w["wup"], activations)
    out = mid + linear(geglu, w["wdown"], activations)
    return {
        "norm1": norm1,
        "q": q,
        "k": k,
        "v": v,
        "attn": attn,
        "mid": mid,
        "geglu": geglu,
        "out": out,
    } | ({"kcache": cached_k, "vcache": cached_v} if past else {})


def logits(block: Block, activations: Activations = "fp32") -> Array:
    """Logits [1, vocab] of the first token of x."""
    x = tensor(block.tensors["x"])[:1]
    norm = rmsnorm(x, tensor(block.tensors["w_norm3"]), block.dims.eps)
    return linear(norm, block.weights["wvocab"], activations)
