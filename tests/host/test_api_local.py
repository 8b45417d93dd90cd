"""docs/api.md, the block about this computer, run as it is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import gemmafit


def test_the_documented_example(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    documented: Callable[[str, str], str],
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(documented("api.md", "tests/host/test_api_local.py"), "docs/api.md", "exec"), names)
    report = names["report"]
    assert isinstance(report, gemmafit.Report)
    assert capsys.readouterr().out.startswith(f"{report.verdict} - {report.summary}\n")
    assert report.target["kind"] == "local" and report.measurements
    assert {row.backend for row in report.measurements} == {"cpu"}
    assert gemmafit.read_report("report.yaml").verdict == report.verdict
