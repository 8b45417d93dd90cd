"""A report as a program would build it, with hostile device strings."""

from __future__ import annotations

import pytest

from gemmafit.base.names import Backend, CheckStatus, Evidence, Status, Verdict
from gemmafit.benchmarks.measurements import Measurement
from gemmafit.judge.device import describe
from gemmafit.probes.snapshot import Identity, Memory, Snapshot
from gemmafit.reports.report import (
    BackendResult,
    Check,
    FallbackStep,
    Predicted,
    Range,
    Recommendation,
    Report,
    VariantResult,
)

HOSTILE = "Evil\x1b[31m|<script>*x*\x00\u202e"
"""Escape sequence, table and HTML markup, NUL and a bidi override."""


@pytest.fixture
def report() -> Report:
    predicted = Predicted(
        prefill_tok_s=Range(812.345, 600.0, 1000.0), peak_memory_bytes=Range(3.1e9, 2.9e9, 3.3e9)
    )
    ok = CheckStatus.PASS
    return Report(
        tool={"name": "gemmafit", "version": "0.1.0"},
        created="2026-11-23T10:00:00Z",
        target={"kind": "adb", "serial": HOSTILE},
        device=describe(Snapshot("adb", identity=Identity("Maker", model=HOSTILE), memory=Memory(1 << 63))),
        verdict=Verdict.DEGRADED,
        summary=f"Works on the CPU only: {HOSTILE}",
        recommendation=Recommendation(
            "gemma-2b-it-cpu-int4", "gemma-2b-it-cpu-int4.bin", None, "mediapipe", "bin", "cpu",
            {"max_tokens": 1024}, predicted, Evidence.PROBED, "the GPU's driver is missing",
        ),
        fallback=(FallbackStep("gemma3-1b-it-int4", "cpu"),),
        variants=(
            VariantResult("a", "a.bin", "mediapipe", "gpu", CheckStatus.FAIL, Evidence.PROBED, "shell",
                          ("opencl.visible",), None),
            VariantResult("b", "b.bin", "mediapipe", "cpu", CheckStatus.UNKNOWN, Evidence.PREDICTED, "shell",
                          ("cpu.speed",), predicted),
            VariantResult("c", "c.bin", "mediapipe", "cpu", CheckStatus.ERROR, Evidence.PREDICTED, "shell"),
        ),
        backends={"cpu": BackendResult(ok, "shell", ok, ok, ok, ok, CheckStatus.WARN, ok)},
        checks=(
            Check("opencl.visible", CheckStatus.FAIL, "shell", Evidence.PROBED, "", "libOpenCL.so", HOSTILE,
                  reason="opencl.visible"),
        ),
        measurements=(
            Measurement(Backend.CPU, "int8", "decode", "fused", Status.OK, samples_s=(0.00123456789, 0.2)),
        ),
        conditions={},
        capture={"sha256": "0" * 64},
        extra={"incomplete": "the cable was pulled"},
    )  # fmt: skip
