"""Which settings a sweep has, and what its rows are said to say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gemmafit.base.names import Backend, Status
from gemmafit.benchmarks.backends import Candidate, lowerer
from gemmafit.benchmarks.block.dims import Scheme
from gemmafit.benchmarks.measurements import Deviation, Measurement
from gemmafit.benchmarks.statistics import gain, spread
from gemmafit.benchmarks.sweeps.findings import above_the_roof, findings
from gemmafit.benchmarks.sweeps.settings import (
    CHUNKS,
    CONTEXTS,
    Base,
    Sweep,
    fusion_pair,
    merged,
    points,
    thread_counts,
)
from gemmafit.probes.snapshot import Snapshot

LANES = Candidate("lanes", "fp32", engine=False, fused=True)
ENGINE = Candidate("engine", "fp32", engine=True, fused=True)
LANES_UNFUSED = Candidate("plain", "fp32", engine=False, fused=False, fused_as="lanes")
BASE = Base(LANES, Scheme.INT8, context=128, chunk=32)
RIGHT = Deviation(0.1, 0.01, 0.99, "out", 0.02)


def row(sweep: str, at: object, *samples_ms: float, **changes: Any) -> Measurement:
    made = Measurement(
        Backend.OPENCL, "int8", "decode", "lanes", Status.OK, samples_s=tuple(ms / 1e3 for ms in samples_ms),
        deviation=RIGHT, details={"sweep": sweep, "at": at}, bytes=10**8, flops=2 * 10**8, tokens=1,
    )  # fmt: skip
    return replace(made, **changes)


def text(*rows: Measurement) -> str:
    return "\n".join(f.text for f in findings(rows))


def test_fusing_is_compared_with_the_same_layout() -> None:
    assert fusion_pair([ENGINE, LANES, LANES_UNFUSED]) == (LANES_UNFUSED, LANES)
    cpu = lowerer(Backend.CPU, Snapshot("local")).candidates()
    assert [c.name for c in fusion_pair(cpu)] == ["unfused", "fused"]
    assert fusion_pair([ENGINE, LANES]) == ()
    assert fusion_pair([ENGINE, LANES_UNFUSED]) == ()


def test_a_sweep_varies_one_thing() -> None:
    candidates = [LANES, LANES_UNFUSED]
    chunk = points(Sweep.CHUNK, BASE, candidates, 4)
    assert [(p.at, p.phase.n) for p in chunk] == [(n, n) for n in CHUNKS]
    context = points(Sweep.CONTEXT, BASE, candidates, 4)
    assert [(p.at, p.phase.past, p.phase.n) for p in context] == [(n, n, 1) for n in CONTEXTS]
    for p in (*chunk, *context):
        assert (p.scheme, p.candidate, p.threads) == (Scheme.INT8, LANES, None)
    weights = points(Sweep.WEIGHTS, BASE, candidates, 4)
    assert {(p.phase.name, p.scheme, p.at) for p in weights} == {
        (phase, scheme, str(scheme)) for phase in ("decode", "prefill") for scheme in Scheme
    }
    threads = points(Sweep.THREADS, BASE, candidates, 4)
    assert [p.threads for p in threads if p.phase.name == "decode"] == [1, 2, 3, 4]


def test_thread_counts_end_with_all_cores() -> None:
    assert thread_counts(1) == (1,)
    assert thread_counts(8) == tuple(range(1, 9))
    assert thread_counts(10) == (1, 2, 4, 6, 8, 10)
    assert thread_counts(128)[-1] == 64  # CPU_MAX_THREADS of the agent


def test_gain_is_a_ratio_of_medians_with_what_the_spread_leaves_open() -> None:
    change = gain([2.0, 2.02, 1.98, 2.0], [1.0, 1.01, 0.99, 1.0])
    assert change is not None
    assert change.ratio == pytest.approx(2.0) and 1.9 < change.low < 2 < change.high < 2.1
    assert change.beyond(0.1) and not change.beyond(1.1)
    noisy = gain([1.0, 2.0, 3.0], [0.9, 1.8, 2.7])
    assert noisy is not None and noisy.low < 1 < noisy.high and not noisy.beyond(0.03)
    assert gain([], [1.0]) is None and gain([0.0], [1.0]) is None


def test_spread_is_that_of_a_normal_deviation() -> None:
    assert spread([1.0]) is None
    assert spread([1.0, 1.0, 9.0]) == 0  # one outlier is no spread
    assert spread([0.9, 1.0, 1.1]) == pytest.approx(0.14826)


def test_faster_is_said_with_its_ratio() -> None:
    said = text(row("fusion", "unfused", 20, 20.2, 19.8), row("fusion", "fused", 10, 10.1, 9.9))
    assert said.startswith("decode: fused is 2 times as fast as unfused (1.")
    assert "10 ms against 20 ms" in said


def test_fused_that_is_not_faster_is_said_to_be_so() -> None:
    slower = text(row("fusion", "unfused", 10, 10.1, 9.9), row("fusion", "fused", 20, 20.2, 19.8))
    assert "fused is NOT faster than unfused but 2 times slower" in slower
    same = text(row("fusion", "unfused", 10, 12, 8), row("fusion", "fused", 10.1, 12, 8))
    assert "not faster than unfused, nor slower, beyond the noise" in same


@pytest.mark.parametrize(
    "changes",
    [
        {"valid": False, "reason": "throttled"},
        {"status": Status.ERROR, "reason": "throttled", "samples_s": ()},
        {"deviation": Deviation(1, 0.5, 0.1, "out", 0.02)},
    ],
    ids=["void", "error", "wrong"],
)
def test_nothing_is_concluded_from_what_is_not_sound(changes: dict[str, Any]) -> None:
    fast = row("fusion", "fused", 10, 10, 10)
    said = findings([fast, row("fusion", "unfused", 20, 20, 20, **changes)])
    assert [f.gain for f in said] == [None] and "one is missing" in said[0].text
    alone = text(row("fusion", "unfused", 20, 20, 20, **changes))
    assert "nothing measured" in alone and ("throttled" in alone or "wrong" in alone)


def test_best_chunk_is_the_smallest_of_the_fastest() -> None:
    rows = [
        row("chunk", n, *(ms * k for k in (0.99, 1, 1.01)), phase="prefill", tokens=n)
        for n, ms in ((8, 16.0), (16, 20.0), (32, 32.0), (64, 63.5), (128, 160.0))
    ]
    found = findings(rows)
    assert "fastest in chunks of 32 (1000 tokens/s through one layer), 2 times" in found[0].text
    assert found[0].gain is not None and found[0].gain.ratio == pytest.approx(2.0)
    assert "larger ones were not measured" in text(*rows[:3]) and "larger" not in found[0].text


def test_context_and_threads_in_words() -> None:
    long = text(*(row("context", n, *[ms] * 3, context=n + 1) for n, ms in ((4096, 15.0), (128, 10.0))))
    assert "with 4096 tokens in the cache takes 1.5 times as long as with 128: 15 ms against 10 ms" in long
    used = {"backend": Backend.CPU, "driver": "isa dotprod, cpus 4-7"}
    said = text(*(row("threads", n, *[ms] * 3, **used) for n, ms in ((1, 40.0), (2, 20.0), (4, 19.8))))
    assert said == "decode: 2 threads on cores 4-7 are enough, 2 times as fast as 1 (of up to 4 tried)."


def test_what_keeping_kernels_gains() -> None:
    kept = {"kept": 5, "sweep": "build"}
    rows = [
        row("build", "first", 1450, 1450),
        row("build", "second", 1450, 1450),
        row("build", "cold", 145, 145, details={**kept, "at": "cold"}),
        row("build", "warm", 145, 145, details={**kept, "at": "warm"}),
    ]
    said = text(*rows).splitlines()
    assert said == [
        "compiling the kernels and running them once takes 1.45 s.",
        "the driver's own cache, in a second process: no gain (1.45 s).",
        "kernels that we kept, read from storage: 10 times as fast (145 ms).",
        "kernels that we kept, read from memory: 10 times as fast (145 ms).",
    ]
    refused = {"kept": 0, "notes": ["CL_INVALID_BINARY"], "sweep": "build", "at": "warm"}
    said = text(rows[0], row("build", "warm", 1400, 1500, details=refused)).splitlines()
    assert said[1] == "kernels that we kept, read from memory: the driver takes none (CL_INVALID_BINARY)."
    assert text(row("threads", "", status=Status.UNSUPPORTED, reason="no")) == ""


def test_shards_are_compared_in_time_and_memory() -> None:
    def load(at: str, ms: float, peak: int) -> Measurement:
        return row("load", at, ms, ms, ms, details={"sweep": "load", "at": at, "peak_rss_bytes": peak})

    rows = load("whole-cold", 200, 250_000_000), load("shards-cold", 100, 140_000_000)
    assert text(*rows) == (
        "cold weights: loading in shards is 2 times as fast as loading at once (2 to 2): 100 ms against 200 ms "
        "to the first token of a layer, with 140 MB against 250 MB at most."
    )
    not_cold = replace(rows[0], status=Status.SKIPPED, samples_s=(), reason="stays in memory")
    assert text(not_cold, rows[1]) == "load: no two ways of loading to compare."


def test_there_and_back_is_one_row_with_the_worse_of_both() -> None:
    worse = replace(RIGHT, rel_l2=0.019)
    there = row("fusion", "fused", 10, deterministic=True), row("fusion", "unfused", 20, deterministic=True)
    back = row("fusion", "unfused", 22, deterministic=False), row("fusion", "fused", 11, deviation=worse)
    fused, unfused = merged([*there, *back])
    assert fused.samples_s == (0.010, 0.011) and unfused.samples_s == (0.020, 0.022)
    assert fused.deviation == worse and unfused.deterministic is False and fused.deterministic is None
    void = replace(back[1], valid=False, reason="busy")
    assert merged([there[0], void])[0].samples_s == (0.010,) and merged([void, there[0]])[0].valid
    assert not merged([void, void])[0].valid
    broken = row("fusion", "fused", status=Status.ERROR, reason="crashed")
    assert merged([there[0], broken]) == [broken]


def test_a_kernel_above_the_roof_is_remarked() -> None:
    read = row("", "", 100, phase="limit", variant="read", value=9.0, unit="GB/s", deviation=None)
    assert above_the_roof([read, row("weights", "int8", 11)]) == []  # 9.1 GB/s
    assert "10 GB/s, above the measured limit of 9" in above_the_roof([read, row("weights", "int8", 10)])[0]
    assert above_the_roof([row("weights", "int8", 10)]) == []
