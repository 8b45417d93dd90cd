"""The axis "what a model file is": one table of formats, and what people have instead of one."""

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

_HEAD = 512
_DOWNLOAD = "Download it again; for a gated model accept the licence first and use a token."


@dataclass(frozen=True)
class Container:
    """A format of model files.

    Attributes:
        name: of the content, as `gemmafit model inspect` says it.
        format: what the tables call it (`Model.format`, `Runtime.formats`).
        endings: of file names under which runtimes look for it, and which they trust first; () for any.
        magic: the bytes that it has at `at`.
        read: fills in what the file says of itself. What is wrong with the content is a finding.
    """

    name: str
    format: str
    endings: tuple[str, ...]
    magic: bytes
    read: Callable[[Source, ModelFile], ModelFile]
    at: int = 0


CONTAINERS = {
    row.name: row
    for row in (
        Container("litertlm", "litertlm", (".litertlm",), litertlm.MAGIC, litertlm.read_litertlm),
        Container("tflite", "bin", (".bin", ".tflite"), tflite.IDENTIFIER, tflite.read_model, at=4),
        Container("task", "task", (".task",), b"PK", task.read_task),
        Container("gguf", "gguf", (), gguf.MAGIC, gguf.read_gguf),
    )
}
"""By name. A file is the first whose magic it has."""
UNKNOWN = "unknown"


@dataclass(frozen=True)
class _Stranger:
    """A kind of file that people have instead of a model."""

    what: str
    remedy: str
    test: Callable[[bytes], bool]


_STRANGERS = (
    _Stranger("an empty file", _DOWNLOAD, lambda head: not head),
    _Stranger(
        "a web page (HTML)",
        _DOWNLOAD,
        lambda head: (
            head.lstrip(b"\xef\xbb\xbf \r\n\t")[:9].lower() in (b"<!doctype", b"<html>")
            or head.lstrip()[:5].lower() == b"<html"
        ),
    ),
    _Stranger(
        "a Git LFS pointer",
        "Fetch the real file with `git lfs pull`, or download it through the site.",
        lambda head: head.startswith(b"version https://git-lfs"),
    ),
    _Stranger(
        "an error message (JSON)", _DOWNLOAD, lambda head: head.lstrip()[:1] == b"{" and b"rror" in head
    ),
    _Stranger(
        "a safetensors file",
        "It holds the raw weights; convert it, or get the .litertlm of the model.",
        lambda head: head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 1 << 27,
    ),
    _Stranger("a gzip archive", "Unpack it: the model is inside.", lambda head: head.startswith(b"\x1f\x8b")),
    _Stranger("a tar archive", "Unpack it: the model is inside.", lambda head: head[257:262] == b"ustar"),
    _Stranger(
        "zeros only at its start: space was reserved and the download did not reach it",
        "Download it again.",
        lambda head: not any(head),
    ),
)


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
            return _from_stranger(base, head)
        found = container.read(source, replace(base, format=container.name))
    return replace(found, findings=(*found.findings, *_name_findings(found, container.endings)))


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


def _from_stranger(base: ModelFile, head: bytes) -> ModelFile:
    for stranger in _STRANGERS:
        if stranger.test(head):
            text = f"this is {stranger.what}, not a model"
            if stranger.what.startswith("zeros"):
                text = f"the file has {stranger.what}"
            return replace(
                base,
                what=stranger.what,
                complete=False if stranger.remedy.startswith("Download") else None,
                findings=(error("not-a-model", text, stranger.remedy),),
            )
    text = f"its first bytes are those of no known model format ({head[:8].hex(' ')})"
    return replace(base, findings=(error("not-a-model", text, _DOWNLOAD),))


def _name_findings(found: ModelFile, endings: tuple[str, ...]) -> tuple[Finding, ...]:
    findings = []
    if endings and found.extension not in endings:
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
