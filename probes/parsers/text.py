"""What all parsers share: the error type, bounded lines, bounded numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ...base import limits

_INT = re.compile(r"[+-]?(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})\Z")
_BITS = 1 << limits.INTEGER_BITS


class ParseError(ValueError):
    """An answer does not have the form it should have. The message says what was expected."""


def lines(text: str) -> Iterator[str]:
    """The lines of `text` without their ends, each cut to LINE_CHARS, at most LINES of them.

    Only line feed ends a line (a carriage return before it is dropped): str.splitlines would also split
    at characters that occur inside property values.
    """
    start = 0
    for _ in range(limits.LINES):
        end = text.find("\n", start)
        stop = len(text) if end < 0 else end
        yield text[start : min(stop, start + limits.LINE_CHARS)].removesuffix("\r")
        if end < 0:
            return
        start = end + 1


def integer(text: str) -> int | None:
    """Decimal or 0x-hexadecimal, at most 64 bits; None for anything else."""
    text = text.strip()
    if not _INT.match(text):
        return None
    value = int(text, 16 if "x" in text[:3].lower() else 10)
    return value if -_BITS < value < _BITS else None


def name(text: str) -> str | None:
    """A name worth keeping: stripped, cut to NAME_CHARS, None where nothing is left."""
    return text.strip()[: limits.NAME_CHARS].strip() or None


def number(value: object) -> int | None:
    """An integer from JSON, where some devices print integers as floats (`4.29497e+09`, `1.0`)."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        # Infinity and NaN are no integers; int() would raise on them.
        if value != value or value in (float("inf"), float("-inf")):
            return None
        value = int(value)
    if isinstance(value, int):
        return value if -_BITS < value < _BITS else None
    return integer(value) if isinstance(value, str) else None


_CLOSERS = {"{": "}", "[": "]"}


def json_prefix(text: str) -> Any:
    """The value of a JSON text whose end is missing (cut at a limit, or lost on the way): everything up to
    the last complete member or element. Raises ParseError where not even that is JSON."""
    stack: list[str] = []
    cut, open_at_cut = 0, ""
    quoted = escaped = False
    for index, char in enumerate(text):
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in _CLOSERS:
            stack.append(_CLOSERS[char])
            cut, open_at_cut = index + 1, "".join(reversed(stack))
        elif char in "}]":
            if not stack or stack.pop() != char:
                raise ParseError("not JSON: brackets do not match")
            cut, open_at_cut = index + 1, "".join(reversed(stack))
        elif char == ",":
            cut, open_at_cut = index, "".join(reversed(stack))
        if len(stack) > limits.CAPTURE_DEPTH:
            raise ParseError(f"JSON nested deeper than {limits.CAPTURE_DEPTH} levels")
    return json_value(text[:cut] + open_at_cut)


def json_value(text: str, nodes: int = limits.CAPTURE_NODES) -> Any:
    """JSON, at most CAPTURE_DEPTH deep and with at most `nodes` lists and objects.

    No text makes this raise anything but ParseError.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        # RecursionError: thousands of open brackets. ValueError: no JSON, or an integer of > 4300 digits.
        raise ParseError(f"not JSON: {str(error)[: limits.QUOTE_CHARS]}") from None
    level = [value]
    for _ in range(limits.CAPTURE_DEPTH):
        level = [
            part
            for outer in level
            for part in (
                outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ()
            )
            if isinstance(part, dict | list)
        ]
        nodes -= len(level)
        if not level:
            return value
        if nodes < 0:
            raise ParseError("JSON with too many values")
    raise ParseError(f"JSON nested deeper than {limits.CAPTURE_DEPTH} levels")
