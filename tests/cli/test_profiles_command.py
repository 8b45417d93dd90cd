"""`gemmafit profiles`: what a person sees of the knowledge base, and what a wrong folder costs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from gemmafit.base.errors import InputError, UsageError
from gemmafit.cli import profiles  # noqa: F401  (registers the commands)
from gemmafit.cli.app import app
from gemmafit.judge.validate import tables


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["profiles", *words])


def test_list_names_every_table_with_its_rows() -> None:
    lines = run("list").output.splitlines()
    assert {line.split()[0]: int(line.split()[1]) for line in lines} == {
        k: len(v) for k, v in tables().items()
    }


def test_list_shows_why_a_row_is_there() -> None:
    assert "Unknown backend" in run("list", "drivers").output
    assert isinstance(run("list", "nothing").exception, UsageError)


def test_show_prints_one_row_with_reason_and_source() -> None:
    row = yaml.safe_load(run("show", "drivers", "angle-opencl").output)
    assert row["id"] == "angle-opencl"
    assert row["because"] and row["source"] and row["remedy"]
    assert row["when"]["all"][0] == {"fact": "backend", "is": "opencl"}
    wrong = run("show", "models", "gemma-2b")
    assert isinstance(wrong.exception, UsageError)
    assert "gemma-2b-it-gpu-int8" in str(wrong.exception.hint)


def test_validate_accepts_what_is_built_in_and_names_what_is_wrong(tmp_path: Path) -> None:
    assert run("validate").output.startswith("ok: ")
    assert run("validate", str(tmp_path)).output == run("validate").output
    (tmp_path / "drivers.yaml").write_text(
        "- id: mine\n  effect: slow\n  severity: warn\n  when: {fact: gpu.modell, is: x}\n"
        "  remedy: r\n  because: b\n  source: s\n",
        encoding="utf-8",
    )
    wrong = run("validate", str(tmp_path))
    assert isinstance(wrong.exception, InputError)
    assert "'mine' asks for 'gpu.modell', which is no fact" in str(wrong.exception)
    assert wrong.exception.exit_code == 2


def test_rows_of_a_folder_are_listed(tmp_path: Path) -> None:
    (tmp_path / "drivers.yaml").write_text(
        "- {id: mine, effect: slow, severity: warn, when: {fact: gpu.model, is: Adreno 740},\n"
        "   remedy: r, because: my reason, source: s}\n",
        encoding="utf-8",
    )
    assert "my reason" in run("list", "drivers", "--profiles", str(tmp_path)).output


@pytest.mark.parametrize("table", sorted(tables()))
def test_every_row_of_every_table_can_be_shown(table: str) -> None:
    for id in list(tables()[table])[:3]:
        assert run("show", table, id).exit_code == 0
