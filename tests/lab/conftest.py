"""Golden reports, and reports of named devices, for what is done with many of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gemmafit.base.names import Backend, Evidence, Status, Verdict
from gemmafit.base.options import Request
from gemmafit.benchmarks.measurements import Deviation, Measurement
from gemmafit.judge.device import describe
from gemmafit.lab.collection import ReportSource
from gemmafit.pipeline import examine
from gemmafit.probes.replay import ReplayTarget
from gemmafit.probes.snapshot import Android, Cluster, Cpu, Gpu, Identity, Memory, Snapshot, Soc
from gemmafit.reports.report import FallbackStep, Predicted, Range, Recommendation, Report

CAPTURES = Path(__file__).parents[1] / "replay" / "captures"

Phone = Callable[..., Report]


@pytest.fixture(scope="session")
def golden() -> list[ReportSource]:
    """The reports of the phones the question was first asked on, judged from their captures."""
    request = Request(run=False)
    return [
        ReportSource(path.name, examine(ReplayTarget(path), request).report)
        for path in sorted(CAPTURES.glob("*.yaml"))
    ]


@pytest.fixture(scope="session")
def phone_report() -> Phone:
    """A report of a named device; keyword arguments change what matters to the lab. What it says of the device and
    of what ran there has the product's own keys."""

    def make(
        device: str = "a", driver: str = "512.1", gpu: str = "Adreno 730", soc: str = "SM8450",
        ram: int = 8 << 30, verdict: Verdict = Verdict.DEGRADED, brand: str | None = "brand",
        created: str = "2026-11-01T00:00:00Z", serial: str | None = None,
        samples: tuple[float, ...] = (1.0, 1.01, 0.99), status: str = "ok",
        variant: str = "gemma3-1b-it-int4.litertlm", backend: str = "opencl",
        fallback: tuple[tuple[str, str], ...] = (("gemma3-1b-it-int4.litertlm", "cpu"),),
    ) -> Report:  # fmt: skip
        row = Measurement(
            Backend.CPU, "int8", "decode", "dotprod", Status(status), samples_s=samples, deterministic=True,
            deviation=Deviation(0.1, 0.01, 0.9999, "ffn", 0.02),
        )  # fmt: skip
        snapshot = Snapshot(
            kind="adb",
            identity=Identity("Maker", brand, f"Phone {device}", device),
            soc=Soc("Qualcomm", soc, "a chip", "QTI", soc),
            android=Android("14", 34),
            memory=Memory(ram),
            gpu=Gpu("Qualcomm", gpu, "Adreno 7xx", driver=driver),
            cpu=Cpu((Cluster("Cortex-A510", 4), Cluster("Cortex-A710", 4))),
        )
        best = Recommendation(
            variant, f"{variant}.file", "abc123", "litert-lm", "litertlm", backend, {"max_tokens": 1024},
            Predicted(decode_tok_s=Range(20.0, 15.0, 30.0)), Evidence.PROBED, "fastest that fits",
        )  # fmt: skip
        return Report(
            tool={"name": "gemmafit", "version": "0.1.0"},
            created=created,
            target={"kind": "adb", "serial": serial or device},
            device=describe(snapshot),
            verdict=verdict,
            summary="",
            recommendation=None if verdict is Verdict.FAIL else best,
            fallback=tuple(FallbackStep(*step) for step in fallback),
            variants=(),
            backends={},
            checks=(),
            measurements=(row,),
            conditions={},
            capture={},
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def sources() -> Callable[..., list[ReportSource]]:
    """Reports with file names."""
    return lambda *reports: [ReportSource(f"r{number}.yaml", report) for number, report in enumerate(reports)]
