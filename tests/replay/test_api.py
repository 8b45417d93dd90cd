"""docs/api.md, the block about recordings, run as it is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import gemmafit

CAPTURES = sorted((Path(__file__).parent / "captures").glob("*.yaml"))


@pytest.mark.parametrize("path", [CAPTURES[0], CAPTURES[-1]], ids=lambda path: path.stem)
def test_the_documented_example(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    documented: Callable[[str, str], str],
) -> None:
    shutil.copy(path, tmp_path / "phone.yaml")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(documented("api.md", "tests/replay/test_api.py"), "docs/api.md", "exec"), names)
    said = capsys.readouterr().out
    report, other = names["as_asked"], names["offline"]
    assert isinstance(report, gemmafit.Report) and isinstance(other, gemmafit.Report)
    assert f"{report.name} chat {report.verdict}\n{other.name} offline-batch {other.verdict}\n" in said
    assert ("Unknown backend" in said) == (report.verdict == gemmafit.Verdict.FAIL)
    assert "gemma-2b-it-gpu-int8: 20 (12 to 35) tokens/s" in said
    assert gemmafit.read_report("report.json").checks == report.checks


def test_a_recording_as_value_and_as_file_is_judged_alike(tmp_path: Path) -> None:
    capture = gemmafit.read_capture(CAPTURES[0])
    gemmafit.write(capture, tmp_path / "again.yaml")
    assert gemmafit.read_capture(tmp_path / "again.yaml") == capture
    one, other = gemmafit.check(capture), gemmafit.check(f"replay:{tmp_path / 'again.yaml'}")
    assert (one.verdict, one.checks, one.capture) == (other.verdict, other.checks, other.capture)
