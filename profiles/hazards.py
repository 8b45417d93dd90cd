"""What is left alone on a device because a known fault could take the device down.

Decided here and nowhere else, from a snapshot and rows of drivers.yaml; who probes and who measures is handed
plain sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..base.names import Backend
from .conditions import Facts, evaluate
from .knowledge import Fault, Knowledge, Step

_BY: dict[Step, frozenset[Step]] = {
    "vkjson": frozenset({"vkjson", "open"}),
    "open": frozenset({"open"}),
    "run": frozenset({"run", "open"}),
}
"""Step -> what a row has to avoid so that the step is left out: nothing runs on a driver that is not opened,
and `cmd gpu vkjson` opens it in a process of the system."""


def reason(step: Step, backend: Backend, snapshot: object, knowledge: Knowledge) -> str | None:
    """Why a step is left out on a backend, as a clause; None: nothing speaks against it.

    A row that names engines or files counts if it holds for any of those known. An unknown fact is no fault.
    """
    rows = [row for row in knowledge.drivers.values() if not _BY[step].isdisjoint(row.avoided)]
    holding = (row for row in rows if _holds(row, backend, snapshot, knowledge))
    fault = next(holding, None)
    return None if fault is None else _sentence(fault)


def not_run(backends: Iterable[Backend], snapshot: object, knowledge: Knowledge) -> dict[str, str]:
    """Backend -> why nothing is run there, of those where something speaks against it."""
    found = {str(backend): reason("run", backend, snapshot, knowledge) for backend in backends}
    return {backend: why for backend, why in found.items() if why is not None}


def _holds(fault: Fault, backend: Backend, snapshot: object, knowledge: Knowledge) -> bool:
    return any(
        evaluate(fault.when, Facts(snapshot, given)).value for given in _situations(backend, knowledge)
    )


def _situations(backend: Backend, knowledge: Knowledge) -> Iterator[dict[str, str]]:
    """The backend alone, then with each file that is for it."""
    yield {"backend": backend}
    for model in knowledge.models.values():
        if backend in model.backends:
            yield {"backend": backend, **model.facts}


def _sentence(fault: Fault) -> str:
    return f"known fault {fault.id} ({fault.effect}): {fault.because.rstrip('.')} ({fault.source})"
