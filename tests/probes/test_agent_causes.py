"""Why the agent did not run: from words, statuses and signals to a cause, a sentence, a check and an exit status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gemmafit import __version__, agent
from gemmafit.base.errors import AgentCause, AgentError, DeadlineExceeded, ToolchainError, TransportError
from gemmafit.base.names import CheckStatus, TargetKind, Verdict
from gemmafit.base.options import Request
from gemmafit.pipeline import examine
from gemmafit.probes import agent_causes
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.collect import collect
from gemmafit.probes.files import dump_capture, parse_capture
from gemmafit.probes.local import LocalTarget
from gemmafit.probes.parsers.complaints import complaint
from gemmafit.probes.read import read
from gemmafit.probes.snapshot import AgentProblem
from gemmafit.probes.target import AgentRun, AgentSession, Awake, Command
from gemmafit.profiles.loader import load

BASE = "/data/local/tmp"
DIR = f"{BASE}/gemmafit-0123456789abcdef"
C = AgentCause


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        # toolbox (Android 5), toybox, busybox
        (f"mkdir failed for {DIR}, Permission denied", C.REFUSED),
        (f"mkdir failed for {DIR}, Read-only file system", C.READ_ONLY),
        (f"mkdir: '{DIR}': Permission denied", C.REFUSED),
        (f"mkdir: '{DIR}': No space left on device", C.NO_SPACE),
        (f"mkdir: '{DIR}': No such file or directory", C.NO_FOLDER),
        (f"mkdir: '{DIR}': Not a directory", C.NO_FOLDER),
        (f"mkdir: can't create directory '{DIR}': Read-only file system", C.READ_ONLY),
        (f"mkdir: '{DIR}': Required key not available", C.LOCKED),
        (f"mkdir: '{DIR}': Structure needs cleaning", C.STORAGE),
        (f"mkdir: '{DIR}': I/O error", C.STORAGE),
        # mksh, dash, bash
        (f"sh: can't create {DIR}/.guard: No space left on device", C.NO_SPACE),
        (f"/system/bin/sh: can't create {DIR}/.guard: Permission denied", C.REFUSED),
        ("sh: echo: No space left on device", C.NO_SPACE),
        ("sh: 1: cannot create /x: Directory nonexistent", C.NO_FOLDER),
        ("bash: echo: write error: No space left on device", C.NO_SPACE),
        ("sh: can't fork - try again", C.NO_MEMORY),
        ("sh: ./gemmafit-agent: not executable: 64-bit ELF file", C.WRONG_ABI),
        ("sh: ./gemmafit-agent: Exec format error", C.WRONG_ABI),
        ("sh: ./gemmafit-agent: inaccessible or not found", C.NO_FOLDER),
        # adbd, of several generations
        ("couldn't create file: Permission denied", C.REFUSED),
        ("remote couldn't create file: Read-only file system", C.READ_ONLY),
        ("couldn't create file: No such file or directory", C.NO_FOLDER),
        ("couldn't create file: Is a directory", C.NO_FOLDER),
        ("remote write failed: No space left on device", C.NO_SPACE),
        ("No space left on device", C.NO_SPACE),
        ("remote secure_mkdirs failed: Operation not permitted", C.REFUSED),
        ("write failed: Disk quota exceeded", C.NO_SPACE),
        ("mkdir: READ-ONLY FILE SYSTEM", C.READ_ONLY),
        # linkers: what they quote is not the cause
        ('CANNOT LINK EXECUTABLE "./a": library "libx.so" not found', C.CANNOT_LINK),
        ('could not load library "x": Permission denied\nCANNOT LINK EXECUTABLE DEPENDENCIES', C.CANNOT_LINK),
        ("error: only position independent executables (PIE) are supported.", C.CANNOT_LINK),
        ("./a: error while loading shared libraries: libm.so.6: No such file or directory", C.CANNOT_LINK),
        # of two, the first
        ("mkdir: Permission denied\ncat: x: No such file or directory", C.REFUSED),
        ("", None),
        ("something else entirely", None),
    ],
)
def test_words(words: str, cause: AgentCause | None) -> None:
    assert complaint(words) is cause


FINE = f"WARNING: linker: x\r\ngemmafit-agent {__version__} arm64-v8a\r\n"


@pytest.mark.parametrize(
    ("run", "cause", "sentence"),
    [
        (AgentRun(0, None, False, {}, FINE), None, ""),
        (AgentRun(None, None, True, {}), C.HANGS, "hangs: no answer within 30 s"),
        (AgentRun(0, None, False, {}, "gemmafit-agent 9.9 x\n"), C.OTHER_VERSION, "is of version 9.9"),
        (AgentRun(None, 4, False, {}), C.CRASHED, "killed by SIGILL (4)"),
        (AgentRun(None, 31, False, {}), C.CRASHED, "killed by SIGSYS (31)"),
        (AgentRun(None, 40, False, {}), C.CRASHED, "killed by signal 40"),
        (AgentRun(None, 9, False, {}), C.KILLED, "killed by SIGKILL (9)"),
        (AgentRun(None, 15, False, {}, stderr="Terminated"), C.KILLED, "killed by SIGTERM (15): Terminated"),
        # Android 5's linker aborts after its words.
        (
            AgentRun(None, 6, False, {}, stderr="CANNOT LINK EXECUTABLE: x"),
            C.CANNOT_LINK,
            "dynamic linker: CAN",
        ),
        (AgentRun(1, None, False, {}, stderr='CANNOT LINK EXECUTABLE "a"'), C.CANNOT_LINK, "dynamic linker"),
        (
            AgentRun(126, None, False, {}, stderr="sh: a: Permission denied"),
            C.NO_EXEC,
            f"executed in {BASE}: sh",
        ),
        (AgentRun(126, None, False, {}), C.NO_EXEC, f"may not be executed in {BASE}"),
        (
            AgentRun(1, None, False, {}, stderr="sh: a: can't execute: Permission denied"),
            C.NO_EXEC,
            "executed",
        ),
        (
            AgentRun(126, None, False, {}, stderr="a: Exec format error"),
            C.WRONG_ABI,
            "no program for this device",
        ),
        (
            AgentRun(1, None, False, {}, stderr="a: not executable: 32-bit ELF file"),
            C.WRONG_ABI,
            "32-bit ELF",
        ),
        (
            AgentRun(127, None, False, {}, stderr="sh: a: No such file or directory"),
            C.WRONG_ABI,
            "No such file",
        ),
        (AgentRun(127, None, False, {}), C.WRONG_ABI, "no program for this device"),
        (
            AgentRun(1, None, False, {}, stderr="E: ./a[1]: \x7fELF\x02: inaccessible or not found"),
            C.WRONG_ABI,
            "no program for this device: its shell took it for a script",
        ),
        (AgentRun(1, None, False, {}, stderr="sh: can't fork - try again"), C.NO_MEMORY, "can't fork"),
        (AgentRun(1, None, False, {}), C.FAILED, "does not run (exit status 1)"),
        (AgentRun(0, None, False, {}, "hello"), C.FAILED, "does not run (exit status 0): hello"),
    ],
)
def test_a_start(run: AgentRun, cause: AgentCause | None, sentence: str) -> None:
    problem = agent_causes.unfit(run, "arm64-v8a", BASE, 30)
    assert (problem.cause if problem else None) is cause
    assert sentence in (problem.sentence if problem else "")
    assert problem is None or problem.sentence.startswith("the agent for arm64-v8a ")


def test_a_full_disk_is_told_by_df_where_the_words_do_not() -> None:
    for words in ("sh: echo: I/O error", ""):
        problem = agent_causes.no_place(words, BASE, free=0, needed=8_400_000)
        assert problem.cause is C.NO_SPACE
        assert "8.4 MB are needed, 0 bytes are free" in problem.sentence
    assert agent_causes.no_place("I/O error", BASE, free=10**9, needed=1).cause is C.STORAGE
    assert agent_causes.no_place("I/O error", BASE, free=None, needed=1).cause is C.STORAGE
    silent = agent_causes.no_place("", BASE, free=None, needed=1)
    assert silent.cause is C.FAILED and "does not say why" in silent.sentence
    # A refusal stays one, however little is free.
    assert agent_causes.no_place("Permission denied", BASE, free=0, needed=1).cause is C.REFUSED
    copied = agent_causes.not_copied("No space left on device", BASE, free=3_200_000, needed=16_800_000)
    assert copied.sentence.endswith("No space left on device; 16.8 MB are needed, 3.2 MB are free")


def test_sentences_have_no_random_names_and_an_end() -> None:
    problem = agent_causes.no_place(
        f"mkdir: '{DIR}':\n Permission   denied" + "x" * 9999, BASE, free=None, needed=0
    )
    assert "0123456789abcdef" not in problem.sentence and "\n" not in problem.sentence
    assert "mkdir: '/data/local/tmp': Permission denied" in problem.sentence
    assert len(problem.sentence) < 400
    assert (
        "\x1b" not in agent_causes.no_place("\x1b[31mPermission denied", BASE, free=None, needed=0).sentence
    )


def test_every_cause_has_what_it_means_and_what_to_do() -> None:
    reasons = load().reasons
    assert {id for id in reasons if id.startswith("agent.")} == {f"agent.{cause}" for cause in AgentCause}
    for cause in AgentCause:
        remedy = agent_causes.remedy(cause)
        assert remedy and "phone connected" not in remedy
        error = agent_causes.as_error(AgentProblem(cause, "x"), serial="s")
        assert (error.cause, error.hint, error.exit_code) == (cause, remedy, 4)
    assert agent_causes.remedy(C.NOT_BUILT) == agent._REBUILD


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (AgentError("x", cause=C.NO_EXEC), C.NO_EXEC),
        (AgentError("x"), C.FAILED),
        (ToolchainError("x"), C.NOT_BUILT),
        (DeadlineExceeded("x"), C.HANGS),
        (TransportError("x"), C.LOST),
    ],
)
def test_an_error_of_a_session_is_recorded_judged_and_replayed(
    error: TransportError | ToolchainError, cause: AgentCause
) -> None:
    examined = examine(Phone(error), Request())
    assert (type(examined.broken) is TransportError) == (cause is C.LOST)
    assert examined.broken is not None and examined.broken.exit_code == 4
    assert examined.broken.hint == agent_causes.remedy(cause)
    assert examined.capture.agent == {"error": "x", "cause": str(cause)}
    assert ("incomplete" in examined.capture.recorded) == (cause is C.LOST)
    ran = examined.report.checks[0]
    assert (ran.id, ran.status, ran.reason) == ("agent.ran", CheckStatus.ERROR, f"agent.{cause}")
    assert examined.report.verdict is Verdict.INCONCLUSIVE
    again = parse_capture(dump_capture(examined.capture))
    assert read(again).agent_problem == examined.snapshot.agent_problem


def test_a_session_that_cannot_be_opened_again_leaves_what_was_probed() -> None:
    class Once(Phone):
        @contextmanager
        def session(self, on_event: object = None, *, awake: bool = False) -> Iterator[AgentSession]:
            self.sessions += 1
            if self.sessions > 1:
                raise AgentError("no room", cause=C.NO_SPACE)
            yield Silent()

    examined = examine(Once(None), Request())
    assert isinstance(examined.broken, AgentError) and str(examined.broken) == "no room"
    assert examined.capture.agent is not None and "probe" in examined.capture.agent
    assert examined.report.checks[0].reason == "agent.no-space"
    assert "no room" in examined.report.summary


def test_what_is_recorded_is_untrusted() -> None:
    harmless: tuple[dict[str, Any], ...] = (
        {"error": ["x"], "cause": "no-exec"},
        {"probe": {"cpu": {"error": 3, "cause": "no-exec"}}},
        {"probe": [], "sections": []},
        {"probe": {"cpu": {"error": "the agent's own finding"}}},
    )
    for agent_part in harmless:
        assert read(Capture("adb", {}, {}, agent_part)).agent_problem is None
    for stated in (["no-exec"], {"a": 1}, "nonsense", None):
        problem = read(Capture("adb", {}, {}, {"error": "x" * 9999, "cause": stated})).agent_problem
        assert problem is not None and problem.cause is C.FAILED and len(problem.sentence) < 2000


def test_what_was_seen_before_the_end_is_not_missed() -> None:
    seen = {"probe": {"cpu": {}, "opencl": {}}, "error": "x", "cause": "lost"}
    problem = read(Capture("adb", {}, {}, seen)).agent_problem
    assert problem is not None and (problem.backends, problem.ended) == (("vulkan",), True)
    assert problem.clause == "the run broke: x"


def test_stricter_sections_complain_only_of_what_is_unusual() -> None:
    def warnings(cause: str) -> tuple[str, ...]:
        agent_part = {"probe": {}, "sections": {"system": {"error": "its words", "cause": cause}}}
        return read(Capture("adb", {}, {}, agent_part)).warnings

    assert warnings("refused") == warnings("no-folder") == ()
    assert any("[system]: its words" in text for text in warnings("no-space"))


def test_an_agent_that_is_missing_here_costs_the_cpu_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(agent, "BUILT", tmp_path)
    capture = collect(LocalTarget())
    assert capture.agent is not None and "error" not in capture.agent
    probe = capture.agent["probe"]
    assert probe["cpu"]["cause"] == "not-built" and str(tmp_path) not in str(probe["cpu"])
    assert not [part for part in ("opencl", "vulkan") if "cause" in probe[part]]
    problem = read(capture).agent_problem
    assert problem is not None and (problem.backends, problem.ended) == (("cpu",), False)


def test_a_full_temporary_folder_is_one_sentence() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this computer has no /dev/full")
    with LocalTarget().session() as session, pytest.raises(AgentError, match="No space left") as caught:
        (session._directory / "plan.txt").symlink_to(full)  # type: ignore[attr-defined]
        session.push({"plan.txt": bytes(200_000)})
    assert caught.value.cause is C.NO_SPACE and "200 kB are needed" in str(caught.value)


class Silent:
    """A session whose processes end well and write nothing."""

    abi = "arm64-v8a"
    awake: Awake | None = None

    def push(self, files: object) -> None: ...

    def run(self, *args: object, **values: object) -> AgentRun:
        return AgentRun(0, None, False, {})


class Phone:
    """A phone that answers nothing and whose session raises."""

    kind = TargetKind.ADB
    recording = None
    serial = "phone"

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.sessions = 0

    def ask(self, commands: Sequence[Command], on_event: object = None) -> dict[str, Answer]:
        return {}

    @contextmanager
    def session(self, on_event: object = None, *, awake: bool = False) -> Iterator[AgentSession]:
        if self.error is not None:
            raise self.error
        yield Silent()
