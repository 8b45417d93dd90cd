"""Workflow commands: what stands in the way, as annotations that GitHub shows beside a job."""

from __future__ import annotations

from ...base.names import CheckStatus, Verdict
from ..report import Report

_LEVEL = {CheckStatus.FAIL: "error", CheckStatus.ERROR: "error", CheckStatus.UNKNOWN: "warning"}
_VERDICT = {
    Verdict.PASS: "notice",
    Verdict.DEGRADED: "warning",
    Verdict.FAIL: "error",
    Verdict.INCONCLUSIVE: "warning",
}


def write(report: Report) -> str:
    """The verdict first, then one line a check that failed or is unknown."""
    name = " ".join(str(report.device.get(k)) for k in ("manufacturer", "model") if report.device.get(k))
    title = f"{name or report.target.get('serial', '?')}: {report.verdict}"
    lines = [_command(_VERDICT[report.verdict], title, report.summary)]
    for check in report.checks:
        if (level := _LEVEL.get(check.status)) is not None:
            remedy = f" {check.remedy}" if check.remedy else ""
            lines.append(_command(level, f"{name}: {check.id}", f"{check.because}{remedy}"))
    return "\n".join(lines) + "\n"


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    """Escaped so that nothing of a device can start a workflow command of its own."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
