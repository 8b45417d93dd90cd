"""`gemmafit` as a person runs it: a process of its own, its exit status, and the one sentence where it failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from gemmafit.probes.adb.server import AdbServer
from gemmafit.tests.phone.vphone.handle import Phone, eventually

GEMMAFIT = (sys.executable, "-m", "gemmafit.cli.main")
JUDGED = (0, 1, 5)
"""Exit statuses of a run that came to a verdict."""
BROKE = 4
AGENT_RUN = "./gemmafit-agent run"
"""Of an agent that executes a plan: how its command line begins."""

Done = subprocess.CompletedProcess[str]


def words(command: str, phone: Phone, server: AdbServer, *options: str | Path) -> list[str]:
    """The command line of a command about a phone, which the server has connected."""
    server.attach(phone.serial)
    eventually(lambda: server.state(phone.serial) == "device")
    return [*GEMMAFIT, command, phone.serial, "--adb", str(server.address), *map(str, options)]


def run(command: str, phone: Phone, server: AdbServer, *options: str | Path, seconds: float = 300) -> Done:
    """Run it to its end."""
    line = words(command, phone, server, *options)
    return subprocess.run(line, capture_output=True, text=True, timeout=seconds, check=False)


@contextmanager
def started(
    command: str, phone: Phone, server: AdbServer, *options: str | Path
) -> Iterator[subprocess.Popen[str]]:
    """A run, killed at the end if it has not ended."""
    line = words(command, phone, server, *options)
    host = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield host
    finally:
        host.kill()
        host.wait()
        if host.stderr is not None:
            host.stderr.close()


def ended(host: subprocess.Popen[str], seconds: float = 120) -> Done:
    """What became of a run that was started."""
    _, stderr = host.communicate(timeout=seconds)
    return subprocess.CompletedProcess(host.args, host.returncode, "", stderr)


def sentence(done: Done) -> str:
    """The one sentence of a run that failed; the lines below it name device, command and what to do next."""
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


def yaml_of(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text("utf-8")))


def running(phone: Phone, words: str) -> list[int]:
    """Pids, as seen from here, of the phone's processes whose command line begins with these words.

    Further on they also stand in the command line of the shell that was sent the script.
    """
    return [pid for pid, line in phone.processes().items() if line.startswith(words)]


def send(phone: Phone, words: str, number: signal.Signals) -> None:
    """Wait for such a process and send it a signal."""
    for pid in eventually(lambda: running(phone, words), 120):
        os.kill(pid, number)


def nothing_is_left(phone: Phone, seconds: float = 30) -> None:
    """No file in /data/local/tmp and no process, before long."""
    eventually(lambda: not phone.left() and not phone.processes(), seconds)
