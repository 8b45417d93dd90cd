"""What every command prints with: data to stdout, everything for a person to stderr.

Text that came from a device or a file passes through `plain` first: no control sequence of a phone
reaches a terminal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

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
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def stdout() -> Console:
    """A Rich console on stdout, for commands whose data is a screen for people."""
    from rich.console import Console

    return Console(highlight=False)


def emit(text: str) -> None:
    """Write data to stdout as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()
