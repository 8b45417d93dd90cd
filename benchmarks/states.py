"""The device's state before and after what was measured on each backend: values for a capture and a
report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ..base import typed
from ..base.limits import FEW
from ..probes.snapshot import Conditions


@dataclass(frozen=True)
class Span:
    """What was measured between two looks at the device.

    Attributes:
        what: a backend, or a step of a benchmark.
    """

    what: str
    before: Conditions
    after: Conditions

    def to_dict(self) -> dict[str, Any]:
        """The inverse of `from_dict`; what is unknown is left out."""
        return {"what": self.what, "before": _plain(self.before), "after": _plain(self.after)}

    @classmethod
    def from_dict(cls, data: Any) -> Span:
        """Raises ValueError for what cannot be read. Data come from captures, which are untrusted."""
        try:
            return typed.convert(_with_numbers(data), cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error


def spans(data: Any) -> list[Span]:
    """Those of a recording. Raises ValueError."""
    if data is None:
        return []
    if not isinstance(data, list):
        raise ValueError("a list was expected")
    return [Span.from_dict(row) for row in data[:FEW]]


def conditions(of: Sequence[Span], before: Conditions, after: Conditions | None = None) -> dict[str, Any]:
    """A report's `conditions`: before the first, after the last, and around each.

    Args:
        before, after: the states where there is no span.
    """
    if not of:
        return {"before": before.to_dict(), "after": {} if after is None else after.to_dict()}
    parts = {span.what: {"before": span.before.to_dict(), "after": span.after.to_dict()} for span in of}
    return {"before": of[0].before.to_dict(), "after": of[-1].after.to_dict(), "spans": parts}


def _plain(state: Conditions) -> dict[str, Any]:
    """Keys as text: a capture file has no others."""
    return {
        key: {str(k): v for k, v in value.items()} if isinstance(value, dict) else value
        for key, value in state.to_dict().items()
    }


def _with_numbers(data: Any) -> Any:
    """The numbers of CPUs as numbers again."""
    if not isinstance(data, Mapping):
        return data
    out = dict(data)
    for side in ("before", "after"):
        state = out.get(side)
        limits = state.get("cpu_max_mhz") if isinstance(state, Mapping) else None
        if isinstance(state, Mapping) and isinstance(limits, Mapping):
            numbers = {int(k) if str(k).isdecimal() and len(str(k)) < 5 else k: v for k, v in limits.items()}
            out[side] = {**state, "cpu_max_mhz": numbers}
    return out
