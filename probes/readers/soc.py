"""Which system on a chip, or which of several: what the properties say, narrowed by what the device shows.

A part number (`SM8350`, `MT6785V/CD`) is better than a code name: code names of the platform
(`ro.board.platform`) are shared by sister chips, and some devices keep a predecessor's. A part number that
the table lacks is a chip that nobody described yet: no platform's name makes it one of the sisters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...profiles.socs import Found, How, SocRow, common
from ..parsers.proc import CpuInfo
from ..parsers.text import integer, name
from ..snapshot import Soc
from .facts import Readout
from .gpu import Identified, bare_gpu, same_gpu

# In order of belief. Hardware is what the kernel read from the chip or its device tree.
_STATED = (
    "ro.soc.model",
    "/proc/cpuinfo Hardware",
    "/proc/cpuinfo model name",
    "ro.vendor.qti.soc_model",
    "ro.vendor.soc.model.external_name",
    "ro.vendor.soc.model.part_name",
    "ro.hardware.chipname",
    "ro.chipname",
    "ro.vendor.product.chipname",
    "ro.soc.name",
    "ro.arch",
    "ro.vendor.mediatek.platform",
    "ro.mediatek.platform",
    "ro.hardware.alter",
    "ro.config.cpu_info_display",
    "/sys/devices/soc0/machine",
    "ro.product.board",
    "ro.board.platform",
    "ro.product.platform",
    "ro.boot.hardware",
    "ro.hardware",
)
_FAMILY = frozenset(_STATED[_STATED.index("ro.vendor.mediatek.platform") :])
"""Set for a board or platform that sister chips share, or that was copied from a predecessor."""
BUILD_SOC_SDK = 31
CLOCK_SLACK = 1.015
"""A clock is that of a data sheet up to this factor: kernels round to what their oscillator gives."""


@dataclass(frozen=True)
class Claim:
    """What one source says: its text, and what that may mean."""

    source: str
    text: str
    found: Found

    @property
    def exact(self) -> bool:
        """Whether it names this chip, known or not: no board and no family of chips."""
        return self.source not in _FAMILY and (self.found.how is not How.CODE)

    @property
    def unknown(self) -> bool:
        """Whether it names a chip that the table lacks."""
        return self.exact and not self.found.rows and self.found.part is not None


@dataclass(frozen=True)
class Shown:
    """What the device shows of its chip, whatever it is called. Nothing of it: not known.

    Attributes:
        gpu: by what drivers and the kernel call it.
        cores: name -> how many CPUs say so.
        cpus: how many CPUs there are at least: some kernels hide those that sleep.
        top_mhz: of the fastest CPU.
    """

    gpu: Identified | None = None
    cores: Mapping[str, int] | None = None
    cpus: int | None = None
    top_mhz: float | None = None


def makers(facts: Readout, cpuinfo: CpuInfo | None) -> frozenset[str]:
    """Who makes the chips that the properties name, whatever else the device shows."""
    claims = (_claim(facts, cpuinfo, source) for source in _STATED)
    return frozenset(row.manufacturer for claim in claims if claim is not None for row in claim.found.rows)


def read_soc(facts: Readout, cpuinfo: CpuInfo | None, shown: Shown) -> tuple[Soc, SocRow | None]:
    """The SoC, and what the table says of it, or of all that it may be (cores, GPU)."""
    claims = [claim for source in _STATED if (claim := _claim(facts, cpuinfo, source)) is not None]
    telling = [claim for claim in claims if claim.found.rows or claim.unknown]
    exact = [c for c in telling if c.exact]
    parts = [c for c in exact if c.found.part is not None]
    best = next(iter((*parts, *exact, *telling)), None)
    stated = name(facts.prop("ro.soc.model") or "")
    manufacturer = name(facts.prop("ro.soc.manufacturer") or "")
    build = _build(facts, manufacturer, stated)
    rows = _candidates(facts, best, telling, shown) if best is not None else ()
    if best is None or not rows:
        model = stated or next((claim.found.part for claim in claims if claim.found.part), None)
        if model:
            facts.note("soc.model", "ro.soc.model" if stated else "the only part number stated")
        return Soc(manufacturer, model, None, *build), None
    row = common(rows)
    assert row is not None
    facts.note("soc.name" if len(rows) == 1 else "soc.one_of", best.source)
    names = tuple(one.name for one in rows)
    model = stated or (best.found.part if best.exact else None)
    makers = {one.manufacturer for one in rows}
    maker = next(iter(makers)) if len(makers) == 1 else manufacturer
    known = (names[0], ()) if len(names) == 1 else (None, names)
    return Soc(maker, model, known[0], *build, known[1]), row


def _candidates(facts: Readout, best: Claim, telling: Sequence[Claim], shown: Shown) -> tuple[SocRow, ...]:
    """The chips that it may be; () for one that the table lacks."""
    rows = best.found.rows
    for claim in telling:
        both = tuple(row for row in rows if row in claim.found.rows)
        if both and (claim.exact or not best.exact):
            rows = both
        elif not both and claim is not best and claim.found.rows:
            _disagree(facts, best, claim)
    fitting = narrowed(rows, shown)
    # A board's name may be a predecessor's; what a chip calls itself it is, whatever the table says of it.
    return fitting if fitting or not best.exact else rows


def narrowed(rows: Sequence[SocRow], shown: Shown) -> tuple[SocRow, ...]:
    """Those of several chips that have what the device shows. What is not known of a chip speaks for none and
    against none."""
    found = [row for row in _with_gpu(rows, shown.gpu) if _has_cores(row, shown)]
    top = shown.top_mhz
    if top is None:
        return tuple(found)
    tops = {row.name: max((c.mhz for c in row.cpu if c.mhz is not None), default=None) for row in found}
    at = [n for n, mhz in tops.items() if mhz is not None and top / CLOCK_SLACK <= mhz <= top * CLOCK_SLACK]
    above = [n for n, mhz in tops.items() if mhz is not None and mhz > top]
    kept = {*(at or above), *(n for n, mhz in tops.items() if mhz is None)}
    return tuple(row for row in found if row.name in kept) or tuple(found)


def _with_gpu(rows: Sequence[SocRow], gpu: Identified | None) -> list[SocRow]:
    if gpu is None or gpu.model is None or gpu.software or gpu.desktop:
        return list(rows)
    model, counted = gpu.model, gpu.cores
    exactly = {r.gpu.model for r in rows if r.gpu.model and bare_gpu(r.gpu.model) == bare_gpu(model)}
    return [
        row
        for row in rows
        if row.gpu.model is None
        or (
            (row.gpu.model in exactly if exactly else same_gpu(model, row.gpu.model))
            and (counted is None or row.gpu.cores in (None, counted))
        )
    ]


def _has_cores(row: SocRow, shown: Shown) -> bool:
    if not row.cpu:
        return True
    listed: dict[str, int] = {}
    for cluster in row.cpu:
        listed[cluster.core] = listed.get(cluster.core, 0) + cluster.count * cluster.threads
    seen = shown.cores or {}
    if any(count > listed.get(core, 0) for core, count in seen.items()):
        return False
    return shown.cpus is None or shown.cpus <= sum(listed.values())


def _disagree(facts: Readout, best: Claim, other: Claim) -> None:
    facts.disagree(
        "soc.name",
        _named(best.found.rows) or best.text,
        f"{best.source} ({best.text})",
        _named(other.found.rows),
        f"{other.source} ({other.text})",
        f"{other.source} names a family of chips"
        if other.source in _FAMILY
        else "a part number is more exact than a code name"
        if best.exact and not other.exact
        else f"{best.source} comes closer to the chip than {other.source}",
    )


def _named(rows: Iterable[SocRow]) -> str:
    return " or ".join(row.name for row in rows)


def _build(facts: Readout, manufacturer: str | None, model: str | None) -> tuple[str | None, str | None]:
    """What `android.os.Build` tells apps; the two fields exist since API 31, the properties came earlier."""
    sdk = integer(facts.prop("ro.build.version.sdk") or "")
    return (manufacturer, model) if sdk is not None and sdk >= BUILD_SOC_SDK else (None, None)


def _claim(facts: Readout, cpuinfo: CpuInfo | None, source: str) -> Claim | None:
    if source == "/proc/cpuinfo Hardware":
        text = cpuinfo.hardware if cpuinfo else None
    elif source == "/proc/cpuinfo model name":
        text = cpuinfo.processors[0].model_name if cpuinfo and cpuinfo.x86 else None
    elif source.startswith("/sys/"):
        text = facts.sysfs.get(source)
    else:
        text = facts.prop(source)
    text = name(text or "")
    if text is None or text.lower() in ("unknown", "default", "qcom", "generic"):
        return None
    socs = facts.tables.socs
    found = socs.find(text)
    if source in _FAMILY:
        return Claim(source, text, Found(socs.family(text), found.how or How.CODE, found.part))
    if source == "ro.soc.model" and not found.rows and re.search(r"\d", text):
        found = Found(part=found.part or text)  # written like no other, and still this chip's own name
    return Claim(source, text, found)
