"""JUnit XML: the verdict, then a test case per backend and per variant x backend, as CI systems show them.

A case is red only where the job is: where the verdict, or a run that broke, leads to an exit status that is
not 0. What fails on a green job (a file that a phone cannot load beside one that it can) is skipped, and says
so. A file that nobody asked about, a fact that is missing and a question not asked are skipped too; a warning
passes. Under each case stand its own checks and nobody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from ...base.names import CheckStatus, Exit, Verdict
from ..report import Check, Report, VariantResult

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 has no way to write these characters, not even escaped."""

_ELEMENT = {
    CheckStatus.PASS: "system-out",
    CheckStatus.WARN: "system-out",
    CheckStatus.FAIL: "failure",
    CheckStatus.ERROR: "error",
    CheckStatus.UNKNOWN: "skipped",
    CheckStatus.SKIP: "skipped",
}
_COUNTS = {"failure": "failures", "error": "errors", "skipped": "skipped"}
_VERDICT = {
    Verdict.PASS: CheckStatus.PASS,
    Verdict.DEGRADED: CheckStatus.WARN,
    Verdict.FAIL: CheckStatus.FAIL,
    Verdict.INCONCLUSIVE: CheckStatus.ERROR,
}
"""An undecided phone is an error and not a failure: its exit status is red, and nothing was found to fail."""


@dataclass(frozen=True)
class _Case:
    name: str
    status: CheckStatus
    why: str
    checks: Sequence[Check] = ()


def write(report: Report) -> str:
    """One `testsuites` document with the suites `verdict`, `backends` and `variants`."""
    root = ET.Element("testsuites", name="gemmafit")
    red = report.exit() is not Exit.PASS
    for name, cases in (
        ("verdict", [_verdict(report)]),
        ("backends", list(_backends(report, red))),
        ("variants", [_variant(report, row, red) for row in report.variants]),
    ):
        _suite(root, f"gemmafit.{name}", report.name, cases)
    for key in ("tests", *_COUNTS.values()):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _verdict(report: Report) -> _Case:
    if report.incomplete is not None:
        return _Case("verdict", CheckStatus.ERROR, f"the run broke: {report.incomplete}")
    return _Case("verdict", _VERDICT[report.verdict], f"{report.verdict}: {report.summary}")


def _backends(report: Report, red: bool) -> Iterator[_Case]:
    for name, row in report.backends.items():
        yield _case(name, row.status, row.reasons, report.about(backend=name), red)


def _variant(report: Report, row: VariantResult, red: bool) -> _Case:
    name, own = f"{row.id} on {row.backend}", report.about(variant=row.id, backend=row.backend)
    if not own:
        codes = f": {', '.join(row.reasons)}" if row.reasons else ""
        return _Case(name, CheckStatus.SKIP, f"not asked for; {row.status}{codes}")
    return _case(name, row.status, row.reasons, [*own, *_shared(report, row)], red)


def _shared(report: Report, row: VariantResult) -> list[Check]:
    """What a file shares with others of its backend or runtime: its reasons that one check alone has."""
    shared = [*report.about(backend=row.backend), *report.about(runtime=row.runtime)]
    codes = [check.reason for check in shared]
    return [c for c in shared if c.reason in row.reasons and codes.count(c.reason) == 1]


def _case(
    name: str, status: CheckStatus, reasons: Sequence[str], checks: Sequence[Check], red: bool
) -> _Case:
    why = "; ".join(reasons) or str(status)
    if status in (CheckStatus.FAIL, CheckStatus.ERROR) and not red:
        return _Case(name, CheckStatus.SKIP, f"{status}, which the verdict does not rest on: {why}", checks)
    return _Case(name, status, why, checks)


def _suite(root: ET.Element, name: str, device: str, cases: Sequence[_Case]) -> None:
    suite = ET.SubElement(root, "testsuite", name=name, tests=str(len(cases)))
    elements = [_ELEMENT[case.status] for case in cases]
    for element, key in _COUNTS.items():
        suite.set(key, str(elements.count(element)))
    for case, element in zip(cases, elements, strict=True):
        entry = ET.SubElement(
            suite, "testcase", classname=_text(f"{name}.{device}"), name=_text(case.name), time="0"
        )
        answer = ET.SubElement(entry, element)
        lines = [_line(check) for check in case.checks]
        if element == "system-out":
            lines.insert(0, case.why)
        else:
            answer.set("message", _text(case.why))
        if element in ("failure", "error"):
            answer.set("type", str(case.status))
        answer.text = _text("\n".join(lines))


def _line(check: Check) -> str:
    return f"{check.status} {check.id}: found {check.found}, required {check.required}. {check.because}"


def _text(value: str) -> str:
    return _NOT_XML.sub("\ufffd", value)
