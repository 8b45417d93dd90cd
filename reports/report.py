"""The report (`gemmafit.report/1`): the value that `judge` returns and the writers write.

Field order here is the order in the file. `to_dict` is the file's content; `schema.py` describes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..base.names import CheckStatus, Column, Evidence, Exit, TargetKind, Verdict
from ..base.units import interval, size_interval
from ..benchmarks.measurements import Measurement

SCHEMA = "gemmafit.report/1"

AGENT = "agent.ran"
"""Id of the check that the agent did not run. Nothing rests on it: it says why others are unknown, so that a
screen shows it first."""


@dataclass(frozen=True)
class Range:
    """A predicted quantity: the best estimate and the interval that should hold the truth 9 times in 10."""

    value: float
    low: float
    high: float

    def text(self) -> str:
        """A number for people: `20 (14 to 28)`."""
        return interval(self.value, self.low, self.high)

    def size(self) -> str:
        """Bytes for people: `2.54 (1.9 to 3.2) GB`."""
        return size_interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class Predicted:
    """Speed and memory of one model file on one backend. None: not predictable from what is known."""

    prefill_tok_s: Range | None = None
    decode_tok_s: Range | None = None
    ttft_s: Range | None = None
    peak_memory_bytes: Range | None = None
    basis: str | None = None
    """What the speeds rest on: measured model (a file that was run here), measured (kernels ran here), chip
    (a figure reached on this chip elsewhere) or specification."""
    capped: str | None = None
    """What held the clocks down while they were measured (`battery saver was on`): the phone can do more."""

    @property
    def rests_on(self) -> str:
        """The basis for people: `predicted from kernels that ran here while battery saver was on`."""
        words = f"predicted from {_BASES.get(self.basis or '', self.basis or 'nothing')}"
        return words if self.capped is None else f"{words} while {self.capped}"


_BASES = {
    "measured model": "the speed of a file that was run here",
    "measured": "kernels that ran here",
    "chip": "this chip in another phone",
    "specification": "the chip's specification",
    "estimated": "the memory of its chip",
}


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes:
        id: stable; its subject and the question, e.g. opencl.visible. Nothing reads a meaning out of it: that
            is in the fields below.
        reason: the code under which `variants` and `backends` refer to it, None where nothing is wrong.
        question: what is asked of the subject, e.g. visible; None in reports of earlier versions.
        column: the column of its backend's line that it decides; None: none.
        gravity: how grave it is if all choices have something: 1 slower than asked, 2 may not fit or not be
            offered, 3 may be wrong or crash. None where nothing is wrong.
        variant, backend: the model file (id) and the backend it is about; a backend alone, or neither.
        runtime: the runtime it is about, where it is about one.
    """

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
    question: str | None = None
    column: Column | None = None
    gravity: int | None = None
    variant: str | None = None
    backend: str | None = None
    runtime: str | None = None

    @property
    def figure(self) -> str:
        """`: ` and what was found, where that is a number that a person compares; else nothing."""
        return f": {self.found}" if self.column in (Column.MEMORY, Column.SPEED) else ""

    @property
    def whole(self) -> bool:
        """Whether it is about the whole device."""
        return self.variant is None and self.backend is None and self.runtime is None

    @property
    def brief(self) -> str:
        """The first sentence of the reason, without its full stop."""
        return _SENTENCE_END.split(self.because)[0].rstrip(".")


_SENTENCE_END = re.compile(r"\. (?=[A-Z])")


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

    @property
    def key(self) -> str:
        return f"{self.id}.{self.backend}"


@dataclass(frozen=True)
class BackendResult:
    """One line of the verdict sheet: every column is a CheckStatus.

    Attributes:
        decided_by: id of the check that gave the line its status; None where all is well, and in reports of
            earlier versions.
    """

    status: CheckStatus
    scope: str
    visible: CheckStatus
    capable: CheckStatus
    correct: CheckStatus
    deterministic: CheckStatus
    speed: CheckStatus
    memory: CheckStatus
    reasons: tuple[str, ...] = ()
    decided_by: str | None = None


@dataclass(frozen=True)
class Recommendation:
    """The file to ship for this device, on which backend, with which settings."""

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

    @property
    def choice(self) -> str:
        """The file and where it runs, in words."""
        return f"{self.file} on {self.backend}"


@dataclass(frozen=True)
class FallbackStep:
    """What to try next, in order, where the recommendation fails in an app."""

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
    works_instead: Recommendation | None = field(default=None, kw_only=True)
    """Where nothing of the family works: the best file of any family that does."""
    fallback: tuple[FallbackStep, ...]
    variants: tuple[VariantResult, ...]
    backends: Mapping[str, BackendResult]
    checks: tuple[Check, ...]
    measurements: tuple[Measurement, ...]
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
        if (called := TargetKind.of(self.target.get("kind")).called) is not None:
            return called
        words = [str(self.device[key]) for key in ("manufacturer", "model") if self.device.get(key)]
        return " ".join(words) or str(self.target.get("serial") or "unknown device")

    @property
    def incomplete(self) -> str | None:
        """What ended the run before its time, or None: then the verdict is about what came until there."""
        return str(self.extra["incomplete"]) if "incomplete" in self.extra else None

    def exit(self, *, strict: bool = False) -> Exit:
        """The exit status of the command that made this report; strict: degraded is a failure too."""
        return Exit.BROKE if self.incomplete is not None else Exit.of(self.verdict, strict=strict)

    def about(
        self, *, variant: str | None = None, backend: str | None = None, runtime: str | None = None
    ) -> list[Check]:
        """The checks about exactly that: a file on a backend, a backend alone, or a runtime.

        None about a file that was not asked for: the report then has only its reason codes.
        """
        subject = (variant, backend, runtime)
        return [c for c in self.checks if (c.variant, c.backend, c.runtime) == subject]

    def notable(self, most: int) -> list[VariantResult]:
        """The recommended and the fallback rows first, then the others in their order; at most `most`."""
        order = [(step.variant, step.backend) for step in self.fallback]
        if self.recommendation is not None:
            order.insert(0, (self.recommendation.variant, self.recommendation.backend))
        rank = {key: place for place, key in reversed(list(enumerate(order)))}
        return sorted(self.variants, key=lambda row: rank.get((row.id, row.backend), len(order)))[:most]
