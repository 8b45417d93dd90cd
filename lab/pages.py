"""Pages about many phones: a comparison, a coverage matrix, a lab run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .. import __version__
from ..base.names import Verdict
from ..base.units import percent
from ..reports.pages import charts
from ..reports.pages.render import environment
from .compare import ChangeKind, Comparison
from .job import JobEnd, JobRow
from .matrix import Matrix

_KINDS = {
    ChangeKind.REGRESSION: "fail",
    ChangeKind.IMPROVEMENT: "pass",
    ChangeKind.CHANGE: "warn",
    ChangeKind.UNCLEAR: "unknown",
}


def comparison_page(comparison: Comparison, before: str, after: str, threshold: float) -> str:
    """The page of a comparison: a wall of phones, then what changed in each."""
    worst = comparison.worst
    verdict = (
        {"status": _KINDS[worst], "word": worst} if worst else {"status": "pass", "word": "no regression"}
    )
    cells = [
        (phone.name, _KINDS[phone.changes[0].kind] if phone.changes else "skip",
         str(phone.changes[0].kind) if phone.changes else "unchanged")
        for phone in comparison.phones
    ]  # fmt: skip
    return environment().get_template("comparison.html").render(
        comparison=comparison, before=before, after=after, threshold=percent(threshold), verdict=verdict,
        wall=charts.grid("Phones", cells), styles=_KINDS, version=__version__,
        changed=any(phone.changes for phone in comparison.phones),
    )  # fmt: skip


def matrix_page(matrix: Matrix) -> str:
    """The page of a coverage matrix."""
    return (
        environment()
        .get_template("matrix.html")
        .render(matrix=matrix, verdicts=[str(v) for v in Verdict], version=__version__)
    )


_ENDED = {
    JobEnd.DONE: "pass",
    JobEnd.PARTIAL: "fail",
    JobEnd.FAILED: "fail",
    JobEnd.UNREACHABLE: "warn",
    JobEnd.STOPPED: "unknown",
}


def lab_page(rows: Sequence[JobRow], folder: str) -> str:
    """The page of a lab run: a wall of phones by verdict, then how each ended."""
    cells = [(row.serial, row.verdict or _ENDED[row.status], row.verdict or row.status) for row in rows]
    counts = [f"{count} {status}" for status, count in Counter(row.status for row in rows).items()]
    return environment().get_template("lab.html").render(
        rows=rows, folder=folder, counts=counts, wall=charts.grid("Phones", cells), styles=_ENDED,
        version=__version__,
    )  # fmt: skip
