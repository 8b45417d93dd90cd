"""What people ask beside the verdict, and what decides nothing: pages of 16 KB, and Android's own model."""

from __future__ import annotations

from ...base.names import CheckStatus
from ...reports.report import Check
from ..case import Case, Question
from .loads import PAGE

_AICORE = (
    "AICore is there: an app may ask it for Gemini Nano instead of shipping a file. Whether it has a model "
    "for this phone, only its own check says."
)


def aicore(case: Case) -> list[Check]:
    """Whether Android's own language model service is installed; nothing where that was not asked."""
    there = case.snapshot.aicore
    if there is None:
        return []
    return [
        case.check(
            Question("device", "aicore"),
            CheckStatus.PASS if there else CheckStatus.SKIP,
            "device.no-aicore",
            found=f"com.google.android.aicore is {'' if there else 'not '}installed",
            required="for ML Kit's GenAI functions only",
            because=_AICORE if there else None,
        )
    ]


def pages(case: Case) -> list[Check]:
    """That the system can be switched to larger pages, on a phone that does not have them now."""
    android = case.snapshot.android
    if android is None or (android.page_bytes_max or 0) <= PAGE or (android.page_bytes or PAGE) > PAGE:
        return []
    return [
        case.check(
            Question("device", "pages"),
            CheckStatus.WARN,
            "device.pages",
            found=f"pages of {PAGE >> 10} KB now, up to {(android.page_bytes_max or 0) >> 10} KB",
            required="libraries linked for both",
        )
    ]


def notes(case: Case) -> list[str]:
    """The same in a line each, for whoever reads no checks."""
    checks = (*pages(case), *aicore(case))
    return [
        *(f"{check.because} {check.remedy or ''}".rstrip() for check in checks),
    ]
