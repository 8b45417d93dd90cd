"""The Android executables themselves, running: on glibc's loader with a libc.so in bionic's shape (bionic/).

This is no phone: it checks start-up, the hand-written declarations (layouts and numbers that differ from
glibc's), the linked symbols and the order of OpenCL libraries, on arm64 and 32-bit Arm under qemu.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gemmafit.agent import binary, build
from gemmafit.base.errors import ToolchainError
from gemmafit.probes.capture import Capture
from gemmafit.probes.read import read

SHIM = Path(__file__).parent / "bionic"


@dataclass(frozen=True)
class Machine:
    """An ABI, the glibc it runs on here (zig's triple, root folder, loader), and the emulator."""

    abi: str
    triple: str
    root: Path
    loader: str
    emulator: str = ""


MACHINES = (
    Machine("x86_64", "x86_64-linux-gnu.2.28", Path("/"), "lib64/ld-linux-x86-64.so.2"),
    Machine(
        "arm64-v8a",
        "aarch64-linux-gnu.2.28",
        Path("/usr/aarch64-linux-gnu"),
        "lib/ld-linux-aarch64.so.1",
        "qemu-aarch64-static",
    ),
    Machine(
        "armeabi-v7a",
        "arm-linux-gnueabi.2.28",
        Path("/usr/arm-linux-gnueabi"),
        "lib/ld-linux.so.3",
        "qemu-arm-static",
    ),
)


@dataclass(frozen=True)
class Phone:
    """Runs the ABI's executable in a directory."""

    machine: Machine
    libraries: Path
    directory: Path

    def call(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        m = self.machine
        path = f"{self.libraries}:{m.root}/lib"
        command = [m.emulator, "-L", str(m.root)] if m.emulator else []
        command += [str(m.root / m.loader), "--library-path", path, str(binary(m.abi)), *args]
        return subprocess.run(
            command,
            cwd=self.directory,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def probe(self, backend: str, **environment: str) -> dict[str, Any]:
        done = self.call("probe", "--out", "probe.json", "--only", backend, **environment)
        assert done.returncode == 0, done.stderr
        probe: dict[str, Any] = json.loads((self.directory / "probe.json").read_text())
        return probe


def _compile(tool: build.Toolchain, triple: str, source: Path, out: Path, *more: str) -> None:
    library = tool.make(
        f"{out.stem}.{triple}",
        ".so",
        ["cc", "-target", triple, "-shared", "-fPIC", "-O1", f"-Wl,-soname,{out.name}", str(source), *more],
        [source],
    )
    shutil.copy(library, out)


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> build.Toolchain:
    try:
        return build.Toolchain(tmp_path_factory.mktemp("bionic"))
    except ToolchainError as error:
        pytest.skip(f"{error} {error.hint}")


@pytest.fixture(params=MACHINES, ids=lambda m: m.abi)
def phone(request: pytest.FixtureRequest, compiler: build.Toolchain, tmp_path: Path) -> Phone:
    machine: Machine = request.param
    return _phone(machine, compiler, tmp_path)


@pytest.fixture
def native_phone(compiler: build.Toolchain, tmp_path: Path) -> Phone:
    """The one that can load this computer's drivers."""
    return _phone(MACHINES[0], compiler, tmp_path)


def _phone(machine: Machine, compiler: build.Toolchain, place: Path) -> Phone:
    if not (machine.root / machine.loader).exists():
        pytest.skip(f"no {machine.root / machine.loader} (Debian: libc6-arm64-cross, libc6-armel-cross)")
    if machine.emulator and shutil.which(machine.emulator) is None:
        pytest.skip(f"no {machine.emulator} (Debian: qemu-user-static)")
    try:
        binary(machine.abi)
    except ToolchainError as error:
        pytest.skip(f"{error} {error.hint}")
    libraries, directory = place / "lib", place / "run"
    libraries.mkdir()
    directory.mkdir()
    for name in ("libc", "libdl"):  # one file for both: the first that has a symbol gives it
        _compile(
            compiler, machine.triple, SHIM / "libc.c", libraries / f"{name}.so", "-lm", "-ldl", "-lpthread"
        )
    return Phone(machine, libraries, directory)


PLAN = """gemmafit-plan 1
backend cpu
option threads=3
buffer x bytes=4096 fill=f32 seed=1 rows=1 cols=1024 lo=-1 hi=1
buffer w bytes=4096 fill=f32 seed=2 rows=1 cols=1024 lo=-1 hi=1
buffer m bytes=262144 fill=i8 seed=3 rows=256 cols=1024 tile=16,4
buffer ms bytes=1024 fill=f32 seed=4 rows=1 cols=256 lo=0.001 hi=0.002
buffer h bytes=64 fill=f16 seed=5 rows=4 cols=8 lo=-1e-5 hi=1e-5
buffer q bytes=1024 fill=zero
buffer s bytes=4 fill=zero
buffer y bytes=1024 fill=zero
kernel norm routine=rmsnorm_q8
kernel product routine=linear_i8
step all warmup=1 repeat=3..3
run norm args=B:x,B:w,B:q,B:s,I:1,I:1024
run product args=B:q,B:s,B:m,B:ms,B:y,I:1,I:256,I:1024
return q
return s
return y
return h
return m
end
"""


# 10 000 repeats of `work` are over the deadline on any machine; a single one is not, in an emulator either.
LONG = """gemmafit-plan 1
backend cpu
buffer out bytes=4 fill=zero
kernel peak routine=peak_f32
step long repeat=10000 budget_ms=3600000
run peak args=B:out,I:{work}
end
"""


def test_version(phone: Phone) -> None:
    from gemmafit import __version__

    done = phone.call("version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"gemmafit-agent {__version__} {phone.machine.abi}\n"


def test_a_plan_gives_the_same_bits_as_the_linux_agent(phone: Phone, agent: Any) -> None:
    (phone.directory / "plan.txt").write_text(PLAN)
    done = phone.call("run", "--plan", "plan.txt", "--out", "result")
    assert done.returncode == 0, done
    result = json.loads((phone.directory / "result.json").read_text())
    (step,) = result["steps"]
    assert step["status"] == "ok" and len(set(step["bits"])) == 1, result
    assert result["device"]["name"] == f"{phone.machine.abi}, 3 threads"
    twin = agent.plan(PLAN)
    assert twin.result.steps[0].bits[0] == step["bits"][0]


def test_deadline_errors_and_signals(phone: Phone) -> None:
    (phone.directory / "plan.txt").write_text(PLAN.replace("I:256,I:1024", "I:255,I:1024"))
    done = phone.call("run", "--plan", "plan.txt", "--out", "result")
    assert done.returncode == 0, done
    assert json.loads((phone.directory / "result.json").read_text())["steps"][0]["status"] == "error"
    (phone.directory / "plan.txt").write_text(LONG.format(work=5 if phone.machine.emulator else 200))
    done = phone.call("run", "--plan", "plan.txt", "--out", "result", "--deadline", "1")
    assert done.returncode == 0, done
    (step,) = json.loads((phone.directory / "result.json").read_text())["steps"]
    assert step["reason"] == f"deadline after {len(step['samples_ns'])} repeats"
    done = phone.call("run", "--plan", "absent.txt", "--out", "result")
    assert (done.returncode, done.stderr) == (2, "absent.txt: No such file or directory\n")


def test_cpu_facts(phone: Phone) -> None:
    probe = phone.probe("cpu")
    assert probe["cpu"]["page_size"] == os.sysconf("SC_PAGESIZE")
    assert probe["cpu"]["online"] == os.sysconf("SC_NPROCESSORS_ONLN")
    assert probe["memory"]["total_bytes"] > 1 << 28
    if phone.machine.abi == "arm64-v8a":
        assert {"scalar", "neon"} <= set(probe["cpu"]["isas"])


NAMES = ("libOpenCL.so", "libGLES_mali.so", "libOpenCL-pixel.so", "libOpenCL-car.so")


def test_opencl_is_looked_for_as_the_engine_does(phone: Phone) -> None:
    part = phone.probe("opencl")["opencl"]
    tried = [(a["name"], a["route"]) for a in part["attempts"]]
    assert tried == [(name, route) for name in NAMES for route in ("dlopen", "sphal")]
    assert not any(a["opened"] for a in part["attempts"])
    assert "libGLES_mali.so" in part["attempts"][2]["error"]
    assert "libvndksupport.so" in part["attempts"][3]["error"]
    assert part["library"] is None and part["error"] == "no OpenCL library could be opened (8 attempts)"
    found = read(Capture("adb", {}, {}, {"probe": {"opencl": part}})).opencl
    assert found.error is not None and "; libOpenCL.so: " in found.error


def test_a_route_that_keeps_its_reason_to_itself(native_phone: Phone, compiler: build.Toolchain) -> None:
    """What is quoted is never the reason of another look-up."""
    p = native_phone
    triple = p.machine.triple
    _compile(compiler, triple, SHIM / "vndksupport.c", p.libraries / "libvndksupport.so", "-ldl")
    part = p.probe("opencl", SPHAL=str(p.directory))["opencl"]
    assert part["library"] is None
    for attempt in part["attempts"]:
        if attempt["route"] == "sphal":
            assert "returned no handle and gave no reason" in attempt["error"], attempt
        else:
            assert attempt["name"] in attempt["error"]


def _driver(name: str) -> Path:
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    found = next(
        (line.split("=> ")[1] for line in listed.splitlines() if f"\t{name} " in line and "x86-64" in line),
        None,
    )
    if found is None:
        pytest.skip(f"no {name} on this computer")
    return Path(found)


def test_opencl_through_the_hardware_namespace(native_phone: Phone, compiler: build.Toolchain) -> None:
    p = native_phone
    sphal = p.directory / "sphal"
    sphal.mkdir()
    (sphal / "libGLES_mali.so").symlink_to(_driver("libOpenCL.so.1"))
    triple = p.machine.triple
    _compile(compiler, triple, SHIM / "vndksupport.c", p.libraries / "libvndksupport.so", "-ldl")
    part = p.probe("opencl", SPHAL=str(sphal))["opencl"]
    assert (part["library"], part["route"]) == ("libGLES_mali.so", "sphal")
    assert [a["opened"] for a in part["attempts"]] == [False, False, False, True]
    assert part["platform_count"] >= 1 and "CL_PLATFORM_NAME" in part["platform"]


def test_opencl_behind_a_wrapper_that_must_be_switched_on(
    native_phone: Phone, compiler: build.Toolchain
) -> None:
    p = native_phone
    _driver("libOpenCL.so.1")
    _compile(compiler, p.machine.triple, SHIM / "wrapper.c", p.libraries / "libOpenCL-pixel.so", "-ldl")
    part = p.probe("opencl")["opencl"]
    assert (part["library"], part["route"]) == ("libOpenCL-pixel.so", "dlopen")
    assert part["platform_count"] >= 1


def test_only_a_gpu_counts_on_a_phone(native_phone: Phone) -> None:
    p = native_phone
    (p.libraries / "libOpenCL.so").symlink_to(_driver("libOpenCL.so.1"))
    part = p.probe("opencl")["opencl"]
    assert part["library"] == "libOpenCL.so"
    if "device" in part:
        assert part["device"]["CL_DEVICE_TYPE"] == ["gpu"]
    else:
        assert part["error"].startswith("no GPU on the first OpenCL platform")


def test_vulkan(native_phone: Phone) -> None:
    p = native_phone
    (p.libraries / "libvulkan.so").symlink_to(_driver("libvulkan.so.1"))
    part = p.probe("vulkan")["vulkan"]
    assert part["library"] == "libvulkan.so"
    if part["error"]:
        pytest.skip(part["error"])
    assert part["devices"][0]["VkPhysicalDeviceProperties"]["limits"]["maxStorageBufferRange"] >= 1 << 27
