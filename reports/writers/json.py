"""JSON: the same shape as the YAML report."""

from __future__ import annotations

import msgspec

from ..report import Report
from ..report_io import to_dict


def write(report: Report) -> str:
    """The report as JSON, indented by two."""
    return msgspec.json.format(msgspec.json.encode(to_dict(report)), indent=2).decode() + "\n"
