"""The axis "where jobs run": threads of this process, or a Dask cluster with a worker beside each adb server.

Both run the same function on the same jobs; results come as they are ready.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from .discovery import discover
from .inventory import Inventory, Phone
from .job import Control, Finished, Job, run_phone


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
        """See `Pool.run`. The threads are daemons: a second Ctrl-C does not wait for a phone."""
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        ready: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)

        def work() -> None:
            while True:
                try:
                    job = waiting.get_nowait()
                except queue.Empty:
                    return
                ready.put(run_phone(job, control))

        for number in range(min(self._parallel, len(jobs))):
            threading.Thread(target=work, name=f"lab-{number}", daemon=True).start()
        for _ in jobs:
            yield _next(ready)


def _next(ready: queue.SimpleQueue[Finished]) -> Finished:
    # A wait without a timeout cannot be interrupted by Ctrl-C on every platform.
    while True:
        try:
            return ready.get(timeout=0.5)
        except queue.Empty:
            continue
