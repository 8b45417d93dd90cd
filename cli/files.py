"""Writing what the user asked for, where the user asked for it."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises UsageError saying why it cannot be written."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
