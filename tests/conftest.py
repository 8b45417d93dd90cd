"""Options of the whole test suite."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

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

DOCS = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists()) / "docs"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew instead of comparing with them; read the diff before committing it",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_the_users() -> Iterator[None]:
    """What tests remember about devices is theirs alone."""
    with tempfile.TemporaryDirectory(prefix="gemmafit-tests-") as folder:
        os.environ["GEMMAFIT_CACHE"] = folder
        yield
        del os.environ["GEMMAFIT_CACHE"]


@pytest.fixture(scope="session")
def documented() -> Callable[[str, str], str]:
    """Called with a page and a test: the Python block of a page under docs/ that says that this test runs it."""

    def find(page: str, test: str) -> str:
        block = re.escape(f"<!-- run: {test} -->") + r"\n```python\n(.*?)```"
        (code,) = re.findall(block, (DOCS / page).read_text("utf-8"), re.DOTALL)
        return str(code)

    return find


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
