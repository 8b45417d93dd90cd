"""A model file against the catalogue and against phones, and the two commands that show it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from gemmafit.base.names import CheckStatus
from gemmafit.judge import references as base
from gemmafit.judge.modelfit import RecognisedBy, identify, will_run
from gemmafit.probes.modelfile import CONTAINERS, Finding, ModelFile, Severity, TensorGroup, Tflite
from gemmafit.probes.snapshot import Android, AppVisibility, Gpu, Identity, Memory, OpenCl, Snapshot, Soc
from gemmafit.profiles.knowledge import Model
from gemmafit.reports.report import Report

KNOWLEDGE = base.load()
GPU_INT4 = KNOWLEDGE.models["gemma-2b-it-gpu-int4"]

FLAGSHIP = Snapshot(
    kind="adb",
    identity=Identity(emulator=False),
    android=Android(sdk=34, abis=("arm64-v8a", "armeabi-v7a"), bits=64),
    soc=Soc("QTI", "SM8650", "Snapdragon 8 Gen 3"),
    memory=Memory(total_bytes=12 << 30, available_bytes=7 << 30),
    gpu=Gpu(vendor="Qualcomm", model="Adreno 750", architecture="Adreno 7xx"),
    opencl=OpenCl(
        present=True, public=True, fp16=True, max_alloc_bytes=1 << 30, app=AppVisibility(True, "listed")
    ),
)
OLD = replace(
    FLAGSHIP,
    android=Android(sdk=27, abis=("armeabi-v7a",), bits=32),
    soc=Soc("Spreadtrum", "SC9850", None),
    memory=Memory(total_bytes=2 << 30),
    gpu=Gpu(vendor="Arm", model="Mali-T820", architecture="Midgard"),
    opencl=OpenCl(app=AppVisibility(False, "not listed")),
)


def model_file(**changes: Any) -> ModelFile:
    weights = (TensorGroup("INT4", "channel", 100, 2_700_000_000, 1_350_000_000, 262_144_000),)
    tflite = Tflite(subgraphs=1, buffers=101, weights=weights, metadata=("backend",), backend="gpu")
    return replace(
        ModelFile(
            path="/models/gemma-2b-it-gpu-int4.bin",
            size=1354301440,
            extension=".bin",
            format="tflite",
            what="TFLite model",
            complete=True,
            tflite=tflite,
            backends=("gpu",),
        ),
        **changes,
    )


def recognise(**changes: Any) -> Any:
    return identify(model_file(**changes), KNOWLEDGE)


def test_a_file_is_known_by_digest_size_or_name() -> None:
    assert (recognise().model, recognise().how) == (GPU_INT4, RecognisedBy.SIZE)
    by_digest = recognise(sha256=GPU_INT4.sha256[0], size=5, path="/x/other.bin")
    assert (by_digest.model, by_digest.how) == (GPU_INT4, RecognisedBy.SHA256)
    assert [f.code for f in by_digest.findings] == ["renamed"]
    by_name = recognise(size=1400000000)
    assert (by_name.model, by_name.how) == (GPU_INT4, RecognisedBy.NAME)
    assert [f.code for f in by_name.findings] == ["other-size"]
    assert recognise(path="/x/mine.bin", size=7).model is None


@pytest.mark.parametrize("row", [m for m in KNOWLEDGE.models.values() if m.earlier], ids=lambda row: row.id)
def test_an_earlier_revision_is_known_by_its_size(row: Model) -> None:
    for former in row.earlier:
        for path in (f"/models/{row.file}", "/models/model.bin"):
            found = recognise(path=path, size=former.bytes)
            assert (found.model, found.how) == (row, RecognisedBy.SIZE)
            assert found.findings[-1].code == "earlier-revision"
            assert "other-size" not in [finding.code for finding in found.findings]


def test_a_short_or_altered_file_is_said_to_be() -> None:
    short = recognise(size=700_000_000, complete=False)
    assert [(f.code, f.severity) for f in short.findings] == [("short", Severity.ERROR)]
    assert "52 %" in short.findings[0].text
    altered = recognise(sha256="0" * 64)
    assert [(f.code, f.severity) for f in altered.findings] == [("other-digest", Severity.WARNING)]


@pytest.mark.parametrize("format", ["unknown", "task"])
def test_the_size_of_what_is_no_model_is_not_compared(format: str) -> None:
    """An archive or an error page under the model's name; a container's own size is."""
    short = recognise(size=184_427, complete=False, format=format)
    assert (short.model, [f.code for f in short.findings]) == (
        GPU_INT4,
        ["short"] if format == "task" else [],
    )


@pytest.mark.parametrize("name", ["gemma-2b-it-gpu-int4.bin.crdownload", "gemma-2b-it-gpu-int4 (1).bin"])
def test_a_browsers_additions_to_a_name_are_not_the_name(name: str) -> None:
    found = recognise(path=f"/x/{name}", size=700_000_000, complete=False)
    assert (found.model, found.how) == (GPU_INT4, RecognisedBy.NAME)
    assert "52 %" in found.findings[0].text


def loads(file: Any, snapshot: Any) -> Any:
    identity = identify(file, KNOWLEDGE)
    return {fit.backend: fit for fit in will_run(file, identity, snapshot, KNOWLEDGE)}


def failed(fit: Any) -> Any:
    return {check.id for check in fit.checks if check.status is CheckStatus.FAIL}


def test_the_file_decides_the_backend_and_the_phone_the_rest() -> None:
    good = loads(model_file(), FLAGSHIP)
    assert set(good) == {"opencl"}
    assert good["opencl"].status in (CheckStatus.PASS, CheckStatus.WARN)
    bad = loads(model_file(), OLD)["opencl"]
    assert bad.status is CheckStatus.FAIL
    assert {"tasks-genai.abi", "opencl.visible"} <= failed(bad)


def test_a_broken_file_loads_nowhere() -> None:
    broken = (Finding("tables", Severity.ERROR, "cut off", "Download it again."),)
    fit = loads(model_file(findings=broken, complete=False), FLAGSHIP)["opencl"]
    assert (fit.status, failed(fit)) == (CheckStatus.FAIL, {"file.tables"})


def test_a_file_nobody_knows_needs_room_for_its_weights() -> None:
    own = model_file(path="/x/mine.litertlm", size=7, format="litertlm", backends=("cpu", "gpu"))
    fits = loads(own, FLAGSHIP)
    assert set(fits) == {"cpu", "opencl"}
    assert fits["cpu"].status is CheckStatus.UNKNOWN  # what the engine adds is not known
    assert "file.cpu.memory" in failed(loads(own, replace(OLD, android=FLAGSHIP.android))["cpu"])


@pytest.mark.parametrize(
    ("soc", "status", "code"),
    [
        ("SM8750", CheckStatus.UNKNOWN, "npu.untested"),
        ("SM8650", CheckStatus.FAIL, "npu.other-soc"),
        (None, CheckStatus.UNKNOWN, "npu.soc-unknown"),
    ],
)
def test_an_npu_file_is_for_one_soc(soc: Any, status: Any, code: str) -> None:
    file = model_file(
        path="/x/m.litertlm", size=7, format="litertlm", backends=("npu",), npu=("Qualcomm", "SM8750")
    )
    phone = replace(FLAGSHIP, soc=Soc("QTI", soc, None))
    fit = loads(file, phone)["npu"]
    assert fit.status is status
    assert code in fit.reasons


# --- the commands -------------------------------------------------------------------------------------------


@pytest.fixture
def run() -> Any:
    from gemmafit.cli import explain, model  # noqa: F401 - registers the commands
    from gemmafit.cli.app import app

    return lambda *args, **kw: CliRunner().invoke(app, [str(a) for a in args], **kw)


def test_inspect_prints_a_broken_archive_and_fails(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "evil\x1b[31m.task"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("METADATA", "x")
        archive.writestr("TOKENIZER_MODEL\x1b[2J", "x")
    result = run("model", "inspect", path)
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout
    assert "TF_LITE_PREFILL_DECODE is missing" in result.stdout
    for name, load in (("yaml", yaml.safe_load), ("json", json.loads)):
        data = load(run("model", "inspect", path, "-f", name).stdout)
        assert data["schema"] == "gemmafit.modelfile/1"
        assert data["format"] == "task"
        assert len(data["findings"]) == 2


def llama_cpp() -> Any:
    """The tables with one more runtime, which loads GGUF: a row."""
    row = msgspec.structs.replace(
        KNOWLEDGE.runtimes["litert-lm"],
        id="llama.cpp", title="llama.cpp", formats=("gguf",), abis=("arm64-v8a", "armeabi-v7a"),
    )  # fmt: skip
    return msgspec.structs.replace(KNOWLEDGE, runtimes={**KNOWLEDGE.runtimes, row.id: row})


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_format_is_loaded_by_a_runtime_of_the_tables_or_refused_with_a_word(name: str) -> None:
    """What decides is the runtimes' rows: with one more row the same file is judged."""
    file = model_file(path="/x/mine", size=7, format=name)
    loaded = {format for runtime in KNOWLEDGE.runtimes.values() for format in runtime.formats}
    found = identify(file, KNOWLEDGE)
    known = CONTAINERS[name].format in loaded
    assert [f.code for f in found.findings] == ([] if known else ["no-runtime"])
    (fit,) = will_run(file, found, FLAGSHIP, KNOWLEDGE)
    assert ("file.no-runtime" in failed(fit)) is not known
    more = llama_cpp()
    assert identify(file, more).findings == () or name != "gguf"
    (fit,) = will_run(file, identify(file, more), FLAGSHIP, more)
    assert fit.status is not CheckStatus.FAIL
    (fit,) = will_run(replace(file, backends=("cpu",)), identify(file, more), OLD, more)
    loads_it = next(r for r in more.runtimes.values() if CONTAINERS[name].format in r.formats)
    assert (f"{loads_it.id}.abi" in failed(fit)) is ("armeabi-v7a" not in loads_it.abis)


def test_inspect_says_that_an_npu_file_loads_nowhere_on_another_phone(capsys: Any) -> None:
    """LiteRT-LM#2507: a bundle for one SoC, asked for a phone with another one."""
    from gemmafit.cli.model import exit_code, show

    file = model_file(
        path="/x/m.litertlm", size=7, format="litertlm", backends=("npu",), npu=("Qualcomm", "SM8750")
    )
    identity = identify(file, KNOWLEDGE)
    fit = will_run(file, identity, FLAGSHIP, KNOWLEDGE)
    assert exit_code(file, identity, fit) == 1
    show(file, identity, fit)
    shown = capsys.readouterr().out
    assert "backends: npu only" in shown
    assert "loads nowhere there: it needs SM8750, there is SM8650" in shown


def test_inspect_hash_shows_the_digest(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"GGUF")
    result = run("model", "inspect", path, "--hash", "--quiet")
    assert hashlib.sha256(b"GGUF").hexdigest() in result.stdout.replace("\n", "")
    assert "GGUF" in result.stdout


def test_explain_takes_a_model_file_into_account(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "gemma.task"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    result = run("explain", "UNKNOWN: Unable to open zip archive.", "--model", path, "-f", "json")
    assert result.exit_code == 0
    (row,) = json.loads(result.stdout)["explanations"]
    assert (row["id"], row["applies"]["answer"]) == ("not-a-zip", "yes")


def test_explain_reads_a_log_file_in_the_encoding_of_a_windows_shell(run: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("noise\r\nCan not find OpenCL library on this device\r\n", encoding="utf-16")
    result = run("explain", log)
    assert result.exit_code == 0
    assert "line 2" in result.stdout


def test_explain_of_an_unknown_text_and_of_nothing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("explain", "all is well")
    assert (result.exit_code, "No known failure" in result.stdout) == (5, True)
    assert run("explain", input="").exit_code == 5


def test_explain_against_a_report(run: Any, report: Report, tmp_path: Path) -> None:
    from gemmafit.reports.report_io import to_dict

    device = {"gpu": {"vendor": "Arm", "model": "Mali-T820", "architecture": "Midgard"}, "bits": 32}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(to_dict(replace(report, device=device))))
    result = run("explain", "INVALID_ARGUMENT: Unknown backend", "--report", path, "-f", "yaml")
    (row,) = yaml.safe_load(result.stdout)["explanations"]
    assert row["applies"] == {"answer": "yes", "because": "gpu.architecture is Midgard"}


def test_explain_logcat_of_a_recording(run: Any, tmp_path: Path) -> None:
    log = "04-24 22:55:08.056  6421 16455 E native  : \x1b[31mINVALID_ARGUMENT: Unknown backend\n"
    answers = {
        "logcat": {"exit": 0, "out": log},
        "getprop": {
            "exit": 0,
            "out": "[ro.build.version.sdk]: [27]\n[ro.product.cpu.abilist]: [armeabi-v7a]\n",
        },
        "surfaceflinger": {"exit": 0, "out": "GLES: ARM, Mali-T820, OpenGL ES 3.2 v1.r22p0\n"},
    }
    capture = {
        "schema": "gemmafit.capture/1",
        "recorded": {"at": "2026-11-23T10:00:00Z", "tool": "gemmafit 0.1.0", "kind": "assembled"},
        "commands": answers,
    }
    path = tmp_path / "phone.yaml"
    path.write_text(yaml.safe_dump(capture))
    result = run("explain", "--logcat", "--target", f"replay:{path}", "-f", "json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["explanations"]
    assert (row["id"], row["applies"]["answer"]) == ("unknown-backend", "yes")
    assert row["lines"] == [{"line": 1, "text": "INVALID_ARGUMENT: Unknown backend"}]
