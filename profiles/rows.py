"""What rows of every table have in common, and what their texts may be about.

A mark in a field's type says more of a value than its form: that it names something (`Ref`), that it asks
facts (`Asks`), which holes its text may have (`Holes`). The loader (loader.py) holds every row to its marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta


@dataclass(frozen=True)
class Ref:
    """The text is a name of `to`: a table of ours, or what rooms above know (judge/references.py)."""

    to: str


@dataclass(frozen=True)
class Asks:
    """The condition is asked where the facts of these groups are known; any other fact would stay unknown."""

    groups: tuple[str, ...]


@dataclass(frozen=True)
class Holes:
    """The text has holes that something fills: `names`, or, where the row checks its own, any."""

    names: tuple[str, ...] | None = None


Text = Annotated[str, Meta(min_length=1)]
Positive = Annotated[float, Meta(gt=0)]
VERSION = re.compile(r"^\d{1,6}(\.\d{1,6}){0,3}$")
Version = Annotated[str, Meta(pattern=VERSION.pattern)]
"""Of a release, as 0.10.26."""
Fraction = Annotated[float, Meta(gt=0, le=1)]
Factor = Annotated[float, Meta(ge=1)]
Count = Annotated[int, Meta(gt=0)]
SocName = Annotated[str, Meta(min_length=1), Ref("SoC")]
GpuName = Annotated[str, Meta(min_length=1), Ref("GPU")]
CoreName = Annotated[str, Meta(min_length=1), Ref("core")]
LibraryName = Annotated[str, Meta(min_length=1), Ref("OpenCL library")]


def release(version: str) -> tuple[int, ...]:
    """A version in its order: 0.9 and 0.9.0 are the same, and 0.10 is later."""
    numbers = [int(part) for part in version.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reviewed statement: why it stands here and where it comes from."""

    because: Text
    source: Text


class Entry(Row, frozen=True, kw_only=True):
    """A row with a key that an overlay can replace."""

    id: Text


class Between(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value with its interval."""

    value: Positive
    low: Positive
    high: Positive

    def __post_init__(self) -> None:
        ordered(self.low, self.value, self.high)


def ordered(*values: float) -> None:
    """Raises ValueError unless the values rise."""
    if list(values) != sorted(values):
        raise ValueError("low, value and high are not in this order")


class Listed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of a list: why it is there and where its facts are from; None: what its file says.

    `name` of a row is what people call it, `key` what no other row of its file may have.
    """

    because: Text | None = None
    source: Text | None = None

    @property
    def key(self) -> str:
        return str(getattr(self, "name"))  # noqa: B009 - of most rows
