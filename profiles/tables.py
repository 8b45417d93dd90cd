"""The identity tables of `profiles/`: cores, SoCs, GPUs and emulators, as typed rows.

A table file has a schema, a default `because` and `source`, and rows that may state their own. Rows are
facts and patterns; what is done with them is in `probes/readers/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ..errors import InputError
from ..probes.yaml_input import load_yaml


@dataclass(frozen=True)
class Because:
    """Why a row is there and where its facts are from."""

    because: str
    source: str


@dataclass(frozen=True)
class Core:
    """A CPU core design: MIDR implementer and part -> name."""

    implementer: int
    part: int
    name: str
    origin: Because
    variant: int | None = None


@dataclass(frozen=True)
class SocCluster:
    """Cores of one kind in a SoC; `mhz` is the top frequency the vendor states, or None."""

    count: int
    core: str
    mhz: int | None = None


@dataclass(frozen=True)
class SocRow:
    """A system on a chip.

    Attributes:
        models: part numbers as devices state them, upper case (SM8450, MT6789, EXYNOS8890).
        names: other names that the same part is sold under.
        platforms: code names of ro.board.platform and the like that mean exactly this chip, lower case.
        gpu, gpu_cores, gpu_mhz: None where unknown.
        dram_gbs: theoretical bandwidth in GB/s of the fastest memory the chip supports.
    """

    name: str
    manufacturer: str
    models: tuple[str, ...]
    platforms: tuple[str, ...]
    names: tuple[str, ...]
    cpu: tuple[SocCluster, ...]
    gpu: str | None
    gpu_cores: int | None
    gpu_mhz: int | None
    dram_gbs: float | None
    origin: Because


@dataclass(frozen=True)
class GpuRule:
    """A pattern over a renderer or device name. `model`, `architecture` are templates of its groups."""

    vendor: str
    pattern: re.Pattern[str]
    model: str | None
    architecture: str | None
    cores: str | None
    desktop: bool
    origin: Because


@dataclass(frozen=True)
class Named:
    """A pattern and what it means."""

    pattern: re.Pattern[str]
    name: str
    origin: Because


@dataclass(frozen=True)
class GpuModel:
    """What is known about a GPU model beyond its name; every quantity per core and clock, or None.

    fp32_ops, fp16_ops, int8_ops: operations (a multiply-add is two) per core and clock.
    """

    name: str
    fp32_ops: float | None
    fp16_ops: float | None
    int8_ops: float | None
    origin: Because


@dataclass(frozen=True)
class MaliProduct:
    """A row of Arm's product ids: `(id & mask) == product_id` with at least `min_cores` cores."""

    product_id: int
    mask: int
    min_cores: int
    model: str


@dataclass(frozen=True)
class DriverPattern:
    """How a vendor's driver string is read: groups of `pattern` in order form the version."""

    vendor: str
    pattern: re.Pattern[str]
    kind: str
    origin: Because


@dataclass(frozen=True)
class Gpus:
    rules: tuple[GpuRule, ...]
    software: tuple[Named, ...]
    architectures: tuple[tuple[str, re.Pattern[str], str], ...]
    vendors: Mapping[int, str]
    """PCI or Khronos vendor id -> vendor."""
    drivers: tuple[DriverPattern, ...]
    models: Mapping[str, GpuModel]
    mali_products: tuple[MaliProduct, ...]
    unit_vendors: frozenset[str]
    """Vendors whose OpenCL compute units are the shader cores that their model names count."""

    def architecture(self, vendor: str, model: str) -> str | None:
        """The architecture of a model whose name does not tell it."""
        for owner, pattern, architecture in self.architectures:
            if owner == vendor and pattern.fullmatch(model):
                return architecture
        return None


@dataclass(frozen=True)
class EmulatorRule:
    """A sign that the device is not what it says: `facts` are patterns that must all match.

    Attributes:
        kind: emulator | container | cloud phone | virtual machine | PC | translation.
        facts: fact name (see probes/readers/emulator.py) -> pattern.
    """

    kind: str
    name: str
    facts: Mapping[str, re.Pattern[str]]
    origin: Because


@dataclass(frozen=True)
class Tables:
    cores: Mapping[tuple[int, int, int | None], Core]
    implementers: Mapping[int, str]
    socs: tuple[SocRow, ...]
    designators: tuple[re.Pattern[str], ...]
    gpus: Gpus
    emulators: tuple[EmulatorRule, ...]
    by_model: Mapping[str, SocRow] = field(repr=False)
    by_platform: Mapping[str, SocRow] = field(repr=False)
    by_name: Mapping[str, SocRow] = field(repr=False)

    def core(self, implementer: int, part: int, variant: int | None) -> Core | None:
        """The design behind a MIDR; a row with a variant wins over the one without."""
        return self.cores.get((implementer, part, variant)) or self.cores.get((implementer, part, None))


class _Rows:
    """Typed access to one file, with errors that name file, list and row."""

    def __init__(self, name: str) -> None:
        self.name = name
        path = files(__package__) / name
        data = load_yaml(path.read_text(encoding="utf-8"), origin=f"profiles/{name}")
        expected = f"gemmafit.{name.removesuffix('.yaml')}/1"
        if not isinstance(data, dict) or data.get("schema") != expected:
            raise InputError(f"profiles/{name}: schema {expected} was expected")
        self.data: dict[str, Any] = data

    def list(self, key: str) -> list[tuple[dict[str, Any], Because]]:
        rows = self.data.get(key, [])
        if not isinstance(rows, list):
            raise InputError(f"profiles/{self.name}: {key}: a list was expected")
        found = []
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                raise InputError(f"profiles/{self.name}: {key}[{number}]: a mapping was expected")
            because, source = (row.get(k, self.data.get(k)) for k in ("because", "source"))
            if not because or not source:
                raise InputError(f"profiles/{self.name}: {key}[{number}]: because and source are missing")
            found.append((row, Because(str(because), str(source))))
        return found

    def pattern(self, text: object, *, flags: int = re.IGNORECASE) -> re.Pattern[str]:
        try:
            return re.compile(str(text), flags)
        except re.error as error:
            raise InputError(f"profiles/{self.name}: pattern {text!r}: {error}") from None


@lru_cache(maxsize=1)
def load_tables() -> Tables:
    """All identity tables, from the package's own files; read once (some 100 ms)."""
    cores_file, socs_file, gpus_file, emulators_file = (
        _Rows(name) for name in ("cores.yaml", "socs.yaml", "gpus.yaml", "emulators.yaml")
    )
    cores = {
        (int(row["implementer"]), int(row["part"]), row.get("variant")): Core(
            int(row["implementer"]), int(row["part"]), str(row["name"]), origin, row.get("variant")
        )
        for row, origin in cores_file.list("cores")
    }
    socs = tuple(_soc(row, origin) for row, origin in socs_file.list("socs"))
    return Tables(
        cores=cores,
        implementers={int(key): str(value) for key, value in cores_file.data["implementers"].items()},
        socs=socs,
        designators=tuple(socs_file.pattern(text) for text in socs_file.data["designators"]),
        gpus=_gpus(gpus_file),
        emulators=tuple(
            EmulatorRule(
                str(row["kind"]),
                str(row["name"]),
                {str(key): emulators_file.pattern(text) for key, text in row["facts"].items()},
                origin,
            )
            for row, origin in emulators_file.list("emulators")
        ),
        by_model=_index(socs, "models"),
        by_platform=_index(socs, "platforms"),
        by_name={name.casefold(): soc for soc in socs for name in (soc.name, *soc.names)},
    )


def _index(socs: tuple[SocRow, ...], attribute: str) -> dict[str, SocRow]:
    index: dict[str, SocRow] = {}
    for soc in socs:
        for key in getattr(soc, attribute):
            if key in index:
                raise InputError(f"profiles/socs.yaml: {key} stands for {index[key].name} and for {soc.name}")
            index[key] = soc
    return index


def _soc(row: dict[str, Any], origin: Because) -> SocRow:
    gpu = row.get("gpu") or {}
    return SocRow(
        str(row["name"]),
        str(row["manufacturer"]),
        tuple(str(model).upper() for model in row.get("models", ())),
        tuple(str(platform).lower() for platform in row.get("platforms", ())),
        tuple(str(name) for name in row.get("names", ())),
        tuple(
            SocCluster(int(count), str(core), int(rest[0]) if rest else None)
            for count, core, *rest in row.get("cpu", ())
        ),
        gpu.get("model"),
        gpu.get("cores"),
        gpu.get("mhz"),
        row.get("dram_gbs"),
        origin,
    )


def _gpus(rows: _Rows) -> Gpus:
    return Gpus(
        rules=tuple(
            GpuRule(
                str(row["vendor"]),
                rows.pattern(row["pattern"]),
                row.get("model"),
                row.get("architecture"),
                row.get("cores"),
                row.get("class") == "desktop",
                origin,
            )
            for row, origin in rows.list("rules")
        ),
        software=tuple(
            Named(rows.pattern(row["pattern"]), str(row["name"]), origin)
            for row, origin in rows.list("software")
        ),
        architectures=tuple(
            (str(row["vendor"]), rows.pattern(row["models"]), str(row["architecture"]))
            for row, _ in rows.list("architectures")
        ),
        vendors={int(key): str(value) for key, value in rows.data.get("vendor_ids", {}).items()},
        drivers=tuple(
            DriverPattern(str(row["vendor"]), rows.pattern(row["pattern"]), str(row["kind"]), origin)
            for row, origin in rows.list("drivers")
        ),
        models={
            str(row["name"]): GpuModel(
                str(row["name"]), row.get("fp32_ops"), row.get("fp16_ops"), row.get("int8_ops"), origin
            )
            for row, origin in rows.list("models")
        },
        mali_products=tuple(
            MaliProduct(int(row["id"]), int(row["mask"]), int(row.get("min_cores", 1)), str(row["model"]))
            for row, _ in rows.list("mali_products")
        ),
        unit_vendors=frozenset(str(vendor) for vendor in rows.data.get("compute_units_are_cores", ())),
    )
