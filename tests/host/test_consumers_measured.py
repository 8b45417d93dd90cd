"""As tests/lab/test_consumers.py, for what is read of measurements: the rows of a block that ran here."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmafit.benchmarks.block.dims import SMALL
from gemmafit.benchmarks.run import BlockOptions, measure
from gemmafit.judge.judge import judge
from gemmafit.judge.references import load
from gemmafit.probes.collect import collect
from gemmafit.probes.local import LocalTarget
from gemmafit.probes.read import read
from gemmafit.reports.report import Report
from gemmafit.tests.lab.consumers import made_up


@pytest.fixture(scope="module")
def report() -> Report:
    """What `check local` yields, of a block that is small enough for a test."""
    target = LocalTarget()
    snapshot = read(collect(target))
    rows = measure(target, snapshot, BlockOptions(backends=("cpu", "opencl"), dims=SMALL, chunk=8))
    return judge(snapshot, rows, load(), created="2026-11-23", serial=target.serial)


def test_nobody_reads_a_key_that_no_measured_row_has(report: Report, tmp_path: Path) -> None:
    there, missing = made_up([report], tmp_path)
    assert there >= {"device.gpu"} and any(row.samples_s for row in report.measurements)
    # Rows are typed: what is not a field of theirs does not pass the type checker. Their mappings stay open.
    assert {path: who for path, who in missing.items() if path.startswith(("measurements", "agent"))} == {}
