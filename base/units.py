"""Numbers as people read them."""

from __future__ import annotations

import math


def significant(value: float, digits: int = 3) -> str:
    """`value` rounded to significant digits and written without an exponent: 1120, 0.0451, 22."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{float(f'{value:.{digits}g}'):.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
