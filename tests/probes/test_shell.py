"""The lines that all scripts on a phone share, in the shells of this machine and with tools that misbehave."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gemmafit.probes import batch, shell
from gemmafit.probes.capture import Answer
from gemmafit.probes.target import Command

SHELLS = ("mksh", "dash", "bash")
# As toybox 0.8.3 and 0.8.4 have it (Android 11 and 12): it forks, and the parent ends at once with 0.
FORKING = '#!/bin/sh\n"$@" &\nexit 0\n'
ALWAYS = ("sh", "cat", "sleep", "head", "dd", "setsid")

Run = Callable[..., str]


@pytest.fixture(params=SHELLS)
def sh(request: pytest.FixtureRequest) -> str:
    found = shutil.which(str(request.param))
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    return found


@pytest.fixture
def tools(sh: str, tmp_path: Path) -> Callable[..., Path]:
    """A folder with nothing but the shell as `sh` and a few programs: without=names, setsid=its text."""

    def make(without: tuple[str, ...] = (), setsid: str | None = None) -> Path:
        for name in ALWAYS:
            path = shutil.which(name)
            if name not in without and path is not None:
                (tmp_path / name).symlink_to(sh if name == "sh" else path)
        if setsid is not None:
            (tmp_path / "setsid").unlink()
            (tmp_path / "setsid").write_text(setsid)
            (tmp_path / "setsid").chmod(0o755)
        return tmp_path

    return make


def run(sh: str, path: Path, script: str) -> bytes:
    return subprocess.run(
        [sh, "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": str(path)},
        start_new_session=True,
        timeout=60,
        check=False,
    ).stdout


def groups(sh: str, path: Path) -> str:
    return run(sh, path, shell.GROUPS + 'echo "$own_groups"').decode().strip()


def test_a_way_to_process_groups_is_chosen_by_what_it_does(sh: str, tools: Callable[..., Path]) -> None:
    # dash has job control on a terminal only.
    expected = "setsid" if sh.endswith("dash") else "job control"
    assert groups(sh, tools()) == expected


def test_a_setsid_that_forks_is_no_setsid(sh: str, tools: Callable[..., Path]) -> None:
    path = tools(setsid=FORKING)
    assert run(sh, path, "setsid sh -c 'sleep 1; exit 7' & wait $!; echo $?") == b"0\n"  # as on the phone
    assert groups(sh, path) == ("none" if sh.endswith("dash") else "job control")


@pytest.mark.parametrize("case", ["plain", "forking setsid", "no setsid"])
def test_exit_statuses_are_the_commands_own(sh: str, tools: Callable[..., Path], case: str) -> None:
    path = tools(
        without=("setsid",) if case == "no setsid" else (),
        setsid=FORKING if case == "forking setsid" else None,
    )
    commands = {"7": "sh -c 'exit 7'", "0": "sh -c :", "139": "sh -c 'kill -11 $$'", "127": "no-such-command"}
    for status, command in commands.items():
        start = time.monotonic()
        said = run(sh, path, f"{shell.GROUPS}limited 30 {command} </dev/null 5>/dev/null\necho $e")
        assert said.decode().split() == [status], command
        assert time.monotonic() - start < 15  # not the whole deadline


def test_a_deadline_ends_a_command_with_its_children(sh: str, tools: Callable[..., Path]) -> None:
    long = f"sleep {4000 + os.getpid()}"  # nobody else's
    script = f"{shell.GROUPS}limited 1 sh -c '{long} & {long}; echo no' 5>&1\necho $e"
    assert run(sh, tools(), script).decode().split() == ["late", "137"]
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert long not in listing


def test_without_sleep_nothing_is_killed(sh: str, tools: Callable[..., Path]) -> None:
    script = f"{shell.GROUPS}limited 1 sh -c 'exit 3' 5>&1\necho $e"
    assert run(sh, tools(without=("sleep",)), script).decode().split() == ["3"]


CUTS: list[tuple[tuple[str, ...], str]] = [((), "head"), (("head",), "dd"), (("head", "dd"), "nothing")]


@pytest.mark.parametrize(("without", "by"), CUTS, ids=[by for _, by in CUTS])
def test_questions_are_answered_whatever_is_missing(
    sh: str, tools: Callable[..., Path], without: tuple[str, ...], by: str
) -> None:
    one = batch.batches(
        [
            Command("word", "echo hello; exit 4"),
            Command("missing", "no-such-command"),
            Command("long", "i=0; while [ $i -lt 100 ]; do echo 123456789; i=$((i+1)); done", max_bytes=50),
            Command("late", "echo first; sleep 4322", deadline=1),
            Command("after", "echo there"),
        ]
    )[0]
    answers = batch.read(one, run(sh, tools(without=without), one.script)).answers
    assert answers["word"] == Answer(4, "hello\n")
    assert answers["missing"].exit == 127
    assert answers["long"].out == "123456789\n" * 5 and answers["long"].cut > 0
    assert (answers["late"].out, answers["late"].timed_out) == ("first\n", True)
    assert answers["after"] == Answer(0, "there\n")
