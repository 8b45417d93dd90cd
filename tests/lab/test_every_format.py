"""Every report format, every way out: one phone, all phones, a report of before, a lab's folder, a history."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from typer.testing import CliRunner

from gemmafit.base.names import ReportFormat
from gemmafit.cli import main
from gemmafit.cli.app import app
from gemmafit.lab.inventory import READY, Inventory
from gemmafit.lab.inventory import Phone as LabPhone
from gemmafit.lab.pool import ThreadPool
from gemmafit.lab.run import LabRun, execute, make_plan
from gemmafit.reports.report_io import load

assert main.COMMANDS, "importing it registers the commands"
CAPTURES = Path(__file__).parents[1] / "replay" / "captures"
PASSES, FAILS = CAPTURES / "galaxy-s10e-mali-g76.yaml", CAPTURES / "mali-t820-64bit-3gb.yaml"


def parse(format: ReportFormat, text: str) -> None:
    """Fails on a text that is not whole in its format."""
    match format:
        case ReportFormat.YAML:
            assert yaml.safe_load(text)["schema"] == "gemmafit.report/1"
        case ReportFormat.JSON:
            assert json.loads(text)["schema"] == "gemmafit.report/1"
        case ReportFormat.MARKDOWN:
            assert text.startswith("# gemmafit: ")
        case ReportFormat.JUNIT:
            assert ET.fromstring(text).get("tests")
        case ReportFormat.GITHUB:
            assert all(re.match("::(error|warning|notice) title=", line) for line in text.splitlines())
        case _:
            raise AssertionError(f"say here what a whole text of the format {format} is")


@pytest.fixture
def phones(monkeypatch: pytest.MonkeyPatch) -> list[LabPhone]:
    """Recordings in the place of what adb lists; everything behind the listing is the real thing."""
    found = [LabPhone(None, f"replay:{path}", READY) for path in (PASSES, FAILS)]
    monkeypatch.setattr(ThreadPool, "discover", lambda self, inventory: found)
    return found


@pytest.mark.parametrize("format", ReportFormat)
def test_one_phone_to_stdout_and_to_a_file(format: ReportFormat, tmp_path: Path) -> None:
    target = f"replay:{PASSES}"
    ran = CliRunner().invoke(app, ["check", target, "-q", "-f", format])
    assert ran.exit_code == 0, ran.output
    parse(format, ran.stdout)
    named, told = tmp_path / f"r{format.ending}", tmp_path / "r"
    assert CliRunner().invoke(app, ["check", target, "-q", "-o", str(named)]).exit_code == 0
    assert CliRunner().invoke(app, ["check", target, "-q", "-o", str(told), "-f", format]).exit_code == 0
    parse(format, named.read_text())
    parse(format, told.read_text())


@pytest.mark.parametrize("format", ReportFormat)
def test_all_phones(format: ReportFormat, phones: list[LabPhone], tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["check", "--all", "-f", format, "-o", str(tmp_path / "out")])
    assert ran.exit_code == 1, ran.output  # one of the two fails
    written = sorted((tmp_path / "out").iterdir())
    assert [path.suffix for path in written] == [format.ending] * 2
    for path in written:
        parse(format, path.read_text())


def test_all_phones_without_a_format_and_strict(phones: list[LabPhone], tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["check", "--all", "--strict", "-o", str(tmp_path)])
    assert ran.exit_code == 1
    assert sorted(str(load(path).verdict) for path in tmp_path.iterdir()) == ["fail", "pass"]


@pytest.mark.parametrize("format", ReportFormat)
def test_a_report_of_before(format: ReportFormat, tmp_path: Path) -> None:
    saved, output = tmp_path / "saved.yaml", tmp_path / f"again{format.ending}"
    assert CliRunner().invoke(app, ["check", f"replay:{FAILS}", "-q", "-o", str(saved)]).exit_code == 1
    shown = CliRunner().invoke(app, ["report", str(saved), "-f", format])
    assert shown.exit_code == 0
    parse(format, shown.stdout)
    assert CliRunner().invoke(app, ["report", str(saved), "-o", str(output)]).exit_code == 0
    assert output.read_text() == shown.stdout


def test_a_labs_folder_and_a_history(phones: list[LabPhone], tmp_path: Path) -> None:
    run = LabRun(tmp_path / "run")
    plan = make_plan(Inventory(), ThreadPool(2).discover(Inventory()))
    run.start(plan)
    execute(run, plan.jobs, ThreadPool(2), lambda row: None)
    assert [row.report is not None for row in run.rows()] == [True, True]
    assert CliRunner().invoke(app, ["lab", "show", str(run.folder)]).exit_code == 0
    shown = CliRunner().invoke(app, ["lab", "show", str(run.folder), "-f", "markdown"])
    assert shown.exit_code == 0 and shown.stdout.startswith("# gemmafit: ")
    history = ["--history", str(tmp_path / "h.db")]
    assert CliRunner().invoke(app, ["history", "add", str(run.folder), *history]).exit_code == 0
    kept = CliRunner().invoke(app, ["history", "show", "1", *history])
    assert kept.exit_code == 0
    parse(ReportFormat.YAML, kept.stdout)
