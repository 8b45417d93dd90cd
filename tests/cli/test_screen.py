"""The screen of `check` and `report`: the answer first and last, whole at any width, on any terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from gemmafit.base.names import Backend, CheckStatus, Status, Verdict
from gemmafit.base.options import Options
from gemmafit.benchmarks.measurements import Measurement
from gemmafit.cli import console, main  # noqa: F401  (main registers the commands)
from gemmafit.cli.app import app
from gemmafit.cli.render import MAX_STEPS, render
from gemmafit.judge.judge import judge
from gemmafit.judge.references import load
from gemmafit.probes.files import read_capture
from gemmafit.probes.read import read
from gemmafit.reports.report import Report

CAPTURES = sorted((Path(__file__).parents[1] / "replay/captures").glob("*.yaml"))
PHONES = pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)


@cache
def report_of(path: Path, family: str = "gemma-2b") -> Report:
    return judge(read(read_capture(path)), (), load(), Options(family=family), capture_sha256="0")


def shown(report: Report, width: int = 80, *, verbose: bool = False) -> list[str]:
    out = io.StringIO()
    render(report, Console(file=out, width=width, highlight=False), verbose)
    return out.getvalue().splitlines()


@PHONES
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_answer_is_first_and_last_and_nothing_is_cut(path: Path, width: int) -> None:
    report = report_of(path)
    lines = shown(report, width)
    best = report.recommendation or report.works_instead
    assert max(map(len, lines)) <= width
    assert len(lines) <= (24 if width >= 80 else 32)
    answer = {"pass": "✓ YES for Gemma 2B", "fail": "✗ NO for Gemma 2B"}[report.verdict]
    assert lines[0].startswith(answer) and "predicted" in lines[0]
    end, text = (" ".join(" ".join(part).split()) for part in (lines[-2:], lines))
    if best is not None:
        assert f"{answer}: ship {best.file} on {Backend(best.backend).about.title}" in end
        assert f"{best.file} on" in text.split("CPU ")[0]
    else:
        assert f"{answer}: no model file" in end and "✗ no model file" in text
    assert all(f" {backend.about.label} " in text for backend in Backend)


def test_what_is_not_known_may_well_work() -> None:
    found = replace(report_of(CAPTURES[0]), verdict=Verdict.INCONCLUSIVE, recommendation=None, fallback=())
    lines = shown(found)
    assert lines[0].startswith("? NOT KNOWN for Gemma 2B")
    assert [line for line in lines if "which model file works here is not known" in line]
    assert not [line for line in lines if "✗" in line or "no model file" in line]


def test_what_was_run_and_does_not_count_leaves_a_prediction() -> None:
    report = report_of(CAPTURES[0])
    row = Measurement(Backend.CPU, "int8", "decode", "fused", Status.OK, samples_s=(0.1, 0.1))
    assert "predicted" not in shown(replace(report, measurements=(row,)))[0]
    void = replace(report, measurements=(replace(row, valid=False),))
    assert "(predicted, what was run does not count)" in shown(void)[0]


def test_an_estimate_says_each_thing_once_and_points_to_no_option_it_lacks() -> None:
    result = CliRunner().invoke(
        app, ["estimate", "--gpu", "Adreno 740", "--ram", "8"], env={"COLUMNS": "300"}
    )
    assert result.exit_code == 0 and result.output.count("assumed: ") == 1
    assert "--verbose" not in result.output


@PHONES
@pytest.mark.parametrize("family", ["gemma-2b", "any"])
def test_each_line_names_the_check_that_decided_it(path: Path, family: str) -> None:
    report = report_of(path, family)
    checks = {check.id: check for check in report.checks}
    for name, row in report.backends.items():
        if row.status is CheckStatus.PASS:
            assert row.decided_by is None
        else:
            assert row.decided_by is not None
            decisive = checks[row.decided_by]
            assert (decisive.backend or name) == name and decisive.status is row.status


def test_the_fallback_does_not_name_what_is_shipped_and_ends_early() -> None:
    report = next(r for r in map(report_of, CAPTURES) if len(r.fallback) > MAX_STEPS)
    (line,) = [line for line in shown(report, 400) if "if that fails" in line]
    assert report.recommendation is not None and report.recommendation.variant not in line
    assert line.count(" on ") == MAX_STEPS and line.endswith("…")


def test_verbose_says_everything() -> None:
    report = report_of(CAPTURES[0])
    text = " ".join(shown(report, 400, verbose=True))
    assert all(check.because in text for check in report.checks if check.status is CheckStatus.WARN)
    assert report.summary in text and "determ." in text


def test_a_terminal_of_ascii_has_signs_of_its_own() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors=console.SPELLED, write_through=True)
    report = report_of(CAPTURES[-1])
    render(report, Console(file=stream, width=120, highlight=False))
    lines = raw.getvalue().decode("ascii").splitlines()
    assert lines[0].startswith("x NO for Gemma 2B")
    assert any(line.startswith("+ SHIP INSTEAD") for line in lines)
    assert [line for line in lines if "?" in line] == [line for line in lines if line.startswith("? Vulkan")]


def test_lines_are_whole_where_nobody_looks_at_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert console.stdout().width == console.UNWRAPPED
    monkeypatch.setenv("COLUMNS", "60")
    assert console.stdout().width == 60
