"""Every Vulkan kernel against NumPy, at odd sizes, in each of its forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmafit.benchmarks.block import reference
from gemmafit.benchmarks.block.dims import Weight
from gemmafit.benchmarks.vulkan.modules import Module, product
from gemmafit.benchmarks.vulkan.variants import VkFacts

Run = Callable[..., list[NDArray[Any]]]

TYPES = {"fp32": np.float32, "fp16": np.float16}
TOLERANCE = {"fp32": 3e-6, "fp16": 1e-3}
EPS = 1e-6


def random(activation: str, *shape: int, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(TYPES[activation])


def near(found: NDArray[Any], expected: NDArray[Any], activation: str) -> None:
    expected = expected.astype(np.float32)
    distance = np.linalg.norm(found.astype(np.float32) - expected) / np.linalg.norm(expected)
    assert distance < TOLERANCE[activation]


@pytest.fixture(params=["fp32", "fp16"])
def activation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["plain", "sub"])
def lanes(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("group", [64, 24, 8])
def test_rmsnorm(run_kernel: Run, activation: str, lanes: str, group: int) -> None:
    x, w = random(activation, 3, 260), random("fp32", 260, seed=1)
    module = Module("rmsnorm.comp", (activation, lanes))
    (y,) = run_kernel(module, (group, 260, EPS), [x, w, np.zeros_like(x)], (), (3,), returns=[2])
    near(y, reference.rmsnorm(x.astype(np.float32), w, EPS), activation)


def test_rmsnorm_of_zeros_is_zero(run_kernel: Run, lanes: str) -> None:
    x, w = np.zeros((1, 64), np.float32), np.ones(64, np.float32)
    module = Module("rmsnorm.comp", ("fp32", lanes))
    (y,) = run_kernel(module, (64, 64, EPS), [x, w, x + 1], (), (1,), returns=[2])
    assert not y.any()


def test_residual_norm(run_kernel: Run, activation: str, lanes: str) -> None:
    x, r, w = random(activation, 3, 260), random(activation, 3, 260, seed=2), random("fp32", 260, seed=1)
    module = Module("rmsnorm.comp", ("residual", activation, lanes))
    inputs = [x, w, np.zeros_like(x), r, np.zeros_like(x)]
    y, total = run_kernel(module, (64, 260, EPS), inputs, (), (3,), returns=[2, 4])
    expected = x.astype(np.float32) + r.astype(np.float32)
    near(total, expected, activation)
    near(y, reference.rmsnorm(expected, w, EPS), activation)


def tables(n: int, past: int, dim: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    angle = (past + np.arange(n))[:, None] * 10000.0 ** (-2.0 * np.arange(dim // 2) / dim)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def test_rope(run_kernel: Run, activation: str) -> None:
    n, heads, dim, past = 5, 3, 24, 7
    x = random(activation, n, heads * dim)
    module = Module("rope.comp", (activation,))
    inputs = [x, *tables(n, past, dim), np.zeros_like(x)]
    (y,) = run_kernel(module, (64, heads, dim), inputs, (n, 0), (1,), returns=[3])
    near(y, reference.rope(x.astype(np.float32), dim, past, 10000.0), activation)


def test_rope_of_a_stack_appends_to_the_caches(run_kernel: Run, activation: str) -> None:
    n, heads, dim, past = 5, 3, 24, 7
    x = random(activation, n, (heads + 2) * dim)
    q = np.zeros((n, heads * dim), x.dtype)
    k, v = random(activation, past + n, dim, seed=3), random(activation, past + n, dim, seed=4)
    inputs = [x, *tables(n, past, dim), q, k, v]
    module = Module("rope.comp", ("stacked", activation))
    q2, k2, v2 = run_kernel(module, (64, heads, dim), inputs, (n, past), (2,), returns=[3, 4, 5])
    full = x.astype(np.float32)
    near(q2, reference.rope(full[:, : heads * dim], dim, past, 10000.0), activation)
    near(k2[past:], reference.rope(full[:, heads * dim : -dim], dim, past, 10000.0), activation)
    assert np.array_equal(v2[past:], x[:, -dim:])
    assert np.array_equal(k2[:past], k[:past])
    assert np.array_equal(v2[:past], v[:past])


def test_rows_are_appended(run_kernel: Run, activation: str) -> None:
    x, cache = random(activation, 3, 20), random(activation, 9, 20, seed=1)
    module = Module("rows.comp", (activation,))
    (y,) = run_kernel(module, (8, 20), [x, cache], (3, 5), (2,), returns=[1])
    assert np.array_equal(y, np.concatenate([cache[:5], x, cache[8:]]))


def test_add(run_kernel: Run, activation: str) -> None:
    a, b = random(activation, 52), random(activation, 52, seed=1)
    module = Module("add.comp", (activation,))
    (y,) = run_kernel(module, (8,), [a, b, np.zeros_like(a)], (13,), (2,), returns=[2])
    near(y, a.astype(np.float32) + b.astype(np.float32), activation)


def test_geglu(run_kernel: Run, activation: str) -> None:
    gate, up = random(activation, 52) * 4, random(activation, 52, seed=1)
    module = Module("geglu.comp", (activation,))
    (y,) = run_kernel(module, (8,), [gate, up, np.zeros_like(up)], (13,), (2,), returns=[2])
    near(y, reference.gelu_tanh(gate.astype(np.float32)) * up.astype(np.float32), activation)


def test_gelu_of_large_numbers_is_finite(run_kernel: Run) -> None:
    gate = np.array([-3e4, -50, -1e-30, 0, 1e-30, 50, 3e4, 3e30], np.float32)
    up = np.ones_like(gate)
    module = Module("geglu.comp", ("fp32",))
    (y,) = run_kernel(module, (8,), [gate, up, np.zeros_like(up)], (2,), (1,), returns=[2])
    assert np.allclose(y, np.where(gate > 1, gate, np.where(gate < -1, 0, gate / 2)), rtol=1e-6, atol=0)


@pytest.mark.parametrize("past", [0, 1, 63, 64, 130])
def test_attention(run_kernel: Run, activation: str, lanes: str, past: int) -> None:
    n, heads, dim = 3, 3, 36
    q = random(activation, n, heads * dim)
    k, v = random(activation, past + n, dim, seed=1), random(activation, past + n, dim, seed=2)
    module = Module("attention.comp", (activation, lanes))
    constants = (64, heads, dim, dim**-0.5)
    (y,) = run_kernel(module, constants, [q, k, v, np.zeros_like(q)], (past,), (heads, n), returns=[3])
    q32, k32, v32 = (a.astype(np.float32) for a in (q, k, v))
    near(y, reference.attention(q32, k32, v32, heads, past), activation)


@pytest.mark.parametrize(("past", "span"), [(130, 50), (99, 50), (100, 50), (20, 7)])
def test_attention_in_pieces(run_kernel: Run, activation: str, lanes: str, past: int, span: int) -> None:
    """Scores of very different sizes in the pieces: each has a maximum of its own."""
    heads, dim = 3, 36
    pieces = -(-(past + 1) // span)
    q = random(activation, 1, heads * dim)
    k, v = random(activation, past + 1, dim, seed=1), random(activation, past + 1, dim, seed=2)
    k *= np.linspace(0, 4, past + 1, dtype=k.dtype)[:, None]
    sums, maximum = np.zeros((pieces, heads, dim), np.float32), np.zeros((pieces, heads, 2), np.float32)
    module = Module("attention.comp", ("pieces", activation, lanes))
    constants, groups = (64, heads, dim, dim**-0.5, span), (heads, 1, pieces)
    sums, maximum = run_kernel(module, constants, [q, k, v, sums, maximum], (past,), groups, returns=[3, 4])
    merge = Module("attention_merge.comp", (activation,))
    inputs = [sums, maximum, np.zeros_like(q)]
    (y,) = run_kernel(merge, (8, heads, dim), inputs, (pieces,), (heads,), returns=[2])
    q32, k32, v32 = (a.astype(np.float32) for a in (q, k, v))
    near(y, reference.attention(q32, k32, v32, heads, past), activation)


def test_attention_with_large_scores(run_kernel: Run, lanes: str) -> None:
    """Scores of +-2000: exp() overflows unless the maximum is taken off first."""
    q = np.full((1, 16), 500, np.float32)
    k = np.linspace(-1, 1, 100, dtype=np.float32)[:, None].repeat(16, 1)
    v = random("fp32", 100, 16)
    module = Module("attention.comp", ("fp32", lanes))
    (y,) = run_kernel(module, (16, 1, 16, 0.25), [q, k, v, q], (99,), (1, 1), returns=[3])
    near(y, reference.attention(q, k, v, 1, 99), "fp32")


LANES_KERNELS = [
    ("linear", "plain", 8, False),
    ("linear", "plain", 4, False),
    ("linear", "plain", 8, True),
    ("linear", "sub", 8, False),
    ("linear", "sub", 4, False),
    ("linear", "shuffle", 8, False),
    ("linear", "shuffle", 4, False),
    ("linear", "shuffle", 8, True),
    ("engine", "", 8, False),
    ("engine", "", 4, False),
]


@pytest.mark.parametrize("form", ["", "residual", "gated"])
@pytest.mark.parametrize("tokens", [1, 11])
@pytest.mark.parametrize(("layout", "lanes", "bits", "storage8"), LANES_KERNELS)
def test_linear(
    run_kernel: Run,
    activation: str,
    layout: str,
    lanes: str,
    bits: int,
    storage8: bool,
    tokens: int,
    form: str,
) -> None:
    """72 stored rows of which 69 are asked for, 96 columns; they are rows 4 .. of the whole matrix."""
    stored, rows, first, stride, columns, parts = 72, 69, 4, 80, 96, 3 if tokens == 1 else 1
    tile, width = (24, 8) if layout == "linear" else (stored, 8)
    weights = [Weight(f"w{i}", stored, columns, bits, 5 + i, 0.01, 0.03) for i in (0, 1)]
    storage = (tile, 16 if bits == 8 else 32) if layout == "linear" else (stored, 4)
    scales = [random("fp32", stride, seed=8 + i) / 100 for i in (0, 1)]
    x, r = random(activation, tokens, columns), random(activation, tokens, stride, seed=7)
    y = np.full((tokens, stride), 99, x.dtype)
    inputs: list[Any] = [weights[0].buffer(storage), scales[0], x, y]
    if form == "gated":
        inputs += [weights[1].buffer(storage), scales[1]]
    elif form == "residual":
        inputs += [r]
    at_once = 1 if tokens == 1 else 8
    module = product(layout, form, bits, at_once, activation, lanes, storage8=storage8)
    groups = (-(-rows // (width * (1 if layout == "linear" else 4))), -(-tokens // at_once))
    constants = (width * parts, parts, columns, tile, stride)
    (found,) = run_kernel(module, constants, inputs, (tokens, rows, first, 0), groups, returns=[3])

    def linear(i: int) -> NDArray[np.float32]:
        w = reference.values(weights[i], 0, rows)
        return ((x.astype(np.float32) @ w.T) * scales[i][first : first + rows]).astype(np.float32)

    expected = linear(0)
    if form == "gated":
        expected = reference.gelu_tanh(expected) * linear(1)
    elif form == "residual":
        expected += r[:, first : first + rows].astype(np.float32)
    near(found[:, first : first + rows], expected, activation)
    untouched = np.delete(found, np.s_[first : first + rows], axis=1)
    assert (untouched == 99).all()


@pytest.mark.parametrize("interleaved", [0, 1])
def test_quantize(run_kernel: Run, activation: str, lanes: str, interleaved: int) -> None:
    x = random(activation, 3, 72)
    x[1] = 0
    q, s = np.zeros((3, 72), np.int8), np.full(3, 9, np.float32)
    module = Module("quantize.comp", (activation, lanes))
    q, s = run_kernel(module, (24, 72, interleaved), [x, q, s], (), (3,), returns=[1, 2])
    expected, scales = reference.quantize(x.astype(np.float32))
    if interleaved:
        q = q.reshape(3, 9, 2, 4).transpose(0, 1, 3, 2).reshape(3, 72)
    assert np.abs(q - expected).max() <= 1  # a value at the edge of a step may round the other way
    assert np.mean(q != expected) < 0.02
    assert np.allclose(s, scales[:, 0], rtol=1e-6, atol=0)


@pytest.mark.parametrize("form", ["", "residual", "gated"])
@pytest.mark.parametrize("tokens", [1, 11])
@pytest.mark.parametrize("lanes", ["plain", "sub", "shuffle"])
@pytest.mark.parametrize("bits", [8, 4])
def test_linear_with_integer_dot_products(
    run_kernel: Run, vulkan_facts: VkFacts, lanes: str, bits: int, tokens: int, form: str
) -> None:
    if not vulkan_facts.integer_dot:
        pytest.skip("no integer dot product on this driver")
    rows, columns, parts = 40, 96, 3 if tokens == 1 else 1
    weights = [Weight(f"w{i}", rows, columns, bits, 5 + i, 0.01, 0.03) for i in (0, 1)]
    scales = [random("fp32", rows, seed=8 + i) / 100 for i in (0, 1)]
    x = np.random.default_rng(1).integers(-127, 128, (tokens, columns)).astype(np.int8)
    x_scales, r = random("fp32", tokens, seed=3) / 50, random("fp32", tokens, rows, seed=7)
    stored = x
    if bits == 4:  # of every 8 columns the even ones, then the odd ones
        stored = np.ascontiguousarray(x.reshape(tokens, -1, 4, 2).transpose(0, 1, 3, 2)).reshape(tokens, -1)
    tile = (8, 16 if bits == 8 else 32)
    inputs: list[Any] = [weights[0].buffer(tile), scales[0], stored, np.zeros((tokens, rows), np.float32)]
    if form == "gated":
        inputs += [weights[1].buffer(tile), scales[1]]
    elif form == "residual":
        inputs += [r]
    at_once = 1 if tokens == 1 else 8
    module = product("linear", form, bits, at_once, "fp32", lanes, dot8=True)
    constants = (8 * parts, parts, columns, 8, rows)
    groups = (rows // 8, -(-tokens // at_once))
    (found,) = run_kernel(module, constants, [*inputs, x_scales], (tokens, rows, 0, 0), groups, returns=[3])

    def linear(i: int) -> NDArray[np.float32]:
        exact = x.astype(np.float64) @ reference.values(weights[i], 0, rows).T
        return (exact * scales[i] * x_scales[:, None]).astype(np.float32)

    expected = linear(0)
    if form == "gated":
        expected = reference.gelu_tanh(expected) * linear(1)
    elif form == "residual":
        expected += r
    near(found, expected, "fp32")
