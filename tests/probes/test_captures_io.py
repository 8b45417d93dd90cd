"""Capture files: what is written is read back; what is hostile is refused with one kind of error."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemmafit.base import limits
from gemmafit.base.errors import AgentError, InputError
from gemmafit.base.names import AnswerStatus
from gemmafit.probes.answers import status
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.commands import COMMANDS, commands
from gemmafit.probes.files import dump_capture, parse_capture, read_capture, sha256
from gemmafit.probes.read import read
from gemmafit.probes.replay import ReplayTarget

answers = st.builds(
    Answer,
    exit=st.none() | st.integers(-1, 255),
    out=st.text(max_size=60),
    cut=st.integers(0, 1 << 40),
    seconds=st.none() | st.floats(0, 1e6).map(lambda x: round(x, 3)),
    timed_out=st.booleans(),
) | st.binary(max_size=40).map(lambda raw: Answer(0, raw.decode("utf-8", "replace"), raw))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150)
@given(
    st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), answers, max_size=4),
    st.none() | st.dictionaries(st.sampled_from(["probe", "measurements"]), json_values, max_size=2),
)
def test_what_is_written_is_read_back(commands: dict[str, Answer], agent: dict[str, object] | None) -> None:
    capture = Capture("adb", {"kind": "adb", "at": "2026-11-23T10:00:00Z"}, commands, agent)
    again = parse_capture(dump_capture(capture))
    assert again.recorded == capture.recorded
    assert again.agent == agent
    for key, answer in commands.items():
        # Text that YAML cannot hold comes back with its bytes as well.
        assert again.commands[key].out == answer.out.encode("utf-8", "replace").decode()
        assert again.commands[key].cut == answer.cut
        assert again.commands[key].timed_out == answer.timed_out
    assert sha256(again) == sha256(capture)


def test_the_digest_is_of_what_was_said() -> None:
    said = {"uname": Answer(0, "Linux", seconds=0.1)}
    assert sha256(Capture("adb", {"at": "a"}, said)) == sha256(
        Capture("assembled", {"at": "b"}, {"uname": Answer(0, "Linux", seconds=0.2)})
    )
    assert sha256(Capture("adb", {}, said)) != sha256(Capture("adb", {}, {"uname": Answer(0, "linux")}))


BOMB = "a: &a [x, x, x]\n" + "\n".join(
    f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}, *a]" for n in range(30)
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "schema: gemmafit.capture/2\ncommands: {}\n",
        "schema: gemmafit.capture/1\ncommands: []\n",
        "schema: gemmafit.capture/1\nagent: 3\n",
        "schema: gemmafit.capture/1\ncommands: {a: 1}\n",
        "schema: gemmafit.capture/1\ncommands: {a: {exit: yes}}\n",
        "schema: gemmafit.capture/1\ncommands: {a: {out_base64: '***'}}\n",
        "schema: gemmafit.capture/1\nschema: gemmafit.capture/1\n",
        "schema: gemmafit.capture/1\nrecorded: !!python/object/apply:os.system [id]\n",
        "schema: gemmafit.capture/1\nrecorded: &a {b: *a}\n",
        "? [a]\n: b\n",
        BOMB,
        "[" * 5000,
        "{a: " * 5000,
        "schema: gemmafit.capture/1\nrecorded: {n: " + "9" * 5000 + "}\n",
        "schema: gemmafit.capture/1\nrecorded: {n: " + "[" * 40 + "]" * 40 + "}\n",
        "schema: gemmafit.capture/1\nrecorded: 'unclosed\n",
        "\x00\x01\x02",
        "schema: gemmafit.capture/1\nrecorded: {a: .inf, b: .nan}\ncommands: {x: {out: 3, seconds: .nan, exit: 1.5}}\n",
    ],
)
def test_hostile_files_are_refused(text: str) -> None:
    started = time.process_time()
    with pytest.raises(InputError):
        parse_capture(text)
    assert time.process_time() - started < 5


def test_a_file_over_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.seek(limits.CAPTURE_FILE_BYTES + 1)
        file.write(b"x")
    with pytest.raises(InputError, match="larger than"):
        read_capture(path)


def test_names_that_are_paths_are_only_names() -> None:
    capture = parse_capture(
        "schema: gemmafit.capture/1\ncommands:\n  ../../x: {exit: 0, out: a}\n  uname: {exit: 0, out: b}\n"
    )
    assert capture.commands.keys() == {"uname"}


def test_replay_answers_what_was_asked_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "phone.yaml"
    raw = base64.b64encode(b"\xff\xfe").decode()
    path.write_text(
        "schema: gemmafit.capture/1\nrecorded: {kind: assembled, name: x}\n"
        f"commands:\n  uname: {{exit: 0, out: Linux}}\n  getprop: {{exit: 0, out_base64: {raw}}}\nagent: null\n"
    )
    target = ReplayTarget(path)
    answers = target.ask(COMMANDS)
    assert answers["uname"] == Answer(0, "Linux")
    assert answers["getprop"].raw == b"\xff\xfe"
    assert "meminfo" not in answers
    with pytest.raises(AgentError, match="a recording cannot run anything"):
        target.session()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, AnswerStatus.MISSING),
        (Answer(1, "cat: /x: No such file or directory\n"), AnswerStatus.MISSING),
        (Answer(127, "sh: dumpsys: inaccessible or not found"), AnswerStatus.MISSING),
        (Answer(0, "Can't find service: thermalservice"), AnswerStatus.MISSING),
        (Answer(127, ""), AnswerStatus.MISSING),
        (Answer(1, "cat: /x: Permission denied"), AnswerStatus.REFUSED),
        (Answer(None, "Permission Denial: can't dump SurfaceFlinger"), AnswerStatus.REFUSED),
        (Answer(126, ""), AnswerStatus.REFUSED),
        (Answer(0, " \n"), AnswerStatus.EMPTY),
        (Answer(None, "", timed_out=True), AnswerStatus.TIMEOUT),
        (Answer(0, "x", cut=1), AnswerStatus.CUT),
        (Answer(0, "fine"), AnswerStatus.OK),
        (Answer(None, "", skipped=True), AnswerStatus.DOWN),
        (Answer(20, "dumpsys: Unable to get default service manager!"), AnswerStatus.DOWN),
        (Answer(1, "cmd: Failure calling service gpu: Failed transaction (2147483646)"), AnswerStatus.DOWN),
        (
            Answer(1, "Error: Could not access the Package Manager.  Is the system running?"),
            AnswerStatus.DOWN,
        ),
        (Answer(20, "cmd: Can't find service: gpu"), AnswerStatus.MISSING),
        (Answer(2, "ls: /vendor/lib64: No such file or directory"), AnswerStatus.MISSING),
        (Answer(1, "/system/bin/sh: dumpsys: inaccessible or not found\r\n"), AnswerStatus.MISSING),
        (Answer(127, "/system/bin/sh: <stdin>[3]: pm: not found"), AnswerStatus.MISSING),
        (Answer(255, "WARNING: linker: x: unused DT entry\nUnknown command: vkjson"), AnswerStatus.MISSING),
        (Answer(1, "# file: /x\ncat: /x: Permission denied"), AnswerStatus.REFUSED),
        (Answer(1, "java.lang.SecurityException: Requires android.permission.DUMP"), AnswerStatus.REFUSED),
        # The same words where a layer, a file or an app has them for a name.
        (Answer(0, "GLES: ARM, Mali-G78 permission denied, OpenGL ES 3.2"), AnswerStatus.OK),
        (
            Answer(0, "+ Layer (com.not found/can't find service: x)\nGLES: a, b, OpenGL ES 3.2"),
            AnswerStatus.OK,
        ),
        (Answer(0, "[ro.x]: [no such file or directory]"), AnswerStatus.OK),
        (Answer(0, "GLES: a\nb\nCan't find service: window"), AnswerStatus.OK),
        (Answer(0, "log " * 200 + "permission denied"), AnswerStatus.OK),
    ],
)
def test_missing_refused_and_empty_differ(answer: Answer | None, expected: AnswerStatus) -> None:
    assert status(answer) is expected


def test_the_snapshot_says_how_each_question_ended() -> None:
    snapshot = read(
        Capture(
            "adb",
            {},
            {
                "meminfo": Answer(1, "cat: /proc/meminfo: Permission denied"),
                "thermal": Answer(0, ""),
                "getprop": Answer(0, "no property at all"),
            },
        )
    )
    ended = {key: snapshot.answers[key] for key in ("meminfo", "thermal", "getprop", "cpuinfo")}
    assert ended == {"meminfo": "refused", "thermal": "empty", "getprop": "unreadable", "cpuinfo": "missing"}
    assert snapshot.memory.total_bytes is None
    assert any(warning.startswith("getprop: ") for warning in snapshot.warnings)


@pytest.mark.parametrize("package", ["com.example.app", "a.b_c.D9"])
def test_a_package_is_asked_for(package: str) -> None:
    (question,) = [command for command in commands(package) if command.key == "package"]
    assert f"dumpsys package {package} " in question.script


@pytest.mark.parametrize(
    "package", ["", "x", "com.example;id", "$(id)", "com.example.app\n", "../x", "a.b " * 99]
)
def test_no_shell_from_a_package_name(package: str) -> None:
    from gemmafit.base.errors import UsageError

    with pytest.raises(UsageError):
        commands(package)
