"""Phones of public reports: the chip that each is said to have, and that no verdict stays open for want of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gemmafit.base.names import CheckStatus, Verdict
from gemmafit.base.options import Options
from gemmafit.judge.judge import judge
from gemmafit.judge.references import load
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.read import read

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "identity_cases.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_phone_of_a_report(case: dict[str, Any]) -> None:
    answers = {key: Answer(0, text) for key, text in case["commands"].items()}
    snapshot = read(Capture("assembled", {}, answers))
    soc = snapshot.soc
    assert ([soc.name] if soc.name else list(soc.one_of)) == case["soc"]
    assert (snapshot.gpu.model, snapshot.identity.emulator) == (case["gpu"], False)
    report = judge(snapshot, (), load(), Options(family="any"))
    best = report.recommendation
    assert best is not None and case.get("backend", best.backend) == best.backend
    if case.get("decided"):
        assert report.verdict is not Verdict.INCONCLUSIVE and "not in the tables" not in report.summary
    speed = [v for v in report.variants if v.backend == "cpu" and v.predicted and v.predicted.decode_tok_s]
    assert speed and any(v.status is not CheckStatus.UNKNOWN for v in speed)
    said = {check.reason for check in report.checks} | {r for v in report.variants for r in v.reasons}
    assert "fault" not in case or f"known.{case['fault']}" in said
