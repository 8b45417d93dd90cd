"""What a check is about, which column it decides and how grave it is are fields, not parts of its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gemmafit.base.names import CheckStatus, Column, Evidence
from gemmafit.base.options import Options
from gemmafit.judge.case import worst
from gemmafit.judge.references import load
from gemmafit.reports.report import AGENT, BackendResult, Check, Report
from gemmafit.reports.report_io import from_dict, to_dict
from gemmafit.tests.judge.test_judge_rules import CASES, FAILED, GOOD, TAKEN, WRONG, rows
from gemmafit.tests.trees import parsed

ROOT = Path(__file__).parents[2]
MORE = {
    "ran": replace(GOOD, rows=(*rows("cpu"), *rows("opencl"), *rows("vulkan"))),
    "wrong": replace(GOOD, rows=(*rows("cpu"), *rows("opencl", deviation=WRONG))),
    "failed": replace(GOOD, rows=rows("opencl", **FAILED)),
    "busy": replace(GOOD, rows=(*rows("cpu", **TAKEN), *rows("opencl"))),
    "unsteady": replace(GOOD, rows=rows("opencl", deterministic=False)),
    "publisher": replace(CASES["memory.below-publisher"], options=Options(family="gemma-4")),
}


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {name: situation.judged() for name, situation in {**CASES, **MORE}.items()}


def test_a_check_names_its_subject_and_its_question(reports: dict[str, Report]) -> None:
    subjects: set[tuple[bool, bool, bool]] = set()
    for name, report in reports.items():
        for check in report.checks:
            subject = f"{check.variant}.{check.backend}" if check.variant else check.backend or check.runtime
            subjects.add((check.variant is not None, check.backend is not None, check.runtime is not None))
            own = f"{subject}.{check.question}"
            assert check.id == own or (subject is None and check.id in _GENERAL), (name, check)
            assert check.variant is None or check.variant in load().models
            assert check.runtime is None or check.runtime in load().runtimes
    assert subjects == {
        (True, True, False),
        (False, True, False),
        (False, False, True),
        (False, False, False),
    }


_GENERAL = {AGENT, "device.busy", "device.emulator", "device.conditions", "device.services"}
_GENERAL |= {"device.aicore", "device.pages"}


def test_the_ids_that_a_screen_shows_first_are_those_of_checks(reports: dict[str, Report]) -> None:
    ids = {check.id for report in reports.values() for check in report.checks}
    assert {AGENT, "device.busy"} <= ids


def test_gravity_is_that_of_the_row_it_rests_on(reports: dict[str, Report]) -> None:
    knowledge = load()
    rows: dict[str, int] = {reason.id: reason.gravity for reason in knowledge.reasons.values()}
    rows |= {f"known.{fault.id}": fault.gravity for fault in knowledge.drivers.values()}
    seen = {check.gravity for report in reports.values() for check in report.checks}
    assert seen == {None, 1, 2, 3}
    for report in reports.values():
        for check in report.checks:
            assert check.gravity == (None if check.reason is None else rows[check.reason]), check


def test_columns_decide_the_line_of_their_backend(reports: dict[str, Report]) -> None:
    """Each line of the sheet follows from the checks that name its column: those of the backend, and those of
    one file on it."""
    decided: set[Column] = set()
    for name, report in reports.items():
        for backend, line in report.backends.items():
            named = {c.variant for c in report.checks if c.backend == backend} - {None}
            files: list[tuple[str | None, str | None]]
            files = [(v.id, v.runtime) for v in report.variants if v.id in named] or [(None, None)]
            lines = [_line(report, backend, *file) for file in files]
            assert {column: getattr(line, column) for column in Column} in lines, (name, backend, line)
            decided |= {c.column for c in report.checks if c.backend == backend and c.column is not None}
    assert decided == set(Column)


def _line(report: Report, backend: str, file: str | None, runtime: str | None) -> dict[Column, CheckStatus]:
    own = [c for c in report.checks if c.backend == backend and c.variant in (None, file)]
    if backend == "opencl":  # whether a runtime tries the library that apps may open
        own += [c for c in report.checks if c.runtime == runtime and c.column is not None]
    found: dict[Column, CheckStatus] = {}
    for column in Column:
        answers = [c for c in own if c.column is column]
        status = worst([c.status for c in answers]) if answers else CheckStatus.SKIP
        ran = any(c.evidence is not Evidence.PREDICTED for c in answers)
        # Numbers that nobody computed are not right, only not known to be wrong.
        unproved = column is Column.CORRECT and status is CheckStatus.PASS and not ran
        found[column] = CheckStatus.SKIP if unproved else status
    return found


COLUMNS = {
    "visible": Column.VISIBLE, "capable": Column.CAPABLE, "left-alone": Column.CAPABLE, "correct": Column.CORRECT,
    "deterministic": Column.DETERMINISTIC, "decode": Column.SPEED, "first-token": Column.SPEED,
    "memory": Column.MEMORY, "publisher": Column.MEMORY, "opencl": Column.VISIBLE,
}  # fmt: skip


def test_which_question_decides_which_column(reports: dict[str, Report]) -> None:
    """Faults go by their effect; remarks, and what is asked of one weight scheme, decide none."""
    faults = load().drivers
    asked = {(c.question, c.column) for report in reports.values() for c in report.checks}
    assert {question for question, _ in asked} >= COLUMNS.keys()
    for question, column in asked:
        assert question is not None
        if question not in faults:
            assert column is COLUMNS.get(question), question
        else:
            assert column in (Column.CAPABLE, Column.CORRECT, Column.SPEED)
            assert (column is Column.SPEED) == (faults[question].effect == "slow"), question


def test_the_sheet_has_the_columns_in_their_order() -> None:
    fields = list(BackendResult.__dataclass_fields__)
    assert [name for name in fields if name in set(Column)] == list(Column)


def test_a_report_of_before_says_what_its_checks_are_about(reports: dict[str, Report]) -> None:
    """Their ids are read with the names that the report itself lists; column and gravity stay unknown."""
    new = {"question", "column", "gravity", "variant", "backend", "runtime"}
    for report in reports.values():
        data = to_dict(report)
        data["checks"] = [{k: v for k, v in check.items() if k not in new} for check in data["checks"]]
        for old, now in zip(from_dict(data).checks, report.checks, strict=True):
            assert (old.variant, old.backend, old.runtime) == (now.variant, now.backend, now.runtime)
            assert (old.column, old.gravity, old.question) == (None, None, None)
        assert from_dict(to_dict(report)).checks == report.checks


def test_a_check_may_be_about_nothing_that_is_listed() -> None:
    check = Check("a.b", CheckStatus.PASS, "device", Evidence.PREDICTED, "", "", "")
    report = replace(GOOD.judged(), checks=(check,))
    assert from_dict(to_dict(report)).checks == (check,)


WORDS = {"id", "reason", "because", "found", "required", "remedy", "summary"}
"""Fields of checks, rows and reports that are for people, or names: nothing is read out of them."""
READING = {"startswith", "endswith", "removeprefix", "removesuffix", "split", "rsplit", "partition", "rpartition",
           "find", "index", "count", "replace"}  # fmt: skip


def _readings(tree: ast.AST) -> Iterator[ast.AST]:
    """Calls of text methods on such a field, and `"word" in` it."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=method, value=ast.Attribute(attr=field))):
                if method in READING and field in WORDS:
                    yield node
            case ast.Compare(
                left=ast.Constant(), ops=[ast.In() | ast.NotIn()], comparators=[ast.Attribute(attr=field)]
            ):
                if field in WORDS:
                    yield node
            case _:
                pass


@pytest.mark.parametrize("room", ["benchmarks", "reports", "judge", "lab", "cli", "pipeline.py"])
def test_nothing_is_read_out_of_words(room: str) -> None:
    for path in sorted((ROOT / room).rglob("*.py")) if (ROOT / room).is_dir() else [ROOT / room]:
        found = [node.lineno for node in _readings(parsed(path))]  # type: ignore[attr-defined]
        assert not found, f"{path.relative_to(ROOT)}: lines {found} read a meaning out of words"


@pytest.mark.parametrize(
    "line", ['c.id.endswith(".decode")', 'c.reason.removeprefix("known.")', '"memory" in row.reason']
)
def test_reading_out_of_words_would_be_found(line: str) -> None:
    assert list(_readings(ast.parse(line)))
