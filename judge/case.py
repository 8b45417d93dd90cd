"""One case before the judge: the device, what ran on it, the knowledge, and what is asked for.

The rules (`rules/`) are functions from a case to checks; `Case.check` is how they state one, so that every
statement carries the source of the row it rests on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

from ..base.errors import UsageError
from ..base.names import Backend, CheckStatus, Column, Evidence, Scope, Status
from ..base.options import Options
from ..benchmarks.measurements import Measurement
from ..benchmarks.states import Span
from ..probes.snapshot import Conditions, Snapshot
from ..profiles.conditions import FILE_FACTS, Facts, Truth, evaluate
from ..profiles.knowledge import Architecture, Fault, Knowledge, Model, Reason, Runtime
from ..profiles.rows import VERSION
from ..reports.report import Check
from .predict import Anchor

ANY_FAMILY = "any"


@dataclass(frozen=True)
class Demand:
    """The options with the defaults of their use filled in. None: no limit."""

    prompt_tokens: int
    output_tokens: int
    decode_tok_s: float | None
    ttft_s: float | None
    context: int


@dataclass(frozen=True)
class Variant:
    """One model file on one backend."""

    model: Model
    backend: Backend

    @property
    def key(self) -> str:
        return f"{self.model.id}.{self.backend}"


class _Fields(TypedDict, total=False):
    question: str
    column: Column | None
    variant: str
    backend: str
    runtime: str


@dataclass(frozen=True)
class Question:
    """What a check asks, and of what.

    Attributes:
        subject: a file on a backend, a backend, a runtime; a plain word is none of them (`device`).
        name: of the question, e.g. `visible`.
        column: of its backend's line that the answer decides; None: none.
    """

    subject: Variant | Backend | Runtime | str
    name: str
    column: Column | None = None

    @property
    def id(self) -> str:
        match self.subject:
            case Variant():
                return f"{self.subject.key}.{self.name}"
            case Runtime():
                return f"{self.subject.id}.{self.name}"
            case _:
                return f"{self.subject}.{self.name}"

    @property
    def backend(self) -> Backend | None:
        match self.subject:
            case Variant():
                return self.subject.backend
            case Backend():
                return self.subject
            case _:
                return None

    @property
    def fields(self) -> _Fields:
        """What a check says about it."""
        found = _Fields(question=self.name, column=self.column)
        if self.backend is not None:
            found["backend"] = str(self.backend)
        if isinstance(self.subject, Variant):
            found["variant"] = self.subject.model.id
        elif isinstance(self.subject, Runtime):
            found["runtime"] = self.subject.id
        return found


@dataclass(frozen=True)
class Case:
    """See the module."""

    snapshot: Snapshot
    measurements: tuple[Measurement, ...]
    knowledge: Knowledge
    options: Options
    spans: tuple[Span, ...] = ()
    anchor: Anchor | None = None

    @property
    def before(self) -> Conditions:
        """The device's state before the first measurement."""
        return self.spans[0].before if self.spans else self.snapshot.conditions

    @property
    def after(self) -> Conditions | None:
        """The device's state after the last; None where it was not asked."""
        return self.spans[-1].after if self.spans else None

    def __post_init__(self) -> None:
        if self.options.family != ANY_FAMILY and self.options.family not in self.knowledge.families:
            names = ", ".join([*self.knowledge.families, ANY_FAMILY])
            raise UsageError(f"unknown family {self.options.family!r}", hint=f"Families: {names}.")
        if self.options.use not in self.knowledge.thresholds.uses:
            names = ", ".join(self.knowledge.thresholds.uses)
            raise UsageError(f"unknown use {self.options.use!r}", hint=f"Uses: {names}.")
        if self._stated is not None:
            name, version = self._stated
            if name not in self.knowledge.runtimes or not VERSION.fullmatch(version):
                names = ", ".join(self.knowledge.runtimes)
                raise UsageError(
                    f"{self.options.runtime_version!r} is no runtime and version",
                    hint=f"Write it as in litert-lm=0.12.0; runtimes: {names}.",
                )
        if self.anchor is not None and self.anchor.model not in self.knowledge.models:
            names = ", ".join(self.knowledge.models)
            raise UsageError(f"unknown model {self.anchor.model!r}", hint=f"Names: {names}.")

    @cached_property
    def demand(self) -> Demand:
        use = self.knowledge.thresholds.uses[self.options.use]
        asked = self.options
        prompt = use.prompt_tokens if asked.prompt_tokens is None else asked.prompt_tokens
        return Demand(
            prompt_tokens=prompt,
            output_tokens=use.output_tokens,
            decode_tok_s=use.decode_tok_s if asked.decode_tok_s is None else asked.decode_tok_s,
            ttft_s=use.ttft_s if asked.ttft_s is None else asked.ttft_s,
            context=prompt + use.output_tokens if asked.context is None else asked.context,
        )

    @property
    def android(self) -> bool:
        """Whether Android's own rules apply; a computer is judged without them."""
        return self.snapshot.origin.android

    def assumed(self, reason: Reason) -> str | None:
        """What is taken for granted instead of the unknown of this row; None: nothing, it stays unknown.

        Only of a phone that somebody states: a phone that was asked and did not answer may well
        be the exception. The rows say what, and for which phones it would be wrong.
        """
        row = reason.assumed
        if row is None or not self.snapshot.origin.assumed:
            return None
        wrong = row.unless is not None and evaluate(row.unless, self.facts()).value
        return None if wrong else row.text

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """Every model file on every backend under which it is listed."""
        return tuple(
            Variant(model, backend) for model in self.knowledge.models.values() for backend in model.listed_on
        )

    @property
    def family_title(self) -> str:
        """The family asked about, in a sentence."""
        family = self.options.family
        return "Gemma" if family == ANY_FAMILY else self.knowledge.families[family].title

    def of_family(self, variant: Variant) -> bool:
        """Whether it answers the question: of the family, and not for another purpose than that."""
        family = self.knowledge.families.get(self.options.family)
        # A file that is inspected is judged without the catalogue.
        primary = self.knowledge.models.get(family.primary) if family is not None else None
        purpose = primary.purpose if primary is not None else None
        return self.options.family in (ANY_FAMILY, variant.model.family) and variant.model.purpose in (
            None,
            purpose,
        )

    def version(self, runtime: Runtime) -> str | None:
        """The release that is judged: the one asked for, else the newest (None where its number is not
        known)."""
        return self._stated[1] if self._stated is not None and self.stated(runtime) else runtime.current

    def stated(self, runtime: Runtime) -> bool:
        """Whether the release is one that somebody asked about."""
        return self._stated is not None and self._stated[0] == runtime.id

    @cached_property
    def _stated(self) -> tuple[str, str] | None:
        """Runtime and version."""
        if self.options.runtime_version is None:
            return None
        name, _, version = self.options.runtime_version.partition("=")
        return name.strip(), version.strip()

    def architecture(self, model: Model) -> Architecture:
        return self.knowledge.architectures[model.architecture]

    def runtime(self, model: Model) -> Runtime:
        return self.knowledge.runtimes[model.runtime]

    def rows(self, backend: Backend, *phases: str, scheme: str | None = None) -> list[Measurement]:
        """Measurement rows of a backend, limits left out unless asked for."""
        return [
            row
            for row in self.measurements
            if row.backend is backend
            and (row.phase in phases if phases else row.phase != "limit")
            and (scheme is None or row.scheme == scheme)
        ]

    def ran(self, backend: Backend, scheme: str | None = None) -> bool:
        """Whether the reference block ran on that backend."""
        return any(row.status is Status.OK for row in self.rows(backend, scheme=scheme))

    def evidence(self, backend: Backend) -> Evidence:
        return Evidence.PROBED if self.ran(backend) else Evidence.PREDICTED

    def facts(self, variant: Variant | None = None, backend: str | None = None) -> Facts:
        """The snapshot's facts, and those of a variant under the names of drivers.yaml."""
        given: dict[str, object] = {"backend": variant.backend if variant else backend}
        if variant is not None:
            given |= variant.model.facts
        return Facts(self.snapshot, given)

    def faults(self, variant: Variant) -> Iterator[tuple[Fault, Truth]]:
        """Each row of drivers.yaml that is about this release, and whether it holds: asked once of variants
        it cannot tell apart."""
        facts = self.facts(variant)
        given = facts.given or {}
        runtime = self.runtime(variant.model)
        for fault, names in self._faults:
            if not fault.holds_in(runtime.id, self.version(runtime)):
                continue
            key = (fault.id, *(given[name] for name in names))
            if key not in self._held:
                self._held[key] = evaluate(fault.when, facts)
            yield fault, self._held[key]

    @cached_property
    def _faults(self) -> list[tuple[Fault, list[str]]]:
        """Each fault with the facts of a variant that it asks for."""
        own = {"backend", *FILE_FACTS}
        return [(row, sorted(own.intersection(row.when.facts()))) for row in self.knowledge.drivers.values()]

    @cached_property
    def _held(self) -> dict[tuple[object, ...], Truth]:
        return {}

    def check(
        self,
        about: Question,
        status: CheckStatus,
        reason: str,
        *,
        found: str,
        required: str,
        because: str | None = None,
        scope: Scope = Scope.DEVICE,
        evidence: Evidence = Evidence.PREDICTED,
    ) -> Check:
        """A check that rests on the row `reason` of reasons.yaml. A pass takes its source, not its code.

        What is unknown because the agent did not run says so: no other advice helps.
        """
        row = self.knowledge.reasons[reason]
        if status is CheckStatus.UNKNOWN and (taken := self.assumed(row)) is not None:
            status, because, found = CheckStatus.PASS, assumption(taken), f"{found}; assumed"
        fine = status is CheckStatus.PASS
        remedy, problem = row.remedy, self.snapshot.agent_problem
        if status is CheckStatus.UNKNOWN and row.agent and problem and problem.concerns(about.backend):
            because = problem.statement
            remedy = self.knowledge.reasons[problem.reason].remedy
        return Check(
            id=about.id,
            status=status,
            scope=str(scope),
            evidence=evidence,
            found=found,
            required=required,
            because=because or row.because,
            remedy=None if fine else remedy,
            source=row.source,
            reason=None if fine else reason,
            gravity=None if fine else row.gravity,
            **about.fields,
        )

    def known(self, variant: Variant, fault: Fault, found: str) -> Check:
        """A check that rests on a row of drivers.yaml."""
        about = Question(variant, fault.id, _COLUMN[fault.effect])
        return Check(
            id=about.id,
            status=CheckStatus.FAIL if fault.severity == "fail" else CheckStatus.WARN,
            scope=str(Scope.DEVICE),
            evidence=Evidence.PREDICTED,
            found=found,
            required="no known fault of this combination",
            because=fault.because,
            remedy=fault.remedy,
            source=f"{fault.source} ({fault.seen})" if fault.seen is not None else fault.source,
            reason=f"known.{fault.id}",
            gravity=fault.gravity,
            **about.fields,
        )


_COLUMN = {
    "refused": Column.CAPABLE,
    "crash": Column.CAPABLE,
    "compile": Column.CAPABLE,
    "reboot": Column.CAPABLE,
    "wrong-output": Column.CORRECT,
    "unstable": Column.CORRECT,
    "slow": Column.SPEED,
}
"""Effect of a known fault -> the column of the verdict sheet it belongs to."""


_ORDER = (
    CheckStatus.PASS,
    CheckStatus.SKIP,
    CheckStatus.WARN,
    CheckStatus.UNKNOWN,
    CheckStatus.ERROR,
    CheckStatus.FAIL,
)


def worst(statuses: Sequence[CheckStatus]) -> CheckStatus:
    """What several answers amount to. One failure decides, whatever else is unknown; no answer is unknown."""
    return max(statuses, key=_ORDER.index, default=CheckStatus.UNKNOWN)


def assumption(text: str) -> str:
    """The sentence of a check that rests on one (`Assumption.text`)."""
    return f"Assumed, as it was not stated: {text}."
