"""The report (`gemmafit.report/1`): the value that `judge` returns and the writers write.

Field order here is the order in the file. `to_dict` is the file's content; `schema.py` describes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..base.names import CheckStatus, Evidence, Verdict
from ..base.units import significant

SCHEMA = "gemmafit.report/1"

BUSY = "device.busy"
"""Id of the check that other programs disturbed the measurements: a screen shows it first."""


@dataclass(frozen=True)
class Range:
    """A predicted quantity: the best estimate and the interval that should hold the truth 9 times in 10."""

    value: float
    low: float
    high: float

    def text(self, unit: float = 1.0) -> str:
        """As people read it, in units of `unit`: `20 (14 to 28)`."""
        value, low, high = (significant(number / unit) for number in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"


@dataclass(frozen=True)
class Predicted:
    """Speed and memory of one model file on one backend. None: not predictable from what is known."""

    prefill_tok_s: Range | None = None
    decode_tok_s: Range | None = None
    ttft_s: Range | None = None
    peak_memory_bytes: Range | None = None
    basis: str | None = None
    """What the speeds rest on: measured (kernels ran here), chip (a figure reached on this chip elsewhere) or
    specification."""
    capped: str | None = None
    """What held the clocks down while they were measured (`battery saver was on`): the phone can do more."""

    @property
    def rests_on(self) -> str | None:
        """The basis for people: `measured while battery saver was on`."""
        return self.basis if self.capped is None else f"{self.basis} while {self.capped}"


@dataclass(frozen=True)
class Check:
    """One question and its answer. `id` is stable: what.subject, e.g. opencl.visible. `reason` is the code
    under which `variants` and `backends` refer to it, None where nothing is wrong."""

    id: str
    status: CheckStatus
    scope: str
    evidence: Evidence
    found: str
    required: str
    because: str
    remedy: str | None = None
    source: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class VariantResult:
    """One model file on one backend."""

    id: str
    file: str
    runtime: str
    backend: str
    status: CheckStatus
    evidence: Evidence
    scope: str
    reasons: tuple[str, ...] = ()
    predicted: Predicted | None = None


@dataclass(frozen=True)
class BackendResult:
    """One line of the verdict sheet: every column is a CheckStatus."""

    status: CheckStatus
    scope: str
    visible: CheckStatus
    capable: CheckStatus
    correct: CheckStatus
    deterministic: CheckStatus
    speed: CheckStatus
    memory: CheckStatus
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recommendation:
    variant: str
    file: str
    revision: str | None
    runtime: str
    format: str
    backend: str
    settings: Mapping[str, Any]  # max_tokens, prefill_chunk, threads, cpus
    predicted: Predicted
    evidence: Evidence
    because: str
    dependency: str | None = None
    """What an app's build asks for to have the runtime, e.g. GROUP:ARTIFACT of Maven."""


@dataclass(frozen=True)
class FallbackStep:
    variant: str
    backend: str


@dataclass(frozen=True)
class Report:
    """See the module. `device` and `conditions` are plain mappings with the fields of the contract."""

    tool: Mapping[str, str]
    created: str
    target: Mapping[str, str]
    device: Mapping[str, Any]
    verdict: Verdict
    summary: str
    recommendation: Recommendation | None
    fallback: tuple[FallbackStep, ...]
    variants: tuple[VariantResult, ...]
    backends: Mapping[str, BackendResult]
    checks: tuple[Check, ...]
    measurements: tuple[Mapping[str, Any], ...]
    conditions: Mapping[str, Any]
    capture: Mapping[str, Any]  # sha256 of the capture it was judged from
    schema: str = SCHEMA
    notes: tuple[str, ...] = ()
    """What to know about the measurements: the device's state, what stood in for a GPU, what was left out."""
    layouts: tuple[Mapping[str, Any], ...] = ()
    """For each GPU backend, scheme and phase: the engine's layout of the weights, the best, and from which of
    them the speed is predicted (`benchmarks.layouts`)."""
    agent: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the agent held at most and may hold; empty where it did not run."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Additive top-level keys that come after the contract's."""

    @property
    def name(self) -> str:
        """What a person calls the device."""
        if self.target.get("kind") == "local":
            return "this computer"
        words = [str(self.device[key]) for key in ("manufacturer", "model") if self.device.get(key)]
        return " ".join(words) or str(self.target.get("serial") or "unknown device")

    def notable(self, most: int) -> list[VariantResult]:
        """The recommended and the fallback rows first, then the others in their order; at most `most`."""
        order = [(step.variant, step.backend) for step in self.fallback]
        if self.recommendation is not None:
            order.insert(0, (self.recommendation.variant, self.recommendation.backend))
        rank = {key: place for place, key in reversed(list(enumerate(order)))}
        return sorted(self.variants, key=lambda row: rank.get((row.id, row.backend), len(order)))[:most]
