"""What rows of every table have in common."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .conditions import Condition

Text = Annotated[str, Meta(min_length=1)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(gt=0)]


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reviewed statement: why it stands here and where it comes from."""

    because: Text
    source: Text


class Entry(Row, frozen=True, kw_only=True):
    """A row with a key that an overlay can replace."""

    id: Text


class Conditional(Entry, frozen=True, kw_only=True):
    """A row that holds where `when` does (conditions.py)."""

    when: Condition
