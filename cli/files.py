"""Writing what the user asked for, where the user asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base.files import write
from ..base.names import ReportFormat
from .console import emit

__all__ = ["write", "write_report"]

if TYPE_CHECKING:
    from ..reports.report import Report


def write_report(report: Report, format: ReportFormat | None, output: Path | None) -> None:
    """Write a report to a file or stdout, in the named format, or the one that the file's ending means."""
    from ..reports.writers import writer

    deliver(
        writer(format or ReportFormat.of_file(output.suffix if output is not None else ""))(report), output
    )


def deliver(text: str, output: Path | None) -> None:
    """Write to the file that was named, or to stdout."""
    if output is None:
        emit(text)
    else:
        write(output, text)
