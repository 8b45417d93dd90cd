"""`gemmafit schema`: the JSON Schema of the report."""

from __future__ import annotations

import json

from .app import app
from .console import emit


@app.command(short_help="Print the JSON Schema of the report.")
def schema() -> None:
    """Print the JSON Schema of the report."""
    from ..reports.schema import report_schema

    emit(json.dumps(report_schema(), indent=2))
