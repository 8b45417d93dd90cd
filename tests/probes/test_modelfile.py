"""Model files written by the real tools (TFLite's schema, LiteRT-LM's packer, zipfile) and then damaged.

The reader is written by hand, so everything it reads here was written by somebody else's code; a GGUF has the
bytes that gguf-py writes.
"""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemmafit.base.errors import InputError
from gemmafit.probes import modelfile
from gemmafit.probes.modelfile import CONTAINERS, Severity, digest
from gemmafit.probes.modelfile.source import BadContentError, Source
from gemmafit.probes.modelfile.zipdir import read_members

MIB = 1 << 20
SECRET = b"\x07" * 64


def inspect(path: Path) -> Any:
    return modelfile.inspect(path)


def tflite_parts(
    *,
    inline: bool,
    backend: str | None = None,
    model_type: int | None = None,
    stamp: bool = False,
    dispatch: bool = False,
    base: int = 0,
) -> tuple[bytes, int, bytes]:
    """A TFLite model with three weights (int8 per channel, int4 in blocks, float32), by the generated writer.

    Its tables, the offset of the weights and the weights. Not inline: the weights follow the tables, at
    `base` (MediaPipe: 1 MiB) or right behind them.
    """
    flatbuffers = pytest.importorskip("flatbuffers")
    tflite = pytest.importorskip("tflite")
    weights = [bytes(range(128)), bytes(32), struct.pack("<4f", 1, 2, 3, 4)]
    small = [(backend or "").encode()] if backend else []
    if stamp:
        small.append(b"Qualcomm".ljust(125, b"\0") + b"SM8750".ljust(125, b"\0"))
    offsets = [1 << 40] * len(weights + small)  # replaced in the second pass, same width

    def build() -> bytes:
        b = flatbuffers.Builder(1024)
        buffers = [None]
        for i, data in enumerate(weights + small):
            vector = b.CreateByteVector(data) if inline else None
            tflite.BufferStart(b)
            if inline:
                tflite.BufferAddData(b, vector)
            else:
                tflite.BufferAddOffset(b, offsets[i])
                tflite.BufferAddSize(b, len(data))
            buffers.append(tflite.BufferEnd(b))
        tflite.BufferStart(b)
        buffers[0] = tflite.BufferEnd(b)

        def quantization(scales: Any, block: Any) -> Any:
            details = None
            if block:
                # BlockwiseQuantization is newer than the PyPI schema: {scales, zero_points, block_size}
                b.StartObject(3)
                b.PrependInt32Slot(2, block, 0)
                details = b.EndObject()
            tflite.QuantizationParametersStartScaleVector(b, scales)
            for _ in range(scales):
                b.PrependFloat32(0.5)
            vector = b.EndVector()
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, vector)
            if block:
                tflite.QuantizationParametersAddDetailsType(b, 2)
                tflite.QuantizationParametersAddDetails(b, details)
            return tflite.QuantizationParametersEnd(b)

        def tensor(index: Any, dtype: Any, shape: Any, quantized: Any) -> Any:
            name = b.CreateString(f"weight_{index}")
            tflite.TensorStartShapeVector(b, len(shape))
            for size in reversed(shape):
                b.PrependInt32(size)
            dims = b.EndVector()
            tflite.TensorStart(b)
            tflite.TensorAddShape(b, dims)
            tflite.TensorAddType(b, dtype)
            tflite.TensorAddBuffer(b, index)
            tflite.TensorAddName(b, name)
            if quantized is not None:
                tflite.TensorAddQuantization(b, quantized)
            return tflite.TensorEnd(b)

        tensors = [
            tensor(1, tflite.TensorType.INT8, (8, 16), quantization(8, 0)),
            tensor(2, 17, (2, 32), quantization(4, 32)),
            tensor(3, tflite.TensorType.FLOAT32, (4,), None),
            tensor(1, tflite.TensorType.INT8, (8, 16), quantization(8, 0)),  # shared: counts once
            tensor(0, tflite.TensorType.FLOAT32, (1, 2048), None),  # an activation
        ]
        tflite.SubGraphStartTensorsVector(b, len(tensors))
        for item in reversed(tensors):
            b.PrependUOffsetTRelative(item)
        vector = b.EndVector()
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, vector)
        subgraph = tflite.SubGraphEnd(b)
        tflite.ModelStartSubgraphsVector(b, 1)
        b.PrependUOffsetTRelative(subgraph)
        subgraphs = b.EndVector()
        tflite.ModelStartBuffersVector(b, len(buffers))
        for item in reversed(buffers):
            b.PrependUOffsetTRelative(item)
        buffer_vector = b.EndVector()
        entries = []
        named = [("backend", 4)] if backend else []
        named += [("LiteRtStamp", 4 + bool(backend))] if stamp else []
        named += [("odml.infra.LlmModelType", model_type)] if model_type is not None else []
        for name, index in named:
            text = b.CreateString(name)
            tflite.MetadataStart(b)
            tflite.MetadataAddName(b, text)
            tflite.MetadataAddBuffer(b, index)
            entries.append(tflite.MetadataEnd(b))
        tflite.ModelStartMetadataVector(b, len(entries))
        for item in reversed(entries):
            b.PrependUOffsetTRelative(item)
        metadata = b.EndVector()
        code = b.CreateString("DISPATCH_OP")
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddCustomCode(b, code)
        operator = tflite.OperatorCodeEnd(b)
        tflite.ModelStartOperatorCodesVector(b, 1)
        b.PrependUOffsetTRelative(operator)
        operators = b.EndVector()
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        if dispatch:
            tflite.ModelAddOperatorCodes(b, operators)
        tflite.ModelAddSubgraphs(b, subgraphs)
        tflite.ModelAddBuffers(b, buffer_vector)
        tflite.ModelAddMetadata(b, metadata)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())

    tables = build()
    if inline:
        return tables, len(tables), b""
    start = position = max(base, (len(tables) + 63) // 64 * 64)
    for i, data in enumerate(weights + small):
        offsets[i] = position
        position += len(data)
    out = build()
    assert len(out) == len(tables)
    return out, start, b"".join(weights + small)


def flat_tflite(**options: Any) -> bytes:
    tables, start, weights = tflite_parts(**options)
    return tables.ljust(start, b"\0") + weights


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.fixture
def bin_file(tmp_path: Path) -> Any:
    data = flat_tflite(inline=False, backend="gpu", model_type=6, base=MIB)
    return write(tmp_path / "gemma-2b-it-gpu-int8.bin", data)


def make_task(path: Path, compression: int = zipfile.ZIP_STORED, **members: bytes | None) -> Path:
    content = {
        "TF_LITE_PREFILL_DECODE": flat_tflite(inline=True),
        "TOKENIZER_MODEL": SECRET,
        "METADATA": b"\x0a\x03abc",
        **members,
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)
    return path


@pytest.fixture
def task_file(tmp_path: Path) -> Any:
    return make_task(tmp_path / "gemma3-1b.task")


def make_litertlm(
    folder: Path,
    name: str,
    *,
    constraint: str | None = None,
    stamp: bool = False,
    dispatch: bool = False,
    models: tuple[str, ...] = ("PREFILL_DECODE",),
    tokenizer: bool = True,
) -> Path:
    """A container packed by Google's own tool (PyPI litert-lm-builder)."""
    builder = pytest.importorskip("litert_lm_builder.litertlm_builder", reason="needs litert-lm-builder")
    from litert_lm_builder.runtime.proto import llm_metadata_pb2

    metadata = llm_metadata_pb2.LlmMetadata(max_num_tokens=4096, min_runtime_version="0.12.0")
    metadata.llm_model_type.gemma3.SetInParent()
    model = write(folder / "model.tflite", flat_tflite(inline=False, stamp=stamp, dispatch=dispatch))
    tokens = write(folder / "tokens.spiece", SECRET)
    proto = write(folder / "metadata.pb", metadata.SerializeToString())
    pack = builder.LitertLmFileBuilder()
    pack.add_system_metadata(builder.Metadata("Authors", "gemmafit tests", builder.DType.STRING))
    pack.add_system_metadata(builder.Metadata("answer", -42, builder.DType.INT64))
    for kind in models:
        pack.add_tflite_model(str(model), builder.TfLiteModelType[kind], backend_constraint=constraint)
    if tokenizer:
        pack.add_sentencepiece_tokenizer(str(tokens))
    pack.add_llm_metadata(str(proto))
    path = folder / name
    with path.open("wb") as file:
        pack.build(file)
    return path


@pytest.fixture
def litertlm_file(tmp_path: Path) -> Any:
    return make_litertlm(tmp_path, "gemma3-1b-it-int4.litertlm", constraint="gpu,cpu")


def gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def gguf(*, kind: int = 12, parts: int = 1, version: int = 3, words: int = 3) -> bytes:
    """As gguf-py 0.19.0 writes it: two tensors of 512 weights (`kind`, F32), the data at a multiple of 64."""
    tokens = struct.pack("<IIQ", 9, 8, words) + gguf_text("word") * words
    pairs = {
        "general.architecture": struct.pack("<I", 8) + gguf_text("gemma2"),
        "general.alignment": struct.pack("<II", 4, 64),
        "general.file_type": struct.pack("<II", 4, 15),
        "gemma2.context_length": struct.pack("<II", 4, 8192),
        "split.count": struct.pack("<IH", 2, parts),
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": struct.pack("<IIQ", 9, 6, 3) + bytes(12),
        "tokenizer.chat_template": struct.pack("<I", 8) + gguf_text("x" * 9000),
    }
    tensors = gguf_text("a.weight") + struct.pack("<IQQIQ", 2, 256, 2, kind, 0)
    tensors += gguf_text("norm") + struct.pack("<IQIQ", 1, 512, 0, 320)
    head = b"GGUF" + struct.pack("<IQQ", version, 2, len(pairs))
    head += b"".join(gguf_text(key) + value for key, value in pairs.items()) + tensors
    return head.ljust(-(-len(head) // 64) * 64, b"\0") + bytes(320 + 2048)


def codes(found: Any) -> Any:
    return {finding.code for finding in found.findings}


# --- what good files say ---------------------------------------------------------------------------------


def test_a_mediapipe_bin(bin_file: Any) -> None:
    found = inspect(bin_file)
    assert (found.format, found.complete, found.findings) == ("tflite", True, ())
    assert found.tflite.backend == "gpu"
    assert found.backends == ("gpu",)
    assert found.model_type == "GEMMA_2B"
    assert found.tflite.metadata == ("backend", "odml.infra.LlmModelType")
    assert found.tflite.end == found.size
    groups = {(g.dtype, g.scales): (g.tensors, g.elements, g.bytes) for g in found.tflite.weights}
    assert groups == {
        ("INT8", "channel"): (1, 128, 128),
        ("INT4", "block 32"): (1, 64, 32),
        ("FLOAT32", "none"): (1, 4, 16),
    }
    assert found.tflite.weight_bytes == 176
    assert found.tflite.largest_tensor == 128


def test_weights_inside_the_flatbuffer(tmp_path: Path) -> None:
    found = inspect(write(tmp_path / "m.tflite", flat_tflite(inline=True)))
    assert found.complete is True
    assert found.tflite.weight_bytes == 176


def test_a_task_bundle(task_file: Any) -> None:
    found = inspect(task_file)
    assert (found.format, found.complete, found.findings) == ("task", True, ())
    sections = {s.name: s for s in found.sections}
    assert sections["TOKENIZER_MODEL"].size == len(SECRET)
    assert sections["TF_LITE_PREFILL_DECODE"].tflite.weight_bytes == 176
    data = task_file.read_bytes()
    tokens = sections["TOKENIZER_MODEL"]
    assert data[tokens.begin : tokens.end] == SECRET


def test_the_directory_agrees_with_the_standard_library(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = b"a comment"
        for i in range(50):
            with archive.open(f"m/ä{i}", "w", force_zip64=i % 2 == 0) as member:
                member.write(bytes([i]) * i)
    with zipfile.ZipFile(path) as archive, Source(path) as source:
        expected = [(i.filename, i.compress_size, i.file_size) for i in archive.infolist()]
        members = read_members(source)
    assert [(m.name, m.stored, m.size) for m in members] == expected
    data = path.read_bytes()
    assert all(data[m.begin : m.end] == bytes([i]) * i for i, m in enumerate(members))
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK\x05\x06 looks like a record and misleads the standard library"
    with Source(path) as source:
        assert read_members(source) == members


def test_a_litertlm_by_the_official_packer(litertlm_file: Any) -> None:
    found = inspect(litertlm_file)
    assert (found.format, found.complete, found.findings) == ("litertlm", True, ())
    assert found.header["version"].startswith("1.")
    assert found.header["system"]["Authors"] == "gemmafit tests"
    assert found.header["system"]["answer"] == -42
    assert [s.name for s in found.sections] == [
        "TFLiteModel: tf_lite_prefill_decode",
        "SP_Tokenizer",
        "LlmMetadataProto",
    ]
    assert found.backends == ("gpu", "cpu")
    assert (found.context, found.model_type, found.min_runtime) == (4096, "gemma3", "0.12.0")
    tokens = found.sections[1]
    assert litertlm_file.read_bytes()[tokens.begin : tokens.end] == SECRET
    assert found.sections[0].tflite.weight_bytes == 176
    assert found.facts()["file.format"] == "litertlm"


def test_a_gguf_under_any_name(tmp_path: Path) -> None:
    for name in ("gemma-2-2b-it-Q4_K_M.gguf", "sha256-4d1f"):
        found = inspect(write(tmp_path / name, gguf()))
        assert (found.format, found.complete, found.findings) == ("gguf", True, ())
        assert found.what == "GGUF model, Q4_K_M"
        assert (found.model_type, found.context, found.header["version"]) == ("gemma2", 8192, 3)
        groups = {(g.dtype, g.scales): (g.tensors, g.elements, g.bytes, g.bits) for g in found.weights}
        assert groups == {("F32", "none"): (1, 512, 2048, 32), ("Q4_K", "block 256"): (1, 512, 288, 4)}


def test_a_gguf_of_a_newer_quantisation_and_one_of_several_parts(tmp_path: Path) -> None:
    found = inspect(write(tmp_path / "x.gguf", gguf(kind=250, parts=3)))
    assert (found.complete, codes(found)) == (True, {"split"})
    assert [(g.dtype, g.bytes) for g in found.weights] == [("F32", 2048), ("type 250", 320)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (gguf()[:-1], "cut"),
        (gguf()[:200], "tables"),
        (gguf(words=5_000_000)[:4000] + bytes(1000), "tables"),
        (gguf(version=1), "version"),
        (gguf(version=3 << 24), "version"),
    ],
)
def test_a_gguf_that_cannot_be_loaded(tmp_path: Path, data: bytes, code: str) -> None:
    found = inspect(write(tmp_path / "x.gguf", data))
    assert codes(found) == {code} and found.complete is not True and all(f.remedy for f in found.errors)


def test_no_constraint_means_cpu_and_gpu_and_an_npu_stamp_is_read(tmp_path: Path) -> None:
    assert inspect(make_litertlm(tmp_path, "a.litertlm")).backends == ("cpu", "gpu")
    found = inspect(make_litertlm(tmp_path, "b.litertlm", constraint="npu", stamp=True))
    assert found.backends == ("npu",)
    assert found.npu == ("Qualcomm", "SM8750")


def test_a_compiled_text_model_runs_on_its_npu_only(tmp_path: Path) -> None:
    """Whether its maker stamped it or only its operators tell; what the section says of backends is no matter."""
    found = inspect(make_litertlm(tmp_path, "a.litertlm", stamp=True))
    assert (found.backends, found.npu) == (("npu",), ("Qualcomm", "SM8750"))
    found = inspect(make_litertlm(tmp_path, "b.litertlm", dispatch=True))
    assert (found.backends, found.npu) == (("npu",), ("", ""))
    for code, maker in ((b"dwg_tpu_offload", "Google Tensor"), (b"--dla-file x.dla", "MediaTek"), (b"", "")):
        model = flat_tflite(inline=False, dispatch=True) + code
        assert inspect(write(tmp_path / "c.tflite", model)).npu == (maker, "")
    assert inspect(write(tmp_path / "d.tflite", flat_tflite(inline=False) + b"dwg_tpu_offload")).npu is None


def test_what_a_container_does_besides_text(tmp_path: Path) -> None:
    models = ("PREFILL_DECODE", "VISION_ENCODER", "AUDIO_ENCODER_HW", "MTP_DRAFTER")
    found = inspect(make_litertlm(tmp_path, "a.litertlm", models=models))
    assert found.parts == ("vision", "audio", "speculative decoding")
    assert (found.backends, found.findings) == (("cpu", "gpu"), ())


def test_an_embedding_model_is_a_good_file_for_something_else(tmp_path: Path) -> None:
    found = inspect(make_litertlm(tmp_path, "a.litertlm", models=("TEXT_ENCODER",)))
    assert (found.complete, codes(found), found.errors) == (True, {"purpose"}, ())
    assert "embedding" in found.findings[0].text
    found = inspect(write(tmp_path / "embeddinggemma-300M_seq256.tflite", flat_tflite(inline=True)))
    assert (codes(found), found.errors) == ({"purpose"}, ())


def test_a_container_without_its_tokenizer_or_without_a_text_model(tmp_path: Path) -> None:
    found = inspect(make_litertlm(tmp_path, "a.litertlm", tokenizer=False))
    assert (codes(found), "tokenizer" in found.errors[0].text) == ({"section-missing"}, True)
    found = inspect(make_litertlm(tmp_path, "b.litertlm", models=("EMBEDDER",)))
    assert codes(found) == {"no-main-model"}
    assert "Pack" not in str(found.errors[0].remedy)


def test_a_bare_tflite_is_no_model_for_a_language_runtime(tmp_path: Path) -> None:
    found = inspect(write(tmp_path / "gemma3-1B-it-int4.tflite", flat_tflite(inline=True)))
    assert (found.complete, codes(found)) == (True, {"bare-tflite"})
    found = inspect(write(tmp_path / "gemma3-1B-it-int4.task", flat_tflite(inline=True)))
    assert codes(found) == {"bare-tflite"}  # renaming it would not help


def test_nothing_is_renamed_while_it_is_incomplete(tmp_path: Path, litertlm_file: Any) -> None:
    data = litertlm_file.read_bytes()
    for name in ("x.litertlm.crdownload", "x.crdownload", "x.bin"):
        found = inspect(write(tmp_path / name, data[:-40]))
        assert found.complete is False
        assert not [f for f in found.findings if "Rename" in str(f.remedy)]
    found = inspect(write(tmp_path / "y.litertlm.part", data))
    assert (found.complete, codes(found)) == (False, {"partial"})


def test_digest_reports_progress(bin_file: Any) -> None:
    import hashlib

    events: list[Any] = []
    assert digest(bin_file, events.append) == hashlib.sha256(bin_file.read_bytes()).hexdigest()
    assert events[-1].done == events[-1].total == bin_file.stat().st_size


# --- over 4 GiB, without reading it ------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fails the test if more of a file is read than tables need."""
    monkeypatch.setattr("gemmafit.probes.modelfile.source.BUDGET", 4 * MIB)


def test_a_bin_of_six_gigabytes(tmp_path: Path, quick: Any) -> None:
    tables, start, weights = tflite_parts(inline=False, backend="cpu", base=6 << 30)
    path = tmp_path / "big.bin"
    with path.open("wb") as file:
        file.write(tables)
        file.seek(start)
        file.write(weights)
    found = inspect(path)
    assert found.size > 6 << 30
    assert (found.complete, found.tflite.backend, found.tflite.end) == (True, "cpu", found.size)
    os.truncate(path, found.size - 1)
    assert inspect(path).complete is False


def test_a_task_with_members_beyond_four_gigabytes(tmp_path: Path, quick: Any) -> None:
    path = tmp_path / "big.task"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("METADATA", b"x")
        archive.start_dir = 5 << 30  # a hole, where a real bundle has its weights
        archive.writestr("TF_LITE_PREFILL_DECODE", flat_tflite(inline=True))
        archive.writestr("TOKENIZER_MODEL", SECRET)
    found = inspect(path)
    assert (found.complete, found.findings) == (True, ())
    assert found.sections[1].begin > 5 << 30


def test_a_litertlm_with_sections_beyond_four_gigabytes(litertlm_file: Any, quick: Any) -> None:
    data = litertlm_file.read_bytes()
    moved = 5 << 30
    sections = inspect(litertlm_file).sections

    def move(objects: Any) -> Any:
        for item in objects:
            item.beginOffset += moved
            item.endOffset += moved

    with litertlm_file.open("wb") as file:
        file.write(repacked(data, move)[: sections[0].begin])
        file.seek(moved + sections[0].begin)
        file.write(data[sections[0].begin :])
    found = inspect(litertlm_file)
    assert (found.complete, found.findings) == (True, ())
    assert found.sections[2].end == found.size > moved
    assert found.context == 4096


def repacked(data: bytes, change: Any) -> bytes:
    """A .litertlm whose section table was changed, at the places where the packer's own schema finds it."""
    from litert_lm_builder import litertlm_header_schema_py_generated as schema

    end = int.from_bytes(data[24:32], "little")
    header = bytearray(data[32:end])
    table = schema.LiteRTLMMetaData.GetRootAs(bytes(header)).SectionMetadata()
    found = [table.Objects(i) for i in range(table.ObjectsLength())]
    objects = [SimpleNamespace(beginOffset=o.BeginOffset(), endOffset=o.EndOffset()) for o in found]
    change(objects)
    for item, new in zip(found, objects, strict=True):
        for slot, value in ((6, new.beginOffset), (8, new.endOffset)):
            at = item._tab.Pos + item._tab.Offset(slot)
            header[at : at + 8] = value.to_bytes(8, "little")
    return data[:32] + bytes(header) + data[end:]


# --- files that are not what they should be ----------------------------------------------------------------


def test_every_truncation_of_a_bin_is_noticed(bin_file: Any, tmp_path: Path) -> None:
    data = bin_file.read_bytes()
    tables = data[:MIB].rstrip(b"\0")
    cut = tmp_path / "cut.bin"
    for size in [*range(0, len(tables), 7), MIB, len(data) - 100, len(data) - 1]:
        found = inspect(write(cut, data[:size]))
        assert found.complete is not True, size
        assert found.errors, size


def test_every_truncation_of_a_task_is_noticed(task_file: Any, tmp_path: Path) -> None:
    data = task_file.read_bytes()
    for size in range(0, len(data), 5):
        found = inspect(write(tmp_path / "cut.task", data[:size]))
        assert found.complete is not True, size
        assert found.errors, size


def test_every_truncation_of_a_litertlm_is_noticed(litertlm_file: Any, tmp_path: Path) -> None:
    data = litertlm_file.read_bytes()
    sizes = {*range(0, 1200, 3), *range(0, len(data), 997), *range(len(data) - 40, len(data))}
    for size in sorted(sizes):
        found = inspect(write(tmp_path / "cut.litertlm", data[:size]))
        assert found.complete is not True, size
        assert found.errors, size


def test_sections_that_overlap_or_lie_outside(litertlm_file: Any) -> None:
    data = litertlm_file.read_bytes()

    def overlap(objects: Any) -> Any:
        objects[1].beginOffset = objects[0].beginOffset

    found = inspect(write(litertlm_file, repacked(data, overlap)))
    assert (found.complete, codes(found)) == (False, {"overlap"})

    def far(objects: Any) -> Any:
        objects[2].endOffset = (1 << 64) - 1

    found = inspect(write(litertlm_file, repacked(data, far)))
    assert (found.complete, codes(found)) == (False, {"section"})

    def long_tokenizer(objects: Any) -> Any:
        objects[1].endOffset = 1 << 63  # nothing of this section is read, only its range can tell

    assert "section" in codes(inspect(write(litertlm_file, repacked(data, long_tokenizer))))

    def backwards(objects: Any) -> Any:
        objects[0].endOffset = objects[0].beginOffset - 1

    found = inspect(write(litertlm_file, repacked(data, backwards)))
    assert found.complete is False


@pytest.mark.parametrize("end", [0, 31, 33, 1 << 24, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1])
def test_a_header_of_any_claimed_length(litertlm_file: Any, end: Any) -> None:
    data = litertlm_file.read_bytes()
    found = inspect(write(litertlm_file, data[:24] + end.to_bytes(8, "little") + data[32:]))
    assert (found.complete, codes(found)) == (False, {"header"})


def test_a_future_container_is_not_called_broken(litertlm_file: Any) -> None:
    data = litertlm_file.read_bytes()
    found = inspect(write(litertlm_file, data[:8] + struct.pack("<I", 2) + data[12:]))
    assert (found.complete, codes(found)) == (None, {"version"})
    assert "2." in found.what


def test_zip_bombs_and_compressed_models(tmp_path: Path) -> None:
    path = make_task(tmp_path / "a.task", zipfile.ZIP_DEFLATED, TF_LITE_EMBEDDER=bytes(30 * MIB))
    found = inspect(path)
    assert codes(found) == {"compressed", "bomb"}
    assert {f.severity for f in found.findings if f.code == "bomb"} == {Severity.WARNING}
    assert found.sections[0].tflite is None  # nothing was inflated


def test_a_task_without_its_members_and_with_a_broken_model(tmp_path: Path) -> None:
    found = inspect(make_task(tmp_path / "a.task", TOKENIZER_MODEL=None))
    assert codes(found) == {"member-missing"}
    found = inspect(make_task(tmp_path / "b.task", TF_LITE_PREFILL_DECODE=flat_tflite(inline=True)[:300]))
    assert (found.complete, codes(found)) == (False, {"member"})


def test_a_zip_member_that_claims_more_than_there_is(tmp_path: Path) -> None:
    path = make_task(tmp_path / "a.task")
    data = bytearray(path.read_bytes())
    last = data.rindex(b"PK\x01\x02")
    for offset in (20, 24):
        data[last + offset : last + offset + 4] = (5000).to_bytes(4, "little")
    found = inspect(write(path, bytes(data)))
    assert (found.complete, codes(found)) == (False, {"archive"})
    assert "METADATA" in found.findings[0].text


def test_overlapping_zip_members(tmp_path: Path) -> None:
    path = make_task(tmp_path / "a.task")
    data = bytearray(path.read_bytes())
    entries = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02"]
    data[entries[1] + 42 : entries[1] + 46] = data[entries[0] + 42 : entries[0] + 46]
    found = inspect(write(path, bytes(data)))
    assert (found.complete, codes(found)) == (False, {"archive"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m.task", {"extension"}),
        ("m.litertlm", {"extension"}),
        ("m", {"extension"}),
        ("m.tflite", set()),
        ("m.bin.crdownload", {"partial"}),
    ],
)
def test_an_extension_of_another_format(bin_file: Any, name: Any, expected: Any) -> None:
    path = bin_file.rename(bin_file.with_name(name))
    assert codes(inspect(path)) == expected


def test_web_files_are_called_by_name(task_file: Any) -> None:
    path = task_file.rename(task_file.with_name("gemma-4-E2B-it-web.task"))
    assert codes(inspect(path)) == {"web-only"}
    assert inspect(path).facts()["file.web"] is True


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path("/dev/null"), Path("a\0b")):
        with pytest.raises(InputError):
            inspect(path)
        with pytest.raises(InputError):
            digest(path)


def test_no_permission(bin_file: Any) -> None:
    bin_file.chmod(0)
    try:
        if os.geteuid() == 0:
            os.seteuid(65534)  # root reads everything
        with pytest.raises(InputError, match="Permission denied"):
            inspect(bin_file)
    finally:
        os.seteuid(os.getuid())


# --- files made to hurt -------------------------------------------------------------------------------------

HOSTILE = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def damage(data: bytes, edits: list[tuple[int, int]], limit: int) -> bytes:
    out = bytearray(data)
    for position, value in edits:
        at = position % limit
        out[at : at + 4] = value.to_bytes(4, "little")
    return bytes(out[: len(data)])


EDITS = st.lists(
    st.tuples(
        st.integers(0, 1 << 20),
        st.one_of(st.integers(0, 0xFFFFFFFF), st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])),
    ),
    min_size=1,
    max_size=6,
)


@HOSTILE
@given(edits=EDITS)
def test_damaged_tables_never_raise(tmp_path: Path, edits: Any) -> None:
    data = flat_tflite(inline=False, backend="gpu", model_type=6, stamp=True)
    found = inspect(write(tmp_path / "x.bin", damage(data, edits, len(data))))
    assert found.complete in (True, False, None)
    if found.tflite:
        assert found.tflite.end <= found.size
        assert all(0 <= group.largest <= found.size for group in found.tflite.weights)


@HOSTILE
@given(edits=EDITS)
def test_damaged_containers_never_raise(tmp_path: Path, litertlm_file: Any, edits: Any) -> None:
    data = litertlm_file.read_bytes()
    found = inspect(write(tmp_path / "x.litertlm", damage(data, edits, 1200)))
    if found.complete:
        assert all(s.end <= found.size for s in found.sections)


@HOSTILE
@given(edits=EDITS)
def test_damaged_archives_never_raise(tmp_path: Path, task_file: Any, edits: Any) -> None:
    data = task_file.read_bytes()
    found = inspect(write(tmp_path / "x.task", damage(data, edits, len(data))))
    if found.complete:
        assert all(s.end <= found.size for s in found.sections)


@HOSTILE
@given(edits=EDITS, size=st.integers(0, 3000))
def test_damaged_ggufs_never_raise(tmp_path: Path, edits: Any, size: int) -> None:
    data = gguf(words=40)
    found = inspect(write(tmp_path / "x.gguf", damage(data, edits, 1200)[: len(data) - size]))
    if found.complete:
        assert all(0 <= group.largest <= found.size for group in found.weights)


MAGICS = [bytes(row.at) + row.magic for row in CONTAINERS.values()]


@HOSTILE
@given(data=st.binary(max_size=400), magic=st.sampled_from([*MAGICS, b"GGUF\x03\0\0\0", b"PK\x03\x04", b""]))
def test_noise_never_raises(tmp_path: Path, data: Any, magic: Any) -> None:
    inspect(write(tmp_path / "x.bin", magic + data))


def test_few_bytes_that_stand_for_billions_of_tables(tmp_path: Path) -> None:
    """Twenty thousand references to one subgraph, which has twenty thousand references to one tensor."""
    flatbuffers = pytest.importorskip("flatbuffers")
    tflite = pytest.importorskip("tflite")
    b = flatbuffers.Builder(1 << 18)
    tflite.BufferStart(b)
    buffer = tflite.BufferEnd(b)
    tflite.ModelStartBuffersVector(b, 1)
    b.PrependUOffsetTRelative(buffer)
    buffers = b.EndVector()
    tflite.TensorStart(b)
    tensor = tflite.TensorEnd(b)
    tflite.SubGraphStartTensorsVector(b, 20_000)
    for _ in range(20_000):
        b.PrependUOffsetTRelative(tensor)
    tensors = b.EndVector()
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensors)
    subgraph = tflite.SubGraphEnd(b)
    tflite.ModelStartSubgraphsVector(b, 20_000)
    for _ in range(20_000):
        b.PrependUOffsetTRelative(subgraph)
    subgraphs = b.EndVector()
    tflite.ModelStart(b)
    tflite.ModelAddSubgraphs(b, subgraphs)
    tflite.ModelAddBuffers(b, buffers)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    found = inspect(write(tmp_path / "x.tflite", bytes(b.Output())))
    assert (found.complete, codes(found)) == (False, {"tables"})
    assert "too many" in found.findings[0].text or "more than" in found.findings[0].text


def test_reads_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x", bytes(1000))
    with Source(path) as source:
        for offset, size in ((-1, 4), (999, 2), (0, 1 << 63), (1 << 64, 1), (0, -1)):
            with pytest.raises(BadContentError):
                source.read(offset, size)
        assert source.read(996, 4) == bytes(4)
    monkeypatch.setattr("gemmafit.probes.modelfile.source.MAX_READS", 3)
    with Source(path) as source, pytest.raises(BadContentError, match="too many"):
        for _ in range(4):
            source.read(0, 1)
