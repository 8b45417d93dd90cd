"""Whoever shows or uses a measured number takes the same row for it: the fastest that is sound."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from gemmafit.base.names import Backend, ReportFormat, Status
from gemmafit.base.options import Request
from gemmafit.benchmarks import layouts
from gemmafit.benchmarks.backends import Candidate
from gemmafit.benchmarks.measurements import Deviation, Measurement
from gemmafit.benchmarks.run import fastest
from gemmafit.benchmarks.sweeps.bench import Bench
from gemmafit.cli.bench_screen import summary
from gemmafit.cli.render import render
from gemmafit.lab.compare import compare
from gemmafit.pipeline import examine
from gemmafit.probes.files import dump_capture, read_capture
from gemmafit.probes.replay import ReplayTarget
from gemmafit.reports import figures
from gemmafit.reports.pages.bench import bench_page
from gemmafit.reports.pages.render import report_page
from gemmafit.reports.report import Report
from gemmafit.reports.report_io import from_dict, to_dict
from gemmafit.reports.writers import writer

CAPTURES = Path(__file__).parents[1] / "replay" / "captures"
BACKENDS = (Backend.CPU, Backend.OPENCL)
SHOWN = {"decode": "12.3 GB/s", "prefill": "432 GFLOP/s"}
"""Of the sound rows; the median of their two repeats is neither of them."""
NOT_SHOWN = re.compile(r"\b(81|71)\.\d (GB|GFLOP)/s|\b(28|25)\d\d GFLOP/s|\b12\.[24] GB/s")
"""Of the void and the wrong rows, and what one of the two repeats alone would be."""
RIGHT = Deviation(0.01, 0.012, 1.0, "out", 0.02)
WRONG = Deviation(9.0, 0.5, 0.4, "geglu", 0.02)


def rows_of(backend: Backend) -> tuple[Measurement, ...]:
    """Of each phase a void row that was 6 times as fast as the sound one, a wrong one nearly so, the sound."""
    found: list[Measurement] = []
    for phase, tokens, flops in (("decode", 1, 200 * 10**6), ("prefill", 32, 3_500 * 10**6)):
        sound = Measurement(
            backend, "int8", phase, "sound", Status.OK, samples_s=(0.0080, 0.0082), bytes=10**8, flops=flops,
            tokens=tokens, context=128, deviation=RIGHT, deterministic=True,
            details={"engine_layout": backend is not Backend.CPU},
        )  # fmt: skip
        found += [
            replace(sound, variant="void", samples_s=(0.00123, 0.00123), valid=False, reason="throttled"),
            replace(sound, variant="wrong", samples_s=(0.0014, 0.0014), deviation=WRONG),
            sound,
        ]
    return tuple(found)


ROWS = tuple(row for backend in BACKENDS for row in rows_of(backend))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[Measurement, ...]], Report]:
    """A recorded phone on which these rows were measured: the capture as a file, the report as `check` makes
    it, written and read back."""
    capture = read_capture(CAPTURES / "galaxy-s10e-mali-g76.yaml")

    def make(rows: tuple[Measurement, ...]) -> Report:
        path = tmp_path_factory.mktemp("captures") / "phone.yaml"
        agent = {"measurements": [row.to_dict() for row in rows]}
        path.write_text(dump_capture(replace(capture, agent=agent)), encoding="utf-8")
        return from_dict(to_dict(examine(ReplayTarget(path), Request()).report))

    return make


@pytest.fixture(scope="module")
def report(reported: Callable[[tuple[Measurement, ...]], Report]) -> Report:
    return reported(ROWS)


def screen(report: Report) -> str:
    out = StringIO()
    render(report, Console(file=out, width=200, highlight=False), verbose=True)
    return out.getvalue()


def bench_screen(rows: tuple[Measurement, ...]) -> str:
    out = StringIO()
    summary(Bench(rows=list(rows)), Console(file=out, width=200, highlight=False))
    return out.getvalue()


def drawn(page: str) -> str:
    """What the charts of a page say, with the words in its first table."""
    return "\n".join(
        re.findall(r"<svg.*?</svg>|<table>.*?</table>", page.split("<h2>Rows</h2>")[0], re.DOTALL)
    )


def test_every_consumer_shows_the_sound_row_and_one_figure_for_it(report: Report) -> None:
    shown = {
        "screen": screen(report),
        "page": drawn(report_page(report)),
        "markdown": writer(ReportFormat.MARKDOWN)(report),
        "bench screen": bench_screen(report.measurements),
        "bench page": drawn(bench_page(Bench(rows=list(report.measurements)), {
            "tool": report.tool, "created": "", "target": report.target, "device": report.device,
        })),
    }  # fmt: skip
    for where, text in shown.items():
        assert SHOWN["decode"] in text, where
        assert not NOT_SHOWN.search(text), (where, NOT_SHOWN.search(text))
    for where in ("screen", "page", "markdown"):
        for backend in BACKENDS:
            words = figures.measured(report.measurements, backend)
            assert words == "int8 12.3 GB/s, err 1.2 %" and words in shown[where], where
    for where in ("page", "bench screen", "bench page"):
        assert SHOWN["prefill"] in shown[where], where


def test_no_format_shows_what_does_not_count(report: Report) -> None:
    for format in (ReportFormat.JUNIT, ReportFormat.GITHUB, ReportFormat.MARKDOWN):
        assert not NOT_SHOWN.search(writer(format)(report)), format


def test_the_judge_uses_the_sound_rows_alone(
    report: Report, reported: Callable[[tuple[Measurement, ...]], Report]
) -> None:
    """Speeds, layouts and settings are those without the other rows. Void ones change nothing of the advice;
    that a kernel was wrong here does, and both are said."""
    alone = reported(tuple(row for row in ROWS if row.sound))
    assert any(v.predicted and v.predicted.basis == "measured" for v in alone.variants)
    assert [(v.key, v.predicted) for v in report.variants] == [(v.key, v.predicted) for v in alone.variants]
    assert report.layouts == alone.layouts
    assert report.recommendation is not None and alone.recommendation is not None
    assert report.recommendation.settings == alone.recommendation.settings
    with_void = reported(tuple(row for row in ROWS if row.right))
    assert with_void.recommendation == alone.recommendation
    reasons = {check.reason for check in report.checks}
    assert {"numbers.some-kernels-wrong", "conditions.throttled"} <= reasons


def test_who_ranks_rows_takes_the_sound_one(report: Report) -> None:
    for backend in BACKENDS:
        (pair,) = layouts.layouts(report.measurements, backend, "decode")
        assert pair.best.variant == "sound"
        tried = {
            Candidate(row.variant, "fp16", engine=False, fused=True): row
            for row in report.measurements
            if row.backend is backend and row.phase == "decode"
        }
        chosen = fastest(tried)
        assert chosen is not None and chosen.name == "sound"


def test_a_comparison_is_of_sound_rows(report: Report) -> None:
    """Other speeds of rows that do not count are no change; of one that counts, they are, with its median."""

    def slower(variant: str) -> Report:
        rows = tuple(
            replace(row, samples_s=tuple(10 * s for s in row.samples_s)) if row.variant == variant else row
            for row in report.measurements
        )
        return replace(report, measurements=rows)

    assert compare(report, slower("void")) == compare(report, slower("wrong")) == ()
    changed = compare(report, slower("sound"))
    assert len(changed) == 4 and {(c.before, c.after) for c in changed} == {("8.1 ms", "81 ms")}


def test_where_no_row_counts_it_says_why() -> None:
    void, wrong, _ = rows_of(Backend.CPU)[:3]
    assert figures.measured([void, wrong], "cpu") == "void"
    assert figures.measured([wrong], "cpu") == "wrong"
    assert figures.measured([replace(void, status=Status.ERROR)], "cpu") == figures.measured([], "cpu") == ""
    assert figures.best([void, wrong], "cpu") is None and figures.own([void, wrong]) == []


def test_a_void_limit_is_no_roof() -> None:
    limit = Measurement(
        Backend.CPU, "", "limit", "read", Status.OK, samples_s=(0.1,), value=30.0, unit="GB/s"
    )
    assert figures.roofs([limit]) == [figures.Roof("cpu", 30.0, None)]
    assert figures.roofs([replace(limit, valid=False)]) == []
