"""The two layouts of the weights that a backend was measured in: the engine's and the fastest.

Google's engine lays its weights out in one way on every GPU (`Candidate.engine`), so its speed is predicted
from rows in that layout; what another layout reaches on the device shows what the engine leaves lying there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..base.names import Backend, Status
from ..base.units import rounded, significant
from .measurements import Measurement

PHASES = ("decode", "prefill")


@dataclass(frozen=True)
class Layouts:
    """The fastest right rows of one backend, scheme and phase.

    Attributes:
        engine: in the engine's layout; None where that was not measured, or not with right results.
        best: in any layout.
        problem: why there is no `engine`, where it was tried; None too where the backend has no such layout.
    """

    engine: Measurement | None
    best: Measurement
    problem: str | None = None

    @property
    def basis(self) -> Measurement:
        """The row that the engine's speed is predicted from."""
        return self.engine or self.best

    @property
    def unit(self) -> str:
        """Of the figure that counts."""
        return self.best.figure_unit

    def to_dict(self) -> dict[str, Any]:
        """For a file: both by name with their figures, and which of them the prediction rests on."""
        best = self.best
        found: dict[str, Any] = {
            "backend": str(best.backend),
            "scheme": str(best.scheme),
            "phase": best.phase,
            "unit": self.unit,
            "engine": None if self.engine is None else _figure(self.engine),
            "best": _figure(best),
            "predicted_from": "engine" if self.engine is not None else "best",
        }
        return found if self.problem is None else {**found, "engine_problem": self.problem}


def layouts(rows: Iterable[Measurement], backend: str, phase: str) -> list[Layouts]:
    """One for each scheme that has a right, undisturbed row."""
    there = [r for r in rows if r.backend == backend and r.phase == phase and r.sweep is None]
    found: list[Layouts] = []
    for scheme in dict.fromkeys(row.scheme for row in there):
        own = [row for row in there if row.scheme == scheme]
        right = [row for row in own if usable(row)]
        if not right:
            continue
        engine = max((row for row in right if row.engine_layout), key=_speed, default=None)
        failed = next((row for row in own if row.engine_layout), None) if engine is None else None
        found.append(Layouts(engine, max(right, key=_speed), None if failed is None else _problem(failed)))
    return found


def every(rows: Sequence[Measurement]) -> list[Layouts]:
    """Of all backends that have a layout of the engine's: those of the CPU are the agent's own."""
    return [
        pair
        for backend in Backend
        if backend.about.accelerator
        for phase in PHASES
        for pair in layouts(rows, backend, phase)
    ]


def usable(row: Measurement) -> bool:
    """Sound, with the figure that counts."""
    return row.sound and bool(row.figure)


def sentences(pairs: Iterable[Layouts]) -> list[str]:
    """Both layouts for people: one sentence a backend."""
    said: dict[Backend, list[str]] = {}
    for pair in pairs:
        said.setdefault(pair.best.backend, []).append(_words(pair))
    return [
        f"{backend}: speed is predicted from the engine's layout, not the best found: {'; '.join(words)}."
        for backend, words in said.items()
    ]


def _words(pair: Layouts) -> str:
    best, engine = pair.best, pair.engine
    name, most = f"{best.scheme} {best.phase}", f"{significant(_speed(best))} {pair.unit}"
    if engine is None:
        why = f" ({pair.problem})" if pair.problem else ""
        return f"{name} {most} with {best.variant}, for want of a right figure in the engine's layout{why}"
    if engine is best:
        return f"{name} {most} with {engine.variant}, which is also the best"
    return f"{name} {significant(_speed(engine))} with {engine.variant}, best {most} with {best.variant}"


def _speed(row: Measurement) -> float:
    return row.figure or 0.0


def _figure(row: Measurement) -> dict[str, Any]:
    return {"variant": row.variant, "layout": row.layout, "value": rounded(_speed(row), 4)}


def _problem(row: Measurement) -> str:
    if row.status is Status.OK and row.deviation is not None and not row.deviation.ok:
        return "its results are wrong"
    return row.reason or "it has no figure"
