"""What rows say about other rows and about facts: each name must lead somewhere."""

from __future__ import annotations

from dataclasses import is_dataclass
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from ..errors import InputError
from ..probes.snapshot import Snapshot

if TYPE_CHECKING:
    from .knowledge import Conditional, Knowledge

VARIANT_FACTS = ("backend", "runtime", "format", "model.id", "model.architecture", "gles")
"""Facts that the judge adds to those of the snapshot."""


def check_references(knowledge: Knowledge, place: Path) -> None:
    """Raises InputError naming the row whose key leads nowhere."""
    for model in knowledge.models.values():
        for table, key in (
            ("families", model.family),
            ("architectures", model.architecture),
            ("runtimes", model.runtime),
        ):
            if key not in getattr(knowledge, table):
                raise InputError(f"{place}: model {model.id!r} names {key!r}, which is not in {table}.yaml")
        if model.format not in knowledge.runtimes[model.runtime].formats:
            raise InputError(
                f"{place}: {model.runtime!r} does not load {model.format!r} (model {model.id!r})"
            )
    for family in knowledge.families.values():
        if family.primary not in knowledge.models:
            raise InputError(
                f"{place}: family {family.id!r} names {family.primary!r}, which is not in models.yaml"
            )
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
    # Imported here: variants are arranged by rows of the knowledge base.
    from ..benchmarks.opencl.variants import VARIANTS as OPENCL
    from ..benchmarks.vulkan.variants import VARIANTS as VULKAN

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
