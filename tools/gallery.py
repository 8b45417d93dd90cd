"""What an allowlist of Google's AI Edge Gallery has that models.yaml and embedders.yaml do not.

    python -m gemmafit.tools.gallery ALLOWLIST.json... [--profiles FOLDER]

Fetch a list yourself (github.com/google-ai-edge/gallery, model_allowlists/). Each line is one lack: a file
that no row has, or a row with other bytes, another revision, other backends or abilities, other least memory.
The list states what the app offers; whether a row has to follow is for a person to read.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from ..base.names import Backend
from ..base.units import stated
from ..profiles.knowledge import Embedder, Knowledge, Model
from ..profiles.loader import load

BACKENDS = {"cpu": Backend.CPU, "gpu": Backend.OPENCL, "npu": Backend.NPU, "tpu": Backend.NPU}
"""The app's word -> ours."""


class Config(msgspec.Struct, rename="camel", frozen=True):
    """Of `defaultConfig`, the keys that are compared."""

    accelerators: str = ""
    vision_accelerator: str = ""
    max_context_length: int | None = None
    max_tokens: int | None = None


class Other(msgspec.Struct, rename="camel", frozen=True):
    """A file for one SoC (`socToModelFiles`)."""

    model_file: str
    commit_hash: str = ""
    size_in_bytes: int = 0


class Former(msgspec.Struct, rename="camel", frozen=True):
    """A file that the app offers to replace (`updatableModelFiles`)."""

    file_name: str
    commit_hash: str = ""


class Offered(msgspec.Struct, rename="camel", frozen=True):
    """One model of the list. AICore's have no file."""

    name: str
    model_id: str = ""
    model_file: str = ""
    size_in_bytes: int = 0
    commit_hash: str = ""
    min_device_memory_in_gb: float | None = None
    llm_support_image: bool = False
    llm_support_audio: bool = False
    capabilities: tuple[str, ...] = ()
    default_config: Config = Config()
    soc_to_model_files: dict[str, Other] = msgspec.field(default_factory=dict[str, Other])
    updatable_model_files: tuple[Former, ...] = ()
    runtime_type: str = ""

    @property
    def does(self) -> dict[str, bool]:
        """What it can beside text, in our words."""
        return {
            "vision": self.llm_support_image,
            "audio": self.llm_support_audio,
            "speculative": "speculative_decoding" in self.capabilities,
        }

    @property
    def backends(self) -> list[Backend]:
        words = self.default_config.accelerators.lower().split(",")
        return [BACKENDS[word.strip()] for word in words if word.strip() in BACKENDS]


class Allowlist(msgspec.Struct, frozen=True):
    """The file, as the app reads it."""

    models: tuple[Offered, ...]


def lacks(offered: Offered, knowledge: Knowledge) -> Iterator[str]:
    """What our tables lack of one model of the list, a line each."""
    if not offered.model_file:
        return
    yield from _file(offered.model_file, offered.size_in_bytes, offered.commit_hash, offered, knowledge)
    for soc, other in offered.soc_to_model_files.items():
        row = _row(other.model_file, knowledge)
        yield from _file(other.model_file, other.size_in_bytes, other.commit_hash, offered, knowledge)
        if isinstance(row, Model) and (row.npu_soc or "").casefold() not in (soc.casefold(), ""):
            yield f"{row.id}: the list has it for {soc}, the row for {row.npu_soc}"
    for former in offered.updatable_model_files:
        row = _row(former.file_name, knowledge)
        known = [row.revision, *(old.revision for old in row.earlier)] if isinstance(row, Model) else []
        if former.commit_hash and not any(_same(former.commit_hash, one) for one in known):
            yield f"{former.file_name}: the earlier revision {former.commit_hash[:8]} is in no row"
    row = _row(offered.model_file, knowledge)
    if isinstance(row, Model):
        yield from _abilities(offered, row)


def _file(file: str, size: int, commit: str, offered: Offered, knowledge: Knowledge) -> Iterator[str]:
    """Of one file: whether it is there, with these bytes and this revision."""
    row = _row(file, knowledge)
    if row is None:
        where = ",".join(offered.backends) or "backends not stated"
        yield f"{file}: no row ({offered.model_id}@{commit[:8]}, {size} bytes, {where}{_context(offered)})"
        return
    own = row.earlier if isinstance(row, Model) else ()
    if size and size not in (row.bytes, *(old.bytes for old in own)):
        yield f"{row.id}: {size} bytes in the list, {row.bytes or 'about ' + str(_about(row))} in the row"
    revisions = [row.revision, *(old.revision for old in own)]
    if commit and not any(_same(commit, one) for one in revisions):
        yield f"{row.id}: revision {commit[:8]} in the list, {row.revision or 'none'} in the row"


def _abilities(offered: Offered, row: Model) -> Iterator[str]:
    if offered.backends and set(offered.backends) != set(row.backends):
        yield f"{row.id}: offered on {','.join(offered.backends)}, the row has {','.join(row.backends)}"
    for skill, there in offered.does.items():
        if there != (skill in row.does):
            yield f"{row.id}: {skill} is {'offered' if there else 'not offered'}, the row says otherwise"
    if (least := offered.min_device_memory_in_gb) is not None and least != row.min_ram_gb:
        own = f"{stated(row.min_ram_gb)} GB" if row.min_ram_gb else "no limit"
        yield f"{row.id}: offered from {stated(least)} GB, the row has {own}"


def _row(file: str, knowledge: Knowledge) -> Model | Embedder | None:
    rows: list[Model | Embedder] = [*knowledge.models.values(), *knowledge.embedders.values()]
    return next((row for row in rows if row.file == file), None)


def _about(row: Model | Embedder) -> int:
    return row.size if isinstance(row, Model) else row.bytes


def _same(commit: str, revision: str | None) -> bool:
    """Ours are the first digits."""
    return revision is not None and commit.startswith(revision)


def _context(offered: Offered) -> str:
    config = offered.default_config
    length = config.max_context_length or config.max_tokens
    return f", context {length}" if length else ""


def main(arguments: Sequence[str] | None = None, write: Callable[[str], object] = print) -> int:
    """Returns 1 where the tables lack something, 2 for a file that is no list."""
    parser = argparse.ArgumentParser(prog="gallery", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("lists", nargs="+", type=Path, help="allowlists of the app, as JSON")
    parser.add_argument("--profiles", type=Path, help="a folder of tables laid over the built-in ones")
    asked = parser.parse_args(arguments)
    knowledge, found, models = load(asked.profiles), 0, 0
    for path in asked.lists:
        try:
            allowed = msgspec.json.decode(path.read_bytes(), type=Allowlist, strict=False)
        except (OSError, msgspec.MsgspecError) as error:
            write(f"{path}: no allowlist: {error}")
            return 2
        for offered in allowed.models:
            models += 1
            for line in lacks(offered, knowledge):
                found += 1
                write(line)
    write(f"{models} models of the list, {found} lines that the tables lack")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
