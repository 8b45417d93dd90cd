"""The Python worker as a process: exit status, deadline, and failures that cost one row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmafit.base.names import Backend, Status
from gemmafit.benchmarks.interpreter.result import Result, read
from gemmafit.benchmarks.plan import Arg, Buffer, Dispatch, Kernel, Plan, Step, buffers, ints

SOURCE = """
kernel void twice(global const float* x, global float* y, int n, float f) {
    if ((int)get_global_id(0) < n) y[get_global_id(0)] = f * x[get_global_id(0)];
}
kernel void forever(global volatile float* x) {
    while (x[0] < 2.0f) x[1] += 1.0f;
}
kernel void alternate(global float* y) { y[0] = 1.0f - y[0]; }
"""
X = Buffer("x", 256, "f32", seed=1, rows=1, cols=64, lo=-1, hi=1)
Y = Buffer("y", 256)
TWICE = Kernel("twice", "k.cl", "twice")
DOUBLE = Dispatch("twice", buffers("x", "y") + ints(64) + (Arg("F", 2.0),), (64,))


def worker(folder: Path, *args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "gemmafit.benchmarks.interpreter.worker", *args]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=60
    )


def run(folder: Path, plan: Plan, deadline: float = 20, **keywords: Any) -> tuple[int, Result | None, str]:
    (folder / "k.cl").write_text(SOURCE)
    (folder / "plan.txt").write_text(plan.to_text())
    done = worker(
        folder,
        plan.backend,
        "run",
        "--plan",
        "plan.txt",
        "--out",
        "r",
        "--deadline",
        str(deadline),
        **keywords,
    )
    result = read(folder / "r.json", folder / "r.bin") if (folder / "r.json").exists() else None
    if result is not None and done.returncode == 3:
        pytest.skip(f"OpenCL: {result.error}")
    return done.returncode, result, done.stdout + done.stderr


def opencl(
    *steps: Step, buffers: tuple[Buffer, ...] = (X, Y), kernels: tuple[Kernel, ...] = (TWICE,)
) -> Plan:
    return Plan(Backend.OPENCL, buffers, kernels, steps)


def test_a_plan(tmp_path: Path) -> None:
    status, result, said = run(tmp_path, opencl(Step("double", (DOUBLE,), ("y", "x"), repeat_max=4)))
    assert status == 0 and result is not None and result.complete, said
    step = result.step("double")
    assert step is not None and step.status is Status.OK and step.deterministic
    x, y = (result.output(step, n) for n in "xy")
    assert x is not None and y is not None
    assert np.array_equal(2 * x.view("<f4"), y.view("<f4")) and np.abs(x.view("<f4")).max() > 0.5
    assert {"event": "step", "name": "double", "done": 1, "total": 1} in map(json.loads, said.splitlines())
    assert result.device is not None and result.device.name and result.peak_rss


def test_repeats_that_differ_are_reported(tmp_path: Path) -> None:
    toggle = Step("toggle", (Dispatch("alternate", buffers("y"), (1,)),), ("y",), repeat_min=2, repeat_max=3)
    _, result, _ = run(tmp_path, opencl(toggle, kernels=(Kernel("alternate", "k.cl", "alternate"),)))
    assert result is not None and [s.deterministic for s in result.steps] == [False]


def test_failures_cost_their_own_steps(tmp_path: Path) -> None:
    (tmp_path / "broken.cl").write_text("kernel void k(global float* x) { nonsense }")
    broken = Kernel("broken", "broken.cl", "k")
    huge = Buffer("huge", 1 << 50)
    plan = opencl(
        Step("broken", (Dispatch("broken", buffers("x"), (1,)),)),
        Step("huge", (Dispatch("twice", buffers("huge", "y") + ints(1) + (Arg("F", 1.0),), (1,)),)),
        Step("arguments", (Dispatch("twice", buffers("x"), (1,)),)),
        Step("sizes", (Dispatch("twice", DOUBLE.args, (63,), (64,)),)),
        Step("double", (DOUBLE,), ("y",)),
        buffers=(X, Y, huge),
        kernels=(TWICE, broken, Kernel("absent", "k.cl", "absent")),
    )
    status, result, said = run(tmp_path, plan)
    assert status == 0 and result is not None and result.complete, said
    assert [s.status for s in result.steps] == [Status.ERROR] * 4 + [Status.OK]
    reasons = [s.reason or "" for s in result.steps]
    assert "did not build" in reasons[0] and "CL_BUILD_PROGRAM_FAILURE (-11)" in reasons[0]
    assert "huge" in reasons[1]
    assert "CL_INVALID_KERNEL_ARGS (-52) in clEnqueueNDRangeKernel" in reasons[2]
    assert "CL_INVALID_WORK_GROUP_SIZE (-54)" in reasons[3]
    assert {b.kernel: b.status for b in result.builds}["absent"] is Status.ERROR


def test_no_platform_is_a_finding(tmp_path: Path) -> None:
    env = {"OCL_ICD_VENDORS": str(tmp_path), "OPENCL_VENDOR_PATH": str(tmp_path), "OCL_ICD_FILENAMES": ""}
    # The loader in pyopencl's wheel also looks beside itself; a device that does not exist is then the finding.
    plan = opencl(Step("double", (DOUBLE,)))
    (tmp_path / "k.cl").write_text(SOURCE)
    (tmp_path / "plan.txt").write_text(plan.to_text().replace("opencl\n", "opencl\noption device=99\n"))
    done = worker(tmp_path, "opencl", "run", "--plan", "plan.txt", "--out", "r", "--deadline", "20", env=env)
    result = read(tmp_path / "r.json", None)
    assert done.returncode == 3 and result.complete and result.error is not None
    assert "no OpenCL" in result.error and "Traceback" not in done.stderr


def test_the_deadline_between_repeats(tmp_path: Path) -> None:
    many = Step("many", (DOUBLE,), ("y",), repeat_min=1 << 30, repeat_max=1 << 30)
    start = time.monotonic()
    status, result, _ = run(tmp_path, opencl(many, Step("double", (DOUBLE,))), deadline=4)
    assert time.monotonic() - start < 12
    assert status == 0 and result is not None
    assert result.steps[0].status is Status.OK and "deadline" in (result.steps[0].reason or "")
    # A short step may still have found time.
    assert result.complete == (result.step("double") is not None) == (result.error is None)


def test_a_kernel_that_never_ends(tmp_path: Path) -> None:
    """The driver holds the process; the watchdog ends it, and what was done before is there."""
    endless = Step("endless", (Dispatch("forever", buffers("x"), (1,)),))
    kernels = (TWICE, Kernel("forever", "k.cl", "forever"))
    status, result, said = run(
        tmp_path, opencl(Step("double", (DOUBLE,), ("y",)), endless, kernels=kernels), 4
    )
    assert status == 1 and "in submit" in said
    assert result is not None and not result.complete
    assert [(s.name, s.status) for s in result.steps] == [("double", Status.OK)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("gemmafit-plan 1", "gemmafit-plan 7"), "version"),
        (("backend opencl", "backend vulkan"), "the plan is for vulkan"),
        (("file=k.cl", "file=../k.cl"), "plain file name"),
        (("B:x", "B:z"), "no buffer or kernel z"),
        (("fill=f32", "fill=f8"), "line 3"),
    ],
)
def test_a_malformed_plan(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    text = opencl(Step("double", (DOUBLE,))).to_text()
    (tmp_path / "plan.txt").write_text(text.replace(*change))
    done = worker(tmp_path, "opencl", "run", "--plan", "plan.txt", "--out", "r")
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_probe(tmp_path: Path) -> None:
    done = worker(tmp_path, "opencl", "probe", "--out", "probe.json", "--deadline", "20")
    assert done.returncode == 0, done.stderr
    part = json.loads((tmp_path / "probe.json").read_text())["opencl"]
    if part["error"]:
        pytest.skip(part["error"])
    device = part["device"]
    assert part["attempts"][0]["opened"] and part["device_count"] >= 1
    assert device["CL_DEVICE_TYPE"] in (["cpu"], ["gpu"], ["accelerator"])
    assert device["CL_DEVICE_MAX_MEM_ALLOC_SIZE"] > 1 << 20 and device["CL_DRIVER_VERSION"]
    assert isinstance(device["CL_DEVICE_EXTENSIONS"], str)
