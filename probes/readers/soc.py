"""Which system on a chip: the best of several properties, saying which one was believed.

A part number (`SM8350`, `MT6785V/CD`) is better than a code name: code names of the platform
(`ro.board.platform`) are shared by sister chips, and some devices keep a predecessor's.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...profiles.tables import SocRow, Tables
from ..parsers.proc import CpuInfo
from ..parsers.text import integer, name
from ..snapshot import Soc
from .facts import Facts

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


@dataclass(frozen=True)
class Claim:
    """What one source says: its text, and the row of the table it leads to (or None)."""

    source: str
    text: str
    row: SocRow | None
    exact: bool
    """By part number, not by a code name."""


def read_soc(facts: Facts, cpuinfo: CpuInfo | None) -> tuple[Soc, SocRow | None]:
    """The SoC, and its row in the table for what follows from it (cores, GPU)."""
    claims = [claim for source in _STATED if (claim := _claim(facts, cpuinfo, source)) is not None]
    exact = [claim for claim in claims if claim.exact and claim.row is not None]
    named = [claim for claim in claims if claim.row is not None]
    best = next(iter(exact or named), None)
    stated = name(facts.prop("ro.soc.model") or "")
    manufacturer = name(facts.prop("ro.soc.manufacturer") or "")
    build = _build(facts, manufacturer, stated)
    if best is None or best.row is None:
        model = stated or _designator(facts.tables, [claim.text for claim in claims])
        if model:
            facts.note("soc.model", "ro.soc.model" if stated else "the only part number stated")
        return Soc(manufacturer, model, None, *build), None
    row = best.row
    facts.note("soc.name", best.source)
    told: set[str] = {row.name}
    for claim in named:
        if claim.row is not None and claim.row.name not in told:
            told.add(claim.row.name)
            facts.disagree(
                "soc.name",
                row.name,
                f"{best.source} ({best.text})",
                claim.row.name,
                f"{claim.source} ({claim.text})",
                f"{claim.source} names a family of chips"
                if claim.source in _FAMILY
                else "a part number is more exact than a code name"
                if best.exact and not claim.exact
                else f"{best.source} comes closer to the chip than {claim.source}",
            )
    model = stated or (_designator(facts.tables, [best.text]) if best.exact else None)
    return Soc(row.manufacturer, model, row.name, *build), row


def _build(facts: Facts, manufacturer: str | None, model: str | None) -> tuple[str | None, str | None]:
    """What `android.os.Build` tells apps; the two fields exist since API 31, the properties came earlier."""
    sdk = integer(facts.prop("ro.build.version.sdk") or "")
    return (manufacturer, model) if sdk is not None and sdk >= BUILD_SOC_SDK else (None, None)


def _claim(facts: Facts, cpuinfo: CpuInfo | None, source: str) -> Claim | None:
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
    return Claim(source, text, *find_soc(facts.tables, text))


def find_soc(tables: Tables, text: str) -> tuple[SocRow | None, bool]:
    """The row a text stands for, and whether by part number. Longer part numbers win over their stems."""
    for part in sorted(designators(tables, text), key=len, reverse=True):
        for length in range(len(part), 2, -1):
            row = tables.by_model.get(part[:length])
            # A digit less would be another chip; letters at the end are variants of packaging and clock.
            if row is not None:
                return row, True
            if part[length - 1].isdigit():
                break
    plain = text.strip().lower()
    row = tables.by_platform.get(plain) or tables.by_name.get(text.strip().casefold())
    if row is None:
        # "Qualcomm Technologies, Inc BENGAL": the last word is the code name.
        row = tables.by_platform.get(plain.split()[-1]) if plain.split() else None
    return row, False


def designators(tables: Tables, text: str) -> list[str]:
    """Part numbers inside a text, upper case, blanks and dashes removed first (`Exynos 9820`)."""
    joined = text.upper().replace(" ", "").replace("-", "").replace("_", "")
    found: list[str] = []
    for candidate in (text.upper(), joined):
        for pattern in tables.designators:
            found += [match[1] for match in pattern.finditer(candidate)]
    return found


def _designator(tables: Tables, texts: list[str]) -> str | None:
    return next((part for text in texts for part in designators(tables, text)), None)
