"""Snapshots as plain data, for programs that read `gemmafit probe --format yaml|json`."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from .snapshot import Snapshot

SCHEMA = "gemmafit.snapshot/1"


def to_dict(snapshot: Snapshot) -> dict[str, Any]:
    """The fields as declared in snapshot.py; sets are sorted lists. Null means unknown."""
    data = msgspec.to_builtins(snapshot, order="deterministic", str_keys=True)
    return {"schema": SCHEMA, **cast(dict[str, Any], data)}
