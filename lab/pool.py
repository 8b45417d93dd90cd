"""The axis "where jobs run": threads of this process, or a Dask cluster with a worker beside each adb server.

Both run the same function on the same jobs; results come as they are ready.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from ..base.units import seconds
from .discovery import discover
from .inventory import Inventory, Phone
from .job import Control, Finished, Job, JobEnd, ended, run_phone

GRACE_S = 60.0
"""How long a job may take beyond its own deadline and patience before it is given up."""


class Pool(Protocol):
    """Knows phones and runs jobs on them in parallel."""

    def discover(self, inventory: Inventory) -> list[Phone]:
        """The phones within reach."""
        ...

    def run(self, jobs: Sequence[Job], control: Control) -> Iterator[Finished]:
        """A result for every job, in the order in which they come, also for lost and stopped ones."""
        ...


class ThreadPool:
    """`parallel` phones at a time in this process. The work is waiting for phones, so threads do."""

    def __init__(self, parallel: int) -> None:
        self._parallel = parallel

    def discover(self, inventory: Inventory) -> list[Phone]:
        """See `Pool.discover`: the phones of the inventory's adb servers."""
        return discover(inventory)

    def run(self, jobs: Sequence[Job], control: Control) -> Iterator[Finished]:
        """See `Pool.run`. The threads are daemons: nobody waits for a phone that never ends."""
        waiting = list(reversed(jobs))
        running: dict[str, tuple[Job, float]] = {}
        ready: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        while waiting or running:
            while waiting and len(running) < self._parallel:
                job = waiting.pop()
                running[job.id] = (job, time.monotonic() + limit_s(job))
                threading.Thread(
                    target=_work, args=(job, control, ready), name=f"lab-{job.id}", daemon=True
                ).start()
            for finished in _next(ready):
                # Of a job that was given up, a late result is no news.
                if running.pop(finished.row.id, None) is not None:
                    yield finished
            now = time.monotonic()
            for job in [job for job, until in running.values() if now > until]:
                del running[job.id]
                yield ended(
                    job, JobEnd.FAILED, f"did not end within {seconds(limit_s(job))} and was given up"
                )


def _work(job: Job, control: Control, ready: queue.SimpleQueue[Finished]) -> None:
    ready.put(run_phone(job, control))


def limit_s(job: Job) -> float:
    """Seconds after which a job is given up."""
    return job.group.deadline_s + job.group.gate.wait_s + GRACE_S


def _next(ready: queue.SimpleQueue[Finished]) -> list[Finished]:
    # A wait without a timeout cannot be interrupted by Ctrl-C on every platform.
    try:
        return [ready.get(timeout=0.2)]
    except queue.Empty:
        return []
