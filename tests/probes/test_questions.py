"""The questions run in the shells that phones have, with nothing beside them but stand-ins for Android's services."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gemmafit.probes import batch
from gemmafit.probes.capture import Answer
from gemmafit.probes.commands import COMMANDS
from gemmafit.probes.parsers.dumpsys import parse_aicore
from gemmafit.probes.parsers.gles import parse_gles
from gemmafit.probes.parsers.state import parse_power, parse_power_modes
from gemmafit.probes.target import Command

QUESTIONS = {command.key: command for command in COMMANDS}
Ask = Callable[..., str]

LAYERS = "+ Layer 0x7f8c (com.target.finder/com.target.finder.Main#0 can't find GLES: x) permission denied\n"


@pytest.fixture(params=["mksh", "dash", "bash"])
def ask(request: pytest.FixtureRequest, tmp_path: Path) -> Ask:
    """(question, command -> what it prints) -> what the question answers, with no other program on the path."""
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"no {request.param} here")
    cat = shutil.which("cat")

    def run(key: str, answers: dict[str, str]) -> str:
        tools = tmp_path / "bin"
        tools.mkdir(exist_ok=True)
        for number, (words, text) in enumerate(answers.items()):
            (tmp_path / f"answer{number}").write_text(text, "utf-8")
            name, _, arguments = words.partition(" ")
            tool = tools / name
            before = tool.read_text("utf-8") if tool.exists() else "#!/bin/sh\n"
            tool.write_text(
                f'{before}case "$*" in "{arguments}") exec {cat} {tmp_path}/answer{number};; esac\n', "utf-8"
            )
            tool.chmod(0o755)
        done = subprocess.run(
            [shell, "-c", QUESTIONS[key].script], env={"PATH": str(tools)}, capture_output=True, timeout=30
        )
        return done.stdout.decode("utf-8", "replace")

    return run


def test_a_dump_of_a_thousand_layers_ships_some_lines(ask: Ask) -> None:
    dump = (
        "Build configuration: [sf]\n" + LAYERS * 2000 + "EGL implementation : 1.5\nEGL_KHR_image EGL_KHR_x\n"
        "GLES: ARM, Mali-G78, OpenGL ES 3.2 v1.r38p1 \\n \\\\x\nGL_EXT_a GL_EXT_b\n" + LAYERS * 2000
    )
    out = ask("surfaceflinger", {"dumpsys SurfaceFlinger": dump})
    assert len(out) < 1000
    assert parse_gles(out).renderer == "Mali-G78" and parse_gles(out).others == ()


def test_the_mark_is_kept_where_a_layer_forges_the_line(ask: Ask) -> None:
    dump = "x\nGLES: Fake, F, OpenGL ES 9\nEGL implementation : 1.5\nEGL_X\nGLES: ARM, G, OpenGL ES 3.2\n"
    found = parse_gles(ask("surfaceflinger", {"dumpsys SurfaceFlinger": dump}))
    assert (found.renderer, found.others) == ("G", ("Fake, F, OpenGL ES 9",))


def test_complaints_come_through(ask: Ask) -> None:
    assert "not found" in ask("power", {})
    assert "Can't find service" in ask(
        "surfaceflinger", {"dumpsys SurfaceFlinger": "Can't find service: x\n"}
    )
    assert "Denial" in ask("power", {"dumpsys power": "Permission Denial: can't dump PowerManager\n"})


def test_power_ships_what_is_read(ask: Ask) -> None:
    power = "POWER MANAGER (dumpsys power)\n\nPower Manager State:\n  mDirty=0x0\n  mWakefulness=Asleep\n"
    power += "  PARTIAL_WAKE_LOCK 'mWakefulness=Awake showing=true' (uid=1)\n" * 3000
    power += "    Battery Saver is currently: ON\n"
    policy = (
        "WINDOW MANAGER POLICY STATE\n" + "    mX=1\n" * 500 + "      showing=true\n      occluded=false\n"
    )
    out = ask("power", {"dumpsys power": power, "dumpsys window policy": policy})
    assert len(out) < 600
    found = parse_power(out)
    assert (found.screen_on, found.locked, found.battery_saver) == (False, True, True)


PRIVATE = "com.secret"


def test_settings_about_power_alone(ask: Ask) -> None:
    """In the form of Android 5 and 6, as this machine has no /system/bin/cmd."""
    assert not Path("/system/bin/cmd").exists()
    system = "Row: 0 name=volume_music, value=11\nRow: 1 name=POWER_SAVE_MODE_OPEN, value=1\n"
    system += f"Row: 2 name=power_list, value={PRIVATE}.app\nRow: 3 name=user_power, value=me@example.com\n"
    answers = {
        "getprop ": "[ro.boot.power]: [x]\n[init.svc.power]: [running]\n[sys.super_power_save]: [false]\n",
        "content query --uri content://settings/system --projection name:value": system,
        "content query --uri content://settings/global --projection name:value": "Row: 0 name=low_power, value=0\n",
    }
    out = ask("power_modes", answers)
    assert parse_power_modes(out) == {
        "prop:sys.super_power_save": "false",
        "prop:": "",
        "system:POWER_SAVE_MODE_OPEN": "1",
        "system:": "",
        "global:low_power": "0",
        "global:": "",
    }
    assert PRIVATE not in out and "example" not in out


def test_settings_that_cannot_be_listed_do_not_count_as_read(ask: Ask) -> None:
    out = ask("power_modes", {"getprop ": "[a]: [b]\n"})
    assert parse_power_modes(out) == {"prop:": ""}


@pytest.mark.parametrize(
    ("sdk", "listed", "there"),
    [
        ("35", "package:com.google.android.aicore\n", True),
        ("35", "package:com.google.android.aicore.tests\n", False),
        ("34", "", False),
        ("33", "package:com.google.android.aicore\n", None),
        ("", "package:com.google.android.aicore\n", None),
    ],
)
def test_whether_aicore_is_there(ask: Ask, sdk: str, listed: str, there: bool | None) -> None:
    pm = "pm list packages com.google.android.aicore"
    out = ask("aicore", {"getprop ro.build.version.sdk": sdk, pm: listed})
    assert out == "" if there is None else parse_aicore(out) is there


def test_without_an_answer_nothing_is_said_of_aicore(ask: Ask) -> None:
    assert ask("aicore", {"getprop ro.build.version.sdk": "35"}) == ""


HANG = "sleep 600"


def answers(shell: str, commands: list[Command], strikes: int = 0) -> tuple[dict[str, Answer], float, int]:
    """What a shell answers to one script, how long it took, and the strikes after it."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"no {shell} here")
    one = batch.batches(commands, strikes=strikes)[0]
    start = time.monotonic()
    done = subprocess.run([found, "-c", one.script], capture_output=True, timeout=60, env=dict(os.environ))
    reading = batch.read(one, done.stdout)
    assert reading.rest == ()
    return reading.answers, time.monotonic() - start, batch.count_strikes(commands, reading.answers, strikes)


@pytest.mark.parametrize("shell", ["mksh", "dash"])
class TestStuckServices:
    def test_two_without_an_answer_and_the_others_are_not_asked(self, shell: str) -> None:
        commands = [
            Command("first", HANG, 1, binder=True),
            Command("plain", "echo here"),
            *(Command(f"later{n}", HANG, 30, binder=True) for n in range(8)),
            Command("last", "echo still here"),
        ]
        found, seconds, strikes = answers(shell, commands)
        assert found["first"].timed_out and found["later0"].timed_out and strikes == batch.BINDER_STRIKES
        assert all(found[f"later{n}"] == Answer(None, "", skipped=True) for n in range(1, 8))
        assert (found["plain"].out, found["last"].out) == ("here\n", "still here\n")
        assert seconds < 1 + batch.BINDER_SECONDS + 6

    def test_one_that_hangs_alone_costs_only_itself(self, shell: str) -> None:
        commands = [
            Command("stuck", HANG, 1, binder=True),
            Command("fine", "echo a", 30, binder=True),
            Command("slow", "sleep 4; echo b", 30, binder=True),
        ]
        found, _, strikes = answers(shell, commands)
        assert found["stuck"].timed_out and not found["fine"].timed_out and strikes == 0
        assert found["slow"].out == "b\n"  # with its own deadline again

    def test_what_was_given_up_before_is_given_one_short_chance(self, shell: str) -> None:
        commands = [Command(key, HANG, 30, binder=True) for key in "ab"]
        found, seconds, _ = answers(shell, commands, strikes=1)
        assert found["a"].timed_out and found["b"].skipped and seconds < batch.BINDER_SECONDS + 5
