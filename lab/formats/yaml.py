"""Our own YAML: every rule with its reach, its evidence and its reports; conflicts and what was left out."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml

from ...profiles.knowledge import Knowledge
from ..allowlist import Allowlist

SCHEMA = "gemmafit.allowlist/1"


def write(allowlist: Allowlist, knowledge: Knowledge) -> str:
    """The allowlist as YAML; fields that are unknown are left out."""
    data = {"schema": SCHEMA, **msgspec.to_builtins(allowlist)}
    text: str = yaml.safe_dump(_known(data), sort_keys=False, allow_unicode=True, width=110)
    return text


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _known(v) for k, v in value.items() if v is not None or k == "choice"}
    return [_known(item) for item in value] if isinstance(value, list | tuple) else value
