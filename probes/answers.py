"""What kind of answer a question got: missing, refused, empty, cut, or something to read.

`adb shell` mixes complaints into stdout on old devices and loses exit codes there, so that the text
decides where the exit status does not.
"""

from __future__ import annotations

import re

from ..base.names import AnswerStatus
from .capture import Answer

_REFUSED = re.compile(
    r"permission denied|operation not permitted|permission denial|not allowed to|requires android\.permission"
    r"|securityexception",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"no such file or directory|inaccessible or not found|: not found|can't find service"
    r"|could not find service|unknown command|is not recognized|no such device|unable to find package",
    re.IGNORECASE,
)
_COMPLAINT_CHARS = 400
"""A complaint is a short text; a long answer that mentions one (a log, a dump) is still an answer."""


def status(answer: Answer | None) -> AnswerStatus:
    """Missing, refused and empty are three different results."""
    if answer is None:
        return AnswerStatus.MISSING
    text = answer.out.strip()
    if len(text) <= _COMPLAINT_CHARS:
        if _REFUSED.search(text):
            return AnswerStatus.REFUSED
        if _MISSING.search(text):
            return AnswerStatus.MISSING
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
