"""Weights loaded from storage, programs kept between processes, transfers: in both interpreters, on real drivers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gemmafit.base.events import ignore
from gemmafit.base.names import Backend, Status
from gemmafit.base.protocol import LOAD_UNIT
from gemmafit.benchmarks.backends import Candidate, lowerer
from gemmafit.benchmarks.block import fill
from gemmafit.benchmarks.block.dims import SMALL, Block, Scheme, decode
from gemmafit.benchmarks.interpreter.result import Result
from gemmafit.benchmarks.interpreter.storage import pieces
from gemmafit.benchmarks.measurements import Measurement
from gemmafit.benchmarks.plan import Buffer, Plan, Step, Transfer
from gemmafit.benchmarks.process import execute
from gemmafit.benchmarks.rows import References
from gemmafit.benchmarks.runner import Runner
from gemmafit.benchmarks.sweeps import builds, loads
from gemmafit.benchmarks.sweeps.findings import findings
from gemmafit.benchmarks.timing import DEFAULT
from gemmafit.probes.collect import collect
from gemmafit.probes.local import Interpreter, LocalSession, LocalTarget
from gemmafit.probes.read import read
from gemmafit.probes.snapshot import Snapshot

EVERYWHERE = [
    (Backend.CPU, "agent"),
    *((backend, i) for backend in (Backend.OPENCL, Backend.VULKAN) for i in ("python", "agent")),
]
ON_GPUS = EVERYWHERE[1:]


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return read(collect(LocalTarget()))


@pytest.fixture
def session(interpreter: Interpreter) -> Iterator[LocalSession]:
    with LocalTarget(interpreter=interpreter).session() as opened:
        assert isinstance(opened, LocalSession)
        yield opened


@pytest.fixture
def runner(session: LocalSession, backend: Backend, snapshot: Snapshot) -> Runner:
    present = {Backend.OPENCL: snapshot.opencl.present, Backend.VULKAN: snapshot.vulkan.present}
    if present.get(backend) is False:
        pytest.skip(f"needs a driver for {backend}")
    return Runner(session, snapshot, lowerer(backend, snapshot), References(), SMALL)


def candidate(runner: Runner) -> Candidate:
    return next(c for c in runner.lower.candidates() if c.fused and not c.dot)


def files(session: LocalSession) -> set[str]:
    return {path.name for path in session._directory.iterdir()}


@pytest.mark.parametrize(("backend", "interpreter"), EVERYWHERE)
def test_loaded_weights_compute_the_same_and_leave_nothing(runner: Runner, session: LocalSession) -> None:
    rows = list(loads.rows(runner, Scheme.INT8, 128, candidate(runner)))
    assert [row.details["at"] for row in rows] == ["shards-cold", "shards-warm", "whole-cold", "whole-warm"]
    for row in rows:
        cold = "cold" in row.details["at"]
        assert row.status is Status.OK or (cold and "stay in memory" in (row.reason or "")), row.reason
        if row.status is Status.OK:
            assert row.deviation is not None and row.deviation.ok and row.deterministic
            assert len(row.samples_s) == loads.REPEATS and row.details["peak_rss_bytes"] > 0
            assert row.bytes == 256 * (6 + 2) * 64 + 6 * 64 * 256 + 3 * 768 * 256
    assert "weights" not in files(session)
    assert any("to the first token of a layer" in found.text for found in findings(rows))


@pytest.mark.parametrize(("backend", "interpreter"), EVERYWHERE)
def test_loading_at_once_holds_the_file_too(runner: Runner) -> None:
    """A block of which the weights are large beside all else: 48 MiB."""
    large = replace(runner, dims=replace(SMALL, d_model=2048, hidden=8192))
    rows = {row.details["at"]: row for row in loads.rows(large, Scheme.INT8, 16, candidate(runner))}
    shards, whole = (rows[f"{way}-warm"] for way in ("shards", "whole"))
    assert shards.status is whole.status is Status.OK and whole.bytes
    more = whole.details["peak_rss_bytes"] - shards.details["peak_rss_bytes"]
    assert 0.9 * (whole.bytes - loads.SHARD_BYTES) < more < 1.1 * whole.bytes


@pytest.mark.parametrize("total", [1, 5, 9])
@pytest.mark.parametrize("piece", [4, 8, 16, 64])
def test_pieces_cover_every_byte_once_and_fit(total: int, piece: int) -> None:
    million = 1 << 20
    stored = [Buffer(f"b{n}", (n * million // 2) + 7) for n in range(1, 2 * total)]
    at = {b.name: 0 for b in stored}
    for parts in pieces(stored, piece * million):
        assert 0 < sum(size for _, _, size in parts) <= piece * million
        for b, offset, size in parts:
            assert offset == at[b.name] and offset % LOAD_UNIT == 0
            at[b.name] += size
    assert at == {b.name: b.size for b in stored}


@pytest.mark.parametrize("interpreter", ["python", "agent"])
def test_what_is_stored_is_what_would_have_been_filled(session: LocalSession) -> None:
    weights = Buffer("w", 9 << 20, "i8", seed=5, rows=9 << 8, cols=1 << 12, tile=(4, 16), stored=True)
    small = Buffer("s", 64, "f32", seed=6, rows=1, cols=16, hi=1.0, stored=True)
    steps = tuple(Step(f"load{n}", (), ("w", "s"), repeat_max=3, load=n << 20) for n in (4, 16))
    outcome = execute(session, Plan(Backend.OPENCL, (weights, small), (), steps), 30, ignore)
    if outcome.missing:
        pytest.skip(str(outcome.problem))
    assert outcome.result is not None and outcome.problem is None
    for step in outcome.result.steps:
        assert step.status is Status.OK and step.deterministic
        for b in (weights, small):
            found = outcome.result.output(step, b.name)
            assert found is not None and np.array_equal(found, fill.contents(b))


@pytest.mark.parametrize(("backend", "interpreter"), ON_GPUS)
def test_programs_are_kept_and_taken(runner: Runner, session: LocalSession) -> None:
    rows = {row.details["at"]: row for row in builds.rows(runner, Scheme.INT8, candidate(runner))}
    assert list(rows) == ["first", "second", "cold", "warm"]
    for at, row in rows.items():
        assert row.status is Status.OK and row.phase == "build" and len(row.samples_s) == builds.ROUNDS
        assert row.deviation is not None and row.deviation.ok
        assert row.details["kept"] == (row.details["kernels"] if at in ("cold", "warm") else 0)
    assert any(name.startswith("program.") for name in files(session))


def run(session: LocalSession, runner: Runner, programs: str) -> Result:
    block = Block(SMALL, Scheme.INT8, decode(16))
    plan = runner.lower.lower(block, candidate(runner).name, DEFAULT, logits=False)
    outcome = execute(session, replace(plan, options={"programs": programs}), 60, ignore)
    assert outcome.result is not None and outcome.problem is None, outcome.problem
    return outcome.result


def kept_files(session: LocalSession) -> list[Path]:
    return sorted(path for path in session._directory.iterdir() if path.name.startswith("program."))


@pytest.mark.parametrize(("backend", "interpreter"), ON_GPUS)
@pytest.mark.parametrize("damage", ["header", "empty", "gone"])
def test_a_program_that_is_refused_is_built_and_noted(
    runner: Runner, session: LocalSession, damage: str
) -> None:
    first = run(session, runner, "keep")
    for path in kept_files(session):
        match damage:
            case "header":
                path.write_bytes(b"\x20\0\0\0\x01\0\0\0" + b"\xa5" * 64 + path.read_bytes()[72:])
            case "empty":
                path.write_bytes(b"")
            case "gone":
                path.unlink()
    again = run(session, runner, "warm")
    assert not any(build.kept for build in again.builds)
    assert all(build.status is Status.OK for build in again.builds)
    notes = {build.log for build in again.builds if "built from" in build.log}
    assert notes and all(("refused" in n) == (damage != "gone") for n in notes), notes
    for name in ("out", "mid"):
        here, there = (r.output(r.steps[0], name) for r in (again, first))
        assert here is not None and there is not None and np.array_equal(here, there)


@pytest.mark.parametrize("interpreter", ["agent"])
@pytest.mark.parametrize("backend", [Backend.CPU])
def test_a_mode_that_there_is_not_is_refused(runner: Runner, session: LocalSession) -> None:
    plan = Plan(Backend.CPU, (Buffer("b", 4),), (), (), {"programs": "please"})
    outcome = execute(session, plan, 10, ignore)
    assert outcome.result is None and "keep, warm, cold" in (outcome.problem or "")


@pytest.mark.parametrize(("backend", "interpreter"), ON_GPUS)
def test_the_copy_between_host_and_device_is_a_limit(runner: Runner) -> None:
    rows = {row.variant: row for row in runner.limits() if row.variant.startswith("host_")}
    assert list(rows) == ["host_write", "host_read", "host_map"]
    for row in rows.values():
        assert row.status is Status.OK and row.unit == "GB/s" and row.value and len(row.samples_s) >= 3


@pytest.mark.parametrize(("backend", "interpreter"), EVERYWHERE)
def test_what_was_transferred_is_there(runner: Runner, session: LocalSession, backend: Backend) -> None:
    data = Buffer("data", 5 << 20, "i8", seed=3, rows=5 << 8, cols=1 << 12)
    read_first = Step("read", (), ("data",), transfer=Transfer("read", "data"))
    write = Step("write", (), ("data",), transfer=Transfer("write", "data"))
    mapped = replace(write, name="map", transfer=Transfer("map", "data"))
    outcome = execute(session, Plan(backend, (data,), (), (read_first, write, mapped)), 30, ignore)
    assert outcome.result is not None and outcome.problem is None
    for step in outcome.result.steps:
        if backend is Backend.CPU:
            assert step.status is Status.UNSUPPORTED and "one here" in (step.reason or "")
            continue
        found = outcome.result.output(step, "data")
        assert step.status is Status.OK and found is not None
        if step.name == "read":
            assert np.array_equal(found, fill.contents(data))
        elif step.name == "write":  # what is written is the transfer's own memory, all of one value
            assert len(set(found[:100].tolist())) == 1 and np.all(found == found[0])


def test_a_file_larger_than_a_share_of_the_storage_is_not_written(snapshot: Snapshot) -> None:
    full = replace(snapshot, memory=replace(snapshot.memory, storage_free_bytes=1 << 20))
    with LocalTarget().session() as opened:
        runner = Runner(opened, full, lowerer(Backend.CPU, full), References(), SMALL)
        (row,) = loads.rows(runner, Scheme.INT8, 128, candidate(runner))
    assert isinstance(row, Measurement) and row.status is Status.SKIPPED
    assert "of storage are free" in (row.reason or "")
