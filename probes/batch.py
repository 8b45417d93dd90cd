"""Many questions to a shell in one round trip: one generated sh script, one stream of framed answers.

What the script needs of the shell, and why, stands in shell.py. Every command runs in a process group of its
own with a deadline kept by a watchdog beside it, its output is capped where it arises, and its answer is
framed by a token of 128 random bits that no output can know.

The exit status is carried inside the frame: an adb daemon without shell_v2 reports none, merges stderr
and may turn LF into CR LF, which is seen from the first frame and undone exactly.
"""

from __future__ import annotations

import math
import re
import secrets
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import shell
from .capture import Answer
from .target import Command

LIMIT_LEGACY = 3900
"""Bytes of a script that an adb daemon before shell_v2 takes in one request (its MAX_PAYLOAD is 4096)."""
LIMIT = 32000
"""Bytes of a script otherwise: an adb server takes 65535 in one request."""

SIGKILL, SIGPIPE = 137, 141  # exit statuses as a shell reports them: 128 + signal

# cap: toybox has `head -c` from Android 8 on; before, dd reads byte by byte (a read from a pipe may be short,
#    larger input blocks would cut an answer early), about 1 us a byte.
# The status leaves the pipe through descriptor 3, the output through 4. stderr is dropped, as a daemon
# without shell_v2 could not keep it apart. No function is called r: mksh has an alias of that name.
_PROLOGUE = f"""\
{shell.GROUPS}\
if [ "$(echo abc | head -c 2 2>/dev/null)" = ab ]
then cap() {{ head -c $1; }}
elif [ "$(echo abc | dd ibs=1 obs=4096 count=2 2>/dev/null)" = ab ]
then cap() {{ dd ibs=1 obs=4096 count=$1 2>/dev/null; }}
else cap() {{ cat; }}
fi
exec 4>&1
ask() {{
s=$( {{ {{ limited $2 sh -c "$4" </dev/null 5>&3 3>&- 4>&-
echo $e >&3; }} 2>/dev/null | cap $3 >&4; }} 3>&1 2>/dev/null )
echo
echo $t $1 $s
}}
echo $t start
"""

BINDER_SECONDS = 3
"""What a question to a system service may take once another did not answer in its time; honest ones take
0.05 to 2 s."""
BINDER_STRIKES = 2
"""So many questions in a row without an answer, and the system services are given up."""

# svc: ask a system service. b counts those in a row that did not answer in time: after the first, the next
#    has a short deadline; after the second the others are not asked, as each would wait in vain for its whole
#    time. One that answers shows that only its neighbour was stuck. Nothing is asked for this alone: no
#    single question tells whether the others would be answered.
_BINDER = """\
b={strikes}
svc() {{
n=$2
case $b in
{given_up}) echo; echo $t $1 down; return;;
0) ;;
*) [ $n -gt {seconds} ] && n={seconds};;
esac
ask $1 $n $3 "$4"
case $s in late*) b=$((b+1));; *) b=0;; esac
}}
"""


@dataclass(frozen=True)
class Batch:
    """A script, and what is needed to read its output back."""

    commands: tuple[Command, ...]
    script: str
    token: str

    @property
    def deadline(self) -> float:
        """Seconds after which the script is over even if every command runs into its deadline."""
        return sum(_seconds(c) + 1.0 for c in self.commands)

    @property
    def max_bytes(self) -> int:
        """More than this does not come from the script that was sent."""
        return 2 * sum(c.max_bytes + 200 for c in self.commands) + 200


@dataclass(frozen=True)
class Reading:
    """What a batch's output says.

    Attributes:
        answers: of the commands that came to an end, by key.
        rest: the commands that did not, in order; the first of them was running when the stream ended.
        partial: what the first of `rest` had printed.
        started: the script began to run. Otherwise the output is an error of somebody else.
    """

    answers: dict[str, Answer]
    rest: tuple[Command, ...]
    partial: bytes
    started: bool


def batches(commands: Sequence[Command], limit: int = LIMIT, strikes: int = 0) -> list[Batch]:
    """The commands in their order, in as few scripts as fit into `limit` bytes each.

    Args:
        strikes: questions to system services in a row that were not answered before, by `count_strikes`.
    """
    groups: list[list[Command]] = []
    size = 0
    room = limit - len(_PROLOGUE) - len(_BINDER) - 64
    for command in commands:
        cost = len(_line(0, command).encode()) + 2  # an index of up to three digits
        if not groups or size + cost > room:
            groups.append([])
            size = 0
        groups[-1].append(command)
        size += cost
    return [_batch(group, strikes) for group in groups]


def count_strikes(commands: Iterable[Command], answers: Mapping[str, Answer], strikes: int) -> int:
    """`strikes` after these commands, as the script counts them."""
    for command in commands:
        answer = answers.get(command.key)
        if command.binder and answer is not None and not answer.skipped:
            strikes = strikes + 1 if answer.timed_out else 0
    return min(strikes, BINDER_STRIKES)


def read(batch: Batch, output: bytes) -> Reading:
    """Take the stream of a batch apart. Never raises: what is not there is in `rest`."""
    token = batch.token.encode()
    start = re.search(re.escape(token) + rb" start(\r?)\n", output)
    if start is None:
        return Reading({}, batch.commands, b"", started=False)
    eol = start[1] + b"\n"
    position = start.end()
    answers: dict[str, Answer] = {}
    for index, command in enumerate(batch.commands):
        frame = re.compile(
            re.escape(eol + token) + rb" %d ?(late|down)?[ ]?(\d{1,3})?" % index + re.escape(eol)
        ).search(output, position)
        if frame is None:
            return Reading(answers, batch.commands[index:], _undo(output[position:], eol), started=True)
        body = _undo(output[position : frame.start()], eol)
        status = int(frame[2]) if frame[2] else None
        skipped = frame[1] == b"down"
        answers[command.key] = (
            Answer(None, "", skipped=True)
            if skipped
            else answer(command, body, status, timed_out=frame[1] is not None)
        )
        position = frame.end()
    return Reading(answers, (), b"", started=True)


def answer(command: Command, body: bytes, status: int | None, *, timed_out: bool = False) -> Answer:
    """The answer to `command` made of bytes, cut to its limit.

    A command that was ended by the deadline or by the cut has no exit status of its own.
    """
    cut = max(0, len(body) - command.max_bytes)
    body = body[: command.max_bytes]
    if (timed_out and status == SIGKILL) or (cut and status == SIGPIPE):
        status = None
    text = body.decode("utf-8", "replace")
    raw = None if _printable(body, text) else body
    return Answer(status, text, raw=raw, cut=cut, timed_out=timed_out)


def _seconds(command: Command) -> int:
    return max(1, math.ceil(command.deadline))


def _line(index: int, command: Command) -> str:
    # One byte more than the limit: that it comes tells that there was more.
    word = "svc" if command.binder else "ask"
    return f"{word} {index} {_seconds(command)} {command.max_bytes + 1} {shlex.quote(command.script)}\n"


def _batch(commands: Sequence[Command], strikes: int) -> Batch:
    token = secrets.token_hex(16)
    script = shell.token_lines(token) + _PROLOGUE
    if any(command.binder for command in commands):
        script += _BINDER.format(strikes=strikes, given_up=BINDER_STRIKES, seconds=BINDER_SECONDS)
    lines = map(_line, range(len(commands)), commands)
    return Batch(tuple(commands), script + "".join(lines), token)


def _undo(body: bytes, eol: bytes) -> bytes:
    # A terminal in its default mode writes CR LF for every LF, so this is its exact inverse.
    return body.replace(b"\r\n", b"\n") if eol == b"\r\n" else body


def _printable(body: bytes, text: str) -> bool:
    return not _CONTROL.search(text) and text.encode("utf-8", "replace") == body


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
