"""The judge: snapshot, measurements and knowledge in, report out. A pure function.

For each model file x backend: loads? fits? correct? fast enough? better than the alternative? Every answer is
a check; a variant is as good as the worst of its checks; the verdict follows from the family's variants.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from .. import __version__
from ..base.names import Backend, CheckStatus, Column, Evidence, Scope
from ..base.options import Options
from ..benchmarks import layouts, notes
from ..benchmarks.measurements import Measurement
from ..benchmarks.states import Span, conditions
from ..probes.snapshot import Snapshot
from ..profiles.knowledge import Knowledge
from ..reports.report import BackendResult, Check, Predicted, Report, VariantResult
from . import device, recommend, verdict
from .case import ANY_FAMILY, Case, Variant, assumption, worst
from .predict import Anchor, predict
from .recommend import Judged
from .rules import agent, correct, fits, loads, remarks, speed, state
from .rules.backends import RULES

__all__ = ["judge"]


def judge(
    snapshot: Snapshot,
    measurements: Sequence[Measurement],
    knowledge: Knowledge,
    options: Options = Options(),  # noqa: B008  (frozen)
    *,
    capture_sha256: str | None = None,
    created: str | None = None,
    serial: str | None = None,
    spans: Sequence[Span] = (),
    anchor: Anchor | None = None,
) -> Report:
    """The report on one device.

    Args:
        capture_sha256: of the capture that snapshot and measurements were read from.
        created: ISO 8601 time that the report carries; "" if not given (the judge has no clock).
        serial: of the target.
        spans: the device's state around what was measured on each backend, if it was asked.
        anchor: a model file that somebody measured on the device.

    Raises UsageError for an unknown family or use, or an anchor of an unknown model or that cannot be true.
    """
    case = Case(snapshot, tuple(measurements), knowledge, options, tuple(spans), anchor)
    shared = _Shared(case)
    judged = _judge_all(case, shared)
    found = verdict.decide(case, judged)
    best = recommend.best_of_all(case, judged)
    measured = layouts.every(measurements)
    backends = {str(b): _backend(case, b, shared, judged) for b in Backend}
    chosen = (found.chosen, found.primary, best)
    checks = _checks(case, shared, judged, chosen, {row.decided_by for row in backends.values()})
    return Report(
        tool={"name": "gemmafit", "version": __version__},
        created=created or "",
        target={"kind": str(snapshot.kind), "serial": serial or ""},
        device=device.describe(snapshot),
        verdict=found.verdict,
        summary=found.summary,
        recommendation=found.recommendation,
        works_instead=verdict.best_of_all(case, best) if found.chosen is None else None,
        fallback=recommend.chain(case, found.chosen, judged),
        variants=tuple(_result(j) for j in judged),
        backends=backends,
        checks=tuple(checks),
        measurements=tuple(measurements),
        conditions=conditions(spans, snapshot.conditions),
        capture={"sha256": capture_sha256},
        notes=(
            *_assumed(case, checks),
            *remarks.notes(case),
            *notes.notes(measurements, case.before, case.after),
            *layouts.sentences(measured),
        ),
        layouts=tuple(pair.to_dict() for pair in measured),
        agent=notes.agent_memory(measurements),
        extra=_extra(case, best),
    )


def judge_files(case: Case) -> list[Judged]:
    """Every file of the case's catalogue on each of its backends: what `judge` rests on, with all checks."""
    return _judge_all(case, _Shared(case))


def _judge_all(case: Case, shared: _Shared) -> list[Judged]:
    predictions = {v.key: _predict(case, v) for v in case.variants}
    return [_judge_variant(case, v, shared, predictions) for v in case.variants]


def _assumed(case: Case, checks: Sequence[Check]) -> list[str]:
    """One line with everything that was taken for granted; nothing where nothing was."""
    found = [case.assumed(row) for row in case.knowledge.reasons.values()]
    said = {check.because for check in checks}
    taken = [text for text in found if text is not None and assumption(text) in said]
    return [f"assumed: {'; '.join(taken)}"] if taken else []


class _Shared:
    """Checks about a runtime or a backend: stated once, counted for every variant that rests on them."""

    def __init__(self, case: Case) -> None:
        runtimes = case.knowledge.runtimes.values()
        self.runtimes = {r.id: [*loads.runtime_loads(case, r), *loads.emulator(case, r)] for r in runtimes}
        self.runtimes_on = {(b, r.id): RULES[b].of_runtime(case, r) for b in Backend for r in runtimes}
        self.agent = agent.ran(case)
        self.backends: dict[Backend, dict[Column, Check]] = {}
        self.schemes: dict[tuple[Backend, str], dict[Column, Check]] = {}
        self.left_alone = {backend: loads.left_alone(case, backend) for backend in Backend}
        for backend, rules in RULES.items():
            self.backends[backend] = _asked(
                {
                    Column.VISIBLE: rules.visible(case),
                    Column.CAPABLE: rules.capable(case),
                    Column.CORRECT: correct.numbers(case, backend),
                    Column.DETERMINISTIC: correct.deterministic(case, backend),
                }
            )
            for scheme in sorted({row.scheme for row in case.rows(backend)}):
                self.schemes[backend, scheme] = _asked(
                    {
                        Column.CAPABLE: rules.capable(case, scheme),
                        Column.CORRECT: correct.numbers(case, backend, scheme),
                    }
                )
        self.remarks = [check for rules in RULES.values() for check in rules.remarks(case)]
        for runtime in runtimes:
            for rules in RULES.values():
                self.remarks += rules.runtime_remarks(case, runtime)
            self.remarks += loads.deprecated(case, runtime)
        self.remarks += speed.busy(case)
        for backend in Backend:
            self.remarks += speed.disturbed(case, backend)
        self.remarks += [*state.conditions(case), *state.services(case), *remarks.aicore(case)]
        self.remarks += remarks.pages(case)

    def of(self, variant: Variant) -> list[Check]:
        """What a variant rests on: of its weight scheme where that ran, else of its backend."""
        scheme = self.schemes.get((variant.backend, variant.model.scheme), {})
        own = self.runtimes_on[variant.backend, variant.model.runtime]
        return [*(self.backends[variant.backend] | scheme).values(), *own]

    def all(self) -> list[Check]:
        runtimes = [check for checks in self.runtimes.values() for check in checks]
        backends = [check for columns in self.backends.values() for check in columns.values()]
        schemes = [check for columns in self.schemes.values() for check in columns.values()]
        left_alone = [check for checks in self.left_alone.values() for check in checks]
        runtimes_on = [check for checks in self.runtimes_on.values() for check in checks]
        return [*self.agent, *runtimes, *backends, *runtimes_on, *left_alone, *schemes, *self.remarks]


def _asked(answers: Mapping[Column, Check | None]) -> dict[Column, Check]:
    """Without the questions that do not arise."""
    return {column: check for column, check in answers.items() if check is not None}


def _predict(case: Case, variant: Variant) -> Predicted:
    return predict(
        variant.model,
        variant.backend,
        case.snapshot,
        case.measurements,
        case.knowledge,
        prompt_tokens=case.demand.prompt_tokens,
        context=min(case.demand.context, variant.model.context),
        anchor=case.anchor,
    )


def _judge_variant(
    case: Case, variant: Variant, shared: _Shared, predictions: Mapping[str, Predicted]
) -> Judged:
    predicted = predictions[variant.key]
    platform = loads.file_is_for_device(case, variant)
    if any(c.status is CheckStatus.FAIL for c in platform):
        # Made for something else: nothing further is worth asking.
        return Judged(
            variant, CheckStatus.FAIL, Evidence.PREDICTED, _scope(platform), tuple(platform), (), Predicted()
        )
    rules = RULES[variant.backend]
    checks = [
        *shared.runtimes[variant.model.runtime],
        *platform,
        *shared.of(variant),
        *loads.old_runtime(case, variant),
        *correct.known_faults(case, variant),
        *fits.memory(case, variant, predicted),
        *rules.fits(case, variant),
        *fits.storage(case, variant),
        speed.decode(case, variant, predicted),
    ]
    if (delay := speed.first_token(case, variant, predicted)) is not None:
        checks.append(delay)
    aside = rules.remarks_only | {speed.FIRST_TOKEN_UNKNOWN}
    remarks = [c for c in checks if c.reason in aside] + fits.busy(case, variant, predicted)
    checks = [c for c in checks if c.reason not in aside]
    if variant.backend.about.is_gpu and (other := _counterpart(variant, predictions)) is not None:
        compared = speed.better(case, variant, predicted, other)
        remarks += [compared] if compared is not None else []
    return Judged(
        variant=variant,
        status=worst([c.status for c in checks]),
        evidence=case.evidence(variant.backend),
        scope=_scope(checks),
        checks=tuple(checks),
        remarks=tuple(remarks),
        predicted=predicted,
    )


def _counterpart(variant: Variant, predictions: Mapping[str, Predicted]) -> Predicted | None:
    """The same weights on the CPU: the same file, or its counterpart."""
    for id in (variant.model.id, variant.model.counterpart):
        if (found := predictions.get(f"{id}.{Backend.CPU}")) is not None:
            return found
    return None


def _scope(checks: Sequence[Check]) -> str:
    """The narrowest scope among the checks: an inference for apps says more than one for the device."""
    scopes = {check.scope for check in checks}
    for scope in (Scope.SHELL, Scope.APP_INFERRED, Scope.APP_TESTED):
        if str(scope) in scopes:
            return str(scope)
    return str(Scope.DEVICE)


def _result(judged: Judged) -> VariantResult:
    model = judged.variant.model
    return VariantResult(
        id=model.id,
        file=model.file,
        runtime=model.runtime,
        backend=str(judged.variant.backend),
        status=judged.status,
        evidence=judged.evidence,
        scope=judged.scope,
        reasons=judged.reasons,
        predicted=judged.predicted,
    )


def _backend(case: Case, backend: Backend, shared: _Shared, judged: Sequence[Judged]) -> BackendResult:
    """One line of the verdict sheet; speed and memory are those of the family's best file there."""
    there = [j for j in judged if j.variant.backend is backend and case.of_family(j.variant)]
    best = min(there, key=lambda j: recommend.status_order(case, j), default=None)
    own = [check for check in best.checks if check.variant is not None] if best is not None else []
    if best is not None:
        own += shared.runtimes_on[backend, best.variant.model.runtime]
    answers = [*shared.backends[backend].values(), *shared.left_alone[backend], *own]
    sheet = {column: [check for check in answers if check.column is column] for column in Column}
    checks = [check for column in sheet.values() for check in column]
    reasons = [c.reason for c in checks if c.reason is not None]
    reasons += RULES[backend].always
    status = {column: worst([c.status for c in found]) for column, found in sheet.items() if found}
    return BackendResult(
        status=worst(list(status.values())),
        scope=shared.backends[backend][Column.VISIBLE].scope,
        visible=status[Column.VISIBLE],
        capable=status.get(Column.CAPABLE, CheckStatus.SKIP),
        correct=_right(sheet[Column.CORRECT]) if sheet[Column.CORRECT] else CheckStatus.SKIP,
        deterministic=status.get(Column.DETERMINISTIC, CheckStatus.SKIP),
        speed=status.get(Column.SPEED, CheckStatus.SKIP),
        memory=status.get(Column.MEMORY, CheckStatus.SKIP),
        reasons=tuple(dict.fromkeys(reasons)),
        decided_by=_decisive(checks, RULES[backend].remarks_only),
    )


def _decisive(checks: Sequence[Check], remarks: Container[str | None]) -> str | None:
    """The gravest of those that gave their line its status; one that decides no file only if no other did."""
    status = worst([check.status for check in checks])
    if status is CheckStatus.PASS:
        return None
    causes = [check for check in checks if check.status is status]
    return max(causes, key=lambda check: (check.gravity or 0, check.reason not in remarks)).id


def _right(checks: Sequence[Check]) -> CheckStatus:
    """Numbers that nobody computed are not right, only not known to be wrong: skip."""
    status = worst([check.status for check in checks])
    computed = any(check.evidence is not Evidence.PREDICTED for check in checks)
    return CheckStatus.SKIP if status is CheckStatus.PASS and not computed else status


def _checks(
    case: Case,
    shared: _Shared,
    judged: Sequence[Judged],
    chosen: Sequence[Judged | None],
    decisive: Container[str | None],
) -> list[Check]:
    """Shared checks, then those of the family's files, of the chosen ones, and what decided a backend's line;
    others have only codes."""
    out = {check.id: check for check in shared.all()}
    for one in judged:
        stated = (case.of_family(one.variant) and case.options.family != ANY_FAMILY) or one in chosen
        out.update({c.id: c for c in (*one.checks, *one.remarks) if stated or c.id in decisive})
    return list(out.values())


def _extra(case: Case, best: Judged | None) -> dict[str, Any]:
    demand = case.demand
    snapshot = case.snapshot
    return {
        "asked": {
            "family": case.options.family,
            "title": case.family_title,
            "use": case.options.use,
            "decode_tok_s": demand.decode_tok_s,
            "ttft_s": demand.ttft_s,
            "prompt_tokens": demand.prompt_tokens,
            "context": demand.context,
        },
        "best_of_all": verdict.best_of_all(case, best),
        "disagreements": [
            {
                "field": d.field,
                "believed": d.believed,
                "source": d.source,
                "other": d.other,
                "other_source": d.other_source,
                "because": d.because,
            }
            for d in snapshot.disagreements
        ],
        "warnings": list(snapshot.warnings),
    }
