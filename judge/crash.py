"""Native crashes in a text: the signal and the frames below it, whatever log they come in.

`crash_dump`, logcat, Crashlytics and a shell write the same facts in different lines; here they become one
value, and a line that signatures match (`Crash.line`). The culprit is the first library that not every
crash goes through: abort(), the virtual machine and the allocator stand above whoever called them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..probes.target import SIGNALS
from ..profiles.signatures import Origin, OriginPart

MAX_CRASHES = 32
MAX_FRAMES = 48
MAX_SYMBOL = 160
MAX_DISTANCE = 400
"""Lines between a signal and its first frame: registers and memory near them are printed between."""

_SHELL = {"Aborted": "SIGABRT", "Illegal instruction": "SIGILL", "Segmentation fault": "SIGSEGV"}
_NUMBER = re.compile(r"\bsignal (\d{1,2})\b")
_NAME = re.compile(r"\b(SIG(?:SEGV|ABRT|ILL|BUS|FPE|TRAP))\b")
_PID = re.compile(r"\bpid:? (\d{1,7})\b")
_THREAD = re.compile(r"\bin tid \d{1,8} \(([^)]{1,40})\)")
_FRAME = re.compile(
    r"#(\d{1,3})\s+(?:pc )?(?:0x)?[0-9a-f]{4,16}\s+(?:\S{0,300}[/!])?([\w.+\[\]-]{2,80})"
    r"(?:\s+\(offset [^)]{0,20}\))?(.{0,400})"
)
_LIBRARY = re.compile(r"(?:^|[\s/!\"'(])(lib[\w.+-]{1,80}\.so)\b")
_TAIL = re.compile(r"\(BuildId:.{0,80}$|\+0x[0-9a-f]+\)?$|\+\d+\)?$")


@dataclass(frozen=True)
class Frame:
    """One call of a backtrace: the file it lies in, and the function where the log names it."""

    library: str
    symbol: str = ""


@dataclass(frozen=True)
class Crash:
    """A crash: the line it was seen at (from 1), the signal's name, the frames from the innermost on."""

    at: int
    signal: str
    process: int | None = None
    thread: str = ""
    frames: tuple[Frame, ...] = ()


class Crashes:
    """Collects crashes from the cleaned lines of a text, in their order."""

    def __init__(self) -> None:
        self.found: list[Crash] = []
        self._last = 0

    def add(self, number: int, text: str, process: int | None) -> None:
        """Look at one line; it may begin a crash or belong to the last one."""
        if "#" in text and (frame := _FRAME.search(text)):
            self._frame(number, int(frame[1]), Frame(frame[2], _symbol(frame[3])))
            return
        signal = _signal(text)
        if signal is None:
            return
        named = [Frame(name) for name in _LIBRARY.findall(text)[:MAX_FRAMES]]
        last = self.found[-1] if self.found else None
        if last is not None and last.signal == signal and not last.frames and number - last.at < MAX_DISTANCE:
            self.found[-1] = replace(last, frames=tuple(named))  # the same one, told again by crash_dump
        elif len(self.found) < MAX_CRASHES:
            thread = _THREAD.search(text)
            pid = _PID.search(text)
            owner = int(pid[1]) if pid else process
            self.found.append(Crash(number, signal, owner, thread[1] if thread else "", tuple(named)))
        self._last = number

    def _frame(self, number: int, index: int, frame: Frame) -> None:
        if not self.found or number - self._last > MAX_DISTANCE:
            return
        last = self.found[-1]
        # A backtrace that begins again is another thread's: the first one is of the thread that crashed.
        if len(last.frames) < MAX_FRAMES and (index >= len(last.frames) or not last.frames):
            self.found[-1] = replace(last, frames=(*last.frames, frame))
        self._last = number


def _signal(text: str) -> str | None:
    if (name := _NAME.search(text)) is not None:
        return name[1]
    for words, signal in _SHELL.items():
        if text.startswith(words):
            return signal
    if (number := _NUMBER.search(text)) is not None and "atal signal" in text:
        return SIGNALS.get(int(number[1]))
    return None


def _symbol(text: str) -> str:
    """The function in what follows a frame's library: "(icu::RegexMatcher::find(UErrorCode&)+100)"."""
    body = text.strip()
    for _ in range(2):
        body = _TAIL.sub("", body).strip()
    if not body.startswith("("):
        return ""
    body = body[1:]
    if body.count(")") > body.count("("):
        body = body.removesuffix(")")
    return body[:MAX_SYMBOL].strip()


class Owners:
    """Whose a library is, by the longest beginning of its name."""

    def __init__(self, origins: Mapping[str, Origin]) -> None:
        names = [(name, origin) for origin in origins.values() for name in origin.libraries]
        self._names = sorted(names, key=lambda item: -len(item[0]))

    def of(self, library: str) -> Origin | None:
        """The owner, or None: the application's own, or nobody's that the table knows."""
        return next((origin for name, origin in self._names if library.startswith(name)), None)

    def culprit(self, frames: Iterable[Frame]) -> Frame | None:
        """The innermost frame that lies in a library and not in the system's."""
        for frame in frames:
            owner = self.of(frame.library)
            if frame.library.endswith(".so") and (owner is None or owner.part is not OriginPart.SYSTEM):
                return frame
        return None

    def line(self, crash: Crash) -> str:
        """The crash as signatures match it: the culprit first, then every frame below it."""
        frame = self.culprit(crash.frames)
        if frame is None:
            return f"crash: {crash.signal} in no named library, thread {crash.thread or 'unknown'}"
        below = crash.frames[crash.frames.index(frame) :]
        calls = "; ".join(f"{f.library}: {f.symbol}" if f.symbol else f.library for f in below)
        return f"crash: {crash.signal} in {calls}"
