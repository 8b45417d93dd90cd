"""Plots in characters. Pure functions: numbers in, lines out; none is wider than it was told."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..base.units import power_of_ten, significant
from ..reports.figures import Bar, Point, Roof

_EIGHTHS = " ▏▎▍▌▋▊▉"
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character: four rows of two."""
_MARGIN = 9
"""Columns left of the plot, for its numbers."""
MARKS = "123456789abcdefghijklmnopqrstuvwxyz"


def bars(rows: Sequence[Bar], unit: str, width: int = 80) -> list[str]:
    """A line a row: label, bar, number."""
    if not rows:
        return []
    label = min(34, max(len(row.label) for row in rows))
    numbers = [f"{significant(row.value)} {unit}" for row in rows]
    span = max(8, width - label - max(map(len, numbers)) - 3)
    top = max(row.value for row in rows) or 1.0
    lines: list[str] = []
    for row, number in zip(rows, numbers, strict=True):
        eighths = max(1, round(row.value / top * span * 8))
        bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        lines.append(f"{_cut(row.label, label):{label}} {bar:{span}} {number:>{max(map(len, numbers))}}")
    return [line[:width].rstrip() for line in lines]


def roofline(roofs: Sequence[Roof], points: Sequence[Point], width: int = 80, height: int = 14) -> list[str]:
    """Kernels under the machine's roofs, both axes logarithmic, then what each mark is. Nothing without a
    roof or without points."""
    listed = [p for p in points if p.intensity > 0 and p.gflop_per_s > 0][: len(MARKS)]
    if not roofs or not listed:
        return []
    knees = [r.peak_gflop_per_s / r.gb_per_s for r in roofs if r.peak_gflop_per_s]
    x_low, x_high = _decades([p.intensity for p in listed] + knees)
    tops = [r.peak_gflop_per_s or r.gb_per_s * 10**x_high for r in roofs]
    y_low, y_high = _decades([p.gflop_per_s for p in listed] + tops)
    columns = width - _MARGIN - 1
    canvas = [[0] * columns for _ in range(height)]

    def row(y: float) -> float:
        return (y_high - math.log10(y)) / (y_high - y_low) * (height * 4 - 1)

    for dot in range(columns * 2):
        x = 10 ** (x_low + dot / (columns * 2 - 1) * (x_high - x_low))
        for roof in roofs:
            at = round(row(min(roof.gb_per_s * x, roof.peak_gflop_per_s or math.inf)))
            if 0 <= at < height * 4:
                canvas[at // 4][dot // 2] |= _DOTS[at % 4][dot % 2]
    cells = [[chr(0x2800 + bits) if bits else " " for bits in line] for line in canvas]
    for mark, point in zip(MARKS, listed, strict=False):
        across = (math.log10(point.intensity) - x_low) / (x_high - x_low)
        column = round(across * (columns - 1))
        while cells[round(row(point.gflop_per_s)) // 4][column] in MARKS and column + 1 < columns:
            column += 1  # beside one that is there already
        cells[round(row(point.gflop_per_s)) // 4][column] = mark
    ticks = {round(row(10.0**e)) // 4: power_of_ten(e) for e in range(y_low, y_high + 1)}
    lines = [f"{'GFLOP/s':>{_MARGIN - 2}}"]
    lines += [f"{ticks.get(i, ''):>{_MARGIN - 2}} │{''.join(line)}".rstrip() for i, line in enumerate(cells)]
    lines += [" " * (_MARGIN - 1) + "└" + "─" * columns, _x_axis(x_low, x_high, columns)]
    for roof in roofs:
        peak = f", {significant(roof.peak_gflop_per_s)} GOP/s" if roof.peak_gflop_per_s else ""
        lines.append(f"  roof {roof.label}: {significant(roof.gb_per_s)} GB/s read{peak} at most")
    for mark, point in zip(MARKS, listed, strict=False):
        lines.append(f"  {mark} {point.label}: {significant(point.gflop_per_s)} GFLOP/s")
    return [_cut(line, width) for line in lines]


def _x_axis(low: int, high: int, columns: int) -> str:
    axis = [" "] * (_MARGIN + columns)
    unit = "FLOP per byte"
    for exponent in range(low, high + 1):
        text = power_of_ten(exponent)
        at = _MARGIN + round((exponent - low) / (high - low) * (columns - 1))
        at = min(at, len(axis) - len(text))
        axis[at : at + len(text)] = text
    middle = _MARGIN + columns // 2
    for at in range(middle, len(axis) - len(unit) - 1):
        if not "".join(axis[at - 1 : at + len(unit) + 1]).strip():
            axis[at : at + len(unit)] = unit
            break
    return "".join(axis).rstrip()


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
