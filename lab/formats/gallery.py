"""AI Edge Gallery's `model_allowlists` JSON: one entry a model file, for the phones of these reports.

The Gallery knows RAM and the order of accelerators and no GPU: a backend is named only when every report that
has the file runs it there. Format read in google-ai-edge/gallery: `ModelAllowlist.kt`,
`model_allowlists/1_0_17.json`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from ...base.names import Backend
from ...profiles.knowledge import Knowledge, Model
from ..allowlist import Allowlist, Rule, weakest

GIB = 2**30
FORMATS = ("litertlm", "task")
"""What it loads."""

TASKS = ("llm_chat", "llm_prompt_lab")


def write(allowlist: Allowlist, knowledge: Knowledge) -> str:
    """The JSON document. Files that the Gallery cannot fetch stand under `_gemmafit`, which it ignores."""
    models: list[dict[str, Any]] = []
    left_out: list[str] = []
    for model in knowledge.models.values():
        rules = [rule for rule in allowlist.rules if _uses(rule, model.id)]
        if not rules:
            continue
        if model.format not in FORMATS or model.revision is None or model.bytes is None:
            loaded = " and ".join(f".{format}" for format in FORMATS)
            left_out.append(f"{model.file}: the Gallery loads {loaded} files of a known revision and size")
        else:
            models.append(_entry(model, rules))
    data = {"models": models, "_gemmafit": {"leftOut": left_out}}
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"


def _entry(model: Model, rules: Iterable[Rule]) -> dict[str, Any]:
    rules = list(rules)
    ram = [rule.ram_min_bytes for rule in rules if rule.ram_min_bytes]
    evidence = weakest(rule.evidence for rule in rules)
    return {
        "name": model.id,
        "modelId": model.repository,
        "modelFile": model.file,
        "description": f"{model.file}: {evidence} for {len(rules)} kinds of phones.",
        "sizeInBytes": model.bytes,
        "minDeviceMemoryInGb": math.ceil(min(ram) / GIB) if ram else math.ceil(model.min_ram_gb or 8),
        "commitHash": model.revision,
        "defaultConfig": {
            "topK": 64,
            "topP": 0.95,
            "temperature": 1.0,
            "maxTokens": min(model.context, 4096),
            "accelerators": ",".join(accelerators(model.id, rules)),
        },
        "taskTypes": list(TASKS),
    }


def accelerators(variant: str, rules: Iterable[Rule]) -> list[str]:
    """Backends on which every one of the rules runs the file; the order of the first rule, GPU before CPU."""
    per_rule = [[backend for v, backend in _steps(rule) if v == variant] for rule in rules]
    shared = [backend for backend in per_rule[0] if all(backend in other for other in per_rule)]
    known = [backend.about.engine for name in shared if (backend := Backend.of(name)) is not None]
    return list(dict.fromkeys(name for name in known if name is not None)) or [Backend.CPU.about.processor]


def _steps(rule: Rule) -> list[tuple[str, str]]:
    choice = rule.choice
    return [] if choice is None else [(choice.variant, choice.backend), *choice.fallback]


def _uses(rule: Rule, variant: str) -> bool:
    return any(step[0] == variant for step in _steps(rule))
