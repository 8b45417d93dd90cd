"""One-line GPU nodes below /sys: kgsl's gpu_model (Adreno) and Mali's gpuinfo."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .text import ParseError, integer, lines, name

_KGSL = re.compile(r"Adreno\s*\(?(?:TM)?\)?\s*([A-Z]?\d[\w-]*?)(?:v\d+)?\s*\Z", re.IGNORECASE)
_MALI = re.compile(
    r"\s*(?P<name>\S.{0,80}?)\s+(?P<cores>\d{1,3}) cores? (?P<rev>r\d{1,3}p\d{1,3})"
    r"\s+(?P<id>0x[0-9a-f]{1,16})\b",
    re.IGNORECASE,
)


def parse_kgsl_model(text: str) -> str:
    """`Adreno506v1` or `Adreno630v2` -> `Adreno 506`: the chip's revision (`v2`) is not part of the model."""
    for line in lines(text):
        found = _KGSL.search(line.strip())
        if found:
            return f"Adreno {found[1].upper()}"
    raise ParseError("no Adreno model in kgsl's gpu_model")


@dataclass(frozen=True)
class MaliGpuInfo:
    """Mali's gpuinfo node: `Mali-G610 4 cores r0p0 0xA867`.

    Attributes:
        name: as the kernel driver's own table has it; None where the table did not know it.
        product_id: the id that follows. Its form changed: up to Midgard the product id itself (0x0860),
            then the upper half of GPU_ID (0xA867), in drivers of 2022 and later the architecture version
            (0x0A080607).
    """

    name: str | None
    cores: int
    revision: str
    product_id: int


def parse_mali_gpuinfo(text: str) -> MaliGpuInfo:
    """The first line with cores, revision and id."""
    for line in lines(text):
        found = _MALI.match(line)
        product = integer(found["id"]) if found else None
        if found and product is not None:
            label = name(found["name"])
            return MaliGpuInfo(
                label,
                int(found["cores"]),
                found["rev"].lower(),
                product,
            )
    raise ParseError("no `NAME N cores rXpY 0xID` line in Mali's gpuinfo")
