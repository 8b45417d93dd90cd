"""JUnit XML: a test case per backend and per variant x backend, as CI systems show them.

pass and warn are passed cases; fail is a failure; error is an error; unknown and skip are skipped, with
the reason, because a fact that is missing is not a failed test.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from ...base.names import CheckStatus
from ..report import Check, Report

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 has no way to write these characters, not even escaped."""


def write(report: Report) -> str:
    """One `testsuites` document with the suites `backends`, `variants` and `verdict`."""
    root = ET.Element("testsuites", name="gemmafit")
    device = _text(" ".join(filter(None, (report.device.get("manufacturer"), report.device.get("model")))))
    checks = {check.reason or check.id: check for check in report.checks}
    _suite(
        root,
        "backends",
        device,
        ((name, result.status, result.reasons, checks) for name, result in report.backends.items()),
    )
    _suite(
        root,
        "variants",
        device,
        ((f"{v.id} on {v.backend}", v.status, v.reasons, checks) for v in report.variants),
    )
    verdict = {
        "pass": CheckStatus.PASS,
        "degraded": CheckStatus.WARN,
        "fail": CheckStatus.FAIL,
        "inconclusive": CheckStatus.UNKNOWN,
    }[report.verdict]
    _suite(root, "verdict", device, [("verdict", verdict, (report.summary,), checks)])
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


_Case = tuple[str, CheckStatus, tuple[str, ...], dict[str, Check]]


def _suite(root: ET.Element, name: str, device: str, cases: Iterable[_Case]) -> None:
    suite = ET.SubElement(root, "testsuite", name=f"gemmafit.{name}")
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for title, status, reasons, checks in cases:
        counts["tests"] += 1
        case = ET.SubElement(
            suite, "testcase", classname=f"gemmafit.{name}.{device}", name=_text(title), time="0"
        )
        why = _text("; ".join(reasons) or str(status))
        detail = _text("\n".join(_line(checks[r]) for r in reasons if r in checks))
        match status:
            case CheckStatus.FAIL:
                counts["failures"] += 1
                ET.SubElement(case, "failure", message=why, type="fail").text = detail
            case CheckStatus.ERROR:
                counts["errors"] += 1
                ET.SubElement(case, "error", message=why, type="error").text = detail
            case CheckStatus.UNKNOWN | CheckStatus.SKIP:
                counts["skipped"] += 1
                ET.SubElement(case, "skipped", message=why)
            case CheckStatus.WARN:
                ET.SubElement(case, "system-out").text = why
            case CheckStatus.PASS:
                pass
    for key, value in counts.items():
        suite.set(key, str(value))


def _line(check: Check) -> str:
    return f"{check.id}: found {check.found}, required {check.required}. {check.because}"


def _text(value: str) -> str:
    return _NOT_XML.sub("\ufffd", value)
