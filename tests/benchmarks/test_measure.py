"""What `measure` makes of a device: a choice among variants, and rows for all that goes wrong.

The device is played by a session that answers with the reference's own stages, or misbehaves; real devices are
in tests/host and tests/phone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmafit.base.errors import AgentCause, AgentError, ToolchainError, TransportError
from gemmafit.base.names import Backend, Status
from gemmafit.base.protocol import RUN_SECONDS
from gemmafit.benchmarks import notes, runner
from gemmafit.benchmarks.backends import Candidate
from gemmafit.benchmarks.block import reference
from gemmafit.benchmarks.block.dims import SMALL, Block, Phase, Scheme
from gemmafit.benchmarks.interpreter.contention import StepContention
from gemmafit.benchmarks.interpreter.interface import DeviceInfo
from gemmafit.benchmarks.interpreter.result import ResultWriter, StepResult
from gemmafit.benchmarks.measurements import Deviation, Measurement
from gemmafit.benchmarks.plan import Plan, parse
from gemmafit.benchmarks.run import SLOW_RUN_S, BlockOptions, fastest, measure
from gemmafit.benchmarks.states import Span
from gemmafit.benchmarks.tuning import Tuning
from gemmafit.probes.capture import Answer
from gemmafit.probes.snapshot import Memory, OpenCl, Snapshot
from gemmafit.probes.target import AgentRun, Awake, Command

GPU = Snapshot("local", opencl=OpenCl(present=True, device_type="gpu", max_work_group_size=256))
OPTIONS = BlockOptions(backends=("opencl",), dims=SMALL, limits=False, schemes=(Scheme.INT8,))


def block_of(plan: Plan) -> Block:
    buffers = {b.name: b for b in plan.buffers}
    n, context = buffers["x"].rows, buffers["kcache"].rows
    scheme = Scheme.INT4 if any(b.fill == "i4" for b in plan.buffers) else Scheme.INT8
    return Block(SMALL, scheme, Phase(plan.steps[0].name, n, context - n))


def layout_of(plan: Plan) -> str:
    """Which variant a plan is of, by its weights' tiles."""
    return str(next(b.tile for b in plan.buffers if b.name == "wo"))


@dataclass
class Device:
    """Plays session and target. `behaviour` sees each plan and may answer in place of a sound device."""

    folder: Path
    behaviour: Callable[[Device, Plan], AgentRun | None] = lambda device, plan: None
    seconds: Callable[[Plan], float] = lambda plan: 1e-3
    spoil: Callable[[Plan], bool] = lambda plan: False
    plans: list[Plan] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    states: list[dict[str, Answer]] = field(default_factory=list)
    """What it says of itself each time it is asked; the last for ever."""
    awake: Awake | None = None
    others: Callable[[Plan], StepContention | None] = lambda plan: None
    kind = serial = "local"
    abi = "linux-x86_64"

    @contextmanager
    def session(self, on_event: object = None, *, awake: bool = False) -> Iterator[Device]:
        yield self

    def ask(self, commands: Sequence[Command], on_event: object = None) -> dict[str, Answer]:
        return self.states.pop(0) if len(self.states) > 1 else dict(*self.states)

    def push(self, files: dict[str, Path | bytes]) -> None:
        text = files["plan.txt"]
        assert isinstance(text, bytes)
        self.plans.append(parse(text.decode()))

    def run(self, backend: str, args: Sequence[str], *, deadline: float, **_: Any) -> AgentRun:
        self.deadlines.append(deadline)
        plan = self.plans[-1]
        return self.behaviour(self, plan) or self.answer(plan)

    def answer(self, plan: Plan, steps: int | None = None, complete: bool = True) -> AgentRun:
        """A sound device's result, of the first steps only if told so."""
        block = block_of(plan)
        known = stages(block)
        writer = ResultWriter(self.folder / "result", plan.backend, "0", self.abi, "agent")
        writer.device = DeviceInfo("Test GPU", "1.0", "gpu")
        for step in plan.steps[:steps]:
            outputs = {}
            for name in step.returns:
                data = known[name]
                if name in ("kcache", "vcache"):
                    data = np.concatenate([known[name], known[name[0]]])
                data = data * (1.1 if self.spoil(plan) else 1.0)
                outputs[name] = np.frombuffer(data.astype("<f4").tobytes(), np.uint8)
            ns = int(self.seconds(plan) * 1e9)
            rows = writer.append(outputs)
            done = StepResult(step.name, Status.OK, None, (ns,) * 3, (), ("a",) * 3, rows)
            writer.steps.append(replace(done, contention=self.others(plan)))
        writer.save(complete)
        return AgentRun(0, None, False, self.files())

    def files(self) -> dict[str, Path]:
        return {n: self.folder / n for n in ("result.json", "result.bin") if (self.folder / n).exists()}


_known: dict[Block, dict[str, np.ndarray]] = {}


def stages(block: Block) -> dict[str, np.ndarray]:
    if block not in _known:
        empty = np.zeros((0, SMALL.head_dim), np.float32)
        found = {"kcache": empty, "vcache": empty} | reference.layer(block)
        _known[block] = found | {"logits": reference.logits(block)}
    return _known[block]


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def rows_of(device: Device, snapshot: Snapshot = GPU, options: BlockOptions = OPTIONS) -> list[Measurement]:
    return measure(device, snapshot, options)  # type: ignore[arg-type]


def test_a_sound_device(device: Device) -> None:
    rows = rows_of(device)
    assert {r.phase for r in rows} == {"decode", "logits", "prefill"}
    assert all(r.status is Status.OK and r.deviation is not None and r.deviation.ok for r in rows)
    assert {r.variant for r in rows if r.phase == "decode"} >= {"engine", "tiled", "rows"}
    assert all(r.device == "Test GPU" and r.deterministic and r.gb_per_s for r in rows)
    assert Measurement.from_dict(json.loads(json.dumps(rows[0].to_dict()))) == rows[0]


def test_nothing_runs_on_a_backend_with_a_hazard_unless_forced(device: Device) -> None:
    careful = replace(OPTIONS, hazards={"opencl": "known fault x", "vulkan": "another"})
    (row,) = rows_of(device, options=careful)
    assert device.plans == []
    assert (row.status, row.reason) == (Status.SKIPPED, "not run without --force: known fault x")
    assert row.details == {"left_alone": "known fault x"}
    assert Measurement.from_dict(json.loads(json.dumps(row.to_dict()))) == row
    forced = rows_of(device, options=replace(careful, force=True))
    assert device.plans and {r.status for r in forced} == {Status.OK}
    assert {r.details["forced"] for r in forced} == {"known fault x"}
    assert all("forced" not in r.details for r in rows_of(device, options=replace(OPTIONS, force=True)))


def test_the_fastest_and_the_engine_layout_do_all_phases_and_schemes(device: Device) -> None:
    device.seconds = lambda plan: 0.5 if layout_of(plan) == "(32, 16)" else 2.0  # tiled
    both = replace(OPTIONS, schemes=(Scheme.INT8, Scheme.INT4))
    rows = [r for r in rows_of(device, options=both) if r.phase in ("decode", "prefill")]
    chosen = [r for r in rows if r.phase == "prefill" or r.scheme == "int4"]
    assert {(r.scheme, r.phase, r.variant) for r in chosen} == {
        (scheme, phase, variant)
        for scheme, phase in (("int8", "prefill"), ("int4", "decode"), ("int4", "prefill"))
        for variant in ("tiled", "engine")
    }
    assert {r.details["engine_layout"] for r in rows if r.variant == "engine"} == {True}


def test_prefills_of_different_lengths_are_compared_by_the_token(device: Device) -> None:
    tiled, engine = (
        Candidate(name, "fp32", engine=name == "engine", fused=True) for name in ("tiled", "engine")
    )
    row = Measurement(
        Backend.OPENCL, "int8", "prefill", "tiled", Status.OK, samples_s=(0.5,), tokens=128,
        deviation=Deviation(0.0, 0.0, 1.0, "out", 0.02),
    )  # fmt: skip
    assert fastest({tiled: row, engine: replace(row, samples_s=(0.3,), tokens=48)}) is tiled


def test_a_wrong_variant_is_recorded_and_never_chosen(device: Device) -> None:
    device.seconds = lambda plan: 0.5 if layout_of(plan) == "(32, 16)" else 2.0
    device.spoil = lambda plan: layout_of(plan) == "(32, 16)"
    rows = rows_of(device)
    tiled = [r for r in rows if r.variant == "tiled"]
    assert tiled and all(r.deviation is not None and not r.deviation.ok for r in tiled)
    assert {r.variant for r in rows if r.phase == "prefill"} == {"engine"}


def test_the_prefill_is_as_long_as_the_device_is_fast(device: Device) -> None:
    assert {r.tokens for r in rows_of(device) if r.phase == "prefill"} == {128}
    device.seconds = lambda plan: 0.05
    assert {r.tokens for r in rows_of(device) if r.phase == "prefill"} == {16}
    device.seconds = lambda plan: 5.0
    assert {r.tokens for r in rows_of(device) if r.phase == "prefill"} == {8}


def test_what_takes_long_is_timed_once_and_has_longer(device: Device) -> None:
    """Three repeats of many seconds outlast the deadline of their process, and no row is left."""
    device.seconds = lambda plan: 0.4
    rows_of(device)
    device.seconds = lambda plan: 0.6
    rows_of(device)
    steps = [(p.steps[0], s) for p, s in zip(device.plans, device.deadlines, strict=True)]
    prefills = [(step.repeat_min, deadline) for step, deadline in steps if step.name == "prefill"]
    assert [prefills[0], prefills[-1]] == [(2, RUN_SECONDS), (1, SLOW_RUN_S)]


def test_a_crash_costs_one_variant(device: Device) -> None:
    def crash(device: Device, plan: Plan) -> AgentRun | None:
        if layout_of(plan) != "None":  # all but rows
            device.answer(plan, steps=1, complete=False)
            return AgentRun(None, 11, False, device.files(), stderr="driver\x1b[31m said\nno")
        return None

    device.behaviour = crash
    rows = rows_of(device)
    decode = {r.variant: r for r in rows if r.phase == "decode"}
    assert decode["engine"].status is Status.OK, "the step before the crash was written"
    logits = {r.variant: r for r in rows if r.phase == "logits"}
    assert logits["engine"].status is Status.ERROR
    assert logits["engine"].reason is not None and "SIGSEGV" in logits["engine"].reason
    assert logits["rows"].status is Status.OK


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (AgentRun(None, 9, True, {}), "did not end within 60 s"),
        (AgentRun(None, 6, False, {}), "SIGABRT"),
        (AgentRun(1, None, False, {}, stderr="out of luck"), "status 1: out of luck"),
        (AgentRun(2, None, False, {}, stderr="line 3: what"), "refused: line 3: what"),
        (AgentRun(0, None, False, {}), "no result was written"),
    ],
)
def test_no_result(device: Device, run: AgentRun, expected: str) -> None:
    device.behaviour = lambda device, plan: run
    rows = rows_of(device)
    assert rows and all(r.status is Status.ERROR for r in rows)
    assert all(r.reason is not None and expected in r.reason for r in rows), rows[0].reason


def thermal(status: int) -> dict[str, Answer]:
    return {"thermal": Answer(0, f"Thermal Status: {status}\n")}


def test_rows_of_a_device_that_got_warm_are_void(device: Device) -> None:
    device.states = [thermal(0), thermal(2)]
    rows = rows_of(device)
    assert {(row.valid, row.reason) for row in rows} == {(False, "the thermal status went from 0 to 2")}


def test_rows_of_a_device_that_is_hot_all_the_while_say_so(device: Device) -> None:
    device.states = [thermal(2)]
    rows = [row for row in rows_of(device) if row.samples_s]
    assert {row.valid for row in rows} == {True}
    assert {str(row.details["capped"]) for row in rows} == {"['the thermal status was 2, moderate']"}


def test_the_state_is_asked_once_before_and_once_after_each_backend_and_kept(device: Device) -> None:
    device.states = [thermal(0), thermal(1), thermal(1)]
    options = BlockOptions(backends=("cpu", "opencl"), dims=SMALL, limits=False, schemes=(Scheme.INT8,))
    spans: list[Span] = []
    rows = measure(device, GPU, options, spans=spans)  # type: ignore[arg-type]
    asked = [(span.what, span.before.thermal_status, span.after.thermal_status) for span in spans]
    assert asked == [("cpu", 0, 1), ("opencl", 1, 1)] and len(device.states) == 1
    # It was cooler before anything was measured: what comes after the change counts no more either.
    assert {(row.backend, row.valid) for row in rows} == {(Backend.CPU, False), (Backend.OPENCL, False)}


def test_a_missing_backend_is_asked_once(device: Device) -> None:
    device.behaviour = lambda device, plan: AgentRun(3, None, False, {}, stderr="no platform")
    rows = rows_of(device)
    assert [(r.status, r.reason) for r in rows] == [(Status.UNSUPPORTED, "no platform")]
    assert len(device.plans) == 1


def test_what_the_snapshot_rules_out_is_not_tried(device: Device) -> None:
    snapshot = Snapshot("local", opencl=OpenCl(present=False, error="no library opened"))
    rows = rows_of(device, snapshot)
    assert [(r.status, r.reason) for r in rows] == [(Status.UNSUPPORTED, "no library opened")]
    assert not device.plans


def test_little_memory_is_a_reason_not_to_run(device: Device) -> None:
    rows = rows_of(device, Snapshot("local", opencl=GPU.opencl, memory=Memory(available_bytes=1 << 20)))
    assert {r.status for r in rows} == {Status.SKIPPED} and not device.plans
    assert all("memory" in str(r.reason) for r in rows)


@pytest.mark.parametrize("error", [AgentError("no agent"), ToolchainError("not built")])
def test_other_backends_go_on_where_one_cannot_start(device: Device, error: Exception) -> None:
    def refuse(device: Device, plan: Plan) -> AgentRun | None:
        if plan.backend is Backend.CPU:
            raise error
        return None

    device.behaviour = refuse
    options = BlockOptions(backends=("cpu", "opencl"), dims=SMALL, limits=False, schemes=(Scheme.INT8,))
    rows = rows_of(device, GPU, options)
    cpu = [r for r in rows if r.backend is Backend.CPU]
    assert [(r.status, r.reason) for r in cpu] == [(Status.SKIPPED, str(error))]
    assert f"cpu: not measured: {error}." in notes.notes(rows, GPU.conditions)
    assert any(r.backend is Backend.OPENCL and r.status is Status.OK for r in rows)


def test_a_device_without_a_place_for_the_agent_ends_the_run(device: Device) -> None:
    """It is no finding about a backend, and the next one would meet it, too."""

    def fill(device: Device, plan: Plan) -> AgentRun | None:
        if len(device.plans) > 2:
            raise AgentError("full", cause=AgentCause.NO_SPACE)
        return None

    device.behaviour = fill
    rows: list[Measurement] = []
    with pytest.raises(AgentError, match="full"):
        measure(device, GPU, OPTIONS, into=rows)  # type: ignore[arg-type]
    assert len(rows) == 4 and all(r.status is Status.OK for r in rows)


def test_an_agent_that_floods_was_started(device: Device) -> None:
    def flood(device: Device, plan: Plan) -> AgentRun | None:
        raise AgentError("too much", cause=AgentCause.FLOOD)

    device.behaviour = flood
    assert {(r.status, r.reason) for r in rows_of(device)} == {(Status.ERROR, "too much")}


def test_a_lost_device_leaves_the_rows_that_were_there(device: Device) -> None:
    def lose(device: Device, plan: Plan) -> AgentRun | None:
        if len(device.plans) > 2:
            raise TransportError("the cable")
        return None

    device.behaviour = lose
    rows: list[Measurement] = []
    with pytest.raises(TransportError):
        measure(device, GPU, OPTIONS, into=rows)  # type: ignore[arg-type]
    assert len(rows) == 4 and all(r.status is Status.OK for r in rows)


def test_an_output_that_was_not_returned_is_an_error(device: Device) -> None:
    def withhold(device: Device, plan: Plan) -> AgentRun:
        run = device.answer(plan)
        content = json.loads(run.files["result.json"].read_text())
        content["steps"][0]["outputs"] = [o for o in content["steps"][0]["outputs"] if o["name"] != "out"]
        run.files["result.json"].write_text(json.dumps(content))
        return run

    device.behaviour = withhold
    row = rows_of(device)[0]
    assert row.status is Status.ERROR and row.reason == "out was not returned"


QUIET = StepContention(1, False, 2, (1,) * 3, (0,) * 3, 10**9, 10**8, 2 * 10**8)
TAKEN = replace(QUIET, waited_ns=(10**12,) * 3, machine_ns=2 * 10**9)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PAUSE_S", 0.0)


@pytest.mark.usefixtures("hurry")
class TestBusy:
    """Other programs take the processor while the device is measured."""

    def test_what_was_disturbed_once_is_measured_again(self, device: Device) -> None:
        seen: dict[str, int] = {}

        def others(plan: Plan) -> StepContention:
            key = plan.to_text()
            seen[key] = seen.get(key, 0) + 1
            return TAKEN if seen[key] <= 2 else QUIET  # a plan has two steps at decode, one at prefill

        device.others = others
        rows = rows_of(device)
        assert rows and all(row.valid and not row.disturbed for row in rows)
        decoded = [row for row in rows if row.phase in ("decode", "logits")]
        assert {row.contention.tries for row in decoded if row.contention} == {2}

    def test_what_stays_disturbed_is_void_and_costs_a_bounded_time(
        self, device: Device, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        device.others = lambda plan: TAKEN
        rows = rows_of(device)
        assert rows and not any(row.valid for row in rows) and all(row.disturbed for row in rows)
        assert {row.reason for row in rows} == {"this computer was busy: other programs took 1.9 of 2 cores"}
        assert {row.contention.tries for row in rows if row.contention} == {runner.MOST_TRIES}
        patient = len(device.plans)
        monkeypatch.setattr(runner.Patience, "seconds", 0.0)
        monkeypatch.setattr(runner.Patience, "__init__", lambda self: None)
        device.plans.clear()
        rows_of(device)
        assert runner.MOST_TRIES * len(device.plans) == patient

    def test_no_choice_is_made_by_disturbed_rows_nor_remembered(
        self, device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("GEMMAFIT_CACHE", str(tmp_path / "cache"))
        named = replace(GPU, opencl=replace(GPU.opencl, device="Test GPU", driver="1"))
        tune = replace(OPTIONS, tuning=Tuning.USE, phases=("decode",))
        # The fastest, `tiled`, is disturbed: what is left is no choice among all.
        device.seconds = lambda plan: 0.5 if layout_of(plan) == "(32, 16)" else 2.0
        device.others = lambda plan: TAKEN if layout_of(plan) == "(32, 16)" else QUIET
        tried = rows_of(device, named, tune)
        assert {row.variant for row in tried if row.disturbed} == {"tiled"}
        assert not list((tmp_path / "cache").rglob("*.json"))
        device.others = lambda plan: QUIET
        rows_of(device, named, tune)
        assert list((tmp_path / "cache").rglob("*.json")), "the same search is remembered when it is quiet"
        # A remembered choice that is disturbed now is no reason to search again: it did not fail.
        device.others = lambda plan: TAKEN
        again = rows_of(device, named, tune)
        assert again and all("tuned" in row.details for row in again)

    def test_the_fastest_is_never_a_disturbed_one(self) -> None:
        one, other = (Candidate(name, "fp32", engine=False, fused=True) for name in ("one", "other"))
        row = Measurement(
            Backend.OPENCL, "int8", "decode", "one", Status.OK, samples_s=(0.5,), tokens=1,
            deviation=Deviation(0.0, 0.0, 1.0, "out", 0.02),
        )  # fmt: skip
        void = replace(row, samples_s=(0.1,), valid=False, reason="busy")
        assert fastest({one: void, other: row}) is other and fastest({one: void}) is None
