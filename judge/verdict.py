"""From judged variants to one verdict, one sentence and one recommendation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..base.names import CheckStatus, Verdict
from ..reports.report import Check, Predicted, Recommendation
from .case import ANY_FAMILY, Case
from .recommend import Judged, best_of_family, recommendation, status_order
from .recommend import best_of_all as best_of_all_judged
from .rules.speed import FIRST_TOKEN_UNKNOWN


@dataclass(frozen=True)
class Decision:
    """The verdict, and the file that it rests on (None where nothing works); `primary` is the file whose
    success on the GPU is a pass."""

    verdict: Verdict
    summary: str
    chosen: Judged | None
    primary: Judged | None
    recommendation: Recommendation | None


def decide(case: Case, judged: Sequence[Judged]) -> Decision:
    """See the design's contract.

    pass: the family's GPU file is fine. inconclusive: it may be, but a fact that matters is unknown; or
    nothing works as far as is known. degraded: something of the family works. fail: nothing does.
    """
    family = [j for j in judged if case.of_family(j.variant)]
    chosen = best_of_family(case, family)
    primary = _primary(case, family)
    # What is unknown about a file that could not pass anyway does not matter.
    answers = {c.status for c in primary.checks} if primary is not None else set[CheckStatus]()
    open_question = CheckStatus.UNKNOWN in answers <= {CheckStatus.PASS, CheckStatus.UNKNOWN}
    if primary is not None and primary.status is CheckStatus.PASS:
        verdict = Verdict.PASS
    elif open_question:
        verdict = Verdict.INCONCLUSIVE
    elif chosen is not None:
        verdict = Verdict.DEGRADED
    elif any(j.status is CheckStatus.UNKNOWN for j in family):
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.FAIL
    because = _because(chosen, primary) + _successor(case, chosen, judged) if chosen is not None else ""
    summary = _summary(case, verdict, chosen, primary, family).removesuffix(".")
    summary = f"{summary}{_stand_in(case)}{_broken(case, summary)}."
    advice = recommendation(case, chosen, because) if chosen is not None else None
    return Decision(verdict, summary, chosen, primary, advice)


def best_of_all(case: Case, judged: Judged | None) -> Recommendation | None:
    """The most capable file of any family, as a recommendation."""
    if judged is None:
        return None
    title = case.architecture(judged.variant.model).title
    return recommendation(case, judged, f"{title} is the most capable model that is expected to work here.")


def _primary(case: Case, family: Sequence[Judged]) -> Judged | None:
    """The file whose success on the GPU is a pass; for any family the best GPU result."""
    on_gpu = [j for j in family if j.variant.backend.about.is_gpu]
    if case.options.family == ANY_FAMILY:
        order = (CheckStatus.PASS, CheckStatus.UNKNOWN, CheckStatus.WARN)
        return min(on_gpu, key=lambda j: order.index(j.status) if j.status in order else 9, default=None)
    primary = case.knowledge.families[case.options.family].primary
    return next((j for j in on_gpu if j.variant.model.id == primary), None)


def _because(chosen: Judged, primary: Judged | None) -> str:
    if primary is None or chosen is primary:
        lead = "The family's file for the GPU."
        return lead + _reservations(chosen)
    why = _first_problem(primary)
    lost = _given_up(chosen, primary)
    return f"Instead of {primary.variant.model.file}: {why}. Given up: {lost}.{_reservations(chosen)}"


def _successor(case: Case, chosen: Judged, judged: Sequence[Judged]) -> str:
    """What to take instead where the runtime of the chosen file is no longer maintained."""
    runtime, best = case.runtime(chosen.variant.model), best_of_all_judged(case, judged)
    if not runtime.deprecated or best is None or best.variant.model.runtime == runtime.id:
        return ""
    model, where = best.variant.model, best.variant.backend.about.title
    return f" {runtime.title} is deprecated; with {model.runtime} take {model.file} on {where}."


def _reservations(judged: Judged) -> str:
    problems = [c for c in judged.checks if c.status in (CheckStatus.WARN, CheckStatus.UNKNOWN)]
    return "".join(f" Reservation: {c.because}" for c in problems)


def _given_up(chosen: Judged, primary: Judged) -> str:
    lost = []
    if chosen.variant.backend != primary.variant.backend:
        lost.append(primary.variant.backend.about.title)
    if chosen.variant.model.bits.ffn < primary.variant.model.bits.ffn:
        lost.append("8-bit weights")
    if chosen.variant.model.architecture != primary.variant.model.architecture:
        lost.append("the larger model")
    return ", ".join(lost) or "nothing of the model"


def _first_problem(judged: Judged) -> str:
    """The gravest thing that is wrong, in a clause without its full stop."""
    for status in (CheckStatus.FAIL, CheckStatus.ERROR, CheckStatus.WARN, CheckStatus.UNKNOWN):
        for check in judged.checks:
            if check.status is status:
                return f"{_clause(check)}{check.figure or f' ({check.found})'}"
    return "it is slower than the alternative for this use"


def _clause(check: Check) -> str:
    """A reason in brief, to stand inside a sentence."""
    text = check.brief
    word = text.split(" ", 1)[0]
    return text if word[1:] != word[1:].lower() else text[:1].lower() + text[1:]


def _summary(
    case: Case,
    verdict: Verdict,
    chosen: Judged | None,
    primary: Judged | None,
    family: Sequence[Judged],
) -> str:
    """One sentence for the person who reads nothing else."""
    name = case.family_title
    match verdict:
        case Verdict.PASS:
            assert chosen is not None  # the primary works, so something does
            sooner = "" if chosen.variant.backend.about.is_gpu else ", and sooner without it"
            if sooner and primary is not None and primary.has(FIRST_TOKEN_UNKNOWN):
                sooner = ", though how soon its first token comes there is not known"
            return f"{name} runs here on the GPU{sooner}; use {_use(chosen)}."
        case Verdict.DEGRADED:
            assert chosen is not None
            if primary is None or chosen is primary:
                return f"{name} runs here with reservations: {_use(chosen)}, but {_first_problem(chosen)}."
            lost, why = _given_up(chosen, primary), _first_problem(primary)
            return f"{name} runs here by falling back: {_use(chosen)}; given up: {lost}, because {why}."
        case Verdict.INCONCLUSIVE:
            unknown = primary if primary is not None and primary.status is CheckStatus.UNKNOWN else None
            unknown = unknown or next(j for j in family if j.status is CheckStatus.UNKNOWN)
            missing = [c for c in unknown.checks if c.status is CheckStatus.UNKNOWN]
            others = ", ".join(c.question if c.variant and c.question else c.id for c in missing[1:])
            also = f"; also unknown: {others}" if others else ""
            also += f"; expected to work in any case: {_use(chosen)}" if chosen is not None else ""
            return f"Not decided for {name}: {_clause(missing[0])}{also}."
        case Verdict.FAIL:
            return f"{name} does not run here: {_obstacles(case, primary, family)}."


def _stand_in(case: Case) -> str:
    """What "the GPU" really is where a driver on the CPU stands in for one."""
    cl = case.snapshot.opencl
    if not cl.present or (cl.device_type != "cpu" and not case.snapshot.gpu.software):
        return ""
    return f"; the GPU here is {case.snapshot.gpu.model or cl.platform}, a driver that computes on the CPU"


def _broken(case: Case, summary: str) -> str:
    """That the agent did not run, unless the sentence says so already: all the rest is predicted."""
    problem = case.snapshot.agent_problem
    if problem is None or not problem.ended or problem.sentence in summary:
        return ""
    return f"; {problem.clause}"


def _obstacles(case: Case, primary: Judged | None, family: Sequence[Judged]) -> str:
    """Why the GPU file fails, and why the most promising alternative does, unless that is the same reason."""
    alternatives = [j for j in family if primary is None or j.variant.backend != primary.variant.backend]
    nearest = min(alternatives, key=lambda j: status_order(case, j), default=None)
    shown = [j for j in (primary, nearest) if j is not None]
    problems = {_first_problem(j): j.variant.backend.about.title for j in reversed(shown)}
    if len(problems) == 1:
        return next(iter(problems))
    return "; ".join(f"on {where}, {problem}" for problem, where in reversed(problems.items()))


def _use(judged: Judged) -> str:
    model = judged.variant.model
    where = judged.variant.backend.about.title
    return f"{model.file} on {where} with {model.runtime}{_pace(judged.predicted)}"


def _pace(predicted: Predicted) -> str:
    if predicted.decode_tok_s is None:
        return ""
    return f", about {predicted.decode_tok_s.text()} tokens/s, {predicted.rests_on}"
