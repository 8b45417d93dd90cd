"""The main job as one function: target -> capture -> snapshot, measurements -> report.

`examine` is that function: `gemmafit check` calls it once, whatever runs many phones calls it once a phone.
The functions after it are the Python API (docs/api.md), which `import gemmafit` hands on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import ValidationError
from msgspec.structs import fields

from .base.errors import (
    AgentCause,
    AgentError,
    GemmafitError,
    InputError,
    Interrupted,
    TransportError,
    UsageError,
)
from .base.events import Event, Listener, ignore
from .base.options import Options, Request
from .base.typed import convert
from .base.units import timestamp
from .probes.capture import Capture

if TYPE_CHECKING:
    from .benchmarks.measurements import Measurement
    from .benchmarks.states import Span
    from .probes.snapshot import Snapshot
    from .probes.target import Target
    from .probes.targets import Device
    from .profiles.knowledge import Knowledge
    from .reports.report import Report


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


def examine(
    target: Target, request: Request, on_event: Listener = ignore, *, knowledge: Knowledge | None = None
) -> Examination:
    """Probe, run the block, judge. A device that is lost on the way leaves a partial report, and so does
    Ctrl-C once something was measured.

    Args:
        knowledge: where it is at hand, else what `request.profiles` says.

    Raises TargetError if the target was never there; everything later is in `broken`. InputError for a bad
    folder of knowledge.
    """
    from .judge.judge import judge
    from .judge.references import load
    from .probes.agent_causes import of_error
    from .probes.collect import collect, problem_row
    from .probes.files import sha256
    from .probes.read import read

    knowledge = knowledge or load(_folder(request.profiles))
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
        capture = _with_rows(capture, rows, spans)
    on_event(Event("judge", "judging"))
    report = judge(
        snapshot,
        rows,
        knowledge,
        request,
        capture_sha256=sha256(capture),
        created=timestamp(),
        serial=target.serial,
        spans=spans,
    )
    if broken is not None:
        report = replace(report, extra={**report.extra, "incomplete": str(broken)})
    return Examination(capture, snapshot, tuple(rows), report, broken)


def _with_rows(capture: Capture, rows: Sequence[Measurement], spans: Sequence[Span]) -> Capture:
    """The capture with what was measured, and the device's states around that."""
    if not rows:
        return capture
    agent = {**(capture.agent or {}), "measurements": [row.to_dict() for row in rows]}
    if spans:
        agent["states"] = [span.to_dict() for span in spans]
    return replace(capture, agent=agent)


def broke(target: Target, snapshot: Snapshot, knowledge: Knowledge) -> TransportError | None:
    """The error for a run that ended because the agent did not run; None where it did, or was not asked for.

    A recording of such a run is judged like any other.
    """
    problem = snapshot.agent_problem
    if problem is None or not problem.ended or target.recording is not None:
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
    if target.recording is not None:
        rows += recorded_measurements(target.recording, target.serial)
        spans += recorded_spans(target.recording, target.serial)
    elif request.run and request.push:
        from .base.names import MEASURED
        from .benchmarks.run import BlockOptions, measure
        from .benchmarks.tuning import Tuning
        from .profiles.hazards import not_run

        options = BlockOptions(
            backends=request.backends,
            quick=request.quick,
            tuning=Tuning(request.tuning),
            classes=knowledge.kernels,
            hazards=not_run(MEASURED, snapshot, knowledge),
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


class Incomplete(GemmafitError):
    """The run broke before its end, or Ctrl-C ended it. What came until there is kept here.

    Attributes:
        report: what can be said, naming what is missing (`report.extra["incomplete"]`); None where nothing
            was judged.
        capture: what the device answered.
    """

    def __init__(self, broken: GemmafitError, capture: Capture, report: Report | None = None) -> None:
        super().__init__(str(broken), hint=broken.hint)
        self.exit_code = broken.exit_code
        self.capture = capture
        self.report = report


def check(
    target: str | Capture | None = None,
    *,
    family: str = "gemma-2b",
    use: str = "chat",
    decode_tok_s: float | None = None,
    ttft_s: float | None = None,
    prompt_tokens: int | None = None,
    context: int | None = None,
    runtime_version: str | None = None,
    backends: Sequence[str] = (),
    quick: bool = False,
    run: bool = True,
    push: bool = True,
    force: bool = False,
    tuning: str = "use",
    package: str | None = None,
    profiles: Path | str | None = None,
    adb: str | None = None,
    on_event: Listener = ignore,
) -> Report:
    """Will Gemma run there? Probes the target, runs the reference block and judges, as `gemmafit check`.

    Args:
        target: as on the command line: None for the one connected phone, an adb serial, `HOST:PORT`, `local`
            or `replay:FILE`. A capture (from `record` or `read_capture`) is judged as it is; nothing runs.
        family: a row of families.yaml that the verdict is about, or `any`.
        use: what the model will do: `chat`, `summarise` or `offline-batch`.
        decode_tok_s: fast enough, tokens/s; None for the default of the use.
        ttft_s: fast enough, seconds to the first token; None likewise.
        prompt_tokens: length of the prompt that `ttft_s` is about.
        context: tokens of prompt and answer together that must fit.
        runtime_version: the release of a runtime that the app has, as `litert-lm=0.12.0`; None: the newest.
        backends: run the block only on these of `cpu`, `opencl`, `vulkan`; all if empty.
        quick: fewer repeats and a shorter prefill.
        run: False probes and predicts, and runs no kernel.
        push: False puts nothing on the phone (and so runs nothing).
        force: open and run also what a known fault of the device says to leave alone.
        tuning: `use` the fastest variant remembered of such a device, `retune`, or `off`.
        package: judge library access for this installed app.
        profiles: a folder with knowledge of your own, laid over the built-in.
        adb: `HOST:PORT` of the adb server, None for the usual one.
        on_event: called with each `base.events.Event` of progress, from this thread or another.

    Raises UsageError for a bad argument, TargetError where there is no such target, and Incomplete, with the
    report on what came until there, where the run broke.
    """
    request = _asked(Request, {**locals(), "profiles": None if profiles is None else str(profiles)})
    found = examine(_target(target, adb), request, on_event)
    if found.broken is not None:
        raise Incomplete(found.broken, found.capture, found.report) from found.broken
    return found.report


def estimate(
    gpu: str,
    ram_gb: float | None = None,
    *,
    soc: str | None = None,
    cpu: str | None = None,
    android: int | None = None,
    driver: str | None = None,
    family: str = "gemma-2b",
    use: str = "chat",
    decode_tok_s: float | None = None,
    ttft_s: float | None = None,
    prompt_tokens: int | None = None,
    context: int | None = None,
    runtime_version: str | None = None,
    profiles: Path | str | None = None,
) -> Report:
    """What the judge says of a phone that is not at hand: the same rules as `check`, on what is stated here.

    What nearly every phone of that kind fulfils is assumed, and `report.notes` says what; all else that is
    not stated is unknown. `report.variants` has the speed and memory of every model file, with intervals.

    Args:
        gpu: as the specification writes it: `Adreno 740`, `Mali-G610 MC6`.
        ram_gb: GiB of memory as the phone is sold.
        soc: name or part number; None takes it from the GPU where only one SoC has it.
        cpu: cores and clocks, e.g. `4xCortex-A53@1500`; None takes them from the SoC.
        android: API level (34 is Android 14).
        driver: the GPU driver's version as the phone states it.
        family, use, decode_tok_s, ttft_s, prompt_tokens, context, runtime_version, profiles: as for `check`.

    Raises UsageError for a GPU or SoC that no table knows.
    """
    asked = _asked(Options, locals())
    from .judge.estimate import estimate as judged
    from .judge.references import load

    return judged(
        gpu=gpu,
        ram_gb=ram_gb,
        knowledge=load(_folder(profiles)),
        soc=soc,
        cpu=cpu,
        sdk=android,
        driver=driver,
        options=asked,
        created=timestamp(),
    )


def record(
    target: str | None = None,
    *,
    measure: bool = False,
    push: bool = True,
    package: str | None = None,
    force: bool = False,
    keep_identifiers: bool = False,
    adb: str | None = None,
    on_event: Listener = ignore,
) -> Capture:
    """A phone's raw answers, to be judged now or years later by `check`, as `gemmafit record`.

    Args:
        target: see `check`.
        measure: also run the reference block and keep its measurements.
        push: False asks only; no agent is put on the phone.
        package: also ask about an installed app.
        force: open drivers that a known fault says to leave alone, too.
        keep_identifiers: False replaces serial numbers, addresses and accounts by zeros.
        adb: `HOST:PORT` of the adb server, None for the usual one.
        on_event: see `check`.

    Raises UsageError, TargetError, and Incomplete where the phone was lost on the way.
    """
    from .judge.references import load
    from .probes.collect import collect
    from .probes.read import read
    from .probes.redact import redact

    if measure and not push:
        raise UsageError("measuring needs the agent, which may not be pushed")
    device = _target(target, adb)
    broken: TransportError | Interrupted | None
    report: Report | None = None
    if measure:
        found = examine(device, Request(package=package, force=force), on_event)
        capture, broken, report = found.capture, found.broken, found.report
    else:
        knowledge = load()
        capture = collect(
            device, push=push, package=package, force=force, knowledge=knowledge, on_event=on_event
        )
        broken = broke(device, read(capture, knowledge.tables), knowledge)
    if not keep_identifiers:
        capture = redact(capture)
    if broken is not None:
        raise Incomplete(broken, capture, report) from broken
    return capture


def devices(adb: str | None = None) -> list[Device]:
    """The phones that adb lists, each with its `serial`, `state`, `usable` and, where it is not, `advice`.

    Raises TargetError if there is no adb server to ask.
    """
    from .probes.targets import devices as connected

    return connected(adb)


def read_report(path: Path | str) -> Report:
    """A report from its YAML or JSON file. Raises InputError on anything that is not one."""
    from .reports.report_io import load

    return load(Path(path))


def read_capture(path: Path | str) -> Capture:
    """A recording from its file. Raises InputError on anything that is not one."""
    from .probes.files import read_capture as read

    return read(Path(path))


def write(value: Report | Capture, path: Path | str) -> None:
    """Write a report, in the format that the file's ending means, or a recording (YAML); whole or not at all.

    `.yaml` and `.json` are read again by `read_report`; `.md` and `.xml` (JUnit) are for people and for CI,
    and `.html` is a page.

    Raises UsageError where the file cannot be written.
    """
    from .base.files import write as write_file

    path = Path(path)
    if isinstance(value, Capture):
        from .probes.files import dump_capture

        text = dump_capture(value)
    elif path.suffix.lower() in (".html", ".htm"):
        from .reports.pages.render import report_page

        text = report_page(value)
    else:
        from .base.names import ReportFormat
        from .reports.writers import writer

        text = writer(ReportFormat.of_file(path.suffix))(value)
    write_file(path, text)


Asked = TypeVar("Asked", bound=Options)


def _asked(kind: type[Asked], arguments: Mapping[str, object]) -> Asked:
    """The fields of `kind` among a function's arguments. Raises UsageError for a value that none may have."""
    try:
        return convert({name: arguments[name] for name in kind.__struct_fields__}, kind)
    except ValidationError as error:
        if isinstance(error.__cause__, UsageError):
            raise error.__cause__ from None
        types = {field.name: str(field.type) for field in fields(kind)}
        name = next((name for name in types if f"$.{name}" in str(error)), "")
        words = re.findall(r"'([^']+)'", types.get(name, ""))
        raise UsageError(str(error), hint=f"{name} takes {', '.join(words)}" if words else None) from error


def _target(target: str | Capture | None, adb: str | None) -> Target:
    from .probes.replay import ReplayTarget
    from .probes.targets import resolve

    return ReplayTarget(target) if isinstance(target, Capture) else resolve(target, adb)


def _folder(profiles: Path | str | None) -> Path | None:
    return None if profiles is None else Path(profiles)
