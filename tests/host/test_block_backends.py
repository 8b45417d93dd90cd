"""The same block, the same vectors, on every backend and in both interpreters of this computer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gemmafit.base.names import Status
from gemmafit.benchmarks.block import fill, reference
from gemmafit.benchmarks.block.deviation import TOLERANCE
from gemmafit.benchmarks.block.dims import GEMMA_2B, SMALL, Block, Scheme, decode, prefill
from gemmafit.benchmarks.timing import Timing

ONCE = Timing(warmup=0, repeat_min=2, repeat_max=2)
PHASES = [decode(37), decode(1100), prefill(32), prefill(19, 6)]


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("phase", PHASES, ids=["decode", "long-cache", "prefill", "odd-chunk"])
def test_every_variant_is_right_and_repeats_its_bits(
    runner: Any, scheme: Scheme, phase: Any, compare: Any, reference_of: Any
) -> None:
    block = Block(SMALL, scheme, phase)
    lower = runner.lowerer()
    expected = reference_of(block)
    for candidate in lower.candidates():
        run = runner.run(lower.lower(block, candidate.name, ONCE, logits=True))
        steps = run.result.steps
        assert all(s.status is Status.OK for s in steps), (candidate, steps, run.result.builds)
        assert [s.name for s in steps] == [phase.name, *(["logits"] if phase.n == 1 else [])]
        assert all(s.deterministic for s in steps), candidate
        found = compare(block, run, expected, candidate.precision_of(phase.name))
        assert {d.stage for d in found} >= {"k", "v", "mid", "out"}, candidate
        assert all(d.ok for d in found), (candidate, [d for d in found if not d.ok])


def test_int8_activations_agree_with_a_reference_that_rounds(compare: Any, cpu: Any) -> None:
    """Against the exact reference 2 % are allowed; what the CPU computes is far closer to what it should."""
    block = Block(SMALL, Scheme.INT4, prefill(16, 5))
    run = cpu.run(cpu.lowerer().lower(block, "unfused", ONCE, logits=False))
    found = compare(block, run, reference.layer(block, "qd8"), "qd8-exact")
    assert len(found) == 10 and all(d.ok for d in found), found


@pytest.mark.parametrize("scheme", Scheme)
def test_true_size(runner: Any, scheme: Scheme, compare: Any, reference_of: Any) -> None:
    block = Block(GEMMA_2B, scheme, decode(64))
    lower = runner.lowerer()
    candidate = lower.candidates()[0]
    run = runner.run(lower.lower(block, candidate.name, ONCE, logits=True))
    found = compare(block, run, reference_of(block), candidate.precision)
    assert {d.stage for d in found} >= {"out", "logits"}
    assert all(d.ok for d in found), found


def _without_one(x: np.ndarray, w: np.ndarray, eps: float) -> np.ndarray:
    rms = np.sqrt(np.mean(x.astype(np.float64) ** 2, axis=1, keepdims=True) + eps)
    scaled: np.ndarray = (x / rms * w).astype(np.float32)
    return scaled


def _swapped(nibbles: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda *args: nibbles(*args).reshape(-1, 2)[:, ::-1].reshape(-1)


# name -> (what is replaced in the reference, by what, given the original)
REFERENCE_MUTATIONS: dict[str, tuple[Any, str, Callable[[Any], Any]]] = {
    "rope sign": (reference, "rope", lambda f: lambda x, dim, past, base: _conjugate(f, x, dim, past, base)),
    "missing 1+w": (reference, "rmsnorm", lambda f: _without_one),
    "swapped nibbles": (fill, "nibbles", _swapped),
    "missing scale": (fill, "floats", lambda f: lambda s, a, b, lo, hi: _unscaled(f, s, a, b, lo, hi)),
    "softmax scale": (
        reference,
        "attention",
        lambda f: lambda q, k, v, heads, past: f(q * np.float32(k.shape[1] ** -0.5), k, v, heads, past),
    ),
    "gelu sign": (reference, "gelu_tanh", lambda f: lambda x: x - f(x)),
    "cache position": (
        reference,
        "rope",
        lambda f: lambda x, dim, past, base: f(x, dim, past + (x.shape[1] == dim), base),
    ),
}


def _conjugate(rope: Any, x: np.ndarray, dim: int, past: int, base: float) -> np.ndarray:
    """Turned the other way: turn the mirrored pairs and mirror them back."""
    mirror = np.tile(np.repeat([1, -1], dim // 2).astype(np.float32), x.shape[1] // dim)
    turned: np.ndarray = rope(x * mirror, dim, past, base) * mirror
    return turned


def _unscaled(floats: Any, seed: int, start: int, stop: int, lo: float, hi: float) -> np.ndarray:
    """Weight scales (seeds above 100) all the same; other tensors as they are."""
    values: np.ndarray = floats(seed, start, stop, lo, hi)
    return np.full_like(values, (lo + hi) / 2) if seed > 100 else values


@pytest.mark.parametrize("mutation", REFERENCE_MUTATIONS)
def test_a_subtly_different_model_is_noticed(
    runner: Any, mutation: str, compare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other way round than wrong kernels, and so for every backend: what it returns does not pass as the
    output of a model that differs in one detail."""
    block = Block(SMALL, Scheme.INT4, decode(37))
    lower = runner.lowerer()
    candidate = lower.candidates()[0]
    run = _run_once(runner, lower.lower(block, candidate.name, ONCE, logits=False))
    assert all(d.ok for d in compare(block, run, reference.layer(block), candidate.precision))
    module, name, change = REFERENCE_MUTATIONS[mutation]
    monkeypatch.setattr(module, name, change(getattr(module, name)))
    found = compare(block, run, reference.layer(block), candidate.precision)
    assert max(d.rel_l2 for d in found) > 5 * max(TOLERANCE.values()), (mutation, found)


_results: dict[Any, Any] = {}


def _run_once(runner: Any, plan: Any) -> Any:
    if runner not in _results:
        _results[runner] = runner.run(plan)
    return _results[runner]
