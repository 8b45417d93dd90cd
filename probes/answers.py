"""What kind of answer a question got: missing, refused, empty, cut, or something to read.

`adb shell` mixes complaints into stdout on old devices and loses exit codes there, so that the text
decides where the exit status does not.
"""

from __future__ import annotations

import re

from ..base.names import AnswerStatus
from .capture import Answer

_WHO = r"(?:[^\s:][^:]{0,200}: ){0,3}"
"""Who complains: `sh: `, `/system/bin/sh: `, `cat: /x: `, `sh: <stdin>[3]: `, `cmd: `."""


def _complaint(*forms: str) -> re.Pattern[str]:
    """A line that is a complaint: nothing but who complains and one of these. Elsewhere in a line the same
    words may be a layer's, a file's or an app's name."""
    return re.compile(rf"^[ \t]*{_WHO}(?:{'|'.join(forms)})[ \t\r]*$", re.IGNORECASE | re.MULTILINE)


_REFUSED = _complaint(
    r"permission denied\.?",
    r"operation not permitted\.?",
    r"permission denial\b.*",
    r"java\.lang\.securityexception\b.*",
    r"security exception\b.*",
    r"[^:\n]{0,200}\b(?:not allowed to|requires android\.permission)\b.*",
)
_MISSING = _complaint(
    r"no such file or directory\.?",
    r"(?:inaccessible or )?not found",
    r"can't find service\b.*",
    r"could not find service\b.*",
    r"unknown command\b.*",
    r"'?[^':\n]{0,80}'? is not recognized\b.*",
    r"no such device( or address)?",
    r"unable to find package\b.*",
)
_DOWN = _complaint(
    r"(?:dumpsys|service|cmd|am): unable to get default service manager!?",
    r"unable to get default service manager!?",
    r"failure (?:while )?calling service\b.*",
    r"failure\b.{0,80}",
    r"error dumping service info\b.*",
    r".{0,120}\bis the system running\?.*",
)
_COMPLAINTS = (
    (_REFUSED, AnswerStatus.REFUSED),
    (_MISSING, AnswerStatus.MISSING),
    (_DOWN, AnswerStatus.DOWN),
)
_COMPLAINT_LINES = 2
"""A linker's warning or a heading may stand before it; of two questions in one, the second may fail alone."""
_COMPLAINT_CHARS = 400
"""A complaint is a short text; a long answer that mentions one (a log, a dump) is still an answer."""


def status(answer: Answer | None) -> AnswerStatus:
    """Missing, refused and empty are three different results."""
    if answer is None:
        return AnswerStatus.MISSING
    if answer.skipped:
        return AnswerStatus.DOWN
    text = answer.out.strip()
    if len(text) <= _COMPLAINT_CHARS:
        first = "\n".join([line for line in text.splitlines() if line.strip()][:_COMPLAINT_LINES])
        for complaint, ended in _COMPLAINTS:
            if complaint.search(first):
                return ended
    if answer.timed_out:
        return AnswerStatus.TIMEOUT
    if not text and answer.raw is None:
        if answer.exit == 127:
            return AnswerStatus.MISSING
        if answer.exit == 126:
            return AnswerStatus.REFUSED
        return AnswerStatus.EMPTY
    return AnswerStatus.CUT if answer.cut else AnswerStatus.OK


READABLE = frozenset({AnswerStatus.OK, AnswerStatus.CUT, AnswerStatus.TIMEOUT})
"""There is text worth parsing; what came before a deadline is worth something."""
