"""The public cases (shared/cases beside the checkout): each is run as its folder says, and its answer held
against cases.yaml. `pytest tests/judge/test_cases.py -s` prints how many are right, by kind."""

from __future__ import annotations

import re
import shlex
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from gemmafit.base.errors import GemmafitError
from gemmafit.cli import main  # noqa: F401  (registers the commands)
from gemmafit.cli.app import app

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
ROWS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text("utf-8"))
KINDS = {"a": "explain a text", "b": "judge a phone", "c": "look into a file", "d": "answer a question"}
OUTCOMES = ("right", "partly", "wrong", "unknown")
FOUND: dict[str, str] = {}
"""Case -> outcome, of those that ran in this process."""


@pytest.fixture(scope="module")
def index() -> dict[str, dict[str, Any]]:
    if not CASES.is_dir():
        pytest.skip(f"the public cases are not beside this checkout ({CASES})")
    listed = yaml.safe_load((CASES / "INDEX.yaml").read_text("utf-8"))["cases"]
    return {row["case"]: row for row in listed}


def answer(case: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, dict[str, Any]]:
    """Exit status, output in one line, and the report where one was written."""
    shutil.copytree(CASES / case, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "400")
    program, *words = shlex.split((folder / "cmd").read_text("utf-8"))
    assert program == "gemmafit"
    result = CliRunner().invoke(app, words)
    status, said = result.exit_code, result.output
    if isinstance(result.exception, GemmafitError):
        status, said = int(result.exception.exit_code), f"{said} {result.exception} {result.exception.hint}"
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    written = folder / "report.yaml"
    report = yaml.safe_load(written.read_text("utf-8")) if written.exists() else {}
    return status, " ".join(said.split()), report


def missing(row: dict[str, Any], status: int, said: str, report: dict[str, Any]) -> list[str]:
    """What the answer lacks, or has and should not."""
    found = {f"{v['id']} {v['backend']}": [v["status"], *v["reasons"]] for v in report.get("variants", ())}
    codes = " ".join(code for reasons in found.values() for code in reasons)
    text = f"{said} {report.get('summary', '')} {codes}"
    lacks = [f"exit {row.get('exit', 0)}, not {status}"] if status != row.get("exit", 0) else []
    lacks += [f"says {pattern!r}" for pattern in row.get("says", ()) if not re.search(pattern, text)]
    lacks += [f"does not say {pattern!r}" for pattern in row.get("never", ()) if re.search(pattern, text)]
    if (wanted := row.get("ships")) is not None:
        chosen = report.get("recommendation") or {}
        if wanted not in (chosen.get("backend"), f"{chosen.get('variant')} {chosen.get('backend')}"):
            lacks.append(f"ships {wanted}, not {chosen.get('variant')} on {chosen.get('backend')}")
    for file, words in row.get("files", {}).items():
        verdict, *reasons = words.split()
        stated = found.get(file, ["nothing"])
        if stated[0] != verdict or not set(reasons) <= set(stated):
            lacks.append(f"{file}: {words}, not {' '.join(stated)}")
    return lacks


def judged(row: dict[str, Any], status: int, said: str, report: dict[str, Any]) -> tuple[str, list[str]]:
    """The outcome, and why it is not right."""
    if lacks := missing(row, status, said, report):
        nothing = "No known failure is recognised" in said or report.get("verdict") == "inconclusive"
        return "unknown" if nothing else "wrong", lacks
    more = missing({"exit": status, "says": row.get("also", ())}, status, said, report)
    return ("partly", more) if more else ("right", [])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["case"])
def test_a_case_is_answered(
    row: dict[str, Any], index: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert row["case"] in index
    outcome, why = judged(row, *answer(row["case"], tmp_path / "case", monkeypatch))
    FOUND[row["case"]] = outcome
    assert outcome == ("partly" if "also" in row else "right"), why
    assert ("also" in row) == ("gap" in row), "a gap has its reason, and nothing else has one"


def test_every_case_has_its_row(index: dict[str, Any]) -> None:
    """And nearly all of them are wholly right."""
    assert sorted(row["case"] for row in ROWS) == sorted(index)
    assert sum("also" not in row for row in ROWS) >= 70


def test_the_table_of_outcomes(index: dict[str, Any]) -> None:
    """Prints it; with -s it is seen. Of what ran before it in this process."""
    counted = Counter((index[case]["kind"], outcome) for case, outcome in FOUND.items())
    print(f"\n{'':20}" + "".join(f"{outcome:>9}" for outcome in OUTCOMES))
    for kind, title in KINDS.items():
        print(f"{title:20}" + "".join(f"{counted[kind, outcome]:>9}" for outcome in OUTCOMES))
    print(f"{'all':20}" + "".join(f"{sum(v == o for v in FOUND.values()):>9}" for o in OUTCOMES))
    assert set(FOUND.values()) <= set(OUTCOMES)
