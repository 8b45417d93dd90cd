"""Every consumer of reports, and reports whose mappings note which keys are asked for.

A consumer that asks for a key that no report of the product has was written for one that a test made up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from gemmafit.base.names import AllowlistFormat, ReportFormat
from gemmafit.cli import render
from gemmafit.judge.references import load
from gemmafit.lab import allowlist, matrix, pages
from gemmafit.lab.collection import ReportSource
from gemmafit.lab.compare import compare_all
from gemmafit.lab.formats import writer as allowlist_writer
from gemmafit.lab.history import open_history
from gemmafit.reports.from_report import snapshot_of
from gemmafit.reports.pages.render import report_page
from gemmafit.reports.report import Report
from gemmafit.reports.writers import writer


@dataclass
class Notes:
    """Paths of keys that were asked for, by whether they were there with a value."""

    there: set[str] = field(default_factory=set)
    missed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    consumer: str = ""

    def note(self, path: str, value: object) -> None:
        if value is None:
            self.missed[path].add(self.consumer)
        else:
            self.there.add(path)

    def made_up(self) -> dict[str, set[str]]:
        return {path: who for path, who in self.missed.items() if path not in self.there}


class Noting(dict[str, Any]):
    """A mapping that notes what is asked of it."""

    def __init__(self, data: dict[str, Any], path: str, notes: Notes) -> None:
        super().__init__({k: noting(v, f"{path}.{k}", notes) for k, v in data.items()})
        self._path, self._notes = path, notes

    def _asked(self, key: object) -> Any:
        value = super().get(str(key))
        self._notes.note(f"{self._path}.{key}", value)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        self._asked(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self._asked(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._asked(key)
        return super().__contains__(key)


def noting(value: Any, path: str, notes: Notes) -> Any:
    """A copy of plain data that notes what is asked of it."""
    if isinstance(value, dict):
        return Noting(value, path, notes)
    if isinstance(value, list | tuple):
        return type(value)(noting(item, f"{path}[]", notes) for item in value)
    return value


def noted(report: Report, notes: Notes) -> Report:
    """The report with all its plain mappings noting."""
    plain = {f.name: getattr(report, f.name) for f in fields(report)}
    plain = {k: noting(v, k, notes) for k, v in plain.items() if isinstance(v, dict | tuple)}
    if (best := report.recommendation) is not None:
        plain["recommendation"] = replace(best, settings=noting(best.settings, "settings", notes))
    return replace(report, **plain)


def consume(reports: list[Report], folder: Path, notes: Notes) -> Iterator[str]:
    """Every consumer of reports, one after the other; yields its name before it works."""
    sources = [ReportSource(f"{number}.yaml", report) for number, report in enumerate(reports)]
    knowledge = load()
    for format in ReportFormat:
        yield f"writer {format}"
        for report in reports:
            writer(format)(report)
    yield "screen"
    for report in reports:
        render.render(report, Console(file=StringIO(), width=120))
    yield "page"
    for report in reports:
        report_page(report)
    yield "snapshot_of"
    for report in reports:
        snapshot_of(report)
    yield "compare"
    pages.comparison_page(compare_all(sources, sources), "a", "b", 0.1)
    yield "matrix"
    pages.matrix_page(matrix.build(sources, {}, []))
    for listed in AllowlistFormat:
        yield f"allowlist {listed}"
        allowlist_writer(listed)(allowlist.build(sources), knowledge)
    yield "history"
    with open_history(str(folder / "history.db")) as history:
        history.add(sources)


def made_up(reports: list[Report], folder: Path) -> tuple[set[str], dict[str, set[str]]]:
    """The keys that were read and are there in some report, and those that are in none, with who reads them."""
    notes = Notes()
    for consumer in consume([noted(report, notes) for report in reports], folder, notes):
        notes.consumer = consumer
    return notes.there, notes.made_up()
