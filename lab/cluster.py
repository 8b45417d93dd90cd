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

from ..base.errors import TargetError, UsageError
from ..base.units import seconds
from .discovery import discover
from .inventory import READY, Inventory, Phone
from .job import Control, Finished, Job, JobEnd, ended, run_phone
from .pool import limit_s

try:
    from distributed import Client, Future, Worker
except ModuleNotFoundError as error:  # the extra is optional
    raise UsageError(
        "a lab of several machines needs the package distributed", hint="pip install 'gemmafit[lab]'"
    ) from error

AnyFuture = Future[Any]

CONNECT_S = 15
LOST_AFTER_S = 20.0
"""How long a phone may be with no worker before its job is given up; a restarted worker is back sooner."""

POLL_S = 0.5

ANSWER_S = 60.0
"""For a question to the scheduler or to a worker, which may have to start its adb server."""

RESULT_S = 5.0
"""For fetching a result that is ready; one that died with its worker would be waited for without end."""


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
        """The phones of all workers, asked where they are; each phone once.

        Raises TargetError if a worker does not answer.
        """
        asked = [
            self._client.submit(discover, inventory, workers=[address], pure=False)
            for address in self._workers()
        ]
        found: dict[str, Phone] = {}
        for answer in asked:
            try:
                phones: list[Phone] = answer.result(timeout=ANSWER_S)
            except TimeoutError as error:
                raise TargetError(
                    "a worker of the cluster does not answer", hint="Restart it with `gemmafit lab worker`."
                ) from error
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
        began = time.monotonic()
        missing_since: dict[AnyFuture, float] = {}
        while futures:
            for future, job in list(futures.items()):
                if (finished := _result(future, job)) is not None:
                    del futures[future]
                    yield finished
            for future, why in self._given_up(futures, began, missing_since):
                future.cancel()
                yield ended(futures.pop(future), JobEnd.FAILED, why)
            for future in self._waiting(futures) if control.stop.is_set() else ():
                future.cancel()
                yield ended(futures.pop(future), JobEnd.STOPPED, "stopped before it was examined")
            time.sleep(0 if not futures else POLL_S)

    def _given_up(
        self, futures: dict[AnyFuture, Job], began: float, missing_since: dict[AnyFuture, float]
    ) -> list[tuple[AnyFuture, str]]:
        """Futures whose phone has been on no worker for too long, or that do not end; and why."""
        workers = self._workers()
        offered = {name for worker in workers.values() for name in worker.get("resources", {})}
        now = time.monotonic()
        lost: list[tuple[AnyFuture, str]] = []
        for future, job in futures.items():
            if resource(job.phone.serial) in offered:
                missing_since.pop(future, None)
            else:
                missing_since.setdefault(future, now)
            if now - missing_since.get(future, now) > LOST_AFTER_S:
                lost.append((future, "its worker was lost and no other has this phone"))
            elif now - began > limit_s(job):
                lost.append((future, f"did not end within {seconds(limit_s(job))} and was given up"))
        return lost

    def _workers(self) -> dict[str, Any]:
        """What the scheduler knows of its workers: address -> facts. Raises TargetError if it is silent."""
        workers: dict[str, Any] = self._ask("identity", n_workers=-1)["workers"]
        return workers

    def _waiting(self, futures: dict[AnyFuture, Job]) -> list[AnyFuture]:
        """Futures that no worker has begun with."""
        processing: dict[str, list[str]] = self._ask("processing", workers=None)
        begun = {key for keys in processing.values() for key in keys}
        return [future for future in futures if future.key not in begun]

    def _ask(self, question: str, **arguments: object) -> Any:
        """One of the scheduler's own questions, which the client asks without a deadline."""
        try:
            ask = getattr(self._client.scheduler, question)
            return self._client.sync(ask, callback_timeout=ANSWER_S, **arguments)
        except (OSError, TimeoutError) as error:
            raise TargetError(
                f"the Dask scheduler does not answer: {error}", hint="Start it again, then --resume."
            ) from error


def _result(future: AnyFuture, job: Job) -> Finished | None:
    """None while there is none: also of a job that ended and whose worker died before its result was fetched.

    The scheduler runs such a job again where the phone is, or the phone turns out to be on no worker.
    """
    if future.status == "finished":
        try:
            finished: Finished = future.result(timeout=RESULT_S)
        except TimeoutError:
            return None
        return finished
    if future.status in ("error", "cancelled"):
        return ended(job, JobEnd.FAILED, f"its job ended as {future.status} on the cluster")
    return None


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
