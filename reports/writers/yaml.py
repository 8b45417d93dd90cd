"""YAML: the report's own form, in the contract's key order, readable by people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from ...base.units import rounded
from ..report import Report
from ..report_io import to_dict


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes repeated values out: an alias (`*id001`) is a riddle to a person and refused by our reader."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _number(dumper: Any, value: float) -> Any:
    # Six digits are more than any measurement here is good for; full doubles make a report unreadable.
    return yaml.SafeDumper.represent_float(dumper, rounded(value, 6))


def _sequence(dumper: Any, value: list[Any]) -> Any:
    # Rows of plain values (samples, ABIs, reason codes) stay on one line.
    flat = all(not isinstance(item, (list, dict)) for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=flat)


_Dumper.add_representer(float, _number)
_Dumper.add_representer(list, _sequence)


def write(report: Report) -> str:
    """The report as a YAML document."""
    return dump(to_dict(report))


def dump(data: Mapping[str, Any]) -> str:
    """Plain values as a YAML document, in their own order."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text
