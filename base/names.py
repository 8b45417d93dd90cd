"""Names that every room uses and each means one thing: the enums of the contract, and the exit codes."""

from __future__ import annotations

from enum import StrEnum


class Backend(StrEnum):
    CPU = "cpu"
    OPENCL = "opencl"
    VULKAN = "vulkan"


class Status(StrEnum):
    """How a measurement ended. A row that is not OK carries a reason."""

    OK = "ok"
    UNSUPPORTED = "unsupported"  # the device cannot, and says so
    SKIPPED = "skipped"  # we chose not to (memory, time, option)
    ERROR = "error"  # it should have worked


class Scope(StrEnum):
    """For whom a finding holds."""

    SHELL = "shell"
    """Seen by a process of `adb shell` (linker section [unrestricted])."""
    APP_INFERRED = "app-inferred"
    """Derived for an app from public.libraries, ABI, labels and API level."""
    APP_TESTED = "app-tested"
    """Observed inside an app's process."""
    DEVICE = "device"
    """A property of the device itself, the same for everybody."""


class AnswerStatus(StrEnum):
    """How a question to the device ended."""

    OK = "ok"
    MISSING = "missing"  # never asked, or no such file or command
    REFUSED = "refused"  # permission denied
    EMPTY = "empty"  # answered with nothing
    CUT = "cut"  # over the limit: the rest was dropped
    UNREADABLE = "unreadable"  # answered, but not in a form that could be read
    TIMEOUT = "timeout"
    DOWN = "down"  # the system services did not answer, whatever was asked


class Verdict(StrEnum):
    PASS = "pass"
    DEGRADED = "degraded"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class CheckStatus(StrEnum):
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    SKIP = "skip"
    ERROR = "error"


class Column(StrEnum):
    """A column of the verdict sheet: the questions asked of a backend, in their order."""

    VISIBLE = "visible"
    CAPABLE = "capable"
    CORRECT = "correct"
    DETERMINISTIC = "deterministic"
    SPEED = "speed"
    MEMORY = "memory"


class Evidence(StrEnum):
    """How a statement is known; in rising order, never mixed."""

    PREDICTED = "predicted"
    PROBED = "probed"
    RAN = "ran"
    VERIFIED = "verified"
