"""Is this a phone, or another machine that presents one: emulator, container, cloud phone, PC.

The rules are rows of profiles/emulators.yaml over the facts collected here.
"""

from __future__ import annotations

from ...profiles.tables import Tables
from ..parsers.gles import GlesStrings
from ..parsers.proc import CpuInfo
from ..snapshot import Android, Cpu, Gpu, Identity
from .facts import Facts
from .gpu import identify


def emulator_facts(
    facts: Facts,
    identity: Identity,
    android: Android | None,
    cpu: Cpu,
    cpuinfo: CpuInfo | None,
    gles: GlesStrings | None,
    gpu: Gpu,
) -> dict[str, str]:
    """Fact name -> text; a fact that is unknown is left out, so that no rule can match it.

    machine: x86 | arm, the instruction set of the processor; abi: the app ABIs; hardware: ro.hardware;
    core, cpu_model, midr: the CPU by name and by identification; gpu_class: phone | desktop | software, of
    the renderer; gpu_vendor, gpu_model; gl_vendor, gl_renderer, gl_version; and properties as they are:
    model, brand, manufacturer, device, board, platform, fingerprint, product, qemu, egl, vulkan_hal.
    """
    renderer = gles.renderer if gles else None
    said = identify(facts.tables.gpus, renderer) if renderer else None
    found: dict[str, str | None] = {
        "machine": _machine(cpu, cpuinfo, android),
        "abi": ",".join(android.abis) if android and android.abis else None,
        "hardware": facts.prop("ro.hardware", "ro.boot.hardware"),
        "model": identity.model,
        "brand": identity.brand,
        "manufacturer": identity.manufacturer,
        "device": identity.device,
        "fingerprint": identity.fingerprint,
        "board": facts.prop("ro.product.board", "ro.board.platform"),
        "platform": facts.prop("ro.board.platform"),
        "product": facts.prop("ro.build.product", "ro.product.name"),
        "qemu": facts.prop("ro.kernel.qemu", "ro.boot.qemu"),
        "vulkan_hal": facts.prop("ro.hardware.vulkan"),
        "egl": facts.prop("ro.hardware.egl"),
        "gl_vendor": gles.vendor if gles else None,
        "gl_renderer": renderer,
        "gl_version": gles.version if gles else None,
        "gpu_vendor": gpu.vendor,
        "gpu_model": gpu.model,
        "gpu_class": None
        if said is None
        else "software"
        if said.software
        else "desktop"
        if said.desktop
        else "phone",
        "cpu_model": cpuinfo.processors[0].model_name if cpuinfo else None,
        "core": ",".join(sorted({row.core for row in cpu.clusters if row.core})) or None,
        "midr": _midr(cpuinfo),
    }
    return {key: value for key, value in found.items() if value}


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
