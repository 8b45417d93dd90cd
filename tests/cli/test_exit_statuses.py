"""One table of exit statuses: what the documentation says, what errors and reports lead to, and closed pipes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gemmafit.base import errors
from gemmafit.base.names import Exit, Verdict
from gemmafit.cli import main
from gemmafit.cli.main import COMMANDS
from gemmafit.reports.report import Report
from gemmafit.reports.report_io import load

ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "-m", "gemmafit.cli.main"]
PHONE = ROOT / "tests/replay/captures/galaxy-s10e-mali-g76.yaml"


def test_every_verdict_and_every_error_has_a_status_of_the_table(report: Report) -> None:
    report = replace(report, extra={})
    statuses = {v: replace(report, verdict=v).exit() for v in Verdict}
    assert statuses == {"pass": 0, "degraded": 0, "fail": 1, "inconclusive": 5}
    assert replace(report, verdict=Verdict.DEGRADED).exit(strict=True) == 1
    assert replace(report, verdict=Verdict.PASS, extra={"incomplete": "x"}).exit(strict=True) == 4
    kinds = [errors.GemmafitError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {type(kind.exit_code) for kind in kinds} == {Exit}
    assert all(kind.exit_code not in (Exit.PASS, Exit.FAIL, Exit.INCONCLUSIVE) for kind in kinds)


def test_the_worst_of_many_phones() -> None:
    rising = [Exit.PASS, Exit.INCONCLUSIVE, Exit.FAIL, Exit.NO_TARGET, Exit.BROKE]
    for place, worst in enumerate(rising):
        assert Exit.worst(rising[: place + 1]) is worst
    assert Exit.worst([]) is Exit.PASS


def test_no_status_is_written_as_a_number_in_code() -> None:
    """A second table would begin with a number."""
    number = re.compile(r"(typer\.Exit|sys\.exit)\(\d|exit_code = \d|return \d  # exit")
    for folder in ("cli", "lab", "judge", "reports", "base"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not number.search(path.read_text()), path


def test_the_readme_has_the_table() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert rows == {str(int(status)): status.meaning for status in Exit}


def test_the_recipes_for_ci_say_the_same() -> None:
    says = {
        "good": Exit.PASS, "fail": Exit.FAIL, "not reachable": Exit.NO_TARGET, "broke": Exit.BROKE,
        "inconclusive": Exit.INCONCLUSIVE,
    }  # fmt: skip
    said = re.compile(rf"\b(\d) \(?(?:a (?:phone|run) )?(?:is )?({'|'.join(says)})")
    for name in ("github.yml", "gitlab.yml"):
        found = said.findall((ROOT / "docs" / "ci" / name).read_text())
        assert {word: int(number) for number, word in found} == says, name


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a phone that passes."""
    path = tmp_path_factory.mktemp("saved") / "report.yaml"
    done = subprocess.run([*CLI, "check", f"replay:{PHONE}", "-q", "-o", str(path)], check=False)
    assert done.returncode == 0
    return path


def commands(saved: Path) -> dict[str, list[str]]:
    """One line a command that prints an answer and needs no phone."""
    report = str(saved)
    history = ["--history", str(saved.with_name("history.db"))]
    return {
        "check": ["check", f"replay:{PHONE}", "-q"],
        "check with a screen": ["check", f"replay:{PHONE}"],
        "probe": ["probe", f"replay:{PHONE}"],
        "report": ["report", report],
        "report as junit": ["report", report, "-f", "junit"],
        "estimate": ["estimate", "--gpu", "Adreno 740", "--ram", "8"],
        "explain": ["explain", "INVALID_ARGUMENT: Unknown backend"],
        "profiles": ["profiles", "list", "drivers"],
        "compare": ["compare", report, report],
        "matrix": ["matrix", report],
        "allowlist": ["allowlist", report],
        "history": ["history", "list", *history],
        "schema": ["schema"],
        "help": ["--help"],
        "help of a command": ["check", "--help"],
        "version": ["--version"],
    }


NEEDS_A_PHONE_OR_FILE = {"devices", "record", "bench", "model", "lab"}
"""Those print through the same streams and cannot be had here without one."""


def test_the_list_of_commands_is_whole(tmp_path: Path) -> None:
    covered = {words[0] for words in commands(tmp_path / "x").values()}
    assert set(COMMANDS) - covered == NEEDS_A_PHONE_OR_FILE


_UNREAD = """
import gc, json, os, sys
from gemmafit.cli.main import main
from gemmafit.judge.references import load
import gemmafit.judge.judge, gemmafit.pipeline
load()
gc.freeze()  # or each process copies all of it to look for garbage when it ends
ended = {}
for name, words in json.loads(sys.argv[1]).items():
    nobody, stdout = os.pipe()
    messages, stderr = os.pipe()
    os.close(nobody)  # before a byte is written
    pid = os.fork()
    if pid == 0:
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        sys.argv[1:] = words
        main()
        sys.exit()
    os.close(stdout)
    os.close(stderr)
    with open(messages) as file:
        said = file.read()
    ended[name] = (os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said)
print(json.dumps(ended))
"""
"""Each command in a process of its own, to Python's very end; they share the modules and tables."""


@pytest.fixture(scope="module")
def unread(saved: Path) -> dict[str, tuple[int, str]]:
    """Exit status and messages of each command whose answer nobody reads."""
    line = [sys.executable, "-c", _UNREAD, json.dumps(commands(saved))]
    # Pipes both, as Python keeps for good whether it can seek in a stream, and the children inherit that.
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=300)
    return {name: (status, messages) for name, (status, messages) in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", list(commands(Path("x"))))
def test_a_pipe_without_a_reader_is_no_verdict(name: str, unread: dict[str, tuple[int, str]]) -> None:
    status, messages = unread[name]
    assert status == Exit.BROKE, messages
    assert "nobody took the answer" in messages and "Traceback" not in messages
    assert "Exception ignored" not in messages


@pytest.mark.parametrize(("where", "says"), [(">/dev/full", "No space left"), (">&-", "it is closed")])
def test_a_full_or_closed_stdout_is_no_verdict(where: str, says: str, saved: Path) -> None:
    line = f"{sys.executable} -m gemmafit.cli.main report {saved} {where}"
    done = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == Exit.BROKE and says in done.stderr, done.stderr


def test_nobody_reading_stderr_changes_nothing(saved: Path, tmp_path: Path) -> None:
    """Progress and the screen are for people: without one the report is written all the same."""
    output = tmp_path / "again.yaml"
    process = subprocess.Popen(
        [*CLI, "check", f"replay:{PHONE}", "-o", str(output)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(60) == Exit.PASS
    assert load(output).verdict is load(saved).verdict
    refused = subprocess.Popen([*CLI, "report", "no-such-file"], stderr=subprocess.PIPE)
    assert refused.stderr is not None
    refused.stderr.close()
    assert refused.wait(60) == Exit.USAGE


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), EOFError(), ValueError("x")])
def test_an_error_that_nobody_caught_is_no_verdict(
    error: Exception, saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A phone's socket may be the broken pipe, too."""

    def broken(path: Path) -> Report:
        raise error

    monkeypatch.setattr("gemmafit.reports.report_io.load", broken)
    monkeypatch.setattr(sys, "argv", ["gemmafit", "report", str(saved)])
    for stream in ("stdout", "stderr"):  # main wraps them; they come back after the test
        monkeypatch.setattr(sys, stream, getattr(sys, stream))
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == Exit.BROKE and type(error).__name__ in capsys.readouterr().err


def test_files_are_kept_where_nobody_reads_stdout(tmp_path: Path) -> None:
    page, capture = tmp_path / "page.html", tmp_path / "capture.yaml"
    process = subprocess.Popen(
        [*CLI, "check", f"replay:{PHONE}", "-q", "--html", str(page), "--record", str(capture)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == Exit.BROKE
    assert page.exists() and capture.exists()
