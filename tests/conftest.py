"""Options of the whole test suite."""

from __future__ import annotations

import gc
import html
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from typer.main import get_command

import gemmafit.cli.main  # noqa: F401  (registers the commands, which CliRunner runs)
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


# How long an example takes depends on what else runs here, and says nothing.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew instead of comparing with them; read the diff before committing it",
    )


def pytest_configure() -> None:
    """What tests start compiles no module that an earlier one has compiled, whatever the environment says."""
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ["PYTHONPYCACHEPREFIX"] = str(DOCS.parent / ".cache" / "bytecode")


def pytest_collection_finish() -> None:
    """Two thousand tests are no garbage, and need not be looked through for it while they run."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session", autouse=True)
def _folders_of_its_own() -> Iterator[None]:
    """What tests remember about devices, and what is left behind, is theirs alone: others run beside them."""
    with (
        tempfile.TemporaryDirectory(prefix="gemmafit-tests-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(tempfile, "tempdir", folder)
        patch.setenv("TMPDIR", folder)
        patch.setenv("GEMMAFIT_CACHE", f"{folder}/cache")
        yield


@pytest.fixture(scope="session", autouse=True)
def _commands_are_built_once() -> Iterator[None]:
    """`CliRunner.invoke` makes all commands of the application anew for each line that it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(get_command))
        yield


@pytest.fixture(scope="session")
def documented() -> Callable[[str, str], str]:
    """Called with a page and a test: the Python block of a page under docs/ that says that this test runs it."""

    def find(page: str, test: str) -> str:
        block = re.escape(f"<!-- run: {test} -->") + r"\n```python\n(.*?)```"
        (code,) = re.findall(block, (DOCS / page).read_text("utf-8"), re.DOTALL)
        return str(code)

    return find


WIDTHS = (390, 1280)
"""Of a window on a phone and on a desk, in pixels."""

_MEASURE = """<script>addEventListener('load', () => {
const root = document.documentElement;
const charts = [...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().height > 20).length;
parent.document.documentElement.dataset[name] = `${root.scrollWidth - innerWidth} ${charts} ${innerWidth}`;
})</script></body>"""


@pytest.fixture(scope="session")
def in_a_browser(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[tuple[int, int]]]:
    """Called with a page: by how much it is wider than each of `WIDTHS`, and how many charts have a height there.

    A real browser, started once for all widths: the page stands in a frame of each.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium")
    folder = tmp_path_factory.mktemp("browser")

    def measure(page: str) -> list[tuple[int, int]]:
        inner = html.escape(page.replace("</body>", _MEASURE))
        frames = "".join(
            f'<iframe name="w{width}" width="{width}" height="1600" frameborder="0" srcdoc="{inner}"></iframe>'
            for width in WIDTHS
        )
        (folder / "frames.html").write_text(f"<!doctype html><meta charset=utf-8>{frames}", "utf-8")
        line = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}", "--window-size=1800,1700",
            "--dump-dom", (folder / "frames.html").as_uri(),
        ]  # fmt: skip
        dom = subprocess.run(line, capture_output=True, text=True, timeout=120)
        found = dict(re.findall(r'data-(w\d+)="(-?\d+ \d+ \d+)"', dom.stdout))
        assert len(found) == len(WIDTHS), dom.stderr[-500:]
        said = [tuple(map(int, found[f"w{width}"].split())) for width in WIDTHS]
        assert [width for _, _, width in said] == list(WIDTHS)
        return [(over, charts) for over, charts, _ in said]

    return measure


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
