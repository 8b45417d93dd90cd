"""A capture as a target: it answers what was asked when it was recorded, and runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from ..base.errors import AgentError
from ..base.events import Listener, ignore
from ..base.names import TargetKind
from .capture import Answer, Capture
from .files import read_capture
from .target import AgentSession, Command


class ReplayTarget:
    """The target `replay:FILE`, or a capture that was never a file.

    Attributes:
        serial: the file's name, or what the capture calls its device.
    """

    kind = TargetKind.REPLAY

    def __init__(self, recording: Path | Capture) -> None:
        """From a file or a value. Raises InputError where the file holds no capture."""
        if isinstance(recording, Capture):
            self.recording = recording
            said = recording.recorded
            self.serial = str(said.get("serial") or said.get("name") or "recording")
        else:
            self.recording = read_capture(recording)
            self.serial = recording.name

    def ask(self, commands: Sequence[Command], on_event: Listener = ignore) -> dict[str, Answer]:
        """The recorded answers to `commands`; what was never asked has no entry."""
        recorded = self.recording.commands
        return {command.key: recorded[command.key] for command in commands if command.key in recorded}

    def session(
        self, on_event: Listener = ignore, *, awake: bool = False
    ) -> AbstractContextManager[AgentSession]:
        """Always raises AgentError."""
        raise AgentError(
            "a recording cannot run anything",
            serial=self.serial,
            hint="connect the device, or leave out what needs one",
        )
