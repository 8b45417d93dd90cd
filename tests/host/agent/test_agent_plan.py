"""The agent's parser: says which line is wrong and why, and survives everything."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

GOOD = """gemmafit-plan 1
backend cpu
option threads=2
buffer a bytes=64 fill=f32 seed=1 rows=1 cols=16 lo=-1 hi=1
buffer b bytes=64 fill=zero
buffer w bytes=128 fill=i4 seed=7 rows=16 cols=16 tile=16,8,t first=8
buffer c bytes=2 fill=hex data=00fF
kernel copy routine=copy_rows
kernel other routine=add isa=scalar
step s warmup=0 repeat=1..2 budget_ms=100
run copy args=B:a,B:b,I:1,I:16,I:0
return b
end
"""

ERRORS = [
    (1, "gemmafit-plan 2", 'plan version "2" is not 1'),
    (1, "# nothing", 'a plan begins with "gemmafit-plan 1"'),
    (2, "backend metal", "backend is none of cpu, opencl, vulkan"),
    (2, "backend cpu gpu", '"gpu" follows the end of the statement'),
    (2, "", "no backend line"),
    (3, "option threads", "option is not KEY=VALUE"),
    (4, "buffer a/b bytes=64 fill=zero", 'buffer name "a/b" does not match'),
    (4, "buffer " + 49 * "a" + " bytes=64 fill=zero", "does not match"),
    (4, "buffer a bytes=0 fill=zero", "bytes=0 is not an integer in 1..1099511627776"),
    (4, "buffer a bytes=99999999999999999999 fill=zero", "is not an integer in"),
    (4, "buffer a bytes=64", "bytes and fill are needed"),
    (4, "buffer a bytes=64 fill=i16", "fill=i16 is none of"),
    (4, "buffer a bytes=65 fill=f32 rows=1 cols=16", "1 x 16 elements of 32 bits are not 65 bytes"),
    (4, "buffer a bytes=64 fill=f32 rows=1 cols=16 lo=nan", "lo=nan is not a finite decimal number"),
    (4, "buffer a bytes=64 fill=f32 rows=1 cols=16 lo=0x1", "lo=0x1 is not a finite decimal number"),
    (4, "buffer a bytes=64 fill=f32 rows=1 cols=16 hi=1e999", "hi=1e999 is not a finite decimal number"),
    (4, "buffer a bytes=64 fill=f32 rows=1 cols=16 colour=1", 'a buffer has no "colour"'),
    (4, "buffer a bytes=64 fill=f32 rows=1 cols=16 tile=1,5", "tile 1,5 does not divide 1 x 16"),
    (4, "buffer a bytes=64 fill=f32 rows=1 cols=16 tile=1", "tile is not R,C or R,C,t"),
    (4, "buffer a bytes=64 fill=f32 rows=1 cols=16 tile=0,1", "tile is not R,C or R,C,t"),
    (4, "buffer a bytes=64 fill=f32 rows=1 cols=16 first=4294967295", "indices above 2^32"),
    (4, "buffer a bytes=64 fill=zero stored=2", "stored=2 is not an integer in 0..1"),
    (5, "buffer a bytes=64 fill=zero", "buffer a is there already"),
    (7, "buffer c bytes=2 fill=hex data=00f", "3 hex digits for 2 bytes"),
    (7, "buffer c bytes=2 fill=hex data=00fg", "data is not hexadecimal"),
    (8, "kernel copy", "either file or routine is needed"),
    (8, "kernel copy file=../x", "does not match"),
    (8, "kernel copy file=..", "is not a plain file name"),
    (8, "kernel copy routine=copy_rows spec=0", "spec is not ID:VALUE"),
    (8, "kernel copy routine=copy_rows spec=1:2 spec=1:3", "specialisation constant 1 is set twice"),
    (9, "kernel copy routine=add", "kernel copy is there already"),
    (10, "step s repeat=5..2", "repeat=2 is not an integer in 5..10000"),
    (10, "step", "step without a name"),
    (10, "step s load=4194303", "load=4194303 is not an integer in 4194304..2147483647"),
    (10, "step s cold=2", "cold=2 is not an integer in 0..1"),
    (10, "step s transfer=push:a", "transfer is not write:BUFFER, read:BUFFER or map:BUFFER"),
    (10, "step s transfer=read", "transfer is not write:BUFFER, read:BUFFER or map:BUFFER"),
    (10, "step s transfer=read:zz", 'there is no buffer "zz"'),
    (13, "end\nstep t transfer=read:a\nrun copy\nend", "step t transfers and does something else"),
    (11, "run nothing", 'there is no kernel "nothing"'),
    (11, "run copy args=B:zz", 'there is no buffer "zz"'),
    (11, "run copy args=I:3000000000", "I=3000000000 is not an integer in -2147483648..2147483647"),
    (11, "run copy args=Q:1", 'argument kind "Q" is none of'),
    (11, "run copy args=B", 'argument "B" is not KIND:VALUE'),
    (11, "run copy global=1,2,3,4", "global has more than 3 dimensions"),
    (11, "run copy global=1 local=1,1", "global and local differ in dimensions"),
    (11, "run copy args=" + ",".join(25 * ["I:1"]), "more than 24 arguments"),
    (11, "", "step s runs nothing"),
    (12, "return d", 'there is no buffer "d"'),
    (13, "", 'the last step has no "end"'),
    (13, "step t", 'step within a step: "end" is missing'),
    (13, "end\nend", "end outside a step"),
    (13, "end\nrun copy", "run outside a step"),
    (13, "end\nsurprise", 'unknown word "surprise"'),
]


@pytest.mark.parametrize(("line", "text", "message"), ERRORS, ids=[e[2][:40] for e in ERRORS])
def test_what_is_wrong_and_where(agent: Any, line: int, text: str, message: str) -> None:
    lines = GOOD.splitlines()
    lines[line - 1] = text
    ended = agent.plan("\n".join(lines) + "\n")
    assert ended.exit == 2 and ended.result is None
    assert ended.stderr.startswith("plan.txt: line ") and message in ended.stderr
    assert len(ended.stderr) < 600


def test_the_plan_they_all_differ_from_is_good(agent: Any) -> None:
    ended = agent.plan(GOOD.replace("\n", "  \t # a comment\r\n"))
    assert ended.exit == 0 and ended.result.steps[0].status == "ok", ended


def test_not_a_text(agent: Any) -> None:
    (agent.directory / "plan.txt").write_bytes(GOOD.encode() + b"\0\xff")
    ended = agent.call("run", "--plan", "plan.txt", "--out", "result")
    assert (ended.exit, ended.stderr) == (2, "plan.txt: line 14: the file holds a NUL byte\n")


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["walk"],
        ["run", "--plan", "plan.txt"],
        ["run", "--out", "result"],
        ["run", "--plan", "plan.txt", "--out", "result", "--deadline", "-1"],
        ["run", "--plan", "plan.txt", "--out", "result", "--deadline", "nan"],
        ["run", "--plan", "plan.txt", "--out", "result", "--max-memory", "1x"],
        ["run", "--plan", "plan.txt", "--out"],
        ["probe", "--out", "probe.json", "--only", "metal"],
        ["version", "--xml"],
    ],
)
def test_usage(agent: Any, args: list[str]) -> None:
    ended = agent.call(*args)
    assert ended.exit == 2 and ended.stderr and not ended.stdout
    assert not list(agent.directory.iterdir())


def test_a_plan_that_is_not_there(agent: Any) -> None:
    ended = agent.call("run", "--plan", "plan.txt", "--out", "result")
    assert (ended.exit, ended.stderr) == (2, "plan.txt: No such file or directory\n")


def test_damaged_plans_never_crash_it(agent: Any) -> None:
    """Exit 0 or 2, whatever the damage; the seed is fixed, so that a failure can be repeated."""
    chance = random.Random(20261123)
    whole = GOOD.encode()
    pieces = [b"\n", b" ", b"=", b",", b":", b"..", b"\0", b"\xff", b"-", b"9" * 19, b"1e308", b"end\n", b"#"]
    for _ in range(150):
        text = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text))
            match chance.randrange(4):
                case 0:
                    del text[at : at + chance.randint(1, 20)]
                case 1:
                    text[at:at] = chance.choice(pieces)
                case 2:
                    text[at] = chance.randrange(256)
                case _:
                    start = chance.randrange(len(text))
                    text[at:at] = text[start : start + chance.randint(1, 60)]
        Path(agent.directory / "plan.txt").write_bytes(text)
        ended = agent.call("run", "--plan", "plan.txt", "--out", "result", "--max-memory", "1000000")
        assert ended.exit in (0, 2), (ended.exit, bytes(text))
