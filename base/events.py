"""Progress as values. Code below `cli/` reports through a callback and never prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Something a person waiting may want to know.

    Attributes:
        stage: machine name of the running stage: connect, probe, push, block, limits, judge, record, ...
        message: a short human sentence, not yet escaped for a terminal.
        done, total: progress within the stage, or None where it cannot be known.
        seconds: how long the step took, given once it is over.
    """

    stage: str
    message: str
    done: int | None = None
    total: int | None = None
    seconds: float | None = None


Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener of somebody who does not want to know."""
