"""GPU vendor, model, architecture, cores and driver, from every source that names it.

The GLES renderer, the OpenCL and Vulkan device names, kernel nodes and, where nothing else speaks, the SoC's
table. How a text is read is in profiles/gpus.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...profiles.socs import SocGpu, SocRow
from ...profiles.tables import Gpus
from ..parsers.gles import GlesStrings
from ..parsers.gpu_nodes import MaliGpuInfo, parse_kgsl_model, parse_mali_gpuinfo
from ..parsers.text import integer
from ..snapshot import Gpu, OpenCl, Vulkan
from .facts import Readout

_GLES_VERSION = re.compile(r"OpenGL ES(?:-CM|-CL)? (\d\.\d)")


@dataclass(frozen=True)
class Identified:
    """What one text says. `desktop`: a GPU of PCs; `software`: no GPU at all."""

    vendor: str | None = None
    model: str | None = None
    architecture: str | None = None
    cores: int | None = None
    desktop: bool = False
    software: bool = False


@dataclass(frozen=True)
class _Claim:
    """What one source says. `table`: what chips of this name usually hold, by the table of SoCs."""

    source: str
    said: Identified
    table: bool = False


def identify(gpus: Gpus, text: str) -> Identified | None:
    """Read a renderer or device name; None where no rule applies."""
    for named in gpus.software:
        if named.pattern.search(text):
            return Identified(None, named.name, None, None, software=True)
    for rule in gpus.rules:
        found = rule.pattern.search(text)
        if not found:
            continue
        groups = {key: value or "" for key, value in found.groupdict().items()}
        model = rule.model.format_map(groups).strip() if rule.model else None
        architecture = rule.architecture.format_map(groups) if rule.architecture else None
        if model and architecture is None:
            architecture = gpus.architecture(rule.vendor, model)
        stated = groups.get(rule.cores, rule.cores) if rule.cores else ""
        cores = integer(stated) if stated else None
        return Identified(rule.vendor, model, architecture, cores or None, rule.kind == "desktop")
    return None


def mali_model(gpus: Gpus, product_id: int, cores: int | None) -> str | None:
    """Arm's product table. Ids over 16 bits are the architecture version of newer kernel drivers, one
    byte each for what the older id holds in one nibble each."""
    if product_id > 0xFFFF:
        parts = [(product_id >> shift) & 0xFF for shift in (24, 16, 8, 0)]
        if any(part > 0xF for part in parts):
            return None
        product_id = parts[0] << 12 | parts[1] << 8 | parts[2] << 4 | parts[3]
    rows = [row for row in gpus.mali_products if product_id & row.mask == row.product_id & row.mask]
    if not rows or (cores is None and len({row.model for row in rows}) > 1):
        return None
    fitting = [row for row in rows if row.min_cores <= (cores or 1)]
    return max(fitting or rows, key=lambda row: row.min_cores).model


def read_gpu(
    facts: Readout, gles: GlesStrings | None, opencl: OpenCl, vulkan: Vulkan, soc: SocRow | None
) -> Gpu:
    """The GPU, with every contradiction between sources noted."""
    gpus = facts.tables.gpus
    claims = _claims(facts, gles, opencl, vulkan, soc)
    best = next((claim for claim in claims if claim.said.model and not claim.said.software), None)
    best = best or (claims[0] if claims else None)
    if best is None:
        return Gpu(renderer=gles.renderer if gles else None, gles_version=_gles_version(facts, gles))
    source, said = best.source, best.said
    table = next((claim.said for claim in claims if claim.table), None)
    if said.model and not said.architecture and table and table.model and same_gpu(said.model, table.model):
        # A driver that names only the family (`NVIDIA Tegra`): the chip tells which.
        said = replace(said, model=table.model, architecture=table.architecture)
    facts.note("gpu.model" if said.model else "gpu.vendor", source)
    for claim in claims:
        other = claim.said
        if not (other.model and said.model) or (said.software and other.software):
            continue
        if other.model != said.model and not same_gpu(said.model, other.model):
            facts.disagree(
                "gpu.model",
                said.model,
                source,
                other.model,
                claim.source,
                "the table says what chips of this name usually hold, the driver what is there"
                if claim.table
                else "software rendering says nothing about the GPU"
                if other.software
                else f"{source} is asked first: it is what apps are told",
            )
    cores, cores_source = _cores(gpus, claims, said, opencl, soc)
    if cores_source:
        facts.note("gpu.cores", cores_source)
    driver = _driver(facts, said.vendor, gles, opencl, vulkan)
    return replace(
        driver,
        vendor=said.vendor,
        model=said.model,
        architecture=said.architecture,
        cores=cores,
        renderer=gles.renderer if gles else None,
        gles_version=_gles_version(facts, gles),
        software=said.software,
    )


def shown_gpu(facts: Readout, gles: GlesStrings | None, opencl: OpenCl, vulkan: Vulkan) -> Identified | None:
    """What drivers and the kernel call the GPU, before anybody knows the chip."""
    said = [claim.said for claim in _claims(facts, gles, opencl, vulkan, None)]
    return next((one for one in said if one.model and not one.software), None)


def _claims(
    facts: Readout, gles: GlesStrings | None, opencl: OpenCl, vulkan: Vulkan, soc: SocRow | None
) -> list[_Claim]:
    gpus = facts.tables.gpus
    texts = [
        ("GL_RENDERER", gles.renderer if gles else None),
        # Some drivers put the model only in the version: `QUALCOMM Adreno(TM)`, `OpenCL 2.0 Adreno(TM) 650`.
        ("OpenCL device", " ".join(filter(None, (opencl.device, opencl.version))) or None),
        ("Vulkan device", vulkan.device),
        ("kgsl gpu_model", facts.parse("kgsl_gpu_model", parse_kgsl_model)),
    ]
    found = [_Claim(source, said) for source, text in texts if text and (said := identify(gpus, text))]
    mali = facts.parse("mali_gpuinfo", parse_mali_gpuinfo)
    if mali:
        found.append(_Claim("Mali gpuinfo", _mali(gpus, mali)))
    if soc is not None and soc.gpu.model:
        said_soc = identify(gpus, soc.gpu.model)
        if said_soc:
            found.append(_Claim(f"socs.yaml: {soc.name}", replace(said_soc, cores=soc.gpu.cores), table=True))
    return found


def _mali(gpus: Gpus, info: MaliGpuInfo) -> Identified:
    model = mali_model(gpus, info.product_id, info.cores)
    named = identify(gpus, model or info.name or "Mali")
    return replace(named or Identified("Arm"), cores=info.cores)


def same_gpu(model: str, other: str) -> bool:
    """`Mali-G78` and `Mali-G78AE`, `Mali-G715` and `Immortalis-G715`: one says less than the other."""
    short, long = sorted((bare_gpu(model), bare_gpu(other)), key=len)
    return long.startswith(short)


def bare_gpu(model: str) -> str:
    """Without Arm's `Mali` or `Immortalis`, which some drivers give for the other."""
    return model.removeprefix("Mali-").removeprefix("Immortalis-")


def _cores(
    gpus: Gpus, claims: list[_Claim], said: Identified, opencl: OpenCl, soc: SocRow | None
) -> tuple[int | None, str | None]:
    for claim in claims:
        if claim.said.cores and claim.said.vendor == said.vendor and not claim.table:
            return claim.said.cores, claim.source
    if opencl.compute_units and said.vendor in gpus.unit_vendors and not said.software:
        return opencl.compute_units, "OpenCL CL_DEVICE_MAX_COMPUTE_UNITS"
    own = soc.gpu if soc is not None else SocGpu()
    if soc is not None and own.cores and own.model and said.model and same_gpu(said.model, own.model):
        return own.cores, f"socs.yaml: {soc.name}"
    return None, None


def _driver(
    facts: Readout, vendor: str | None, gles: GlesStrings | None, opencl: OpenCl, vulkan: Vulkan
) -> Gpu:
    """The driver's version from whichever string states one; compiler and driver strings of OpenCL first."""
    texts = [
        ("CL_DRIVER_VERSION", opencl.driver),
        ("CL_DEVICE_VERSION", opencl.version),
        ("CL_PLATFORM_VERSION", opencl.platform_version),
        (
            "VkPhysicalDeviceDriverProperties",
            " ".join(filter(None, (vulkan.driver_name, vulkan.driver_info))),
        ),
        ("GL_VERSION", gles.version if gles else None),
        ("GL_RENDERER", gles.renderer if gles else None),
    ]
    read = read_driver(facts.tables.gpus, vendor, texts)
    if read is None:
        return Gpu()
    facts.note("gpu.driver", read[0])
    return read[1]


def read_driver(
    gpus: Gpus, vendor: str | None, texts: Iterable[tuple[str, str | None]]
) -> tuple[str, Gpu] | None:
    """Of named texts the first that states a version of this vendor's driver: its name, and a GPU that holds
    nothing else. None where none does."""
    texts = list(texts)
    for row in gpus.drivers:
        if row.vendor not in (vendor, "*"):
            continue
        for source, text in texts:
            found = row.pattern.search(text) if text else None
            if found:
                version = tuple(int(group) for group in found.groups() if group and group.isdecimal())
                return source, Gpu(driver=found[0].strip(), driver_version=version, driver_kind=row.kind)
    return None


def _gles_version(facts: Readout, gles: GlesStrings | None) -> str | None:
    found = _GLES_VERSION.search(gles.version) if gles and gles.version else None
    if found:
        return found[1]
    word = integer(facts.prop("ro.opengles.version") or "")
    if word is None or not 0 < word < 1 << 20:
        return None
    facts.note("gpu.gles_version", "ro.opengles.version")
    return f"{word >> 16}.{word & 0xFFFF}"
