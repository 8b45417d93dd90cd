"""Reports from files and folders, and what identifies the phone in each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import InputError
from ..reports.report import Report
from ..reports.report_io import load

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class ReportSource:
    """A report and where it came from."""

    path: str
    report: Report


@dataclass(frozen=True)
class Unreadable:
    """A file that is no report, with the reason: listed, never dropped in silence."""

    path: str
    reason: str


def expand(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as they are; folders as the YAML and JSON files below them, in a stable order.

    Raises InputError for a path that does not exist.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
        elif path.exists():
            yield path
        else:
            raise InputError(f"{path}: no such file or folder")


def read_all(paths: Iterable[Path]) -> tuple[list[ReportSource], list[Unreadable]]:
    """Load every report below `paths`. Files that are not reports come back with their reason."""
    sources: list[ReportSource] = []
    unreadable: list[Unreadable] = []
    for path in expand(paths):
        try:
            sources.append(ReportSource(str(path), load(path)))
        except InputError as error:
            unreadable.append(Unreadable(str(path), str(error)))
    return sources, unreadable


def text(device: Mapping[str, Any], *keys: str) -> str | None:
    """A nested field of a report's device block as text, or None where it is unknown."""
    value: Any = device
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value is None else str(value)


def phone(report: Report) -> str:
    """What pairs two reports of the same phone: the serial, else maker, model and device name.

    The target kind keeps `local` and a phone of the same name apart.
    """
    kind, serial = report.target.get("kind", ""), report.target.get("serial", "")
    if serial:
        return f"{kind}:{serial}"
    return ":".join((kind, *(text(report.device, key) or "?" for key in ("manufacturer", "model", "device"))))


def newest(sources: Iterable[ReportSource]) -> dict[str, Report]:
    """Of several reports of one phone the newest; by what pairs them."""
    found: dict[str, Report] = {}
    for source in sources:
        key = phone(source.report)
        if key not in found or source.report.created > found[key].created:
            found[key] = source.report
    return found
