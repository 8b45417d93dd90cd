"""The axis "who reads the allowlist": a member of `AllowlistFormat` and the module of its name here."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from ...base.names import AllowlistFormat
from ...profiles.knowledge import Knowledge
from ..allowlist import Allowlist


class AllowlistWriter(Protocol):
    """Turns rules into text. What a format cannot express is said in the text, never dropped in silence."""

    def __call__(self, allowlist: Allowlist, knowledge: Knowledge) -> str:
        """The whole document, ending in a newline."""
        ...


def writer(format: AllowlistFormat) -> AllowlistWriter:
    """The writer of a format, imported only when asked for."""
    return cast(AllowlistWriter, import_module(f".{format}", __name__).write)
