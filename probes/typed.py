"""Plain data as typed values, from several threads."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

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
        return msgspec.convert(data, kind, strict=True)
