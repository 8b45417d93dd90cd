"""The main job as one function: target -> capture -> snapshot, measurements -> report.

`gemmafit check` calls it once; whatever runs many phones calls it once a phone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .errors import TransportError
from .events import Event, Listener, ignore
from .probes.capture import Capture

if TYPE_CHECKING:
    from .benchmarks.measurements import Measurement
    from .benchmarks.run import MeasureOptions
    from .probes.snapshot import Snapshot
    from .probes.target import Target
    from .profiles.judge import Options
    from .profiles.knowledge import Knowledge
    from .profiles.report import Report


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
    broken: TransportError | None = None


@dataclass(frozen=True)
class Request:
    """What to do with a target.

    Attributes:
        run: False only probes: nothing of the reference block is executed.
        push: False pushes nothing at all to the device (implies not run).
        package: an installed app whose view of the libraries is wanted.
    """

    run: bool = True
    push: bool = True
    package: str | None = None
    measure: MeasureOptions | None = None
    judge: Options | None = None
    knowledge: Knowledge | None = field(default=None, repr=False)


def examine(target: Target, request: Request, on_event: Listener = ignore) -> Examination:
    """Probe, run the block, judge. A device that is lost on the way leaves a partial report.

    Raises TargetError if the target was never there; everything later is in `broken`.
    """
    from .benchmarks.measurements import Measurement
    from .benchmarks.run import MeasureOptions, measure
    from .probes.collect import collect
    from .probes.files import sha256
    from .probes.read import read
    from .profiles.judge import Options, judge
    from .profiles.knowledge import load

    knowledge = request.knowledge or load()
    broken: TransportError | None = None
    rows: list[Measurement] = []
    capture = Capture(kind=target.kind, recorded={"serial": target.serial})
    try:
        capture = collect(target, push=request.push, package=request.package, on_event=on_event)
    except TransportError as error:
        broken = error
    snapshot = read(capture)
    recorded = (capture.agent or {}).get("measurements") or []
    if target.kind == "replay":
        rows = [Measurement.from_dict(row) for row in recorded]
    elif broken is None and request.run and request.push:
        try:
            rows = list(measure(target, snapshot, request.measure or MeasureOptions(), on_event))
        except TransportError as error:
            broken = error
        capture = replace(
            capture, agent={**(capture.agent or {}), "measurements": [row.to_dict() for row in rows]}
        )
    on_event(Event("judge", "judging"))
    report = judge(
        snapshot,
        rows,
        knowledge,
        request.judge or Options(),
        capture_sha256=sha256(capture),
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
    if broken is not None:
        report = replace(report, extra={**report.extra, "incomplete": str(broken)})
    return Examination(capture, snapshot, tuple(rows), report, broken)
