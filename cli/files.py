"""Writing what the user asked for, where the user asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base.files import write_text as write
from .app import FormatName
from .console import emit

__all__ = ["write", "write_report"]

if TYPE_CHECKING:
    from ..reports.report import Report


def write_report(report: Report, format: FormatName | None, output: Path | None) -> None:
    """Write a report to a file or stdout, in the named format, or the one that the file's ending means."""
    from ..reports.writers import SUFFIXES, Format

    if format is not None:
        chosen = Format(str(format))
    else:
        chosen = SUFFIXES.get(output.suffix.lower(), Format.YAML) if output is not None else Format.YAML
    text = chosen.writer()(report)
    if output is None:
        emit(text)
    else:
        write(output, text)
