"""What a person may ask for: numbers, each with its range, and backends to run. An option, LAB.yaml and the
API accept the same.

A number outside, or none at all (NaN), is refused at the door: every comparison with NaN is false, so that a
demand of NaN tokens per second would be met by every phone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .errors import UsageError
from .names import MEASURED, Backend
from .units import stated


@dataclass(frozen=True)
class Bound:
    """From `low` to `high`, both allowed, in `unit`."""

    low: float
    high: float
    unit: str

    def __str__(self) -> str:
        return f"from {stated(self.low)} to {stated(self.high)} {self.unit}".rstrip()


_TOKENS = Bound(1, 10_000_000, "tokens")
"""No model attends to ten million tokens yet."""

BOUNDS: Mapping[str, Bound] = {
    "decode_tok_s": Bound(0, 1_000_000, "tokens/s"),
    "ttft_s": Bound(0.001, 86_400, "seconds"),
    "prompt_tokens": _TOKENS,
    "context": _TOKENS,
    "ram_gb": Bound(0.25, 1024, "GB"),
    "sdk": Bound(1, 1000, ""),
    "sustained": Bound(1, 3600, "seconds"),
    "threshold": Bound(0, 1000, "of the speed before"),
    "parallel": Bound(1, 1024, "phones"),
    "rows": Bound(1, 1_000_000, "reports"),
    "identifier": Bound(1, 2**63 - 1, ""),
    "battery_min_percent": Bound(0, 100, "%"),
    "temperature_max_c": Bound(0, 1000, "°C"),
    "thermal_status_max": Bound(0, 99, ""),
    "wait_s": Bound(0, 604_800, "seconds"),
    "deadline_s": Bound(0, 604_800, "seconds"),
    "retries": Bound(0, 100, "times"),
}
"""By the name of the field that holds the number, wherever it is a field."""


class OutOfRange(UsageError, ValueError):
    """A ValueError too, so that msgspec adds where in a file the number stands."""


def require(values: Mapping[str, object]) -> None:
    """Raises OutOfRange for the first field whose value is no number within its bound (None passes), and for
    `backends` that nothing runs on."""
    backends = values.get("backends")
    require_measured(backends if isinstance(backends, list | tuple) else ())
    for name, bound in BOUNDS.items():
        value = values.get(name)
        if value is None:
            continue
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not bound.low <= value <= bound.high
        ):
            raise OutOfRange(f"{name} is {value!r}: a number {bound} is wanted")


def require_measured(names: Iterable[object]) -> None:
    """Raises OutOfRange for the first name that is no backend on which the reference block runs."""
    for name in names:
        if name not in MEASURED:
            judged = f"{name} is judged by what is known of the device: nothing runs on it"
            what = judged if name in Backend.__members__.values() else f"unknown backend {name!r}"
            raise OutOfRange(what, hint=f"The reference block runs on {', '.join(MEASURED)}.")
