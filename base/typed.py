"""Plain data as typed values, from several threads."""

from __future__ import annotations

import re
import threading
from typing import Any, TypeVar, get_origin

import msgspec

T = TypeVar("T")

_LOCK = threading.Lock()


def convert(data: Any, kind: type[T]) -> T:
    """`msgspec.convert`, strict, one thread at a time. Raises msgspec.ValidationError.

    msgspec describes a type to itself when it first meets it, through calls into Python in which another
    thread may run; one that meets the same type half described crashes the interpreter (seen with 0.22 when
    many phones are judged at once).
    """
    with _LOCK:
        return msgspec.convert(data, kind, strict=True, dec_hook=_compile)


def _compile(kind: type[Any], value: Any) -> re.Pattern[str]:
    """The one type of ours that msgspec does not know: a regular expression, as its text."""
    if get_origin(kind) is not re.Pattern:
        raise NotImplementedError(str(kind))
    if not isinstance(value, str):
        raise ValueError(f"a pattern was expected, got `{type(value).__name__}`")
    try:
        return re.compile(value, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"pattern {value!r}: {error}") from error
