"""The page of a benchmark: its figures, escaped, self-contained, and as wide as its window in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from gemmafit.base.errors import TransportError
from gemmafit.base.names import Backend, Status
from gemmafit.benchmarks.measurements import Deviation, Measurement
from gemmafit.benchmarks.sweeps.bench import Bench
from gemmafit.cli import plot
from gemmafit.judge.device import describe
from gemmafit.probes.snapshot import Conditions, Snapshot, Soc
from gemmafit.reports import figures
from gemmafit.reports.figures import Bar, Point, Roof
from gemmafit.reports.pages.bench import bench_page

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
RIGHT = Deviation(0.1, 0.01, 0.99, "out", 0.02)
DECODE = Measurement(
    Backend.CPU, "int8", "decode", "fused", Status.OK, samples_s=(0.010, 0.011, 0.009), bytes=2 * 10**8,
    flops=4 * 10**8, tokens=1, context=129, deviation=RIGHT,
)  # fmt: skip
PREFILL = replace(DECODE, phase="prefill", tokens=32, flops=10**10, samples_s=(0.1, 0.1))


def limit(name: str, value: float, unit: str, **changes: object) -> Measurement:
    made = Measurement(Backend.CPU, "", "limit", name, Status.OK, samples_s=(0.1,), value=value, unit=unit)
    return replace(made, **changes)  # type: ignore[arg-type]


def swept(sweep: str, at: int, row: Measurement, **changes: object) -> Measurement:
    return replace(row, details={"sweep": sweep, "at": at}, **changes)  # type: ignore[arg-type]


ROWS = [
    DECODE,
    PREFILL,
    replace(DECODE, variant=HOSTILE),
    replace(DECODE, backend=Backend.OPENCL, valid=False, reason="throttled"),
    replace(DECODE, backend=Backend.VULKAN, status=Status.ERROR, reason=HOSTILE, samples_s=()),
    limit("read", 28.0, "GB/s"),
    limit("storage_warm", 90.0, "GB/s", executor="dd"),
    limit("peak_fp32", 200.0, "GFLOP/s"),
    limit("dispatch", 5000.0, "us"),
    *(swept("chunk", n, PREFILL, tokens=n) for n in (8, 16, 32)),
    *(swept("context", n, DECODE, context=n) for n in (128, 4096)),
    *(swept("threads", n, DECODE) for n in (1, 2)),
    replace(DECODE, details={"sustained": [[float(t), 20.0 - t] for t in range(10)], "busy": 0.9}),
]
HEADER = {
    "tool": {"name": "gemmafit", "version": "0"}, "created": "2026-11-23T10:00:00Z",
    "target": {"kind": "adb", "serial": HOSTILE}, "device": describe(Snapshot("adb", soc=Soc(name=HOSTILE))),
}  # fmt: skip


@pytest.fixture(scope="module")
def page() -> str:
    before = Conditions(battery_percent=4, charging=True, cpu_max_mhz={0: 1800}, governor=HOSTILE)
    after = Conditions(battery_percent=4, charging=True, cpu_max_mhz={0: 900})
    broken = TransportError(HOSTILE, serial="x")
    return bench_page(Bench(before, after, list(ROWS), broken), HEADER)


def test_page_has_every_figure(page: str) -> None:
    for title in ("Decode", "Prefill", "Roofline", "Prefill chunk", "Tokens in the cache", "Threads"):
        assert f"<h2>{title}</h2>" in page, title
    assert "Under sustained load: cpu int8 decode" in page and page.count("<svg") == 7
    assert "void: throttled" in page and "1800 MHz" in page and "The battery is at 4 %" in page
    assert "The run broke" in page and "sustained decode loses" in page


def test_a_recording_with_a_clock_that_stood_still_has_a_page() -> None:
    still = [replace(row, samples_s=(0.0, 0.0)) for row in ROWS]
    made = bench_page(Bench(rows=still), HEADER)
    assert "<h2>Decode</h2>" not in made and "<h2>Rows</h2>" in made


def test_page_fetches_and_runs_nothing(page: str) -> None:
    assert "<script>alert" not in page and "<img" not in page and "<link" not in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(svg)


def test_page_in_a_browser(page: str, in_a_browser: Callable[[str], list[tuple[int, int]]]) -> None:
    for overflow, charts in in_a_browser(page):
        assert overflow <= 0 and charts == page.count("<svg")


def test_roofs_are_of_memory_and_arithmetic_only() -> None:
    """Neither storage (GB/s too) nor a latency (microseconds) is a roof."""
    assert figures.roofs(ROWS) == [Roof("cpu", 28.0, 200.0)]
    assert figures.roofs(ROWS[:5]) == []


def test_only_sound_rows_are_drawn() -> None:
    labels = [bar.label for bar in figures.bandwidths(ROWS)]
    assert len(labels) == 3 and not any("opencl" in x or "vulkan" in x for x in labels)
    bar = figures.bandwidths([DECODE])[0]
    assert (bar.low, bar.value, bar.high) == pytest.approx((18.18, 20.0, 22.22), rel=1e-3)
    assert [round(p.intensity) for p in figures.points(ROWS)] == [2, 50]


def test_roofline_in_characters() -> None:
    roofs = [Roof("cpu", 20.0, 500.0), Roof("gpu", 50.0, None)]
    points = [Point("decode", 2.0, 35.0), Point("same place", 2.0, 35.0), Point("prefill", 256.0, 400.0)]
    lines = plot.roofline(roofs, points, width=80)
    plotted = [line for line in lines if "│" in line]
    assert all(len(line) <= 80 for line in lines)
    where = {m: next((y, line.index(m, 9)) for y, line in enumerate(plotted) if m in line[9:]) for m in "123"}
    assert where["1"][0] == where["2"][0] and where["2"][1] == where["1"][1] + 1
    assert where["3"][0] < where["1"][0] and where["3"][1] > where["2"][1]
    assert "  3 prefill: 400 GFLOP/s" in lines and "  roof gpu: 50 GB/s read at most" in lines
    assert plot.roofline([], points) == [] and plot.roofline(roofs, []) == []


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_roofline_of_any_size_stays_inside(scale: float) -> None:
    lines = plot.roofline([Roof("r", scale, 10 * scale)], [Point("p", 10.0, 10 * scale)], width=60)
    assert lines and max(map(len, lines)) <= 60


def test_bars_in_characters_are_as_long_as_their_values() -> None:
    lines = plot.bars([Bar("a", 100.0), Bar("b", 50.0), Bar("long" * 20, 0.0)], "GB/s", width=80)
    assert max(map(len, lines)) <= 80
    full, half, none = (line.count("█") for line in lines)
    assert abs(full - 2 * half) <= 1 and none == 0 and lines[0].endswith("100 GB/s")
    assert plot.bars([], "GB/s") == []
