"""Virtual phones that a known fault speaks of: what is asked of them, opened and run there, and what is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gemmafit.probes.adb.server import AdbServer
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.collect import collect
from gemmafit.probes.read import read
from gemmafit.tests.phone.vphone.handle import PROFILES, Phone

GEMMAFIT = (sys.executable, "-m", "gemmafit.cli.main")
JUDGED = (0, 1, 5)
CALLS = "tmp/calls"
CMD = f'#!/system/bin/sh\necho "$*" >> /{CALLS}\ncat /system/etc/answers/vkjson\n'
"""A `cmd` that says when it was called."""
VKJSON = '{"devices": [{"properties": {"deviceName": "Virtual Vulkan", "deviceType": 1, "limits": {}}}]}'

ROW = """
- id: {id}
  effect: {effect}
  severity: fail
  when: {{all: [{{fact: backend, any_of: [{backends}]}}, {{fact: identity.model, is: {model}}}]}}
  remedy: Keep away from its GPU.
  because: Three of three units restarted.
  source: our lab
"""

Boot = Callable[[Path], Phone]


def profile(folder: Path, base: str, **properties: str) -> Path:
    """A profile of this repository with a `cmd` that tells on its callers."""
    raw: dict[str, Any] = yaml.safe_load((PROFILES / f"{base}.yaml").read_text("utf-8"))
    raw["files"] = {**raw.get("files", {}), "/product/bin/cmd": CMD, "/system/etc/answers/vkjson": VKJSON}
    raw["files"]["/proc/meminfo"] = "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\n"
    raw["properties"] |= properties
    path = folder / "phone.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def called(phone: Phone) -> list[str]:
    path = phone.root / CALLS
    return path.read_text("utf-8").splitlines() if path.exists() else []


def gemmafit(phone: Phone, server: AdbServer, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command, *rest = map(str, arguments)
    done = subprocess.run(
        [*GEMMAFIT, command, phone.serial, "--adb", str(server.address), *rest],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode in JUDGED and "Traceback" not in done.stderr, done.stderr
    return done


def overlay(folder: Path, effect: str, backends: str, model: str = "Intel Phone") -> Path:
    mine = folder / "profiles"
    mine.mkdir(exist_ok=True)
    (mine / "drivers.yaml").write_text(ROW.format(id="mine", effect=effect, backends=backends, model=model))
    return mine


def test_the_system_is_asked_about_vulkan_only_without_the_agent(
    boot: Boot, connect: Callable[..., AdbTarget], tmp_path: Path
) -> None:
    phone = boot(profile(tmp_path, "plain-x86_64"))
    capture = collect(connect(phone))
    assert called(phone) == [] and "vkjson" not in capture.commands
    assert read(capture).vulkan.present is False  # as the agent says: there is no loader
    target = connect(phone)
    without = collect(target, push=False)
    assert called(phone) == ["gpu vkjson"]
    assert read(without).vulkan.device == "Virtual Vulkan"
    assert len(target.round_trips) == 2
    assert "vkjson" not in collect(connect(phone), push=False, system=False).commands
    assert called(phone) == ["gpu vkjson"]


@pytest.mark.parametrize("memory", ["", "2000000"], ids=["emulator", "low-end"])
def test_phones_that_it_restarts_are_never_asked(
    boot: Boot, connect: Callable[..., AdbTarget], tmp_path: Path, memory: str
) -> None:
    path = profile(tmp_path, "plain-x86_64", **({} if memory else {"ro.hardware": "ranchu"}))
    if memory:
        path.write_text(path.read_text("utf-8").replace("8000000", memory), encoding="utf-8")
    phone = boot(path)
    snapshot = read(collect(connect(phone), push=False))
    assert called(phone) == []
    assert snapshot.vulkan.present is None
    assert snapshot.vulkan.error is not None and "vkjson-" in snapshot.vulkan.error


def test_a_phone_that_restarts_is_left_alone_unless_forced(
    boot: Boot, adb_server: AdbServer, connect: Callable[..., AdbTarget], tmp_path: Path
) -> None:
    phone = boot(profile(tmp_path, "x86_64-drivers"))
    connect(phone)
    mine = overlay(tmp_path, "reboot", "opencl, vulkan")
    report, record = tmp_path / "report.yaml", tmp_path / "capture.yaml"
    words = ("check", "--quick", "--no-cache", "--profiles", mine, "-o", report, "--record", record)

    done = gemmafit(phone, adb_server, *words)
    found = yaml.safe_load(report.read_text("utf-8"))
    rows = found["measurements"]
    assert {row["status"] for row in rows if row["backend"] == "cpu"} == {"ok"}
    for name in ("opencl", "vulkan"):
        (row,) = [row for row in rows if row["backend"] == name]
        assert row["status"] == "skipped"
        assert row["reason"].startswith("not run without --force: known fault mine (reboot): Three of three")
        assert "backend.left-alone" in found["backends"][name]["reasons"]
        assert f"{name}.left-alone" in {check["id"] for check in found["checks"]}
        assert any(
            note.startswith(f"{name}: nothing was run, for known fault mine") for note in found["notes"]
        )
    assert "known.mine" in found["backends"]["opencl"]["reasons"]
    assert found["backends"]["opencl"]["status"] == "fail" and found["verdict"] != "pass"
    assert "nothing was run, for known fault mine" in done.stderr.replace("\n", " ")
    probe = yaml.safe_load(record.read_text("utf-8"))["agent"]["probe"]
    assert all(probe[name].keys() == {"error", "left_alone"} for name in ("opencl", "vulkan"))
    assert called(phone) == []

    again = subprocess.run(
        [*GEMMAFIT, "check", f"replay:{record}", "--profiles", str(mine), "-f", "yaml"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    replayed = yaml.safe_load(again.stdout)
    assert (replayed["notes"], replayed["backends"]) == (found["notes"], found["backends"])

    gemmafit(phone, adb_server, *words, "--force", "--backend", "opencl")
    forced = yaml.safe_load(report.read_text("utf-8"))
    assert {row["status"] for row in forced["measurements"] if row["backend"] == "opencl"} == {"ok"}
    assert any(
        note.startswith("opencl: was run by --force in spite of known fault mine") for note in forced["notes"]
    )
    assert "known.mine" in forced["backends"]["opencl"]["reasons"]
    assert forced["verdict"] == found["verdict"]


def test_bench_leaves_a_backend_that_crashes_alone(
    boot: Boot, adb_server: AdbServer, connect: Callable[..., AdbTarget], tmp_path: Path
) -> None:
    """The CPU's row, because that one is soon measured when it is forced."""
    phone = boot(profile(tmp_path, "plain-x86_64"))
    connect(phone)
    mine, out = overlay(tmp_path, "crash", "cpu", "Plain Phone"), tmp_path / "rows.yaml"
    words = ("bench", "--quick", "--no-cache", "--backend", "cpu", "--sweep", "fusion", "--profiles", mine)
    gemmafit(phone, adb_server, *words, "-o", out)
    bench = yaml.safe_load(out.read_text("utf-8"))
    assert [(row["backend"], row["status"]) for row in bench["measurements"]] == [("cpu", "skipped")]
    assert any("cpu: nothing was run, for known fault mine (crash)" in note for note in bench["notes"])
    gemmafit(phone, adb_server, *words, "-o", out, "--force")
    bench = yaml.safe_load(out.read_text("utf-8"))
    assert "ok" in {row["status"] for row in bench["measurements"]}
    assert any("by --force in spite of known fault mine" in note for note in bench["notes"])
