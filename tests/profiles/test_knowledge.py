"""The knowledge base: what is in it, and that a wrong folder is told by file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmafit.base.errors import InputError
from gemmafit.judge.references import load
from gemmafit.probes.readers.gpu import identify
from gemmafit.profiles.knowledge import Knowledge, Quantisation
from gemmafit.profiles.loader import TABLES

ROW = """
- id: my-model
  file: my.litertlm
  family: gemma3-1b
  architecture: gemma3-1b
  runtime: litert-lm
  format: litertlm
  repository: mine/my
  bytes: 1000
  bits: {attention: 4, ffn: 4, embedding: 8}
  backends: [cpu]
  context: 1024
  because: a test
  source: a test
"""


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


def test_every_row_has_a_reason_and_a_source(knowledge: Knowledge) -> None:
    for table in (name for name, kind in TABLES.items() if kind.form == "rows"):
        rows = getattr(knowledge, table)
        assert rows, table
        assert all(row.because and row.source for row in rows.values())
    for use in knowledge.thresholds.uses.values():
        assert use.because and use.source
    assert all(fault.seen is not None for fault in knowledge.drivers.values()), "the newest report of a fault"
    assert all(runtime.current is not None for runtime in knowledge.runtimes.values())


def test_dimensions_agree_with_published_sizes(knowledge: Knowledge) -> None:
    """Parameters of Gemma 2B and bytes of the files follow from the dimensions alone."""
    gemma = knowledge.architectures["gemma-2b"]
    weights = (gemma.attention_weights, gemma.ffn_weights, gemma.embedding_weights)
    assert weights == (169_869_312, 1_811_939_328, 524_288_000)
    assert sum(weights) == gemma.parameters
    assert gemma.kv_bytes_per_token() == 18_432
    assert {
        id: architecture.kv_bytes_per_token() for id, architecture in knowledge.architectures.items()
    }.items() >= {
        "gemma2-2b": 106_496,
        "gemma3-1b": 26_624,
        "gemma-3n-E2B": 40_960,
        "gemma-4-E2B": 18_432,
    }.items()
    # Scales, norms and the tokenizer make a file about one per cent larger than its weights.
    int4 = knowledge.models["gemma-2b-it-gpu-int4"]
    assert gemma.bytes_per_token(int4.bits) == pytest.approx(int4.size, rel=0.015)
    assert gemma.bytes_per_token(Quantisation(8, 8, 8)) == gemma.parameters
    for model in knowledge.models.values():
        architecture = knowledge.architectures[model.architecture]
        # A file for an NPU holds compiled graphs beside the weights.
        if not architecture.streamed_fraction and model.bits.ffn == 8 and model.npu_soc is None:
            assert architecture.bytes_per_token(model.bits) == pytest.approx(model.size, rel=0.15), model.id


def test_a_gpu_file_and_a_cpu_file_are_never_the_same(knowledge: Knowledge) -> None:
    for model in knowledge.models.values():
        if model.format == "bin":
            assert model.backends == (("opencl",) if "-gpu-" in model.file else ("cpu",))


GPUS = """
schema: gemmafit.gpus/1
because: a test
source: a test
rules:
- {vendor: Mine, pattern: 'Fancy (?P<model>\\d+)', model: 'Fancy {model}', architecture: New}
- {vendor: Mine, pattern: 'Adreno.*740', model: Adreno 740, architecture: Renamed}
"""
SOCS = """
schema: gemmafit.socs/1
because: a test
source: a test
socs:
- {name: Fancy One, manufacturer: Mine, models: [SM8550], cpu: [[4, Cortex-A55, 1800]], gpu: {model: Fancy 9}}
"""


def test_rows_that_names_are_read_with_come_first(tmp_path: Path, knowledge: Knowledge) -> None:
    (tmp_path / "gpus.yaml").write_text(GPUS, encoding="utf-8")
    (tmp_path / "socs.yaml").write_text(SOCS, encoding="utf-8")
    mine, built_in = load(tmp_path).tables, knowledge.tables
    found = identify(mine.gpus, "Fancy 12")
    assert found is not None and (found.vendor, found.model, found.architecture) == (
        "Mine",
        "Fancy 12",
        "New",
    )
    assert identify(built_in.gpus, "Fancy 12") is None
    own, other = identify(mine.gpus, "Adreno (TM) 740"), identify(mine.gpus, "Adreno (TM) 730")
    assert own is not None and own.architecture == "Renamed"
    assert other is not None and other.architecture == "Adreno 7xx"
    assert [row.name for row in mine.socs.find("SM8550").rows] == ["Fancy One"]
    assert [row.name for row in built_in.socs.find("SM8550").rows] == ["Snapdragon 8 Gen 2"]
    assert mine.cores == built_in.cores


def test_overlay_adds_and_replaces_rows(tmp_path: Path, knowledge: Knowledge) -> None:
    (tmp_path / "models.yaml").write_text(
        ROW + ROW.replace("my-model", "gemma3-1b-it-q4-ekv2048"), encoding="utf-8"
    )
    (tmp_path / "thresholds.yaml").write_text("uses: {chat: {decode_tok_s: 3.0}}\n", encoding="utf-8")
    mine = load(tmp_path)
    assert len(mine.models) == len(knowledge.models) + 1
    assert mine.models["gemma3-1b-it-q4-ekv2048"].bytes == 1000
    assert mine.thresholds.uses["chat"].decode_tok_s == 3.0
    assert mine.thresholds.uses["chat"].prompt_tokens == knowledge.thresholds.uses["chat"].prompt_tokens
    assert mine.drivers == knowledge.drivers
    assert knowledge.thresholds.uses["chat"].decode_tok_s == 5.0


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "models",
            ROW.replace("bytes: 1000", "bytes: many"),
            r"models\.yaml:9: bytes: Expected `int.*got `str`",
        ),
        ("models", ROW.replace("context:", "contxt:"), r"models\.yaml:12: .*unknown field `contxt`"),
        (
            "models",
            ROW.replace("  source: a test\n", ""),
            r"models\.yaml:2: .*missing required field `source`",
        ),
        ("models", ROW.replace("ffn: 4", "ffn: 5"), r"models\.yaml:10: bits\.ffn: Invalid enum value 5"),
        (
            "models",
            ROW.replace("[cpu]", "[cpu, tpu]"),
            r"models\.yaml:11: backends\[1\]: Invalid enum value 'tpu'",
        ),
        ("models", ROW.replace("bytes: 1000", "revision: x"), r"models\.yaml:2: exactly one of bytes"),
        ("models", ROW + ROW, r"models\.yaml:16: id 'my-model' is already used at .*models\.yaml:2"),
        ("models", ROW.replace("runtime: litert-lm", "runtime: llama"), "'my-model' names 'llama'"),
        ("models", ROW + "  counterpart: nobody\n", "'my-model' names 'nobody'"),
        ("models", ROW + "  counterpart: gemma-2b-it-gpu-int8\n", "row 'my-model' has the counterpart"),
        ("models", "models: {}\n", r"models\.yaml:1: a list of rows is expected"),
        ("models", "- just text\n", r"models\.yaml:1: Expected `object`"),
        ("models", "- {id: a\n", r"models\.yaml:2: "),
        ("models", "- &a {id: a}\n- *a\n", r"models\.yaml:2: aliases are not allowed"),
        ("models", ROW + "  id: again\n", r"models\.yaml:15: key 'id' is given twice"),
        ("models", "!!python/object/apply:os.system ['true']\n", r"models\.yaml:1: "),
        ("models", "", r"models\.yaml: empty"),
        ("models", "[" * 100_000, r"models\.yaml"),
        ("modles", ROW, r"modles\.yaml: no such table"),
        ("gpus", GPUS.replace("vendor: Mine", "vendr: Mine"), r"gpus\.yaml:6: .*unknown field `vendr`"),
        (
            "gpus",
            GPUS.replace(r"\d+)", r"\d+"),
            r"gpus\.yaml:6: rules\[0\]\.pattern: pattern .* unterminated",
        ),
        ("gpus", GPUS.replace(r"'Adreno.*740'", "740"), r"gpus\.yaml:7: rules\[1\]\.pattern: a pattern was"),
        ("gpus", GPUS.replace("Fancy {model}", "Fancy {modl}"), r"gpus\.yaml:6: .*no group 'modl'"),
        ("gpus", GPUS.replace("because: a test", ""), r"gpus\.yaml:2: .*missing required field `because`"),
        ("socs", SOCS.replace("[4,", "[four,"), r"socs\.yaml:6: socs\[0\]\.cpu\[0\]\[0\]: Expected `int`"),
        ("cores", "schema: gemmafit.socs/1\n", r"cores\.yaml:1: "),
        ("thresholds", "uses: {chat: {decode_tok_s: fast}}\n", r"thresholds\.yaml:1: .*Expected `float"),
        ("thresholds", "speeed: {}\n", r"thresholds\.yaml:1: .*unknown field `speeed`"),
        (
            "drivers",
            "- {id: x, effect: slow, severity: warn, when: {fact: a, is: 1, below: 2},\n"
            "   remedy: r, because: b, source: s}\n",
            r"drivers\.yaml:1: when: a fact has exactly one test",
        ),
    ],
)
def test_a_wrong_folder_is_told_by_file_line_and_key(
    tmp_path: Path, name: str, text: str, expected: str
) -> None:
    (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=expected):
        load(tmp_path)


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load(tmp_path / "nothing")
    (tmp_path / "models.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        load(tmp_path)


def test_counterparts_name_each_other(knowledge: Knowledge) -> None:
    """Every file for one backend that is published for another too, whatever the two are called."""
    pairs = {m.id: m.counterpart for m in knowledge.models.values() if m.counterpart is not None}
    assert pairs and all(pairs[other] == one for one, other in pairs.items())
    same = [
        (one.id, other.id)
        for one in knowledge.models.values()
        for other in knowledge.models.values()
        if one.runtime == other.runtime == "tasks-genai" and one.format == other.format == "bin"
        and (one.architecture, one.bits, one.rank) == (other.architecture, other.bits, other.rank)
        and not set(one.backends) & set(other.backends)
    ]  # fmt: skip
    assert sorted(same) == sorted(pairs.items())
