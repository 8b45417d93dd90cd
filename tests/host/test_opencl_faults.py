"""Drivers that fail: the real one of this computer behind a library that makes it fail in one way (faulty_opencl.c)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gemmafit.base.names import Status
from gemmafit.benchmarks.block.dims import SMALL, Scheme
from gemmafit.benchmarks.measurements import Measurement
from gemmafit.benchmarks.run import BlockOptions, measure
from gemmafit.probes.collect import collect
from gemmafit.probes.local import LocalTarget
from gemmafit.probes.read import read
from gemmafit.probes.snapshot import Snapshot

OPTIONS = BlockOptions(backends=("opencl",), dims=SMALL, limits=False, schemes=(Scheme.INT4,), chunk=8)
Measure = Callable[..., list[Measurement]]


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    found = read(collect(LocalTarget()))
    if not found.opencl.present:
        pytest.skip(f"needs an OpenCL driver: {found.opencl.error}")
    if found.opencl.device_type != "cpu":
        pytest.skip("the variants named here are those of a CPU device")
    return found


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libOpenCL.so.1 with the faults, before the real one."""
    pytest.importorskip("ziglang")
    listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    real = next((line.split()[-1] for line in listed.splitlines() if "libOpenCL.so.1" in line), None)
    if real is None:
        pytest.skip("needs a libOpenCL.so.1 of the system")
    folder = tmp_path_factory.mktemp("faulty")
    source = Path(__file__).parent / "faulty_opencl.c"
    command = [sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-O1", str(source)]
    command += [f'-DREAL_OPENCL="{real}"', "-ldl", "-o", str(folder / "libOpenCL.so.1")]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(params=["python", "agent"])
def faulty(
    request: pytest.FixtureRequest, library: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> Measure:
    """Measures through a driver with a fault."""

    def run(fault: str, once: Path | None = None) -> list[Measurement]:
        monkeypatch.setenv("FAULT", fault)
        if once is not None:
            once.touch()
            monkeypatch.setenv("FAULT_ONCE", str(once))
        if request.param == "agent":
            monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
        else:
            monkeypatch.setenv("LD_PRELOAD", str(library / "libOpenCL.so.1"))
        return measure(LocalTarget(interpreter=request.param), snapshot, OPTIONS)

    return run


def of(rows: list[Measurement], variant: str) -> dict[str, Measurement]:
    return {row.phase: row for row in rows if row.variant == variant}


def right(row: Measurement) -> bool:
    return row.status is Status.OK and row.deviation is not None and row.deviation.ok


def test_without_a_fault_the_first_variant_is_chosen(faulty: Measure) -> None:
    rows = faulty("none")
    assert all(right(row) for row in rows) and set(of(rows, "lanes")) == {"decode", "logits", "prefill"}
    assert all(row.device_s for row in rows)


def test_a_variant_that_does_not_compile_is_a_row_and_the_next_is_tried(faulty: Measure) -> None:
    rows = faulty("compile")
    for row in of(rows, "lanes").values():
        assert row.status is Status.ERROR and row.reason is not None
        assert (
            "did not build" in row.reason and "CL_BUILD_PROGRAM_FAILURE (-11) in clBuildProgram" in row.reason
        )
    assert "prefill" not in of(rows, "lanes")
    assert {phase for phase, row in of(rows, "engine").items() if right(row)} == {
        "decode",
        "logits",
        "prefill",
    }


def test_a_variant_with_wrong_numbers_is_recorded_and_never_chosen(faulty: Measure) -> None:
    rows = faulty("numbers")
    wrong = of(rows, "lanes")["decode"]
    assert wrong.status is Status.OK and wrong.samples_s
    assert wrong.deviation is not None and not wrong.deviation.ok
    assert "prefill" not in of(rows, "lanes") and right(of(rows, "engine")["prefill"])


def test_memory_that_is_refused_when_it_is_made(faulty: Measure) -> None:
    """Below CL_DEVICE_MAX_MEM_ALLOC_SIZE, which the driver claimed to support."""
    rows = faulty("memory")
    refused = [row for row in rows if row.phase != "logits"]  # which needs little
    assert {row.variant for row in refused} >= {"lanes", "engine"}
    for row in refused:
        assert row.status is Status.ERROR and row.reason is not None and row.reason.startswith("buffer w")
        assert "CL_MEM_OBJECT_ALLOCATION_FAILURE (-4)" in row.reason


def test_memory_that_is_refused_when_a_kernel_uses_it(faulty: Measure) -> None:
    rows = faulty("late")
    assert rows and all(row.status is Status.ERROR and not row.samples_s for row in rows)
    assert all(
        "CL_MEM_OBJECT_ALLOCATION_FAILURE (-4) in clEnqueueNDRangeKernel" in str(r.reason) for r in rows
    )


def test_a_clock_that_stands_at_zero_leaves_the_wall_clock(faulty: Measure) -> None:
    rows = faulty("timer")
    assert all(right(row) and row.device_s == () and len(row.samples_s) >= 2 for row in rows)
    assert all(row.gb_per_s and row.gb_per_s > 0 for row in rows)


def test_a_device_that_is_lost_in_every_process(faulty: Measure) -> None:
    rows = faulty("lost")
    assert rows and all(row.status is Status.ERROR for row in rows)
    assert all("CL_OUT_OF_RESOURCES (-5) in clFinish" in str(row.reason) for row in rows)


def test_a_device_that_is_lost_once_costs_one_variant(faulty: Measure, tmp_path: Path) -> None:
    rows = faulty("lost", once=tmp_path / "once")
    assert of(rows, "lanes")["decode"].status is Status.ERROR
    assert {phase for phase, row in of(rows, "engine").items() if right(row)} >= {"decode", "prefill"}
