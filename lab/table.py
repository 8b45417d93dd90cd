"""The phones of a lab run as a Markdown table, for a CI job's summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..base.names import Exit
from ..base.units import seconds
from ..reports.writers.markdown import table
from .job import JobEnd, JobRow


def markdown(rows: Sequence[JobRow]) -> str:
    """A headline with counts and a row a phone; those that need somebody first."""
    counts = Counter(row.verdict if row.status is JobEnd.DONE and row.verdict else row.status for row in rows)
    ordered = sorted(rows, key=lambda row: (row.exit() is Exit.PASS, row.serial))
    lines = ["# gemmafit: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()), ""]
    lines += table(
        ("phone", "group", "ended", "verdict", "time", "what happened"),
        ((r.serial, r.group, r.status, r.verdict or "", seconds(r.seconds), _said(r)) for r in ordered),
    )
    return "\n".join(lines) + "\n"


def _said(row: JobRow) -> str:
    return " → ".join(filter(None, (row.error, row.hint)))
