"""`gemmafit bench` on a virtual phone: through the agent, and nothing of it stays there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gemmafit.probes.adb.server import AdbServer
from gemmafit.tests.phone.vphone.handle import PROFILES, Phone, eventually

pytestmark = pytest.mark.alone  # rows that other programs disturbed are void

GEMMAFIT = (sys.executable, "-m", "gemmafit.cli.main")
BENCH = ("--backend", "cpu", "--scheme", "int8")


def command(phone: Phone, server: AdbServer, out: Path, *options: str) -> list[str]:
    return [*GEMMAFIT, "bench", phone.serial, "--adb", str(server.address), "-o", str(out), *BENCH, *options]


@pytest.fixture
def phone(boot: Callable[[Path], Phone]) -> Phone:
    return boot(PROFILES / "x86_64-drivers.yaml")


def test_a_phone_is_benchmarked(phone: Phone, adb_server: AdbServer, tmp_path: Path) -> None:
    out = tmp_path / "rows.yaml"
    options = ("--quick", "--limits", "--sweep", "threads", "--sweep", "load", "--sustained", "2")
    done = subprocess.run(
        command(phone, adb_server, out, *options), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    data = yaml.safe_load(out.read_text("utf-8"))
    assert data["device"]["model"] == "Intel Phone" and data["target"]["kind"] == "adb"
    rows: list[dict[str, Any]] = data["measurements"]
    # On a file system in memory nothing can be read cold, and not every processor computes in fp16: the rows
    # say so.
    cannot = ("stay in memory", "no half-precision arithmetic")
    ran = [row for row in rows if not any(words in row.get("reason", "") for words in cannot)]
    assert {row["status"] for row in ran} == {"ok"} and {row["executor"] for row in ran} == {"agent"}
    assert {row["variant"] for row in ran} >= {"storage_warm"}
    loads = {row["details"]["at"]: row["details"]["peak_rss_bytes"] for row in ran if row["phase"] == "load"}
    assert loads["whole-warm"] > loads["shards-warm"] > 0
    assert any(row.get("details", {}).get("sustained") for row in rows)
    assert phone.left() == []
    eventually(lambda: not phone.processes())


def test_programs_are_kept_on_the_phone_and_removed_with_the_session(
    phone: Phone, adb_server: AdbServer, tmp_path: Path
) -> None:
    out = tmp_path / "rows.yaml"
    options = ("--quick", "--backend", "opencl", "--sweep", "build", "--sweep", "load")
    done = subprocess.run(
        command(phone, adb_server, out, *options), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [
        row for row in yaml.safe_load(out.read_text("utf-8"))["measurements"] if row["backend"] == "opencl"
    ]
    built = {row["details"]["at"]: row["details"] for row in rows if row["phase"] == "build"}
    assert list(built) == ["first", "second", "cold", "warm"]
    assert built["warm"]["kept"] == built["warm"]["kernels"] > 0 == built["second"]["kept"]
    loaded = [row for row in rows if row["phase"] == "load" and row["status"] == "ok"]
    assert loaded and {row["executor"] for row in loaded} == {"agent"}
    assert phone.left() == []


def test_a_phone_that_is_pulled_out_leaves_rows(phone: Phone, adb_server: AdbServer, tmp_path: Path) -> None:
    out = tmp_path / "rows.yaml"
    host = subprocess.Popen(
        command(phone, adb_server, out, "--sustained", "60"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert host.stderr is not None
    try:
        for line in host.stderr:  # a row for each thread count: the sweeps have begun
            if line.startswith("cpu int8 decode fused 1 "):
                phone.tell("unplug")
                break
        _, message = host.communicate(timeout=120)
    finally:
        host.kill()
        host.wait()
    assert host.returncode == 4 and "was lost" in message and "Traceback" not in message, message
    data = yaml.safe_load(out.read_text("utf-8"))
    assert "lost" in data["incomplete"]
    assert any(row["phase"] == "prefill" and row["status"] == "ok" for row in data["measurements"])
    eventually(lambda: not phone.left() and not phone.processes())
