"""One hierarchy of errors. Each says what failed, on which device, and what to do next.

A finding about a phone ("no OpenCL library") is never an exception: it is a value in the snapshot or
in the measurements. An exception means that the tool could not do what it was asked to do.
"""

from __future__ import annotations

from enum import StrEnum

from .names import Exit


class AgentCause(StrEnum):
    """Why the agent did not run. Each has a row, named after it, in profiles/reasons.yaml: what it means, and
    what to do. Another gemmafit on the device is none of them: that passes (`DeviceBusy`)."""

    NOT_BUILT = "not-built"  # the host has no binary for this device
    WRONG_ABI = "wrong-abi"  # no binary of ours is for this processor and system
    NO_FOLDER = "no-folder"  # /data/local/tmp is missing, or is no folder
    REFUSED = "refused"  # may not write there
    READ_ONLY = "read-only"
    NO_SPACE = "no-space"
    LOCKED = "locked"  # encrypted, and its key is not loaded
    STORAGE = "storage"  # reading or writing fails
    NO_EXEC = "no-exec"  # is there and may not be executed
    NO_MEMORY = "no-memory"  # no memory, or no process, to start it with
    CANNOT_LINK = "cannot-link"  # the phone's dynamic linker refuses it
    CRASHED = "crashed"  # ended by a signal of its own doing: an illegal instruction, a fault
    KILLED = "killed"  # ended by a signal of somebody else
    HANGS = "hangs"
    OTHER_VERSION = "other-version"
    FLOOD = "flood"  # prints without end
    SHELL = "shell"  # what answers is no shell
    LOST = "lost"  # the device went away
    FAILED = "failed"  # anything else: the sentence has the device's own words

    @property
    def of_place(self) -> bool:
        """It is about the device or its folder, so that every process of the agent meets it."""
        return self in _OF_PLACE


_OF_PLACE = frozenset(
    {
        AgentCause.NO_FOLDER,
        AgentCause.REFUSED,
        AgentCause.READ_ONLY,
        AgentCause.NO_SPACE,
        AgentCause.LOCKED,
        AgentCause.STORAGE,
        AgentCause.NO_MEMORY,
    }
)


class GemmafitError(Exception):
    """Base of all errors a user may see.

    Attributes:
        hint: what to do next, one sentence, or None.
        exit_code: the process exit status that this error leads to.
    """

    exit_code = Exit.BROKE

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(GemmafitError):
    """The request itself is wrong: an option, a file name, a malformed capture, profile or report."""

    exit_code = Exit.USAGE


class InputError(UsageError):
    """A file the user named cannot be used. The message names the file and, where known, line and key."""


class TargetError(GemmafitError):
    """No such target, or it cannot be used in its present state (unauthorized, offline, several)."""

    exit_code = Exit.NO_TARGET


class DeviceBusy(TargetError):
    """Another gemmafit, on this or another host, works on the device. It will be free again."""


class Interrupted(GemmafitError):
    """The user pressed Ctrl-C. The message says what was kept."""

    exit_code = Exit.INTERRUPTED


class Undelivered(GemmafitError):
    """The answer exists and nobody took it: the reader of a pipe went away, or stdout is closed or full."""


class TransportError(GemmafitError):
    """Talking to a device failed: the cable, the adb server, a deadline.

    Attributes:
        serial: the device, or None where none was reached.
        command: what was being done, as the user could repeat it.
        exit_status: of the remote command, or None if it never ended.
        output: the tail of what it printed (stdout and stderr), unescaped.
        cause: of an AgentError: why, or None where that is no question of starting it (an unreadable result).
    """

    def __init__(
        self,
        message: str,
        *,
        serial: str | None = None,
        command: str | None = None,
        exit_status: int | None = None,
        output: str = "",
        cause: AgentCause | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.serial = serial
        self.command = command
        self.exit_status = exit_status
        self.output = output
        self.cause = cause


class DeadlineExceeded(TransportError):
    """A step did not end within its deadline; it was stopped."""


class AgentError(TransportError):
    """The agent could not be started, was killed, or is of another version than this host."""


class ToolchainError(GemmafitError):
    """A build input is missing (the agent's binary, a compiled kernel); the hint says what to install."""

    cause = AgentCause.NOT_BUILT
