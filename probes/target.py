"""The axis "where the answers come from": one interface, and the table of the words that name a target.

What a kind of target entails is a column of `base.names.TargetKind`, or the target itself answers it.

adb/       a phone over ADB
local.py   this computer
replay.py  a capture file
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..base import limits, units
from ..base.events import Listener, ignore
from ..base.names import TargetKind
from .capture import Answer, Capture


@dataclass(frozen=True)
class Command:
    """A question in the target's shell.

    Attributes:
        key: the capture key its answer is stored under.
        script: POSIX sh, constant text written by us; nothing from a device is ever put into it.
        deadline: seconds, kept on the device as well as on the host.
        max_bytes: of stdout; more is cut and said so.
        binder: the answer comes from a system service, over Android's binder: where that is stuck, every such
            question would wait its whole deadline (see batch.py).
    """

    key: str
    script: str
    deadline: float = 10.0
    max_bytes: int = limits.ANSWER_BYTES
    binder: bool = False


@dataclass(frozen=True)
class AgentRun:
    """How one process of the agent ended.

    Attributes:
        exit: exit status; None when killed by a signal or by the deadline.
        signal: the signal that ended it, or None.
        timed_out: stopped because of the deadline.
        files: the result files asked for that exist: name -> local path.
        stdout, stderr: tails, for error messages; unescaped.
    """

    exit: int | None
    signal: int | None
    timed_out: bool
    files: Mapping[str, Path]
    stdout: str = ""
    stderr: str = ""

    @property
    def said(self) -> str:
        """Its last words on stderr, on one line."""
        return " ".join(self.stderr.split())[-SAID_CHARS:]

    def ending(self, seconds: float) -> str | None:
        """How it ended where that was not well, with its last words; `seconds` was its deadline.

        A process that was killed has often said why (an assertion, an allocator, a driver's abort).
        """
        words = f": {self.said}" if self.said else ""
        if self.timed_out:
            return f"did not end within {units.seconds(seconds)} and was stopped{words}"
        if self.signal is not None:
            return f"was killed by {signal_name(self.signal)}{words}"
        return None if self.exit == 0 else f"ended with status {self.exit}{words}"


SAID_CHARS = 300
"""Of a process's last words that are quoted."""

SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ",
    31: "SIGSYS",
}  # fmt: skip
"""Linux's numbers on Arm and x86, which the phone uses whatever this computer's are."""


def signal_name(number: int) -> str:
    """`SIGKILL (9)`, or `signal 40`."""
    name = SIGNALS.get(number)
    return f"{name} ({number})" if name else f"signal {number}"


@dataclass(frozen=True)
class Awake:
    """Whether a phone is kept awake for a session. `because`: the phone's words where it may not be."""

    kept: bool
    because: str = ""


class AgentSession(Protocol):
    """A private directory on the target with an interpreter of plans in it. It is gone after the session,
    also when this process dies.

    On a phone the interpreter is the agent. On this computer it is the agent for the CPU and the Python
    workers (`benchmarks/interpreter`) for OpenCL and Vulkan: they speak the same protocol.
    """

    abi: str
    """Which agent binary runs: arm64-v8a, armeabi-v7a, x86_64, linux-x86_64, linux-aarch64."""
    awake: Awake | None
    """None where nothing was asked for, as on this computer, or nothing answered."""

    def push(self, files: Mapping[str, Path | bytes]) -> None:
        """Copy files into the session's directory (plain names, no slash)."""
        ...

    def run(
        self,
        backend: str,
        args: Sequence[str],
        *,
        results: Sequence[str] = (),
        deadline: float,
        on_line: Listener = ignore,
        section: str = "unrestricted",
    ) -> AgentRun:
        """Run the agent in the directory; fetch the named result files that exist afterwards.

        backend: cpu | opencl | vulkan; each call is a process of its own.
        deadline: seconds, at most LONGEST_RUN_SECONDS (base/protocol.py).
        args: as in docs/plan-format.md, e.g. ["run", "--plan", "plan.txt", "--out", "result", ...].
        section: where the binary stands, which decides the linker namespace on Android: unrestricted
        (the session's own directory), isolated (/data/local/tmp/isolated), system
        (/data/local/tests/system). A place that cannot be written raises AgentError.
        """
        ...


class Target(Protocol):
    """Something that answers questions, and on which the agent may run.

    Attributes:
        recording: all that it will ever answer, its measurements too, where nothing can be asked or run
            any more; None: it is there.
    """

    kind: TargetKind
    serial: str

    @property
    def recording(self) -> Capture | None: ...

    def ask(self, commands: Sequence[Command], on_event: Listener = ignore) -> dict[str, Answer]:
        """Answer the commands, in as few round trips as possible. A command that fails, times out or
        is refused is an Answer; only a lost device raises TransportError."""
        ...

    def session(
        self, on_event: Listener = ignore, *, awake: bool = False
    ) -> AbstractContextManager[AgentSession]:
        """Push the agent and keep a directory for it. Raises AgentError where it cannot run.

        awake: keep the phone's screen on until the session ends, for as long as it is plugged in.
        """
        ...


@dataclass(frozen=True)
class Word:
    """A TARGET that does not stand for a phone at the adb server.

    Attributes:
        form: as people write it. `local` is the whole of it; of `replay:FILE` the part up to the colon.
        means: in the help.
        make: from what follows the colon. Raises InputError.
    """

    form: str
    means: str
    make: Callable[[str], Target]

    def rest(self, text: str) -> str | None:
        """What follows the colon, in a text of this form; None in any other."""
        name, colon, _ = self.form.partition(":")
        said, found, rest = text.partition(":")
        return rest if (said, found) == (name, colon) else None


def _local(_: str) -> Target:
    from .local import LocalTarget

    return LocalTarget()


def _replay(file: str) -> Target:
    from .replay import ReplayTarget

    return ReplayTarget(Path(file))


WORDS = (
    Word("local", TargetKind.LOCAL.noun, _local),
    Word("replay:FILE", "a recording", _replay),
)
"""Any other text is for the adb server. Help texts read this too, so a module is imported with its target."""


def forms(words: Sequence[str]) -> str:
    """The forms of a TARGET in a sentence: `words`, one for each of `WORDS`, follow those of a phone."""
    *first, last = ("a serial", "HOST:PORT", *words)
    return f"{', '.join(first)}, or {last}"
