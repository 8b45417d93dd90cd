"""What exists in the field, from the tables of `profiles/`: what a lab can be measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..probes.readers.gpu import identify
from ..profiles.socs import SocRow
from ..profiles.tables import Tables
from .matrix import PhoneKind, generation

ARM_V8_PARTS = {0x41: 0xD02, 0x51: 0x200}
"""Implementer -> first part number of its 64-bit designs (Arm before Cortex-A34 and Qualcomm's Scorpion and
Krait are 32-bit). Engines exist for arm64 only, so 32-bit chips are no gap in a lab."""


def field(tables: Tables) -> tuple[Mapping[str, Sequence[str]], Sequence[PhoneKind]]:
    """(axis title -> values that exist, kinds of phones) for `matrix.build`."""
    old = _cores_of_32_bit(tables)
    kinds = [kind for row in tables.socs.rows if (kind := _kind(tables, row, old)) is not None]
    known: dict[str, dict[str, None]] = {}
    for kind in kinds:
        for title, values in kind.values.items():
            known.setdefault(title, {}).update(dict.fromkeys(values))
    return {title: sorted(values) for title, values in known.items()}, kinds


def _cores_of_32_bit(tables: Tables) -> set[str]:
    return {
        core.name
        for (implementer, part, _), core in tables.cores.items()
        if part < ARM_V8_PARTS.get(implementer, 0)
    }


def _kind(tables: Tables, row: SocRow, old: set[str]) -> PhoneKind | None:
    """A phone with this chip, or None for one that no engine is built for."""
    cores = tuple(dict.fromkeys(cluster.core for cluster in row.cpu))
    gpu = identify(tables.gpus, row.gpu.model) if row.gpu.model else None
    if not cores or any(core in old for core in cores) or gpu is None or gpu.architecture is None:
        return None
    name = row.name if row.name.startswith(row.manufacturer) else f"{row.manufacturer} {row.name}"
    return PhoneKind(
        f"a phone with {name}",
        {"CPU core": cores, "GPU generation": (generation(gpu.vendor, gpu.architecture),)},
    )
