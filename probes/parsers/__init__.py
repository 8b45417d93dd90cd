"""Pure parsers: the text of one answer -> a value. No device, no printing, one error type (`ParseError`).

A parser takes what devices have been seen to say and skips what it does not know; it raises where
nothing of the text has the expected form. Whether there is an answer at all (missing, refused, empty) is
decided before, in `answers.py`.
"""

from __future__ import annotations

from .text import ParseError

__all__ = ["ParseError"]
