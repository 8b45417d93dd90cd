"""Every table at once: read, typed, cross-checked. What CI and `gemmafit profiles validate` run."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from ..base.errors import UsageError
from ..judge.references import checked
from ..profiles.loader import listing


def tables(overlay: Path | None = None) -> dict[str, dict[str, Any]]:
    """All rows as plain data: table -> id -> row, with `overlay` laid over the built-in ones.

    Raises InputError naming file, line and key of the first thing that is wrong.
    """
    return _tables(overlay) if overlay is not None else _built_in()


@cache
def _built_in() -> dict[str, dict[str, Any]]:
    return _tables(None)


def _tables(overlay: Path | None) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _plain(listing(checked(overlay)))
    return found


def row(overlay: Path | None, table: str, id: str) -> dict[str, Any]:
    """One row. Raises UsageError naming what there is."""
    everything = tables(overlay)
    if table not in everything:
        raise UsageError(f"no table {table!r}", hint=f"Tables: {', '.join(everything)}.")
    if id not in everything[table]:
        alike = [key for key in everything[table] if id.casefold() in key.casefold()]
        hint = f"Perhaps {', '.join(alike[:5])}." if alike else f"See: gemmafit profiles list {table}"
        raise UsageError(f"no row {id!r} in {table}", hint=hint)
    found = everything[table][id]
    return found if isinstance(found, dict) else {"value": found}


def _plain(value: Any) -> Any:
    """Builtins, without what is not set; a pattern as its text."""
    data = msgspec.to_builtins(value, enc_hook=lambda other: getattr(other, "pattern", str(other)))
    return _without_none(data)


def _without_none(data: Any) -> Any:
    if isinstance(data, dict):
        return {k: _without_none(v) for k, v in data.items() if v is not None and v not in ([], ())}
    return [_without_none(item) for item in data] if isinstance(data, list | tuple) else data
