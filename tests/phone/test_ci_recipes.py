"""The CI recipes of docs/ci, their steps run as a CI system runs them, on virtual phones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from gemmafit.probes.adb.server import AdbServer
from gemmafit.reports.report_io import load
from gemmafit.tests.phone.vphone.handle import PROFILES, eventually, running

RECIPES = Path(__file__).parents[2] / "docs" / "ci"


@pytest.fixture
def environment(lab_server: AdbServer, tmp_path: Path) -> dict[str, str]:
    """As on a runner: gemmafit on the PATH, the phones behind the usual adb server."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "gemmafit").write_text(f'#!/bin/sh\nexec {sys.executable} -m gemmafit.cli.main "$@"\n')
    (tools / "gemmafit").chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "ADB_SERVER_SOCKET": f"tcp:{lab_server.address}",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_RUN_ID": "42",
    }


def _run(script: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A step as GitHub and GitLab run it: bash, ending at the first failure."""
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def _steps(recipe: str) -> list[dict[str, Any]]:
    data = yaml.safe_load((RECIPES / recipe).read_text())
    steps: list[dict[str, Any]] = data["jobs"]["phones"]["steps"]
    return steps


def test_github(lab_server: AdbServer, environment: dict[str, str], tmp_path: Path) -> None:
    """Two nights: the second compares with the first."""
    scripts = {step["name"]: step["run"] for step in _steps("github.yml") if "run" in step}
    (tmp_path / "lab.yaml").write_text(
        "schema: gemmafit.lab/1\n"
        "groups:\n  - {name: all, options: {run: false}, gate: {battery_min_percent: 0, wait_s: 0}}\n"
    )
    with running(PROFILES / "plain-x86_64.yaml") as phone:
        lab_server.attach(phone.serial)
        eventually(lambda: lab_server.state(phone.serial) == "device")
        for night in (1, 2):
            done = _run(scripts["every phone"], environment, tmp_path)
            assert done.returncode in (0, 1, 5), done.stderr
            summary = _run(scripts["summary"], environment, tmp_path)
            assert summary.returncode == 0, summary.stderr
            assert "::" in summary.stdout and phone.serial in (tmp_path / "summary.md").read_text()
            compared = _run(scripts["compare with the last run"], environment, tmp_path)
            assert compared.returncode == 0, compared.stdout + compared.stderr
            assert (tmp_path / "run" / "changes.html").exists() == (night == 2)
            _run("rm -rf run", environment, tmp_path)
        lab_server.detach(phone.serial)


def test_gitlab(lab_server: AdbServer, environment: dict[str, str], tmp_path: Path) -> None:
    job = yaml.safe_load((RECIPES / "gitlab.yml").read_text())["gemmafit"]
    script = "\n".join(line for line in job["script"] if "pip install" not in line)
    script = script.replace(
        "gemmafit check", "gemmafit check --no-run"
    )  # the kernels have tests of their own
    with running(PROFILES / "plain-x86_64.yaml") as phone:
        lab_server.attach(phone.serial)
        eventually(lambda: lab_server.state(phone.serial) == "device")
        done = _run(script, environment, tmp_path)
        verdict = str(load(tmp_path / "gemmafit.yaml").verdict)
        assert done.returncode == {"pass": 0, "degraded": 0, "fail": 1, "inconclusive": 5}[verdict], (
            done.stderr
        )
        lab_server.detach(phone.serial)
    after = _run("\n".join(job["after_script"]), environment, tmp_path)
    assert after.returncode == 0, after.stderr
    assert ET.parse(tmp_path / "gemmafit.xml").getroot().tag == "testsuites"
    assert all((tmp_path / path).exists() for path in job["artifacts"]["paths"])
    assert job["allow_failure"]["exit_codes"] == [5]
