"""Which variant was fastest on a device, remembered in the user's cache folder, so that the search for it is
not repeated on the next phone of the same model and driver with the same kernels.

A choice is found again only under the same device, driver and *programs*: a hash of the plans of all
candidates and of their kernel files, so of everything that a change of kernels, of their lowering or of the
profile rows behind it would change. What cannot be read is treated as not there and written anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec
from platformdirs import user_cache_path

from ..base.errors import InputError
from ..base.files import make_folder, read_bytes, write
from ..probes.snapshot import Snapshot
from .block.dims import Block, Dims, Scheme, decode, prefill
from .lowerer import Candidate, Lowerer
from .timing import DEFAULT

SCHEMA = "gemmafit.tuning/1"
MOST_BYTES = 64 << 10
"""Of an entry; a larger file is none of ours."""
_PREFILL_TOKENS = 32
"""Of the plans that are hashed: every kernel of a prefill is in them, whatever its length."""


class Tuning(StrEnum):
    """What is done with remembered choices."""

    USE = "use"  # take them, remember new ones
    RETUNE = "retune"  # search again, remember the result
    OFF = "off"  # neither read nor write


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The outcome of one search.

    Attributes:
        best: the fastest right variant.
        engine: the fastest right one in the engine's layout, or None.
        considered: what there was to choose from.
        made: when it was searched for.
    """

    best: str
    engine: str | None
    considered: tuple[str, ...]
    made: datetime

    @property
    def names(self) -> frozenset[str]:
        """What is measured again."""
        return frozenset(name for name in (self.best, self.engine) if name is not None)


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a choice holds for."""

    backend: str
    device: dict[str, str | int | None]
    driver: str
    programs: str

    @property
    def file(self) -> str:
        """Name of the entry's file."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:32] + ".json"


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    key: Key
    choices: dict[str, Choice]
    """By scheme and phase: `int8/decode`."""


class Choices:
    """The choices for one key, in one file. Threads and processes may share the folder: a file is replaced as
    a whole, and the last writer wins."""

    def __init__(self, folder: Path, key: Key, tuning: Tuning) -> None:
        self.path = folder / key.file
        self._key = key
        self._tuning = tuning

    def recall(self, scheme: str, phase: str, candidates: Sequence[Candidate]) -> Choice | None:
        """The choice, if it was made among all of these candidates and leaves any of them out."""
        if self._tuning is not Tuning.USE:
            return None
        found = self._read().get(f"{scheme}/{phase}")
        names = {candidate.name for candidate in candidates}
        if found is None or not names <= set(found.considered) or not found.names < names:
            return None
        return found

    def keep(
        self, scheme: str, phase: str, best: Candidate, engine: Candidate | None, among: Sequence[Candidate]
    ) -> None:
        """Remember a choice that leaves anything out. Raises UsageError where that cannot be written."""
        made = datetime.now(UTC).replace(microsecond=0)
        names = tuple(candidate.name for candidate in among)
        choice = Choice(best.name, engine.name if engine else None, names, made)
        if not choice.names < set(names):
            return
        entry = _Entry(SCHEMA, self._key, {**self._read(), f"{scheme}/{phase}": choice})
        make_folder(self.path.parent)
        write(self.path, msgspec.json.encode(entry))

    def _read(self) -> dict[str, Choice]:
        """What the file holds for this very key; nothing if it is missing, damaged or somebody else's."""
        try:
            entry = msgspec.json.decode(read_bytes(self.path, MOST_BYTES, "choice"), type=_Entry)
        except (InputError, msgspec.DecodeError):
            return {}
        return dict(entry.choices) if entry.schema == SCHEMA and entry.key == self._key else {}


def folder() -> Path:
    """Where choices are kept: below GEMMAFIT_CACHE, else the user's cache folder as the system has it."""
    own = os.environ.get("GEMMAFIT_CACHE")
    return (Path(own) if own else user_cache_path("gemmafit", appauthor=False)) / "tuning"


def memory(snapshot: Snapshot, lower: Lowerer, dims: Dims, context: int, tuning: Tuning) -> Choices | None:
    """The memory for a backend of a device. None where nothing is remembered: it is off, there is nothing to
    choose from, or a driver that does not say its version could have been replaced by another.

    Raises ToolchainError where the kernels were not built.
    """
    if tuning is Tuning.OFF or len(lower.candidates()) < 2:
        return None
    known = lower.identity(snapshot)
    if known is None:
        return None
    device, driver = known
    identity, soc = snapshot.identity, snapshot.soc
    phone = {"manufacturer": identity.manufacturer, "model": identity.model, "soc": soc.model or soc.name}
    key = Key(str(lower.backend), {**phone, **device}, driver, programs(lower, dims, context))
    return Choices(folder(), key, tuning)


def programs(lower: Lowerer, dims: Dims, context: int) -> str:
    """Hash of all that could be run: every candidate's plans and the files that they name."""
    digest = hashlib.sha256()
    files: dict[str, Path] = {}
    for candidate in lower.candidates():
        for scheme in Scheme:
            for phase in (decode(context), prefill(_PREFILL_TOKENS)):
                plan = lower.lower(Block(dims, scheme, phase), candidate.name, DEFAULT, logits=False)
                digest.update(f"{candidate!r}\n{plan.to_text()}".encode())
                files |= plan.files
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + hashlib.sha256(files[name].read_bytes()).digest())
    return digest.hexdigest()
