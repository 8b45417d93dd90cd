"""`gemmafit check --all`: every connected phone in parallel, one report each, no lab file and no plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..base import files
from ..base.errors import TargetError
from ..base.names import ReportFormat
from ..base.options import Request
from ..reports.writers import writer
from .inventory import Gate, Group, Inventory
from .job import Control, JobRow
from .pool import ThreadPool
from .run import interrupts, make_plan

ANY = Gate(battery_min_percent=0, temperature_max_c=1000.0, thermal_status_max=99, wait_s=0)
"""A person who asks for all phones now wants them now."""


def check_every(
    options: Request, format: ReportFormat, folder: Path, server: str | None, on_row: Callable[[JobRow], None]
) -> list[JobRow]:
    """Reports as `folder`/<phone>.<ending>; a row for every phone, reachable or not.

    Raises TargetError if there is no phone at all, UsageError if the folder cannot be made.
    """
    inventory = Inventory(
        servers=(server,) if server else (), groups=(Group(options=options, gate=ANY, retries=0),)
    )
    pool = ThreadPool(inventory.parallel)
    plan = make_plan(inventory, pool.discover(inventory))
    if not plan.jobs and not plan.unreachable:
        raise TargetError("no phone is connected", hint="`gemmafit devices` lists what adb sees.")
    files.make_folder(folder)
    rows = list(plan.unreachable)
    for row in rows:
        on_row(row)
    control = Control()
    with interrupts(control):
        for finished in pool.run(plan.jobs, control):
            row = finished.row
            if finished.report is not None:
                name = f"{row.id}{format.ending}"
                files.write(folder / name, writer(format)(finished.report))
                row = replace(row, report=name)
            rows.append(row)
            on_row(row)
    return rows
