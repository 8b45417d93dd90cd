"""What a reader of numbers is told: software devices, void rows, what did not fit, the agent's memory."""

from __future__ import annotations

from dataclasses import replace

from gemmafit.base.names import Backend, Status
from gemmafit.benchmarks import notes
from gemmafit.benchmarks.measurements import Contention, Measurement
from gemmafit.probes.snapshot import Conditions
from gemmafit.reports.figures import name

ROW = Measurement(
    Backend.OPENCL, "int8", "decode", "engine", Status.OK, samples_s=(0.01,), bytes=10**8,
    device="a CPU driver", details={"device_type": "cpu", "peak_rss_bytes": 300 * 10**6},
)  # fmt: skip
STATE = Conditions(battery_percent=4, charging=True)


def said(*rows: Measurement, state: Conditions = Conditions()) -> str:  # noqa: B008  (frozen)
    return "\n".join(notes.notes(rows, state))


def test_a_software_device_is_marked_wherever_it_shows() -> None:
    assert "opencl: a CPU driver computes on the CPU; it proves correctness and layout" in said(ROW, ROW)
    assert said(ROW, ROW).count("a CPU driver") == 1
    assert name(ROW).startswith("opencl* ") and name(replace(ROW, phase="limit")).startswith("opencl* ")
    for other in (replace(ROW, backend=Backend.CPU), replace(ROW, details={"device_type": "gpu"})):
        assert "computes on the CPU" not in said(other) and "*" not in name(other)


def test_compile_times_of_a_software_device_are_marked_too() -> None:
    build = replace(ROW, phase="build", details={"sweep": "build", "at": "first"})
    other = replace(build, device="a GPU")
    _, first, second = notes.typed([ROW, build, other])
    assert first.software and not second.software


def test_state_of_the_device() -> None:
    text = said(ROW, state=STATE)
    assert "The battery is at 4 %" in text and "charging" in text
    assert notes.notes([], STATE) == []  # nothing ran that a battery could have slowed


def test_void_rows_with_their_reason() -> None:
    text = said(ROW, replace(ROW, valid=False, reason="the thermal status went from 0 to 2"))
    assert "1 of 2 rows are void: the thermal status went from 0 to 2." in text


def test_rows_that_other_programs_disturbed_are_one_sentence() -> None:
    def taken(others: float) -> Measurement:
        found = Contention(True, 2, lost=0.5, others=others, load=11.0)
        return replace(ROW, valid=False, reason=f"busy: {others}", contention=found)

    lines = said(ROW, taken(1.7), taken(1.9), taken(1.8)).splitlines()
    assert [line for line in lines if "void" in line] == [
        "3 of 4 rows are void: the processor was busy (load 11, other programs use 1.8 of 2 cores)."
    ]


def test_what_was_left_out_for_want_of_memory() -> None:
    skipped = replace(
        ROW,
        samples_s=(),
        status=Status.SKIPPED,
        reason="needs 141 MiB, 64 MiB of memory are free",
        details={"shortage": True},
    )
    assert "skipped, not enough free memory: int8 decode engine (needs 141 MiB" in said(skipped)
    assert "left out" not in said(replace(skipped, details={}))


def test_the_agent_says_what_it_held() -> None:
    assert "at most 300 MB, of the 400 MB" in said(ROW)
    assert notes.agent_memory([ROW]) == {"peak_rss_bytes": 300 * 10**6, "limit_bytes": 400 * 10**6}
    greedy = replace(ROW, details={"peak_rss_bytes": 500 * 10**6})
    assert "500 MB, MORE than" in said(ROW, greedy)
    assert notes.agent_memory([replace(ROW, executor="pyopencl")]) == {}


def test_what_was_left_alone_and_what_was_forced() -> None:
    fault = "known fault x (reboot): it restarts (a source)"
    skipped = replace(ROW, samples_s=(), status=Status.SKIPPED, details={notes.LEFT_ALONE: fault})
    assert f"opencl: nothing was run, for {fault}. --force runs it all the same." in said(skipped)
    forced = replace(ROW, details={**ROW.details, notes.FORCED: fault})
    assert said(forced, forced).count(f"opencl: was run by --force in spite of {fault}.") == 1
    assert "known fault" not in said(ROW)
