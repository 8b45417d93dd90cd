"""A phone over ADB as a target."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...base.errors import TransportError
from ...base.events import Event, Listener, ignore
from ...base.names import TargetKind
from .. import batch
from ..capture import Answer
from ..local import packaged_agent
from ..target import AgentSession, Command
from .session import open_session
from .transport import End, Output, RoundTrip, Transport

GRACE = 6.0
"""Seconds that the host waits longer than the device's own deadline: a busy phone, a slow network."""
RESUMPTIONS = 3
"""How many commands may take the shell down with them before the phone is given up."""


class AdbTarget:
    """See the module.

    Attributes:
        serial: as adb names the device.
    """

    kind = TargetKind.ADB
    recording = None

    def __init__(self, transport: Transport, *, agent: Callable[[str], Path] = packaged_agent) -> None:
        self._transport = transport
        self._agent = agent
        self._strikes = 0
        self.serial = transport.serial

    @property
    def round_trips(self) -> Sequence[RoundTrip]:
        """The requests to the device so far, with their times."""
        return tuple(self._transport.log)

    def ask(self, commands: Sequence[Command], on_event: Listener = ignore) -> dict[str, Answer]:
        """One round trip for as many commands as a request holds (on phones before Android 7 some 4 KB).

        A command that takes the shell or the connection down has an answer without exit status, and the
        next ones are asked again if the phone is still there. Once its system services were given up, later
        calls ask them one short question before they give them up again.
        """
        self._strikes = min(self._strikes, batch.BINDER_STRIKES - 1)
        limit = batch.LIMIT if self._transport.modern else batch.LIMIT_LEGACY
        answers: dict[str, Answer] = {}
        resumptions = 0
        pending = list(commands)
        while pending:
            one = batch.batches(pending, limit, self._strikes)[0]
            what = f"asking {self.serial} {len(one.commands)} questions"
            on_event(Event("probe", what))
            start = time.monotonic()
            output = self._transport.shell(
                one.script,
                what=what,
                seconds=one.deadline + GRACE,
                silence=max(c.deadline for c in one.commands) + GRACE,
                max_bytes=one.max_bytes,
            )
            on_event(Event("probe", what, seconds=time.monotonic() - start))
            reading = batch.read(one, output.stdout)
            answers |= reading.answers
            pending = pending[len(reading.answers) :]
            if reading.rest:
                resumptions += 1
                if not reading.started or resumptions > RESUMPTIONS:
                    raise self._unusable(what, output)
                late = output.end in (End.LATE, End.SILENT)
                culprit = pending.pop(0)
                answers[culprit.key] = batch.answer(culprit, reading.partial, None, timed_out=late)
                self._transport.require_answer(what)
            self._strikes = batch.count_strikes(one.commands, answers, self._strikes)
        return answers

    @contextmanager
    def session(self, on_event: Listener = ignore, *, awake: bool = False) -> Iterator[AgentSession]:
        """Push the agent that this phone executes into a directory of its own."""
        with open_session(self._transport, self._agent, on_event, awake=awake) as session:
            yield session

    def _unusable(self, what: str, output: Output) -> TransportError:
        self._transport.require_device(what)
        endings = {
            End.EXIT: "the phone's shell ended",
            End.EOF: "the connection ended",
            End.LATE: "the phone did not answer in time",
            End.SILENT: "the phone stopped responding",
            End.FLOOD: "the phone sent more than was asked for",
        }
        return TransportError(
            f"{what}: {endings[output.end]}",
            serial=self.serial,
            command=f"adb -s {self.serial} shell ...",
            exit_status=output.exit,
            output=(output.stdout[-2000:] + output.stderr[-2000:]).decode("utf-8", "replace"),
            hint=f"does `adb -s {self.serial} shell echo hello` print hello?",
        )
