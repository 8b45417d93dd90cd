"""Estimates from a phone's specification: against published speeds, and what they say about themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gemmafit.base.errors import UsageError
from gemmafit.base.names import Backend, CheckStatus, Evidence
from gemmafit.base.options import Options
from gemmafit.judge import references as base
from gemmafit.judge.estimate import CONTEXT, Anchor, estimate, possible_socs, stated
from gemmafit.judge.judge import judge
from gemmafit.profiles.conditions import FILE_FACTS
from gemmafit.reports.report import Report
from gemmafit.reports.report_io import load as read_report
from gemmafit.tests.judge.faults import holding

KNOWLEDGE = base.load()

PUBLISHED = {  # arXiv 2505.00232 Table 2: GPU, RAM -> (int8 prefill, decode), (8/4/4 prefill, decode) of Gemma 2B
    ("Adreno 740", 8): ((1120, 20.4), (1150, 38.1)),
    ("Adreno 750", 8): ((1440, 23.1), (1480, 42.7)),
    ("Adreno 830", 16): ((1440, 22.8), (1490, 42.5)),
    ("Immortalis-G720 MC12", 16): ((1280, 18.2), (1380, 32.5)),
}


def rows(gpu: Any, ram: Any, soc: Any = None, anchor: Any = None, **options: Any) -> Any:
    report = estimate(gpu=gpu, ram_gb=ram, soc=soc, knowledge=KNOWLEDGE, measured=anchor, **options)
    return {(row.id, row.backend): row for row in report.variants}


@pytest.mark.parametrize(("gpu", "ram"), PUBLISHED)
@pytest.mark.parametrize("data_sheet_only", [False, True])
def test_the_published_speed_is_inside_the_bars(gpu: Any, ram: Any, data_sheet_only: Any) -> None:
    found = rows(gpu, ram, data_sheet_only=data_sheet_only)
    for id, (prefill, decode) in zip(
        ("gemma-2b-it-gpu-int8", "gemma-2b-it-gpu-int4"), PUBLISHED[gpu, ram], strict=True
    ):
        row = found[id, "opencl"]
        assert row.predicted.basis == ("specification" if data_sheet_only else "chip")
        assert row.predicted.decode_tok_s.low <= decode <= row.predicted.decode_tok_s.high
        assert row.predicted.prefill_tok_s.low <= prefill <= row.predicted.prefill_tok_s.high
        if not data_sheet_only:
            assert row.predicted.decode_tok_s.value == pytest.approx(decode, rel=0.1)


def test_a_measured_model_narrows_the_bars_and_is_met_itself() -> None:
    wide = rows("Adreno 750", 8)["gemma2-2b-it-gpu-int8", "opencl"].predicted.decode_tok_s
    anchor = Anchor("gemma-2b-it-gpu-int8", Backend.OPENCL, 23.1, 1440)
    found = rows("Adreno 750", 8, anchor=anchor)
    other = found["gemma2-2b-it-gpu-int8", "opencl"]
    assert other.predicted.basis == "measured model"
    assert other.predicted.decode_tok_s.value == pytest.approx(21.3, rel=0.04)
    assert other.predicted.prefill_tok_s.value == pytest.approx(1290, rel=0.06)
    assert other.predicted.decode_tok_s.high / other.predicted.decode_tok_s.low < 0.6 * wide.high / wide.low
    same = found["gemma-2b-it-gpu-int8", "opencl"].predicted
    assert same.decode_tok_s.value == pytest.approx(23.1)
    assert same.prefill_tok_s.value == pytest.approx(1440)
    ttft = same.ttft_s
    assert ttft.value == pytest.approx(256 / 1440 + 1 / 23.1)
    assert ttft.low < ttft.value < ttft.high
    # The CPU was not measured: nothing changes there. LiteRT's files carry that engine's wider bars.
    assert found["gemma-2b-it-cpu-int8", "cpu"].predicted.basis == "specification"
    litert = found["gemma3-1b-it-int4", "opencl"].predicted.decode_tok_s
    assert litert.high / litert.low > 2


def test_memory_decides_what_fits() -> None:
    fits = rows("Adreno 740", 16)["gemma-2b-it-gpu-int8", "opencl"]
    assert (fits.status, fits.reasons) == (CheckStatus.PASS, ())
    small = rows("Adreno 740", 3)["gemma-2b-it-gpu-int8", "opencl"]
    assert (small.status, small.reasons[0]) == (CheckStatus.FAIL, "memory.too-small")


def test_small_old_gpus_are_never_predicted_above_their_memory() -> None:
    for gpu, dram in (("Mali-T820 MP1", 7.4), ("Adreno 505", 7.4), ("PowerVR Rogue GE8320", 12.8)):
        speed = rows(gpu, 2, data_sheet_only=True)["gemma-2b-it-gpu-int4", "opencl"].predicted.decode_tok_s
        assert speed.value < dram / 1.338


def test_the_cpu_needs_the_soc() -> None:
    assert possible_socs("Adreno 740", KNOWLEDGE.tables)
    assert rows("Adreno 740", 8)["gemma-2b-it-cpu-int4", "cpu"].predicted.prefill_tok_s is None
    with_soc = rows("Adreno 740", 8, "Snapdragon 8 Gen 2")["gemma-2b-it-cpu-int4", "cpu"]
    assert with_soc.predicted.prefill_tok_s is not None
    assert stated("Adreno 740", 8, KNOWLEDGE, soc="SM8550").soc.name == "Snapdragon 8 Gen 2"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("Adrena 740", "Adreno 740"), ("Mali-G7l0", "Mali-G710"), ("Imortalis-G72O", "Immortalis-G720")],
)
def test_a_mistyped_gpu_is_met_with_the_right_name(typed: str, meant: str) -> None:
    with pytest.raises(UsageError) as refused:
        stated(typed, 8, KNOWLEDGE)
    assert meant in (refused.value.hint or "")


@pytest.mark.parametrize(
    "gpu",
    ["Adreno 505", "Mali-T830", "Mali-G57 MC2", "Immortalis-G925", "PowerVR BXM-8-256", "PowerVR Rogue GE8320",
     "Xclipse 940", "Adreno 840"],
)  # fmt: skip
def test_phones_of_every_vendor_have_a_speed_and_a_wide_bar(gpu: str) -> None:
    found = rows(gpu, 8, data_sheet_only=True)["gemma-2b-it-gpu-int4", "opencl"].predicted.decode_tok_s
    assert 0.5 < found.value < 100
    assert found.high / found.low > 1.45**2 * 0.99
    wide = "Adreno 8" not in gpu and "Immortalis" not in gpu and "G57" not in gpu  # classes without an LLM
    assert not wide or found.high / found.low > 1.8**2 * 0.99


def test_what_nobody_knows_is_refused_with_a_hint() -> None:
    for gpu, soc in (("Voodoo 2", None), ("", None), ("Adreno 740", "Snapdragon 99")):
        with pytest.raises(UsageError):
            stated(gpu, 8, KNOWLEDGE, soc=soc)
    with pytest.raises(UsageError, match="unknown model"):
        rows("Adreno 740", 8, anchor=Anchor("gpt", Backend.OPENCL, 5))
    with pytest.raises(UsageError, match="faster than"):
        rows("Adreno 740", 8, anchor=Anchor("gemma3-1b-it-int4", Backend.OPENCL, 5000))


@pytest.fixture
def run() -> Any:
    from gemmafit.cli import estimate, schema  # noqa: F401 - registers the commands
    from gemmafit.cli.app import app

    return lambda *args: CliRunner().invoke(app, ["estimate", *map(str, args)])


def test_a_gpu_without_a_data_sheet_is_said_to_be_unknown(run: Any) -> None:
    result = run("--gpu", "Adreno 841", "--ram", 8)
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "no table has the memory of a phone with Adreno 841" in said and "Adreno 840" in said
    assert "holds the truth" not in said
    assert "holds the truth" in run("--gpu", "Adreno 740", "--ram", 8).stderr


def test_the_command(run: Any) -> None:
    result = run("--gpu", "Adreno 740", "--ram", 8, "--family", "gemma-2b", "-f", "json")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert (data["schema"], data["target"]["kind"]) == ("gemmafit.report/1", "stated")
    assert {row["evidence"] for row in data["variants"]} == {"predicted"}
    assert data["device"]["gpu"]["model"] == "Adreno 740"
    int8 = next(v for v in data["variants"] if v["id"] == "gemma-2b-it-gpu-int8")
    assert 15 < int8["predicted"]["decode_tok_s"]["value"] < 25
    text = run(
        "--gpu", "Adreno 740", "--ram", 8, "--measured", "gemma-2b-it-gpu-int8=20.4/1120", "-f", "yaml"
    )
    assert "basis: measured model" in text.stdout
    assert "Adreno 740" in run("--gpu", "Adreno 740", "--ram", 8).stdout


@pytest.mark.parametrize(
    "measured",
    [
        "x",
        "gemma-2b-it-gpu-int8",
        "gemma-2b-it-gpu-int8=fast",
        "nothing=5",
        "gemma-2b-it-gpu-int8=-1",
        "gemma-2b-it-gpu-int8=nan",
    ],
)
def test_malformed_measurements(run: Any, measured: Any) -> None:
    result = run("--gpu", "Adreno 740", "--ram", 8, "--measured", measured)
    assert isinstance(result.exception, UsageError) or result.exit_code == 2


# --- one judge ----------------------------------------------------------------------------------------------

KNOWN_FAULTS = {f"known.{id}": fault for id, fault in KNOWLEDGE.drivers.items()}
GPUS = sorted({row.gpu.model for row in KNOWLEDGE.tables.socs.rows if row.gpu.model})
SHIPPED = {backend for model in KNOWLEDGE.models.values() for backend in model.backends}


def faults(report: Report) -> set[tuple[str, str, str]]:
    """(file, backend, fault) of every fault row that counts in a report."""
    return {(v.id, v.backend, code) for v in report.variants for code in v.reasons if code in KNOWN_FAULTS}


STATEABLE = {
    id: {k: str(v) for k, v in holding(fault.when) if k not in ("backend", *FILE_FACTS)}
    for id, fault in KNOWLEDGE.drivers.items()
    if SHIPPED & {v for k, v in holding(fault.when) if k == "backend"}
}
"""Fault rows about backends that files are shipped for -> facts of a phone that has the fault."""


def described(facts: dict[str, str]) -> Report:
    return estimate(gpu="Adreno 740", ram_gb=16, knowledge=KNOWLEDGE, facts=facts)


@pytest.mark.parametrize("id", STATEABLE)
def test_every_fault_that_can_be_stated_counts_in_an_estimate_and_only_there(id: str) -> None:
    fault, facts = KNOWLEDGE.drivers[id], STATEABLE[id]
    report = described(facts)
    hit = [v for v in report.variants if f"known.{id}" in v.reasons]
    assert hit, facts
    assert all(v.status is (CheckStatus.FAIL if fault.severity == "fail" else v.status) for v in hit)
    assert not any(v.status is CheckStatus.PASS for v in hit)
    if report.recommendation is not None and fault.severity == "fail":
        chosen = (report.recommendation.variant, report.recommendation.backend)
        assert chosen not in {(v.id, v.backend) for v in hit}
    if facts:  # the same phone without them
        assert not any(f"known.{id}" in v.reasons for v in described({}).variants)


def test_the_fault_rows_are_nearly_all_of_those_about_shipped_backends() -> None:
    assert len(STATEABLE) >= 20


@settings(max_examples=40)
@given(
    gpu=st.sampled_from(GPUS),
    ram=st.sampled_from([2, 3, 4, 6, 8, 12, 16]),
    sdk=st.none() | st.integers(20, 36),
    abi=st.none() | st.sampled_from(["arm64-v8a", "armeabi-v7a", "x86_64"]),
    model=st.none() | st.sampled_from(["Pixel 10", "SM-G977B", "Pixel 4"]),
    visible=st.booleans(),
)
def test_an_estimate_is_what_the_judge_says_of_a_phone_at_hand_with_the_same_facts(
    gpu: str, ram: int, sdk: int | None, abi: str | None, model: str | None, visible: bool
) -> None:
    facts = {"identity.model": model} if model else {}
    if not visible:
        facts["opencl.app.visible"] = "no"
    told = stated(gpu, ram, KNOWLEDGE, sdk=sdk, abi=abi, facts=facts)
    options = Options(family="any", context=CONTEXT)
    said = judge(told, (), KNOWLEDGE, options)
    at_hand = judge(replace(told, kind="adb"), (), KNOWLEDGE, options)
    assert faults(said) == faults(at_hand)
    for mine, other in zip(said.variants, at_hand.variants, strict=True):
        assert mine.predicted == other.predicted and mine.evidence is Evidence.PREDICTED
        # Only what is unknown may be assumed: nothing that is known to fail is forgiven, and nothing is added.
        assert mine.status is other.status or other.status is CheckStatus.UNKNOWN
    assert not any(note.startswith("assumed:") for note in at_hand.notes)


def test_what_is_assumed_is_said_once_and_goes_when_it_is_stated() -> None:
    def line(**more: Any) -> str:
        report = estimate(gpu="Adreno 740", ram_gb=8, knowledge=KNOWLEDGE, **more)
        return "".join(note for note in report.notes if note.startswith("assumed:"))

    assert "64-bit" in line() and "OpenCL" in line() and "Android is new enough" in line()
    assert "64-bit" not in line(abi="arm64-v8a")
    assert "new enough" not in line(sdk=34)
    assert "OpenCL" not in line(facts={"opencl.app.visible": "no"})


def test_a_phone_from_before_64_bit_is_not_assumed_to_have_it() -> None:
    report = estimate(gpu="Adreno 330", ram_gb=3, knowledge=KNOWLEDGE)
    (abi,) = [c for c in report.checks if c.id == "litert-lm.abi"]
    assert abi.status is CheckStatus.UNKNOWN and "--abi" in (abi.remedy or "")


def test_what_is_stated_decides_as_it_does_in_a_check() -> None:
    def verdict(**more: Any) -> str:
        options = Options(family="gemma-2b")
        report = estimate(gpu="Adreno 750", ram_gb=12, knowledge=KNOWLEDGE, options=options, **more)
        return str(report.verdict)

    assert verdict() == "pass"
    assert verdict(abi="armeabi-v7a") == "fail"
    assert verdict(sdk=21) == "fail"
    assert verdict(soc="SM8650", facts={"opencl.app.visible": "no"}) == "degraded"
    assert verdict(soc="SM8650", driver="E031.47.12.00") == "degraded"


def test_the_phone_of_the_origin_is_not_told_to_take_the_gpu_file(run: Any) -> None:
    phone = ("--gpu", "Mali-T820", "--soc", "SC9850", "--cpu", "4xCortex-A53@1500", "--family", "gemma-2b")
    result = run(*phone, "--ram", 4, "-f", "json")
    data = json.loads(result.stdout)
    gpu = next(v for v in data["variants"] if v["id"] == "gemma-2b-it-gpu-int8")
    assert gpu["status"] == "fail" and "known.mali-t820-unknown-backend" in gpu["reasons"]
    assert data["verdict"] != "pass" and "Unknown backend" in data["summary"]
    best = data["recommendation"] or data["works_instead"]
    assert best["backend"] == "cpu"
    shown = run(*phone, "--ram", 3).stdout
    assert shown.splitlines()[0].startswith("✗ NO for Gemma 2B") and "✓ SHIP INSTEAD gemma3-270m" in shown


@pytest.mark.parametrize(
    "fact", ["gpu=x", "gpu.modell=x", "android.sdk=new", "nothing", "gpu.model.x=1", "=1"]
)
def test_a_fact_that_is_none_is_refused_with_its_name(run: Any, fact: str) -> None:
    result = run("--gpu", "Adreno 740", "--ram", 8, "--fact", fact)
    assert isinstance(result.exception, UsageError) and fact.split("=")[0] in str(result.exception)


def test_an_estimate_can_be_read_back_as_a_report(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "phone.yaml"
    path.write_text(run("--gpu", "Adreno 740", "--ram", 8, "-f", "yaml").stdout)
    assert read_report(path).target["kind"] == "stated"
