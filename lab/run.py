"""`gemmafit lab run`: the plan is written first, results as they come, and a run that stopped resumes.

DIR/plan.json         every phone of the run, with its group
DIR/results.jsonl     one line a phone as it finishes; never rewritten
DIR/<phone>/report.yaml
"""

from __future__ import annotations

import hashlib
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from ..base import files
from ..base.errors import GemmafitError, InputError, UsageError
from ..base.names import ReportFormat
from ..reports.writers import writer
from .inventory import NO_SERVER, READY, Group, Inventory, Phone, absent, assign
from .job import Control, Finished, Job, JobEnd, JobRow
from .pool import Pool

PLAN, RESULTS = "plan.json", "results.jsonl"
MAX_BYTES = 256 << 20
"""Of a plan and of its results. A phone has some 500 bytes in each."""
FINAL = frozenset({JobEnd.DONE, JobEnd.UNREACHABLE})
"""Rows that `--resume` does not run again; broken, failed and stopped ones it does."""


class Jobs(msgspec.Struct, frozen=True):
    """What a run is going to do. `unreachable` rows need no job: they are results already."""

    jobs: tuple[Job, ...]
    unreachable: tuple[JobRow, ...]


def make_plan(inventory: Inventory, phones: Sequence[Phone]) -> Jobs:
    """Assign phones to groups; those that cannot be used, or are named and not there, become rows at once."""
    jobs: list[Job] = []
    rows: list[JobRow] = []
    for phone, group in assign(inventory, phones):
        if phone.state == READY:
            jobs.append(Job(job_id(phone), phone, group))
        else:
            rows.append(_unreachable(phone, group, f"{phone.serial} is {phone.state}"))
    rows += [
        _unreachable(phone, inventory.groups[0], f"the adb server {phone.server} is silent")
        for phone in phones
        if phone.state == NO_SERVER
    ]
    for serial, group in absent(inventory, phones):
        phone = Phone(None, serial, "absent", "plug it in, or take it out of the inventory")
        rows.append(_unreachable(phone, group, f"{serial} is on no adb server"))
    return Jobs(tuple(jobs), tuple(rows))


def _unreachable(phone: Phone, group: Group, error: str) -> JobRow:
    return JobRow(
        job_id(phone),
        phone.serial,
        phone.server,
        group.name,
        JobEnd.UNREACHABLE,
        error=error,
        hint=phone.advice,
    )


def job_id(phone: Phone) -> str:
    """A folder name for a phone.

    Serials are untrusted: what is not a letter, digit or dash is replaced, and a hash keeps two serials that
    then look alike apart.
    """
    clean = re.sub(r"[^A-Za-z0-9-]+", "-", phone.serial).strip("-")[:40] or "phone"
    digest = hashlib.sha256(f"{phone.server}\n{phone.serial}".encode()).hexdigest()[:6]
    return f"{clean}-{digest}"


class LabRun:
    """A folder with a plan and its results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, plan: Jobs) -> None:
        """Write the plan into an empty folder. Raises UsageError if a run is there already."""
        with _keeping():
            files.make_folder(self.folder)
        if (self.folder / PLAN).exists():
            raise UsageError(
                f"{self.folder} already holds a lab run", hint="Add --resume, or name another folder."
            )
        with _keeping():
            files.write(self.folder / PLAN, msgspec.json.format(msgspec.json.encode(plan)))
        for row in plan.unreachable:
            self.append(row)

    def plan(self) -> Jobs:
        """The plan of a run to resume. Raises InputError if the folder holds none."""
        if not (self.folder / PLAN).exists():
            raise InputError(f"{self.folder}: no lab run here")
        try:
            return msgspec.json.decode(files.read_bytes(self.folder / PLAN, MAX_BYTES, "plan"), type=Jobs)
        except msgspec.DecodeError as error:
            raise InputError(f"{self.folder / PLAN}: {error}") from error

    def rows(self) -> list[JobRow]:
        """The last row of each phone. A line that was cut off by a crash is passed over."""
        found: dict[str, JobRow] = {}
        path = self.folder / RESULTS
        for line in files.read_bytes(path, MAX_BYTES, "lab run").splitlines() if path.exists() else ():
            with suppress(msgspec.DecodeError):
                row = msgspec.json.decode(line, type=JobRow)
                found[row.id] = row
        return list(found.values())

    def todo(self) -> list[Job]:
        """Jobs of the plan that are not finished yet."""
        final = {row.id for row in self.rows() if row.status in FINAL}
        return [job for job in self.plan().jobs if job.id not in final]

    def keep(self, finished: Finished) -> JobRow:
        """Write a phone's report, then its row."""
        row = finished.row
        if finished.report is not None:
            with _keeping():
                files.make_folder(self.folder / row.id)
                files.write(self.folder / row.id / "report.yaml", writer(ReportFormat.YAML)(finished.report))
            row = replace(row, report=f"{row.id}/report.yaml")
        self.append(row)
        return row

    def append(self, row: JobRow) -> None:
        """Add a line to the results, on disk before this returns."""
        with _keeping():
            files.append(self.folder / RESULTS, msgspec.json.encode(row))


@contextmanager
def _keeping() -> Iterator[None]:
    """A disk that is full in the middle of a run is no mistake of whoever started it."""
    try:
        yield
    except UsageError as error:
        raise GemmafitError(str(error), hint="Make room, then go on with --resume.") from error


def execute(run: LabRun, jobs: Sequence[Job], pool: Pool, on_row: Callable[[JobRow], None]) -> None:
    """Run jobs until done or stopped by Ctrl-C: once lets running steps end, twice stops now."""
    control = Control()
    with interrupts(control):
        for finished in pool.run(jobs, control):
            on_row(run.keep(finished))


@contextmanager
def interrupts(control: Control) -> Iterator[None]:
    """The first SIGINT stops jobs between their steps; the second raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: object) -> None:
        control.stop.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
