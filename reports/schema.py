"""The JSON Schema of the report, derived from the dataclasses that are the report."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from .report import SCHEMA, Report


def report_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `gemmafit.report/1`; additive keys are allowed, as the contract says."""
    _, components = msgspec.json.schema_components((Report,), ref_template="#/$defs/{name}")
    definitions = dict(components)
    for definition in definitions.values():
        # Releases of msgspec differ in whether they keep a docstring's indentation.
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    top = definitions.pop("Report")
    top["properties"].pop("extra")
    top["properties"] = {"schema": {"const": SCHEMA}} | {
        k: v for k, v in top["properties"].items() if k != "schema"
    }
    top["required"] = ["schema", *top["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{SCHEMA.replace('/', ':')}",
        **top,
        "$defs": definitions,
    }
