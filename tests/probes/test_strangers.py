"""What people have instead of a model: its name, its own words, and advice that fits it.

The kinds are those of public reports: shots-studio#194 (archives, partial downloads), MNN#4624,
LiteRT-LM#2095 (a tokenizer), react-native-litert-lm#6 and gallery#71 (error pages), LiteRT-LM#1377 (LFS),
mediapipe-samples#379 (Kaggle's archive), runanywhere-sdks#464 (a GGUF).
"""

from __future__ import annotations

import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemmafit.probes.modelfile import inspect

PIECES = b"".join(
    bytes([10, len(piece) + 9, 10, len(piece)]) + piece + b"\x15\0\0\x80\xbf\x18\x03"
    for piece in (b"<pad>", b"<eos>", b"\xe2\x96\x81the", b"a")
)
PAGE = "<html><head><title>Sign in \u2013 Hugging Face</title></head></html>"
S3 = b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1005000000\n"
CONTENTS = (
    ("m.bin", b"", "an empty file", "Download"),
    ("m.bin", bytes(5000), "zeros only at its start", "Download"),
    ("m.bin", b"\x01\x02\x03 no text", "unknown content", "no known model format"),
    ("m.bin", b"\x1f\x8b\x08", "a gzip archive", "Unpack"),
    ("m.bin", bytes(257) + b"ustar", "a tar archive", "Unpack"),
    ("m.bin", b"7z\xbc\xaf\x27\x1c\0\4", "an archive", "Unpack"),
    ("llm.mnn", bytes([16]) + bytes(300) + b"x", "an MNN model", "MNN runs it"),
    ("llm.mnn", bytes([16]) + bytes(6000) + b"x", "an MNN model", "MNN runs it"),
    ("llm.mnn.weight", b"\x12\x34" * 200, "a part of an MNN model", "MNN runs it"),
    ("m.bin", b"\x30\0\0\0ET12" + bytes(200), "an ExecuTorch model", "ExecuTorch runs it"),
    ("m.onnx", b"\x08\x07\x12\x07pytorch" + bytes(90), "an ONNX model", "ONNX Runtime runs it"),
    ("m.task", PIECES, "a SentencePiece tokenizer", "part of the model"),
    ("m.litertlm", b'{"version": "1.0", "added_tokens": []}', "a tokenizer (tokenizer.json)", "Get the"),
    ("config.json", b'{"architectures": ["Gemma3"]}', "the settings of a model", "Get the"),
    ("a.json", b'{"peft_type": "LORA", "r": 8}', "the settings of a LoRA adapter", "Merge"),
    ("a.bin", b'\x40\0\0\0\0\0\0\0{"q.lora_A.weight":{}}' + bytes(60), "a LoRA adapter", "Merge"),
    ("a.bin", b"\xff\xff\xff\x07\0\0\0\0" + b'{"a":1}', "a safetensors file", "onvert"),
    ("m.litertlm", PAGE.encode(), "a web page (HTML)", "Sign in \u2013 Hugging Face"),
    ("m.litertlm", b"\xef\xbb\xbf\n <!-- x --> " + PAGE.upper().encode(), "a web page", "SIGN IN"),
    ("m.litertlm", PAGE.encode("utf-16"), "a web page (HTML)", "Sign in"),
    ("m.litertlm", S3, "an error message (XML)", "Request has expired"),
    ("m.litertlm", b'{"error":{"message":"Invalid token"}}', "an error message (JSON)", "Invalid token"),
    ("m.litertlm", b'{"detail": "Not Found"}', "an error message (JSON)", "Not Found"),
    ("m.litertlm", b"Invalid username or password.", "a text", "Invalid username or password."),
    ("m.task", LFS, "a Git LFS pointer", "1,005,000,000"),
    ("g.litertlm.xnnpack_cache", b"\1\2\3\xff" * 9, "a cache that an engine made", "only"),
    ("x.crdownload", b"\1\2\3\xff" * 9, "an incomplete download", "end"),
    ("m.bin", b"\x80\x02\x8a\nl\xfc\x9cF", "a PyTorch checkpoint", "onvert"),
    ("m.bin", b"lmgg\1\2\3\xff", "an old GGML model", "llama.cpp"),
    ("m.litertlm", b"\x7fELF\2\1", "a native library", "Get the"),
)


@pytest.mark.parametrize(("name", "data", "what", "says"), CONTENTS)
def test_a_strangers_name_and_its_own_words(
    tmp_path: Path, name: str, data: bytes, what: str, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    found = inspect(path)
    assert found.what.startswith(what)
    (finding,) = found.errors
    assert says in f"{finding.text} {finding.remedy}"
    assert "Rename" not in str(finding.remedy)
    assert found.complete is not True


@pytest.mark.parametrize(
    ("name", "members", "says"),
    [
        ("model.zip", ("gemma3-1b-it-int4.litertlm",), "gemma3-1b-it-int4.litertlm"),
        ("model.task", ("a/b.gguf", "readme.md"), "a/b.gguf"),
        ("hand.task", ("hand_detector.tflite", "hand_landmarks.tflite"), "another task than language"),
        ("app.zip", ("AndroidManifest.xml", "classes.dex", "assets/m.tflite"), "Android application"),
        ("x.bin", ("archive/data.pkl", "archive/data/0"), "PyTorch checkpoint"),
        ("lora.zip", ("adapter_config.json", "adapter_model.safetensors"), "LoRA adapter"),
        ("x.zip", ("a.txt",), "holds no model"),
        ("x.task", (), "holds no model"),
    ],
)
def test_an_archive_that_is_no_bundle(tmp_path: Path, name: str, members: tuple[str, ...], says: str) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        for member in members:
            archive.writestr(member, "x" * 30)
    found = inspect(tmp_path / name)
    (finding,) = found.errors
    assert says in f"{finding.text} {finding.remedy}"
    assert finding.code == "not-a-model"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.sampled_from(CONTENTS),
    edits=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=8)), max_size=6),
    cut=st.integers(0, 400),
)
def test_mutated_strangers_end_in_a_finding(tmp_path: Path, row: Any, edits: Any, cut: int) -> None:
    name, data, _, _ = row
    content = bytearray(data)
    for at, piece in edits:
        content[at : at + len(piece)] = piece
    path = tmp_path / name
    path.write_bytes(bytes(content[: cut or None]))
    found = inspect(path)
    assert found.errors
    assert all(len(finding.text) < 600 for finding in found.errors)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * (1 << 20),
        b'{"a":' * 200_000,
        b'{"error": "' + b"x" * 900_000 + b'"}',
        b"<title>" + b"<" * 900_000,
        b"<p " + b"a" * 900_000,
        b'\xff\xff\xff\x07\0\0\0\0{"' + b"a" * 900_000,
        b"\xff\xfe" + b"<\0" * 500_000,
    ],
    ids=["nested", "deep", "long", "tags", "attribute", "header", "wide"],
)
def test_content_made_to_hurt_costs_little(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.litertlm"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        started = time.monotonic()
        assert inspect(path).errors
        assert time.monotonic() - started < 10
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
