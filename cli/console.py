"""What every command prints with: data to stdout, everything for a person to stderr.

Text that came from a device or a file passes through `plain` first: no control sequence of a phone
reaches a terminal.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from ..base.errors import Undelivered

if TYPE_CHECKING:
    from rich.console import Console

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: object, limit: int = 400) -> str:
    """`text` on one line; whatever is not printable (control, bidi, private, unassigned) is spelled out."""
    whole = str(text)
    shown = (c if c.isprintable() else _NAMED.get(c, f"\\u{ord(c):04x}") for c in whole[:limit])
    return "".join(shown) + ("…" if len(whole) > limit else "")


def safe(text: object, limit: int = 400) -> str:
    """`plain`, and with Rich's markup characters escaped."""
    from rich.markup import escape

    return escape(plain(text, limit))


def stderr() -> Console:
    """A Rich console on stderr. Honours NO_COLOR, TERM and the terminal's width."""
    return _console(sys.stderr)


def stdout() -> Console:
    """A Rich console on stdout, for commands whose data is a screen for people."""
    return _console(sys.stdout)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = UNWRAPPED  # who searches a file or a pipe finds a phrase on one line
    return console


UNWRAPPED = 1000
"""Columns where nobody looks at them."""

_PLAIN = {"✓": "+", "✗": "x", "–": "-", "→": "->", "·": "|", "×": "x", "…": "...", "±": "+-"}


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: the signs of our screens in ASCII, all else as a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


SPELLED = "gemmafit.spelled"
codecs.register_error(SPELLED, _spelled)


def emit(text: str) -> None:
    """Write data to stdout as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


class Stream:
    """A standard stream whose reader may go away; otherwise the stream itself.

    What is written to stdout is the answer: that nobody takes it is an error, and never Python's or Click's
    own exit status 1, which would read as the verdict "fail". What is written to stderr is for people: where
    nobody reads it, it is dropped and the work goes on.
    """

    def __init__(self, stream: TextIO | None, *, answer: bool) -> None:
        self._stream = stream or io.StringIO()
        self._closed = stream is None
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As a text stream does. Raises Undelivered for an answer that nobody takes."""
        if self._closed:
            self._gone("it is closed")
        try:
            return self._stream.write(text)
        except OSError as error:
            self._gone(error.strerror)
            return len(text)

    def flush(self) -> None:
        """As `write`."""
        try:
            self._stream.flush()
        except OSError as error:
            self._gone(error.strerror)

    def _gone(self, why: str | None) -> None:
        if not self._closed:
            # Keep the interpreter's own flush at its end from failing a second time.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        if self._answer:
            raise Undelivered(
                f"nobody took the answer from stdout: {why}",
                hint="Keep the reader open, or send it to a file.",
            )
