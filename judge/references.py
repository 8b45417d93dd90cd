"""The knowledge base as it is used: what rows say about facts and kernels has to lead somewhere.

What they say about each other is checked where they are read (profiles/knowledge.py).
"""

from __future__ import annotations

from dataclasses import is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from ..base.errors import InputError
from ..benchmarks.opencl.variants import VARIANTS as OPENCL
from ..benchmarks.vulkan.variants import VARIANTS as VULKAN
from ..probes.snapshot import Snapshot
from ..profiles import knowledge as rows
from ..profiles.conditions import FILE_FACTS
from ..profiles.knowledge import Knowledge
from ..profiles.rows import Conditional

VARIANT_FACTS = ("backend", *FILE_FACTS, "gles")
"""Facts that the judge adds to those of the snapshot."""


def load(overlay: Path | None = None) -> Knowledge:
    """The knowledge base, checked. The built-in tables, with those of `overlay` laid over them.

    Raises InputError naming file, line and key, or row, of the first thing that is wrong.
    """
    knowledge = rows.load(overlay)
    if overlay is not None:  # a test checks the built-in tables
        check_references(knowledge, overlay)
    return knowledge


def check_references(knowledge: Knowledge, place: Path) -> None:
    """Raises InputError naming the row that asks for a fact or names a variant that does not exist."""
    _check_variants(knowledge, place)
    conditional: list[Conditional] = [
        *knowledge.drivers.values(),
        *knowledge.tflite_compat.values(),
        *knowledge.kernels.values(),
    ]
    for row in conditional:
        for name in row.when.facts():
            # A misspelt fact is unknown for ever: the row would never apply and nobody would notice.
            if name not in VARIANT_FACTS and not is_fact(name):
                raise InputError(f"{place}: row {row.id!r} asks for {name!r}, which is no fact")


def _check_variants(knowledge: Knowledge, place: Path) -> None:
    """A misspelt variant would change nothing, in silence."""
    opencl, vulkan = [v.name for v in OPENCL], [v.name for v in VULKAN]
    for row in knowledge.kernels.values():
        for chosen, known in ((row.opencl, opencl), (row.vulkan, vulkan)):
            for name in (*chosen.first, *chosen.never):
                if name not in known:
                    raise InputError(
                        f"{place}: row {row.id!r} names {name!r}, which is no variant",
                        hint=f"Variants: {', '.join(sorted(known))}.",
                    )


def is_fact(path: str) -> bool:
    """Whether a dotted path leads to a field of the snapshot."""
    kind: Any = Snapshot
    for part in path.split("."):
        fields = get_type_hints(kind) if is_dataclass(kind) else {}
        if part not in fields:
            return False
        kind = fields[part]
        if isinstance(kind, UnionType):
            kind = next((k for k in get_args(kind) if is_dataclass(k)), None)
    return True
