"""The SPIR-V modules: which variants of each GLSL source are built, and how they are named.

One source per operator; a variant is a set of macros. The axes:

activations  `fp32`, or `fp16` where the device has VK_KHR_16bit_storage (arithmetic stays in fp32)
weights      `i8` or `i4`, a float scale per output channel
load         packed in 32-bit words (every device), or `s8`: VK_KHR_8bit_storage; `dot8`: packed, with int8
             activations and VK_KHR_shader_integer_dot_product
lanes        `sub`: subgroup operations (Vulkan 1.1); `shuffle`: the same with shuffles for broadcasts;
             `plain`: none, for Vulkan 1.0 devices
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent
BUILT = SOURCES / "built"

TOKENS = (1, 8)
"""Tokens per invocation of the linear kernels: decode, and the tile of prefill."""


@dataclass(frozen=True)
class Module:
    """One SPIR-V module.

    Attributes:
        source: GLSL file name beside this one.
        axes: what distinguishes the variant, in order; also its macros (upper case).
    """

    source: str
    axes: tuple[str, ...]

    @property
    def name(self) -> str:
        """File name, such as linear.i8.t1.fp16.sub.spv."""
        return ".".join((Path(self.source).stem, *self.axes, "spv"))

    @property
    def defines(self) -> tuple[str, ...]:
        return tuple(_MACROS.get(axis) or f"{axis.upper()}=1" for axis in self.axes)

    @property
    def uses_subgroups(self) -> bool:
        return "sub" in self.axes or "shuffle" in self.axes

    @property
    def environment(self) -> str:
        """What the module asks for at least. Subgroup operations came with Vulkan 1.1; 8-bit storage as of
        Vulkan 1.0 would ask for 8-bit uniform buffers too, which a device need not have."""
        return "vulkan1.1" if self.uses_subgroups or "s8" in self.axes else "vulkan1.0"

    @property
    def path(self) -> Path:
        """Where the built module is."""
        return BUILT / self.name


_MACROS = {f"t{tokens}": f"TOKENS={tokens}" for tokens in TOKENS}

ACTIVATIONS = ("fp32", "fp16")
LANES = ("plain", "sub")
LINEAR_LANES = (*LANES, "shuffle")


FORMS = ("", "residual", "gated")


def product(
    layout: str,
    form: str,
    bits: int,
    tokens: int,
    activation: str,
    lanes: str = "",
    *,
    storage8: bool = False,
    dot8: bool = False,
) -> Module:
    """A linear layer: the kernel of a layout (linear, engine) in one of FORMS (linear.glsl)."""
    load = "dot8" if dot8 else "s8" if storage8 and bits == 8 else ""
    axes = (form, f"i{bits}", load, f"t{tokens}", activation, lanes)
    return Module(f"{layout}.comp", tuple(filter(None, axes)))


def modules() -> Iterator[Module]:
    """Every module of the package."""
    yield Module("read.comp", ())
    yield Module("read.comp", ("copy",))
    yield Module("peak_dot8.comp", ())
    for activation in ACTIVATIONS:
        yield Module("peak.comp", (activation,))
        for source in ("rope", "rows", "add", "geglu", "attention_merge"):
            yield Module(f"{source}.comp", (activation,))
        yield Module("rope.comp", ("stacked", activation))
        for lanes in LANES:
            yield Module("rmsnorm.comp", (activation, lanes))
            yield Module("rmsnorm.comp", ("residual", activation, lanes))
            yield Module("attention.comp", (activation, lanes))
            yield Module("attention.comp", ("pieces", activation, lanes))
            yield Module("quantize.comp", (activation, lanes))
        for form, tokens, bits in itertools.product(FORMS, TOKENS, (8, 4)):
            yield product("engine", form, bits, tokens, activation)
            for lanes in LINEAR_LANES:
                yield product("linear", form, bits, tokens, activation, lanes)
                yield product("linear", form, bits, tokens, activation, lanes, dot8=True)
                if bits == 8:
                    yield product("linear", form, bits, tokens, activation, lanes, storage8=True)
