"""A phone that is not at hand, from what a person states about it: a snapshot for the judge like any other.

`stated` makes the snapshot: what is stated is in it, what follows from the tables (the cores of a SoC, the
vendor of a GPU), and nothing else; all the rest is unknown. `estimate` hands it to the judge. The rules are
those of `check`; two things differ, and both by data:

* What a phone at hand would have answered and a description rarely says is taken for granted where
  reasons.yaml says so (`assumed`, and of which phones that would be wrong). The report names it in one line.
* A model file that somebody measured on the phone (`Anchor`) is what the predictor rests on first.

Nothing ran, so every answer is `predicted`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from difflib import get_close_matches
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from ..base.bounds import require
from ..base.errors import UsageError
from ..base.names import TargetKind
from ..base.options import Options
from ..probes.readers.gpu import Identified, identify, read_driver
from ..probes.readers.soc import Shown, narrowed
from ..probes.snapshot import ABI_BITS, Android, AppVisibility, Cluster, Cpu, Gpu, Memory, Snapshot, Soc
from ..profiles.knowledge import Knowledge
from ..profiles.socs import SocRow, common
from ..profiles.tables import Tables
from ..reports.report import Report
from .judge import judge
from .predict import Anchor

__all__ = ["Anchor", "estimate", "possible_socs", "similar", "stated"]

GIB = 1 << 30

CONTEXT = 1152
"""Tokens in the cache unless something else is asked: what the published speeds were measured with (a prompt
of 1024 and 128 tokens of answer)."""

_CLUSTER = re.compile(r"(?P<count>[1-9]\d?) *[x×] *(?P<core>[^@+]{1,60})@ *(?P<mhz>[1-9]\d{1,4})")

_EMPTY: Mapping[type, Any] = {AppVisibility: AppVisibility(None, "stated")}
"""Parts of a snapshot that cannot be made of nothing -> one about which nothing is known."""


def estimate(
    *,
    gpu: str,
    ram_gb: float | None,
    knowledge: Knowledge,
    soc: str | None = None,
    cpu: str | None = None,
    abi: str | None = None,
    sdk: int | None = None,
    driver: str | None = None,
    facts: Mapping[str, str] | None = None,
    measured: Anchor | None = None,
    data_sheet_only: bool = False,
    options: Options = Options(family="any"),  # noqa: B008  (frozen)
    created: str | None = None,
) -> Report:
    """The judge's report on a phone that somebody describes.

    Args:
        gpu, ram_gb, soc, cpu, abi, sdk, driver, facts: see `stated`.
        measured: one measured model of the same phone.
        data_sheet_only: as if nothing had ever been measured on that chip.
        options: what is asked for; without a context `CONTEXT`.
        created: ISO 8601 time that the report carries.

    Raises UsageError for what no table knows, a fact that is none, and a measurement of an unknown model or
    too fast to be true.
    """
    if data_sheet_only:
        chips = {
            k: msgspec.structs.replace(c, read_gb_s=None, compute_gflops=None)
            for k, c in knowledge.chips.items()
        }
        knowledge = msgspec.structs.replace(knowledge, chips=chips)
    if options.context is None:
        options = msgspec.structs.replace(options, context=CONTEXT)
    snapshot = stated(gpu, ram_gb, knowledge, soc=soc, cpu=cpu, abi=abi, sdk=sdk, driver=driver, facts=facts)
    return judge(snapshot, (), knowledge, options, created=created, anchor=measured)


def stated(
    gpu: str,
    ram_gb: float | None,
    knowledge: Knowledge,
    *,
    soc: str | None = None,
    cpu: str | None = None,
    abi: str | None = None,
    sdk: int | None = None,
    driver: str | None = None,
    facts: Mapping[str, str] | None = None,
) -> Snapshot:
    """A phone as a person describes it.

    Args:
        gpu: as people or drivers write it, e.g. "Adreno 740", "Mali-G715 MC7".
        ram_gb: GiB as it is sold; what Android can use is less.
        soc: name or part number; without it the SoC is taken from the GPU where only one has it.
        cpu: its cores, e.g. "4xCortex-A53@1500+4xCortex-A73@2000" (MHz); without it those of the SoC.
        abi: of its apps: arm64-v8a, armeabi-v7a, x86_64, x86.
        sdk: Android's API level.
        driver: the GPU's, as the phone states it, e.g. "E031.47.12", "v1.r26p0-01eac0".
        facts: further facts by their names in the knowledge base, e.g. {"identity.model": "Pixel 10"}. They
            count before everything else.

    Raises UsageError for a GPU or SoC that no table knows, an ABI or a fact that is none.
    """
    require({"ram_gb": ram_gb, "sdk": sdk})
    tables, found = knowledge.tables, _stated_gpu(gpu, knowledge)
    if abi is not None and abi not in ABI_BITS:
        raise UsageError(f"unknown ABI {abi!r}", hint=f"ABIs: {', '.join(ABI_BITS)}.")
    rows = _socs(tables, found, soc)
    row = common(rows)
    known = read_driver(tables.gpus, found.vendor, [("stated", driver)]) if driver else None
    graphics = replace(
        known[1] if known else Gpu(driver=driver),
        vendor=found.vendor,
        model=found.model,
        architecture=found.architecture,
        cores=found.cores or (row.gpu.cores if row else None),
        software=found.software or None,
    )
    usable = knowledge.thresholds.memory.ram_visible_fraction
    snapshot = Snapshot(
        kind=TargetKind.STATED,
        android=Android(sdk=sdk, abis=(abi,) if abi else None, bits=ABI_BITS[abi] if abi else None),
        gpu=graphics,
        soc=_stated_soc(rows),
        cpu=Cpu(_clusters(cpu) if cpu else _clusters_of(row)),
        memory=Memory(total_bytes=None if ram_gb is None else int(ram_gb * GIB * usable)),
    )
    snapshot = replace(snapshot, opencl=replace(snapshot.opencl, driver=driver))
    for name, text in (facts or {}).items():
        snapshot = _with(snapshot, name, name.split("."), text)
    return snapshot


def _stated_gpu(gpu: str, knowledge: Knowledge) -> Identified:
    """Raises UsageError, with near names, for one that no table knows."""
    found = identify(knowledge.tables.gpus, gpu)
    if found is not None and found.model is not None:
        return found
    alike = similar(gpu, knowledge)
    near = f"Perhaps {', '.join(alike)}. " if alike else ""
    raise UsageError(
        f"unknown GPU {gpu!r}",
        hint=f"{near}Write it as the specification does: Adreno 740, Mali-G610 MC6, Immortalis-G720.",
    )


def _clusters_of(row: SocRow | None) -> tuple[Cluster, ...]:
    return tuple(Cluster(c.core, c.count, c.mhz) for c in row.cpu) if row is not None else ()


def _clusters(text: str) -> tuple[Cluster, ...]:
    found = [_CLUSTER.fullmatch(part.strip()) for part in text.split("+")]
    clusters = [Cluster(m["core"].strip(), int(m["count"]), int(m["mhz"])) for m in found if m is not None]
    if len(clusters) != len(found):
        raise UsageError(
            f"{text!r} names no cores", hint="Write 4xCortex-A53@1500+4xCortex-A73@2000, in MHz."
        )
    return tuple(clusters)


def _with(part: Any, name: str, path: list[str], text: str) -> Any:
    """A copy of a part of a snapshot in which the fact at the end of the path has the value of a text."""
    hints = get_type_hints(type(part)) if is_dataclass(part) else {}
    if path[0] not in hints:
        raise UsageError(
            f"{name}: no such fact of a phone", hint="Facts: gpu.driver, identity.model, opencl.device, ..."
        )
    kind = hints[path[0]]
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    inner = next((k for k in kinds if is_dataclass(k)), None)
    if len(path) == 1:
        if inner is not None:
            raise UsageError(f"{name}: not one fact but many; name one, e.g. {name}.{_first(inner)}")
        return replace(part, **{path[0]: _value(name, kinds[0], text)})
    below = getattr(part, path[0])
    if below is None and isinstance(inner, type):
        below = _EMPTY[inner] if inner in _EMPTY else inner()
    return replace(part, **{path[0]: _with(below, name, path[1:], text)})


def _first(kind: Any) -> str:
    return next(iter(get_type_hints(kind)))


def _value(name: str, kind: Any, text: str) -> Any:
    """The text as a value of a fact's type; members of a list stand between commas."""
    if kind is bool:
        text = {"yes": "true", "no": "false"}.get(text.casefold(), text)
    value: Any = text
    if get_origin(kind) in (tuple, frozenset):
        value = [member.strip() for member in text.split(",") if member.strip()]
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}={text}: {error}") from error


def similar(gpu: str, knowledge: Knowledge, most: int = 3) -> list[str]:
    """Names of GPUs whose data sheet is known and that are written like this one, the most similar first."""
    names = [row.gpu.model for row in knowledge.tables.socs.rows if row.gpu.model]
    names += [name for chip in knowledge.chips.values() for name in chip.gpu]
    known = {name.casefold(): name for name in names}
    return [known[found] for found in get_close_matches(gpu.strip().casefold(), known, most, cutoff=0.7)]


def possible_socs(gpu: str, tables: Tables) -> list[str]:
    """Names of the SoCs that have a GPU, where there are several: without a choice the CPU stays unknown."""
    names = [row.name for row in tables.socs.rows if row.gpu.model == gpu]
    return names if len(names) > 1 else []


def _stated_soc(rows: Sequence[SocRow]) -> Soc:
    if len(rows) > 1:
        return Soc(rows[0].manufacturer, one_of=tuple(row.name for row in rows))
    return next((Soc(row.manufacturer, next(iter(row.models), None), row.name) for row in rows), Soc())


def _socs(tables: Tables, gpu: Identified, name: str | None) -> tuple[SocRow, ...]:
    """The chips that are meant: those of a name, or the bins of the only one with this GPU; else ()."""
    socs = tables.socs
    if name is None:
        having = tuple(row for row in socs.rows if row.gpu.model == gpu.model)
        return having if having and any(set(having) <= set(socs.family(m)) for m in having[0].models) else ()
    meant = socs.find(name, spoken=True).rows
    if not meant:
        alike = socs.near(name)
        raise UsageError(
            f"unknown SoC {name!r}",
            hint=(f"Perhaps {', '.join(alike)}. " if alike else "")
            + "Give its name (Snapdragon 8 Gen 2) or part number (SM8550).",
        )
    return narrowed(meant, Shown(gpu)) or meant
