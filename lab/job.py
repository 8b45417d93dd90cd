"""One phone of a lab run, start to end: gate, examination, retries. Never raises; a row says how it ended.

Runs in a thread of this process or on a worker of a cluster: everything here pickles.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import DeadlineExceeded, GemmafitError, TargetError, TransportError
from ..events import Event, Listener, ignore
from .inventory import Gate, Group, Phone

if TYPE_CHECKING:
    from ..probes.snapshot import Conditions
    from ..probes.target import Target
    from ..profiles.report import Report

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


@dataclass(frozen=True)
class Row:
    """How a job ended: a line of `results.jsonl`.

    status: done (a complete report), partial (the run broke, the report says where), failed (no report),
    unreachable (unauthorized, offline, absent: `error` says which), stopped.
    """

    id: str
    serial: str
    server: str | None
    group: str
    status: str
    verdict: str | None = None
    report: str | None = None
    error: str | None = None
    hint: str | None = None
    attempts: int = 0
    waited_s: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Finished:
    """A row and, where there is one, the report as a value."""

    row: Row
    report: Report | None = None


@dataclass
class Control:
    """Stops jobs between their steps."""

    stop: threading.Event = field(default_factory=threading.Event)


def run_phone(job: Job, control: Control | None = None, on_event: Listener = ignore) -> Finished:
    """Examine one phone. Transport faults are tried again; a wrong state or a verdict is not."""
    started = time.monotonic()
    row = Row(job.id, job.phone.serial, job.phone.server, job.group.name, "failed")
    waited = 0.0
    finished = Finished(row)
    for attempt in range(1, job.group.retries + 2):
        row = replace(row, attempts=attempt)
        listener = _bounded(job, control, started + waited, on_event)
        try:
            target = _target(job)
            waited += wait_for_gate(target, job.group.gate, listener)
            finished = _examine(job, target, replace(row, waited_s=waited), listener)
        except Stopped:
            finished = Finished(replace(row, status="stopped", error="stopped before it was examined"))
            break
        except TransportError as error:
            finished = Finished(_failed(row, "failed", error))
        except TargetError as error:
            finished = Finished(_failed(row, "unreachable", error))
            break
        except GemmafitError as error:
            finished = Finished(_failed(row, "failed", error))
            break
        transport_fault = finished.row.status in ("failed", "partial")
        out_of_time = time.monotonic() - started - waited > job.group.deadline_s
        if not transport_fault or out_of_time or (control and control.stop.is_set()):
            break
        time.sleep(RETRY_PAUSE_S)
    seconds = round(time.monotonic() - started, 3)
    return replace(finished, row=replace(finished.row, waited_s=round(waited, 3), seconds=seconds))


def _failed(row: Row, status: str, error: GemmafitError) -> Row:
    return replace(row, status=status, error=str(error), hint=error.hint)


def _target(job: Job) -> Target:
    from ..probes.targets import resolve

    return resolve(job.phone.serial, job.phone.server)


def _examine(job: Job, target: Target, row: Row, listener: Listener) -> Finished:
    from ..pipeline import examine

    examination = examine(target, job.group.options.request(), listener)
    report = examination.report
    broken = examination.broken
    status = "done" if broken is None else "partial"
    row = replace(row, status=status, verdict=str(report.verdict))
    if broken is not None:
        row = replace(row, error=str(broken), hint=broken.hint)
    return Finished(row, report)


def _bounded(job: Job, control: Control | None, started: float, on_event: Listener) -> Listener:
    """A listener that ends the job between two steps when its time is over or the user stops it.

    Every single step has a deadline of its own, so that the job ends soon after.
    """

    def listen(event: Event) -> None:
        if control is not None and control.stop.is_set():
            raise Stopped
        if time.monotonic() - started > job.group.deadline_s:
            raise DeadlineExceeded(
                f"not finished within {job.group.deadline_s} s", serial=job.phone.serial, command=event.stage
            )
        on_event(event)

    return listen


def wait_for_gate(target: Target, gate: Gate, listener: Listener) -> float:
    """Wait until the phone is cool and charged enough; returns the seconds waited.

    Raises TransportError when it does not get there within `gate.wait_s`.
    """
    started = time.monotonic()
    while True:
        reason = gate_closed(gate, conditions(target))
        waited = time.monotonic() - started
        if reason is None:
            return waited
        if waited + GATE_POLL_S > gate.wait_s:
            raise TargetError(
                f"{target.serial}: not started: {reason} after waiting {waited:.0f} s",
                hint="Charge or cool the phone, or change the group's gate.",
            )
        listener(Event("gate", f"waiting: {reason}"))
        time.sleep(GATE_POLL_S)


def gate_closed(gate: Gate, now: Conditions) -> str | None:
    """Why the phone may not start yet; unknown conditions hold nothing up."""
    if now.battery_percent is not None and now.battery_percent < gate.battery_min_percent:
        return f"battery at {now.battery_percent} %, {gate.battery_min_percent} % wanted"
    if now.battery_temperature_c is not None and now.battery_temperature_c > gate.temperature_max_c:
        return f"battery at {now.battery_temperature_c:g} °C, {gate.temperature_max_c:g} °C at most"
    if now.thermal_status is not None and now.thermal_status > gate.thermal_status_max:
        return f"thermal status {now.thermal_status}, {gate.thermal_status_max} at most"
    return None


def conditions(target: Target) -> Conditions:
    """The phone's state now, in one round trip."""
    from ..probes.collect import ask_conditions

    return ask_conditions(target)


JobRunner = Callable[[Job], Finished]
