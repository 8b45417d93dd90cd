"""Writing what the user asked for, where the user asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import UsageError
from ..base.names import ReportFormat
from .console import emit

if TYPE_CHECKING:
    from ..reports.report import Report


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises UsageError saying why it cannot be written."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


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
