"""The NumPy reference against the model written down once more: plain loops, double precision."""

import math

import numpy as np
import pytest

from gemmafit.benchmarks.block import fill, reference
from gemmafit.benchmarks.block.deviation import compare
from gemmafit.benchmarks.block.dims import GEMMA_2B, SMALL, Block, Dims, Phase, Scheme, decode, prefill

TINY = Dims(d_model=48, heads=2, head_dim=16, hidden=80, vocab=24, vocab_total=24, layers=1)


def matrix(block: Block, name: str) -> list[list[float]]:
    """A weight matrix with its scales applied, from the stored bytes."""
    w = block.weights[name]
    raw = fill.contents(w.buffer())
    scale = fill.contents(w.scale_buffer()).view("<f4")
    rows = []
    for r in range(w.rows):
        if w.bits == 8:
            values = [int(v) for v in raw.view(np.int8)[r * w.cols : (r + 1) * w.cols]]
        else:
            stored = raw[r * w.cols // 2 : (r + 1) * w.cols // 2]
            values = [n - 8 for byte in stored for n in (int(byte) & 15, int(byte) >> 4)]
        rows.append([v * float(scale[r]) for v in values])
    return rows


def floats(block: Block, name: str) -> list[list[float]]:
    t = block.tensors[name]
    return fill.contents(t.buffer()).view("<f4").astype(float).reshape(t.rows, t.cols).tolist()


def product(w: list[list[float]], x: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, x, strict=True)) for row in w]


def norm(x: list[float], w: list[float]) -> list[float]:
    rms = math.sqrt(sum(v * v for v in x) / len(x) + 1e-6)
    return [v / rms * (1 + g) for v, g in zip(x, w, strict=True)]


def turn(x: list[float], position: int, dim: int) -> list[float]:
    out = list(x)
    for head in range(0, len(x), dim):
        for i in range(dim // 2):
            angle = position * 10000.0 ** (-2 * i / dim)
            a, b = x[head + i], x[head + i + dim // 2]
            out[head + i] = a * math.cos(angle) - b * math.sin(angle)
            out[head + i + dim // 2] = b * math.cos(angle) + a * math.sin(angle)
    return out


def gelu(v: float) -> float:
    return 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))


def model(block: Block) -> dict[str, list[list[float]]]:
    """Every stage, token after token."""
    d, past = block.dims, block.phase.past
    names = ("wq", "wk", "wv", "wo", "wgate", "wup", "wdown", "wvocab")
    w = {name: matrix(block, name) for name in names}
    keys, values = floats(block, "kcache")[:past], floats(block, "vcache")[:past]
    stages: dict[str, list[list[float]]] = {
        s: [] for s in ("norm1", "q", "k", "v", "attn", "mid", "geglu", "out")
    }
    for token, x in enumerate(floats(block, "x")):
        n1 = norm(x, floats(block, "w_norm1")[0])
        q = turn(product(w["wq"], n1), past + token, d.head_dim)
        k = turn(product(w["wk"], n1), past + token, d.head_dim)
        v = product(w["wv"], n1)
        keys.append(k)
        values.append(v)
        attn: list[float] = []
        for head in range(d.heads):
            mine = q[head * d.head_dim : (head + 1) * d.head_dim]
            scores = [math.exp(s / math.sqrt(d.head_dim)) for s in product(keys, mine)]
            total = sum(scores)
            attn += [
                sum(s * row[i] for s, row in zip(scores, values, strict=True)) / total
                for i in range(d.head_dim)
            ]
        mid = [a + b for a, b in zip(x, product(w["wo"], attn), strict=True)]
        n2 = norm(mid, floats(block, "w_norm2")[0])
        geglu = [gelu(g) * u for g, u in zip(product(w["wgate"], n2), product(w["wup"], n2), strict=True)]
        out = [a + b for a, b in zip(mid, product(w["wdown"], geglu), strict=True)]
        row = {"norm1": n1, "q": q, "k": k, "v": v, "attn": attn, "mid": mid, "geglu": geglu, "out": out}
        for name, value in row.items():
            stages[name].append(value)
    stages["logits"] = [product(w["wvocab"], norm(floats(block, "x")[0], floats(block, "w_norm3")[0]))]
    return stages


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("phase", [decode(9), prefill(5, 3), prefill(4)], ids=["decode", "chunk", "first"])
def test_against_a_plain_model(scheme: Scheme, phase: Phase) -> None:
    block = Block(TINY, scheme, phase)
    expected = model(block)
    found = reference.layer(block) | {"logits": reference.logits(block)}
    for name, rows in expected.items():
        d = compare(found[name], np.array(rows, np.float32), name, 1e-5)
        assert d.ok, (name, d)


@pytest.mark.parametrize("scheme", Scheme)
def test_rounded_activations_stay_within_two_percent(scheme: Scheme) -> None:
    """The premise of the tolerance for int8 activations (block.py chooses the tensors so)."""
    block = Block(GEMMA_2B, scheme, decode(128))
    exact, rounded = reference.layer(block), reference.layer(block, "qd8")
    for name in ("q", "k", "attn", "mid", "geglu", "out"):
        distance = compare(rounded[name], exact[name], name, 0.02)
        assert 1e-3 < distance.rel_l2 < 0.02, distance


def test_attention_is_far_from_an_average() -> None:
    """Otherwise a wrong score would not show in the output."""
    block = Block(GEMMA_2B, Scheme.INT8, decode(128))
    stages = reference.layer(block)
    keys = np.concatenate([stages["kcache"], stages["k"]])
    scores = stages["q"].reshape(8, 256) @ keys.T / 16
    assert 1.5 < scores.std() < 2.6
    average = np.concatenate([stages["vcache"], stages["v"]]).mean(axis=0)
    assert not compare(np.tile(average, (1, 8)), stages["attn"], "attn", 0.5).ok


def test_activations_keep_their_size() -> None:
    for scheme in Scheme:
        stages = reference.layer(Block(GEMMA_2B, scheme, decode(64)))
        for name, rows in stages.items():
            rms = float(np.sqrt(np.mean(rows.astype(np.float64) ** 2)))
            assert 0.4 < rms < 1.8, (scheme, name, rms)


def test_sizes_that_could_be_mixed_up_differ() -> None:
    d = SMALL
    assert len({d.d_model, d.q_dim, d.hidden, d.vocab, d.head_dim}) == 5


def test_bytes_and_operations() -> None:
    """Gemma-2B's published counts: 169,869,312 + 1,811,939,328 parameters in 18 layers."""
    int8, int4 = (Block(GEMMA_2B, s, decode(0)) for s in Scheme)
    attention, ffn = 169_869_312 // 18, 1_811_939_328 // 18
    scales = 4 * (2560 + 2048 + 2 * 16384 + 2048)
    cache = 2 * 256 * 4
    assert int8.layer_bytes() == attention + ffn + scales + cache
    assert int4.layer_bytes() == attention + ffn // 2 + scales + cache
    assert int8.layer_flops() == int4.layer_flops() == 2 * (attention + ffn) + 4 * 2048
