"""The axis "in which form the report leaves": one writer a module, chosen by name."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, assert_never

from ..report import Report


class Writer(Protocol):
    """Turns a report into text. Pure; never fails on a report that could be read."""

    def __call__(self, report: Report) -> str:
        """The whole document, ending in a newline."""
        ...


class Format(StrEnum):
    """The formats a report can be written in; the value is what a user types."""

    YAML = "yaml"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    GITHUB = "github"

    def writer(self) -> Writer:
        """The writer, imported only when asked for."""
        match self:
            case Format.YAML:
                from .yaml import write
            case Format.JSON:
                from .json import write
            case Format.MARKDOWN:
                from .markdown import write
            case Format.JUNIT:
                from .junit import write
            case Format.GITHUB:
                from .github import write
            case _:
                assert_never(self)
        return write


SUFFIXES = {
    ".yaml": Format.YAML,
    ".yml": Format.YAML,
    ".json": Format.JSON,
    ".md": Format.MARKDOWN,
    ".xml": Format.JUNIT,
}
"""File name ending -> format, used when no format is named."""
