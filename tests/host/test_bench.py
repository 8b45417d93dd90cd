"""`gemmafit bench` on this computer: the CPU and PoCL really run; what is shown fits 80 columns."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from gemmafit.base.errors import Interrupted, TransportError
from gemmafit.base.events import Event, ignore
from gemmafit.base.names import Backend, Status
from gemmafit.base.options import Request
from gemmafit.benchmarks.block.dims import SMALL, Scheme
from gemmafit.benchmarks.measurements import Measurement
from gemmafit.benchmarks.sweeps.bench import STAGE, Bench, Wish, bench
from gemmafit.benchmarks.sweeps.settings import CHUNKS, CONTEXTS, Sweep
from gemmafit.cli import bench_screen
from gemmafit.cli.app import app
from gemmafit.cli.main import COMMANDS
from gemmafit.pipeline import examine
from gemmafit.probes.collect import STATE, collect
from gemmafit.probes.local import LocalTarget
from gemmafit.probes.read import read
from gemmafit.probes.snapshot import Snapshot
from gemmafit.probes.target import Command
from gemmafit.reports import figures

assert "bench" in COMMANDS


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    found = read(collect(LocalTarget()))
    if not found.opencl.present:
        pytest.skip(f"needs an OpenCL driver: {found.opencl.error}")
    return found


@pytest.fixture(scope="module")
def done(snapshot: Snapshot) -> Bench:
    """Everything, with a small block."""
    wish = Wish(
        backends=("cpu", "opencl"), quick=True, limits=True, sweeps=tuple(Sweep), sustained=1.0, dims=SMALL
    )
    return bench(LocalTarget(), snapshot, wish)


def rows(done: Bench, backend: Backend, sweep: str) -> list[Measurement]:
    return [r for r in done.rows if r.backend is backend and r.details.get("sweep") == sweep]


def test_every_sweep_has_its_rows_with_a_status_and_a_reason(done: Bench) -> None:
    assert done.broken is None
    for row in done.rows:
        assert (row.reason is None) == (row.status is Status.OK and row.valid), row.key
    counts = Counter((r.backend, r.details.get("sweep")) for r in done.rows if r.status is Status.OK)
    for backend in (Backend.CPU, Backend.OPENCL):
        assert counts[backend, "weights"] == counts[backend, "fusion"] == 4
        assert [r.details["at"] for r in rows(done, backend, "chunk")] == list(CHUNKS)
        assert [r.context for r in rows(done, backend, "context")] == [n + 1 for n in CONTEXTS]
        found = {r.details["at"] for r in rows(done, backend, "load")}
        assert found == {"shards-cold", "shards-warm", "whole-cold", "whole-warm"}
    assert counts[Backend.CPU, "threads"] >= 2 and counts[Backend.OPENCL, "threads"] == 0
    assert counts[Backend.CPU, "build"] == 0 and counts[Backend.OPENCL, "build"] == 4


def test_what_was_swept_is_right_and_repeats_its_bits(done: Bench) -> None:
    computed = [r for r in done.rows if r.status is Status.OK and r.phase in ("decode", "prefill")]
    assert all(r.deviation is not None and r.deviation.ok and r.deterministic for r in computed)


def test_threads_are_those_that_were_asked_for(done: Bench) -> None:
    for row in rows(done, Backend.CPU, "threads"):
        assert f"{row.details['at']} thread" in (row.device or ""), row.device


def test_fused_and_unfused_are_different_kernels(done: Bench) -> None:
    for backend in (Backend.CPU, Backend.OPENCL):
        found = {r.details["at"]: r for r in rows(done, backend, "fusion") if r.phase == "decode"}
        assert found["unfused"].details["dispatches"] > found["fused"].details["dispatches"]


def test_builds_are_timed_from_source_and_from_what_was_kept(done: Bench) -> None:
    found = {row.details["at"]: row for row in rows(done, Backend.OPENCL, "build")}
    assert list(found) == ["first", "second", "cold", "warm"]
    assert all(row.samples_s for row in found.values())


def test_limits_are_figures(done: Bench) -> None:
    limits = {(r.backend, r.variant): r for r in done.rows if r.phase == "limit"}
    for backend in (Backend.CPU, Backend.OPENCL):
        for name in ("read", "copy", "peak_fp32"):
            row = limits[backend, name]
            assert row.status is Status.OK and row.value and row.value > 0 and len(row.samples_s) >= 3
    assert limits[Backend.OPENCL, "dispatch"].unit == "us"
    assert limits[Backend.CPU, "storage_warm"].value
    cold = limits[Backend.CPU, "storage_cold"]
    assert cold.value or "stay in memory" in (cold.reason or "")
    assert not list(Path("/var/tmp").glob("gemmafit-*"))


def test_sustained_is_a_curve(done: Bench) -> None:
    for backend in (Backend.CPU, Backend.OPENCL):
        (row,) = rows(done, backend, "sustained")
        times = [t for t, _ in row.details["sustained"]]
        assert len(times) > 5 and times == sorted(times) and all(v > 0 for _, v in row.details["sustained"])
        assert 0 < row.details["busy"] <= 1


def test_rows_survive_a_file(done: Bench) -> None:
    data = done.to_dict({"tool": {"name": "gemmafit"}})
    read_back = [Measurement.from_dict(row) for row in json.loads(json.dumps(data))["measurements"]]
    assert [r.key for r in read_back] == [r.key for r in done.rows]
    assert Bench(rows=read_back).findings == done.findings


@pytest.mark.parametrize("width", [80, 60])
def test_screen_fits_and_names_every_backend(done: Bench, width: int) -> None:
    screen = StringIO()
    bench_screen.summary(done, Console(file=screen, width=width, highlight=False))
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for part in (
        "Decode",
        "Prefill",
        "Roofline",
        "cpu int8 decode",
        "opencl* int8 prefill",
        "GFLOP/s",
        "GB/s",
    ):
        assert part in text
    assert "roof cpu" in text and "roof opencl*" in text and "unfused" in text
    assert all(len(bench_screen.line(row)) <= 80 for row in done.rows)


class _Lost(LocalTarget):
    """A phone whose cable is pulled at the third look at its state."""

    looks = 0

    def ask(self, *args: Any, **kwargs: Any) -> Any:
        self.looks += 1
        if self.looks == 3:
            raise TransportError("the device is gone", serial="x")
        return super().ask(*args, **kwargs)


def test_a_lost_device_leaves_the_rows_until_then(snapshot: Snapshot) -> None:
    wish = Wish(backends=("cpu",), quick=True, schemes=(Scheme.INT8,), dims=SMALL)
    seen: list[str] = []
    lost = bench(_Lost(), snapshot, wish, on_row=lambda row: seen.append(row.key))
    assert str(lost.broken) == "the device is gone"
    assert "cpu/int8/decode/fused" in seen and [r.key for r in lost.rows] == seen
    assert lost.to_dict({})["incomplete"] == "the device is gone"


def test_ctrl_c_keeps_the_rows_until_then_and_says_so(tmp_path: Path) -> None:
    out, page = tmp_path / "rows.yaml", tmp_path / "rows.html"
    command = [
        sys.executable,
        "-m",
        "gemmafit.cli.main",
        "bench",
        "local",
        "--backend",
        "cpu",
        "--scheme",
        "int8",
    ]
    process = subprocess.Popen(
        [*command, "--sustained", "60", "-o", str(out), "--html", str(page)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:  # rows of the sweeps come after the backend's own
            if line.startswith("cpu int8 decode fused 1 "):
                process.send_signal(signal.SIGINT)
                break
        _, message = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130 and "Traceback" not in message, message
    assert "interrupted" in message
    data = yaml.safe_load(out.read_text("utf-8"))
    assert data["interrupted"] is True and "incomplete" not in data
    assert any(row["phase"] == "prefill" and row["status"] == "ok" for row in data["measurements"])
    assert "Interrupted: more was to come" in page.read_text("utf-8")


def test_ctrl_c_before_anything_was_measured_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "rows.yaml"
    for command in ("bench", "check"):
        process = subprocess.Popen(
            [sys.executable, "-m", "gemmafit.cli.main", command, "local", "--quick", "-o", str(out)],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        try:
            if command == "check":  # its lines begin with the questions, those of bench with the first row
                process.stderr.readline()
            else:
                time.sleep(1)
            process.send_signal(signal.SIGINT)
            _, message = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130 and "interrupted" in message, message
        assert "Traceback" not in message
        assert not out.exists()


def test_usual_sweeps_end_in_time_and_named_ones_are_done(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gemmafit.benchmarks.sweeps.bench.USUAL_S", 0.0)
    wish = Wish(backends=("cpu",), quick=True, dims=SMALL)
    counted: list[Event] = []
    usual = rows(bench(LocalTarget(), snapshot, wish, counted.append), Backend.CPU, "fusion")
    assert [(r.status, r.reason) for r in usual] == [
        (Status.SKIPPED, "0 s were over; `--sweep fusion` measures it")
    ]
    steps = [(e.done, e.total) for e in counted if e.stage == STAGE]
    assert steps == [(n, len(steps)) for n in range(1, len(steps) + 1)]  # what is announced is what comes
    named = bench(LocalTarget(), snapshot, replace(wish, sweeps=(Sweep.FUSION,)))
    assert {r.status for r in rows(named, Backend.CPU, "fusion")} == {Status.OK}


class _Interrupted(LocalTarget):
    """Somebody presses Ctrl-C at the second look at this computer's state, after the first rows."""

    looks = 0

    def ask(self, commands: Sequence[Command], on_event: Any = ignore) -> Any:
        self.looks += {command.key for command in commands} == set(STATE)
        if self.looks == 2:
            raise KeyboardInterrupt
        return super().ask(commands, on_event)


def test_a_check_that_is_interrupted_judges_what_there_is() -> None:
    done = examine(_Interrupted(), Request(backends=("cpu",), quick=True, tuning="off"))
    assert isinstance(done.broken, Interrupted) and done.broken.exit_code == 130
    assert done.measurements and len(done.report.measurements) == len(done.measurements)
    assert "interrupted after" in str(done.report.extra["incomplete"])
    with pytest.raises(KeyboardInterrupt):  # nothing was measured: nothing to judge
        examine(_Hasty(), Request(backends=("cpu",), quick=True, tuning="off"))


class _Hasty(LocalTarget):
    """Ctrl-C before the first plan."""

    def session(self, on_event: Any = None, *, awake: bool = False) -> Any:
        raise KeyboardInterrupt


def test_command_writes_rows_page_and_lines(snapshot: Snapshot, tmp_path: Path) -> None:
    out, page = tmp_path / "rows.yaml", tmp_path / "rows.html"
    command = ["bench", "local", "--quick", "--backend", "cpu", "--sweep", "build", "-o", str(out)]
    ran = CliRunner().invoke(app, [*command, "--html", str(page)], env={"COLUMNS": "80"})
    assert ran.exit_code == 0, ran.output
    data = yaml.safe_load(out.read_text())
    assert list(data)[:5] == ["schema", "tool", "created", "target", "device"]
    assert data["target"]["kind"] == "local" and set(data["conditions"]) == {"before", "after", "spans"}
    assert {r["phase"] for r in data["measurements"]} >= {"decode", "prefill", "logits"}
    assert "cpu int8 decode fused" in ran.stderr and ran.stdout == ""
    assert "<svg" in page.read_text()


def test_a_recording_shows_its_rows(done: Bench, tmp_path: Path) -> None:
    from gemmafit.probes.capture import Capture
    from gemmafit.probes.files import dump_capture

    file = tmp_path / "phone.yaml"
    command = ["bench", f"replay:{file}", "-f", "json"]
    file.write_text(dump_capture(Capture("assembled")))
    empty = CliRunner().invoke(app, command)
    assert empty.exception is not None and "no measurements" in str(empty.exception)
    agent = {"measurements": [r.to_dict() for r in done.rows]}
    file.write_text(dump_capture(Capture("assembled", agent=agent)))
    ran = CliRunner().invoke(app, command, env={"COLUMNS": "80"})
    assert ran.exit_code == 0, ran.output
    data = json.loads(ran.stdout)
    assert len(data["measurements"]) == len(done.rows) and data["target"]["kind"] == "replay"
    assert "Roofline" in ran.stderr and max(map(len, ran.stderr.splitlines())) <= 80


@pytest.mark.parametrize("width", [60, 80, 140])
def test_live_table_fits_and_shows_what_and_how_fast(done: Bench, width: int) -> None:
    screen = StringIO()
    shown = done.rows[:12]
    Console(file=screen, width=width, highlight=False).print(bench_screen._table(shown, width))
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for row, text in zip(shown, lines[1:], strict=True):
        assert figures.name(row) in text
        assert not row.samples_s or any(one in text for one in figures.speed(row).split(", "))


def test_live_listens_to_events_and_rows(done: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = StringIO()
    console = Console(file=terminal, width=80, height=24, force_terminal=True, highlight=False)
    monkeypatch.setattr(bench_screen, "stderr", lambda: console)
    with bench_screen.live(False) as (on_event, on_row):
        on_event(Event(STAGE, "sweep cpu fusion", 3, 9))
        on_event(Event("block", "cpu \x1b[31m int8", 1, 2))  # within a plan: not what the whole has come to
        for row in done.rows:
            on_row(row)
    assert "\x1b[31m int8" not in terminal.getvalue()
    assert "3/9" in terminal.getvalue() and "1/2" not in terminal.getvalue()
