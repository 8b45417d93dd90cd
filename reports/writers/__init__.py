"""The axis "in which form the report leaves": a member of `ReportFormat` and the module of its name here."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from ...base.names import ReportFormat
from ..report import Report


class Writer(Protocol):
    """Turns a report into text. Pure; never fails on a report that could be read."""

    def __call__(self, report: Report) -> str:
        """The whole document, ending in a newline."""
        ...


def writer(format: ReportFormat) -> Writer:
    """The writer of a format, imported only when asked for."""
    return cast(Writer, import_module(f".{format}", __name__).write)
