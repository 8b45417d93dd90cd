"""One phone of a lab run, start to end: gate, examination, retries. Never raises; a row says how it ended.

Runs in a thread of this process or on a worker of a cluster: everything here pickles.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ..base.errors import DeadlineExceeded, DeviceBusy, GemmafitError, TargetError, TransportError
from ..base.events import Event, Listener, ignore
from ..base.names import Exit, Verdict
from ..base.units import seconds, stated
from .inventory import Gate, Group, Phone

if TYPE_CHECKING:
    from ..probes.snapshot import Conditions
    from ..probes.target import Target
    from ..reports.report import Report

GATE_POLL_S = 15.0
RETRY_PAUSE_S = 5.0


class Stopped(Exception):
    """The user asked to stop; raised from a listener between two steps of an examination."""


@dataclass(frozen=True)
class Job:
    """A phone and what to do with it. `id` names its folder: letters, digits and dashes only."""

    id: str
    phone: Phone
    group: Group


class JobEnd(StrEnum):
    """How a phone of a run ended."""

    DONE = "done"
    """With a complete report."""
    PARTIAL = "partial"
    """The run broke; the report says where."""
    FAILED = "failed"
    """Without a report."""
    UNREACHABLE = "unreachable"
    """Unauthorized, offline, absent, in use: the row says which."""
    STOPPED = "stopped"
    """By the user, before it was examined."""


@dataclass(frozen=True)
class JobRow:
    """How a job ended: a line of `results.jsonl`."""

    id: str
    serial: str
    server: str | None
    group: str
    status: JobEnd
    verdict: Verdict | None = None
    report: str | None = None
    error: str | None = None
    hint: str | None = None
    attempts: int = 0
    waited_s: float = 0.0
    seconds: float = 0.0

    def exit(self, *, strict: bool = False) -> Exit:
        """What the phone adds to the exit status of the run."""
        if self.status is JobEnd.DONE and self.verdict is not None:
            return Exit.of(self.verdict, strict=strict)
        return Exit.NO_TARGET if self.status is JobEnd.UNREACHABLE else Exit.BROKE


@dataclass(frozen=True)
class Finished:
    """A row and, where there is one, the report as a value."""

    row: JobRow
    report: Report | None = None


@dataclass
class Control:
    """Stops jobs between their steps."""

    stop: threading.Event = field(default_factory=threading.Event)


def ended(job: Job, status: JobEnd, error: str) -> Finished:
    """A job that ended from outside: lost, stopped, given up."""
    phone = job.phone
    return Finished(JobRow(job.id, phone.serial, phone.server, job.group.name, status, error=error))


def run_phone(job: Job, control: Control | None = None, on_event: Listener = ignore) -> Finished:
    """Examine one phone. Transport faults are tried again; a wrong state or a verdict is not."""
    clock = _Clock(job, control or Control(), on_event)
    row = JobRow(job.id, job.phone.serial, job.phone.server, job.group.name, JobEnd.FAILED)
    while True:
        row = replace(row, attempts=row.attempts + 1)
        finished, again = _attempt(job, row, clock)
        if not again or row.attempts > job.group.retries or clock.over():
            seconds, waited = round(clock.elapsed(), 3), round(clock.waited, 3)
            return replace(finished, row=replace(finished.row, seconds=seconds, waited_s=waited))
        time.sleep(RETRY_PAUSE_S)


def _attempt(job: Job, row: JobRow, clock: _Clock) -> tuple[Finished, bool]:
    """One try: how it ended, and whether another one makes sense."""
    try:
        target = _target(job)
        while True:
            clock.wait(lambda: gate_closed(job.group.gate, conditions(target)))
            try:
                finished = _examine(job, target, row, clock.listen)
            except DeviceBusy as error:
                clock.wait_once(str(error))
            else:
                return finished, finished.row.status is JobEnd.PARTIAL
    except Stopped:
        return Finished(replace(row, status=JobEnd.STOPPED, error="stopped before it was examined")), False
    except TransportError as error:
        return Finished(_failed(row, JobEnd.FAILED, error)), True
    except TargetError as error:
        return Finished(_failed(row, JobEnd.UNREACHABLE, error)), False
    except GemmafitError as error:
        return Finished(_failed(row, JobEnd.FAILED, error)), False
    except Exception as error:  # a defect of ours costs this phone's row, not the run
        return Finished(replace(row, error=f"unexpected {type(error).__name__}: {error}")), False


class _Clock:
    """The time of one job: what it may work, what it may wait, and whether it is to stop.

    Attributes:
        waited: seconds spent waiting for the phone to be cool, charged and free.
    """

    def __init__(self, job: Job, control: Control, on_event: Listener) -> None:
        self._job = job
        self._control = control
        self._on_event = on_event
        self._started = time.monotonic()
        self.waited = 0.0

    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def over(self) -> bool:
        """Stopped, or out of the time for working."""
        return self._control.stop.is_set() or self.elapsed() - self.waited > self._job.group.deadline_s

    def listen(self, event: Event) -> None:
        """Passes events on; ends the job between two steps when it is to stop or its time is over.

        Every single step has a deadline of its own, so that the job ends soon after.
        """
        if self._control.stop.is_set():
            raise Stopped
        if self.over():
            limit = self._job.group.deadline_s
            raise DeadlineExceeded(
                f"not finished within {limit} s", serial=self._job.phone.serial, command=event.stage
            )
        self._on_event(event)

    def wait(self, closed: Callable[[], str | None]) -> None:
        """Wait until `closed` gives no reason any more."""
        while (reason := closed()) is not None:
            self.wait_once(reason)

    def wait_once(self, reason: str) -> None:
        """Wait a little. Raises TargetError with the reason when the group's patience is used up."""
        if self.waited + GATE_POLL_S > self._job.group.gate.wait_s:
            raise TargetError(
                f"{self._job.phone.serial}: not started: {reason}, after waiting {seconds(self.waited)}",
                hint="charge, cool or free the phone, or change the group's gate",
            )
        self.listen(Event("gate", f"waiting: {reason}"))
        if self._control.stop.wait(GATE_POLL_S):
            raise Stopped
        self.waited += GATE_POLL_S


def _failed(row: JobRow, status: JobEnd, error: GemmafitError) -> JobRow:
    return replace(row, status=status, error=str(error), hint=error.hint)


def _target(job: Job) -> Target:
    from ..probes.targets import resolve

    return resolve(job.phone.serial, job.phone.server)


def _examine(job: Job, target: Target, row: JobRow, listener: Listener) -> Finished:
    from ..pipeline import examine

    examination = examine(target, job.group.options, listener)
    report = examination.report
    broken = examination.broken
    status = JobEnd.DONE if broken is None else JobEnd.PARTIAL
    row = replace(row, status=status, verdict=report.verdict)
    if broken is not None:
        row = replace(row, error=str(broken), hint=broken.hint)
    return Finished(row, report)


def gate_closed(gate: Gate, now: Conditions) -> str | None:
    """Why the phone may not start yet; unknown conditions hold nothing up."""
    if now.battery_percent is not None and now.battery_percent < gate.battery_min_percent:
        return f"battery at {now.battery_percent} %, {gate.battery_min_percent} % wanted"
    if now.battery_temperature_c is not None and now.battery_temperature_c > gate.temperature_max_c:
        is_at, most = stated(now.battery_temperature_c), stated(gate.temperature_max_c)
        return f"battery at {is_at} °C, {most} °C at most"
    if now.thermal_status is not None and now.thermal_status > gate.thermal_status_max:
        return f"thermal status {now.thermal_status}, {gate.thermal_status_max} at most"
    return None


def conditions(target: Target) -> Conditions:
    """The phone's state now, in one round trip."""
    from ..probes.collect import ask_conditions

    return ask_conditions(target)
