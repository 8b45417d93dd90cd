"""The agent of this computer as a program: its command line, its files, its exit status."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gemmafit.agent import binary
from gemmafit.base.errors import ToolchainError
from gemmafit.base.protocol import EXIT_LATE
from gemmafit.benchmarks.interpreter import result

ABIS = {"x86_64": "linux-x86_64", "aarch64": "linux-aarch64"}


@dataclass(frozen=True)
class Ended:
    """How a run of the agent ended, and the result it left, if any."""

    exit: int
    stdout: str
    stderr: str
    result: result.Result | None

    @property
    def late(self) -> bool:
        return self.exit == EXIT_LATE

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


@dataclass(frozen=True)
class Agent:
    """Runs in a directory of its own, as on a phone."""

    path: Path
    directory: Path

    def start(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.path, *args],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def call(self, *args: str) -> Ended:
        process = self.start(*args)
        stdout, stderr = process.communicate(timeout=120)
        return Ended(process.returncode, stdout, stderr, self.result())

    def plan(self, text: str, *args: str, deadline: float = 60) -> Ended:
        """Run a plan's text."""
        (self.directory / "plan.txt").write_text(text)
        return self.call("run", "--plan", "plan.txt", "--out", "result", "--deadline", str(deadline), *args)

    def result(self) -> result.Result | None:
        path = self.directory / "result.json"
        return result.read(path, path.with_suffix(".bin")) if path.exists() else None


def of_this_computer() -> Path:
    machine = platform.machine()
    if platform.system() != "Linux" or machine not in ABIS:
        pytest.skip(f"there is no agent for {platform.system()} on {machine}")
    try:
        return binary(ABIS[machine])
    except ToolchainError as error:
        pytest.skip(f"{error} {error.hint}")


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(of_this_computer(), tmp_path)


@pytest.fixture
def opencl_agent(agent: Agent) -> Agent:
    """The agent where it finds an OpenCL device."""
    return _with(agent, "opencl", lambda part: None if "device" in part else str(part["error"]))


@pytest.fixture
def vulkan_agent(agent: Agent) -> Agent:
    """The agent where it finds a Vulkan device."""
    return _with(agent, "vulkan", lambda part: None if part["devices"] else str(part["error"]))


def _with(agent: Agent, backend: str, lacks: Callable[[dict[str, Any]], str | None]) -> Agent:
    ended = agent.call("probe", "--out", "probe.json", "--only", backend, "--deadline", "30")
    assert ended.exit == 0, ended.stderr
    reason = lacks(json.loads((agent.directory / "probe.json").read_text())[backend])
    if reason is not None:
        pytest.skip(f"{backend}: {reason}")
    return agent
