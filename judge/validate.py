"""Every table at once: read, typed, cross-checked. What CI and `gemmafit profiles validate` run."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from ..base.errors import UsageError
from ..judge.references import load
from ..profiles.knowledge import MAPPINGS, ROWS, Knowledge
from ..profiles.tables import Tables


def tables(overlay: Path | None = None) -> dict[str, dict[str, Any]]:
    """All rows as plain data: table -> id -> row, with `overlay` laid over the built-in ones.

    Raises InputError naming file, line and key of the first thing that is wrong.
    """
    return _tables(overlay) if overlay is not None else _built_in()


@cache
def _built_in() -> dict[str, dict[str, Any]]:
    return _tables(None)


def _tables(overlay: Path | None) -> dict[str, dict[str, Any]]:
    knowledge = load(overlay)
    found = {name: _plain(getattr(knowledge, name)) for name in ROWS}
    found |= {name: _settings(knowledge, name) for name in MAPPINGS}
    found["signatures"] = _plain(knowledge.signatures)
    return found | _identity(knowledge.tables)


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


def _settings(knowledge: Knowledge, name: str) -> dict[str, Any]:
    data = _plain(getattr(knowledge, name))
    assert isinstance(data, dict)  # the types in MAPPINGS are structs
    return data


def _identity(tables: Tables) -> dict[str, dict[str, Any]]:
    """What device names are read with: cores, SoCs, power modes and emulators by name; GPU patterns have
    none."""
    return {
        "cores": {core.name: _plain(core) for core in tables.cores.values()},
        "socs": {soc.name: _plain(soc) for soc in tables.socs},
        "powermodes": {mode.name: _plain(mode) for mode in tables.power_modes},
        "emulators": {rule.name: _plain(rule) for rule in tables.emulators},
        "gpus": {rule.pattern.pattern: _plain(rule) for rule in tables.gpus.rules},
    }


def _plain(value: Any) -> Any:
    """Builtins, without what is not set; a pattern as its text."""
    data = msgspec.to_builtins(value, enc_hook=lambda other: getattr(other, "pattern", str(other)))
    return _without_none(data)


def _without_none(data: Any) -> Any:
    if isinstance(data, dict):
        return {k: _without_none(v) for k, v in data.items() if v is not None and v not in ([], ())}
    return [_without_none(item) for item in data] if isinstance(data, list | tuple) else data
