"""What the documentation says is what the program does."""

from __future__ import annotations

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

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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
