"""The main job as one function: target -> capture -> snapshot, measurements -> report.

`gemmafit check` calls it once; whatever runs many phones calls it once a phone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .base.bounds import require
from .base.errors import AgentCause, AgentError, InputError, Interrupted, TransportError
from .base.events import Event, Listener, ignore
from .probes.capture import Capture

if TYPE_CHECKING:
    from .benchmarks.measurements import Measurement
    from .benchmarks.states import Span
    from .probes.snapshot import Snapshot
    from .probes.target import Target
    from .profiles.knowledge import Knowledge
    from .reports.report import Report


@dataclass(frozen=True)
class Request:
    """What to do with a target, and what its verdict is about.

    Attributes:
        run: False only probes: nothing of the reference block is executed.
        push: False pushes nothing at all to the device (implies not run).
        backends: run the block only there; () for all.
        quick: fewer repeats and a shorter prefill.
        force: open and run also what a known fault of the device says to leave alone.
        tuning: use, retune or off: see `benchmarks.tuning.Tuning`.
        package: an installed app whose view of the libraries is wanted.
        family, use, decode_tok_s, ttft_s, prompt_tokens, context: see `judge.case.Options`.
        knowledge: None for the built-in tables.

    Raises UsageError for a number that is none or out of its range.
    """

    run: bool = True
    push: bool = True
    backends: tuple[str, ...] = ()
    quick: bool = False
    force: bool = False
    tuning: str = "off"
    package: str | None = None
    family: str = "gemma-2b"
    use: str = "chat"
    decode_tok_s: float | None = None
    ttft_s: float | None = None
    prompt_tokens: int | None = None
    context: int | None = None
    knowledge: Knowledge | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require(vars(self))


@dataclass(frozen=True)
class Examination:
    """All that one examination yielded.

    Attributes:
        broken: what ended it before its time, or None. The report then covers what came until there.
    """

    capture: Capture
    snapshot: Snapshot
    measurements: tuple[Measurement, ...]
    report: Report
    broken: TransportError | Interrupted | None = None


def examine(target: Target, request: Request, on_event: Listener = ignore) -> Examination:
    """Probe, run the block, judge. A device that is lost on the way leaves a partial report, and so does
    Ctrl-C once something was measured.

    Raises TargetError if the target was never there; everything later is in `broken`.
    """
    from .judge.judge import Options, judge
    from .judge.references import load
    from .probes.agent_causes import of_error
    from .probes.collect import collect, problem_row
    from .probes.files import sha256
    from .probes.read import read

    knowledge = request.knowledge or load()
    broken: TransportError | Interrupted | None = None
    rows: list[Measurement] = []
    spans: list[Span] = []
    capture = Capture(kind=target.kind, recorded={"serial": target.serial})
    try:
        capture = collect(
            target,
            push=request.push,
            package=request.package,
            force=request.force,
            knowledge=knowledge,
            on_event=on_event,
        )
    except TransportError as error:
        broken = error
    snapshot = read(capture, knowledge.tables)
    broken = broken or broke(target, snapshot, knowledge)
    if broken is None:
        try:
            _measure(target, capture, snapshot, request, knowledge, on_event, rows, spans)
        except TransportError as error:
            broken = error
            capture = replace(capture, agent={**(capture.agent or {}), **problem_row(of_error(error))})
            snapshot = read(capture, knowledge.tables)
        except KeyboardInterrupt:
            if not rows:
                raise
            broken = Interrupted(f"interrupted after {len(rows)} measurements")
        agent = {**(capture.agent or {}), "measurements": [row.to_dict() for row in rows]}
        if spans:
            agent["states"] = [span.to_dict() for span in spans]
        capture = replace(capture, agent=agent) if rows else capture
    on_event(Event("judge", "judging"))
    report = judge(
        snapshot,
        rows,
        knowledge,
        Options(
            family=request.family,
            use=request.use,
            decode_tok_s=request.decode_tok_s,
            ttft_s=request.ttft_s,
            prompt_tokens=request.prompt_tokens,
            context=request.context,
        ),
        capture_sha256=sha256(capture),
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        serial=target.serial,
        spans=spans,
    )
    if broken is not None:
        report = replace(report, extra={**report.extra, "incomplete": str(broken)})
    return Examination(capture, snapshot, tuple(rows), report, broken)


def broke(target: Target, snapshot: Snapshot, knowledge: Knowledge) -> TransportError | None:
    """The error for a run that ended because the agent did not run; None where it did, or was not asked for.

    A recording of such a run is judged like any other.
    """
    problem = snapshot.agent_problem
    if problem is None or not problem.ended or target.kind == "replay":
        return None
    hint = knowledge.reasons[problem.reason].remedy
    if problem.cause is AgentCause.LOST:
        return TransportError(problem.sentence, serial=target.serial, hint=hint)
    return AgentError(problem.clause, cause=problem.cause, serial=target.serial, hint=hint)


def _measure(
    target: Target,
    capture: Capture,
    snapshot: Snapshot,
    request: Request,
    knowledge: Knowledge,
    on_event: Listener,
    rows: list[Measurement],
    spans: list[Span],
) -> None:
    """Fill `rows` and `spans`: run the block now, or read back what a recording holds.

    Raises TransportError on the way, with the rows until then in place.
    """
    if target.kind == "replay":
        rows += recorded_measurements(capture, target.serial)
        spans += recorded_spans(capture, target.serial)
    elif request.run and request.push:
        from .base.names import Backend
        from .benchmarks.run import Options, measure
        from .benchmarks.tuning import Tuning
        from .profiles.hazards import not_run

        options = Options(
            backends=request.backends,
            quick=request.quick,
            tuning=Tuning(request.tuning),
            classes=knowledge.kernels,
            hazards=not_run(Backend, snapshot, knowledge),
            force=request.force,
        )
        measure(target, snapshot, options, on_event, into=rows, spans=spans)


def recorded_spans(capture: Capture, name: str) -> list[Span]:
    """The states that a capture holds. Raises InputError, with `name`, where they cannot be read."""
    from .benchmarks.states import spans

    try:
        return spans((capture.agent or {}).get("states"))
    except ValueError as error:
        raise InputError(f"{name}: agent.states: {error}") from error


def recorded_measurements(capture: Capture, name: str) -> list[Measurement]:
    """The rows that a capture holds. Raises InputError, with `name`, where they cannot be read."""
    from .benchmarks.measurements import Measurement

    recorded = (capture.agent or {}).get("measurements") or ()
    try:
        return [Measurement.from_dict(row) for row in recorded]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{name}: agent.measurements: {error}") from error
