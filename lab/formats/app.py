"""A JSON table for an app, read at start-up by `docs/android/GemmaBackendChooser.kt`.

Rules in the order of matching; an app takes the first that matches, tries its choice, and goes down the
fallbacks when initialisation fails.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...profiles.knowledge import Knowledge
from ..allowlist import Allowlist, Rule

SCHEMA = "gemmafit.app-allowlist/1"


def write(allowlist: Allowlist, knowledge: Knowledge) -> str:
    """The table as JSON. Unknown conditions are left out: they match every phone."""
    data = {"schema": SCHEMA, "rules": [_rule(rule, knowledge) for rule in allowlist.rules]}
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"


def _rule(rule: Rule, knowledge: Knowledge) -> dict[str, Any]:
    match = {
        "brand": rule.brand,
        "device": rule.device,
        "socManufacturer": rule.soc_manufacturer if rule.device is None else None,
        "socModel": rule.soc_model if rule.device is None else None,
        "ramMinBytes": rule.ram_min_bytes,
        "sdkMin": rule.sdk_min,
    }
    attempts: list[dict[str, str]] = []
    if rule.choice is not None:
        steps = [(rule.choice.variant, rule.choice.backend), *rule.choice.fallback]
        attempts = [
            {"variant": variant, "file": file_of(knowledge, variant), "backend": backend}
            for variant, backend in steps
        ]
    return {
        "match": {key: value for key, value in match.items() if value is not None},
        "attempts": attempts,
        "evidence": str(rule.evidence),
        "because": rule.because,
    }


def file_of(knowledge: Knowledge, variant: str) -> str:
    """The file name of a variant; the id itself where the catalogue no longer has it."""
    model = knowledge.models.get(variant)
    return variant if model is None else model.file
