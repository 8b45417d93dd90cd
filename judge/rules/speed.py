"""Fast enough, and better than the alternative? Predicted speeds against what is asked for."""

from __future__ import annotations

from ...base.names import Backend, CheckStatus, Column, Evidence
from ...base.units import seconds, stated
from ...benchmarks import trust
from ...reports.report import Check, Predicted
from ..case import Case, Question, Variant

PASS, WARN, FAIL, UNKNOWN = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.UNKNOWN


FIRST_TOKEN_UNKNOWN = "speed.first-token-unknown"
_BY_ESTIMATE = "Fast enough by the best estimate; its interval reaches beyond the limit."


def evidence(predicted: Predicted) -> Evidence:
    """A speed from kernels that ran here is probed, everything else predicted."""
    return Evidence.PROBED if predicted.basis == "measured" else Evidence.PREDICTED


def decode(case: Case, variant: Variant, predicted: Predicted) -> Check:
    """Tokens per second of the answer."""
    about, wanted = Question(variant, "decode", Column.SPEED), case.demand.decode_tok_s
    required = f"{stated(wanted)} tokens/s" if wanted is not None else "no limit"
    speed = predicted.decode_tok_s
    if speed is None:
        return _unknown(case, variant, about, required, "speed.unknown")
    found = f"{speed.text()} tokens/s, {predicted.rests_on}"
    floor = case.knowledge.thresholds.speed.floor_tok_s
    if speed.value < floor and predicted.capped is not None:
        return case.check(
            about,
            UNKNOWN,
            "speed.capped",
            found=found,
            required=f"at least {stated(floor)} tokens/s",
            evidence=evidence(predicted),
        )
    if speed.value < floor:
        return case.check(
            about,
            FAIL,
            "speed.unusable",
            found=found,
            required=f"at least {stated(floor)} tokens/s",
            evidence=evidence(predicted),
        )
    slow = wanted is not None and speed.value < wanted
    sure = wanted is None or speed.low >= wanted
    return case.check(
        about,
        WARN if slow else PASS,
        "speed.slow",
        found=found,
        required=required,
        because=_capped("Decoding is slower than asked for.", predicted)
        if slow
        else "Decoding is fast enough."
        if sure
        else _BY_ESTIMATE,
        evidence=evidence(predicted),
    )


def first_token(case: Case, variant: Variant, predicted: Predicted) -> Check | None:
    """Seconds until the first token of the demanded prompt; None where there is no limit."""
    wanted, delay = case.demand.ttft_s, predicted.ttft_s
    if wanted is None:
        return None
    about = Question(variant, "first-token", Column.SPEED)
    required = f"{stated(wanted)} s for {case.demand.prompt_tokens} tokens"
    if delay is None and predicted.decode_tok_s is not None:
        # A question of its own, which decides no column.
        about = Question(variant, "first-token-unpredicted")
        return _unknown(case, variant, about, required, FIRST_TOKEN_UNKNOWN)
    if delay is None:
        return _unknown(case, variant, about, required, "speed.unknown")
    slow = delay.value > wanted
    return case.check(
        about,
        WARN if slow else PASS,
        "speed.first-token",
        found=f"{delay.text()} s, {predicted.rests_on}",
        required=required,
        because=_capped("The first token takes longer than asked for.", predicted)
        if slow
        else "The first token comes soon enough."
        if delay.high <= wanted
        else _BY_ESTIMATE,
        evidence=evidence(predicted),
    )


def _capped(what: str, predicted: Predicted) -> str | None:
    """Why something is too slow where the clocks were capped; None: what the row of reasons.yaml says."""
    if predicted.capped is None:
        return None
    return f"{what} It was measured while {predicted.capped}; without that it may be fast enough."


def _unknown(case: Case, variant: Variant, about: Question, required: str, reason: str) -> Check:
    """No speed: because nothing was measured, or nothing that counts, and a figure is missing."""
    void = [row for row in case.rows(variant.backend) if not row.valid]
    found, ran = "not predictable", "Nothing was measured on this backend"
    lacks = _lacks_arithmetic if reason == FIRST_TOKEN_UNKNOWN else _lacks_memory
    what = "the time to its first token" if reason == FIRST_TOKEN_UNKNOWN else "its speed"
    if void:
        reason = "speed.disturbed" if reason == "speed.unknown" else reason
        found = f"{found}: {void[0].reason or 'conditions changed'}"
        ran = "What was measured here does not count, as the device was busy or throttled meanwhile,"
    lack = lacks(case, variant.backend)
    because = f"{ran} and {lack}, so {what} cannot be predicted."
    return case.check(about, UNKNOWN, reason, found=found, required=required, because=because)


def _lacks_memory(case: Case, backend: Backend) -> str:
    """Why nothing follows from the tables for decoding, as a clause."""
    if backend not in case.knowledge.prediction.spec:
        return "no engine's speed on it is known"
    soc = case.snapshot.soc.title
    known = case.snapshot.soc.name or case.snapshot.soc.one_of
    if known:
        return f"the tables do not have the memory of {soc}"
    return f"the chip ({soc}) is not in the tables" if soc else "the chip is not known"


def _lacks_arithmetic(case: Case, backend: Backend) -> str:
    """Why nothing follows from the tables for the prompt, as a clause."""
    if backend.about.accelerator:
        gpu = case.snapshot.gpu.model
        return f"the tables do not have the arithmetic rate of {gpu} here" if gpu else "the GPU is not known"
    clusters = case.snapshot.cpu.clusters
    if not clusters:
        return "the cores of the CPU are not known"
    if any(cluster.max_mhz is None for cluster in clusters):
        return "the clocks of the CPU are not known"
    return "the tables do not have what its cores compute in a clock"


def busy(case: Case) -> list[Check]:
    """A remark on measurements that do not count because other programs ran meanwhile, with the figures."""
    rows = [row for row in case.measurements if row.samples_s]
    void = [row for row in rows if row.disturbed]
    seen = trust.busy_found(void)
    if seen is None:
        return []
    where = case.snapshot.origin.noun
    where = where[:1].upper() + where[1:]
    return [
        case.check(
            Question("device", "busy"),
            WARN,
            "conditions.busy",
            found=f"{seen}; {len(void)} of {len(rows)} rows are void",
            required="nothing else that computes meanwhile",
            because=f"{where} is busy ({seen}): {len(void)} of {len(rows)} measured rows do not count, "
            "and no speed is predicted from them.",
            evidence=Evidence.PROBED,
        )
    ]


def disturbed(case: Case, backend: Backend) -> list[Check]:
    """A remark on measurements that do not count because conditions changed."""
    rows = [row for row in case.rows(backend) if not row.valid and not row.disturbed]
    if not rows:
        return []
    return [
        case.check(
            Question(backend, "conditions"),
            WARN,
            "conditions.throttled",
            found=f"{len(rows)} rows: {rows[0].reason or 'conditions changed'}",
            required="the same conditions throughout",
            evidence=case.evidence(backend),
        )
    ]


def job_seconds(case: Case, predicted: Predicted) -> float | None:
    """Time for prompt and answer of the use: what weighs prefill against decode."""
    if predicted.decode_tok_s is None or predicted.prefill_tok_s is None:
        return None
    demand = case.demand
    return (
        demand.prompt_tokens / predicted.prefill_tok_s.value
        + demand.output_tokens / predicted.decode_tok_s.value
    )


def better(case: Case, gpu: Variant, on_gpu: Predicted, on_cpu: Predicted) -> Check | None:
    """The GPU against the CPU with the same weights, for the work of this use; None where one is unknown."""
    here, there = job_seconds(case, on_gpu), job_seconds(case, on_cpu)
    if here is None or there is None or on_gpu.capped != on_cpu.capped:
        return None  # measured in two states, they cannot be compared
    demand = case.demand
    slower = here > there * case.knowledge.thresholds.speed.better_ratio
    both_ran = evidence(on_gpu) is evidence(on_cpu) is Evidence.PROBED
    return case.check(
        Question(gpu, "better"),
        WARN if slower else PASS,
        "gpu.slower-than-cpu",
        found=f"GPU {seconds(here)}, CPU {seconds(there)}",
        required=f"{demand.prompt_tokens} + {demand.output_tokens} tokens sooner than on the CPU",
        because=None if slower else "The GPU finishes the work of this use sooner than the CPU.",
        evidence=Evidence.PROBED if both_ran else Evidence.PREDICTED,
    )
