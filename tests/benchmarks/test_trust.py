"""When a number is void, and what a curve under load says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gemmafit.base.names import Backend, Status
from gemmafit.benchmarks import trust
from gemmafit.benchmarks.backends import Candidate
from gemmafit.benchmarks.block.dims import Scheme
from gemmafit.benchmarks.interpreter.contention import Load, StepContention
from gemmafit.benchmarks.measurements import Contention, Deviation, Measurement
from gemmafit.benchmarks.states import Span, spans
from gemmafit.benchmarks.sweeps.findings import findings
from gemmafit.benchmarks.sweeps.settings import Base
from gemmafit.probes.capture import Capture
from gemmafit.probes.files import dump_capture, parse_capture, sha256
from gemmafit.probes.snapshot import Conditions

ROW = Measurement(
    Backend.CPU, "int8", "decode", "fused", Status.OK, samples_s=(0.01, 0.011, 0.009),
    bytes=10**8, driver="isa i8mm, cpus 4-5,7", deterministic=True,
)  # fmt: skip


def state(mhz: dict[int, int] | None = None, **changes: Any) -> Conditions:
    return Conditions(cpu_max_mhz=mhz or {}, **changes)


@pytest.mark.parametrize(("after", "void"), [(2000, False), (1700, False), (1699, True), (2400, False)])
def test_void_above_fifteen_percent(after: int, void: bool) -> None:
    reason = trust.void_reason(state({4: 2000}), state({4: after}))
    assert (reason is not None) == void
    assert reason is None or reason == f"throttled: the limit of cpu 4 fell from 2000 to {after} MHz"


def test_only_cores_that_were_used_count() -> None:
    before, after = state({0: 1800, 4: 2000}), state({0: 600, 4: 2000})
    assert trust.void_reason(before, after, {4}) is None
    assert trust.void_reason(before, after, {0}) is not None
    assert trust.void_reason(before, after, None) is not None


def test_thermal_status_must_not_change_and_unknown_says_nothing() -> None:
    assert trust.void_reason(state(thermal_status=0), state(thermal_status=1)) is not None
    assert trust.void_reason(state(thermal_status=2), state(thermal_status=2)) is None
    assert trust.void_reason(state(thermal_status=None), state(thermal_status=3)) is None
    assert trust.void_reason(state({4: 2000}), state({})) is None


def test_cores_as_the_agent_names_them() -> None:
    assert trust.used_cpus(ROW) == frozenset({4, 5, 7})
    for driver in (None, "isa avx2", "isa avx2, cpus ", "isa x, cpus 0-99999", "isa x, cpus a-b"):
        assert trust.used_cpus(replace(ROW, driver=driver)) is None
    assert trust.used_cpus(replace(ROW, backend=Backend.OPENCL)) is None


def test_rows_are_judged_with_their_own_cores() -> None:
    gpu = replace(ROW, backend=Backend.OPENCL)
    skipped = replace(ROW, samples_s=(), status=Status.SKIPPED, reason="memory")
    load = replace(ROW, details={"sustained": [[0.0, 1.0]]})
    judged = trust.judged([ROW, gpu, skipped, load], state({0: 1800, 4: 2000}), state({0: 900, 4: 2000}))
    assert [row.valid for row in judged] == [True, False, True, True]
    assert "cpu 0" in (judged[1].reason or "") and judged[2].reason == "memory"
    assert (
        judged[0].details["spread"] == pytest.approx(0.1483, abs=1e-4) and "spread" not in judged[2].details
    )


def test_remarks_on_the_state() -> None:
    assert trust.remarks(state(battery_percent=80, charging=False, thermal_status=0)) == []
    said = " ".join(trust.remarks(state(battery_percent=4, charging=True, thermal_status=2)))
    assert "4 %" in said and "charging" in said and "thermal status 2" in said


def test_what_is_unknown_is_left_out_of_a_file() -> None:
    assert state().to_dict() == {}
    assert state(charging=False, thermal_status=0).to_dict() == {"charging": False, "thermal_status": 0}
    assert state(power_modes=()).to_dict() == {"power_modes": []}  # none is on, which somebody looked at


MODE = "Battery saver (Xiaomi)"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({"battery_saver": False}, {"battery_saver": True}, "battery saver went on while it was measured"),
        ({"battery_saver": True}, {"battery_saver": False}, "battery saver went off while it was measured"),
        ({"battery_saver": None}, {"battery_saver": True}, None),
        ({"battery_saver": True}, {"battery_saver": True}, None),
        ({"power_modes": ()}, {"power_modes": (MODE,)}, f"{MODE} went on while it was measured"),
        ({"power_modes": (MODE,)}, {"power_modes": ()}, f"{MODE} went off while it was measured"),
        ({"power_modes": None}, {"power_modes": (MODE,)}, None),
        ({"screen_on": True}, {"screen_on": False}, None),
        (
            {"screen_on": True, "mhz": {0: 2000}},
            {"screen_on": False, "mhz": {0: 1000}},
            "throttled: the limit of cpu 0 fell from 2000 to 1000 MHz when the screen went off",
        ),
    ],
)
def test_what_is_switched_in_between_voids(before: Any, after: Any, reason: str | None) -> None:
    assert trust.void_reason(state(**before), state(**after)) == reason


def test_what_caps_the_clocks_all_the_while_is_noted_and_voids_nothing() -> None:
    for held, what in (
        ({"battery_saver": True}, "battery saver was on"),
        ({"power_modes": (MODE,)}, f"{MODE} was on"),
        ({"thermal_status": 2}, "the thermal status was 2, moderate"),
    ):
        (row,) = trust.judged([ROW], state(**held), state(**held))
        assert row.valid and row.details["capped"] == [what] and row.capped == (what,)
    (row,) = trust.judged([ROW], state(thermal_status=1), state(thermal_status=1))
    assert "capped" not in row.details


def test_clocks_that_fell_before_void_a_later_row() -> None:
    low = state({4: 1000})
    assert trust.judged([ROW], low, low)[0].valid
    assert not trust.judged([ROW], low, low, state({4: 2000}))[0].valid


def test_what_a_recording_says_of_caps_is_bounded() -> None:
    for odd in ("text", {"a": 1}, 3, None):
        assert replace(ROW, details={"capped": odd}).capped == ()
    many = replace(ROW, details={"capped": ["x" * 10**6] * 10**4}).capped
    assert len(many) < 100 and max(map(len, many)) < 1000


def test_remarks_on_screen_and_power() -> None:
    said = trust.remarks(state(battery_saver=True, power_modes=(MODE,), screen_on=False))
    assert [line for line in said if line.startswith("The screen was off")]
    assert any("Battery saver is on" in line for line in said) and any(MODE in line for line in said)
    said = trust.remarks(
        state(battery_saver=False, screen_on=True), state(battery_saver=True, screen_on=False)
    )
    assert any("screen went off" in line for line in said)
    assert any("Battery saver went on" in line for line in said)


def test_states_survive_a_file() -> None:
    one = state({0: 1800, 7: 3000}, power_modes=(MODE,), temperatures_c={"SKIN": 31.5}, screen_on=True)
    span = Span("cpu", one, state(battery_saver=False))
    capture = Capture("adb", {"kind": "adb"}, {}, {"states": [span.to_dict()]})
    back = parse_capture(dump_capture(capture))
    assert spans((back.agent or {})["states"]) == [span]
    assert sha256(back) == sha256(capture)
    assert spans(None) == []


@pytest.mark.parametrize("data", [3, [3], [{}], [{"what": 1, "before": {}, "after": {}}], {"what": "x"}])
def test_states_that_are_none_are_refused(data: Any) -> None:
    with pytest.raises(ValueError):
        spans(data)


def test_curve_has_its_pauses_and_is_bounded() -> None:
    piece = replace(ROW, samples_s=(0.1,) * 50)
    points = trust.curve([(5.0, piece), (12.0, replace(piece, samples_s=(0.2,) * 50))], points=10)
    assert len(points) == 10
    assert points[0] == [pytest.approx(0.55), pytest.approx(1.0)]  # 10 samples of 0.1 s, 1 GB/s
    assert [value for _, value in points] == [1.0] * 5 + [0.5] * 5
    assert points[4][0] < 5 and points[5][0] == pytest.approx(2 + 1.1)  # the second piece began at 2 s


@pytest.mark.parametrize(
    ("last", "words"), [(0.8, "loses 20 %"), (1.0, "holds its speed"), (1.1, "gains 10 %")]
)
def test_drop_from_first_to_last_fifth_in_words(last: float, words: str) -> None:
    samples = [[t, 20.0 if t < 8 else 20.0 * last] for t in range(10)]
    change = trust.trend(samples)
    assert change is not None and change.ratio == pytest.approx(last)
    row = replace(ROW, details={"sustained": samples, "busy": 0.9})
    assert words in findings([row])[0].text and "90 %" in findings([row])[0].text


def test_a_noisy_curve_has_no_trend() -> None:
    samples = [[t, 20.0 + (5 if t % 2 else -5) - (2 if t >= 40 else 0)] for t in range(50)]
    assert "within the noise" in findings([replace(ROW, details={"sustained": samples})])[0].text


def test_few_points_are_no_trend() -> None:
    assert trust.trend([[0.0, 1.0]] * 4) is None
    assert "too few" in findings([replace(ROW, details={"sustained": [[1.0, 2.0]]})])[0].text


@dataclass
class Clock:
    """Time that only the runner lets pass."""

    now: float = 0.0
    fails_at: float = 1e9
    budgets: list[int] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def block(
        self, scheme: Any, phase: Any, candidate: Any, timing: Any, *, logits: bool, again: bool
    ) -> list[Measurement]:
        """One second of filling weights, then as much timed work as was asked for."""
        self.budgets.append(timing.budget_ms)
        if self.now >= self.fails_at:
            return [replace(ROW, status=Status.ERROR, reason="killed", samples_s=())]
        seconds = timing.budget_ms / 1e3
        self.now += 1 + seconds
        return [replace(ROW, samples_s=(0.5,) * int(seconds * 2))]


BASE = Base(Candidate("fused", "qd8", engine=False, fused=True), Scheme.INT8, 128, 32)


def sustained(clock: Clock, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Measurement:
    monkeypatch.setattr(trust, "time", clock)
    return trust.sustained(clock, BASE, seconds)  # type: ignore[arg-type]


def test_sustained_runs_for_that_long_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    row = sustained(clock, 60, monkeypatch)
    assert 60 <= clock.now < 72 and set(clock.budgets) == {10_000} and len(clock.budgets) == 6
    assert len(row.samples_s) == 120 and row.details["sweep"] == "sustained"
    assert row.details["busy"] == pytest.approx(60 / 65, abs=1e-3)  # the first second is before the load
    assert row.details["sustained"][-1][0] <= 65


def test_sustained_keeps_what_came_before_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    row = sustained(Clock(fails_at=20), 60, monkeypatch)
    assert row.status is Status.OK and len(row.samples_s) == 40
    assert "killed" in (row.reason or "")
    first = sustained(Clock(fails_at=0), 60, monkeypatch)
    assert first.status is Status.ERROR and first.reason == "killed"


MS = 10**6
TWO = replace(ROW, samples_s=(0.01,) * 5, device_s=(0.009,) * 5)


def facts(waited: list[float] | None, cpu: list[float] | None = None, **changes: Any) -> StepContention:
    """Two computing threads on two cores in five repeats of 10 ms; ms that they waited and ran, all
    together."""
    ran = cpu or [20 - w for w in waited or [0] * 5]
    queued = None if waited is None else tuple(int(w * MS) for w in waited)
    found = StepContention(2, True, 2, tuple(int(c * MS) for c in ran), queued, 500 * MS)
    return replace(found, **changes)


def contended(given: StepContention | None, row: Measurement = TWO, load: float | None = None) -> Measurement:
    return trust.contended(row, given, Load(load), "this computer")


class TestContention:
    def test_a_quiet_row_is_as_it_was(self) -> None:
        row = contended(facts([0, 0.1, 0, 0, 0], own_ns=950 * MS, machine_ns=1000 * MS, switches=4), load=0.2)
        assert row.valid and row.samples_s == TWO.samples_s and row.reason is None
        assert row.contention == Contention(False, 2, lost=0.0, others=0.1, switches=4, load=0.2)

    def test_half_of_the_time_taken_is_void_with_its_reason(self) -> None:
        row = contended(facts([10] * 5, own_ns=500 * MS, machine_ns=1450 * MS))
        assert not row.valid and row.status is Status.OK and row.disturbed
        assert row.reason == "this computer was busy: other programs took 1.9 of 2 cores"
        assert row.contention is not None and (row.contention.lost, row.contention.others) == (0.5, 1.9)

    def test_a_wait_that_has_not_ended_shows_as_cpu_time_that_is_missing(self) -> None:
        """The kernel adds a wait when it is over; a worker that waits through the whole repeat has none
        yet."""
        taken = {"own_ns": 500 * MS, "machine_ns": 900 * MS}  # 0.8 cores
        assert contended(facts([0] * 5, [10] * 5, **taken, cores=4)).disturbed
        assert contended(facts(None, [10] * 5, **taken, cores=4)).disturbed, (
            "old kernels count no waits at all"
        )
        assert contended(facts(None, [10] * 5)).disturbed, "nor is it known what others did"
        assert not contended(facts(None, [19] * 5, **taken, cores=4)).disturbed

    def test_cpu_time_that_nobody_took_is_missing_for_another_reason(self) -> None:
        """A core that wakes late on an idle machine, as was seen: half of a repeat of 1.5 ms."""
        idle = {"own_ns": 500 * MS, "machine_ns": 520 * MS}
        assert not contended(facts([0] * 5, [10] * 5, **idle)).disturbed
        # 10 ms of a look of 25 ms are a step of the counter, and no program.
        short = {"span_ns": 25 * MS, "own_ns": 20 * MS, "machine_ns": 30 * MS}
        row = contended(facts([0] * 5, [10] * 5, **short))
        assert not row.disturbed
        assert row.contention is not None and row.contention.others is None, "0.4 cores would be a guess"

    def test_threads_that_also_wait_for_storage_or_a_device_need_no_cpu(self) -> None:
        reading = replace(facts([0] * 5, [0.5] * 5), computing=False, threads=1)
        assert not contended(reading).disturbed
        assert contended(replace(reading, waited_ns=(2 * MS,) * 5)).disturbed
        assert contended(replace(reading, waited_ns=None)).contention == Contention(False, 2)

    def test_a_few_disturbed_repeats_are_left_out_and_counted(self) -> None:
        row = contended(
            facts([0, 10, 0, 10, 0], [20, 30, 22, 30, 24]),
            replace(TWO, samples_s=(0.01, 0.02, 0.011, 0.02, 0.012)),
        )
        assert row.valid and row.samples_s == (0.01, 0.011, 0.012) and len(row.device_s) == 3
        assert row.contention is not None and row.contention.dropped == 2
        most = contended(facts([0, 10, 10, 10, 0]))
        assert most.disturbed and most.samples_s == TWO.samples_s

    def test_other_programs_count_where_cores_are_left_too(self) -> None:
        """They take bandwidth. /proc/stat counts in steps of 10 ms a core, so a short look proves nothing."""
        eight = facts([0] * 5, cores=8, own_ns=1000 * MS, machine_ns=2200 * MS)
        assert contended(eight).reason == "this computer was busy: other programs took 2.4 of 8 cores"
        assert not contended(replace(eight, machine_ns=1900 * MS)).disturbed
        assert not contended(replace(eight, span_ns=50 * MS, own_ns=100 * MS, machine_ns=220 * MS)).disturbed

    def test_a_limit_on_cpu_time_is_not_called_other_programs(self) -> None:
        row = contended(facts([12] * 5, [8] * 5, own_ns=400 * MS, machine_ns=420 * MS))
        assert row.disturbed and row.reason is not None
        assert (
            "got 40 % of the time" in row.reason
            and "something limits what this process may use" in row.reason
        )

    def test_no_facts_and_nothing_timed_say_nothing(self) -> None:
        assert contended(None) == TWO
        skipped = replace(TWO, status=Status.SKIPPED, samples_s=())
        assert contended(facts([10] * 5), skipped) == skipped

    def test_what_was_seen_in_figures(self) -> None:
        taken = facts([10] * 5, own_ns=500 * MS, machine_ns=1450 * MS)
        rows = [contended(taken, load=11.04), contended(taken, load=9.0)]
        assert trust.busy_found(rows) == "load 11, other programs use 1.9 of 2 cores"
        assert trust.busy_found([contended(facts([10] * 5))]) == "threads lose 50 % of their time"
        assert trust.busy_found([contended(facts([0] * 5)), replace(ROW, valid=False)]) is None

    def test_measured_again_keeps_the_undisturbed_and_what_was_wrong(self) -> None:
        wrong, fine = Deviation(1, 0.5, 0.5, "out", 0.02), Deviation(0, 0.001, 1, "out", 0.02)
        old = replace(contended(facts([10] * 5)), deviation=wrong, deterministic=False)
        new = trust.better(old, replace(contended(facts([0] * 5)), deviation=fine))
        assert new.valid and new.contention is not None and new.contention.tries == 2
        assert new.deviation == wrong and new.deterministic is False
        worse = replace(contended(facts([16] * 5)), samples_s=(1.0,))
        assert trust.better(old, worse).samples_s == old.samples_s
        crashed = replace(TWO, status=Status.ERROR, reason="SIGSEGV", samples_s=())
        assert trust.better(old, crashed) is crashed

    def test_only_sound_rows_may_be_built_upon(self) -> None:
        assert contended(facts([0] * 5)).sound and not contended(facts([10] * 5)).sound
        assert contended(facts([10] * 5)).right


def test_sustained_load_beside_others_is_void(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(Clock):
        def block(self, *args: Any, **keywords: Any) -> list[Measurement]:
            (row,) = super().block(*args, **keywords)
            if len(self.budgets) != 2:
                return [row]
            return [replace(row, valid=False, reason="busy", contention=Contention(True, 2, lost=0.5))]

    row = sustained(Busy(), 60, monkeypatch)
    assert not row.valid and row.disturbed and row.reason == "1 of 6 pieces: busy"
