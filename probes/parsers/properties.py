"""getprop and build.prop: system properties."""

from __future__ import annotations

import re

from ...base import limits
from .text import ParseError, lines

_ENTRY = re.compile(r"\[([^\]\[\s]{1,256})\]: \[(.*)\Z", re.DOTALL)
_BUILD_PROP = re.compile(r"\s*([A-Za-z0-9_.\-@:/]{1,256})\s*\??=(.*)\Z", re.DOTALL)


def parse_getprop(text: str) -> dict[str, str]:
    """`[name]: [value]` entries. A value may hold brackets and may run over several lines.

    A value ends at a line that ends in `]` and is followed by a new entry or by the end of the text: a
    `]` inside a value (`[[2048,)]`) or at the end of an inner line is part of it.
    """
    values: dict[str, str] = {}
    key: str | None = None
    value: list[str] = []

    def close() -> None:
        if key is not None and len(values) < limits.PROPERTIES:
            joined = "\n".join(value).rstrip("\n")
            values[key] = joined.removesuffix("]")[: limits.PROPERTY_CHARS]

    size = 0
    for line in lines(text):
        entry = _ENTRY.match(line)
        # A new entry can begin only where the last value is closed; otherwise this is text inside it,
        # unless the value has run on for longer than any (its end was lost).
        if entry and (key is None or (value and value[-1].endswith("]")) or size > limits.PROPERTY_CHARS):
            close()
            key, value, size = entry[1], [entry[2]], len(entry[2])
        elif key is not None and size <= limits.PROPERTY_CHARS:
            value.append(line)
            size += len(line) + 1
    close()
    if not values:
        raise ParseError("no `[name]: [value]` line in getprop's output")
    return values


def parse_build_prop(text: str) -> dict[str, str]:
    """`name=value` lines of a build.prop file; comments, imports and `?=` defaults as init reads them."""
    values: dict[str, str] = {}
    for line in lines(text):
        if line.lstrip().startswith(("#", "import ")):
            continue
        entry = _BUILD_PROP.match(line)
        if entry and len(values) < limits.PROPERTIES:
            values.setdefault(entry[1], entry[2].strip()[: limits.PROPERTY_CHARS])
    if not values:
        raise ParseError("no `name=value` line in build.prop")
    return values
