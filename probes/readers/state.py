"""Memory, storage, and the state in which the device was asked."""

from __future__ import annotations

from ..parsers.dumpsys import parse_battery, parse_df, parse_thermal_status
from ..parsers.proc import Busy, parse_load, parse_meminfo
from ..parsers.state import Power, parse_power, parse_power_modes, parse_temperatures
from ..parsers.sysfs import CpuTopology, parse_cpu_topology
from ..parsers.text import number
from ..snapshot import Conditions, Memory
from .facts import Readout

_DATA = ("/data/local/tmp", "/data", "/data/data", "/storage/emulated", "/")


def read_memory(facts: Readout) -> Memory:
    """RAM from /proc/meminfo (else from the agent), free storage where models are stored."""
    meminfo = facts.parse("meminfo", parse_meminfo) or {}
    probe = facts.probe("memory") or {}
    free = facts.parse("storage", parse_df) or {}
    total = meminfo.get("MemTotal", number(probe.get("total_bytes")))
    if total is not None:
        facts.note("memory.total_bytes", "/proc/meminfo" if "MemTotal" in meminfo else "agent")
    return Memory(
        total,
        meminfo.get("MemAvailable", number(probe.get("available_bytes"))),
        meminfo.get("SwapTotal", number(probe.get("swap_bytes"))),
        # Asked for one path, df names the file system it is on, whatever that is called.
        next((free[mount] for mount in _DATA if mount in free), next(iter(free.values()), None)),
    )


def read_conditions(facts: Readout) -> Conditions:
    """Battery, screen, power modes, thermal status, how far the CPU may clock, and how busy it is."""
    battery = facts.parse("battery", parse_battery)
    topology = facts.parse("cpu_topology", parse_cpu_topology) or CpuTopology()
    power = facts.parse("power", parse_power) or Power()
    busy = facts.parse("load", parse_load) or Busy()
    governors = sorted(set(topology.governor.values()))
    return Conditions(
        battery.percent if battery else None,
        battery.charging if battery else None,
        battery.temperature_c if battery else None,
        facts.parse("thermal", parse_thermal_status),
        {cpu: round(khz / 1000) for cpu, khz in topology.cap_khz.items()},
        ", ".join(governors) or None,
        battery.source if battery else None,
        power.screen_on,
        power.locked,
        power.battery_saver,
        _power_modes(facts),
        facts.optional("thermal", parse_temperatures) or {},
        busy.load,
        busy.pressure,
    )


def _power_modes(facts: Readout) -> tuple[str, ...] | None:
    """Names of the modes that are on; None where their settings were not read. A phone has the keys of its
    own maker."""
    stated = facts.parse("power_modes", parse_power_modes)
    if stated is None:
        return None
    found = [
        mode.name
        for mode in facts.tables.power_modes
        if stated.get(mode.setting, "").casefold() in {value.casefold() for value in mode.values}
    ]
    if not found and "system:" not in stated:
        return None
    return tuple(found)
