"""CPU cores by name, cluster, frequency and features, from /proc/cpuinfo, sysfs and the SoC table.

/proc/cpuinfo alone is not enough: sleeping cores are missing from it, old kernels print one core's
identification for all, and 32-bit kernels leave the part out. What the device says is believed before
the table; the table fills what the device does not say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ...base import limits
from ...profiles.socs import SocRow
from ...profiles.tables import Core, Tables
from ..parsers.proc import CpuInfo, Processor
from ..parsers.sysfs import CpuTopology, parse_cpu_topology
from ..parsers.text import name
from ..snapshot import Cluster, Cpu
from .facts import Readout

_MACHINES = ("aarch64", "armv8l", "armv7l", "armv6l", "x86_64", "i686", "i386", "riscv64")
_X86_NOISE = re.compile(r"\((?:R|TM)\)|\bCPU\b|@.*|\s+\d+-Core Processor\b|\bProcessor\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Identified:
    """One CPU's MIDR as far as known, and the name it stands for."""

    implementer: int | None = None
    part: int | None = None
    core: str | None = None
    features: frozenset[str] = frozenset()


def read_cpu(facts: Readout, cpuinfo: CpuInfo | None, soc: SocRow | None) -> Cpu:
    """Clusters in the order of their first CPU number (little cores first on almost all phones)."""
    topology = facts.parse("cpu_topology", parse_cpu_topology) or CpuTopology()
    features = _features(facts, cpuinfo)
    architecture = _architecture(facts, cpuinfo)
    cpus = _with_sleeping(_cpu_numbers(cpuinfo, topology), topology, soc)
    if not cpus:
        if soc is None or not soc.cpu:
            return Cpu((), features, architecture)
        facts.note("cpu.clusters", f"socs.yaml: {soc.name}")
        table = tuple(Cluster(row.core, row.count, row.mhz) for row in soc.cpu)
        return Cpu(table, features, architecture)
    known = _identify(facts.tables, cpuinfo, topology, cpus)
    sources = ["/proc/cpuinfo" if cpuinfo else "", "cpufreq" if topology.max_khz else ""]
    if _complete(facts, known, cpus, topology, cpuinfo, soc):
        sources.append(f"socs.yaml: {soc.name}" if soc else "CPUs of one frequency domain are alike")
    facts.note("cpu.clusters", ", ".join(filter(None, sources)))
    khz = _awake(known, topology, soc)
    if soc is not None:
        _compare(facts, known, soc)
        if _clocks_of_table(known, khz, cpus, soc):
            facts.note("cpu.max_mhz", f"socs.yaml: {soc.name}")
    threads = _threads(known, cpus, cpuinfo, soc)
    return Cpu(_clusters(known, cpus, khz, threads), features, architecture)


def shown_cpus(facts: Readout, cpuinfo: CpuInfo | None) -> tuple[Mapping[str, int], int | None, float | None]:
    """What the CPUs say without knowing the chip: cores by name with their count, how many CPUs there are,
    and the fastest one's MHz."""
    topology = facts.parse("cpu_topology", parse_cpu_topology) or CpuTopology()
    known = _identify(facts.tables, cpuinfo, topology, _cpu_numbers(cpuinfo, topology))
    cores = Counter(row.core for row in known.values() if row.core)
    top = max(topology.max_khz.values(), default=0)
    return cores, len(topology.present) or None, top / 1000 if top else None


def _cpu_numbers(cpuinfo: CpuInfo | None, topology: CpuTopology) -> tuple[int, ...]:
    numbers = set(topology.present)
    if cpuinfo and (cpuinfo.processors[0].number is not None or not numbers):
        numbers |= {row.number if row.number is not None else i for i, row in enumerate(cpuinfo.processors)}
    return tuple(sorted(numbers))


def _with_sleeping(cpus: tuple[int, ...], topology: CpuTopology, soc: SocRow | None) -> tuple[int, ...]:
    """The CPUs with those that the chip has beside them, where nothing says which there are: old kernels list
    only those that are awake."""
    total = sum(cluster.count * cluster.threads for cluster in soc.cpu) if soc else 0
    if topology.present or not cpus or any(c.threads > 1 for c in (soc.cpu if soc else ())):
        return cpus
    return tuple(range(total)) if len(cpus) < total and cpus[-1] < total else cpus


def _identify(
    tables: Tables, cpuinfo: CpuInfo | None, topology: CpuTopology, cpus: tuple[int, ...]
) -> dict[int, _Identified]:
    """What each CPU says about itself; a shared identification is not any one CPU's."""
    known: dict[int, _Identified] = {}
    if cpuinfo and not cpuinfo.shared:
        for index, row in enumerate(cpuinfo.processors):
            number = row.number if row.number is not None else index
            known[number] = _Identified(
                row.implementer, row.part, _core(tables, row, cpuinfo.x86), row.features
            )
    for cpu, midr in topology.midr.items():
        if cpu in cpus and (cpu not in known or known[cpu].core is None):
            core = tables.core((midr >> 24) & 0xFF, (midr >> 4) & 0xFFF, (midr >> 20) & 0xF)
            known[cpu] = _Identified((midr >> 24) & 0xFF, (midr >> 4) & 0xFFF, core.name if core else None)
    return known


def _core(tables: Tables, row: Processor, x86: bool) -> str | None:
    if x86:
        design = tables.x86.get(row.x86_model) if row.x86_model else None
        if design is not None:
            return design.name
        if tables.socs.find(row.model_name or "").rows:
            return None  # the name of a chip says nothing of its cores
        return name(" ".join(_X86_NOISE.sub(" ", row.model_name or "").split()))
    if row.implementer is None or row.part is None:
        return None
    core: Core | None = tables.core(row.implementer, row.part, row.variant)
    return core.name if core else None


def _complete(
    facts: Readout,
    known: dict[int, _Identified],
    cpus: tuple[int, ...],
    topology: CpuTopology,
    cpuinfo: CpuInfo | None,
    soc: SocRow | None,
) -> bool:
    """Fill in CPUs that say nothing: from CPUs of the same frequency domain, then from the SoC's table.

    True if anything was filled in.
    """

    def missing() -> list[int]:
        return [cpu for cpu in cpus if cpu not in known or known[cpu].core is None]

    before = missing()
    for group in topology.policies:
        alike = next((known[cpu] for cpu in group if cpu in known and known[cpu].core), None)
        if alike:
            known.update({cpu: alike for cpu in group if cpu in before})
    if missing() and soc is not None and soc.cpu:
        _by_order(known, cpus, soc)
        _from_table(known, missing(), topology, soc)
    if missing() and soc is None and cpuinfo is not None and cpuinfo.shared:
        # Without a table the one identification holds for all only where all CPUs run at one frequency.
        row = cpuinfo.processors[-1]
        core = _core(facts.tables, row, cpuinfo.x86)
        frequencies = {topology.max_khz.get(cpu) for cpu in cpus}
        if core and None not in frequencies and len(frequencies) == 1:
            known.update(
                {cpu: _Identified(row.implementer, row.part, core, row.features) for cpu in missing()}
            )
    return len(missing()) < len(before)


def _by_order(known: dict[int, _Identified], cpus: tuple[int, ...], soc: SocRow) -> None:
    """Where there are as many CPUs as the table lists, and those that speak stand where it has their kind,
    the others are what it has in their place."""
    layout = [c.core for c in soc.cpu for _ in range(c.count * c.threads)]
    if len(layout) != len(cpus):
        return
    said = {cpu: row.core for cpu, row in known.items() if row.core is not None}
    if said and all(said.get(cpu, core) == core for cpu, core in zip(cpus, layout, strict=True)):
        alike = {row.core: row for row in known.values()}
        for cpu, core in zip(cpus, layout, strict=True):
            known.setdefault(cpu, alike.get(core) or _Identified(core=core))


def _from_table(
    known: dict[int, _Identified], missing: list[int], topology: CpuTopology, soc: SocRow
) -> None:
    """Give the cores that the table has and no CPU claimed to the CPUs that said nothing.

    Only where the counts fit: all to the one kind that is left, or by frequency in rising order, or where
    frequencies are not known in the order of the table.
    """
    left: Counter[str] = Counter()
    for cluster in soc.cpu:
        left[cluster.core] += cluster.count
    kinds = tuple(left)
    left -= Counter(row.core for row in known.values() if row.core)
    if len(left) == 1 or len(kinds) == 1:
        core = next(iter(left or kinds))
        known.update({cpu: _Identified(core=core) for cpu in missing})
        return
    rows = [row for row in soc.cpu if left[row.core]]
    if sum(row.count for row in rows) != len(missing):
        return
    groups: dict[int, list[int]] = {}
    for cpu in missing:
        groups.setdefault(topology.max_khz.get(cpu, 0), []).append(cpu)
    by_speed = sorted(rows, key=lambda row: row.mhz or 0)
    ordered = [group for _, group in sorted(groups.items())]
    if 0 in groups or [len(group) for group in ordered] != [row.count for row in by_speed]:
        # Frequencies do not tell them apart: CPUs are numbered in the table's order on all phones seen.
        ordered, by_speed, start = [], rows, 0
        for row in rows:
            ordered.append(missing[start : start + row.count])
            start += row.count
    for group, row in zip(ordered, by_speed, strict=True):
        known.update({cpu: _Identified(core=row.core) for cpu in group})


def _compare(facts: Readout, known: dict[int, _Identified], soc: SocRow) -> None:
    """Note where the cores that identified themselves are not those of the SoC named."""
    found = {row.core for row in known.values() if row.core}
    listed = {row.core for row in soc.cpu}
    if found and listed and not found <= listed:
        facts.disagree(
            "cpu.clusters",
            ", ".join(sorted(found)),
            "/proc/cpuinfo",
            ", ".join(sorted(listed)),
            f"socs.yaml: {soc.name}",
            "the cores' own identification registers are believed before a name",
        )


def _awake(known: dict[int, _Identified], topology: CpuTopology, soc: SocRow | None) -> dict[int, int]:
    """CPU -> kHz. A sleeping CPU has its kind's frequency where all cores of that kind are one cluster."""
    khz = dict(topology.max_khz)
    kinds = Counter(row.core for row in soc.cpu) if soc else Counter[str]()
    for core in {row.core for row in known.values() if row.core and kinds[row.core] == 1}:
        members = [cpu for cpu, row in known.items() if row.core == core]
        stated = {khz[cpu] for cpu in members if cpu in khz}
        if len(stated) == 1:
            khz.update(dict.fromkeys(members, stated.pop()))
    return khz


def _clocks_of_table(
    known: dict[int, _Identified], khz: dict[int, int], cpus: tuple[int, ...], soc: SocRow
) -> bool:
    """Clocks of the table for kinds of cores of which the device states none; True if there were."""
    before = len(khz)
    for core in {cluster.core for cluster in soc.cpu}:
        rows = [cluster for cluster in soc.cpu if cluster.core == core]
        members = [cpu for cpu in cpus if cpu in known and known[cpu].core == core]
        if not any(cpu in khz for cpu in members):
            clocks = [c.mhz for c in rows for _ in range(c.count * c.threads)]
            if len(clocks) != len(members):
                clocks = [c.mhz for c in rows for _ in range(c.count)]
            if len({c.mhz for c in rows}) == 1:
                clocks = [rows[0].mhz] * len(members)
            if len(clocks) == len(members):
                khz.update({cpu: mhz * 1000 for cpu, mhz in zip(members, clocks, strict=True) if mhz})
    return len(khz) > before


def _threads(
    known: dict[int, _Identified], cpus: tuple[int, ...], cpuinfo: CpuInfo | None, soc: SocRow | None
) -> frozenset[int]:
    """CPUs that are a further thread of a core that another CPU stands for."""
    further: set[int] = set()
    seen: set[tuple[int, int]] = set()
    for index, row in enumerate(cpuinfo.processors if cpuinfo else ()):
        if row.thread_of is not None and row.thread_of in seen:
            further.add(row.number if row.number is not None else index)
        elif row.thread_of is not None:
            seen.add(row.thread_of)
    for core in {cluster.core for cluster in soc.cpu} if soc else ():
        rows = [cluster for cluster in soc.cpu if cluster.core == core] if soc else []
        members = [cpu for cpu in cpus if cpu in known and known[cpu].core == core]
        if len(members) == sum(c.count * c.threads for c in rows) and {c.threads for c in rows} != {1}:
            owner = [(i, j, t) for i, c in enumerate(rows) for j in range(c.count) for t in range(c.threads)]
            further |= {cpu for cpu, (_, _, t) in zip(members, owner, strict=True) if t}
    return frozenset(further)


def _clusters(
    known: dict[int, _Identified], cpus: tuple[int, ...], max_khz: dict[int, int], further: frozenset[int]
) -> tuple[Cluster, ...]:
    """CPUs that are alike, each core once: a second thread of one (`further`) is no core more."""
    groups: dict[tuple[str | None, int | None, int | None, int | None], list[int]] = {}
    nothing = _Identified()
    for cpu in (cpu for cpu in cpus if cpu not in further):
        row = known.get(cpu, nothing)
        key = (row.core, row.implementer, row.part, max_khz.get(cpu))
        groups.setdefault(key, []).append(cpu)
    return tuple(
        Cluster(
            core,
            len(members),
            round(khz / 1000) if khz else None,
            tuple(sorted(known.get(members[0], nothing).features)),
            tuple(members),
            implementer,
            part,
        )
        for (core, implementer, part, khz), members in groups.items()
    )


def _features(facts: Readout, cpuinfo: CpuInfo | None) -> frozenset[str] | None:
    """Features that all CPUs have: the agent's (from HWCAP) before the kernel's text."""
    probe = facts.probe("cpu") or {}
    listed = probe.get("features")
    if isinstance(listed, list) and listed:
        facts.note("cpu.features", "agent (HWCAP)")
        return frozenset(str(feature)[: limits.KEY_CHARS] for feature in listed[: limits.CPU_FEATURES])
    sets = [row.features for row in cpuinfo.processors if row.features] if cpuinfo else []
    if not sets:
        return None
    facts.note("cpu.features", "/proc/cpuinfo")
    return frozenset.intersection(*sets)


def _architecture(facts: Readout, cpuinfo: CpuInfo | None) -> str | None:
    """The kernel's architecture: uname, else what its cpuinfo looks like."""
    uname = facts.capture.commands.get("uname")
    words = uname.out.split()[: limits.FEW] if uname else []
    stated = next((word for word in reversed(words) if word in _MACHINES), None)
    if stated:
        facts.note("cpu.architecture", "uname")
        return stated
    if cpuinfo is None:
        return None
    facts.note("cpu.architecture", "/proc/cpuinfo")
    if cpuinfo.x86:
        # The `lm` flag tells of the processor, not of the kernel, which is 32-bit on many Atom phones.
        return "x86"
    features = _features(facts, cpuinfo) or frozenset()
    if "asimd" in features:
        return "aarch64"
    return "armv7l" if "half" in features or "vfp" in features else None
