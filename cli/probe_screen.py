"""The screen of `gemmafit probe`: one snapshot, as a person wants to read it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..base.units import significant, size
from .console import safe

if TYPE_CHECKING:
    from rich.console import Console

    from ..probes.snapshot import Cpu, Gpu, Snapshot
    from ..probes.vulkan_profile import Profile

_UNKNOWN = "[magenta]unknown[/]"
# Features that decide which CPU kernels run, of the hundred that a kernel lists.
_TELLING = "asimd neon asimdhp asimddp i8mm bf16 sve sve2 sme avx2 avx512_vnni avx_vnni amx_int8".split()  # noqa: SIM905


def render(snapshot: Snapshot, console: Console, remedy: str | None, fallback: Profile) -> None:
    """Print the screen. Everything that came from the device is escaped.

    Args:
        remedy: of the agent's problem.
        fallback: what the WebGPU fallback asks of Vulkan.
    """
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, lines in [*_agent(snapshot, remedy), *rows(snapshot, fallback)]:
        table.add_row(label, "\n".join(lines))
    console.print(table)


def rows(s: Snapshot, fallback: Profile) -> list[tuple[str, list[str]]]:
    """Label and lines of markup for each part of the screen."""
    found = [
        ("Device", _device(s)),
        ("SoC", _soc(s)),
        ("CPU", _cpu(s.cpu)),
        ("Memory", _memory(s)),
        ("GPU", _gpu(s.gpu)),
        ("OpenCL", _opencl(s)),
        ("Vulkan", _vulkan(s, fallback)),
        ("State", _state(s)),
        ("Two sources", [_disagreement(s, number) for number in range(len(s.disagreements))]),
        ("Warnings", [f"[yellow]{safe(text)}[/]" for text in s.warnings]),
        ("Not known", _not_known(s)),
    ]
    return [(label, lines) for label, lines in found if lines]


def _agent(s: Snapshot, remedy: str | None) -> list[tuple[str, list[str]]]:
    """The first row, where the agent did not run."""
    problem = s.agent_problem
    if problem is None:
        return []
    style = "red" if problem.ended else "yellow"
    advice = [f"[cyan]→ {safe(remedy)}[/cyan]"] if remedy else []
    return [("Agent", [f"[{style}]{safe(problem.clause, 600)}[/]", *advice])]


def _device(s: Snapshot) -> list[str]:
    who = s.identity
    name = _joined(who.manufacturer, who.model) or s.origin.called or "unknown device"
    lines = [name + (f" ({safe(who.device)})" if who.device else "")]
    if s.android is not None:
        a = s.android
        parts = [
            f"Android {safe(a.release)}" if a.release else "Android",
            f"API {a.sdk}" if a.sdk is not None else None,
            f"security patch {safe(a.security_patch)}" if a.security_patch else None,
            f"{a.bits}-bit apps" if a.bits else None,
            ", ".join(safe(abi) for abi in a.abis or ()) or None,
        ]
        lines.append(" · ".join(part for part in parts if part))
    if who.emulator:
        lines.append(f"[yellow]not a phone: {safe(who.emulator_kind or 'emulator')}[/]")
    return lines


def _soc(s: Snapshot) -> list[str]:
    named = " or ".join(map(safe, s.soc.one_of)) or (safe(s.soc.name) if s.soc.name else None)
    model = safe(s.soc.model) if s.soc.model and s.soc.model != s.soc.name else None
    text = _joined(s.soc.manufacturer, None)
    parts = " ".join(part for part in (text, named, f"({model})" if model and named else model) if part)
    if not parts:
        return [_UNKNOWN] if s.origin.android else []
    return [parts + _from(s, "soc.name", "soc.one_of", "soc.model")]


def _cpu(cpu: Cpu) -> list[str]:
    if not cpu.clusters:
        return [_UNKNOWN]
    clusters = " + ".join(
        f"{c.count or '?'} × {safe(c.core) if c.core else 'unknown core'}"
        + (f" {significant(c.max_mhz / 1000)} GHz" if c.max_mhz else "")
        for c in cpu.clusters
    )
    telling = [feature for feature in _TELLING if feature in (cpu.features or ())]
    lines = [clusters + (f"  [dim]{safe(cpu.architecture)}[/]" if cpu.architecture else "")]
    if telling:
        lines.append(f"[dim]features: {', '.join(telling)}[/]")
    return lines


def _memory(s: Snapshot) -> list[str]:
    m = s.memory
    parts = [
        f"{size(m.total_bytes)} RAM" if m.total_bytes is not None else None,
        f"{size(m.available_bytes)} available" if m.available_bytes is not None else None,
        f"{size(m.swap_bytes)} swap" if m.swap_bytes else None,
        f"{size(m.storage_free_bytes)} storage free" if m.storage_free_bytes is not None else None,
    ]
    return [", ".join(part for part in parts if part) or _UNKNOWN]


def _gpu(gpu: Gpu) -> list[str]:
    if gpu.model is None and gpu.vendor is None and gpu.renderer is None:
        return [_UNKNOWN]
    name = safe(gpu.model or gpu.renderer or gpu.vendor)
    details = [
        safe(gpu.vendor) if gpu.vendor else None,
        safe(gpu.architecture) if gpu.architecture else None,
        f"{gpu.cores} cores" if gpu.cores else None,
        f"driver {safe(gpu.driver)}" if gpu.driver else None,
        f"OpenGL ES {safe(gpu.gles_version)}" if gpu.gles_version else None,
        "[yellow]software rendering[/]" if gpu.software else None,
    ]
    return [" · ".join(part for part in (name, *details) if part)]


def _opencl(s: Snapshot) -> list[str]:
    cl = s.opencl
    if cl.present:
        how = f"{safe(cl.library)} by {safe(cl.route)}" if cl.library and cl.route else "listed"
        facts = [
            safe(cl.device) if cl.device else None,
            safe(cl.version, 60) if cl.version else None,
            None if cl.fp16 is None else "fp16" if cl.fp16 else "no fp16",
            None if cl.integer_dot is None else "integer dot" if cl.integer_dot else "no integer dot",
            f"{size(cl.max_alloc_bytes)} per buffer" if cl.max_alloc_bytes else None,
        ]
        who = "shell" if s.origin.android else s.origin.noun
        lines = [f"{who}: [green]yes[/], {how}: " + " · ".join(part for part in facts if part)]
    elif cl.present is False:
        lines = [f"shell: [red]no[/], {safe(cl.error or 'no library opened')}"]
    else:
        lines = [f"shell: {_UNKNOWN}, " + (safe(cl.error) if cl.error else "the agent did not look")]
    if cl.app is not None:
        answer = {True: "[green]yes[/]", False: "[red]no[/]", None: _UNKNOWN}[cl.app.visible]
        whom = safe(cl.app.package) if cl.app.package else "app"
        lines.append(f"{whom}: {answer} ({safe(cl.app.scope)}): {safe(cl.app.because, 500)}")
        if cl.app.manifest:
            lines.append("[dim]in AndroidManifest.xml, inside <application>:[/]")
            lines += [f"  {safe(line)}" for line in cl.app.manifest]
    return lines


def _vulkan(s: Snapshot, fallback: Profile) -> list[str]:
    from ..probes.vulkan_profile import missed

    vk = s.vulkan
    purpose = "[dim](matters only as the base of the WebGPU fallback)[/]"
    if vk.present is None:
        return [f"{_UNKNOWN}{', ' + safe(vk.error) if vk.error else ''} {purpose}"]
    if not vk.present:
        return [f"[red]no[/], {safe(vk.error or 'no device')} {purpose}"]
    facts = [
        safe(vk.device) if vk.device else None,
        safe(vk.api_version) if vk.api_version else None,
        _joined(vk.driver_name, vk.driver_info),
        None if vk.fp16 is None else "fp16" if vk.fp16 else "no fp16",
        None if vk.integer_dot is None else "integer dot" if vk.integer_dot else "no integer dot",
        f"subgroups of {vk.subgroup_size}" if vk.subgroup_size else None,
    ]
    lines = [" · ".join(part for part in facts if part) + f" {purpose}"]
    lacking = missed(fallback, vk)
    if lacking:
        names = ", ".join(f"{row.name.split('.')[-1]} {row.found}" for row in lacking[:6])
        more = f" and {len(lacking) - 6} more" if len(lacking) > 6 else ""
        lines.append(f"[yellow]the fallback needs more: {safe(names)}{more}[/]")
    return lines


def _state(s: Snapshot) -> list[str]:
    from ..probes.snapshot import THERMAL

    c = s.conditions
    source = f" ({safe(c.power_source)})" if c.charging and c.power_source else ""
    hottest = max(c.temperatures_c.items(), key=lambda row: row[1], default=None)
    parts = [
        f"battery {c.battery_percent} %" if c.battery_percent is not None else None,
        None if c.charging is None else f"charging{source}" if c.charging else "not charging",
        f"{significant(c.battery_temperature_c)} °C" if c.battery_temperature_c is not None else None,
        f"throttling: {THERMAL[c.thermal_status]}" if c.thermal_status is not None else None,
        f"hottest sensor {safe(hottest[0])} {significant(hottest[1])} °C" if hottest else None,
        None if c.screen_on is None else "screen on" if c.screen_on else "screen off",
        "locked" if c.locked else None,
        "battery saver off" if c.battery_saver is False else None,
        f"load {significant(c.load, 2)}" if c.load is not None else None,
    ]
    text = " · ".join(part for part in parts if part)
    on = ["battery saver"] * (c.battery_saver is True) + list(c.power_modes or ())
    return [*([text] if text else []), *(f"[yellow]{safe(mode)} is on: it caps the clocks[/]" for mode in on)]


def _disagreement(s: Snapshot, number: int) -> str:
    d = s.disagreements[number]
    return (
        f"{safe(d.field)}: [bold]{safe(d.believed)}[/] ({safe(d.source)}) was believed, not {safe(d.other)} "
        f"({safe(d.other_source)}): {safe(d.because)}"
    )


def _not_known(s: Snapshot) -> list[str]:
    """What was asked and not answered, by the way it failed."""
    if not s.origin.android:
        return []
    failed = {key: str(status) for key, status in s.answers.items() if str(status) not in ("ok", "cut")}
    counts = Counter(failed.values())
    return [
        f"[dim]{status}: {', '.join(safe(key) for key, value in failed.items() if value == status)}[/]"
        for status in sorted(counts)
    ]


def _from(s: Snapshot, *fields: str) -> str:
    source = next((s.sources[field] for field in fields if field in s.sources), None)
    return f"  [dim]by {safe(source)}[/]" if source else ""


def _joined(*parts: str | None) -> str | None:
    return " ".join(safe(part) for part in parts if part) or None
