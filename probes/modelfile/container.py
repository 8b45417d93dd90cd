"""Which format a file has, and the common result of all readers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ...base.events import Event, Listener, ignore
from ...base.files import blocks
from .litertlm import MAGIC, read_litertlm
from .model import EXTENSIONS, Finding, Format, ModelFile, Severity, Tflite
from .source import BadContentError, Source
from .task import MAIN, read_task
from .tflite import IDENTIFIER, read_tflite

TFLITE_BASE = 1 << 20
"""MediaPipe maps so much of a `.bin` and takes it for the model's tables (kTfliteBaseSize, model_data.cc)."""

HASH_BLOCK = 4 << 20

_HEAD = 512
_DOWNLOAD = "Download it again; for a gated model accept the licence first and use a token."


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
        "a GGUF model (llama.cpp)",
        "MediaPipe and LiteRT-LM do not read it; get the .litertlm of the model.",
        lambda head: head.startswith(b"GGUF"),
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
            format=Format.UNKNOWN,
            what="unknown content",
            complete=None,
        )
        if head[:8] == MAGIC:
            found = _from_litertlm(base, source)
        elif head[4:8] == IDENTIFIER:
            found = _from_tflite(base, source)
        elif head[:2] == b"PK":
            found = _from_task(base, source)
        else:
            found = _from_stranger(base, head)
    return replace(found, findings=(*found.findings, *_name_findings(found)))


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


def _from_litertlm(base: ModelFile, source: Source) -> ModelFile:
    found = read_litertlm(source)
    return replace(
        base,
        format=Format.LITERTLM,
        what=f"LiteRT-LM container {found.header.get('version', '')}".rstrip(),
        complete=found.complete,
        header=found.header,
        sections=found.sections,
        backends=found.backends,
        npu=found.npu,
        model_type=found.model_type,
        context=found.context,
        min_runtime=found.min_runtime,
        findings=found.findings,
    )


def _from_task(base: ModelFile, source: Source) -> ModelFile:
    found = read_task(source)
    main = next((s.tflite for s in found.sections if s.name == MAIN and s.tflite), None)
    return replace(
        base,
        format=Format.TASK,
        what="ZIP archive",
        complete=found.complete,
        sections=found.sections,
        npu=main.npu if main else None,
        findings=found.findings,
    )


def _from_tflite(base: ModelFile, source: Source) -> ModelFile:
    base = replace(base, format=Format.TFLITE, what="TFLite model")
    try:
        model = read_tflite(source, 0, source.size)
    except BadContentError as error:
        text = f"the model's tables cannot be read: {error}"
        return replace(base, complete=False, findings=(_error("tables", text),))
    findings: tuple[Finding, ...] = ()
    if base.extension == ".bin":
        findings = _bin_findings(model, source.size)
    return replace(
        base,
        complete=True,
        tflite=model,
        backends=(model.backend,) if model.backend else None,
        npu=model.npu,
        model_type=model.model_type,
        findings=findings,
    )


def _bin_findings(model: Tflite, size: int) -> tuple[Finding, ...]:
    findings = []
    if size < TFLITE_BASE:
        text = f"a .bin of {size} bytes: the loader maps the first {TFLITE_BASE} and refuses shorter files"
        findings.append(_error("too-small", text))
    if model.backend is None:
        text = "no `backend` in the metadata: not a model for MediaPipe LLM Inference"
        findings.append(_error("no-backend", text, "Use a file that was converted for it, or LiteRT-LM."))
    return tuple(findings)


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
                findings=(_error("not-a-model", text, stranger.remedy),),
            )
    text = f"its first bytes are those of no known model format ({head[:8].hex(' ')})"
    return replace(base, findings=(_error("not-a-model", text),))


def _name_findings(found: ModelFile) -> tuple[Finding, ...]:
    findings = []
    expected = EXTENSIONS[found.format]
    if expected and found.extension not in expected:
        findings.append(
            _error(
                "extension",
                f"the content is {found.format}, the extension is {found.extension or 'missing'}: "
                "the runtimes choose the parser by the extension and will fail",
                f"Rename it to {' or '.join('*' + ext for ext in expected)}.",
            )
        )
    name = Path(found.path).stem.lower()
    if name.endswith(("-web", "_web", ".web")):
        text = "the name says that it is made for browsers; Android's runtimes do not load these"
        findings.append(_error("web-only", text, "Download the Android file of the same model."))
    return tuple(findings)


def _error(code: str, text: str, remedy: str = _DOWNLOAD) -> Finding:
    return Finding(code, Severity.ERROR, text, remedy)
