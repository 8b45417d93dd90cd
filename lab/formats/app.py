"""A JSON table for an app, read at start-up by `docs/android/GemmaBackendChooser.kt`.

Rules in the order of matching; an app takes the first that matches, tries its choice, and goes down the
fallbacks when initialisation fails.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...profiles.knowledge import Knowledge
from ..allowlist import Allowlist, Coverage, Rule

SCHEMA = "gemmafit.app-allowlist/1"


def write(allowlist: Allowlist, knowledge: Knowledge) -> str:
    """The table as JSON. Unknown conditions are left out: they match every phone; a rule about a SoC of which
    `android.os.Build` says nothing would match all, and is left out whole."""
    told = [rule for rule in allowlist.rules if rule.coverage is Coverage.DEVICE or rule.build_soc]
    data = {"schema": SCHEMA, "rules": [_rule(rule, knowledge) for rule in told]}
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"


def _rule(rule: Rule, knowledge: Knowledge) -> dict[str, Any]:
    maker, model = (rule.coverage is Coverage.SOC and rule.build_soc) or (None, None)
    match = {
        "brand": rule.brand,
        "device": rule.device,
        "socManufacturer": maker,
        "socModel": model,
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
