"""probe.json: the agent's own declarations of OpenCL and Vulkan against independent ones (pyopencl, vulkan)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gemmafit.agent import abis
from gemmafit.base.protocol import EXIT_LATE
from gemmafit.benchmarks.interpreter.interface import BackendMissing, ExecutorError


def _probe(agent: Any, *only: str) -> dict[str, Any]:
    args = ["--only", *only] if only else []
    ended = agent.call("probe", "--out", "probe.json", *args, "--deadline", "60")
    assert ended.exit == 0, ended.stderr
    probe: dict[str, Any] = json.loads((agent.directory / "probe.json").read_text())
    return probe


def test_cpu_and_memory(agent: Any) -> None:
    probe = _probe(agent, "cpu")
    assert probe.keys() == {"agent", "abi", "section", "cpu", "memory"}
    assert probe["abi"] in abis() and probe["section"] is None  # no linker sections but Android's
    cpu, memory = probe["cpu"], probe["memory"]
    assert cpu["page_size"] == os.sysconf("SC_PAGESIZE")
    assert cpu["online"] == os.sysconf("SC_NPROCESSORS_ONLN")
    assert cpu["configured"] == os.sysconf("SC_NPROCESSORS_CONF")
    total = os.sysconf("SC_PAGESIZE") * os.sysconf("SC_PHYS_PAGES")
    assert abs(memory["total_bytes"] - total) < total // 100
    assert 0 < memory["available_bytes"] < memory["total_bytes"]
    assert cpu["isas"][0] == "scalar"
    with Path("/proc/cpuinfo").open(encoding="utf-8") as f:
        flags = next(line for line in f if line.startswith(("flags", "Features")))
    assert cpu["features"] == flags.partition(":")[2].split()
    assert int(cpu["hwcap"], 16) > 0


def test_opencl_properties_are_those_of_pyopencl(opencl_agent: Any) -> None:
    part = _probe(opencl_agent, "opencl")["opencl"]
    cl = pytest.importorskip("pyopencl", exc_type=ImportError)
    try:
        platforms = cl.get_platforms()
    except cl.Error as error:
        pytest.skip(f"pyopencl finds no platform: {error}")
    device = part["device"]
    twin = next(
        (
            d
            for p in platforms
            for d in p.get_devices()
            if (d.name, d.driver_version) == (device["CL_DEVICE_NAME"], device["CL_DRIVER_VERSION"])
        ),
        None,
    )
    if twin is None:
        pytest.skip("pyopencl does not see the device that the system's loader gives the agent")
    compared = 0
    for name, value in device.items():
        query = getattr(cl.device_info, name.removeprefix("CL_DEVICE_").removeprefix("CL_"), None)
        if query is None or name == "CL_DEVICE_TYPE" or isinstance(value, dict):
            continue
        if name in ("CL_DEVICE_EXTENSIONS", "CL_DEVICE_GLOBAL_MEM_CACHE_SIZE"):
            continue  # a list in a text; a figure that PoCL takes from another source in each build
        assert value == twin.get_info(query), name
        compared += 1
    assert compared > 40
    assert device["CL_DEVICE_EXTENSIONS"].split() == twin.extensions.split()
    assert part["platform"]["CL_PLATFORM_VERSION"] == twin.platform.version


def test_vulkan_facts_are_those_of_the_vulkan_package(vulkan_agent: Any) -> None:
    """Every structure, field by field: offsets, kinds and numbers of the agent's declarations are right."""
    part = _probe(vulkan_agent, "vulkan")["vulkan"]
    from gemmafit.benchmarks.vulkan import executor as vulkan

    try:
        other = vulkan.probe()
    except (BackendMissing, ExecutorError) as error:
        pytest.skip(str(error))
    if other["error"]:
        pytest.skip(str(other["error"]))
    assert part["instance_version"] == other["instance_version"]
    assert len(part["devices"]) == len(other["devices"])
    for mine, theirs in zip(part["devices"], other["devices"], strict=True):
        shared = mine.keys() & theirs.keys()
        assert shared == mine.keys() and len(shared) >= 13, mine.keys() ^ theirs.keys()
        for structure in shared:
            _same(mine[structure], theirs[structure], structure)


def _same(mine: Any, theirs: Any, where: str) -> None:
    """Equal, where both have it: floats as text have nine digits."""
    if isinstance(mine, dict):
        missing = mine.keys() - theirs.keys()
        assert not missing, (where, missing)
        for key, value in mine.items():
            _same(value, theirs[key], f"{where}.{key}")
    elif isinstance(mine, list):
        assert len(mine) == len(theirs), where
        for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            _same(a, b, f"{where}[{number}]")
    else:
        assert mine == (pytest.approx(theirs, rel=1e-8) if isinstance(theirs, float) else theirs), where


def test_every_attempt_is_recorded(agent: Any) -> None:
    probe = _probe(agent)
    for backend, first in (("opencl", "libOpenCL.so.1"), ("vulkan", "libvulkan.so.1")):
        part = probe[backend]
        attempts = part["attempts"]
        assert attempts[0]["name"] == first and attempts[0]["route"] == "dlopen"
        opened = [a for a in attempts if a["opened"]]
        assert all(a["error"] for a in attempts if not a["opened"])
        assert part["library"] == (opened[0]["name"] if opened else None)
        if not opened:
            assert part["error"]


def test_a_path_that_cannot_be_written(agent: Any) -> None:
    ended = agent.call("probe", "--out", "no/such/probe.json")
    assert ended.exit == 4 and "no/such/probe.json" in ended.stderr


@pytest.mark.parametrize("fault", ["crash", "hang"])
@pytest.mark.parametrize("backend", ["opencl", "vulkan"])
def test_a_driver_that_fails_costs_its_own_part(
    opencl_agent: Any, vulkan_agent: Any, tmp_path: Path, backend: str, fault: str
) -> None:
    """The real loaders, told to open a driver that crashes or hangs at once."""
    pytest.importorskip("ziglang")
    driver = tmp_path / "libfaulty.so"
    source = Path(__file__).parent / "faulty_driver.c"
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", str(source), "-o", str(driver)],
        check=True,
    )
    manifest = tmp_path / "faulty.json"
    icd = {"library_path": str(driver), "api_version": "1.1.0"}
    manifest.write_text(json.dumps({"file_format_version": "1.0.0", "ICD": icd}))
    environment = (
        {"OCL_ICD_VENDORS": str(driver)} if backend == "opencl" else {"VK_ICD_FILENAMES": str(manifest)}
    )
    process = opencl_agent.start(
        *("probe", "--out", "probe.json", "--only", backend, "--deadline", "3"),
        env={**os.environ, **environment, "FAULT": fault},
    )
    process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGABRT if fault == "crash" else EXIT_LATE)
    probe = json.loads((tmp_path / "probe.json").read_text())
    assert probe["cpu"]["isas"] and probe[backend]["attempts"][0]["opened"]
    assert probe[backend]["error"].startswith("the driver did not answer")
