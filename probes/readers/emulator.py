"""Is this a phone, or another machine that presents one: emulator, container, cloud phone, PC.

The rules are rows of profiles/emulators.yaml over the facts collected here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...profiles.tables import Tables
from ..parsers.gles import GlesStrings
from ..parsers.proc import CpuInfo
from ..snapshot import Android, Cpu, Gpu, Identity, Vulkan
from .facts import Readout
from .gpu import Identified, identify


@dataclass(frozen=True)
class _Seen:
    """What the signs are taken from. `said`: the GPU by its OpenGL renderer alone."""

    facts: Readout
    identity: Identity
    android: Android | None
    cpu: Cpu
    cpuinfo: CpuInfo | None
    gles: GlesStrings | None
    gpu: Gpu
    said: Identified | None
    makers: frozenset[str]
    names: str


def emulator_facts(
    facts: Readout,
    identity: Identity,
    android: Android | None,
    cpu: Cpu,
    cpuinfo: CpuInfo | None,
    gles: GlesStrings | None,
    gpu: Gpu,
    vulkan: Vulkan,
    makers: frozenset[str],
) -> dict[str, str]:
    """Name of a sign -> text; one that is unknown is left out, so that no rule can match it.

    Args:
        makers: of the chips that the properties name.
    """
    renderer = gles.renderer if gles else None
    said = identify(facts.tables.gpus, renderer) if renderer else None
    names = "\n".join(filter(None, (renderer, vulkan.device)))
    seen = _Seen(facts, identity, android, cpu, cpuinfo, gles, gpu, said, makers, names)
    return {name: value for name, of in SIGNS.items() if (value := of(seen))}


def _gpu_class(seen: _Seen) -> str | None:
    if seen.said is None:
        return None
    return "software" if seen.said.software else "desktop" if seen.said.desktop else "phone"


def _foreign_gpu(seen: _Seen) -> str | None:
    vendor = seen.said.vendor if seen.said else None
    if vendor is None or len(seen.makers) != 1:
        return None
    (maker,), tables = seen.makers, seen.facts.tables
    own = {found.vendor for model in tables.socs.makes(maker) if (found := identify(tables.gpus, model))}
    return f"{maker} with {vendor}" if own and vendor not in own else None


SIGNS: Mapping[str, Callable[[_Seen], str | None]] = {
    "machine": lambda s: _machine(s.cpu, s.cpuinfo, s.android),
    "abi": lambda s: ",".join(s.android.abis) if s.android and s.android.abis else None,
    "hardware": lambda s: s.facts.prop("ro.hardware", "ro.boot.hardware"),
    "model": lambda s: s.identity.model,
    "brand": lambda s: s.identity.brand,
    "manufacturer": lambda s: s.identity.manufacturer,
    "device": lambda s: s.identity.device,
    "fingerprint": lambda s: s.identity.fingerprint,
    "board": lambda s: s.facts.prop("ro.product.board", "ro.board.platform"),
    "platform": lambda s: s.facts.prop("ro.board.platform"),
    "product": lambda s: s.facts.prop("ro.build.product", "ro.product.name"),
    "qemu": lambda s: s.facts.prop("ro.kernel.qemu", "ro.boot.qemu"),
    "vulkan_hal": lambda s: s.facts.prop("ro.hardware.vulkan"),
    "egl": lambda s: s.facts.prop("ro.hardware.egl"),
    "gl_vendor": lambda s: s.gles.vendor if s.gles else None,
    "gl_renderer": lambda s: s.gles.renderer if s.gles else None,
    "gl_version": lambda s: s.gles.version if s.gles else None,
    "gpu_vendor": lambda s: s.gpu.vendor,
    "gpu_model": lambda s: s.gpu.model,
    "gpu_class": _gpu_class,
    "gpu_names": lambda s: s.names or None,
    "foreign_gpu": _foreign_gpu,
    "properties": lambda s: "\n".join(s.facts.props) or None,
    "cpu_model": lambda s: s.cpuinfo.processors[0].model_name if s.cpuinfo else None,
    "core": lambda s: ",".join(sorted({row.core for row in s.cpu.clusters if row.core})) or None,
    "midr": lambda s: _midr(s.cpuinfo),
}
"""What rows of emulators.yaml may ask for.

machine: x86 | arm, the instruction set of the processor; abi: the app ABIs; core, cpu_model, midr: the CPU
by name and by identification; gpu_class: phone | desktop | software, of the renderer; gpu_names: what OpenGL
and Vulkan call the GPU, a line each; foreign_gpu: `MAKER with VENDOR` where no chip of the maker that the
properties name has a GPU of this vendor; properties: the names of all, a line each.
"""


def _midr(cpuinfo: CpuInfo | None) -> str | None:
    """`0x41:0xd03` of the first CPU that states it."""
    for row in cpuinfo.processors if cpuinfo else ():
        if row.implementer is not None and row.part is not None:
            return f"0x{row.implementer:02x}:0x{row.part:03x}"
    return None


def _machine(cpu: Cpu, cpuinfo: CpuInfo | None, android: Android | None) -> str | None:
    """x86 | arm: by the kernel, else by the first ABI (translators append ARM ABIs behind their own)."""
    if cpuinfo and cpuinfo.x86:
        return "x86"
    stated = cpu.architecture or (android.abis[0] if android and android.abis else None)
    if stated is None:
        return None
    return "x86" if stated.startswith(("x86", "i686", "i386")) else "arm"


def recognise(tables: Tables, found: dict[str, str]) -> tuple[bool | None, str | None]:
    """Whether it is an emulator, and which kind, e.g. `emulator: BlueStacks`. None: nothing to tell by."""
    for rule in tables.emulators:
        if all(key in found and pattern.search(found[key]) for key, pattern in rule.facts.items()):
            return True, f"{rule.kind}: {rule.name}"
    # Only a kernel's, a build's or a driver's own word makes a phone: with nothing read, nothing is known.
    known = {"hardware", "gl_renderer", "machine"} & found.keys()
    return (False, None) if known else (None, None)
