"""The `.litertlm` container: header, metadata, a table of sections; each section checked and read.

Layout (LiteRT-LM schema/core/litertlm_header_schema.fbs, litertlm_read.cc): 8 bytes `LITERTLM`, three u32
version numbers, 4 bytes padding, u64 end of header at byte 24, the FlatBuffer `LiteRTLMMetaData` from byte
32, then the sections, each starting on a 16 KiB block.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from ...base.names import Backend
from .flat import Extent, FlatTable
from .model import Finding, ModelFile, Section, Severity, Tflite, error
from .protobuf import fields
from .source import BadContentError, Source
from .tflite import read_tflite

MAGIC = b"LITERTLM"
HEADER_BEGIN = 32
SUPPORTED_MAJOR = 1
BLOCK = 16 * 1024
MAX_HEADER = 16 << 20
"""Real headers have a few kilobytes. The runtime would allocate whatever the file states."""

MAX_SECTIONS = 1000
MAX_PROTO = 10 << 20

_TFLITE, _LLM_METADATA = 3, 5
TYPES = (
    "None", "GenericBinaryData", "Deprecated", "TFLiteModel", "SP_Tokenizer", "LlmMetadataProto",
    "HF_Tokenizer_Zlib", "TFLiteWeights", "EmbeddingMetadataProto", "ExecutorMetadataProto",
    "TtsMetadataProto", "AsrMetadataProto",
)  # fmt: skip
"""AnySectionDataType of litert-lm-builder 0.18.1. Between 0.9 and 0.17 value 8 was ExecutorMetadataProto."""

MAIN_MODELS = (
    "tf_lite_prefill_decode", "tf_lite_artisan_text_decoder", "tf_lite_prefill", "tf_lite_decode",
    "tf_lite_prefill_decode_hw",
)  # fmt: skip
"""model_type of the section that generates text (schema/model_info/model_info.cc)."""

PARTS = {
    "tf_lite_vision_encoder": "vision", "tf_lite_audio_encoder": "audio",
    "tf_lite_mtp_drafter": "speculative decoding",
    "tf_lite_text_encoder": "embedding", "EmbeddingMetadataProto": "embedding",
    "TtsMetadataProto": "speech synthesis", "AsrMetadataProto": "speech recognition",
}  # fmt: skip
"""How the name or the type of a section begins -> what the file can do with it, besides text."""

PURPOSES = {
    "embedding": "an embedding model: it turns text into vectors and does not generate any",
    "speech synthesis": "a model that speaks text; it does not generate any",
    "speech recognition": "a model that writes down speech; it does not answer",
}
"""Part -> what a file is that has it and no text generator."""

TOKENIZERS = ("SP_Tokenizer", "HF_Tokenizer_Zlib")

ARCHITECTURES = {
    1: "generic", 2: "gemma3n", 3: "function_gemma", 4: "gemma3", 5: "qwen3", 7: "qwen2p5", 8: "gemma4",
    9: "fast_vlm", 11: "lfm2", 12: "minicpm5", 13: "minicpmv4",
}  # fmt: skip
"""Field of the oneof in LlmModelType (runtime/proto/llm_model_type.proto)."""

UNCONSTRAINED = ("cpu", "gpu")
"""What the runtime assumes a file is for that names no backend (model_info.cc)."""

_MAX_NUM_TOKENS, _LLM_MODEL_TYPE, _MIN_RUNTIME_VERSION = 5, 6, 14


def read_litertlm(source: Source, base: ModelFile) -> ModelFile:
    """Read a file that starts with the magic bytes. Everything wrong is in `findings`."""
    base = replace(base, what="LiteRT-LM container")
    try:
        header, objects = _header(source)
    except BadContentError as problem:
        return replace(base, complete=False, findings=(error("header", f"the header {problem}"),))
    base = replace(base, what=f"{base.what} {header['version']}", header=header)
    if header["major"] != SUPPORTED_MAJOR:
        return replace(
            base,
            findings=(
                error(
                    "version",
                    f"container version {header['version']}: runtimes read major version {SUPPORTED_MAJOR}",
                    "Update LiteRT-LM, or convert the model for it again.",
                ),
            ),
        )
    sections: list[Section] = []
    findings: list[Finding] = []
    metadata: dict[str, Any] = {}
    for section, code in objects:
        try:
            _check_range(section, header["end"], source.size)
            if code == _TFLITE:
                section = replace(section, tflite=read_tflite(source, section.begin, section.end))
            elif code == _LLM_METADATA:
                metadata = _llm_metadata(source, section)
        except BadContentError as problem:
            findings.append(error("section", f"section {len(sections)} ({section.name}) {problem}"))
        sections.append(section)
    findings += _overlaps(sections)
    complete = not findings
    findings += _trailing(sections, source.size)
    main, parts = _main(sections), _parts(sections)
    if complete:
        findings += _missing(sections, main, parts)
    return replace(
        base,
        sections=tuple(sections),
        parts=parts,
        backends=_backends(main),
        npu=_npu(sections, header),
        model_type=metadata.get("model_type"),
        context=metadata.get("context"),
        min_runtime=metadata.get("min_runtime"),
        complete=complete,
        findings=tuple(findings),
    )


def _header(source: Source) -> tuple[dict[str, Any], list[tuple[Section, int]]]:
    fixed = source.read(0, HEADER_BEGIN)
    version = [int.from_bytes(fixed[8 + 4 * i : 12 + 4 * i], "little") for i in range(3)]
    end = int.from_bytes(fixed[24:32], "little")
    header = {"version": ".".join(map(str, version)), "major": version[0], "end": end}
    if version[0] != SUPPORTED_MAJOR:
        return header, []
    if not HEADER_BEGIN + 8 <= end <= source.size:
        raise BadContentError(f"claims to end at byte {end} of a file of {source.size} bytes")
    if end > MAX_HEADER:
        raise BadContentError(f"claims {end} bytes; real ones have a few thousand")
    root = Extent(source, HEADER_BEGIN, end).root()
    system = root.table(0)
    header["system"] = _items(system, 0) if system else {}
    table = root.table(1)
    objects = table.vector(0) if table else None
    if objects is None:
        raise BadContentError("has no table of sections")
    if objects.length > MAX_SECTIONS:
        raise BadContentError(f"claims {objects.length} sections")
    return header, [_section(item) for item in objects.tables()]


def _section(table: FlatTable) -> tuple[Section, int]:
    items = _items(table, 0)
    begin, end, code = table.integer(1, 8), table.integer(2, 8), table.integer(3, 1)
    kind = TYPES[code] if code < len(TYPES) else f"type {code}"
    name = items.get("model_type")
    return Section(f"{kind}: {name}" if name else kind, begin, end, items), code


def _items(table: FlatTable, field: int) -> dict[str, Any]:
    """KeyValuePairs whose value is one of the union's tables; of a key given twice the first counts."""
    vector = table.vector(field)
    if vector is not None and vector.length > MAX_SECTIONS:
        raise BadContentError(f"claims {vector.length} properties")
    found: dict[str, Any] = {}
    for pair in vector.tables() if vector is not None else ():
        kind, value = pair.integer(1, 1), pair.table(2)
        if value is not None:
            found.setdefault(pair.text(0) or "", _value(kind, value))
    return found


_INTEGERS = {1: (1, False), 2: (1, True), 3: (2, False), 4: (2, True), 5: (4, False), 6: (4, True),
             10: (8, False), 11: (8, True)}  # fmt: skip
"""Member of the union VData -> (bytes, signed)."""


def _value(kind: int, table: FlatTable) -> Any:
    if kind in _INTEGERS:
        width, signed = _INTEGERS[kind]
        return table.integer(0, width, signed=signed)
    if kind in (7, 12):
        return table.real(0, 4 if kind == 7 else 8)
    if kind == 8:
        return bool(table.integer(0, 1))
    return table.text(0) if kind == 9 else None


def _check_range(section: Section, header_end: int, size: int) -> None:
    if section.begin < header_end or section.end <= section.begin:
        raise BadContentError(f"claims the bytes {section.begin} to {section.end}, which cannot be")
    if section.end > size:
        missing = section.end - size
        raise BadContentError(
            f"ends at byte {section.end}, {missing} bytes after the file's end: the download is incomplete"
        )


def _overlaps(sections: list[Section]) -> list[Finding]:
    ordered = sorted(sections, key=lambda s: (s.begin, s.end))
    return [
        error("overlap", f"the sections {a.name} and {b.name} share the bytes from {b.begin}")
        for a, b in pairwise(ordered)
        if b.begin < a.end
    ]


def _trailing(sections: list[Section], size: int) -> list[Finding]:
    end = max((s.end for s in sections), default=size)
    if size < end + BLOCK:
        return []
    return [Finding("trailing", Severity.NOTE, f"{size - end} bytes follow the last section")]


def _llm_metadata(source: Source, section: Section) -> dict[str, Any]:
    """What matters here of LlmMetadata (runtime/proto/llm_metadata.proto)."""
    if section.size > MAX_PROTO:
        raise BadContentError(f"claims {section.size} bytes of metadata")
    found: dict[str, Any] = {}
    for number, value in fields(source.read(section.begin, section.size)):
        if number == _MAX_NUM_TOKENS and isinstance(value, int) and 0 < value < 1 << 31:
            found["context"] = value
        elif number == _LLM_MODEL_TYPE and isinstance(value, bytes):
            inner = [n for n, _ in fields(value)]
            found["model_type"] = ARCHITECTURES.get(inner[0], f"architecture {inner[0]}") if inner else None
        elif number == _MIN_RUNTIME_VERSION and isinstance(value, bytes):
            found["min_runtime"] = value[:64].decode("utf-8", "replace")
    return found


def _main(sections: list[Section]) -> Section | None:
    for kind in MAIN_MODELS:
        for section in sections:
            if str(section.properties.get("model_type", "")).lower() == kind:
                return section
    return None


def _parts(sections: list[Section]) -> tuple[str, ...]:
    """What the file can do besides text, each once."""
    names = [(s.name.split(":")[0], str(s.properties.get("model_type", "")).lower()) for s in sections]
    found = (part for start, part in PARTS.items() for name in names for n in name if n.startswith(start))
    return tuple(dict.fromkeys(found))


def _missing(sections: list[Section], main: Section | None, parts: tuple[str, ...]) -> list[Finding]:
    """What a whole file lacks for what it is."""
    purpose = next((PURPOSES[part] for part in parts if part in PURPOSES), None)
    if main is None and purpose is not None:
        return [Finding("purpose", Severity.NOTE, purpose, "Use it for that; for text take another model.")]
    if main is None:
        text = "no section holds a model that generates text: it is a part of a model, or no language model"
        return [error("no-main-model", text, "Get the whole .litertlm file of the model.")]
    kinds = {section.name.split(":")[0] for section in sections}
    if any(kind.startswith("type ") for kind in kinds):
        return []  # newer than this table: it may be what is looked for
    needed = {"tokenizer": TOKENIZERS, "settings (LlmMetadata)": ("LlmMetadataProto",)}
    return [
        error(
            "section-missing",
            f"no section holds the {what}, without which LiteRT-LM opens no model",
            "Get the published file, or pack yours with the official builder.",
        )
        for what, types in needed.items()
        if kinds.isdisjoint(types)
    ]


def _backends(main: Section | None) -> tuple[str, ...] | None:
    if main is None:
        return None
    if main.tflite is not None and main.tflite.npu is not None:
        return (str(Backend.NPU),)  # nothing else has the operators that it was compiled to
    constraint = main.properties.get("backend_constraint")
    if not isinstance(constraint, str) or not constraint:
        return UNCONSTRAINED
    return tuple(part.strip().lower() for part in constraint.split(",") if part.strip())


def _npu(sections: list[Section], header: dict[str, Any]) -> tuple[str, str] | None:
    models: list[Tflite] = [s.tflite for s in sections if s.tflite is not None]
    stamps = [model.npu for model in models if model.npu is not None]
    if stamps:
        return stamps[0]
    for properties in (header.get("system") or {}, *(s.properties for s in sections)):
        for key in ("soc_name", "soc_model", "target_soc"):
            if isinstance(properties.get(key), str) and properties[key]:
                return "", properties[key]
    return None
