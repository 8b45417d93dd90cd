"""The axis "what a model file is": one table of formats."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ...base.events import Event, Listener, ignore
from ...base.files import blocks
from . import gguf, litertlm, task, tflite
from .model import Finding, ModelFile, error
from .source import Source
from .strangers import PARTIAL, read_stranger

_HEAD = 512


@dataclass(frozen=True)
class Container:
    """A format of model files.

    Attributes:
        name: of the content, as `gemmafit model inspect` says it.
        format: what the tables call it (`Model.format`, `Runtime.formats`).
        endings: of file names under which runtimes look for it, and which they trust first; () for any.
        magic: the bytes that it has at `at`.
        read: fills in what the file says of itself. What is wrong with the content is a finding.
        runs_with: what loads it, where no runtime of the tables does.
    """

    name: str
    format: str
    endings: tuple[str, ...]
    magic: bytes
    read: Callable[[Source, ModelFile], ModelFile]
    at: int = 0
    runs_with: str = ""


CONTAINERS = {
    row.name: row
    for row in (
        Container("litertlm", "litertlm", (".litertlm",), litertlm.MAGIC, litertlm.read_litertlm),
        Container("tflite", "bin", (".bin", ".tflite"), tflite.IDENTIFIER, tflite.read_model, at=4),
        Container("task", "task", (".task",), b"PK", task.read_task),
        Container("gguf", "gguf", (), gguf.MAGIC, gguf.read_gguf, runs_with="llama.cpp"),
    )
}
"""By name. A file is the first whose magic it has."""
UNKNOWN = "unknown"


def inspect(path: Path) -> ModelFile:
    """Everything that the file says about itself. Raises InputError only if it cannot be opened."""
    with Source(path) as source:
        head = source.read(0, min(_HEAD, source.size))
        base = ModelFile(
            path=str(path),
            size=source.size,
            extension=path.suffix.lower(),
            format=UNKNOWN,
            what="unknown content",
            complete=None,
        )
        container = next((row for row in CONTAINERS.values() if head.startswith(row.magic, row.at)), None)
        if container is None:
            return read_stranger(source, base)
        found = container.read(source, replace(base, format=container.name))
    found = replace(found, findings=(*found.findings, *_name_findings(found, container.endings)))
    return replace(found, complete=False) if found.extension in PARTIAL else found


def digest(path: Path, on_event: Listener = ignore) -> str:
    """The SHA-256 of the whole file, with an event per block. Raises InputError."""
    with Source(path) as source:
        size = source.size
    sha256, done = hashlib.sha256(), 0
    for block in blocks(path):
        sha256.update(block)
        done += len(block)
        on_event(Event("hash", "computing the SHA-256", done=done, total=max(size, done)))
    return sha256.hexdigest()


def _name_findings(found: ModelFile, endings: tuple[str, ...]) -> tuple[Finding, ...]:
    findings = []
    other = any(finding.code in ("not-a-model", "bare-tflite") for finding in found.findings)
    if found.extension in PARTIAL:
        text = f"the ending {found.extension} says that the download has not ended"
        findings.append(error("partial", text, "Let the download end, or begin it anew."))
    elif endings and found.extension not in endings and found.complete is not False and not other:
        findings.append(
            error(
                "extension",
                f"the content is {found.format}, the extension is {found.extension or 'missing'}: "
                "the runtimes choose the parser by the extension and will fail",
                f"Rename it to {' or '.join('*' + ext for ext in endings)}.",
            )
        )
    name = Path(found.path).stem.lower()
    if name.endswith(("-web", "_web", ".web")):
        text = "the name says that it is made for browsers; Android's runtimes do not load these"
        findings.append(error("web-only", text, "Download the Android file of the same model."))
    return tuple(findings)
