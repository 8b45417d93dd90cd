"""Names that every room uses and each means one thing: the enums of the contract, and the exit codes."""

from __future__ import annotations

from enum import StrEnum


class Backend(StrEnum):
    """Where a model file can run."""

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


class Verdict(StrEnum):
    """The answer about a phone; docs and summary say what each means for a family."""

    PASS = "pass"
    DEGRADED = "degraded"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class CheckStatus(StrEnum):
    """The answer to one question. Unknown is not fail: a fact that is missing was not found wanting."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    SKIP = "skip"
    ERROR = "error"


class Evidence(StrEnum):
    """How a statement is known; in rising order, never mixed."""

    PREDICTED = "predicted"
    PROBED = "probed"
    RAN = "ran"
    VERIFIED = "verified"
