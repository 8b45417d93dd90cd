"""What people have instead of a model for Google's runtimes: other runtimes' files, archives, error pages.

Told by content first and by name last. Nothing is decompressed; of the content a few kilobytes are read, or
what a JSON header claims, up to MAX_JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from .model import ModelFile, error
from .source import Source

LOOK = 4096
MAX_JSON = 1 << 20
MAX_SHOWN = 200
DOWNLOAD = "Download it again; for a gated model accept the licence first and use a token."
GET = "Get the .litertlm (or .task) of the model."

PARTIAL = (
    ".crdownload", ".part", ".partial", ".download", ".opdownload", ".incomplete", ".gallerytmp", ".aria2",
    ".tmp",
)  # fmt: skip
"""Endings under which browsers and downloaders keep what has not arrived whole."""

MODEL_ENDINGS = (".litertlm", ".task", ".bin", ".tflite", ".gguf", ".pte", ".mnn", ".onnx", ".safetensors")


@dataclass(frozen=True)
class Look:
    """The begin of a file, and what it is called."""

    head: bytes
    name: str
    size: int
    source: Source = field(repr=False)

    @cached_property
    def text(self) -> str | None:
        """The head as text in one of the encodings that pages come in; None if it is none."""
        for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"", "utf-8")):
            if self.head.startswith(mark):
                text = self.head.removeprefix(mark).decode(encoding, "ignore").lstrip("\ufeff")
                break
        plain = sum(c.isprintable() or c.isspace() for c in text)
        whole = len(text.encode(encoding, "ignore")) >= 0.95 * (len(self.head) - len(mark))
        return text if text.strip() and whole and plain >= 0.98 * len(text) else None

    @cached_property
    def json(self) -> Any:
        """The content as JSON, or None."""
        if self.text is None or self.text.lstrip()[:1] not in "{[" or self.size > MAX_JSON:
            return None
        try:
            return json.loads(self.source.read(0, self.size).decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return None

    def ends(self, *endings: str) -> bool:
        return self.name.endswith(endings)


@dataclass(frozen=True)
class Stranger:
    """A kind of file.

    Attributes:
        what: it is, with its article.
        remedy: what to do.
        test: whether a file is one.
        says: its own words, where it has some.
        short: it is what a download left that did not bring the file.
    """

    what: str
    remedy: str
    test: Callable[[Look], bool]
    says: Callable[[Look], str | None] = lambda look: None
    short: bool = False


def _starts(*magics: bytes) -> Callable[[Look], bool]:
    return lambda look: look.head.startswith(magics)


def _holds(*words: str) -> Callable[[Look], bool]:
    return lambda look: look.text is not None and any(word in look.text.lower() for word in words)


def _between(text: str | None, *tags: str) -> str | None:
    for tag in tags:
        found = re.search(rf"<{tag}[^>]{{0,200}}>([^<]{{1,400}})<", text or "", re.IGNORECASE)
        if found and (words := " ".join(found[1].split())):
            return words
    return None


def _is_json(*keys: str) -> Callable[[Look], bool]:
    """JSON, cut off or not, that has one of the keys; any JSON without keys."""

    def test(look: Look) -> bool:
        text = look.text
        if text is None or text.lstrip()[:1] not in ("{", "["):
            return False
        return not keys or any(f'"{key}"' in text for key in keys)

    return test


def _message(look: Look) -> str | None:
    """The message in a JSON answer, at most two levels down."""
    value = look.json
    for key in ("error", "message", "detail", "error_description", "title", "errors"):
        found = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(found, str) and found:
            return found
        if isinstance(found, Mapping):
            inner = next((found[k] for k in ("message", "detail") if isinstance(found.get(k), str)), None)
            if inner:
                return str(inner)
    return look.text


def _pointer(look: Look) -> str | None:
    size = re.search(r"^size (\d{1,15})$", look.text or "", re.MULTILINE)
    return f"it stands for a file of {int(size[1]):,} bytes" if size else None


def _sentencepiece(look: Look) -> bool:
    """Three pieces of a vocabulary: each a text, then a score or a type (sentencepiece_model.proto)."""
    at = 0
    for _ in range(3):
        if look.head[at : at + 1] != b"\n" or at + 2 > len(look.head):
            return False
        size = look.head[at + 1]
        piece = look.head[at + 2 : at + 2 + size]
        if size >= 0x80 or len(piece) < size or piece[:1] != b"\n" or size < 2:
            return False
        if piece[2 + piece[1] : 3 + piece[1]] not in (b"", b"\x15", b"\x18"):
            return False
        at += 2 + size
    return True


def _safetensors(look: Look) -> bool:
    return look.head[8:10] == b'{"' and int.from_bytes(look.head[:8], "little") < 1 << 27


def _adapter(look: Look) -> bool:
    if not _safetensors(look):
        return False
    header = look.source.read(8, min(int.from_bytes(look.head[:8], "little"), MAX_JSON, look.size - 8))
    return b"lora_A" in header or b"lora_B" in header or b".lora_" in header


def _onnx(look: Look) -> bool:
    made = any(word in look.head for word in (b"ai.onnx", b"pytorch", b"onnx", b"skl2onnx"))
    return look.ends(".onnx") or (look.head[:1] == b"\x08" and made)


def _elsewhere(runtime: str) -> str:
    return f"{runtime} runs it; LiteRT-LM and MediaPipe do not. {GET}"


_UNPACK = "Unpack it: the model is inside."

STRANGERS = (
    Stranger("an empty file", DOWNLOAD, lambda look: not look.head, short=True),
    Stranger(
        "a Git LFS pointer",
        "Fetch the real file with `git lfs pull`, or download it through the site.",
        _starts(b"version https://git-lfs"),
        _pointer,
        short=True,
    ),
    Stranger(
        "a web page (HTML)",
        DOWNLOAD,
        _holds("<!doctype html", "<html", "<head>", "<head ", "<body", "<title>"),
        lambda look: _between(look.text, "title", "h1", "h2", "p"),
        short=True,
    ),
    Stranger(
        "an error message (XML)",
        DOWNLOAD,
        lambda look: _holds("<error>", "<error ")(look) and _holds("<code>", "<message>")(look),
        lambda look: _between(look.text, "Message", "Code"),
        short=True,
    ),
    Stranger("an XML file", GET, lambda look: look.text is not None and look.text.lstrip()[:5] == "<?xml"),
    Stranger("a tokenizer (tokenizer.json)", GET, _is_json("added_tokens", "merges", "vocab")),
    Stranger(
        "the settings of a LoRA adapter",
        "Merge the adapter into its model and convert that.",
        _is_json("peft_type"),
    ),
    Stranger(
        "the list of a model's parts (safetensors)",
        f"Convert the model; or: {GET.lower()}",
        _is_json("weight_map"),
    ),
    Stranger(
        "the settings of a model (config.json)",
        GET,
        _is_json(
            "architectures", "model_type", "hidden_size", "tokenizer_class", "chat_template", "llm_model"
        ),
    ),
    Stranger(
        "an error message (JSON)",
        DOWNLOAD,
        lambda look: (
            _is_json()(look) and re.search(r'"(?:error|message|detail|errors)"', look.text or "") is not None
        ),
        _message,
        short=True,
    ),
    Stranger("a JSON file", GET, _is_json()),
    Stranger("a LoRA adapter (safetensors)", "Merge it into its model and convert that.", _adapter),
    Stranger("a safetensors file", f"It holds the raw weights; convert it. Or: {GET.lower()}", _safetensors),
    Stranger("a gzip archive", _UNPACK, _starts(b"\x1f\x8b")),
    Stranger("a tar archive", _UNPACK, lambda look: look.head[257:262] == b"ustar"),
    Stranger(
        "an archive",
        _UNPACK,
        _starts(
            b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"BZh", b"\x04\x22\x4d\x18"
        ),
    ),
    Stranger(
        "an ExecuTorch model",
        _elsewhere("ExecuTorch"),
        lambda look: re.match(rb"ET\d\d", look.head[4:8]) is not None or look.ends(".pte"),
    ),
    Stranger("a SentencePiece tokenizer", f"The tokenizer is a part of the model. {GET}", _sentencepiece),
    Stranger(
        "an old GGML model", _elsewhere("An old llama.cpp"), _starts(b"lmgg", b"tjgg", b"fmgg", b"algg")
    ),
    Stranger("Keras weights (HDF5)", f"Convert the model. Or: {GET.lower()}", _starts(b"\x89HDF")),
    Stranger(
        "a PyTorch checkpoint",
        f"Convert the model. Or: {GET.lower()}",
        _starts(b"\x80\x02\x8a\n", b"\x80\x02}", b"\x80\x04\x95"),
    ),
    Stranger("a native library", GET, _starts(b"\x7fELF")),
    Stranger("a document or a picture", GET, _starts(b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")),
    Stranger("an ONNX model", _elsewhere("ONNX Runtime"), _onnx),
    Stranger(
        "zeros only at its start: space was reserved and the download did not reach it",
        "Download it again.",
        lambda look: not any(look.head),
        short=True,
    ),
    Stranger("an MNN model", _elsewhere("MNN"), lambda look: look.ends(".mnn")),
    Stranger("a part of an MNN model", _elsewhere("MNN"), lambda look: ".mnn" in look.name),
    Stranger(
        "the weights of an ONNX model",
        _elsewhere("ONNX Runtime"),
        lambda look: look.ends(".onnx_data", ".onnx.data"),
    ),
    Stranger(
        "a part of an MLC model", _elsewhere("MLC LLM"), lambda look: look.name.startswith("params_shard_")
    ),
    Stranger(
        "a model compiled for an NPU by its vendor's tools",
        f"The vendor's runtime runs it. {GET}",
        lambda look: look.ends(".dla", ".dlc", ".qnn", ".nnc"),
    ),
    Stranger(
        "a Core ML model",
        _elsewhere("Core ML, on Apple's systems,"),
        lambda look: look.ends(".mlmodel", ".mlpackage"),
    ),
    Stranger(
        "a cache that an engine made of a model",
        f"It is of use to that engine and phone only. {GET}",
        lambda look: "_cache" in look.name and look.ends("_cache", "_cache.bin"),
    ),
    Stranger(
        "a text",
        DOWNLOAD,
        lambda look: look.text is not None,
        lambda look: look.text,
        short=True,
    ),
    Stranger(
        "an incomplete download",
        "Let the download end, or begin it anew.",
        lambda look: look.ends(*PARTIAL),
        short=True,
    ),
)
"""The first that fits."""


def read_stranger(source: Source, base: ModelFile) -> ModelFile:
    """Say what a file is that no container's magic begins."""
    look = Look(source.read(0, min(LOOK, source.size)), Path(base.path).name.lower(), source.size, source)
    for stranger in STRANGERS:
        if stranger.test(look):
            text = f"this is {stranger.what}, not a model for these runtimes"
            if stranger.what.startswith("zeros"):
                text = f"the file has {stranger.what}"
            if words := stranger.says(look):
                text += f': "{" ".join(words.split())[:MAX_SHOWN]}"'
            return replace(
                base,
                what=stranger.what,
                complete=False if stranger.short else None,
                findings=(error("not-a-model", text, stranger.remedy),),
            )
    text = f"its first bytes are those of no known model format ({look.head[:8].hex(' ')})"
    remedy = f"Compare its size and hash with the published ones. {GET}"
    return replace(base, findings=(error("not-a-model", text, remedy),))
