"""Numbers as people read them: one function a meaning, for sentences, screens, pages and Markdown alike.

No exponent is shown to people, and no more than three significant digits of what was measured or predicted.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def rounded(value: float, digits: int) -> float:
    """`value` to so many significant digits, for a file."""
    return float(f"{value:.{digits}g}")


def significant(value: float, digits: int = 3) -> str:
    """`value` to so many significant digits: 1120, 0.0451, 22."""
    if not math.isfinite(value):
        return str(value)
    return format(Decimal(f"{value or 0.0:.{digits}g}"), "f")


def stated(value: float) -> str:
    """A number that somebody asked for or a table holds, as it stands there."""
    return significant(value, 15)


def interval(value: float, low: float, high: float) -> str:
    """`21.3 (9.2 to 30)`. The ends have two digits; a third where rounding would carry one past `value`."""
    text = significant(value)
    lower, upper = (significant(end, 2) for end in (low, high))
    if float(lower) > float(text):
        lower = significant(low)
    if float(upper) < float(text):
        upper = significant(high)
    return f"{text} ({lower} to {upper})"


def seconds(value: float) -> str:
    """A time or a duration: `12.5 s`, below one second `80.4 ms`."""
    return f"{significant(value)} s" if value >= 1 or not value else f"{significant(value * 1e3)} ms"


def percent(share: float) -> str:
    """A share or a relative error: `1.2 %`."""
    return f"{significant(100 * share, 2)} %"


def size(count: float) -> str:
    """Bytes of memory or of a file, in decimal units: `2.54 GB`."""
    scale, unit = _size(count)
    return f"{significant(count / scale)} {unit}"


def size_interval(value: float, low: float, high: float) -> str:
    """`2.54 (1.9 to 3.2) GB`."""
    scale, unit = _size(value)
    return f"{interval(value / scale, low / scale, high / scale)} {unit}"


def _size(count: float) -> tuple[float, str]:
    return next(((scale, unit) for scale, unit in _SIZES if count >= scale), (1.0, "bytes"))


def power_of_ten(exponent: int) -> str:
    """A mark on a logarithmic axis: `1,000`, `0.01`."""
    return f"{10**exponent:,}" if exponent >= 0 else significant(10.0**exponent)


def timestamp() -> str:
    """This moment as every file states it: ISO 8601, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
