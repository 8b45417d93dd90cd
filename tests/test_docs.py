"""What the documentation says is what the program does."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from gemmafit.cli.app import app
from gemmafit.cli.main import COMMANDS
from gemmafit.probes.commands import commands as questions
from gemmafit.tests.trees import parsed

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if not {"tests", "build", ".venv"} & set(path.relative_to(ROOT).parts) and path.name != "setup.py"
]


def test_generated_parts_are_current() -> None:
    run = subprocess.run(
        [sys.executable, str(ROOT / ".ci/docs.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_readme_names_only_commands_and_options_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    names = dict(commands())
    for line in re.findall(r"gemmafit ([a-z][^\n#&|]*)", shell):
        words = line.split()
        command = " ".join(words[:2]) if " ".join(words[:2]) in names else words[0]
        assert command in names, line
        for option in re.findall(r"(?<!\S)(--[a-z-]+|-[a-zA-Z])\b", line):
            assert option in names[command], f"{option} in {line!r}"


def commands() -> Iterator[tuple[str, set[str]]]:
    """Every command by its full name, with its options."""
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for inner, nested in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", {option for p in nested.params for option in p.opts}
        yield name, {option for p in command.params for option in p.opts}


def test_every_command_is_registered_and_says_what_it_does() -> None:
    found = {name.split()[0] for name, _ in commands()}
    assert found == set(COMMANDS)
    for name, _ in commands():
        shown = CliRunner().invoke(app, [*name.split(), "--help"])
        assert shown.exit_code == 0, name
        assert len(shown.output.splitlines()[2].strip()) > 10, name


def test_the_list_of_commands_is_not_cut() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert "..." not in shown.output.partition("Commands:")[2]


NAMES = {path.name for path in ROOT.rglob("*.*")}
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[:1] != "."}
ENDINGS = "py|pyi|md|yaml|csv|json|toml|c|h|cl|comp|glsl|kt|syms"
FILE = re.compile(rf"(?<![\w./*-])((?:[\w.*-]+/)+[\w.*-]+\.(?:{ENDINGS}))(?![\w/])")
FOLDER = re.compile(r"`((?:[\w-]+/)+[\w-]*)`")
BARE = re.compile(r"`([\w-]+\.(?:py|c|h|cl|comp|glsl))`")
"""A file without its folder: somewhere in the tree there has to be one of that name."""
NAME = re.compile(r"`((?:\w+\.)+\w+)`")


def prose(page: Path) -> str:
    """A page without its blocks of code, which show other people's files."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def missing(text: str, place: Path, *, ours_only: bool) -> Iterator[str]:
    """The files and folders that a text names and that are not there, from the root or beside `place`.

    ours_only: of paths, only those that start with a folder of ours: code also speaks of other projects' files.
    """
    for path in (*FILE.findall(text), *FOLDER.findall(text)):
        if ours_only and path.split("/")[0] not in FOLDERS:
            continue
        if not any(ROOT.glob(path)) and not any(place.parent.glob(path)):
            yield path
    yield from (name for name in BARE.findall(text) if name not in NAMES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    assert not [*missing(prose(page), page, ours_only=page.name == "CHANGELOG.md")]


def test_every_path_and_name_that_code_speaks_of_exists() -> None:
    wrong = []
    known = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in SOURCES
    }
    for source in SOURCES:
        text = source.read_text("utf-8")
        wrong += [f"{source.relative_to(ROOT)}: {path}" for path in missing(text, source, ours_only=True)]
        for name in NAME.findall(text):
            parts = name.removeprefix("gemmafit.").split(".")
            if parts[0] not in FOLDERS or parts[-1] in ENDINGS.split("|"):
                continue
            module = next(
                (".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in known), ""
            )
            rest = parts[module.count(".") + 1 :] if module else parts
            if rest and not (module and re.search(rf"\b{rest[0]}\b", known[module].read_text("utf-8"))):
                wrong.append(f"{source.relative_to(ROOT)}: {name}")
    assert not wrong, wrong


def variables(tree: ast.Module) -> Iterator[str]:
    """Names that a module looks up in an environment: by a literal, a constant of its own or a loop over literals."""
    constants: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.For):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = node.value if isinstance(node, ast.Assign) else node.iter
            texts = [
                n.value for n in ast.walk(value) if isinstance(n, ast.Constant) and isinstance(n.value, str)
            ]
            constants |= {target.id: texts for target in targets if isinstance(target, ast.Name)}
    keys: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and is_environment(node.value):
            keys.append(node.slice)
        elif isinstance(node, ast.Call):
            keys += [word.value for word in node.keywords if word.arg == "envvar"]
            asked = node.func.value if isinstance(node.func, ast.Attribute) else None
            if asked is not None and (is_environment(asked) or ast.unparse(node.func) == "os.getenv"):
                keys += node.args[:1]
    for key in keys:
        if isinstance(key, ast.Constant):
            yield str(key.value)
        elif isinstance(key, ast.Name):
            yield from constants.get(key.id, ())


def is_environment(node: ast.expr) -> bool:
    return ast.unparse(node).split(".")[-1] in ("environ", "environment", "env")


def read_variables() -> set[str]:
    """Environment variables that the code reads or sets: Python's and the agent's."""
    modules = [p for p in SOURCES if p.relative_to(ROOT).parts[0] not in ("tools", ".ci")]
    found = {name for path in modules for name in variables(parsed(path))}
    for source in (ROOT / "agent/src").rglob("*.[ch]"):
        found |= set(re.findall(r'getenv\("(\w+)"', source.read_text("utf-8")))
    return found


def test_every_environment_variable_is_documented() -> None:
    ours = (ROOT / "docs/environment.md").read_text("utf-8").partition("## What others")[0]
    rows = re.findall(r"^\| (`.*?`) \|", ours, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert documented == read_variables()


def test_variables_of_others_are_not_read_here() -> None:
    others = (ROOT / "docs/environment.md").read_text("utf-8").partition("## What others")[2]
    names = set(re.findall(r"`(_?[A-Z][A-Z0-9_]+)`", others))
    assert len(names) > 5 and not names & read_variables()


def test_every_question_to_a_phone_is_described() -> None:
    page = (ROOT / "docs/captures.md").read_text("utf-8")
    assert not [command.key for command in questions("com.example.app") if f"`{command.key}`" not in page]
