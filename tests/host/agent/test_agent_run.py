"""Running plans: results, progress, what fails alone, deadlines, signals, memory."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gemmafit.base.protocol import EXIT_LATE

HEAD = """gemmafit-plan 1
backend cpu
buffer a bytes=64 fill=f32 seed=1 rows=1 cols=16 lo=-1 hi=1
buffer b bytes=64 fill=zero
buffer c bytes=4 fill=zero
kernel copy routine=copy_rows
"""
COPY = "run copy args=B:a,B:b,I:1,I:16,I:0\nreturn b\nend\n"
FIRST = "step first warmup=1 repeat=3..3\n" + COPY

# Minutes of arithmetic in one step, which nothing in the process can stop.
ENDLESS_CPU = (
    "kernel peak routine=peak_f32\n"
    + FIRST
    + "step endless\n"
    + 60 * "run peak args=B:c,I:1048575\n"
    + "end\n"
)


def test_result_and_progress(agent: Any) -> None:
    ended = agent.plan(HEAD + FIRST + "step second repeat=2..4 budget_ms=0\n" + COPY)
    assert ended.exit == 0 and ended.stderr == ""
    assert ended.events == [
        {"event": "step", "name": "first", "done": 1, "total": 2},
        {"event": "step", "name": "second", "done": 2, "total": 2},
    ]
    r = ended.result
    assert (r.complete, r.error, r.backend, r.device.type) == (True, None, "cpu", "cpu")
    assert r.peak_rss > 100_000
    first, second = r.steps
    assert (len(first.samples_ns), len(second.samples_ns)) == (3, 2)  # no budget: only the least repeats
    assert first.deterministic and first.bits[0] == second.bits[0]
    assert first.device_ns == () and all(t > 0 for t in first.samples_ns)
    assert r.output(first, "b").tobytes() == r.output(second, "b").tobytes() != bytes(64)
    assert sorted(p.name for p in agent.directory.iterdir()) == ["plan.txt", "result.bin", "result.json"]


def test_bits_is_fnv1a_of_all_returned_buffers_in_order(agent: Any) -> None:
    text = HEAD + FIRST.replace("return b", "return b\nreturn a\nreturn c")
    ended = agent.plan(text)
    data = (agent.directory / "result.bin").read_bytes()
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    assert len(data) == 132 and set(ended.result.steps[0].bits) == {f"{value:016x}"}


def test_what_fails_costs_its_own_steps_only(agent: Any) -> None:
    extra = """kernel wrong routine=no_such_routine
kernel late routine=add isa=no_such_isa
kernel sized routine=copy_rows
step a repeat=1
run wrong args=B:a
end
step b repeat=1
run late args=B:a,B:a,B:b,I:16
end
step c repeat=1
run sized args=B:a,B:c,I:1,I:16,I:0
end
step d repeat=1
run sized args=B:a,B:b,I:1
end
"""
    ended = agent.plan(HEAD + extra + FIRST)
    assert ended.exit == 0 and ended.result.complete
    assert [b.status for b in ended.result.builds] == ["ok", "error", "error", "ok"]
    *failed, good = ended.result.steps
    assert all(s.status == "error" and s.reason and not s.samples_ns for s in failed)
    assert "no_such_routine" in failed[0].reason and "no_such_isa" in failed[1].reason
    assert failed[3].reason == "copy_rows takes the arguments BBIII, not BBI"
    assert good.status == "ok" and good.reason is None


def test_deadline_between_repeats_is_no_crash(agent: Any) -> None:
    long = "step long repeat=10000..10000 budget_ms=3600000\nrun peak args=B:c,I:200\nend\n"
    ended = agent.plan(HEAD + "kernel peak routine=peak_f32\n" + long + FIRST, deadline=1.5)
    assert ended.exit == 0
    step, *others = ended.result.steps  # a short one may still have found time
    assert ended.result.complete == bool(others) and step.status in ("ok", "skipped")
    assert ended.result.error == (None if others else "stopped by its deadline of 1.5 s")
    assert step.reason == f"deadline after {len(step.samples_ns)} repeats"


def test_a_repeat_that_would_outlast_the_deadline_is_not_begun(agent: Any) -> None:
    """A call of a driver cannot be stopped: the row would be lost with its process."""
    head, step = (
        HEAD + "kernel peak routine=peak_f32\n",
        "step {} warmup=0 repeat=3..3\nrun peak args=B:c,I:{}\nend\n",
    )
    known = 4000
    (sample,) = agent.plan(head + step.format("known", known)).result.steps
    seconds = 3
    units = int(known * seconds * 1e9 / min(sample.samples_ns))
    ended = agent.plan(head + step.format("slow", units), deadline=1.6 * seconds)
    assert ended.exit == 0
    (slow,) = ended.result.steps
    done = len(slow.samples_ns)  # two where the machine has become faster meanwhile
    assert (slow.status, slow.reason) == ("ok", f"deadline after {done} repeats") and done in (1, 2)


def test_the_watchdog_ends_what_hangs_and_earlier_rows_stay(agent: Any) -> None:
    ended = agent.plan(HEAD + ENDLESS_CPU, deadline=2)
    assert ended.late
    assert [s.name for s in ended.result.steps] == ["first"] and not ended.result.complete
    assert ended.result.output(ended.result.steps[0], "b") is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_what_it_has(agent: Any, number: int) -> None:
    long = "step long repeat=10000..10000 budget_ms=3600000\nrun peak args=B:c,I:200\nend\n"
    (agent.directory / "plan.txt").write_text(HEAD + "kernel peak routine=peak_f32\n" + FIRST + long)
    process = agent.start("run", "--plan", "plan.txt", "--out", "result")
    assert process.stdout.readline() == '{"event": "step", "name": "first", "done": 1, "total": 2}\n'
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 0
    result = agent.result()
    assert not result.complete or len(result.steps[1].samples_ns) < 10000
    assert result.steps[0].status == "ok"


def test_sigterm_while_hanging_still_ends_it(agent: Any) -> None:
    (agent.directory / "plan.txt").write_text(HEAD + ENDLESS_CPU)
    process = agent.start("run", "--plan", "plan.txt", "--out", "result", "--deadline", "600")
    process.stdout.readline()
    time.sleep(0.5)  # by now it is in the endless step, which does not announce itself
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == EXIT_LATE


def test_nobody_listens(agent: Any) -> None:
    """The host died: the agent goes on, and does not die of a closed pipe."""
    (agent.directory / "plan.txt").write_text(HEAD + FIRST)
    process = agent.start("run", "--plan", "plan.txt", "--out", "result")
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=30) == 0 and agent.result().complete


def test_too_large_a_plan_is_refused_before_it_is_touched(agent: Any) -> None:
    ended = agent.plan(HEAD + "buffer big bytes=3000000 fill=zero\n" + FIRST, "--max-memory", "2000000")
    assert ended.exit == 0 and ended.result.complete and ended.result.too_large
    assert ended.result.error == "the plan's buffers need 3000132 bytes, the limit is 2000000"
    assert [(s.status, s.reason) for s in ended.result.steps] == [("skipped", ended.result.error)]


def test_the_default_limit_protects_the_phone(agent: Any) -> None:
    ended = agent.plan(HEAD + f"buffer big bytes={1 << 39} fill=zero\n" + FIRST)
    assert ended.exit == 0 and ended.result.steps[0].status == "skipped"


def test_memory_is_used_once(agent: Any) -> None:
    size = 64 << 20
    big = f"buffer big bytes={size} fill=i8 seed=1 rows=4096 cols=16384 tile=16,4\n"
    ended = agent.plan(HEAD + big + FIRST)
    assert size < ended.result.peak_rss < size + (24 << 20)


def test_a_directory_that_cannot_be_written(agent: Any) -> None:
    (agent.directory / "result.json.part").mkdir()
    ended = agent.plan(HEAD + FIRST)
    assert ended.exit == 4 and "cannot write the result" in ended.stderr


def test_version(agent: Any) -> None:
    from gemmafit import __version__

    ended = agent.call("version")
    assert ended.stdout == f"gemmafit-agent {__version__} {agent.path.parent.name}\n"
    abilities = json.loads(agent.call("version", "--json").stdout)
    assert abilities["routines"]["copy_rows"] == "BBIII" and "scalar" in abilities["isas"]


KERNELS = """
__kernel void twice(__global float *x, int n) { int i = get_global_id(0); if (i < n) x[i] = 2 * x[i]; }
__kernel void set(__global const float *a, __global float *b, float f, __local float *l)
{
    int i = get_global_id(0);
    l[get_local_id(0)] = a[i] + f;
    barrier(CLK_LOCAL_MEM_FENCE);
    b[i] = l[get_local_size(0) - 1 - get_local_id(0)];
}
__kernel void endless(__global volatile float *x) { while (x[0] != 2.5f) x[1] += 1; }
__kernel void crash(__global float *x) { *(__global volatile float *)8 = 1; }
"""
CL_HEAD = """gemmafit-plan 1
backend opencl
buffer a bytes=64 fill=f32 seed=1 rows=1 cols=16 lo=-1 hi=1
buffer b bytes=64 fill=zero
kernel set file=k.cl entry=set
kernel twice file=k.cl entry=twice
kernel endless file=k.cl entry=endless
kernel crash file=k.cl entry=crash
"""
CL_FIRST = """step first warmup=1 repeat=3..3
run set global=16 local=8 args=B:a,B:b,F:1.5,L:32
run twice global=32 args=B:b,I:16
return a
return b
end
"""


def _opencl(agent: Any, text: str, *args: str, **options: Any) -> Any:
    (agent.directory / "k.cl").write_text(KERNELS)
    return agent.plan(CL_HEAD + text, *args, **options)


def test_opencl(opencl_agent: Any) -> None:
    import numpy as np

    ended = _opencl(opencl_agent, CL_FIRST)
    assert ended.exit == 0, ended
    step = ended.result.steps[0]
    assert step.status == "ok" and step.deterministic and len(step.device_ns) in (0, 3)
    a, b = (ended.result.output(step, n).view(np.float32).reshape(2, 8) for n in "ab")
    assert np.array_equal(b, 2 * (a + np.float32(1.5))[:, ::-1])


def test_opencl_failures_have_names_and_stay_alone(opencl_agent: Any) -> None:
    extra = """kernel syntax file=bad.cl entry=f
kernel absent file=k.cl entry=no_such_kernel
kernel nofile file=absent.cl entry=f
step a repeat=1
run syntax global=1 args=B:a
end
step b repeat=1
run absent global=1 args=B:a
end
step c repeat=1
run nofile global=1 args=B:a
end
step d repeat=1
run twice global=16 args=B:a
end
step e repeat=1
run twice global=1048576 local=1048576 args=B:b,I:16
end
"""
    (opencl_agent.directory / "bad.cl").write_text("__kernel void f(__global float *x) { x[0] = nonsense; }")
    ended = _opencl(opencl_agent, extra + CL_FIRST)
    assert ended.exit == 0 and ended.result.complete, ended
    builds = {b.kernel: b for b in ended.result.builds}
    assert builds["syntax"].status == "error" and "nonsense" in builds["syntax"].log
    assert builds["syntax"].log.startswith("CL_BUILD_PROGRAM_FAILURE (-11) in clBuildProgram")
    steps = {s.name: s for s in ended.result.steps}
    assert "kernel syntax did not build" in steps["a"].reason
    assert "CL_INVALID_KERNEL_NAME (-46) in clCreateKernel for no_such_kernel" in steps["b"].reason
    assert "absent.cl: No such file or directory" in steps["c"].reason
    assert "CL_INVALID_KERNEL_ARGS (-52) in clEnqueueNDRangeKernel" in steps["d"].reason
    assert steps["e"].status == "unsupported" and "needs work-groups of 1048576" in steps["e"].reason
    assert steps["first"].status == "ok"


def test_opencl_a_log_with_anything_in_it_is_text(opencl_agent: Any) -> None:
    """Compilers quote the source; the JSON stays JSON, and no byte of it moves a cursor."""
    (opencl_agent.directory / "bad.cl").write_bytes(b'#error "\x1b[31m \xff \\ \xe2\x82\xac "\n')
    run = "kernel bad file=bad.cl entry=f\nstep s repeat=1\nrun bad global=1\nend\n"
    ended = _opencl(opencl_agent, run)
    assert ended.exit == 0 and ended.result.steps[0].status == "error"
    raw = (opencl_agent.directory / "result.json").read_bytes()
    assert not any(byte < 32 and byte != 10 for byte in raw)
    assert "#error" in ended.result.builds[-1].log or "error" in ended.result.builds[-1].log
    raw.decode("utf-8")


def test_opencl_a_driver_that_crashes_costs_what_follows(opencl_agent: Any) -> None:
    ended = _opencl(opencl_agent, CL_FIRST + "step boom\nrun crash global=1 args=B:a\nend\n")
    if ended.exit == 0:
        pytest.skip("the device takes a write to address 8: it has memory protection of its own")
    assert ended.exit < 0 and not ended.result.complete
    assert [s.name for s in ended.result.steps] == ["first"]


def test_opencl_a_driver_that_hangs_is_killed(opencl_agent: Any) -> None:
    ended = _opencl(opencl_agent, CL_FIRST + "step hang\nrun endless global=1 args=B:b\nend\n", deadline=3)
    assert ended.late and [s.name for s in ended.result.steps] == ["first"]


def test_no_such_device(opencl_agent: Any) -> None:
    ended = _opencl(opencl_agent, CL_FIRST.replace("step first", "option device=77\nstep first"))
    assert ended.exit == 3 and "no OpenCL device number 77" in ended.result.error
    assert ended.result.steps == () and ended.result.device is None


def test_without_a_library(agent: Any, tmp_path: Path) -> None:
    """A backend that is not there is exit 3 and a reason, for both; here: nothing can be opened by name."""
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("no mount namespaces here to hide the libraries in")
    for backend, words in (("opencl", "no OpenCL library"), ("vulkan", "no Vulkan loader")):
        plan = f"gemmafit-plan 1\nbackend {backend}\nkernel k file=k\nstep s\nrun k global=1\nend\n"
        (agent.directory / "plan.txt").write_text(plan)
        hide = (
            "for f in $(ldconfig -p | sed -n 's/.*=> //p' | grep -E 'lib(OpenCL|vulkan)'); do "
            'mount --bind /dev/null $f; done; exec "$@"'
        )
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", hide, "sh", agent.path]
        done = subprocess.run(
            [*command, "run", "--plan", "plan.txt", "--out", "result"],
            cwd=agent.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 3, done
        assert words in agent.result().error


def _spirv(*capabilities: int) -> bytes:
    """A compute shader that does nothing, by the words of the SPIR-V specification."""

    def op(code: int, *operands: int) -> list[int]:
        return [len(operands) + 1 << 16 | code, *operands]

    main, void, function, label = 1, 2, 3, 4
    words = [0x07230203, 0x00010000, 0, 5, 0]
    for capability in capabilities:
        words += op(17, capability)
    words += op(14, 0, 1)  # OpMemoryModel Logical GLSL450
    words += op(15, 5, main, int.from_bytes(b"main", "little"), 0)  # OpEntryPoint GLCompute
    words += op(16, main, 17, 1, 1, 1)  # OpExecutionMode LocalSize
    words += op(19, void) + op(33, function, void)
    words += op(54, void, main, 0, function) + op(248, label) + op(253) + op(56)
    return struct.pack(f"<{len(words)}I", *words)


VK_PLAN = """gemmafit-plan 1
backend vulkan
buffer a bytes=64 fill=f32 seed=1 rows=1 cols=16 lo=-1 hi=1
buffer huge bytes=5000000000 fill=zero
kernel good file=good.spv
kernel garbage file=garbage.spv
kernel kernelc file=kernel.spv
kernel wave file=good.spv subgroup=1023
kernel bound file=good.spv bindings=1
step garbage repeat=1
run garbage global=1
end
step capability repeat=1
run kernelc global=1
end
step subgroup repeat=1
run wave global=1
end
step groups repeat=1
run good global=4294967295
end
step binding repeat=1
run bound global=1
end
step local repeat=1
run good global=1 args=L:64
end
step buffer repeat=1
run bound global=1 args=B:huge
end
step good repeat=3..3
run good global=1
run bound global=2,2,2 args=B:a
return a
end
"""


def test_vulkan_failures_have_reasons_and_stay_alone(vulkan_agent: Any) -> None:
    if sys.maxsize < 1 << 32:
        pytest.skip("the plan needs 64 bits")
    directory = vulkan_agent.directory
    (directory / "good.spv").write_bytes(_spirv(1))
    (directory / "kernel.spv").write_bytes(_spirv(1, 6))  # Kernel: OpenCL's
    (directory / "garbage.spv").write_bytes(b"\0" * 64)
    ended = vulkan_agent.plan(VK_PLAN, "--max-memory", str(1 << 34))
    assert ended.exit == 0 and ended.result.complete, ended
    steps = {s.name: (str(s.status), s.reason) for s in ended.result.steps}
    assert steps["good"] == ("ok", None) and ended.result.steps[-1].deterministic
    assert ended.result.output(ended.result.steps[-1], "a") is not None
    assert steps["garbage"] == ("error", "kernel garbage did not build: not a SPIR-V module")
    assert steps["capability"][0] == "unsupported" and "capability 6" in steps["capability"][1]
    assert steps["subgroup"][0] == "unsupported" and "subgroups of 1023" in steps["subgroup"][1]
    assert steps["groups"][0] == "unsupported" and "4294967295 work-groups" in steps["groups"][1]
    assert steps["binding"][0] == "error" and "0 buffers and 0 bytes" in steps["binding"][1]
    assert steps["local"] == ("error", "good: Vulkan has no local-memory arguments")
    assert steps["buffer"][0] == "unsupported" and "maxStorageBufferRange" in steps["buffer"][1]
