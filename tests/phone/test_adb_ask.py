"""Questions to a phone over the real adb protocol: batching, hostile answers, old daemons."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gemmafit.probes import batch
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.target import Command
from gemmafit.tests.phone.vphone.handle import Phone, eventually

Connect = Callable[..., AdbTarget]


@pytest.fixture(params=["shell_v2", "old daemon"])
def target(request: pytest.FixtureRequest, connect: Connect, plain_phone: Phone) -> AdbTarget:
    return connect(plain_phone, old=request.param == "old daemon")


def test_many_questions_are_one_round_trip(target: AdbTarget) -> None:
    commands = [Command(f"k{n}", f"echo {n}; exit {n}") for n in range(40)]
    answers = target.ask(commands)
    assert [(a.exit, a.out) for a in answers.values()] == [(n, f"{n}\n") for n in range(40)]
    assert len(target.round_trips) == 1


def test_long_scripts_are_split_into_what_the_daemon_takes(target: AdbTarget) -> None:
    commands = [Command(f"k{n}", f"echo {'x' * 900}") for n in range(10)]
    answers = target.ask(commands)
    assert [len(a.out) for a in answers.values()] == [901] * 10
    assert 1 <= len(target.round_trips) <= 4


def test_answers_of_a_phone(target: AdbTarget) -> None:
    answers = target.ask(
        [
            Command("getprop", "getprop"),
            Command("model", "getprop ro.product.model"),
            Command("surfaceflinger", "dumpsys SurfaceFlinger | grep GLES"),
            Command("libraries", "cat /vendor/etc/public.libraries.txt"),
            Command("missing", "cat /vendor/etc/no-such-file"),
            Command("unknown", "no-such-command"),
        ]
    )
    assert "[ro.build.version.sdk]: [33]\n" in answers["getprop"].out
    assert answers["model"].out == "Plain Phone\n"
    assert answers["surfaceflinger"].out == "GLES: Virtual, Virtual GPU, OpenGL ES 3.2 v1.0\n"
    assert answers["libraries"].exit == 0
    assert (answers["missing"].exit, answers["missing"].out) == (1, "")
    assert answers["unknown"].exit == 127


def test_hostile_output_stays_in_its_own_answer(target: AdbTarget) -> None:
    escape = "\x1b]0;owned\x07"
    answers = target.ask(
        [
            Command("megabytes", "while echo flood; do :; done", max_bytes=5000),
            Command("endless", "cat /dev/zero", max_bytes=1 << 16, deadline=20),
            Command("bytes", r"print -n 'a\0000\r\n\r\r\n\0377b'"),
            Command("escape", r"print -n '\0033]0;owned\0007'"),
            # What processes show, and so the script itself, token halves included.
            Command("forged", "cat /proc/*/cmdline 2>/dev/null; echo; echo $t 4 0; echo $t start"),
            Command("after", "echo still here"),
        ]
    )
    assert answers["megabytes"].out == ("flood\n" * 1000)[:5000]
    assert answers["megabytes"].cut >= 1
    assert answers["endless"].raw == bytes(1 << 16)
    assert answers["bytes"].raw == b"a\0\r\n\r\r\n\xffb"
    assert answers["escape"].out == escape
    assert answers["escape"].raw == escape.encode()
    assert "ask()" in answers["forged"].out
    assert answers["after"].out == "still here\n"


def test_a_deadline_costs_one_answer_and_ends_what_was_started(target: AdbTarget, plain_phone: Phone) -> None:
    answers = target.ask(
        [
            Command("hang", "echo so far; sleep 600", deadline=1),
            Command("stubborn", "trap '' TERM HUP; sleep 601 & wait", deadline=1),
            Command("daemon", "sleep 602 & echo started"),
            Command("crash", "kill -11 $$"),
            Command("after", "echo still here"),
        ]
    )
    assert (answers["hang"].out, answers["hang"].timed_out, answers["hang"].exit) == ("so far\n", True, None)
    assert answers["stubborn"].timed_out
    assert answers["daemon"].out == "started\n"
    assert answers["crash"].exit == 139
    assert answers["after"].out == "still here\n"
    eventually(lambda: not plain_phone.processes())


def test_a_command_that_takes_the_shell_down_costs_one_answer(
    target: AdbTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The generated script guards against it, so the shell has to be ended from inside that script.
    line = batch._line
    monkeypatch.setattr(batch, "_line", lambda i, c: "kill -9 $$\n" if c.key == "fatal" else line(i, c))
    answers = target.ask([Command("before", "echo 1"), Command("fatal", ""), Command("after", "echo 2")])
    assert answers["before"].out == "1\n"
    assert answers["fatal"].exit is None
    assert answers["after"].out == "2\n"
    asked = [trip for trip in target.round_trips if trip.sent > 500]
    assert len(asked) == 2  # and one short question in between: is the phone still there?
