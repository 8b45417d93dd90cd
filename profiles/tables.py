"""The tables that answers are read with: cores, SoCs, GPUs, emulators and power modes, as typed rows.

A file has a schema, a default `because` and `source`, and lists of rows that may state their own. Rows are
facts and patterns; what is done with them is in `probes/readers/`. The rows of a user's folder come before
the built-in ones, so that they decide where both apply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from string import Formatter
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from .rows import Count, GpuName, Holes, Listed, Ref, Text
from .socs import SocRow, Socs, Spelling

Pattern = re.Pattern[str]
"""A regular expression that is searched, case ignored."""


R = TypeVar("R", bound=Listed)
VendorName = Annotated[str, Meta(min_length=1), Ref("GPU vendor")]


class Core(Listed, frozen=True, kw_only=True):
    """A CPU core design: MIDR implementer and part -> name. A row with a variant wins over one without."""

    implementer: Annotated[int, Meta(ge=0, le=0xFF)]
    part: Annotated[int, Meta(ge=0, le=0xFFF)]
    name: Text
    variant: Annotated[int, Meta(ge=0, le=0xF)] | None = None

    @property
    def key(self) -> str:
        variant = "" if self.variant is None else f":{self.variant}"
        return f"{self.implementer:#04x}:{self.part:#05x}{variant}"


class X86Core(Listed, frozen=True, kw_only=True):
    """An x86 core design: CPUID family and models -> name."""

    family: Annotated[int, Meta(ge=0, le=0x1FF)]
    models: Annotated[tuple[Annotated[int, Meta(ge=0, le=0xFF)], ...], Meta(min_length=1)]
    name: Text


class GpuRule(Listed, frozen=True, kw_only=True):
    """A pattern over a renderer or device name. `model`, `architecture` are templates of its groups.

    Attributes:
        cores: the group that holds the number of cores, or the number itself.
    """

    vendor: Text
    pattern: Pattern
    model: Annotated[Text, Holes()] | None = None
    architecture: Annotated[Text, Holes()] | None = None
    cores: Text | None = None
    kind: Literal["desktop"] | None = msgspec.field(default=None, name="class")

    @property
    def key(self) -> str:
        return self.pattern.pattern

    def __post_init__(self) -> None:
        if self.cores and not self.cores.isdigit() and self.cores not in self.pattern.groupindex:
            raise ValueError(f"cores: the pattern has no group {self.cores!r}")
        for template in (self.model or "", self.architecture or ""):
            for _, group, _, _ in Formatter().parse(template):
                if group is not None and group not in self.pattern.groupindex:
                    raise ValueError(f"{template!r}: the pattern has no group {group!r}")


class Software(Listed, frozen=True, kw_only=True):
    """A renderer that no GPU executes."""

    pattern: Pattern
    name: Text

    @property
    def key(self) -> str:
        return self.pattern.pattern


class GpuArchitecture(Listed, frozen=True, kw_only=True):
    """The architecture of models whose names do not tell it."""

    vendor: VendorName
    models: Pattern
    architecture: Text

    @property
    def key(self) -> str:
        return f"{self.vendor}: {self.models.pattern}"


class MaliProduct(Listed, frozen=True, kw_only=True):
    """A row of Arm's product ids: `(id & mask) == product_id` with at least `min_cores` cores."""

    product_id: int = msgspec.field(name="id")
    mask: int
    model: GpuName
    min_cores: Count = 1

    @property
    def key(self) -> str:
        return f"{self.product_id:#06x}, {self.min_cores} cores or more"


class DriverPattern(Listed, frozen=True, kw_only=True):
    """How a vendor's driver string is read: groups of `pattern` in order form the version."""

    vendor: Annotated[str, Meta(min_length=1), Ref("GPU vendor or *")]
    pattern: Pattern
    kind: Text

    @property
    def key(self) -> str:
        return f"{self.vendor}: {self.pattern.pattern}"


class EmulatorRule(Listed, frozen=True, kw_only=True):
    """A sign that the device is not what it says: `facts` are patterns that must all match.

    Attributes:
        facts: fact (see probes/readers/emulator.py) -> pattern.
    """

    kind: Literal["emulator", "container", "cloud phone", "virtual machine", "PC", "translation"]
    name: Text
    facts: Annotated[dict[Annotated[str, Ref("sign of an emulator")], Pattern], Meta(min_length=1)]

    @property
    def key(self) -> str:
        signs = " ".join(f"{name}={pattern.pattern}" for name, pattern in self.facts.items())
        return f"{self.name}: {signs}"


class PowerMode(Listed, frozen=True, kw_only=True):
    """A maker's power mode that caps the clocks while `setting` (`PLACE:KEY`) has one of `values`."""

    name: Text
    setting: Annotated[str, Meta(pattern=r"^(system|global|secure|prop):[\w.-]+$")]
    values: Annotated[tuple[Text, ...], Meta(min_length=1)]

    @property
    def key(self) -> str:
        return f"{self.setting} {' '.join(self.values)}"


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`because` and `source` hold for every row that states none."""

    because: Text
    source: Text

    def rows(self, rows: tuple[R, ...]) -> tuple[R, ...]:
        """Rows with the file's reason and source where they have none of their own."""
        return tuple(
            msgspec.structs.replace(
                row, because=row.because or self.because, source=row.source or self.source
            )
            for row in rows
        )


class Cores(File, frozen=True, kw_only=True):
    """The content of cores.yaml."""

    schema: Literal["gemmafit.cores/1"]
    cores: tuple[Core, ...] = ()
    x86: tuple[X86Core, ...] = ()


class SocFile(File, frozen=True, kw_only=True):
    """The content of socs.yaml."""

    schema: Literal["gemmafit.socs/1"]
    designators: tuple[Pattern, ...] = ()
    spelling: Spelling | None = None
    socs: tuple[SocRow, ...] = ()


class GpuFile(File, frozen=True, kw_only=True):
    """The content of gpus.yaml."""

    schema: Literal["gemmafit.gpus/1"]
    rules: tuple[GpuRule, ...] = ()
    software: tuple[Software, ...] = ()
    architectures: tuple[GpuArchitecture, ...] = ()
    drivers: tuple[DriverPattern, ...] = ()
    mali_products: tuple[MaliProduct, ...] = ()
    compute_units_are_cores: tuple[VendorName, ...] = ()


class Emulators(File, frozen=True, kw_only=True):
    """The content of emulators.yaml."""

    schema: Literal["gemmafit.emulators/1"]
    emulators: tuple[EmulatorRule, ...] = ()


class PowerModes(File, frozen=True, kw_only=True):
    """The content of powermodes.yaml."""

    schema: Literal["gemmafit.powermodes/1"]
    modes: tuple[PowerMode, ...] = ()


class Gpus(msgspec.Struct, frozen=True, kw_only=True):
    """How GPUs and their drivers are named.

    Attributes:
        unit_vendors: whose OpenCL compute units are the shader cores that model names count.
    """

    rules: tuple[GpuRule, ...]
    software: tuple[Software, ...]
    architectures: tuple[GpuArchitecture, ...]
    drivers: tuple[DriverPattern, ...]
    mali_products: tuple[MaliProduct, ...]
    unit_vendors: frozenset[str]

    def architecture(self, vendor: str, model: str) -> str | None:
        """The architecture of a model whose name does not tell it."""
        for row in self.architectures:
            if row.vendor == vendor and row.models.fullmatch(model):
                return row.architecture
        return None


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """All identity tables."""

    cores: Mapping[tuple[int, int, int | None], Core]
    x86: Mapping[tuple[int, int], X86Core]
    socs: Socs
    gpus: Gpus
    emulators: tuple[EmulatorRule, ...]
    power_modes: tuple[PowerMode, ...]

    def core(self, implementer: int, part: int, variant: int | None) -> Core | None:
        """The design behind a MIDR; a row with a variant wins over the one without."""
        return self.cores.get((implementer, part, variant)) or self.cores.get((implementer, part, None))


def index(
    cores: Sequence[Cores],
    socs: Sequence[SocFile],
    gpus: Sequence[GpuFile],
    emulators: Sequence[Emulators],
    powermodes: Sequence[PowerModes],
) -> Tables:
    """The tables of their files, of which the first counts most. Raises InputError for an ambiguous SoC."""
    return Tables(
        cores={
            (core.implementer, core.part, core.variant): core
            for file in reversed(cores)
            for core in file.rows(file.cores)
        },
        x86={
            (core.family, model): core
            for file in reversed(cores)
            for core in file.rows(file.x86)
            for model in core.models
        },
        socs=Socs(
            [file.rows(file.socs) for file in socs],
            [pattern for file in socs for pattern in file.designators],
            [file.spelling for file in socs if file.spelling is not None],
        ),
        gpus=Gpus(
            rules=tuple(chain.from_iterable(file.rows(file.rules) for file in gpus)),
            software=tuple(chain.from_iterable(file.rows(file.software) for file in gpus)),
            architectures=tuple(chain.from_iterable(file.rows(file.architectures) for file in gpus)),
            drivers=tuple(chain.from_iterable(file.rows(file.drivers) for file in gpus)),
            mali_products=tuple(chain.from_iterable(file.rows(file.mali_products) for file in gpus)),
            unit_vendors=frozenset(chain.from_iterable(file.compute_units_are_cores for file in gpus)),
        ),
        emulators=tuple(chain.from_iterable(file.rows(file.emulators) for file in emulators)),
        power_modes=tuple(chain.from_iterable(file.rows(file.modes) for file in powermodes)),
    )
