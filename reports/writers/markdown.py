"""Markdown: the report as a page for an issue, a pull request or a CI job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...base.names import CheckStatus, Column
from ..figures import measured, predicted
from ..report import Report

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")

_MARK = {
    CheckStatus.PASS: "✅",
    CheckStatus.WARN: "⚠️",
    CheckStatus.FAIL: "❌",
    CheckStatus.UNKNOWN: "❔",
    CheckStatus.SKIP: "➖",
    CheckStatus.ERROR: "💥",
}


def write(report: Report) -> str:
    """Headline, recommendation, backends, variants and every check that is not a plain pass."""
    lines = [f"# gemmafit: {escape(report.name)}: {report.verdict.upper()}", "", escape(report.summary), ""]
    if (best := report.recommendation) is not None:
        lines += [
            f"**Ship** `{_code(best.file)}` on {escape(best.backend)} with {escape(best.runtime)}"
            f" (evidence: {best.evidence})",
            "",
            escape(best.because),
            "",
        ]
        lines += [f"Dependency: `{_code(best.dependency)}`", ""] if best.dependency is not None else []
    if report.fallback:
        chain = " → ".join(f"`{_code(s.variant)}` on {escape(s.backend)}" for s in report.fallback)
        lines += [f"**Fallback chain:** {chain}", ""]
    lines += [*_backends(report), "", *_files(report)]
    if report.notes:
        lines += ["", "## About the measurements", "", *(f"- {escape(note)}" for note in report.notes)]
    notable = [c for c in report.checks if c.status is not CheckStatus.PASS]
    if notable:
        lines += ["", "## What stands in the way", ""]
        lines += table(
            ("check", "status", "found", "required", "why", "what to do"),
            ((c.id, _status(c.status), c.found, c.required, c.because, c.remedy or "") for c in notable),
        )
    lines += ["", f"gemmafit {escape(report.tool.get('version', '?'))}, {escape(report.created)}", ""]
    return "\n".join(lines)


def _backends(report: Report) -> list[str]:
    rows = (
        (
            backend,
            _status(row.status),
            *(_MARK[getattr(row, c)] for c in Column),
            measured(report.measurements, backend),
            row.scope,
            ", ".join(row.reasons),
        )
        for backend, row in report.backends.items()
    )
    head = ("backend", "status", *Column, "measured", "scope", "reasons")
    return ["## Backends", "", *table(head, rows)]


def _files(report: Report) -> list[str]:
    rows = (
        (v.file, v.backend, _status(v.status), *predicted(v.predicted), v.evidence, ", ".join(v.reasons))
        for v in report.variants
    )
    head = (
        "file",
        "backend",
        "status",
        "prefill tok/s",
        "decode tok/s",
        "peak memory",
        "evidence",
        "reasons",
    )
    return ["## Model files", "", *table(head, rows)]


def _status(status: CheckStatus) -> str:
    return f"{_MARK[status]} {status}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table; cells are escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows]
    return lines


def escape(text: object) -> str:
    """One line; nothing in it is markup or HTML any more."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())
