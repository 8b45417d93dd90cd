"""Charts as inline SVG. Pure functions: numbers in, markup out; colours come from the page's style sheet.

Every chart carries a title for screen readers and its numbers as text: nothing is said by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

from markupsafe import Markup

from ...base.units import power_of_ten, seconds, significant
from ..figures import Bar, Point, Roof

WIDTH = 640
"""User units; the page scales every chart to its column."""

ROW = 30
LABEL = 230


def bars(title: str, rows: Sequence[Bar], unit: str) -> Markup:
    """Horizontal bars with error whiskers. An empty sequence gives no chart."""
    if not rows:
        return Markup("")
    top = max(max(row.value, row.high or 0.0) for row in rows) or 1.0
    span = WIDTH - LABEL - 120
    svg = _svg(title, len(rows) * ROW + 8)
    for place, row in enumerate(rows):
        y = place * ROW + 4
        length = max(span * row.value / top, 1.0)
        _text(
            svg, LABEL - 10, y + 18, _short(row.label, 28), "end", "label strong" if row.strong else "label"
        )
        _shape(
            svg,
            "rect",
            x=LABEL,
            y=y + 6,
            width=length,
            height=ROW - 14,
            rx=3,
            cls="bar strong" if row.strong else "bar",
        )
        end = length
        if row.low is not None and row.high is not None:
            left, right = (LABEL + span * min(v, top) / top for v in (row.low, row.high))
            middle = y + ROW / 2 - 1
            _shape(
                svg,
                "path",
                d=f"M{left:.1f} {middle}H{right:.1f}M{left:.1f} {middle - 4}v8M{right:.1f} {middle - 4}v8",
                cls="whisker",
            )
            end = max(end, right - LABEL)
        number = f"{significant(row.value)} {unit}" + (f" {row.note}" if row.note else "")
        _text(svg, LABEL + end + 8, y + 18, number, "start", "value")
    return _markup(svg)


def roofline(title: str, roofs: Sequence[Roof], points: Sequence[Point]) -> Markup:
    """Kernels under the machine's roof, both axes logarithmic. Empty without a roof or without points."""
    points = [p for p in points if p.intensity > 0 and p.gflop_per_s > 0]
    if not roofs or not points:
        return Markup("")
    height, left, bottom = 330, 64, 286
    ends = [p.intensity for p in points] + [
        r.peak_gflop_per_s / r.gb_per_s for r in roofs if r.peak_gflop_per_s
    ]
    x_low, x_high = _decades(min(ends) / 2, max(ends) * 4)
    tops = [r.peak_gflop_per_s or r.gb_per_s * x_high for r in roofs]
    y_low, y_high = _decades(min(p.gflop_per_s for p in points) / 2, max(tops) * 1.5)

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - math.log10(x_low)) / (math.log10(x_high) - math.log10(x_low))
        up = (math.log10(y) - math.log10(y_low)) / (math.log10(y_high) - math.log10(y_low))
        return left + across * (WIDTH - left - 24), bottom - min(max(up, 0.0), 1.0) * (bottom - 12)

    svg = _svg(title, height)
    for exponent in range(round(math.log10(x_low)), round(math.log10(x_high)) + 1):
        x, _ = at(10.0**exponent, y_low)
        _shape(svg, "path", d=f"M{x:.1f} 12V{bottom}", cls="grid")
        _text(svg, x, bottom + 18, power_of_ten(exponent), "middle", "tick")
    for exponent in range(round(math.log10(y_low)), round(math.log10(y_high)) + 1):
        _, y = at(x_low, 10.0**exponent)
        _shape(svg, "path", d=f"M{left} {y:.1f}H{WIDTH - 24}", cls="grid")
        _text(svg, left - 8, y + 4, power_of_ten(exponent), "end", "tick")
    _text(svg, (left + WIDTH) / 2, height - 8, "FLOP per byte", "middle", "tick")
    _text(svg, left + 8, 22, "GFLOP/s", "start", "tick")
    for roof in roofs:
        knee = (roof.peak_gflop_per_s or math.inf) / roof.gb_per_s
        corner = min(knee, x_high)
        path = [at(x_low, roof.gb_per_s * x_low), at(corner, roof.gb_per_s * corner)]
        if roof.peak_gflop_per_s and knee < x_high:
            path.append(at(x_high, roof.peak_gflop_per_s))
        _shape(svg, "path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in path), cls="roof")
        x, y = path[-1]
        peak = f", {significant(roof.peak_gflop_per_s)} GFLOP/s" if roof.peak_gflop_per_s else ""
        _text(svg, x - 4, y - 6, f"{roof.label}: {significant(roof.gb_per_s)} GB/s{peak}", "end", "tick")
    for number, point in enumerate(points, 1):
        x, y = at(point.intensity, point.gflop_per_s)
        dot = _shape(svg, "circle", cx=round(x, 1), cy=round(y, 1), r=5, cls="dot")
        ET.SubElement(dot, "title").text = f"{point.label}: {significant(point.gflop_per_s)} GFLOP/s"
        _text(svg, x + 8, y + 4, str(number), "start", "value")
    return _markup(svg)


def curve(title: str, samples: Sequence[tuple[float, float]], unit: str) -> Markup:
    """A quantity over seconds, e.g. tokens/s while the phone gets warm. Needs two samples."""
    if len(samples) < 2:
        return Markup("")
    height, left, bottom = 220, 56, 184
    t_high = max(t for t, _ in samples) or 1.0
    v_high = max(v for _, v in samples) * 1.1 or 1.0
    svg = _svg(title, height)
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - 14)
        _shape(svg, "path", d=f"M{left} {y:.1f}H{WIDTH - 24}", cls="grid")
        _text(svg, left - 8, y + 4, significant(v_high * share), "end", "tick")
        x = left + share * (WIDTH - left - 16)
        _text(svg, x, bottom + 18, seconds(t_high * share), "middle", "tick")
    path = (
        f"{left + t / t_high * (WIDTH - left - 16):.1f} {bottom - v / v_high * (bottom - 14):.1f}"
        for t, v in samples
    )
    _shape(svg, "path", d="M" + "L".join(path), cls="line")
    _text(svg, left, 10, unit, "start", "tick")
    return _markup(svg)


def grid(title: str, cells: Iterable[tuple[str, str, str]]) -> Markup:
    """A wall of phones: (name, status class, word), six in a row."""
    listed = list(cells)
    if not listed:
        return Markup("")
    columns, size = 5, (WIDTH - 4 * 8 - 2) / 5
    svg = _svg(title, math.ceil(len(listed) / columns) * 56)
    for place, (name, status, word) in enumerate(listed):
        x, y = place % columns * (size + 8) + 1, place // columns * 56 + 1
        _shape(svg, "rect", x=round(x, 1), y=y, width=round(size, 1), height=48, rx=6, cls=f"cell {status}")
        _text(svg, x + 10, y + 20, _short(name, 14), "start", "label")
        _text(svg, x + 10, y + 37, word, "start", "tick")
    return _markup(svg)


def _decades(low: float, high: float) -> tuple[float, float]:
    return 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high))


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _svg(title: str, height: float) -> ET.Element:
    svg = ET.Element("svg", {"viewBox": f"0 0 {WIDTH} {round(height)}", "role": "img", "class": "chart"})
    ET.SubElement(svg, "title").text = title
    return svg


def _shape(svg: ET.Element, tag: str, cls: str, **attributes: object) -> ET.Element:
    values = {key: str(round(v, 1) if isinstance(v, float) else v) for key, v in attributes.items()}
    return ET.SubElement(svg, tag, {"class": cls, **values})


def _text(svg: ET.Element, x: float, y: float, text: str, anchor: str, cls: str) -> None:
    where = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, "class": cls}
    ET.SubElement(svg, "text", where).text = text


def _markup(svg: ET.Element) -> Markup:
    return Markup(ET.tostring(svg, encoding="unicode"))
