"""A TFLite model: where its buffers are, how its weights are stored, what its metadata declares.

Field numbers are those of tflite/schema/schema.fbs (google-ai-edge/LiteRT). Weights lie either in the
FlatBuffer itself (`Buffer.data`) or after it, at `Buffer.offset` and `Buffer.size` from the start of the
model: the way of all files over 2 GiB and of MediaPipe's `.bin`, whose tables all fit in the first MiB.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from .flat import Extent, FlatTable, Vector
from .model import Finding, ModelFile, Severity, TensorGroup, Tflite, error, grouped
from .source import BadContentError, Source

IDENTIFIER = b"TFL3"

MAX_TENSORS = 200_000

# Model, SubGraph, Tensor, Buffer, Metadata, QuantizationParameters, BlockwiseQuantization
_OPERATORS, _SUBGRAPHS, _BUFFERS, _METADATA, _SIGNATURES = 1, 2, 4, 6, 7
_CUSTOM_CODE, _SIGNATURE_KEY = 1, 2
_TENSORS = 0
_SHAPE, _TYPE, _BUFFER, _QUANTIZATION = 0, 1, 2, 4
_DATA, _OFFSET, _SIZE = 0, 1, 2
_NAME, _METADATA_BUFFER = 0, 1
_SCALE, _DETAILS_TYPE, _DETAILS = 2, 4, 5
_BLOCK_SIZE = 2
_BLOCKWISE = 2

TYPES = (
    "FLOAT32", "FLOAT16", "INT32", "UINT8", "INT64", "STRING", "BOOL", "INT16", "COMPLEX64", "INT8",
    "FLOAT64", "COMPLEX128", "UINT64", "RESOURCE", "VARIANT", "UINT32", "UINT16", "INT4", "BFLOAT16",
    "INT2", "UINT4", "FLOAT8_E4M3FN", "FLOAT8_E5M2",
)  # fmt: skip
"""tflite::TensorType by value."""

MODEL_TYPES = {
    6: "GEMMA_2B", 12: "GEMMA_7B", 18: "GEMMA2_2B", 27: "GEMMA3_1B",
    28: "GEMMA3_4B", 29: "GEMMA3_12B", 30: "GEMMA3_27B", 38: "GEMMA3_300M", 47: "FUNCTIONGEMMA3_300M",
    100: "TF_LITE",
}  # fmt: skip
"""odml.infra.LlmModelType; a MediaPipe .bin states it as the buffer index of the entry of that name."""

STAMP = "LiteRtStamp"
STAMP_HALF = 125
"""A model compiled for an NPU carries 250 bytes: manufacturer and SoC, each padded with zeros to 125."""

DISPATCH = "DISPATCH_OP"
"""The operator that stands for a graph which was compiled for an NPU (litert/core/dispatch_op_schema)."""

MAKERS = ((b"dwg_tpu", "Google Tensor"), (b"dla-file", "MediaTek"), (b"QNN", "Qualcomm"))
"""What the compiled graph of a file without a stamp holds -> whose NPU it is for."""

CODE_LOOK = 1 << 20
MAX_SIGNATURES = 64


TFLITE_BASE = 1 << 20
"""MediaPipe maps so much of a `.bin` and takes it for the model's tables (kTfliteBaseSize, model_data.cc)."""


@dataclass(frozen=True)
class _Buffer:
    start: int  # in the file
    size: int


def read_model(source: Source, base: ModelFile) -> ModelFile:
    """Read a file that is one model. Everything wrong is in `findings`."""
    base = replace(base, what="TFLite model")
    try:
        model = read_tflite(source, 0, source.size)
    except BadContentError as problem:
        text = f"the model's tables cannot be read: {problem}"
        return replace(base, complete=False, findings=(error("tables", text),))
    return replace(
        base,
        complete=True,
        tflite=model,
        backends=(model.backend,) if model.backend else None,
        npu=model.npu,
        model_type=model.model_type,
        findings=_bin_findings(model, source.size) if base.extension == ".bin" else _bare(model, base),
    )


def _bare(model: Tflite, base: ModelFile) -> tuple[Finding, ...]:
    """What a TFLite model is that is no .bin of MediaPipe."""
    if model.backend is not None:
        return ()
    if "embed" in Path(base.path).name.lower():
        text = "an embedding model by its name: it turns text into vectors and does not generate any"
        return (
            Finding("purpose", Severity.NOTE, text, "Use it with a text embedder, beside its tokenizer."),
        )
    text = (
        "a bare TFLite model: LiteRT runs it, but neither LiteRT-LM nor MediaPipe LLM Inference loads it; of "
        "a language model it is one part of a bundle, without tokenizer and settings"
    )
    return (error("bare-tflite", text, "Get the .litertlm or the .task of the model."),)


def _bin_findings(model: Tflite, size: int) -> tuple[Finding, ...]:
    findings = []
    if size < TFLITE_BASE:
        text = f"a .bin of {size} bytes: the loader maps the first {TFLITE_BASE} and refuses shorter files"
        findings.append(error("too-small", text))
    if model.backend is None:
        text = "no `backend` in the metadata: not a model for MediaPipe LLM Inference"
        findings.append(error("no-backend", text, "Use a file that was converted for it, or LiteRT-LM."))
    return tuple(findings)


def read_tflite(source: Source, begin: int, end: int) -> Tflite:
    """Read the model in the bytes [begin, end) of a file. Raises BadContentError naming what is wrong."""
    whole = Extent(source, begin, end)
    if whole.read(begin + 4, 4) != IDENTIFIER:
        raise BadContentError(f"does not start with a TFLite model (no {IDENTIFIER.decode()} at byte 4)")
    root = whole.root()
    buffers = [_buffer(table, whole) for table in _tables(root, _BUFFERS)]
    weights, subgraphs = _weights(root, buffers)
    metadata = [(t.text(_NAME) or "", t.integer(_METADATA_BUFFER, 4)) for t in _tables(root, _METADATA)]
    named = dict(reversed(metadata))  # the first entry of a name counts
    return Tflite(
        subgraphs=subgraphs,
        buffers=len(buffers),
        weights=weights,
        metadata=tuple(dict.fromkeys(name for name, _ in metadata)),
        backend=_word(source, buffers, named.get("backend")),
        model_type=_model_type(named),
        npu=_npu(source, buffers, named.get(STAMP)) or _compiled(root, whole),
        signatures=tuple(t.text(_SIGNATURE_KEY) or "" for t in _tables(root, _SIGNATURES)[:MAX_SIGNATURES]),
        end=max((b.start + b.size for b in buffers), default=begin) - begin,
    )


def _tables(root: FlatTable, field: int) -> list[FlatTable]:
    vector = root.vector(field)
    return [] if vector is None else list(vector.tables())


def _buffer(table: FlatTable, whole: Extent) -> _Buffer:
    data = table.vector(_DATA)
    if data is not None and data.length:
        data.end(1)
        return _Buffer(data.start, data.length)
    offset, size = table.integer(_OFFSET, 8), table.integer(_SIZE, 8)
    if offset <= 1 or size == 0:  # 0: no data; 1: a place that the converter reserved and did not use
        return _Buffer(whole.begin, 0)
    if whole.begin + offset + size > whole.end:
        raise BadContentError(
            f"a weight buffer lies at bytes {offset} to {offset + size} of {whole.end - whole.begin}: "
            "the file is cut off or its tables are damaged"
        )
    return _Buffer(whole.begin + offset, size)


def _weights(root: FlatTable, buffers: list[_Buffer]) -> tuple[tuple[TensorGroup, ...], int]:
    """Groups of the tensors that have data, each buffer once, and the number of subgraphs."""
    sizes: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    seen: set[int] = set()
    count = 0
    subgraphs = _tables(root, _SUBGRAPHS)
    for subgraph in subgraphs:
        for tensor in _tables(subgraph, _TENSORS):
            count += 1
            if count > MAX_TENSORS:
                raise BadContentError(f"it has more than {MAX_TENSORS} tensors")
            index = tensor.integer(_BUFFER, 4)
            if index >= len(buffers):
                raise BadContentError(f"a tensor names buffer {index} of {len(buffers)}")
            if index in seen or not buffers[index].size:
                continue
            seen.add(index)
            code = tensor.integer(_TYPE, 1)
            dtype = TYPES[code] if code < len(TYPES) else f"type {code}"
            sizes[dtype, _scales(tensor)].append((_elements(tensor.vector(_SHAPE)), buffers[index].size))
    return grouped(sizes), len(subgraphs)


def _elements(shape: Vector | None) -> int:
    return 1 if shape is None else prod(shape.u32s(limit=16))


def _scales(tensor: FlatTable) -> str:
    quantization = tensor.table(_QUANTIZATION)
    if quantization is None:
        return "none"
    if quantization.integer(_DETAILS_TYPE, 1) == _BLOCKWISE:
        details = quantization.table(_DETAILS)
        return f"block {details.integer(_BLOCK_SIZE, 4)}" if details else "block"
    scale = quantization.vector(_SCALE)
    if scale is None or scale.length == 0:
        return "none"
    return "tensor" if scale.length == 1 else "channel"


def _content(source: Source, buffers: list[_Buffer], index: int | None, limit: int) -> bytes | None:
    if index is None or index >= len(buffers):
        return None
    buffer = buffers[index]
    return source.read(buffer.start, min(buffer.size, limit)) if buffer.size else None


def _word(source: Source, buffers: list[_Buffer], index: int | None) -> str | None:
    data = _content(source, buffers, index, 64)
    return None if data is None else data.split(b"\0")[0].decode("utf-8", "replace").strip().lower() or None


def _model_type(named: dict[str, int]) -> str | None:
    value = named.get("odml.infra.LlmModelType")
    return None if value is None else MODEL_TYPES.get(value, f"LlmModelType {value}")


def _npu(source: Source, buffers: list[_Buffer], index: int | None) -> tuple[str, str] | None:
    data = _content(source, buffers, index, 2 * STAMP_HALF)
    if data is None or len(data) < 2 * STAMP_HALF:
        return None
    halves = (data[:STAMP_HALF], data[STAMP_HALF:])
    maker, soc = (half.split(b"\0")[0].decode("utf-8", "replace") for half in halves)
    return maker, soc.upper() if soc.islower() else soc


def _compiled(root: FlatTable, whole: Extent) -> tuple[str, str] | None:
    """Whose NPU a model without a stamp is compiled for; ("", "") where that is not told."""
    if not any(table.text(_CUSTOM_CODE) == DISPATCH for table in _tables(root, _OPERATORS)):
        return None
    code = whole.read(max(whole.begin, whole.end - CODE_LOOK), min(CODE_LOOK, whole.end - whole.begin))
    return next((maker for mark, maker in MAKERS if mark in code), ""), ""
