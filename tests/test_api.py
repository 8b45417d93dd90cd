"""The Python API: which names there are, what importing costs, and that nothing hides one of them."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import gemmafit
from gemmafit.probes.capture import Answer, Capture

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_every_name_is_there_and_says_what_it_does() -> None:
    assert len(gemmafit.__all__) <= 14  # a dozen; a new one needs a reason
    for name in gemmafit.__all__:
        value = getattr(gemmafit, name)
        assert name == "__version__" or len(inspect.getdoc(value) or "") > 20, name
    assert set(gemmafit.__all__) <= set(dir(gemmafit))
    with pytest.raises(AttributeError, match="no_such_name"):
        gemmafit.no_such_name  # type: ignore[attr-defined]  # noqa: B018


def test_a_type_checker_sees_the_same_names() -> None:
    """It reads the imports under TYPE_CHECKING, Python the table below them."""
    tree = ast.parse((ROOT / "__init__.py").read_text("utf-8"))
    (branch,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(seen) | {"__version__"} == set(gemmafit.__all__)
    for name, module in seen.items():
        assert getattr(gemmafit, name) is getattr(importlib.import_module(f"gemmafit.{module}"), name), name


def test_no_room_or_module_hides_a_name() -> None:
    """Importing a submodule sets an attribute of the package, and would replace a function of that name."""
    there = {p.stem for p in ROOT.iterdir() if p.suffix == ".py" or any(p.glob("*.py"))}
    assert "probes" in there and not there & set(gemmafit.__all__)


def test_every_argument_is_described() -> None:
    for name in gemmafit.__all__:
        value = getattr(gemmafit, name)
        described = (inspect.getdoc(value) or "").partition("Args:")[2]
        if inspect.isfunction(value) and described:
            for argument in inspect.signature(value).parameters:
                assert argument in described, f"{name}({argument})"


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import gemmafit; print(*(set(sys.modules) - before))"
    assert run(code).split() == ["gemmafit"]
    # What a check works with stays unloaded until a check is made.
    code = "import sys, json, gemmafit; gemmafit.check, gemmafit.Report; print(json.dumps(list(sys.modules)))"
    loaded = set(json.loads(run(code)))
    assert "gemmafit.pipeline" in loaded
    assert not loaded & {"numpy", "typer", "rich", "adbutils", "pyopencl", "vulkan"}


def test_a_star_import_gives_all_names() -> None:
    names = run("from gemmafit import *; print(*[n for n in dir() if n[:1] != '_'])").split()
    assert set(names) == set(gemmafit.__all__) - {"__version__"}


def test_the_page_lists_the_names_that_there_are() -> None:
    table = (ROOT / "docs/api.md").read_text("utf-8").partition("##")[0]
    for name in gemmafit.__all__:
        assert f"`{name}" in table, name


def test_bad_arguments_are_usage_errors_before_anything_is_asked() -> None:
    nothing = Capture("assembled", {"name": "nothing"})
    for arguments in ({"backends": ["gpu"]}, {"tuning": "yes"}, {"family": "gemma-9"}, {"use": "games"}):
        with pytest.raises(gemmafit.GemmafitError) as refused:
            gemmafit.check(nothing, **arguments)
        assert refused.value.exit_code == 2 and refused.value.hint, arguments
    with pytest.raises(gemmafit.GemmafitError, match="agent"):
        gemmafit.record("local", measure=True, push=False)
    with pytest.raises(gemmafit.GemmafitError, match="Voodoo"):
        gemmafit.estimate("Voodoo 2", 8)


def test_a_capture_that_knows_nothing_is_judged_inconclusive() -> None:
    report = gemmafit.check(Capture("assembled", {"name": "nothing"}, {"uname": Answer(0, "Linux")}))
    assert report.verdict == "inconclusive"
    assert report.target["serial"] == "nothing"


def test_a_stated_phone_meets_the_known_faults() -> None:
    assert gemmafit.estimate("Mali-T820 MP1", 2).verdict == "fail"
    assert gemmafit.estimate("Adreno 740", 8).verdict != "fail"
    old, new = (gemmafit.estimate("Adreno 740", 8, android=sdk) for sdk in (19, 34))
    assert {c.id: c.status for c in old.checks} != {c.id: c.status for c in new.checks}


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    report = gemmafit.estimate("Adreno 740", 8)
    starts = {".yaml": "schema:", ".json": "{", ".md": "#", ".xml": "<?xml", ".html": "<!"}
    for ending, start in starts.items():
        gemmafit.write(report, tmp_path / f"r{ending}")
        assert (tmp_path / f"r{ending}").read_text("utf-8").startswith(start), ending
    assert gemmafit.read_report(str(tmp_path / "r.json")) == report
    assert gemmafit.read_report(tmp_path / "r.yaml").checks == report.checks
    with pytest.raises(gemmafit.GemmafitError, match="cannot write"):
        gemmafit.write(report, tmp_path / "no" / "folder.yaml")
    assert not (tmp_path / "no").exists()
