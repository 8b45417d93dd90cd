"""What is known about kernels for a class of GPU: a row of `profiles/kernels.yaml`, applied to variants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from ..base.names import Backend
from ..probes.snapshot import Snapshot
from ..profiles.conditions import Facts, evaluate
from ..profiles.knowledge import KernelChoice, KernelClass

ANY = KernelChoice()
"""Of a GPU without a row: only its own facts count."""


class Named(Protocol):
    """A variant of any backend, as far as putting them in order needs it."""

    @property
    def name(self) -> str: ...


V = TypeVar("V", bound=Named)


def choice(snapshot: Snapshot, backend: Backend, rows: Mapping[str, KernelClass]) -> KernelChoice:
    """That of the last row of kernels.yaml that holds, under the key of the backend."""
    facts, found = Facts(snapshot), ANY
    for row in rows.values():
        if evaluate(row.when, facts).value:
            found = getattr(row, backend, ANY)
    return found


def arranged(variants: Iterable[V], chosen: KernelChoice) -> tuple[V, ...]:
    """The variants without those that are never tried, those to try first in front."""
    place = {name: i for i, name in enumerate(chosen.first)}
    kept = [v for v in variants if v.name not in chosen.never]
    return tuple(sorted(kept, key=lambda v: place.get(v.name, len(place))))
