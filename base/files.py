"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from .errors import UsageError


def write_text(path: Path, text: str) -> None:
    """Write a text file whole. Raises UsageError saying why it cannot be written."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
