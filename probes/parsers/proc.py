"""/proc/cpuinfo, /proc/meminfo, and how busy the system is: /proc/loadavg and /proc/pressure/cpu."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...base import limits
from .text import ParseError, integer, lines, name


@dataclass(frozen=True)
class Processor:
    """One `processor` entry. MIDR fields are None where the kernel does not print them per core."""

    number: int | None
    implementer: int | None = None
    part: int | None = None
    variant: int | None = None
    revision: int | None = None
    features: frozenset[str] = frozenset()
    model_name: str | None = None
    x86_model: tuple[int, int] | None = None
    """Family and model of an x86 processor."""
    thread_of: tuple[int, int] | None = None
    """Package and core that an x86 CPU is a thread of."""


@dataclass(frozen=True)
class CpuInfo:
    """/proc/cpuinfo.

    Attributes:
        processors: the entries, in order; there may be fewer than cores (sleeping cores are left out,
            and old 32-bit kernels print the identification once for all).
        hardware: the `Hardware` line, which newer arm64 kernels no longer print.
        shared: identification came once, after all entries, and holds for the core that printed it.
        x86: written by an x86 kernel.
    """

    processors: tuple[Processor, ...]
    hardware: str | None = None
    shared: bool = False
    x86: bool = False


_FIELD = re.compile(r"\s*([A-Za-z][A-Za-z0-9_ ()/-]{0,40}?)\s*:\s*(.*)\Z")
_MIDR = ("implementer", "part", "variant", "revision")


def parse_cpuinfo(text: str) -> CpuInfo:
    """The layouts of ARM kernels, and x86's.

    New: every entry holds its own identification. Old (3.x, vendor kernels up to Android 6): entries
    with only a number, then one block with `Features` and the MIDR fields of whichever core printed it; or
    several such groups, each with the block of its own kind of core.
    """
    entries: list[dict[str, str]] = []
    current: dict[str, str] = {}
    common: dict[str, str] = {}
    blocks: list[tuple[int, dict[str, str]]] = []
    x86 = False
    for line in lines(text):
        field = _FIELD.match(line)
        if field is None:
            # A blank line ends an entry: what follows without a number belongs to all.
            if not line.strip():
                current = common
            continue
        key, value = field[1].strip(), field[2].strip()
        lowered = key.lower()
        if key == "processor" and integer(value) is not None:
            if len(entries) >= limits.CPUS:
                continue
            if "cpu implementer" in common:
                blocks.append((len(entries), common))
                common = {key: common[key] for key in ("hardware",) if key in common}
            current = {"processor": value}
            entries.append(current)
        elif lowered == "hardware":
            common.setdefault("hardware", value)
        else:
            x86 = x86 or key in ("vendor_id", "cpu family")
            target = current if current else common
            target.setdefault(lowered, value)
    if blocks:
        common = _grouped(entries, [*blocks, (len(entries), common)])
    if not entries and "cpu implementer" not in common:
        raise ParseError("no `processor` entry in /proc/cpuinfo")
    owners = [entry for entry in entries if "cpu implementer" in entry]
    if 1 < len(owners) < len(entries):
        _share_with_group(entries)
        owners = [entry for entry in entries if "cpu implementer" in entry]
    if len(entries) > 1 and owners == entries[-1:]:
        # Old arm64 kernels: no blank line before the block, so it landed in the last entry.
        last = entries[-1]
        common = {**last, **common}
        entries[-1] = {"processor": last["processor"]}
        owners = []
    shared = not owners and "cpu implementer" in common
    if not entries:
        entries = [{}]
    processors = tuple(_processor(entry if owners else {**common, **entry}) for entry in entries)
    return CpuInfo(processors, name(common.get("hardware", "")), shared, x86)


def _grouped(entries: list[dict[str, str]], blocks: list[tuple[int, dict[str, str]]]) -> dict[str, str]:
    """Gives the entries before each block what it says; what is left over holds for all."""
    start, last = 0, blocks[-1][1]
    for end, block in blocks:
        if "cpu implementer" in block:
            for entry in entries[start:end]:
                entry |= {key: value for key, value in block.items() if key not in entry}
            start = end
    return {key: value for key, value in last.items() if not key.startswith("cpu ")}


def _share_with_group(entries: list[dict[str, str]]) -> None:
    """Without blank lines a group's block landed in the last of its entries."""
    block: dict[str, str] = {}
    for entry in reversed(entries):
        if "cpu implementer" in entry:
            block = entry
        else:
            entry |= {key: value for key, value in block.items() if key not in entry}


def _pair(entry: dict[str, str], first: str, second: str) -> tuple[int, int] | None:
    a, b = integer(entry.get(first, "")), integer(entry.get(second, ""))
    return (a, b) if a is not None and b is not None else None


def _processor(entry: dict[str, str]) -> Processor:
    implementer, part, variant, revision = (integer(entry.get(f"cpu {key}", "")) for key in _MIDR)
    flags = entry.get("features") or entry.get("flags") or ""
    return Processor(
        integer(entry.get("processor", "")),
        implementer,
        part,
        variant,
        revision,
        frozenset(flags.split()[: limits.ITEMS]),
        name(entry.get("model name", "")),
        _pair(entry, "cpu family", "model"),
        _pair(entry, "physical id", "core id"),
    )


_MEMINFO = re.compile(r"\s*([A-Za-z][A-Za-z0-9_()]{0,40}):\s*([0-9]{1,15})\s*(kB)?\s*\Z")


def parse_meminfo(text: str) -> dict[str, int]:
    """Name -> bytes (lines without a unit are counts and stay as they are)."""
    values: dict[str, int] = {}
    for line in lines(text):
        row = _MEMINFO.match(line)
        if row and len(values) < limits.ITEMS:
            values.setdefault(row[1], int(row[2]) * (1024 if row[3] else 1))
    if not values:
        raise ParseError("no `Name: value kB` line in /proc/meminfo")
    return values


@dataclass(frozen=True)
class Busy:
    """Load average of the last minute; percent of the last ten seconds in which some thread waited for a CPU.
    None: not told."""

    load: float | None = None
    pressure: float | None = None


_LOADAVG = re.compile(r"/proc/loadavg:([0-9]{1,7}\.[0-9]{1,4}) ")
_PRESSURE = re.compile(r"/proc/pressure/cpu:some avg10=([0-9]{1,3}\.[0-9]{1,4}) ")


def parse_load(text: str) -> Busy:
    """The first lines of both files, each after its path; either may be missing."""
    found: dict[str, float] = {}
    for line in lines(text):
        for key, pattern in (("load", _LOADAVG), ("pressure", _PRESSURE)):
            if (row := pattern.match(line)) is not None:
                found.setdefault(key, float(row[1]))
    if not found:
        raise ParseError("no load average and no pressure")
    return Busy(**found)
