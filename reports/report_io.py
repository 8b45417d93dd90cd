"""Reports as files: to plain data, to text, and back. One place that knows versions and limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, cast

import msgspec

from ..base import typed
from ..base.errors import InputError
from ..base.files import read_text
from ..base.yaml_input import load_yaml
from ..benchmarks.measurements import Measurement
from .report import SCHEMA, Check, Recommendation, Report

MAX_BYTES = 32 << 20
"""A report is some 50 KB; a file far beyond that is not one."""

FAMILY = SCHEMA.partition("/")[0]


_Texts = dict[str, str | int | bool | None]


class _Cluster(TypedDict, total=False):
    core: str | None
    count: int | None


class _Cpu(TypedDict, total=False):
    clusters: list[_Cluster] | None


class _Device(TypedDict, total=False):
    """What those who read a report rely on in `device`: the shape of its parts where they are there."""

    manufacturer: str | None
    brand: str | None
    model: str | None
    device: str | None
    soc: dict[str, str | list[str] | None] | None
    android: _Texts | None
    abis: list[str] | None
    bits: int | None
    ram_bytes: int | None
    cpu: _Cpu | None
    gpu: _Texts | None
    emulator: bool | None


class _Shape(TypedDict, total=False):
    device: _Device


def to_dict(report: Report) -> dict[str, Any]:
    """Plain data in the contract's order: `schema` first, then the fields as declared."""
    data = cast(dict[str, Any], msgspec.to_builtins(dataclasses.replace(report, measurements=())))
    data["measurements"] = [msgspec.to_builtins(row.to_dict()) for row in report.measurements]
    extra = data.pop("extra")
    return {"schema": data.pop("schema"), **data, **extra}


def from_dict(data: object, name: str = "report") -> Report:
    """The inverse of `to_dict`. Unknown additive keys are kept in `extra`.

    Raises InputError naming the key that is wrong, or the version if it is not /1.
    """
    if not isinstance(data, dict):
        raise InputError(f"{name}: not a gemmafit report (a mapping is expected)")
    found = cast(dict[str, Any], data)
    schema = found.get("schema")
    if not isinstance(schema, str) or schema.partition("/")[0] != FAMILY:
        raise InputError(f"{name}: not a gemmafit report (schema is {schema!r}, expected {SCHEMA!r})")
    if schema != SCHEMA:
        raise InputError(
            f"{name}: this report is {schema}, this gemmafit reads {SCHEMA}",
            hint="Judge its capture again with this version, or use the gemmafit that wrote it.",
        )
    fields = {f.name for f in dataclasses.fields(Report)}
    known = {k: v for k, v in found.items() if k in fields}
    extra = {str(k): v for k, v in found.items() if k not in fields}
    try:
        if "best_of_all" in extra:
            extra["best_of_all"] = typed.convert(extra["best_of_all"], cast(Any, Recommendation | None))
        known["extra"] = extra
        typed.convert(known, _Shape)  # additive keys of the device are kept, so that it stays a mapping
        report = typed.convert(known | {"measurements": ()}, Report)
        return dataclasses.replace(report, measurements=_rows(found), checks=_checks(report))
    except (msgspec.ValidationError, ValueError) as error:
        raise InputError(f"{name}: {error}") from error


def _checks(report: Report) -> tuple[Check, ...]:
    """The checks; those of a report from before they said what they are about, with what its own lists of
    files, backends and runtimes say of their ids."""
    if any(check.question is not None for check in report.checks):
        return report.checks
    subjects: dict[str, _Subject] = {name: _Subject(backend=name) for name in report.backends}
    for row in report.variants:
        subjects[row.runtime] = _Subject(runtime=row.runtime)
        subjects[row.key] = _Subject(row.id, row.backend)
    return tuple(
        dataclasses.replace(check, variant=about.variant, backend=about.backend, runtime=about.runtime)
        for check in report.checks
        for about in [next((subjects[s] for s in _starts(check.id) if s in subjects), _Subject())]
    )


class _Subject(NamedTuple):
    variant: str | None = None
    backend: str | None = None
    runtime: str | None = None


def _starts(id: str) -> list[str]:
    """What an id of dotted words may begin with, the longest first."""
    words = id.split(".")
    return [".".join(words[:end]) for end in range(len(words) - 1, 0, -1)]


def _rows(found: Mapping[str, Any]) -> tuple[Measurement, ...]:
    """The measured rows. Raises ValueError naming the one that is wrong."""
    rows = found.get("measurements")
    if not isinstance(rows, list | tuple):
        raise ValueError("Object missing required field `measurements`, a list")
    read: list[Measurement] = []
    for number, row in enumerate(cast(list[Any], rows)):
        try:
            read.append(Measurement.from_dict(row))
        except ValueError as error:
            raise ValueError(f"measurements[{number}]: {error}") from error
    return tuple(read)


def load(path: Path) -> Report:
    """Read a YAML or JSON report. Raises InputError on anything that is not one."""
    text = read_text(path, MAX_BYTES, "report")
    try:
        # JSON is tried first: it is what a program writes and ten times as fast to read.
        data = msgspec.json.decode(text) if text.lstrip()[:1] == "{" else load_yaml(text, origin=str(path))
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"{path}: neither YAML nor JSON: {str(error).splitlines()[0]}") from error
    return from_dict(data, str(path))
