"""Whatever a consumer reads from a report is written by the product itself, from real input.

Every consumer (writers, screens, pages, lab, allowlists, explain) works on reports whose mappings note which keys
are asked for. The reports are judged from recordings: phones, and a computer with what the block did on it. A
consumer that asks for a key that none of them has was written for a report that a test made up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gemmafit.base.errors import TransportError
from gemmafit.base.events import Listener, ignore
from gemmafit.base.names import AllowlistFormat, ReportFormat
from gemmafit.cli import render
from gemmafit.judge.references import load
from gemmafit.lab import allowlist, matrix, pages
from gemmafit.lab.collection import Source
from gemmafit.lab.compare import compare_all
from gemmafit.lab.formats import writer as allowlist_writer
from gemmafit.lab.history import open_history
from gemmafit.pipeline import Request, examine
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.files import dump_capture
from gemmafit.probes.replay import ReplayTarget
from gemmafit.probes.target import Command
from gemmafit.reports.from_report import snapshot_of
from gemmafit.reports.pages.render import report_page
from gemmafit.reports.report import Report
from gemmafit.reports.writers import writer

HERE = Path(__file__).parent
MEASURED = HERE / "measured"
"""Recordings of `gemmafit record --measure` and of `gemmafit check --record`."""


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


class Lost(ReplayTarget):
    """A phone that goes away while it is asked."""

    kind = "adb"

    def ask(self, commands: Sequence[Command], on_event: Listener = ignore) -> dict[str, Answer]:
        raise TransportError("the cable was pulled", serial=self.serial)


@pytest.fixture(scope="module")
def reports(golden: list[Source], tmp_path_factory: pytest.TempPathFactory) -> list[Report]:
    """Phones, a computer that was measured, a phone that was lost, one of which nothing and one of which only an
    unknown GPU is known: what a consumer reads only where something else is missing is read as well."""
    nothing, unknown = (
        tmp_path_factory.mktemp("captures") / f"{name}.yaml" for name in ("nothing", "unknown")
    )
    nothing.write_text(dump_capture(Capture("assembled", {})))
    gles = Answer(0, "GLES: Maker, Unheard-of 9000, OpenGL ES 3.2 v1\n")
    unknown.write_text(dump_capture(Capture("assembled", {}, {"surfaceflinger": gles})))
    measured = [ReplayTarget(path) for path in sorted(MEASURED.glob("*.yaml"))]
    others = [ReplayTarget(nothing), ReplayTarget(unknown), Lost(nothing)]
    found = [examine(target, Request()).report for target in (*measured, *others)]
    assert found[0].measurements and found[-1].incomplete
    return [*(source.report for source in golden), *found]


def consume(reports: list[Report], folder: Path, notes: Notes) -> Iterator[str]:
    """Every consumer of reports, one after the other; yields its name before it works."""
    sources = [Source(f"{number}.yaml", report) for number, report in enumerate(reports)]
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


def test_nobody_reads_a_key_that_the_product_never_writes(reports: list[Report], tmp_path: Path) -> None:
    notes = Notes()
    for consumer in consume([noted(report, notes) for report in reports], tmp_path, notes):
        notes.consumer = consumer
    assert notes.there >= {"device.brand", "device.soc.build_model", "device.gpu.renderer"}
    assert notes.there >= {"extra.incomplete", "measurements[].deviation"}
    assert notes.made_up() == {}


def test_a_key_that_no_report_has_is_found(reports: list[Report]) -> None:
    """The check itself fails where a consumer reads what nobody writes."""
    notes = Notes()
    report = noted(reports[0], notes)
    assert report.device.get("brand") and not report.device.get("brnad")
    assert list(notes.made_up()) == ["device.brnad"]
