"""A model file on disk against the catalogue and against a phone: which file is it, and will it load there?

The file decides first: one that is incomplete or under the wrong extension loads nowhere. Then come the
judge's own rules about runtime, backend and memory, for every backend that the file allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..base.names import CheckStatus, Evidence, Scope
from ..probes.modelfile import Finding, Format, ModelFile, Severity
from ..probes.snapshot import Snapshot
from ..profiles.knowledge import Knowledge, Model, Revision
from ..reports.report import Check
from .case import Case, Options, Variant, megabytes, worst
from .predict import predict
from .rules import correct, fits, loads

RUNTIME = {Format.TFLITE: "tasks-genai", Format.TASK: "tasks-genai", Format.LITERTLM: "litert-lm"}
"""The engine that a format was made for, where the catalogue does not know the file."""

_BACKENDS = {"gpu": "opencl", "gpu_artisan": "opencl", "cpu_artisan": "cpu", "google_tensor_artisan": "npu"}
"""Names that files use -> those of reports."""


class How(StrEnum):
    """By what a file was recognised, in falling order of trust."""

    SHA256 = "sha256"
    SIZE = "size"
    NAME = "name"


@dataclass(frozen=True)
class Identity:
    """The catalogue's row for a file, or None, and what differs from it."""

    model: Model | None = None
    how: How | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Fit:
    """Whether the file loads on one backend: the worst of its checks."""

    backend: str
    status: CheckStatus
    checks: tuple[Check, ...]


def identify(file: ModelFile, models: Iterable[Model]) -> Identity:
    """Find a file in the catalogue by digest (if it was computed), exact size, then name."""
    rows = list(models)
    digest = file.sha256
    for row in rows:
        if digest is not None and digest in row.sha256:
            return Identity(row, How.SHA256, _naming(file, row))
    named = [row for row in rows if row.file == Path(file.path).name]
    sized = [row for row in rows if row.bytes == file.size]
    if same := [row for row in sized if row in named] or sized:
        return Identity(same[0], How.SIZE, (*_naming(file, same[0]), *_digest(file, same[0])))
    if former := [row for row in named or rows if _earlier(row, file.size) is not None]:
        return Identity(former[0], How.SIZE, (*_naming(file, former[0]), _former(file, former[0])))
    if named:
        row = min(named, key=lambda r: abs(r.size - file.size))
        return Identity(row, How.NAME, (*_size(file, row), *_digest(file, row)))
    return Identity()


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
    share = file.size / row.size
    if row.bytes is not None and share < 0.98 and not file.complete:
        text = f"{file.size} of {row.bytes} bytes ({share:.0%}) of {row.file}: the download is incomplete"
        return (Finding("short", Severity.ERROR, text, "Download it again."),)
    if row.bytes is None and 0.97 < share < 1.03:
        return ()  # only the approximate size is published
    text = f"{file.size} bytes where {row.size} are known for {row.file}: another revision"
    return (Finding("other-size", Severity.WARNING, text),)


def will_load(
    file: ModelFile,
    identity: Identity,
    snapshot: Snapshot,
    knowledge: Knowledge,
    options: Options | None = None,
) -> tuple[Fit, ...]:
    """One answer per backend that the file is for, on that device."""
    case = Case(snapshot, (), knowledge, options or Options())
    own = [_about_file(f) for f in (*file.findings, *identity.findings) if f.severity is Severity.ERROR]
    return tuple(_fit(case, file, identity, backend, own) for backend in _backends(file, identity.model))


def _backends(file: ModelFile, model: Model | None) -> list[str]:
    declared = file.backends or (model.backends if model is not None else None) or ("cpu", "gpu")
    return list(dict.fromkeys(_BACKENDS.get(name, name) for name in declared))


def _fit(case: Case, file: ModelFile, identity: Identity, backend: str, own: list[Check]) -> Fit:
    runtime = case.knowledge.runtimes.get(
        identity.model.runtime if identity.model is not None else RUNTIME.get(file.format, "")
    )
    checks = list(own)
    if runtime is not None:
        checks += [*loads.runtime_loads(case, runtime), *loads.emulator(case, runtime)]
        checks += loads.opencl_of(case, runtime) if backend == "opencl" else []
    if backend in ("cpu", "opencl"):
        checks += [loads.backend_visible(case, backend), loads.backend_capable(case, backend)]
    if backend == "npu":
        checks.append(_npu(case, file, identity.model))
    if identity.model is not None:
        checks += _of_row(case, Variant(identity.model, backend))
    else:
        checks.append(_memory(case, file, backend))
    return Fit(backend, worst([check.status for check in checks]), tuple(checks))


def _of_row(case: Case, variant: Variant) -> list[Check]:
    """The judge's rules about a file of the catalogue."""
    context = min(case.demand.context, variant.model.context)
    predicted = predict(variant.model, variant.backend, case.snapshot, (), case.knowledge, context=context)
    checks = [
        *correct.known_faults(case, variant),
        *fits.memory(case, variant, predicted),
        *fits.buffers(case, variant),
        *fits.storage(case, variant),
    ]
    return checks if variant.backend == "npu" else [*loads.file_is_for_device(case, variant), *checks]


def _memory(case: Case, file: ModelFile, backend: str) -> Check:
    """A file nobody knows: its weights alone have to fit."""
    weights = sum(model.weight_bytes for model in file.models) or file.size
    room = fits.budget(case)
    status = CheckStatus.UNKNOWN if room is None or weights <= room else CheckStatus.FAIL
    return Check(
        id=f"file.{backend}.memory",
        status=status,
        scope=str(Scope.DEVICE),
        evidence=Evidence.PREDICTED,
        found="not known" if room is None else f"about {megabytes(room)} for one app",
        required=f"more than {megabytes(weights)}, the weights alone",
        because="The file is not in the catalogue, so what the engine adds to its weights is not known."
        if status is CheckStatus.UNKNOWN
        else "The weights alone are larger than what an app gets.",
        source="the file's own tables",
    )


def _npu(case: Case, file: ModelFile, model: Model | None) -> Check:
    """The SoC a file was compiled for against this one."""
    wanted = file.npu[1] if file.npu is not None else model.npu_soc if model is not None else None
    soc = case.snapshot.soc
    names = [name for name in (soc.model, soc.name) if name]
    matches = wanted is not None and any(_same_soc(wanted, name) for name in names)
    status = CheckStatus.UNKNOWN if wanted is None or not names or matches else CheckStatus.FAIL
    return Check(
        id="file.npu.soc",
        status=status,
        scope=str(Scope.DEVICE),
        evidence=Evidence.PREDICTED,
        found=", ".join(names) or "not known",
        required=wanted or "not stated by the file",
        because="A model compiled for an NPU runs on exactly that SoC; nothing here ran it.",
        source="google-ai-edge/LiteRT-LM schema/model_info/model_info.cc@262c3af (LiteRtStamp)",
    )


def _same_soc(a: str, b: str) -> bool:
    plain = [name.casefold().replace("_", " ").replace("-", " ") for name in (a, b)]
    return plain[0] in plain[1] or plain[1] in plain[0]


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
