"""The phones on which the question was first asked: verdict, reasons and fallback, readable by a person.

`pytest tests/replay --update-golden` writes tests/replay/golden anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gemmafit.base.names import CheckStatus
from gemmafit.judge.judge import judge
from gemmafit.judge.references import load
from gemmafit.probes.files import read_capture
from gemmafit.probes.read import read
from gemmafit.profiles.knowledge import Knowledge
from gemmafit.reports.report import Predicted, Range, Recommendation, Report
from gemmafit.reports.report_io import from_dict, to_dict

HERE = Path(__file__).parent
CAPTURES = sorted((HERE / "captures").glob("*.yaml"))

EXPECTED = {
    "galaxy-s10e-adreno-640": ("pass", "gemma-2b-it-gpu-int8"),
    "galaxy-s10e-mali-g76": ("pass", "gemma-2b-it-gpu-int8"),
    "galaxy-s22-ultra-adreno-730": ("pass", "gemma-2b-it-gpu-int8"),
    "galaxy-s22-ultra-xclipse-920": ("pass", "gemma-2b-it-gpu-int8"),
    "galaxy-s24-adreno-750": ("pass", "gemma-2b-it-gpu-int8"),
    "mali-t820-32bit-2gb": ("fail", None),
    "mali-t820-32bit-3gb": ("fail", None),
    "mali-t820-64bit-2gb": ("fail", None),
    "mali-t820-64bit-3gb": ("fail", None),
}
"""Stated here as well, so that regenerating the golden files cannot turn a verdict by accident."""


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_report_is_the_golden_one(path: Path, update_golden: bool) -> None:
    report = _judge(path)
    golden = HERE / "golden" / path.name
    verdict, variant = EXPECTED[path.stem]
    assert report.verdict == verdict
    assert (report.recommendation.variant if report.recommendation else None) == variant

    if update_golden:
        head = f"# Written by --update-golden from captures/{path.name}; judged from facts alone.\n"
        text = yaml.safe_dump(digest(report), sort_keys=False, allow_unicode=True, width=110)
        golden.write_text(head + text, encoding="utf-8")
    wanted = yaml.safe_load(golden.read_text(encoding="utf-8"))
    found = digest(_judge(path, models=spoken_of(wanted)))
    assert found == wanted, "read the difference, then run with --update-golden"


def spoken_of(golden: dict[str, Any]) -> set[str]:
    """The model files of a golden report: a file that was published since may be better, and is not asked."""
    return {line.split(":", 1)[0].split(" ")[1] for line in golden["variants"]}


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_rows_that_are_added_change_no_golden_report(path: Path, overlay: Path) -> None:
    """A model file, a fault, a GPU, a chip and a reason, each a row of a user's folder."""
    known = load(overlay)
    assert known.models.keys() > load().models.keys() and known.drivers.keys() > load().drivers.keys()
    golden = yaml.safe_load((HERE / "golden" / path.name).read_text(encoding="utf-8"))
    assert digest(_judge(path, known, spoken_of(golden))) == golden
    assert "new-gpu" in {v.id for v in _judge(path, known).variants}


ADDED = {
    "models.yaml": """
- id: new-gpu
  file: new-gpu.litertlm
  family: gemma3-1b
  architecture: gemma3-1b
  runtime: litert-lm
  format: litertlm
  repository: mine/new
  bytes: 1000000000
  bits: {attention: 8, ffn: 8, embedding: 8}
  backends: [cpu, opencl]
  context: 1024
  rank: 9
  because: a test
  source: a test
""",
    "drivers.yaml": """
- {id: new-fault, effect: crash, severity: fail, when: {fact: gpu.model, is: Fancy 12}, remedy: r, because: b, source: s}
""",
    "gpus.yaml": """
schema: gemmafit.gpus/1
because: a test
source: a test
rules:
- {vendor: Mine, pattern: 'Fancy (?P<model>\\d+)', model: 'Fancy {model}', architecture: New}
""",
    "chips.yaml": """
- {id: fancy-12, gpu: [Fancy 12], basis: estimated, dram_gb_s: 10, because: b, source: s}
""",
    "reasons.yaml": """
- {id: new.reason, because: a test, source: a test}
""",
}


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    for name, text in ADDED.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("path", CAPTURES[:1], ids=lambda path: path.stem)
def test_judging_is_pure_and_the_report_survives_a_file(path: Path) -> None:
    report = _judge(path)
    assert to_dict(report) == to_dict(_judge(path))
    assert to_dict(from_dict(to_dict(report))) == to_dict(report)


def _judge(path: Path, known: Knowledge | None = None, models: set[str] | None = None) -> Report:
    """With all model files, or only some."""
    known = known or load()
    if models is not None:
        chosen = {id: model for id, model in known.models.items() if id in models}
        known = msgspec.structs.replace(known, models=chosen)
    return judge(read(read_capture(path), known.tables), [], known, created="2026-11-23T10:00:00Z")


def digest(report: Report) -> dict[str, Any]:
    """What a person looks for in a report, one line each where one is enough."""
    best = report.extra["best_of_all"]
    return {
        "verdict": str(report.verdict),
        "summary": report.summary,
        "recommendation": _recommendation(report.recommendation),
        "best_of_all": _recommendation(best),
        "fallback": [f"{step.variant} on {step.backend}" for step in report.fallback],
        "backends": {
            name: " ".join(
                f"{column}={getattr(row, column)}"
                for column in ("visible", "capable", "correct", "deterministic", "speed", "memory")
            )
            + f" ({row.scope})"
            for name, row in report.backends.items()
        },
        "variants": [
            f"{v.status} {v.id} on {v.backend}: {_speeds(v.predicted)} {' '.join(v.reasons)}".rstrip()
            for v in report.variants
        ],
        "reasons": _reasons(report),
    }


def _reasons(report: Report) -> dict[str, Any]:
    """Each code once: its sentence, what to do, and what was found where."""
    out: dict[str, Any] = {}
    for c in report.checks:
        if c.status is CheckStatus.PASS:
            continue
        assert c.reason is not None, c.id
        row = out.setdefault(
            c.reason, {"because": c.because, "remedy": c.remedy, "source": c.source, "found": []}
        )
        row["found"].append(f"{c.status} {c.id}: {c.found}; required: {c.required}")
    return out


def _recommendation(best: Recommendation | None) -> dict[str, Any] | None:
    if best is None:
        return None
    return {
        "file": best.file,
        "revision": best.revision,
        "format": best.format,
        "runtime": best.runtime,
        "backend": best.backend,
        "settings": dict(best.settings),
        "predicted": _speeds(best.predicted),
        "evidence": str(best.evidence),
        "because": best.because,
    }


def _speeds(predicted: Predicted | None) -> str:
    if predicted is None:
        return "nothing predicted"
    parts = (
        ("decode", predicted.decode_tok_s, Range.text),
        ("prefill", predicted.prefill_tok_s, Range.text),
        ("first token, s", predicted.ttft_s, Range.text),
        ("memory", predicted.peak_memory_bytes, Range.size),
    )
    return ", ".join(f"{name} {words(r)}" for name, r, words in parts if r is not None)
