"""The axis "who reads the allowlist": our own YAML, AI Edge Gallery, Google Play, an app."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, assert_never

from ...profiles.knowledge import Knowledge
from ..allowlist import Allowlist


class AllowlistWriter(Protocol):
    """Turns rules into text. What a format cannot express is said in the text, never dropped in silence."""

    def __call__(self, allowlist: Allowlist, knowledge: Knowledge) -> str:
        """The whole document, ending in a newline."""
        ...


class AllowlistFormat(StrEnum):
    """The formats; the value is what a user types."""

    YAML = "yaml"
    GALLERY = "gallery"
    PLAY = "play"
    APP = "app"

    def writer(self) -> AllowlistWriter:
        """The writer, imported only when asked for."""
        match self:
            case AllowlistFormat.YAML:
                from .own import write
            case AllowlistFormat.GALLERY:
                from .gallery import write
            case AllowlistFormat.PLAY:
                from .play import write
            case AllowlistFormat.APP:
                from .app import write
            case _:
                assert_never(self)
        return write
