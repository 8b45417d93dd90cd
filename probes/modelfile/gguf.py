"""GGUF, the container of llama.cpp: header, metadata, tensor descriptors; the weights are not read.

Layout (ggml's page on GGUF, versions 2 and 3, little-endian): `GGUF`, u32 version, u64 tensors, u64 pairs;
each pair a key, a u32 type and a value; each tensor a name, u32 dimensions, u64 sizes, u32 type and a u64
offset into the data, which starts at the next multiple of the alignment. Text is a u64 length and its bytes.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any

from .model import Finding, ModelFile, Severity, TensorGroup, error, grouped
from .source import BadContentError, Source

MAGIC = b"GGUF"
VERSIONS = (2, 3)

MAX_PAIRS = 10_000
MAX_TENSORS = 100_000
MAX_TEXTS = 2_000_000
"""Texts in all arrays together, some seconds of work. Gemma's vocabulary is 262144, its merges twice that."""
MAX_TEXT = 4096
MAX_DIMENSIONS = 8
CHUNK = 1 << 18

_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
"""Type of a value -> its form for `struct`."""
_TEXT, _ARRAY = 8, 9

TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
    28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip
"""ggml_type -> name, weights and bytes of a block (gguf-py 0.19.0, GGML_QUANT_SIZES)."""

FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
    36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0",
}  # fmt: skip
"""`general.file_type` -> what people call the quantisation of the whole file (llama_ftype)."""


PURPOSES = {
    "adapter": "a LoRA adapter, which is given to llama.cpp beside its model",
    "mmproj": "a vision or audio projector, which is given to llama.cpp beside its model",
    "clip": "a vision projector (mmproj), which is given to llama.cpp beside its model",
    "vocab": "a vocabulary without weights",
    "bert": "an embedding model: it turns text into vectors and does not generate any",
    "nomic-bert": "an embedding model: it turns text into vectors and does not generate any",
    "gemma-embedding": "an embedding model: it turns text into vectors and does not generate any",
}
"""`general.type` or `general.architecture` of files that do not generate text."""


class _Cursor:
    """Reads on from a place, in large pieces: a vocabulary has a million small values."""

    def __init__(self, source: Source, at: int) -> None:
        self._source, self.at = source, at
        self._data, self._start, self._texts = b"", at, MAX_TEXTS

    def take(self, size: int) -> bytes:
        begin = self.at - self._start
        if begin + size > len(self._data):
            self._start, begin = self.at, 0
            self._data = self._source.read(self.at, max(size, min(CHUNK, self._source.size - self.at)))
        self.at += size
        return self._data[begin : begin + size]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def skip(self, size: int) -> None:
        if self.at + size > self._source.size:
            raise BadContentError(f"a value of {size} bytes at byte {self.at} ends outside the file")
        self.at += size

    def text(self) -> str:
        """Cut to MAX_TEXT bytes."""
        size = self.number("<Q")
        shown = self.take(min(size, MAX_TEXT)).decode("utf-8", "replace")
        self.skip(max(0, size - MAX_TEXT))
        return shown

    def value(self, kind: int) -> Any:
        """A scalar or text; of an array only that it is there (None)."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            raise BadContentError(f"a value has type {kind}")
        of, count = self.number("<I"), self.number("<Q")
        if of in _SCALARS:
            self.skip(count * struct.calcsize(_SCALARS[of]))
            return None
        self._texts -= count
        if of != _TEXT or self._texts < 0:
            raise BadContentError(f"an array claims {count} values of type {of}")
        for _ in range(count):
            self.skip(self.number("<Q"))
        return None


def read_gguf(source: Source, base: ModelFile) -> ModelFile:
    """Read a file that starts with the magic bytes."""
    base = replace(base, what="GGUF model")
    try:
        cursor = _Cursor(source, len(MAGIC))
        version = cursor.number("<I")
        if version not in VERSIONS:
            return replace(base, findings=(_version(version),))
        tensors, pairs = cursor.number("<Q"), cursor.number("<Q")
        if tensors > MAX_TENSORS or pairs > MAX_PAIRS:
            raise BadContentError(f"it claims {tensors} tensors and {pairs} pairs of metadata")
        metadata = {cursor.text(): cursor.value(cursor.number("<I")) for _ in range(pairs)}
        found = [_tensor(cursor) for _ in range(tensors)]
    except BadContentError as problem:
        text = f"the file's tables cannot be read: {problem}"
        return replace(base, complete=False, findings=(error("tables", text),))
    alignment = _count(metadata.get("general.alignment")) or 32
    start = -(-cursor.at // alignment) * alignment
    groups, end = _groups(found, source.size - start)
    findings = []
    if not found:
        text = "it holds no weights: an empty file, or a vocabulary alone"
        findings.append(error("no-weights", text, "Get the whole file of the model."))
    elif start + end > source.size:
        text = f"its weights end at byte {start + end} of {source.size}: the download is incomplete"
        findings.append(error("cut", text))
    if (parts := _count(metadata.get("split.count"))) and parts > 1:
        text = f"one of {parts} parts of a model; llama.cpp needs all of them side by side"
        findings.append(Finding("split", Severity.NOTE, text))
    architecture, name = (_text(metadata.get(f"general.{key}")) for key in ("architecture", "name"))
    if purpose := PURPOSES.get(_text(metadata.get("general.type")) or "") or PURPOSES.get(architecture or ""):
        findings.append(Finding("purpose", Severity.NOTE, purpose))
    file_type = _count(metadata.get("general.file_type"), low=0)
    scheme = None if file_type is None else FILE_TYPES.get(file_type)
    return replace(
        base,
        what=f"GGUF model, {scheme}" if scheme else base.what,
        complete=bool(found) and start + end <= source.size,
        header={"version": version, "tensors": tensors, "name": name, "quantisation": scheme},
        weights=groups,
        model_type=architecture,
        context=_count(metadata.get(f"{architecture}.context_length")),
        findings=tuple(findings),
    )


def _tensor(cursor: _Cursor) -> tuple[int, int, int]:
    """(offset into the data, type, number of weights)."""
    cursor.text()
    dimensions = cursor.number("<I")
    if dimensions > MAX_DIMENSIONS:
        raise BadContentError(f"a tensor claims {dimensions} dimensions")
    elements = prod(cursor.number("<Q") for _ in range(dimensions))
    kind = cursor.number("<I")
    return cursor.number("<Q"), kind, elements


def _groups(tensors: list[tuple[int, int, int]], room: int) -> tuple[tuple[TensorGroup, ...], int]:
    """Tensors by type, the most bytes first, and where the last one ends. One of a type that is newer than
    this table takes the bytes up to the next."""
    sizes: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    end = 0
    for (offset, kind, elements), (following, *_) in pairwise([*sorted(tensors), (room,)]):
        name, block, width = TYPES.get(kind, (f"type {kind}", 1, 0))
        size = elements // block * width if width else max(0, following - offset)
        sizes[name, f"block {block}" if block > 1 else "none"].append((elements, size))
        end = max(end, offset + size)
    return grouped(sizes), end


def _version(version: int) -> Finding:
    if version & 0xFFFF == 0:
        return error(
            "version", "made for a big-endian machine, which no phone is", "Get the little-endian file."
        )
    return error("version", f"GGUF version {version}; llama.cpp reads 2 and 3", "Convert the model again.")


def _count(value: Any, *, low: int = 1) -> int | None:
    usable = isinstance(value, int) and not isinstance(value, bool) and low <= value < 1 << 31
    return value if usable else None


def _text(value: Any) -> str | None:
    return value[:64] if isinstance(value, str) else None
