"""The knowledge base as it is used: what rows say about facts, GPUs and kernels has to lead somewhere.

The tables and what they say about each other are read by profiles/loader.py; here are the names that the
rooms above it know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from ..base.errors import InputError
from ..benchmarks.opencl.variants import VARIANTS as OPENCL
from ..benchmarks.vulkan.variants import VARIANTS as VULKAN
from ..probes.modelfile import CONTAINERS
from ..probes.modelfile.model import FACTS as MODEL_FILE_FACTS
from ..probes.readers.emulator import SIGNS
from ..probes.readers.gpu import identify
from ..probes.readers.opencl import LIBRARY
from ..probes.snapshot import Snapshot
from ..probes.vulkan_profile import webgpu_fallback
from ..profiles import loader
from ..profiles.conditions import FILE_FACTS
from ..profiles.knowledge import Knowledge
from ..profiles.loader import Vocabulary
from .calibration import engine_for


def load(overlay: Path | None = None) -> Knowledge:
    """The built-in tables, with those of `overlay` laid over them and then checked.

    The built-in ones alone are taken as they are: `checked` looks at them before they are shipped, not each
    start of a command.

    Raises InputError naming file, line and key, or row, of the first thing that is wrong.
    """
    return loader.load() if overlay is None else checked(overlay)


def checked(overlay: Path | None = None) -> Knowledge:
    """The same, and each row looked at in any case."""
    return loader.load(overlay, VOCABULARY)


@cache
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


def _gpus(knowledge: Knowledge) -> Callable[[str], bool]:
    """A model's name as gpus.yaml makes it of what drivers say: another is never met."""

    def known(name: str) -> bool:
        found = identify(knowledge.tables.gpus, name)
        return found is not None and found.model == name

    return known


def _fixed(known: frozenset[str]) -> loader.Names:
    return lambda knowledge: known.__contains__


def _misfits(knowledge: Knowledge) -> Iterator[tuple[str, str, str]]:
    """(table, key, why) of rows that nothing can be predicted from, or that nothing reads."""
    for model in knowledge.models.values():
        for backend in model.backends:
            predicted = backend in knowledge.prediction.spec
            if predicted and engine_for(backend, model.format, knowledge.calibration) is None:
                why = f"is for '{backend}' as {model.format!r}, whose kernels calibration.yaml does not have"
                yield "models", model.id, why
    try:
        webgpu_fallback(knowledge)
    except InputError as error:
        yield "webgpu_fallback", "", f"is no profile: {error}"


_LISTED = {
    "model file format": frozenset(container.format for container in CONTAINERS.values()),
    "OpenCL variant": frozenset(variant.name for variant in OPENCL),
    "Vulkan variant": frozenset(variant.name for variant in VULKAN),
    "sign of an emulator": frozenset(SIGNS),
}

VOCABULARY = Vocabulary(
    names={
        "GPU": _gpus,
        "OpenCL library": lambda knowledge: lambda name: LIBRARY.match(name) is not None,
        **{to: _fixed(known) for to, known in _LISTED.items()},
    },
    facts={
        "snapshot": is_fact,
        "backend": "backend".__eq__,
        "format": "format".__eq__,
        "file": FILE_FACTS.__contains__,
        "gles": "gles".__eq__,
        "file.*": MODEL_FILE_FACTS.__contains__,
    },
    hints=_LISTED,
    check=_misfits,
)
"""What rows may name."""
