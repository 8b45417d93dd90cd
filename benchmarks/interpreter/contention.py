"""What else this computer did while a step was timed: the Python twin of the agent's contention.c.

Facts alone, for docs/plan-format.md, "Contention"; `benchmarks/trust.py` decides what they mean. What the
system does not tell (all of /proc outside Linux) is None.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...base.system import reread, switches

_PROC = Path("/proc")
_TICK_NS = 10_000_000
"""USER_HZ, the unit of /proc/stat, is 100 on every Linux that we know."""
_US = 1000


@dataclass(frozen=True)
class StepContention:
    """See docs/plan-format.md. Times in ns; `cpu_ns` and `waited_ns` of each timed repeat."""

    threads: int
    computing: bool
    cores: int
    cpu_ns: tuple[int, ...]
    waited_ns: tuple[int, ...] | None
    span_ns: int
    own_ns: int | None = None
    machine_ns: int | None = None
    pressure_ns: int | None = None
    switches: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a result; what is not known is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Load:
    """How busy a machine is: the load average of a minute, and the percentage of the last ten seconds in
    which some thread waited for a CPU."""

    average: float | None = None
    pressure_percent: float | None = None

    def to_dict(self) -> dict[str, float]:
        """As it stands in a result; what is not known is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


NO_LOAD = Load()


def load_now() -> Load:
    """Of this computer."""
    pressure = _words("pressure/cpu")
    tenth = next((w.removeprefix("avg10=") for w in pressure[:2] if w.startswith("avg10=")), "")
    return Load(_number(next(iter(_words("loadavg")), "")), _number(tenth))


class Watch:
    """Looks before the first timed repeat of a step (when it is made), around each, and after the last."""

    def __init__(self, *, all_threads: bool, threads: int) -> None:
        """`all_threads`: those of a driver that computes on the CPU; else the calling one alone counts."""
        self._threads = threads
        own = str(threading.get_native_id())
        names = [path.name for path in (_PROC / "self/task").glob("*")] if all_threads else [own]
        self._files: list[int] = []
        for name in names:
            with contextlib.suppress(OSError):
                self._files.append(os.open(_PROC / "self/task" / name / "schedstat", os.O_RDONLY))
        self._counted = _waited(self._files) is not None
        self._cpu: list[int] = []
        self._waited: list[int] = []
        self._before: tuple[int, int] = (0, 0)
        self._start = self._look()

    def before(self) -> None:
        """A repeat is about to be timed."""
        self._before = (_waited(self._files) or 0, time.process_time_ns())

    def after(self) -> None:
        """It has been."""
        self._cpu.append(time.process_time_ns() - self._before[1])
        self._waited.append(max(0, (_waited(self._files) or 0) - self._before[0]))

    def end(self, repeats: int) -> StepContention:
        """All of it, of the first `repeats` repeats."""
        now = [_since(before, after) for before, after in zip(self._start, self._look(), strict=True)]
        for file in self._files:
            os.close(file)
        waited = tuple(self._waited[:repeats]) if self._counted else None
        span, own, machine, pressure, switches = now
        cores = os.cpu_count() or 1
        cpu = tuple(self._cpu[:repeats])
        return StepContention(
            self._threads, False, cores, cpu, waited, span or 0, own, machine, pressure, switches
        )

    @staticmethod
    def _look() -> tuple[int | None, ...]:
        return (
            time.monotonic_ns(),
            time.process_time_ns(),
            machine_ns(),
            _pressure_ns(),
            switches(),
        )


def _waited(files: list[int]) -> int | None:
    """Nanoseconds that the threads were ready to run and did not; None where the kernel does not count."""
    total, counted = 0, False
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            _, waited, times = map(int, reread(file, 80).split())
            total += waited
            counted |= times > 0
    return total if counted else None


def machine_ns() -> int | None:
    """Time in which the CPUs did not idle: all of the first line but idle, iowait and guests (part of
    user)."""
    words = _words("stat")
    if len(words) < 5 or words[0] != "cpu":
        return None
    try:
        values = [int(word) for word in words[1:9]]
    except ValueError:
        return None
    return _TICK_NS * sum(value for i, value in enumerate(values) if i not in (3, 4))


def _pressure_ns() -> int | None:
    words = _words("pressure/cpu")
    total = next((word.removeprefix("total=") for word in words[:5] if word.startswith("total=")), "")
    return int(total) * _US if total.isdecimal() else None


def _words(name: str) -> list[str]:
    """The first line of a file of /proc; none where it cannot be read."""
    try:
        with (_PROC / name).open("rb") as file:
            return file.readline(1000).decode("ascii", "replace").split()
    except OSError:
        return []


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _since(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None or after < before else after - before
