"""A model file on disk against the catalogue and against a phone: which file is it, and will it run there?

The file decides first: one that is incomplete or under the wrong extension loads nowhere. All the rest is
the judge's answer: about a file of the catalogue what the phone's report says, about any other what the judge
says of a row of the catalogue that is made from the file's header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from ..base.names import Backend, CheckStatus, Evidence, Scope
from ..base.options import Options
from ..base.units import percent
from ..benchmarks.measurements import Measurement
from ..probes.modelfile import CONTAINERS, PARTIAL, Finding, ModelFile, Severity
from ..probes.modelfile.litertlm import UNCONSTRAINED
from ..probes.snapshot import Snapshot
from ..profiles.knowledge import Knowledge, Model, Quantisation, Revision, Runtime
from ..reports.report import Check, Report, VariantResult
from .case import Case, worst
from .judge import judge_files


class RecognisedBy(StrEnum):
    """By what a file was recognised, in falling order of trust."""

    SHA256 = "sha256"
    SIZE = "size"
    NAME = "name"


@dataclass(frozen=True)
class Recognised:
    """The catalogue's row for a file, or None, and what differs from it."""

    model: Model | None = None
    how: RecognisedBy | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Fit:
    """The judge's answer about the file on one backend.

    Attributes:
        checks: what it rests on; of a report all that it holds about that.
        reasons: codes of everything that is not fine.
    """

    backend: str
    status: CheckStatus
    checks: tuple[Check, ...]
    reasons: tuple[str, ...] = ()


def identify(file: ModelFile, knowledge: Knowledge) -> Recognised:
    """Find a file in the catalogue by digest (if it was computed), exact size, then name."""
    rows = list(knowledge.models.values())
    digest = file.sha256
    for row in rows:
        if digest is not None and digest in row.sha256:
            return Recognised(row, RecognisedBy.SHA256, _naming(file, row))
    name = _plain_name(file)
    named = [row for row in rows if row.file == name]
    sized = [row for row in rows if row.bytes == file.size]
    if same := [row for row in sized if row in named] or sized:
        return Recognised(same[0], RecognisedBy.SIZE, (*_naming(file, same[0]), *_digest(file, same[0])))
    if former := [row for row in named or rows if _earlier(row, file.size) is not None]:
        return Recognised(former[0], RecognisedBy.SIZE, (*_naming(file, former[0]), _former(file, former[0])))
    if named:
        row = min(named, key=lambda r: abs(r.size - file.size))
        return Recognised(row, RecognisedBy.NAME, (*_size(file, row), *_digest(file, row)))
    return Recognised(findings=(*_embedder(file, knowledge), *_no_runtime(file, knowledge)))


def _embedder(file: ModelFile, knowledge: Knowledge) -> tuple[Finding, ...]:
    """That it turns texts into vectors, of a file of that table."""
    name = _plain_name(file)
    row = next(
        (
            row
            for row in knowledge.embedders.values()
            if row.file == name or row.bytes == file.size or (file.sha256 and file.sha256 == row.sha256)
        ),
        None,
    )
    if row is None:
        return ()
    length = f" of at most {row.context} tokens" if row.context else ""
    where = ", ".join(row.backends)
    text = f"{row.title} ({row.repository}): it turns a text{length} into a vector, on {where}. {row.because}"
    return (Finding("embedder", Severity.NOTE, text),)


def _plain_name(file: ModelFile) -> str:
    """The file's name without what browsers add: the ending of a partial download, the number of a copy."""
    name = Path(file.path).name
    name = name.removesuffix(Path(name).suffix) if Path(name).suffix.lower() in PARTIAL else name
    return re.sub(r" ?\(\d{1,3}\)(?=\.\w+$)", "", name)


def _runtime(file: ModelFile, knowledge: Knowledge) -> Runtime | None:
    """The first runtime that loads files of this format: the one that they are made for."""
    container = CONTAINERS.get(file.format)
    return next((r for r in knowledge.runtimes.values() if container and container.format in r.formats), None)


def _no_runtime(file: ModelFile, knowledge: Knowledge) -> tuple[Finding, ...]:
    if file.format not in CONTAINERS or _runtime(file, knowledge) is not None:
        return ()
    names = ", ".join(runtime.title for runtime in knowledge.runtimes.values())
    other = CONTAINERS[file.format].runs_with
    text = f"{other} runs it; " if other else ""
    text += f"no runtime that gemmafit judges loads a {file.format} file ({names})"
    remedy = (
        f"Run it with {other}, or get the .litertlm of the model."
        if other
        else "Get the .litertlm of the model."
    )
    return (Finding("no-runtime", Severity.ERROR, text, remedy),)


def _earlier(row: Model, size: int) -> Revision | None:
    """What was published under the row's name before, if it had this size."""
    return next((revision for revision in row.earlier if revision.bytes == size), None)


def _former(file: ModelFile, row: Model) -> Finding:
    found = _earlier(row, file.size)
    which = f" ({found.revision})" if found is not None and found.revision else ""
    newer = f"; the one of today has {row.bytes} bytes" if row.bytes is not None else ""
    return Finding("earlier-revision", Severity.NOTE, f"an earlier revision{which} of {row.file}{newer}")


def _naming(file: ModelFile, row: Model) -> tuple[Finding, ...]:
    if Path(file.path).name == row.file:
        return ()
    return (Finding("renamed", Severity.NOTE, f"published under the name {row.file}"),)


def _digest(file: ModelFile, row: Model) -> tuple[Finding, ...]:
    if file.sha256 is None or not row.sha256 or file.sha256 in row.sha256:
        return ()
    text = f"its SHA-256 is none of those known for {row.file}: another revision, or damaged"
    return (Finding("other-digest", Severity.WARNING, text, "Compare with the digest on the download page."),)


def _size(file: ModelFile, row: Model) -> tuple[Finding, ...]:
    if file.format not in CONTAINERS:
        return ()  # the size of an error page or an archive says nothing of the model's
    share = file.size / row.size
    if row.bytes is not None and share < 0.98 and not file.complete:
        text = (
            f"{file.size} of {row.bytes} bytes ({percent(share)}) of {row.file}: the download is incomplete"
        )
        return (Finding("short", Severity.ERROR, text, "Download it again."),)
    if row.bytes is None and 0.97 < share < 1.03:
        return ()  # only the approximate size is published
    text = f"{file.size} bytes where {row.size} are known for {row.file}: another revision"
    return (Finding("other-size", Severity.WARNING, text),)


def will_run(
    file: ModelFile,
    identity: Recognised,
    snapshot: Snapshot,
    knowledge: Knowledge,
    *,
    report: Report | None = None,
    measurements: Sequence[Measurement] = (),
    options: Options = Options(),  # noqa: B008  (frozen)
) -> tuple[Fit, ...]:
    """One answer per backend that the file is for, on that device.

    Args:
        report: on the device, if there is one; it answers about the files it lists.
        measurements: what ran on the device.
    """
    own = [_about_file(f) for f in (*file.findings, *identity.findings) if f.severity is Severity.ERROR]
    row = _row(file, identity.model, knowledge)
    known, unknown = _backends(file, identity.model)
    found: list[Fit] = []
    if row is None:
        found = [Fit(backend, CheckStatus.UNKNOWN, ()) for backend in known]
    elif not known:
        pass
    elif report is not None and (listed := _listed(report, row)):
        found = [_reported(report, variant) for variant in listed]
    else:
        catalogue = msgspec.structs.replace(knowledge, models={row.id: row})
        case = Case(snapshot, tuple(measurements), catalogue, options)
        found = [Fit(str(j.variant.backend), j.status, j.checks, j.reasons) for j in judge_files(case)]
    found += [Fit(name, CheckStatus.UNKNOWN, ()) for name in unknown]
    return tuple(
        Fit(fit.backend, worst([fit.status, *(c.status for c in own)]), (*own, *fit.checks), fit.reasons)
        for fit in found
    )


def _listed(report: Report, row: Model) -> list[VariantResult]:
    """What a report has about a file on each of its backends; nothing where it does not have all."""
    listed = {v.backend: v for v in report.variants if v.id == row.id}
    return [listed[b] for b in row.listed_on] if set(row.listed_on) <= listed.keys() else []


def _reported(report: Report, variant: VariantResult) -> Fit:
    """A report's own answer about a file: what it says of it, of its runtime and of its backend."""
    own = [c for c in report.checks if (c.variant, c.backend) == (variant.id, variant.backend)]
    shared = [c for c in report.checks if c.variant is None and c.reason in variant.reasons]
    return Fit(variant.backend, variant.status, (*shared, *own), variant.reasons)


def _backends(file: ModelFile, model: Model | None) -> tuple[list[Backend], list[str]]:
    """What a file is for: the backends, and the names that mean none of those we know."""
    declared = file.backends or (model.backends if model is not None else None) or UNCONSTRAINED
    known = {name: Backend.of(name) for name in declared}
    backends = dict.fromkeys(backend for backend in known.values() if backend is not None)
    return list(backends), [name for name, backend in known.items() if backend is None]


def _row(file: ModelFile, known: Model | None, knowledge: Knowledge) -> Model | None:
    """The catalogue's row with the backends that the file declares; of another file one made from its header;
    None where no runtime loads its format.

    What a header does not say stays unknown: above all the network, so that no speed is predicted.
    """
    backends = tuple(_backends(file, known)[0])
    if known is not None:
        if (former := _earlier(known, file.size)) is not None:
            known = msgspec.structs.replace(known, needs=former.needs)
        return msgspec.structs.replace(known, backends=backends) if known.backends else known
    runtime = _runtime(file, knowledge)
    if runtime is None:
        return None
    largest = max(file.tensors, key=lambda group: group.elements, default=None)
    bits: Any = largest.bits if largest is not None else 8
    return Model(
        id="file",
        file=Path(file.path).name,
        family="",
        architecture="",
        runtime=runtime.id,
        format=CONTAINERS[file.format].format,
        repository="",
        bits=Quantisation(bits, bits, bits),
        backends=backends,
        context=file.context or 1 << 20,
        about_bytes=max(file.size, sum(group.bytes for group in file.tensors), 1),
        npu_soc=(file.npu[1] or None) if file.npu is not None else None,
        because="made from the file's header",
        source="the file's own tables",
    )


def _about_file(finding: Finding) -> Check:
    return Check(
        id=f"file.{finding.code}",
        status=CheckStatus.FAIL,
        scope=str(Scope.DEVICE),
        evidence=Evidence.PREDICTED,
        found=finding.text,
        required="a complete file of the format its extension names",
        because="The runtimes refuse such a file.",
        remedy=finding.remedy,
        source="the file's own tables",
    )
