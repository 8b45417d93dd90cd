"""Workflow commands: what stands in the way, as annotations that GitHub shows beside a job."""

from __future__ import annotations

from ...base.names import CheckStatus, Exit, Verdict
from ..report import Report

_LEVEL = {CheckStatus.FAIL: "error", CheckStatus.ERROR: "error", CheckStatus.UNKNOWN: "warning"}
_MILDER = {"error": "warning", "warning": "notice"}
"""Where the job is green all the same."""
_VERDICT = {
    Verdict.PASS: "notice",
    Verdict.DEGRADED: "warning",
    Verdict.FAIL: "error",
    Verdict.INCONCLUSIVE: "error",
}


def write(report: Report) -> str:
    """The verdict, then a line for each check that failed or is unknown; errors only where the job is red."""
    green = report.exit() is Exit.PASS
    lines = [_command(_VERDICT[report.verdict], f"{report.name}: {report.verdict}", report.summary)]
    if report.incomplete is not None:
        lines.append(_command("error", f"{report.name}: the run broke", report.incomplete))
    for check in report.checks:
        if (level := _LEVEL.get(check.status)) is not None:
            remedy = f" {check.remedy}" if check.remedy else ""
            text = f"{check.because}{remedy} Found: {check.found}. Required: {check.required}."
            lines.append(_command(_MILDER[level] if green else level, f"{report.name}: {check.id}", text))
    return "\n".join(lines) + "\n"


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    """Escaped so that nothing of a device can start a workflow command of its own."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
