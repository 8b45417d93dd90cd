"""explain(): the right signature for the text people really have, and what it says about a phone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemmafit.base.errors import InputError
from gemmafit.base.logtext import MAX_LINE, clean, lines, message
from gemmafit.judge.explain import Answer, Match, explain
from gemmafit.judge.references import load
from gemmafit.probes.snapshot import Android, AppVisibility, Gpu, Memory, OpenCl, Snapshot
from gemmafit.profiles.conditions import Condition, Facts, evaluate
from gemmafit.profiles.signatures import Pattern

SIGNATURES = tuple(load().signatures.values())
ORIGIN = "Failed to initialize engine: %INVALID_ARGUMENT: Unknown backend"

T820 = Snapshot(
    kind="adb",
    android=Android(sdk=27, abis=("armeabi-v7a",), bits=32),
    memory=Memory(total_bytes=2 << 30),
    gpu=Gpu(vendor="Arm", model="Mali-T820", architecture="Midgard"),
)
S22 = Snapshot(
    kind="adb",
    android=Android(sdk=33, abis=("arm64-v8a", "armeabi-v7a"), bits=64),
    memory=Memory(total_bytes=12 << 30),
    gpu=Gpu(vendor="Qualcomm", model="Adreno 730", architecture="Adreno 7xx"),
    opencl=OpenCl(present=True, public=True, app=AppVisibility(True, "listed")),
)


def only(text: Any, snapshot: Any = None, **kw: Any) -> Any:
    found = explain(text, SIGNATURES, snapshot, **kw)
    assert len(found) == 1, [e.signature.id for e in found]
    return found[0]


def test_the_origin_line_on_a_mali_t820() -> None:
    found = only(ORIGIN, T820)
    assert (found.signature.id, found.match) == ("unknown-backend", Match.EXACT)
    assert found.applies.answer is Answer.YES
    assert "Midgard" in found.applies.because
    assert "CPU file" in found.signature.remedy
    assert found.signature.source == ("google-ai-edge/mediapipe-samples#453",)


def test_the_origin_line_on_a_phone_that_runs_the_model() -> None:
    found = only(ORIGIN, S22)
    assert found.applies.answer is Answer.NO
    assert "Adreno 7xx" in found.applies.because


def test_no_phone_and_a_phone_of_which_the_fact_is_unknown() -> None:
    assert only(ORIGIN).applies.answer is Answer.UNKNOWN
    found = only(ORIGIN, Snapshot(kind="adb"))
    assert found.applies.answer is Answer.UNKNOWN
    assert "gpu.architecture is unknown" in found.applies.because


@pytest.mark.parametrize(
    "text",
    [
        f"09-17 10:11:12.345  1234  1240 E native  : {ORIGIN}",
        f"E/native (32156): E0000 00:00:1721895466.207241    1280 llm_engine.cc:68] {ORIGIN}",
        f"2024-09-17 10:11:12.345 10123-10123 TRANSLATED pid-10123 E  {ORIGIN}",
        f"\x1b[31m\x1b]0;title\x07internal:{ORIGIN}\x1b[0m\r\n",
        '{"error": "internal:Failed to initialize engine: %INVALID_ARGUMENT:\\u0020Unknown\\tbackend\\n"}',
        'Exception(ERROR, \\"Failed to initialize engine: %INVALID_ARGUMENT: Unknown backend\\", null)',
        ORIGIN.upper(),
        ORIGIN.replace(" ", "\u00a0\u200b "),
    ],
    ids=["threadtime", "brief", "studio", "ansi", "json", "quoted", "case", "odd blanks"],
)
def test_what_surrounds_a_message_does_not_matter(text: Any) -> None:
    assert only(text).signature.id == "unknown-backend"


def test_a_dialog_that_wraps_its_lines() -> None:
    text = "Error: Failed to call\nnativeSendMessage:\nUNKNOWN: Can not find OpenCL\nlibrary on this device"
    assert only(text).signature.id == "no-opencl-library"


def test_message_strips_prefixes_only() -> None:
    assert message(clean("04-24 22:55:08.056  6421 16455 I native  : max_top_k: 1")) == "max_top_k: 1"
    assert message("E/native (32156): Check failed: x") == "Check failed: x"
    assert message("plain: text 12:00:00") == "plain: text 12:00:00"


def test_text_that_only_resembles_is_said_to_resemble() -> None:
    found = explain(
        "engine could not start: unknown backend (invalid argument, initialize)", SIGNATURES, T820
    )
    assert found
    assert found[0].signature.id == "unknown-backend"
    assert {e.match for e in found} == {Match.RESEMBLES}
    assert 0.6 <= found[0].score < 1


@pytest.mark.parametrize(
    "text",
    [
        "java.lang.NullPointerException: Attempt to invoke virtual method on a null object reference",
        "E/AndroidRuntime: FATAL EXCEPTION: main",
        "error: failed to push some refs to origin",
        "curl: (6) Could not resolve host: huggingface.co",
        "ggml_vulkan: Device memory allocation of size 1073741824 failed.",
        "llama_model_load: error loading model: tensor 'blk.0' data is not within the file bounds",
        "W/OpenGLRenderer: Failed to initialize 101010-2 format, error = EGL_SUCCESS",
        "E/SurfaceFlinger: Permission Denial: can't access SurfaceFlinger",
        "SSL_connect failed: certificate expired",
        "INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract native libraries",
        "x" * 5000,
        "",
        "\x00\x01\x02\xff",
    ],
)
def test_unrelated_errors_are_not_explained(text: Any) -> None:
    assert explain(text, SIGNATURES, T820) == []


def test_notices_come_after_failures() -> None:
    text = (
        "W [auto_registration.cc:67] NPU accelerator could not be loaded and registered: kLiteRt.\n"
        "UNKNOWN: Can not find OpenCL library on this device"
    )
    assert [e.signature.id for e in explain(text, SIGNATURES)] == ["no-opencl-library", "npu-not-registered"]


def test_a_linker_failure_depends_on_what_the_phone_lists() -> None:
    listed = only("Can not find OpenCL library on this device", S22)
    assert listed.applies.answer is Answer.YES  # SDK 33: the manifest decides
    old = only("Can not find OpenCL library on this device", T820)
    assert old.applies.answer is Answer.UNKNOWN


def test_facts_about_a_file_decide_without_a_phone() -> None:
    found = only(
        "UNKNOWN: Unable to open zip archive.", facts={"file.complete": False, "file.format": "task"}
    )
    assert found.applies.answer is Answer.YES
    found = only(
        "UNKNOWN: Unable to open zip archive.",
        facts={"file.complete": True, "file.format": "task", "file.web": False},
    )
    assert found.applies.answer is Answer.NO


def test_a_log_of_megabytes_is_read_once_in_bounded_time() -> None:
    noise = "04-24 22:55:08.056  6421 16455 I native  : activation_data_type: Not set\n" * 8192
    chunks = [noise] * 16 + [f"04-24 22:55:09.000  1  2 E native  : {ORIGIN}\n"] + [noise]
    started = time.monotonic()
    found = only(iter(chunks), T820)
    assert found.excerpts[0].line == 8192 * 16 + 1
    assert found.excerpts[0].text == ORIGIN
    assert time.monotonic() - started < 60  # a quadratic reader takes hours


def test_a_hostile_line_is_cheap_and_still_searched() -> None:
    evil = "Model requires one of [" * 40_000 + " but "
    assert explain(evil + ORIGIN, SIGNATURES)[0].match is Match.EXACT
    assert {e.signature.id for e in explain([evil, ORIGIN], SIGNATURES)} >= {"unknown-backend"}


def test_repeated_lines_are_counted_not_kept() -> None:
    found = only(f"{ORIGIN}\n" * 5000)
    assert found.count == 5000
    assert [e.line for e in found.excerpts] == [1, 2, 3]


def test_lines_of_every_ending_and_any_cut() -> None:
    text = "a\r\nb\rc\n\nd"
    expected = [(1, "a"), (2, "b"), (3, "c"), (4, ""), (5, "d")]
    for size in range(1, 9):
        assert list(lines(text[i : i + size] for i in range(0, len(text), size))) == expected
    pieces = list(lines(["y" * 50_000]))
    assert all(len(piece) <= MAX_LINE and number == 1 for number, piece in pieces)


def test_a_message_across_the_cut_of_a_very_long_line_is_found() -> None:
    for before in range(MAX_LINE - len(ORIGIN), MAX_LINE + 1, 7):
        text = "y" * before + ORIGIN + "z" * 20_000
        assert only(text).signature.id == "unknown-backend"
        assert only([text[:before], text[before:]]).signature.id == "unknown-backend"


def test_pieces_of_a_pattern_have_an_order() -> None:
    pattern = Pattern.parse("first part ... second part")
    assert pattern.search("x first part y second part z")
    assert not pattern.search("x second part y first part z")
    assert not Pattern.parse("same text ... same text").search("same text once")


def test_conditions_have_three_values() -> None:
    def truth(**condition: Any) -> bool | None:
        return evaluate(msgspec.convert(condition, Condition), Facts(T820, {"given": ()})).value

    unknown, yes, no = (
        {"fact": "gpu.driver", "is": "x"},
        {"fact": "android.sdk", "is": 27},
        {"fact": "android.sdk", "below": 27},
    )
    assert [truth(**c) for c in (unknown, yes, no)] == [None, True, False]
    assert [truth(**{"not": c}) for c in (unknown, yes, no)] == [None, False, True]
    assert truth(any=[unknown, yes]) is True
    assert truth(any=[unknown, no]) is None
    assert truth(all=[unknown, no]) is False
    assert truth(all=[unknown, yes]) is None
    assert truth(fact="given", any_of=[1]) is None
    assert truth(fact="android.abis", any_of=["ARMEABI-V7A"]) is True
    assert truth(fact="gpu.model", contains="t82") is True
    assert truth(fact="gpu.model", at_least=5) is None  # text where a number was expected
    malformed: tuple[dict[str, Any], ...] = (
        {},
        {"fact": "a"},
        {"fact": "a", "is": 1, "below": 2},
        {"is": 1},
        {"any": [], "all": []},
    )
    for wrong in malformed:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Condition)


def test_every_signature_is_found_by_its_own_patterns() -> None:
    fill = {"{n}": "12", "{word}": "gpu", " ... ": " something in between "}
    for signature in SIGNATURES:
        for pattern in signature.patterns:
            text = pattern
            for hole, example in fill.items():
                text = text.replace(hole, example)
            ids = {e.signature.id for e in explain(text, SIGNATURES) if e.match is Match.EXACT}
            assert signature.id in ids, pattern


def test_every_phrase_resembles_its_signature() -> None:
    for signature in SIGNATURES:
        for phrase in signature.phrases:
            found = {e.signature.id for e in explain("failure: " + phrase, SIGNATURES)}
            assert signature.id in found, phrase


def test_the_table_is_complete_and_reviewed() -> None:
    assert len(SIGNATURES) >= 56
    known = set(vars(Snapshot(kind="x")))
    for row in SIGNATURES:
        for name in row.applies_when.facts() if row.applies_when else ():
            assert name.split(".")[0] in known | {"file"}, name


@pytest.mark.parametrize(
    "pattern", ["ab", "{word} failed", "failed {word} at {word}", "err {n} x", "a ... failure here"]
)
def test_vague_patterns_are_refused(pattern: Any) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Pattern.parse(pattern)


def test_an_overlay_replaces_and_adds_rows_and_names_its_mistakes(tmp_path: Path) -> None:
    cause = "cause: {status: stated, text: c}"
    row = "{id: %s, title: t, " + cause + ", remedy: r, because: b, source: [s], patterns: [%s]}"
    file = tmp_path / "signatures.yaml"
    file.write_text(
        f"- {row % ('unknown-backend', 'quite another message')}\n- {row % ('mine', 'my own message')}\n"
    )
    rows = load(tmp_path).signatures
    assert rows["unknown-backend"].patterns == ("quite another message",)
    assert len(rows) == len(SIGNATURES) + 1
    file.write_text(f"- {row % ('mine', 'my own message')}\n- {row % ('bad', '{word}')}\n")
    with pytest.raises(InputError, match=r"signatures\.yaml:2: .*pattern"):
        load(tmp_path)


PHONES = {
    "mali-g78": Snapshot("adb", gpu=Gpu(vendor="Arm", model="Mali-G78", architecture="Valhall")),
    "mali-g715": Snapshot("adb", gpu=Gpu(vendor="Arm", model="Mali-G715", architecture="Valhall")),
    "adreno-610": Snapshot("adb", gpu=Gpu(vendor="Qualcomm", model="Adreno 610", architecture="Adreno 6xx")),
    "adreno-750": S22,
    "xclipse-960": Snapshot("adb", gpu=Gpu(vendor="Samsung", model="Xclipse 960", architecture="RDNA4")),
    "powervr": Snapshot("adb", gpu=Gpu(vendor="Imagination", model="PowerVR DXT-48-1536")),
    "32-bit": T820,
}


@pytest.mark.parametrize(
    ("text", "signature", "applies", "not_there"),
    [
        ("undefined symbol: clSetPerfHintQCOM", "perf-hint-symbol", "mali-g78", "adreno-750"),
        ("[llm_litert_compiled_model_executor.cc:1928]", "angle-cl-compile", "xclipse-960", "mali-g78"),
        (
            "Status Code: 13: Failed to invoke the compiled model",
            "invoke-fails-after-compile",
            "adreno-610",
            "mali-g78",
        ),
        ("CL_INVALID_COMMAND_QUEUE (-36)", "invalid-command-queue", "mali-g715", "adreno-750"),
        ("Weights preparation on Gpu is disabled for PowerVR", "powervr-freeze", "powervr", "adreno-750"),
        ("UnsatisfiedLinkError: libllm_inference_engine_jni.so", "no-native-library-for-abi", "32-bit", None),
        ("SOCL: Valid mapped region entry not found", "angle-garbage", "xclipse-960", "mali-g78"),
        (
            "map file to memory buffer: Unable to map file to memory buffer, errno=12",
            "map-errno-12",
            "32-bit",
            "adreno-750",
        ),
    ],
)
def test_the_reported_phone_fits_the_cause_and_another_does_not(
    text: str, signature: str, applies: str, not_there: str | None
) -> None:
    found = {e.signature.id: e for e in explain(text, SIGNATURES, PHONES[applies])}
    assert found[signature].applies.answer is Answer.YES, found[signature].applies
    if not_there is not None:
        found = {e.signature.id: e for e in explain(text, SIGNATURES, PHONES[not_there])}
        assert found[signature].applies.answer is not Answer.YES, found[signature].applies


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(st.text(max_size=300), st.sampled_from([ORIGIN, "\x1b[", "\\u12", "\r", "{word} ... "]))
    )
)
def test_any_text_in_any_pieces_is_survived(pieces: list[str]) -> None:
    found = explain(iter(pieces), SIGNATURES, T820)
    assert all(len(e.excerpts) <= 3 and e.count >= 1 for e in found)
    assert (ORIGIN not in " ".join(pieces)) or any(e.signature.id == "unknown-backend" for e in found)
