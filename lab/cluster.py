"""The same run on a Dask cluster: a worker beside each adb server, its phones as the worker's resources.

A phone is a resource `phone:SERIAL` of amount 1: Dask itself runs one job per phone at a time, and only where
the phone is. A job whose worker is lost goes to another worker that has the phone; where there is none, it is
a failed row.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import TargetError, UsageError
from .discovery import discover
from .inventory import READY, Inventory, Phone
from .job import Control, Finished, Job, ended, run_phone

try:
    from distributed import Client, Future, Worker, as_completed
except ModuleNotFoundError as error:  # the extra is optional
    raise UsageError(
        "a lab of several machines needs the package distributed", hint="pip install 'gemmafit[lab]'"
    ) from error

AnyFuture = Future[Any]

CONNECT_S = 15
LOST_AFTER_S = 20.0
"""How long a phone may be with no worker before its job is given up; a restarted worker is back sooner."""

POLL_S = 2.0


def resource(serial: str) -> str:
    """The name of a phone among a worker's resources."""
    return f"phone:{serial}"


class DaskPool:
    """See the module. Raises TargetError if the scheduler cannot be reached."""

    def __init__(self, scheduler: str) -> None:
        try:
            self._client = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise TargetError(
                f"no Dask scheduler at {scheduler}: {error}", hint="Start one with `dask scheduler`."
            ) from error

    def discover(self, inventory: Inventory) -> list[Phone]:
        """The phones of all workers, asked where they are; each phone once."""
        found: dict[str, Phone] = {}
        answers: dict[str, list[Phone]] = self._client.run(discover, inventory)
        for phones in answers.values():
            for phone in phones:
                if phone.serial not in found or phone.state == READY:
                    found[phone.serial] = phone
        return list(found.values())

    def run(self, jobs: Sequence[Job], control: Control) -> Iterator[Finished]:
        """See `Pool.run`. When stopped, jobs that wait are cancelled and the others run to their end."""
        futures = {
            self._client.submit(
                run_phone, job, key=f"gemmafit-{job.id}-{time.time_ns()}", pure=False, retries=0,
                resources={resource(job.phone.serial): 1},
            ): job
            for job in jobs
        }  # fmt: skip
        missing_since: dict[AnyFuture, float] = {}
        done = as_completed(loop=self._client.loop)
        done.update(futures)
        while futures:
            for future in _ready(done):
                job = futures.pop(future, None)
                if job is not None:
                    yield _result(future, job)
            for future in self._lost(futures, missing_since):
                job = futures.pop(future)
                future.cancel()
                yield ended(job, "failed", "its worker was lost and no other has this phone")
            for future in self._waiting(futures) if control.stop.is_set() else ():
                job = futures.pop(future)
                future.cancel()
                yield ended(job, "stopped", "stopped before it was examined")
            time.sleep(0 if not futures else POLL_S / 4)

    def _lost(self, futures: dict[AnyFuture, Job], since: dict[AnyFuture, float]) -> list[AnyFuture]:
        """Futures whose phone has been on no worker for too long."""
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        offered = {name for worker in workers.values() for name in worker.get("resources", {})}
        now = time.monotonic()
        for future, job in futures.items():
            if resource(job.phone.serial) in offered:
                since.pop(future, None)
            else:
                since.setdefault(future, now)
        return [future for future in futures if now - since.get(future, now) > LOST_AFTER_S]

    def _waiting(self, futures: dict[AnyFuture, Job]) -> list[AnyFuture]:
        """Futures that no worker has begun with."""
        begun = {key for keys in self._client.processing().values() for key in keys}
        return [future for future in futures if future.key not in begun]


def _ready(done: Any) -> list[AnyFuture]:
    return list(done.next_batch(block=False)) if not done.is_empty() else []


def _result(future: AnyFuture, job: Job) -> Finished:
    if future.status == "finished":
        finished: Finished = future.result()
        return finished
    return ended(job, "failed", f"its job ended as {future.status} on the cluster")


def serve(scheduler: str, adb: str | None) -> None:
    """Be the worker of the phones of one adb server until the scheduler goes away.

    Raises TargetError if there is no phone here to serve.
    """
    if adb is not None:
        os.environ["ADB_SERVER_SOCKET"] = f"tcp:{adb}"
    phones = [phone for phone in discover(Inventory()) if phone.state == READY]
    if not phones:
        raise TargetError("no phone is connected here", hint="`gemmafit devices` lists what adb sees.")

    async def work() -> None:
        resources = {resource(phone.serial): 1.0 for phone in phones}
        async with Worker(scheduler, nthreads=len(phones), resources=resources) as worker:
            await worker.finished()

    asyncio.run(work())
