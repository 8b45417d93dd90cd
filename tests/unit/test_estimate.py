"""Estimates from a phone's specification: against published speeds, and what they say about themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from gemmafit.base.errors import UsageError
from gemmafit.base.names import CheckStatus
from gemmafit.judge import references as base
from gemmafit.judge.estimate import Anchor, estimate, phone, possible_socs

KNOWLEDGE = base.load()

PUBLISHED = {  # arXiv 2505.00232 Table 2: GPU, RAM -> (int8 prefill, decode), (8/4/4 prefill, decode) of Gemma 2B
    ("Adreno 740", 8): ((1120, 20.4), (1150, 38.1)),
    ("Adreno 750", 8): ((1440, 23.1), (1480, 42.7)),
    ("Adreno 830", 16): ((1440, 22.8), (1490, 42.5)),
    ("Immortalis-G720 MC12", 16): ((1280, 18.2), (1380, 32.5)),
}


def rows(gpu: Any, ram: Any, soc: Any = None, anchor: Any = None, **options: Any) -> Any:
    found = estimate(phone(gpu, ram, soc, KNOWLEDGE), KNOWLEDGE, anchor, **options)
    return {(row.model.id, row.backend): row for row in found}


@pytest.mark.parametrize(("gpu", "ram"), PUBLISHED)
@pytest.mark.parametrize("data_sheet_only", [False, True])
def test_the_published_speed_is_inside_the_bars(gpu: Any, ram: Any, data_sheet_only: Any) -> None:
    found = rows(gpu, ram, data_sheet_only=data_sheet_only)
    for id, (prefill, decode) in zip(
        ("gemma-2b-it-gpu-int8", "gemma-2b-it-gpu-int4"), PUBLISHED[gpu, ram], strict=True
    ):
        row = found[id, "opencl"]
        assert row.basis == ("data sheet" if data_sheet_only else "published for this chip")
        assert row.predicted.decode_tok_s.low <= decode <= row.predicted.decode_tok_s.high
        assert row.predicted.prefill_tok_s.low <= prefill <= row.predicted.prefill_tok_s.high
        if not data_sheet_only:
            assert row.predicted.decode_tok_s.value == pytest.approx(decode, rel=0.1)


def test_a_measured_model_narrows_the_bars_and_is_met_itself() -> None:
    wide = rows("Adreno 750", 8)["gemma2-2b-it-gpu-int8", "opencl"].predicted.decode_tok_s
    anchor = Anchor("gemma-2b-it-gpu-int8", "opencl", 23.1, 1440)
    found = rows("Adreno 750", 8, anchor=anchor)
    other = found["gemma2-2b-it-gpu-int8", "opencl"]
    assert other.basis == "measured model"
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
    assert found["gemma-2b-it-cpu-int8", "cpu"].basis == "data sheet"
    litert = found["gemma3-1b-it-int4", "opencl"].predicted.decode_tok_s
    assert litert.high / litert.low > 2


def test_memory_decides_what_fits() -> None:
    assert rows("Adreno 740", 16)["gemma-2b-it-gpu-int8", "opencl"].memory is CheckStatus.PASS
    assert rows("Mali-T820", 2, "SC9832E")["gemma-2b-it-gpu-int8", "opencl"].memory is CheckStatus.FAIL


def test_small_old_gpus_are_never_predicted_above_their_memory() -> None:
    for gpu, dram in (("Mali-T820 MP1", 7.4), ("Adreno 505", 7.4), ("PowerVR Rogue GE8320", 12.8)):
        speed = rows(gpu, 2, data_sheet_only=True)["gemma-2b-it-gpu-int4", "opencl"].predicted.decode_tok_s
        assert speed.value < dram / 1.338


def test_the_cpu_needs_the_soc() -> None:
    assert possible_socs("Adreno 740", KNOWLEDGE.tables)
    assert rows("Adreno 740", 8)["gemma-2b-it-cpu-int4", "cpu"].predicted.prefill_tok_s is None
    with_soc = rows("Adreno 740", 8, "Snapdragon 8 Gen 2")["gemma-2b-it-cpu-int4", "cpu"]
    assert with_soc.predicted.prefill_tok_s is not None
    assert phone("Adreno 740", 8, "SM8550", KNOWLEDGE).soc.name == "Snapdragon 8 Gen 2"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("Adrena 740", "Adreno 740"), ("Mali-G7l0", "Mali-G710"), ("Imortalis-G72O", "Immortalis-G720")],
)
def test_a_mistyped_gpu_is_met_with_the_right_name(typed: str, meant: str) -> None:
    with pytest.raises(UsageError) as refused:
        phone(typed, 8, None, KNOWLEDGE)
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
            phone(gpu, 8, soc, KNOWLEDGE)
    with pytest.raises(UsageError, match="unknown model"):
        rows("Adreno 740", 8, anchor=Anchor("gpt", "opencl", 5))
    with pytest.raises(UsageError, match="faster than"):
        rows("Adreno 740", 8, anchor=Anchor("gemma3-1b-it-int4", "opencl", 5000))


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
    assert (data["schema"], data["evidence"]) == ("gemmafit.estimate/1", "predicted")
    assert data["gpu"]["model"] == "Adreno 740"
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
