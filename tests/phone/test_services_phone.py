"""A phone whose system services do not answer: what that costs, and what is said."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gemmafit.probes.adb.server import AdbServer
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.collect import ask_conditions, collect
from gemmafit.probes.files import dump_capture, parse_capture
from gemmafit.probes.read import read
from gemmafit.tests.phone.vphone.handle import PROFILES, Phone, eventually

GEMMAFIT = (sys.executable, "-m", "gemmafit.cli.main")
SENTENCE = "the phone's system services do not answer"
BY_SERVICES = (
    "dumpsys battery",
    "dumpsys power",
    "dumpsys window policy",
    "dumpsys thermalservice",
    "dumpsys SurfaceFlinger",
    "settings list system",
    "settings list global",
    "settings list secure",
    "cmd gpu vkjson",
    "pm list features",
)
Connect = Callable[..., AdbTarget]


@pytest.fixture
def phone(boot: Callable[[Path], Phone]) -> Phone:
    return boot(PROFILES / "plain-x86_64.yaml")


def hang(phone: Phone, *questions: str) -> None:
    """Whoever asks waits for ever, as for a service that is stuck: a pipe that nobody writes to."""
    for question in questions:
        answer = phone.root / "system/etc/answers" / question
        answer.unlink(missing_ok=True)
        os.mkfifo(answer, 0o644)


@pytest.mark.parametrize("old", [False, True], ids=["shell_v2", "old daemon"])
def test_services_that_hang_cost_seconds(connect: Connect, phone: Phone, old: bool) -> None:
    hang(phone, *BY_SERVICES)
    target = connect(phone, old=old)
    start = time.monotonic()
    capture = collect(target, push=False)
    assert time.monotonic() - start < 20
    kept = parse_capture(dump_capture(capture))
    assert kept.commands["battery"].timed_out and kept.commands["power"].timed_out
    assert all(kept.commands[key].skipped for key in ("thermal", "surfaceflinger", "features"))
    assert kept.commands["vkjson"].timed_out  # asked apart: one short question shows whether they are back
    snapshot = read(kept)
    assert snapshot.services is False and snapshot.answers["features"] == "down"
    assert [warning for warning in snapshot.warnings if SENTENCE in warning] == list(snapshot.warnings)
    assert snapshot.identity.model == "Plain Phone" and snapshot.memory.total_bytes and snapshot.cpu.clusters
    start = time.monotonic()
    assert ask_conditions(target).screen_on is None
    assert time.monotonic() - start < 10
    eventually(lambda: not phone.processes())


def test_one_service_that_hangs_costs_itself(connect: Connect, phone: Phone) -> None:
    (phone.root / "system/etc/answers/dumpsys power").write_text("POWER MANAGER\n  mWakefulness=Awake\n")
    hang(phone, "dumpsys battery", "dumpsys thermalservice")
    snapshot = read(collect(connect(phone), push=False))
    assert snapshot.services is True and snapshot.warnings == ()
    assert snapshot.answers["battery"] == snapshot.answers["thermal"] == "timeout"
    assert snapshot.conditions.screen_on is True and snapshot.gpu.renderer == "Virtual GPU"


def test_services_that_are_gone_are_told_from_one_that_is_missing(connect: Connect, phone: Phone) -> None:
    assert read(collect(connect(phone), push=False)).services is True
    (phone.root / "system/etc/answers/dumpsys SurfaceFlinger").unlink()
    snapshot = read(collect(connect(phone), push=False))
    assert snapshot.services is False and SENTENCE in " ".join(snapshot.warnings)


def test_the_person_is_told_once_and_the_rest_goes_on(
    phone: Phone, adb_server: AdbServer, tmp_path: Path
) -> None:
    hang(phone, *BY_SERVICES)
    adb_server.attach(phone.serial)
    where = [phone.serial, "--adb", str(adb_server.address)]
    probe = subprocess.run([*GEMMAFIT, "probe", *where], capture_output=True, text=True, timeout=300)
    screen = " ".join(probe.stdout.split())
    assert probe.returncode == 0 and screen.count(SENTENCE) == 1, probe.stdout + probe.stderr
    out = tmp_path / "report.yaml"
    command = [*GEMMAFIT, "check", *where, "--backend", "cpu", "--quick", "-o", str(out)]
    check = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert check.returncode in (0, 1, 5) and "Traceback" not in check.stderr, check.stderr
    report = yaml.safe_load(out.read_text("utf-8"))
    (told,) = [c for c in report["checks"] if c["id"] == "device.services"]
    assert told["status"] == "warn"
    assert any(row.get("samples_s") for row in report["measurements"])
    assert " ".join(check.stderr.split()).count(told["because"]) == 1
