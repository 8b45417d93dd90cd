"""Why the agent did not run: decided here and nowhere else, from what the device said.

Each function takes what was observed at one step (a folder that could not be made, a push that failed, a
start that came to nothing) and gives the cause with one sentence about it. The sentence names no device, as
it is recorded and replayed; what the cause means and what to do is a row of profiles/reasons.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .. import __version__
from ..base import limits, units
from ..base.errors import AgentCause, AgentError, DeadlineExceeded, GemmafitError
from .parsers.complaints import complaint
from .snapshot import AgentProblem
from .target import AgentRun, signal_name

FULL_BYTES = 64 << 10
"""A file system with less than this free is full, whatever words a shell found for it (dash: `I/O error`)."""
OUTSIDE = frozenset({1, 2, 9, 15})
"""SIGHUP, SIGINT, SIGKILL, SIGTERM: what others send. The rest comes of what a program does itself."""

_OWN_NAME = re.compile(r"/gemmafit-[0-9a-f]{16}\b|\bgemmafit-[0-9a-f]{16}/?")
"""Our random folder: it would make each sentence another one."""


def no_place(said: str, place: str, *, free: int | None, needed: int) -> AgentProblem:
    """The session's folder could not be made.

    Args:
        said: the words of the phone's mkdir or shell.
        free: bytes, where `df` tells.
        needed: bytes of the agent, and room for its results.
    """
    cause = _with_df(complaint(said), free, needed if not said.strip() else FULL_BYTES)
    words = _words(said) or "the phone does not say why"
    return AgentProblem(
        cause or AgentCause.FAILED, f"{place} has no place for the agent: {words}{_room(cause, free, needed)}"
    )


def no_room(place: str, *, free: int, needed: int) -> AgentProblem:
    """`df` told before anything was copied."""
    return AgentProblem(
        AgentCause.NO_SPACE, f"{place} has {units.size(free)} free, the agent needs {units.size(needed)}"
    )


def not_copied(said: str, place: str, *, free: int | None, needed: int) -> AgentProblem:
    """A push failed while the device is still there. `said`: adbd's words; `needed`: bytes of the files."""
    cause = _with_df(complaint(said), free, FULL_BYTES)
    words = _words(said) or "the phone does not say why"
    room = _room(cause, free, needed)
    return AgentProblem(
        cause or AgentCause.FAILED, f"{units.size(needed)} could not be copied to {place}: {words}{room}"
    )


def not_started(said: str, place: str, *, free: int | None) -> AgentProblem:
    """A run left no exit status: its folder is gone, or nothing can be written there any more."""
    words = _words(said) or "the phone does not say why"
    return AgentProblem(
        _with_df(complaint(said), free, FULL_BYTES) or AgentCause.FAILED,
        f"the agent could not be started in {place}: {words}",
    )


def not_executed(said: str, name: str) -> AgentProblem:
    """This computer refused to start the program `name`. `said`: the system's words."""
    return AgentProblem(
        _executed(complaint(said)) or AgentCause.FAILED, f"cannot start {name}: {_words(said)}"
    )


def no_agent(abis: str, known: Sequence[str]) -> AgentProblem:
    """None of the agents is for this device. `abis`: as it states them, or nothing."""
    stated = _words(abis)[: limits.QUOTE_CHARS] or "it does not state its ABIs"
    return AgentProblem(
        AgentCause.WRONG_ABI,
        f"there is no agent for this device ({stated}); there are agents for {', '.join(known)}",
    )


def flooded(most: int) -> AgentProblem:
    """A run printed more than `most` bytes."""
    return AgentProblem(AgentCause.FLOOD, f"the agent printed more than {units.size(most)}")


def no_shell(said: str) -> AgentProblem:
    """What is behind `adb shell` did not run the script."""
    words = _words(said)
    return AgentProblem(
        AgentCause.SHELL,
        "the phone did not answer as a shell does" + (f", but with: {words}" if words else ""),
    )


def unfit(run: AgentRun, abi: str, place: str, seconds: float) -> AgentProblem | None:
    """What is wrong with an agent that was asked for its version; None where it answered as it should.

    Words come before numbers: shells of Android 5 to 14 end with 1, 126 or 127 over the same program.
    """
    # Before the answer there may be warnings of the linker.
    answer = re.search(r"^gemmafit-agent (\S+) (\S+)\s*$", run.stdout, re.MULTILINE)
    who = f"the agent for {abi}"
    if run.timed_out:
        return AgentProblem(AgentCause.HANGS, f"{who} hangs: no answer within {units.seconds(seconds)}")
    if run.exit == 0 and answer is not None:
        if answer[1] == __version__:
            return None
        version = answer[1][:40]
        return AgentProblem(
            AgentCause.OTHER_VERSION, f"{who} is of version {version}, this is gemmafit {__version__}"
        )
    words = _words(run.stderr) or _words(run.stdout)
    because = f": {words}" if words else ""
    cause = _executed(complaint(run.stdout + "\n" + run.stderr))
    if cause is AgentCause.CANNOT_LINK:
        return AgentProblem(cause, f"{who} was refused by the phone's dynamic linker{because}")
    if run.signal is not None:
        cause = AgentCause.KILLED if run.signal in OUTSIDE else AgentCause.CRASHED
        return AgentProblem(cause, f"{who} was killed by {signal_name(run.signal)}{because}")
    if run.exit == 127 and cause is None:
        cause = AgentCause.WRONG_ABI  # it is there, it was pushed: what is not found is its loader
    if run.exit == 126 and cause is None:
        cause = AgentCause.NO_EXEC
    if cause is AgentCause.NO_EXEC:
        return AgentProblem(cause, f"{who} may not be executed in {place}{because}")
    if cause is AgentCause.WRONG_ABI:
        if "\x7fELF" in run.stderr or "syntax error" in run.stderr.lower():
            because = ": its shell took it for a script"
        return AgentProblem(cause, f"{who} is no program for this device{because}")
    return AgentProblem(cause or AgentCause.FAILED, f"{who} does not run (exit status {run.exit}){because}")


def of_error(error: GemmafitError) -> AgentProblem:
    """The problem that an error of a session tells of."""
    cause: AgentCause | None = getattr(error, "cause", None)
    if cause is None:
        cause = AgentCause.HANGS if isinstance(error, DeadlineExceeded) else None
    if cause is None:
        cause = AgentCause.FAILED if isinstance(error, AgentError) else AgentCause.LOST
    return AgentProblem(cause, str(error))


def as_error(
    problem: AgentProblem,
    *,
    serial: str | None,
    command: str | None = None,
    exit_status: int | None = None,
    output: str = "",
) -> AgentError:
    """The problem as an error, with what to do about it."""
    return AgentError(
        problem.sentence,
        cause=problem.cause,
        serial=serial,
        command=command,
        exit_status=exit_status,
        output=output,
        hint=remedy(problem.cause),
    )


def remedy(cause: AgentCause) -> str | None:
    """What to do, by the built-in table."""
    # Imported here: the tables cost some 100 ms, and most runs need no remedy.
    from ..profiles.loader import load

    return load().reasons[f"agent.{cause}"].remedy


def _with_df(cause: AgentCause | None, free: int | None, least: int) -> AgentCause | None:
    """A full disk is told in many words, or none; `df` knows."""
    if cause in (None, AgentCause.STORAGE) and free is not None and free < least:
        return AgentCause.NO_SPACE
    return cause


def _executed(cause: AgentCause | None) -> AgentCause | None:
    """The same words about a program that is started."""
    match cause:
        case AgentCause.REFUSED:
            return AgentCause.NO_EXEC
        case AgentCause.NO_FOLDER:  # the file is there: its loader is not
            return AgentCause.WRONG_ABI
        case _:
            return cause


def _room(cause: AgentCause | None, free: int | None, needed: int) -> str:
    if cause is not AgentCause.NO_SPACE:
        return ""
    found = f", {units.size(free)} are free" if free is not None else ""
    return f"; {units.size(needed)} are needed{found}"


def _words(said: str) -> str:
    """A device's words on one line, without our own random names, not too many, nothing but text."""
    words = " ".join(_OWN_NAME.sub("", said).split())[: limits.TEXT_CHARS // 4]
    return "".join(c if c.isprintable() else "?" for c in words)
