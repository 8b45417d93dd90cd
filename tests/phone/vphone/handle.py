"""A running virtual phone as tests see it: its files, its processes, its cable."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

T = TypeVar("T")
PROFILES = Path(__file__).parent / "profiles"
BASE = "data/local/tmp"
UNAVAILABLE = 77
STANDING = ("/usr/libexec/init", "platform-tools/adbd", "phone/toybox sleep 0.2")
"""Processes of a phone that does nothing: init, the daemon, and init between two daemons."""


@dataclass
class Phone:
    """A running virtual phone.

    Attributes:
        serial: 127.0.0.1:PORT.
        root: its file system as seen from here.
    """

    serial: str
    root: Path
    _process: subprocess.Popen[str]
    _namespace: Path

    def tell(self, word: str) -> None:
        """unplug | plug | stall | resume | reboot | kill-daemon: see `__main__.py`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def left(self) -> list[str]:
        """Everything in and below /data/local/tmp."""
        base = self.root / BASE
        return sorted(str(p.relative_to(base)) for p in base.rglob("*"))

    def processes(self) -> dict[int, str]:
        """What runs on the phone besides init and the daemon: pid here -> command line."""
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "ns/pid").readlink() == self._namespace:
                    words = (entry / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                    line = b" ".join(words).decode("utf-8", "replace")
                    if line and not any(word in line for word in STANDING):
                        found[int(entry.name)] = line
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found


def variant(folder: Path, base: str = "plain-x86_64", **changes: Any) -> Path:
    """The profile of that name with top-level keys replaced, as a file in `folder`."""
    profile = yaml.safe_load((PROFILES / f"{base}.yaml").read_text("utf-8")) | changes
    path = folder / f"phone-{secrets.token_hex(4)}.yaml"
    path.write_text(yaml.safe_dump(profile), "utf-8")
    return path


@contextmanager
def running(profile: Path) -> Iterator[Phone]:
    """A virtual phone for the time of the context."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gemmafit.tests.phone.vphone", "run", "--profile", str(profile)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    try:
        line = process.stdout.readline()
        if not line:
            message = process.stderr.read().strip()
            if process.wait() == UNAVAILABLE:
                pytest.skip(f"no virtual phone: {message}")
            pytest.fail(f"the virtual phone does not start: {message}")
        ready = json.loads(line)
        pid = ready["pid"]
        yield Phone(
            ready["serial"], Path(f"/proc/{pid}/root"), process, Path(f"/proc/{pid}/ns/pid").readlink()
        )
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
        process.stderr.close()


def eventually(condition: Callable[[], T], seconds: float = 30.0) -> T:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen")
