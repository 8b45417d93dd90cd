"""A phone with 2 GB: the agent keeps within what it may hold, and what does not fit is left out and said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from gemmafit.base.protocol import AGENT_BYTES
from gemmafit.probes.adb.server import AdbServer
from gemmafit.tests.phone.vphone.handle import PROFILES, Phone

GEMMAFIT = (sys.executable, "-m", "gemmafit.cli.main")


def phone_with(available_mb: int, boot: Callable[[Path], Phone], folder: Path) -> Phone:
    """A phone sold with 2 GB, of which so much is free."""
    profile: dict[str, Any] = yaml.safe_load((PROFILES / "x86_64-drivers.yaml").read_text("utf-8"))
    profile["files"]["/proc/meminfo"] = (
        f"MemTotal:        1895000 kB\nMemFree:           60000 kB\nMemAvailable:    {available_mb * 1000} kB\n"
        "SwapTotal:       1000000 kB\nSwapFree:         800000 kB\n"
    )
    file = folder / "phone.yaml"
    file.write_text(yaml.safe_dump(profile), "utf-8")
    return boot(file)


def check(phone: Phone, server: AdbServer, out: Path, *options: str) -> tuple[dict[str, Any], str]:
    """The report of a full check, and what it showed on the screen."""
    server.attach(phone.serial)
    done = subprocess.run(
        [*GEMMAFIT, "check", phone.serial, "--adb", str(server.address), "-o", str(out), *options],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1, 5) and "Traceback" not in done.stderr, done.stderr
    return dict(yaml.safe_load(out.read_text("utf-8"))), done.stderr


def test_a_full_check_keeps_within_400_mb(
    boot: Callable[[Path], Phone], adb_server: AdbServer, tmp_path: Path
) -> None:
    report, screen = check(phone_with(700, boot, tmp_path), adb_server, tmp_path / "report.yaml")
    ran = [row for row in report["measurements"] if row.get("samples_s")]
    assert {row["backend"] for row in ran} == {"cpu", "opencl", "vulkan"}
    assert {row["phase"] for row in ran} >= {"decode", "logits", "prefill", "limit"}
    assert all(row["details"]["peak_rss_bytes"] <= AGENT_BYTES for row in ran if row["phase"] != "limit")
    assert 50e6 < report["agent"]["peak_rss_bytes"] <= AGENT_BYTES == report["agent"]["limit_bytes"]
    assert "The agent held at most" in screen and "left out" not in screen


def test_what_does_not_fit_is_left_out_and_said(
    boot: Callable[[Path], Phone], adb_server: AdbServer, tmp_path: Path
) -> None:
    report, screen = check(phone_with(90, boot, tmp_path), adb_server, tmp_path / "report.yaml", "--quick")
    big = [row for row in report["measurements"] if row["scheme"] == "int8" and row["phase"] == "decode"]
    assert big and {row["status"] for row in big} == {"skipped"}
    assert all("memory" in row["reason"] for row in big)
    (note,) = [note for note in report["notes"] if note.startswith("cpu: skipped, not enough free memory")]
    assert "int8 decode" in note and note.split(" (")[0] in " ".join(screen.split())
    assert report["agent"].get("peak_rss_bytes", 0) <= 90e6
