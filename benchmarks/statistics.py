"""How sure a difference between timings is: ratios of medians, with what their spread explains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

SIGMAS = 3.0
"""Half the width of an interval, in standard errors of the two medians."""

_MAD_TO_SIGMA = 1.4826
_MEDIAN_ERROR = 1.2533
"""For normal noise: sigma = 1.4826 MAD, and a median of n samples has the error 1.2533 sigma / sqrt(n)."""


@dataclass(frozen=True)
class Gain:
    """Speed after / speed before, and the interval that the spread of the samples leaves open."""

    ratio: float
    low: float
    high: float

    def beyond(self, threshold: float) -> bool:
        """Whether the speeds differ by more than `threshold` (0.1: 10 %) and by more than the noise."""
        return abs(math.log(self.ratio)) > math.log1p(threshold) and not self.low <= 1.0 <= self.high


def gain(before: Sequence[float], after: Sequence[float]) -> Gain | None:
    """Of two sets of durations, compared as medians in the log domain. None without positive samples."""
    if not before or not after or min(*before, *after) <= 0:
        return None
    logs = [[math.log(value) for value in samples] for samples in (before, after)]
    change = median(logs[0]) - median(logs[1])
    error = SIGMAS * math.hypot(*(_standard_error(samples) for samples in logs))
    return Gain(math.exp(change), math.exp(change - error), math.exp(change + error))


def spread(samples: Sequence[float]) -> float | None:
    """Relative spread of durations: their MAD as a standard deviation, over the median. Needs two."""
    if len(samples) < 2 or median(samples) <= 0:
        return None
    return _sigma(samples) / median(samples)


def _sigma(samples: Sequence[float]) -> float:
    centre = median(samples)
    return _MAD_TO_SIGMA * median(abs(value - centre) for value in samples)


def _standard_error(samples: Sequence[float]) -> float:
    return _MEDIAN_ERROR * _sigma(samples) / math.sqrt(len(samples))
