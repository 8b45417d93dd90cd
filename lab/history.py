"""Reports kept over years: SQLite by default, PostgreSQL by URL, through SQLAlchemy for both.

Append only. A report is stored whole (compressed JSON) beside the few columns that questions are asked by;
what is asked of a report later is always answered from the report itself, with today's code.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..base.errors import InputError, UsageError
from ..reports.report_io import from_dict, to_dict
from .collection import ReportSource, phone, text

try:
    import sqlalchemy as sa
except ModuleNotFoundError as error:  # the extra is optional
    raise UsageError("a history needs the package sqlalchemy", hint="pip install 'gemmafit[lab]'") from error

DEFAULT = "gemmafit-history.db"
BATCH = 500

_METADATA = sa.MetaData()

_REPORTS = sa.Table(
    "reports",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("label", sa.String(200), nullable=False),
    sa.Column("added", sa.String(32), nullable=False),
    sa.Column("created", sa.String(32), nullable=False),
    sa.Column("phone", sa.String(400), nullable=False),
    sa.Column("name", sa.String(400), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("choice", sa.String(400)),
    sa.Column("gpu", sa.String(200)),
    sa.Column("driver", sa.String(400)),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("reports_phone_created", "phone", "created"),
    sa.Index("reports_label", "label"),
)


@dataclass(frozen=True)
class HistoryEntry:
    """One line of `history list`."""

    id: int
    created: str
    label: str
    name: str
    phone: str
    verdict: str
    choice: str | None
    gpu: str | None
    driver: str | None


@dataclass(frozen=True)
class Selection:
    """Which reports: of a label, of a phone (part of its name or key), not newer than a moment (ISO 8601)."""

    label: str | None = None
    phone: str | None = None
    until: str | None = None


class History:
    """An open history. Use `open_history`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        _METADATA.create_all(engine)

    def add(self, sources: Iterable[ReportSource], label: str = "") -> tuple[int, int]:
        """Append reports; returns (added, already there). A report is known by the hash of its content."""
        added = known = 0
        now = datetime.now(UTC).isoformat(timespec="seconds")
        batch: list[dict[str, Any]] = []
        with self._engine.begin() as connection:
            for source in sources:
                batch.append(_row(source, label, now))
                if len(batch) == BATCH:
                    done = self._insert(connection, batch)
                    added, known, batch = added + done, known + BATCH - done, []
            done = self._insert(connection, batch)
            return added + done, known + len(batch) - done

    def _insert(self, connection: sa.Connection, batch: list[dict[str, Any]]) -> int:
        if not batch:
            return 0
        hashes = [row["sha256"] for row in batch]
        there = set(connection.scalars(sa.select(_REPORTS.c.sha256).where(_REPORTS.c.sha256.in_(hashes))))
        fresh = {row["sha256"]: row for row in batch if row["sha256"] not in there}
        if fresh:
            connection.execute(sa.insert(_REPORTS), list(fresh.values()))
        return len(fresh)

    def entries(self, selection: Selection, limit: int) -> list[HistoryEntry]:
        """The newest first."""
        columns = [_REPORTS.c[field] for field in HistoryEntry.__dataclass_fields__]
        query = (
            sa.select(*columns)
            .where(*_conditions(selection))
            .order_by(_REPORTS.c.created.desc(), _REPORTS.c.id.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [HistoryEntry(*row) for row in connection.execute(query)]

    def report(self, identifier: int) -> ReportSource:
        """One report by its id. Raises InputError if there is none."""
        with self._engine.connect() as connection:
            body = connection.scalar(sa.select(_REPORTS.c.body).where(_REPORTS.c.id == identifier))
        if body is None:
            raise InputError(f"no report {identifier} in this history")
        return _source(identifier, body)

    def newest(self, selection: Selection = Selection()) -> Iterator[ReportSource]:
        """The newest report of each phone within the selection, one at a time."""
        ranked = (
            sa.select(
                _REPORTS.c.id,
                sa.func.row_number()
                .over(
                    partition_by=_REPORTS.c.phone,
                    order_by=(_REPORTS.c.created.desc(), _REPORTS.c.id.desc()),
                )
                .label("place"),
            )
            .where(*_conditions(selection))
            .subquery()
        )
        query = (
            sa.select(_REPORTS.c.id, _REPORTS.c.body)
            .join(ranked, ranked.c.id == _REPORTS.c.id)
            .where(ranked.c.place == 1)
            .order_by(_REPORTS.c.id)
            .execution_options(yield_per=BATCH)
        )
        with self._engine.connect() as connection:
            for identifier, body in connection.execute(query):
                yield _source(identifier, body)


@contextmanager
def open_history(where: str) -> Iterator[History]:
    """Open a SQLite file by path or any database by URL (postgresql+psycopg://...).

    Raises UsageError when it cannot be opened, naming the missing driver if that is why.
    """
    url = where if "://" in where else f"sqlite:///{Path(where)}"
    try:
        engine = sa.create_engine(url)
    except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
        raise UsageError(
            f"history {_masked(url)}: {error}", hint="For PostgreSQL: pip install 'gemmafit[postgresql]'."
        ) from error
    try:
        yield History(engine)
    except (sa.exc.OperationalError, sa.exc.DatabaseError) as error:
        reason = str(error.orig or error).splitlines()[0]
        raise UsageError(f"history {_masked(url)}: {reason}") from error
    finally:
        engine.dispose()


def _masked(url: str) -> str:
    """The URL without its password."""
    return sa.make_url(url).render_as_string(hide_password=True) if "://" in url else url


def _row(source: ReportSource, label: str, now: str) -> dict[str, Any]:
    report = source.report
    body = msgspec.json.encode(to_dict(report))
    best = report.recommendation
    return {
        "sha256": hashlib.sha256(body).hexdigest(),
        "label": label,
        "added": now,
        "created": report.created,
        "phone": phone(report)[:400],
        "name": report.name[:400],
        "verdict": str(report.verdict),
        "choice": best.choice[:400] if best else None,
        "gpu": (text(report.device, "gpu", "model") or "")[:200] or None,
        "driver": (text(report.device, "gpu", "driver") or "")[:400] or None,
        "body": zlib.compress(body, 6),
    }


def _source(identifier: int, body: bytes) -> ReportSource:
    where = f"history:{identifier}"
    return ReportSource(where, from_dict(msgspec.json.decode(zlib.decompress(body)), where))


def _conditions(selection: Selection) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if selection.label is not None:
        conditions.append(_REPORTS.c.label == selection.label)
    if selection.phone is not None:
        conditions.append(
            sa.or_(
                _REPORTS.c.phone.contains(selection.phone, autoescape=True),
                _REPORTS.c.name.contains(selection.phone, autoescape=True),
            )
        )
    if selection.until is not None:
        conditions.append(_REPORTS.c.created <= selection.until)
    return conditions
