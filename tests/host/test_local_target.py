"""This computer as a target: questions, runs, and what is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from gemmafit.base.errors import AgentError
from gemmafit.base.events import Event
from gemmafit.probes.local import LocalTarget
from gemmafit.probes.target import Command

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX sh")


@pytest.fixture
def shell_target() -> LocalTarget:
    """A target whose agent is this computer's sh: `run` then takes any script."""
    sh = shutil.which("sh")
    assert sh is not None
    return LocalTarget(interpreter="agent", agent=lambda abi: Path(sh))


def directories() -> set[str]:
    return {p.name for p in Path(tempfile.gettempdir()).glob("gemmafit-*")}


def test_answers_of_this_computer_and_of_commands_it_lacks() -> None:
    answers = LocalTarget().ask(
        [
            Command("uname", "uname -s"),
            Command("getprop", "no-such-getprop-here"),
            Command("hang", "echo so far; sleep 60", deadline=1),
            Command("flood", "yes flood", max_bytes=1000),
            Command("bytes", r"printf 'a\0\377\r\nb'"),
        ]
    )
    assert answers["uname"].exit == 0
    assert answers["uname"].out.strip() in ("Linux", "Darwin")
    assert answers["getprop"].exit == 127
    assert answers["hang"].timed_out
    assert answers["hang"].exit is None
    assert answers["hang"].out == "so far\n"
    assert len(answers["flood"].out) == 1000
    assert answers["flood"].cut >= 1
    assert answers["bytes"].raw == b"a\0\xff\r\nb"


def test_a_run_streams_progress_and_returns_its_files(shell_target: LocalTarget) -> None:
    script = textwrap.dedent("""
        echo 'WARNING: linker: something first'
        echo '{"event": "step", "name": "decode.qkv", "done": 3, "total": 9}'
        cat input > result.json; echo oops >&2; exit 3
    """)
    events: list[Event] = []
    with shell_target.session() as session:
        session.push({"input": b"payload", "plan.txt": Path(__file__)})
        run = session.run(
            "cpu",
            ["-c", script],
            results=["result.json", "result.bin"],
            deadline=20,
            on_line=events.append,
        )
        assert run.files.keys() == {"result.json"}
        assert run.files["result.json"].read_bytes() == b"payload"
    assert (run.exit, run.signal, run.timed_out) == (3, None, False)
    assert run.stderr == "oops\n"
    assert events == [Event("cpu", "decode.qkv", 3, 9)]


def test_results_of_an_earlier_run_are_not_taken_for_those_of_a_later_one(
    shell_target: LocalTarget,
) -> None:
    with shell_target.session() as session:
        first = session.run("cpu", ["-c", "echo 1 > result.json"], results=["result.json"], deadline=20)
        second = session.run("cpu", ["-c", "kill -9 $$"], results=["result.json"], deadline=20)
    assert "result.json" in first.files
    assert second.files == {}
    assert (second.exit, second.signal) == (None, signal.SIGKILL)


def test_a_hanging_interpreter_is_killed_with_its_children(
    shell_target: LocalTarget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("gemmafit.probes.local.GRACE", 0.0)
    pid_file = tmp_path / "pid"
    with shell_target.session() as session:
        run = session.run("cpu", ["-c", f"sleep 300 & echo $! > {pid_file}; wait"], deadline=1)
    assert (run.exit, run.timed_out) == (None, True)
    assert gone(int(pid_file.read_text()))


def test_linker_sections_are_androids(shell_target: LocalTarget) -> None:
    with shell_target.session() as session, pytest.raises(AgentError, match="isolated"):
        session.run("cpu", ["-c", "true"], deadline=5, section="isolated")


def test_names_with_a_path_are_refused(shell_target: LocalTarget) -> None:
    with shell_target.session() as session:
        for name in ("../x", "a/b", "", ".."):
            with pytest.raises(ValueError, match="plain file name"):
                session.push({name: b""})


def test_an_agent_that_cannot_be_started_is_one_sentence(tmp_path: Path) -> None:
    target = LocalTarget(interpreter="agent", agent=lambda abi: tmp_path / "missing")
    expected = r"cannot start .*missing: No such file"
    with target.session() as session, pytest.raises(AgentError, match=expected):
        session.run("cpu", [], deadline=5)


def test_nothing_is_left_after_the_session(shell_target: LocalTarget) -> None:
    before = directories()
    with shell_target.session() as session:
        session.push({"input": b""})
        assert len(directories() - before) >= 1
    assert directories() - before == set()


HOST = """
from pathlib import Path
from gemmafit.probes.local import LocalTarget
target = LocalTarget(interpreter="agent", agent=lambda abi: Path("/bin/sh"))
with target.session() as session:
    session.run("cpu", ["-c", "pwd; echo $$ > pid; pwd > {note}; sleep 300 & wait"], deadline=300)
"""


def test_nothing_is_left_when_the_host_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    host = subprocess.Popen([sys.executable, "-c", HOST.format(note=note)])
    try:
        directory = Path(eventually(lambda: note.read_text().strip() if note.exists() else ""))
        interpreter = int((directory / "pid").read_text())
    finally:
        host.kill()
        host.wait()
    eventually(lambda: not directory.exists())
    eventually(lambda: gone(interpreter))


def gone(pid: int) -> bool:
    """No such process, or one that only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


T = TypeVar("T")


def eventually(condition: Callable[[], T], seconds: float = 20.0) -> T:
    """The first true value of the condition; fails after some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen")
