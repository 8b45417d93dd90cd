"""`path:value` lines from below /sys: CPU topology and frequencies, and single GPU nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...base import limits
from .text import ParseError, integer, lines, name

_LINE = re.compile(r"(/sys/[^:\s]{1,256}):(.*)\Z")
_CPU = re.compile(r"/sys/devices/system/cpu/cpu([0-9]{1,4})/(.+)\Z")
_POLICY = re.compile(r"/sys/devices/system/cpu/cpufreq/policy([0-9]{1,4})/(.+)\Z")


def parse_path_values(text: str) -> dict[str, str]:
    """`path:value` lines. Of a file with several lines the first is kept (`grep -r . /sys/...`)."""
    values: dict[str, str] = {}
    for line in lines(text):
        row = _LINE.match(line)
        if row and len(values) < limits.ITEMS:
            values.setdefault(row[1], row[2].strip())
    if not values:
        raise ParseError("no `/sys/path:value` line")
    return values


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """The kernel's list format: `0-3,6`, also separated by blanks as in related_cpus; empty is no CPU."""
    cpus: set[int] = set()
    for part in text.replace(",", " ").split()[: limits.CPUS]:
        first, dash, last = part.partition("-")
        low, high = integer(first), integer(last if dash else first)
        if low is None or high is None or not 0 <= low <= high < limits.CPUS:
            raise ParseError("not a list of CPU numbers such as 0-3,6")
        cpus.update(range(low, high + 1))
    return tuple(sorted(cpus))


@dataclass(frozen=True)
class CpuTopology:
    """What /sys/devices/system/cpu says.

    Attributes:
        present: CPUs that exist, also sleeping ones; empty if it is not stated.
        max_khz: cpu -> cpuinfo_max_freq. Missing for CPUs that were asleep (hot-plugged out).
        cap_khz: cpu -> scaling_max_freq, lower than max_khz under throttling or in power saving.
        governor: cpu -> scaling_governor.
        package: cpu -> (physical_package_id or cluster, as far as stated).
        midr: cpu -> MIDR_EL1, where the kernel shows it.
        policies: groups of CPUs that share a frequency, as related_cpus states them.
    """

    present: tuple[int, ...] = ()
    max_khz: dict[int, int] = field(default_factory=dict[int, int])
    cap_khz: dict[int, int] = field(default_factory=dict[int, int])
    governor: dict[int, str] = field(default_factory=dict[int, str])
    package: dict[int, int] = field(default_factory=dict[int, int])
    midr: dict[int, int] = field(default_factory=dict[int, int])
    policies: tuple[tuple[int, ...], ...] = ()


def parse_cpu_topology(text: str) -> CpuTopology:
    """CPU numbers, frequencies and grouping from `path:value` lines."""
    values = parse_path_values(text)
    numbers: dict[str, dict[int, int]] = {key: {} for key in ("max", "cap", "package", "midr")}
    governor: dict[int, str] = {}
    policies: dict[tuple[int, ...], None] = {}
    seen: set[int] = set()
    fields = {
        "cpufreq/cpuinfo_max_freq": "max",
        "cpufreq/scaling_max_freq": "cap",
        "topology/physical_package_id": "package",
        "regs/identification/midr_el1": "midr",
        "cpuinfo_max_freq": "max",
        "scaling_max_freq": "cap",
    }
    for path, value in values.items():
        row = _CPU.match(path) or _POLICY.match(path)
        if row is None or int(row[1]) >= limits.CPUS:
            continue
        cpu, leaf = int(row[1]), row[2]
        if path.startswith("/sys/devices/system/cpu/cpu" + row[1]):
            seen.add(cpu)
        read = integer(value)
        if leaf in fields and read is not None and read >= 0:
            numbers[fields[leaf]].setdefault(cpu, read)
        elif leaf.endswith("scaling_governor") and (governor_name := name(value)):
            governor.setdefault(cpu, governor_name)
        elif leaf.endswith("related_cpus"):
            group = _cpus_or_none(value)
            if group:
                policies[group] = None
    present = _cpus_or_none(values.get("/sys/devices/system/cpu/present", ""))
    possible = _cpus_or_none(values.get("/sys/devices/system/cpu/possible", ""))
    chosen = present or possible or tuple(sorted(seen))
    if not chosen and not numbers["max"]:
        raise ParseError("nothing about any CPU in the sysfs lines")
    return CpuTopology(
        chosen,
        _spread(numbers["max"], policies),
        _spread(numbers["cap"], policies),
        governor,
        numbers["package"],
        numbers["midr"],
        tuple(policies),
    )


def _cpus_or_none(text: str) -> tuple[int, ...] | None:
    try:
        return parse_cpu_list(text) or None
    except ParseError:
        return None


def _spread(values: dict[int, int], policies: dict[tuple[int, ...], None]) -> dict[int, int]:
    """Give a policy's value to all its CPUs: sleeping cores have no cpufreq folder of their own."""
    full = dict(values)
    for group in policies:
        known = next((values[cpu] for cpu in group if cpu in values), None)
        if known is not None:
            for cpu in group:
                full.setdefault(cpu, known)
    return dict(sorted(full.items()))
