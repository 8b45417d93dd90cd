"""explain(): the right signature for the text people really have, and what it says about a phone."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gemmafit.base.errors import InputError
from gemmafit.base.logtext import MAX_LINE, clean, lines, message
from gemmafit.judge import explain as module
from gemmafit.judge.explain import Applies, Explanation, Match
from gemmafit.judge.references import load
from gemmafit.probes.snapshot import Android, AppVisibility, Gpu, Memory, OpenCl, Snapshot
from gemmafit.profiles.conditions import Condition, Facts, evaluate
from gemmafit.profiles.signatures import Description, Kind, Pattern, Signature

KNOWLEDGE = load()
SIGNATURES = tuple(KNOWLEDGE.signatures.values())
CASES = yaml.safe_load((Path(__file__).parent / "explained.yaml").read_text())
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


def explain(text: Any, snapshot: Any = None, **kw: Any) -> tuple[Explanation, ...]:
    return module.explain(text, KNOWLEDGE, snapshot, **kw).found


def only(text: Any, snapshot: Any = None, **kw: Any) -> Any:
    found = explain(text, snapshot, **kw)
    assert len(found) == 1, [e.signature.id for e in found]
    return found[0]


def test_the_origin_line_on_a_mali_t820() -> None:
    found = only(ORIGIN, T820)
    assert (found.signature.id, found.match) == ("unknown-backend", Match.EXACT)
    assert found.applies.answer is Applies.YES
    assert "Midgard" in found.applies.because
    assert "CPU file" in found.signature.remedy
    assert found.signature.source == ("google-ai-edge/mediapipe-samples#453",)


def test_the_origin_line_on_a_phone_that_runs_the_model() -> None:
    found = only(ORIGIN, S22)
    assert found.applies.answer is Applies.NO
    assert "Adreno 7xx" in found.applies.because


def test_no_phone_and_a_phone_of_which_the_fact_is_unknown() -> None:
    assert only(ORIGIN).applies.answer is Applies.UNKNOWN
    found = only(ORIGIN, Snapshot(kind="adb"))
    assert found.applies.answer is Applies.UNKNOWN
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
    reading = module.explain("engine: INVALID_ARGUMENT - Unknown backend!", KNOWLEDGE, T820)
    assert [e.signature.id for e in reading.found] == ["unknown-backend"]
    assert {e.match for e in reading.found} == {Match.RESEMBLES}
    assert 0.5 <= reading.found[0].score < 1
    assert not reading.recognised


@pytest.mark.parametrize(
    "text",
    [
        "java.lang.NullPointerException: Attempt to invoke virtual method on a null object reference",
        "E/AndroidRuntime: FATAL EXCEPTION: main",
        "error: failed to push some refs to origin",
        "curl: (6) Could not resolve host: huggingface.co",
        "W/OpenGLRenderer: Failed to initialize 101010-2 format, error = EGL_SUCCESS",
        "E/SurfaceFlinger: Permission Denial: can't access SurfaceFlinger",
        "SSL_connect failed: certificate expired",
        "INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract native libraries",
        "My app crashes after loading gemma on the GPU, please help, error: failed model",
        "The model takes long and the answer is wrong on this phone",
        "Failed to create engine: INTERNAL: cannot initialize the backend, invalid argument, unknown model file",
        "ActivityManager: Process com.google.aiedge.gallery (pid 1234) has died: fg TOP",
        "I lowmemorykiller: Kill com.x (2), uid 1, oom_score_adj 905 to free 320kB rss",
        "engine crashed, CPU supported, OpenCL device not found in library map file, access denied",
        "x" * 5000,
        "",
        "\x00\x01\x02\xff",
    ],
)
def test_unrelated_errors_are_not_explained(text: Any) -> None:
    reading = module.explain(text, KNOWLEDGE, T820)
    assert not reading.recognised, [e.signature.id for e in reading.found]
    assert all(e.signature.kind is Kind.NOTICE for e in reading.found), reading.found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["url"].removeprefix("https://github.com/"))
def test_a_reported_text_has_its_cause_first(case: Any) -> None:
    reading = module.explain(case["text"], KNOWLEDGE)
    found = [e.signature.id for e in reading.found]
    assert reading.recognised is (case["first"] is not None), found
    assert case["first"] is None or found[0] == case["first"]
    assert set(case.get("also", ())) <= set(found)
    kinds = [(e.match is Match.RESEMBLES, e.signature.kind is Kind.NOTICE) for e in reading.found]
    assert kinds == sorted(kinds)
    if "crash" in case:
        (culprit,) = reading.crashes
        library = culprit.frame.library if culprit.frame else None
        assert [library, culprit.owner.id if culprit.owner else None] == case["crash"]
    assert set(case.get("from", ())) <= {origin.id for origin in reading.origins}


def test_the_same_log_in_the_middle_of_a_long_one_has_the_same_cause_first() -> None:
    noise = [
        "04-24 22:55:08.056  900   901 I lowmemorykiller: Kill com.y (7), uid 1, oom_score_adj 935 to free 1kB rss",
        '04-24 22:55:08.056  421   455 W libc    : Access denied finding property "vendor.x"',
        "04-24 22:55:08.056  421   455 E Failed  : to open a file that does not exist, error 2, not found",
        "04-24 22:55:08.056  421   455 I chatty  : uid=1000 identical 3 lines",
    ]
    for case in CASES:
        if case["first"] is None or "\n" not in case["text"].strip():
            continue
        text = "\n".join(noise * 260 + [case["text"]] + noise * 260)
        reading = module.explain(text, KNOWLEDGE)
        # A text that wraps one message over its lines is no log.
        joined = case["first"] in ("llama-opencl-bf16",)
        assert joined or reading.found[0].signature.id == case["first"], case["url"]


COMMON_WORDS = sorted(
    {
        word.lower()
        for row in SIGNATURES
        for text in (*row.patterns, *row.described)
        for word in re.findall(r"[A-Za-z]{3,}", text)
        if sum(word.lower() in " ".join(r.patterns).lower() for r in SIGNATURES) > 1
    }
)


@pytest.mark.parametrize("seed", range(60))
def test_the_common_words_of_signatures_are_never_recognised(seed: int) -> None:
    """Shuffled, in prose, one or many lines, with a log's prefix or without."""
    deal = random.Random(seed)
    prefix = deal.choice(["", "E/native ( 123): ", "04-24 22:55:08.056  6421 16455 E tflite  : "])
    lines = []
    for _ in range(deal.choice([1, 3, 30])):
        words = deal.choices(COMMON_WORDS, k=deal.randint(4, 40))
        lines.append(prefix + deal.choice([" ", ", ", " the ", ": "]).join(words))
    reading = module.explain("\n".join(lines), KNOWLEDGE)
    assert not reading.recognised, [(e.signature.id, e.excerpts) for e in reading.found if e.known]


@pytest.mark.parametrize("row", SIGNATURES, ids=lambda row: row.id)
def test_the_words_of_one_signature_in_another_order_are_not_it(row: Signature) -> None:
    deal = random.Random(row.id)
    for pattern in row.patterns:
        words = re.findall(r"[\w.]+", pattern.replace("{n}", "").replace("{word}", "").replace("...", ""))
        if len(set(words)) < 4 or pattern.startswith("crash:"):
            continue  # a signal and a library are a crash in any order
        for _ in range(3):
            deal.shuffle(words)
            found = explain("error: " + ", ".join(words))
            assert not any(e.signature is row and e.match is Match.EXACT for e in found), words


def test_a_distinctive_part_in_megabytes_of_noise_is_found_in_bounded_time() -> None:
    deal = random.Random(1)
    words = [*COMMON_WORDS, *(f"lib{w}.so" for w in COMMON_WORDS[:40]), "signal", "SIGNAL", "#0", "0x12af"]
    noise = "\n".join(
        f"04-24 22:55:0{n % 10}.056  {n % 900 + 1}  {n % 900 + 2} {deal.choice('VDIWE')} tag{n % 7}  : "
        + " ".join(deal.choices(words, k=9))
        for n in range(24_000)
    )
    assert len(noise) > 2_000_000
    half = len(noise) // 2
    started = time.monotonic()
    reading = module.explain([noise[:half], f"\n{ORIGIN}\n", noise[half:]], KNOWLEDGE)
    assert reading.found[0].signature.id == "unknown-backend"
    assert time.monotonic() - started < 60


def test_a_line_of_another_runtime_is_matched_by_its_own_rows_only() -> None:
    """What Google's runtimes say with these codes, another one says for its own reasons."""
    for mark in (
        "ggml_opencl: ",
        "org.apache.tvm.Base$TVMError: ",
        "executorch: ",
        "MNN::OpenCL: ",
        "onnxruntime: ",
    ):
        for text in ("CL_INVALID_COMMAND_QUEUE", "CL_BUILD_PROGRAM_FAILURE", "clBuildProgram failed"):
            # Alone, and in a log in which Google's runtimes speak, too.
            for log in (mark + text, f"{mark}{text}\nI com.google.ai.edge.litertlm: created"):
                ours = [e for e in explain(log) if e.known and e.signature.of is None]
                assert not ours, log
        assert explain("CL_INVALID_COMMAND_QUEUE")[0].known


def test_what_another_process_logged_comes_after_the_one_that_crashed() -> None:
    log = (
        "04-24 22:55:08.000   500   510 E native  : LLM model file is null\n"
        f"04-24 22:55:09.000  1000  1010 E native  : {ORIGIN}\n"
        "04-24 22:55:09.100  1000  1010 F libc    : Fatal signal 6 (SIGABRT), code -1 in tid 1010 (a), pid 1000 (b)\n"
    )
    found = explain(log)
    assert [e.signature.id for e in found] == ["unknown-backend", "model-file-null"]
    assert [e.elsewhere for e in found] == [False, True]
    assert [
        e.signature.id
        for e in explain(log.replace(" pid 1000", " pid 500").replace(" 1000  1010 F", " 500  510 F"))
    ] == [
        "model-file-null",
        "unknown-backend",
    ]


def test_a_cause_that_only_the_phone_tells_needs_the_phone() -> None:
    text = "[llm_litert_compiled_model_executor.cc:1928]"
    assert [e.signature.id for e in explain(text)] == ["model-not-prepared"]
    assert explain(text, PHONES["xclipse-960"])[0].signature.id == "angle-cl-compile"
    assert [e.signature.id for e in explain(text, PHONES["mali-g78"])] == ["model-not-prepared"]


def test_notices_come_after_failures() -> None:
    text = (
        "W [auto_registration.cc:67] NPU accelerator could not be loaded and registered: kLiteRt.\n"
        "UNKNOWN: Can not find OpenCL library on this device"
    )
    assert [e.signature.id for e in explain(text)] == ["no-opencl-library", "npu-not-registered"]


def test_a_linker_failure_depends_on_what_the_phone_lists() -> None:
    listed = only("Can not find OpenCL library on this device", S22)
    assert listed.applies.answer is Applies.YES  # SDK 33: the manifest decides
    old = only("Can not find OpenCL library on this device", T820)
    assert old.applies.answer is Applies.UNKNOWN


def test_facts_about_a_file_decide_without_a_phone() -> None:
    found = only(
        "UNKNOWN: Unable to open zip archive.", facts={"file.complete": False, "file.format": "task"}
    )
    assert found.applies.answer is Applies.YES
    found = only(
        "UNKNOWN: Unable to open zip archive.",
        facts={"file.complete": True, "file.format": "task", "file.web": False},
    )
    assert found.applies.answer is Applies.NO


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
    assert explain(evil + ORIGIN)[0].match is Match.EXACT
    assert {e.signature.id for e in explain([evil, ORIGIN])} >= {"unknown-backend"}


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
            ids = {e.signature.id for e in explain(text) if e.match is Match.EXACT}
            assert signature.id in ids or signature.on_phone_only, pattern


def test_every_description_is_known_by_all_its_terms() -> None:
    for signature in SIGNATURES:
        for told in signature.described:
            text = "I see that: " + ", ".join(term.split("|")[0] for term in told.split(" + "))
            found = {e.signature.id: e.match for e in explain(text)}
            assert found.get(signature.id) is Match.DESCRIBED, told
            # Each term is needed.
            for left in told.split(" + "):
                rest = " and ".join(t.split("|")[0] for t in told.split(" + ") if t != left)
                assert found[signature.id] not in {
                    e.match for e in explain(rest) if e.signature is signature
                }, (told, left)


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


@pytest.mark.parametrize("told", ["one term", "slow + gpu crash|error", "slow + wrong", " + slow"])
def test_descriptions_that_anything_fulfils_are_refused(told: str) -> None:
    with pytest.raises(ValueError, match="description"):
        Description.parse(told)


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
        ("the app freezes on the GPU of a Pixel 10", "powervr-freeze", "powervr", "adreno-750"),
        (
            'dlopen failed: library "libllm_inference_engine_jni.so" not found',
            "no-native-library-for-abi",
            "32-bit",
            None,
        ),
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
    found = {e.signature.id: e for e in explain(text, PHONES[applies])}
    assert found[signature].applies.answer is Applies.YES, found[signature].applies
    if not_there is not None:
        found = {e.signature.id: e for e in explain(text, PHONES[not_there])}
        assert signature not in found or found[signature].applies.answer is not Applies.YES


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(st.text(max_size=300), st.sampled_from([ORIGIN, "\x1b[", "\\u12", "\r", "{word} ... "]))
    )
)
def test_any_text_in_any_pieces_is_survived(pieces: list[str]) -> None:
    found = explain(iter(pieces), T820)
    assert all(len(e.excerpts) <= 3 and e.count >= 1 for e in found)
    assert (ORIGIN not in " ".join(pieces)) or any(e.signature.id == "unknown-backend" for e in found)
