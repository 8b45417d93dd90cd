"""Captures: the raw answers of a device, as a value and as a file (`gemmafit.capture/1`).

A capture is all that a verdict is computed from, so that it can be computed again anywhere. It is
untrusted input: reading one is bounded by `limits.py` and never runs YAML tags.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..base.names import TargetKind

SCHEMA = "gemmafit.capture/1"


@dataclass(frozen=True)
class Answer:
    """What one command printed.

    Attributes:
        exit: its exit status; None if the transport could not tell (old adbd) or it hit its deadline.
        out: stdout as text, decoded as UTF-8 with replacement; cut to the limits.
        raw: the bytes where they were not printable text, else None.
        cut: how many bytes were dropped because the answer was over the limit (0: complete).
        seconds: how long it took; None in assembled captures.
        timed_out: the command hit its deadline; `out` is what had come by then.
        skipped: it was left out, as the system services had not answered the questions before it.
    """

    exit: int | None
    out: str
    raw: bytes | None = None
    cut: int = 0
    seconds: float | None = None
    timed_out: bool = False
    skipped: bool = False


@dataclass(frozen=True)
class Capture:
    """The raw answers of one target.

    Attributes:
        kind: the word of a `TargetKind` that is `recorded`.
        recorded: the `recorded` mapping of the file (at, tool, kind, name, serial if kept).
        commands: key (see design, "Capture") -> answer. A key that is absent was never asked.
        agent: the agent's own JSON answers, `{"probe": {...}, "measurements": [...]}`, or None if no
            agent ran. `measurements` holds `Measurement.to_dict()` rows.
    """

    kind: str
    recorded: dict[str, Any] = field(default_factory=dict[str, Any])
    commands: dict[str, Answer] = field(default_factory=dict[str, Answer])
    agent: dict[str, Any] | None = None

    @property
    def origin(self) -> TargetKind:
        """What follows from its kind."""
        return TargetKind.of(self.kind)
