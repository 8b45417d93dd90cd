"""Beside real busy loops: every interpreter sees them, the rows are void, and no verdict rests on them.

Only that direction is asserted. That an idle machine gives no remark is shown by
`python -m gemmafit.tools.contention`: a test cannot know that nobody else is there.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from gemmafit.base.names import CheckStatus, Status
from gemmafit.base.options import Request
from gemmafit.benchmarks import trust
from gemmafit.benchmarks.block.dims import GEMMA_2B, Block, Scheme, decode
from gemmafit.benchmarks.measurements import Measurement
from gemmafit.benchmarks.timing import Timing
from gemmafit.judge.judge import judge
from gemmafit.pipeline import examine
from gemmafit.probes.collect import ask_conditions
from gemmafit.probes.local import LocalTarget
from gemmafit.profiles.loader import load
from gemmafit.reports.figures import measured
from gemmafit.tests.host.conftest import Runner

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs Linux's /proc"),
]
CORES = os.cpu_count() or 1
LIMITS = {name: getattr(trust, name) for name in ("LOST", "OTHERS")}
"""Those of users: read before the fixture that spares other tests changes them."""


@pytest.fixture(autouse=True)
def rule(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LIMITS.items():
        monkeypatch.setattr(trust, name, value)


@pytest.fixture
def busy() -> Iterator[None]:
    """A loop on each core: half of the machine, whatever else runs."""
    with ExitStack() as stack:
        for _ in range(CORES):
            loop = stack.enter_context(subprocess.Popen(["sh", "-c", "while kill -0 $PPID; do :; done"]))
            stack.callback(loop.kill)
        time.sleep(0.5)
        yield


@pytest.mark.usefixtures("busy")
def test_every_interpreter_sees_that_others_take_the_processor(runner: Runner) -> None:
    lower = runner.lowerer()
    block = Block(replace(GEMMA_2B, hidden=4096), Scheme.INT8, decode(128))
    first = next(c for c in lower.candidates() if c.fused)
    timing = Timing(repeat_min=5, repeat_max=100, budget_ms=500)
    returned = runner.run(lower.lower(block, first.name, timing, logits=False))
    (step,) = returned.result.steps
    facts = step.contention
    assert facts is not None and facts.cores == CORES
    assert len(facts.cpu_ns) == len(facts.waited_ns or ()) == len(step.samples_ns)
    assert facts.computing == (runner.backend == "cpu") and facts.threads == CORES
    assert facts.own_ns and facts.machine_ns and facts.own_ns < facts.machine_ns
    assert facts.switches and returned.result.load.average is not None
    samples = tuple(ns * 1e-9 for ns in step.samples_ns)
    row = Measurement(runner.backend, "int8", "decode", first.name, Status.OK, samples_s=samples)
    void = trust.contended(row, facts, returned.result.load, "this computer")
    assert void.disturbed and not void.valid and void.reason is not None, void.contention
    assert void.reason.startswith("this computer was busy: "), void.reason


@pytest.mark.usefixtures("busy")
def test_a_verdict_does_not_rest_on_what_was_measured_beside_others() -> None:
    done = examine(LocalTarget(), Request(backends=("cpu",), quick=True, tuning="off"))
    rows, report = done.measurements, done.report
    timed = [row for row in rows if row.samples_s]
    # The logits take some milliseconds, which one slice of the scheduler may cover: then nothing was lost.
    assert timed and all(row.disturbed for row in timed if row.phase != "logits"), [
        (r.key, r.contention) for r in timed
    ]
    check = next(c for c in report.checks if c.id == "device.busy")
    assert check.status is CheckStatus.WARN and check.because.startswith("This computer is busy (")
    assert f"of {CORES} cores" in check.because
    assert measured(report.measurements, "cpu") == "void" and "ran here" not in report.summary
    assert not any(v.predicted and v.predicted.basis == "measured" for v in report.variants)
    # The same rows are what the verdict rests on where nothing speaks against them.
    trusted = [replace(row, valid=True, contention=None, reason=None) for row in rows]
    other = judge(done.snapshot, trusted, load())
    assert any(v.predicted and v.predicted.basis == "measured" for v in other.variants)


def test_the_state_of_this_computer_has_its_load() -> None:
    now = ask_conditions(LocalTarget())
    assert now.load is not None and now.load >= 0
    assert (now.cpu_pressure is None) == (not Path("/proc/pressure/cpu").exists())
