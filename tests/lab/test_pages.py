"""Every page: self-contained, escaped, and in a real browser as wide as its window on a phone and on a desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from gemmafit.base.names import Backend, Status, Verdict
from gemmafit.benchmarks.measurements import Measurement
from gemmafit.lab import matrix
from gemmafit.lab.collection import ReportSource
from gemmafit.lab.compare import compare_all
from gemmafit.lab.job import JobEnd, JobRow
from gemmafit.lab.pages import comparison_page, lab_page, matrix_page
from gemmafit.reports.figures import Bar, Point, Roof
from gemmafit.reports.pages import charts
from gemmafit.reports.pages.render import report_page
from gemmafit.reports.report import Report

Phone = Callable[..., Report]
Sources = Callable[..., list[ReportSource]]

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture(scope="session")
def pages(golden: list[ReportSource], phone_report: Phone, sources: Sources) -> dict[str, str]:
    """A page of every kind, with hostile names in it."""
    rows = [
        Measurement(b, "int8", p, HOSTILE, Status.OK, bytes=10**8, flops=f, samples_s=(t, t * 1.1))
        for b, p, t, f in (
            (Backend.CPU, "decode", 0.005, 2 * 10**8), (Backend.OPENCL, "prefill", 0.1, 3 * 10**10)
        )
    ] + [
        Measurement(Backend.CPU, "", "limit", name, Status.OK, samples_s=(0.1,), value=value, unit=unit)
        for name, value, unit in (("read", 28.0, "GB/s"), ("peak_fp32", 400.0, "GFLOP/s"))
    ]  # fmt: skip
    full = replace(golden[2].report, measurements=tuple(rows), summary=HOSTILE)
    slow = phone_report("a", samples=(2.0, 2.0))
    comparison = compare_all(sources(phone_report("a"), phone_report("b")), sources(slow, phone_report("b")))
    built = matrix.build(golden, {"GPU generation": ["Arm Valhall"]}, [])
    run = [
        JobRow("x-1", HOSTILE, None, "g", JobEnd.FAILED, error=HOSTILE),
        JobRow("x-2", "b", None, "g", JobEnd.DONE, Verdict.PASS, "x-2/report.yaml"),
    ]
    return {
        "report": report_page(full),
        "prediction": report_page(golden[-1].report),
        "comparison": comparison_page(comparison, "a", HOSTILE, 0.1),
        "matrix": matrix_page(built),
        "lab": lab_page(run, "run"),
    }


class _Tags(HTMLParser):
    """Which elements and attributes a page really has, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


KINDS = ["report", "prediction", "comparison", "matrix", "lab"]


@pytest.mark.parametrize("kind", KINDS)
def test_pages_fetch_nothing_and_run_nothing(pages: dict[str, str], kind: str) -> None:
    page = pages[kind]
    seen = _Tags()
    seen.feed(page)
    assert not seen.tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    assert not any(name.startswith("on") or name in ("src", "style") for name in seen.attributes)
    assert "url(" not in page and "@import" not in page
    assert "prefers-color-scheme: dark" in page and "@media print" in page


@pytest.mark.parametrize("kind", KINDS)
def test_pages_in_a_browser(
    pages: dict[str, str], kind: str, in_a_browser: Callable[[str], list[tuple[int, int]]]
) -> None:
    """Nothing sticks out of the window, and every chart has a height."""
    for overflow, drawn in in_a_browser(pages[kind]):
        assert overflow <= 0 and drawn == pages[kind].count("<svg")


def test_charts_say_their_numbers_in_words() -> None:
    svg = ET.fromstring(charts.bars("Speed", [Bar("a & <b>", 1234.5, 1000.0, 1500.0, strong=True)], "tok/s"))
    words = " ".join(svg.itertext())
    assert "a & <b>" in words and "1230 tok/s" in words and "Speed" in words


def test_charts_without_data_are_left_out() -> None:
    assert charts.bars("x", [], "y") == ""
    assert charts.roofline("x", [], [Point("p", 1.0, 1.0)]) == ""
    assert charts.roofline("x", [Roof("r", 10.0, None)], [Point("p", 0.0, 1.0)]) == ""
    assert charts.curve("x", [(0.0, 1.0)], "y") == ""


def test_roofline_points_stay_inside_the_frame() -> None:
    roofs = [Roof("cpu", 20.0, 500.0), Roof("gpu", 50.0, None)]
    points = [Point("decode", 2.0, 35.0), Point("prefill", 256.0, 400.0)]
    svg = ET.fromstring(charts.roofline("r", roofs, points))
    for dot in svg.iter("circle"):
        assert 0 < float(dot.get("cx", "nan")) < charts.WIDTH
        assert 0 < float(dot.get("cy", "nan")) < 330
