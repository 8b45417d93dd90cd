"""`gemmafit` on virtual phones, as a person runs it: the agent of the phone's processor on real drivers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gemmafit.probes.adb.server import AdbServer
from gemmafit.tests.phone.vphone.handle import PROFILES, Phone, eventually, variant

GEMMAFIT = (sys.executable, "-m", "gemmafit.cli.main")
JUDGED = (0, 1, 5)
"""Exit statuses of a run that came to a verdict."""


def gemmafit(*arguments: str | Path, seconds: float = 1500) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*GEMMAFIT, *map(str, arguments)], capture_output=True, text=True, timeout=seconds, check=False
    )


def check(phone: Phone, server: AdbServer, folder: Path, *options: str) -> dict[str, Any]:
    """`gemmafit check` of a phone: its report; the capture is beside it."""
    report = folder / "report.yaml"
    done = gemmafit(
        "check", phone.serial, "--adb", str(server.address), "--quick",
        "-o", report, "--record", folder / "capture.yaml", *options,
    )  # fmt: skip
    assert done.returncode in JUDGED and "Traceback" not in done.stderr, done.stderr
    return dict(yaml.safe_load(report.read_text("utf-8")))


def failures(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Steps of the reference block that did not run, with the reason."""
    return [
        (row["backend"], row.get("reason", "")) for row in report["measurements"] if row["status"] == "error"
    ]


@pytest.mark.parametrize(
    ("profile", "userland", "abi", "model"),
    [
        ("x86_64-drivers", "android5", "linux-x86_64", "Intel Phone"),
        ("arm64-drivers", "android", "linux-aarch64", "Arm Phone"),
    ],
    ids=["x86_64", "aarch64 under qemu"],
)
def test_a_phone_is_checked_on_all_backends(
    profile: str,
    userland: str,
    abi: str,
    model: str,
    boot: Callable[[Path], Phone],
    adb_server: AdbServer,
    tmp_path: Path,
) -> None:
    phone = boot(variant(tmp_path, profile, userland=userland))
    report = check(phone, adb_server, tmp_path)
    assert phone.left() == []
    eventually(lambda: not phone.processes())
    assert report["device"]["model"] == model
    assert report["target"]["kind"] == "adb"
    assert failures(report) == []
    for name in ("cpu", "opencl", "vulkan"):
        backend = report["backends"][name]
        assert (name, backend["correct"], backend["deterministic"]) == (name, "pass", "pass")
    capture = yaml.safe_load((tmp_path / "capture.yaml").read_text("utf-8"))
    assert capture["agent"]["probe"]["abi"] == abi

    # As YAML again, which rounds numbers to six digits.
    replayed = gemmafit("check", f"replay:{tmp_path / 'capture.yaml'}", "-f", "yaml", "--quiet")
    assert replayed.returncode in JUDGED, replayed.stderr
    again = yaml.safe_load(replayed.stdout)
    for key in ("verdict", "summary", "recommendation", "backends"):
        assert again[key] == report[key], key


def test_nothing_is_left_when_gemmafit_is_killed(
    boot: Callable[[Path], Phone], adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot(PROFILES / "x86_64-drivers.yaml")
    host = subprocess.Popen(
        [*GEMMAFIT, "check", phone.serial, "--adb", str(adb_server.address), "-o", str(tmp_path / "r.yaml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: any("gemmafit-agent run" in line for line in phone.processes().values()), 120)
    finally:
        host.kill()
        host.wait()
    eventually(lambda: not phone.left() and not phone.processes())


def test_a_phone_that_is_pulled_out_leaves_a_partial_report(
    boot: Callable[[Path], Phone], adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot(PROFILES / "x86_64-drivers.yaml")
    host = subprocess.Popen(
        [*GEMMAFIT, "check", phone.serial, "--adb", str(adb_server.address), "-o", str(tmp_path / "r.yaml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: any("gemmafit-agent run" in line for line in phone.processes().values()), 120)
        phone.tell("unplug")
        _, message = host.communicate(timeout=120)
    finally:
        host.kill()
        host.wait()
    assert host.returncode == 4, message
    assert f"{phone.serial} was lost while running the agent" in message
    assert "Traceback" not in message
    assert yaml.safe_load((tmp_path / "r.yaml").read_text("utf-8"))["device"]["model"] == "Intel Phone"
    eventually(lambda: not phone.left() and not phone.processes())


def test_devices_lists_the_phone(
    boot: Callable[[Path], Phone], adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot(PROFILES / "plain-x86_64.yaml")
    adb_server.attach(phone.serial)
    eventually(lambda: adb_server.state(phone.serial) == "device")
    done = gemmafit("devices", "--adb", str(adb_server.address), "--format", "json")
    assert done.returncode == 0, done.stderr
    assert (phone.serial, True) in [(d["serial"], d["usable"]) for d in json.loads(done.stdout)]
    assert phone.serial in gemmafit("devices", "--adb", str(adb_server.address)).stdout


def test_a_probe_without_a_push_is_at_most_three_round_trips(
    connect: Callable[..., Any], plain_phone: Phone
) -> None:
    from gemmafit.probes.commands import COMMANDS

    for old in (False, True):
        target = connect(plain_phone, old=old)
        answers = target.ask(COMMANDS)
        assert set(answers) == {command.key for command in COMMANDS}
        assert len(target.round_trips) <= 3
        assert plain_phone.left() == []
