"""The block of `block.py` lowered to a Plan for a Vulkan device.

Which kernels are used follows from the device's facts and a `Variant`, a row of data: nothing here asks
for a vendor. Buffers are named as the stages they hold, in every backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...errors import ToolchainError
from ..block import Block, Weight
from ..measurements import Backend
from ..plan import Arg, Buffer, Dispatch, Kernel, Plan, Step
from . import modules
from .facts import DeviceFacts

_MACS_PER_DISPATCH = 1 << 30
"""Drivers end what runs for seconds. A Mali-T830 does about 10 GFLOP/s at best: a dispatch of 2^30
multiply-accumulates stays below a second there even at a quarter of that peak."""

_TOKEN_TILE = max(modules.TOKENS)
_BROADCAST = 8  # lanes that share their activations in the linear kernel


@dataclass(frozen=True)
class Variant:
    """One way to run the block.

    Attributes:
        name: of the measurements.
        fused: one product for query, key and value; gate, up and GeGLU in one; residual and norm in one.
        fp16: activations and cache in half precision, where the device has it.
        subgroups: with subgroup operations, where the device has them.
        shuffle: hand activations around by shuffles rather than broadcasts, where the device has them.
        storage8: 8-bit storage instead of 32-bit words.
        subgroup: required subgroup size, 0 for the driver's choice.
        lanes: of a linear work-group, each one output channel; also the rows of a weight tile.
        split: (rows at most, parts of K): the work-group's y for a matrix with so many rows; the first
            line that fits counts. Few rows need their columns shared out, or most of the device idles.
    """

    name: str
    fused: bool = True
    fp16: bool = True
    subgroups: bool = True
    shuffle: bool = True
    storage8: bool = False
    subgroup: int = 0
    lanes: int = 32
    split: tuple[tuple[int, int], ...] = ((512, 8), (4096, 4), (8192, 2))

    def parts(self, rows: int) -> int:
        return next((parts for most, parts in self.split if rows <= most), 1)


VARIANTS = (
    Variant("lanes32"),
    Variant("lanes32-broadcast", shuffle=False),
    Variant("lanes64", lanes=64, split=((512, 4), (2048, 2))),
    Variant("lanes32-s8", storage8=True),
    Variant("lanes32-unfused", fused=False),
)
"""For GPUs. Tried on the device; 32 x 4 = 128 invocations is the guaranteed size of a work-group."""

SOFTWARE_VARIANTS = (
    Variant("lanes32", split=()),
    Variant("lanes32-unfused", split=(), fused=False),
)
"""For CPU drivers, which run a work-group on one thread: a split of K would only cost barriers."""


def variants(device: DeviceFacts) -> tuple[Variant, ...]:
    """The variants that this device can run, the likely best first."""
    return tuple(
        v
        for v in (SOFTWARE_VARIANTS if device.software else VARIANTS)
        if (device.storage8 or not v.storage8)
        and max(v.lanes * v.parts(1), v.lanes) <= device.invocations
        and v.lanes <= device.work_group[0]
    )


def layer(block: Block, device: DeviceFacts, variant: Variant, step: Step | None = None) -> Plan:
    """The layer as a plan of one step, `layer`, that returns the stages. `step` gives repeats and budget.

    Raises ToolchainError if the kernels were not built.
    """
    b = _Builder(block, device, variant)
    _layer(b)
    returns = [s.buffer for s in block.stages.values() if s.name != "logits"]
    return b.plan(step or Step("layer", ()), returns)


def logits(block: Block, device: DeviceFacts, variant: Variant, step: Step | None = None) -> Plan:
    """Final norm and logits of the first token as a plan of one step, `logits`."""
    b = _Builder(block, device, variant)
    d = block.dims
    b.tensor("x")
    b.tensor("w_norm3")
    b.activations("norm3", d.d_model)
    b.rmsnorm("x", "w_norm3", "norm3", tokens=1)
    b.activations("logits", d.vocab)
    b.linear("wvocab", "norm3", "logits", tokens=1)
    return b.plan(step or Step("logits", ()), ["logits"])


def _layer(b: _Builder) -> None:
    d, phase = b.block.dims, b.block.phase
    n = phase.n
    for name in ("x", "w_norm1", "w_norm2", "kcache", "vcache"):
        b.tensor(name)
    for buffer in b.block.rope_buffers():
        b.buffer(buffer)
    for name, width in (("norm1", d.d_model), ("q", d.q_dim), ("attn", d.q_dim), ("proj", d.d_model)):
        b.activations(name, n * width)
    for name, width in (("mid", d.d_model), ("norm2", d.d_model), ("geglu", d.hidden), ("down", d.d_model)):
        b.activations(name, n * width)
    b.activations("out", n * d.d_model)

    b.rmsnorm("x", "w_norm1", "norm1")
    if b.variant.fused and b.fits("wqkv"):
        b.activations("qkv", n * (d.q_dim + 2 * d.head_dim))
        b.linear("wqkv", "norm1", "qkv")
        b.rope("qkv", "q", d.heads, stacked=True)
    else:
        for name, width in (("q_flat", d.q_dim), ("k_flat", d.head_dim), ("v_flat", d.head_dim)):
            b.activations(name, n * width)
            b.linear("w" + name[0], "norm1", name)
        b.rope("q_flat", "q", d.heads)
        b.activations("k_turned", n * d.head_dim)
        b.rope("k_flat", "k_turned", 1)
        b.append("k_turned", "kcache")
        b.append("v_flat", "vcache")
    b.attention("q", "kcache", "vcache", "attn")
    b.linear("wo", "attn", "proj")
    if b.variant.fused:
        b.rmsnorm("x", "w_norm2", "norm2", residual=("proj", "mid"))
        b.gated("wgate", "wup", "norm2", "geglu")
    else:
        b.add("x", "proj", "mid", n * d.d_model)
        b.rmsnorm("mid", "w_norm2", "norm2")
        for name, weight in (("gate", "wgate"), ("up", "wup")):
            b.activations(name, n * d.hidden)
            b.linear(weight, "norm2", name)
        b.elementwise("geglu", ("gate", "up", "geglu"), n * d.hidden)
    b.linear("wdown", "geglu", "down")
    b.add("mid", "down", "out", n * d.d_model)


@dataclass
class _Builder:
    """Collects buffers, kernels and dispatches; each method adds one operator."""

    block: Block
    device: DeviceFacts
    variant: Variant
    buffers: dict[str, Buffer] = field(default_factory=dict[str, Buffer])
    kernels: dict[tuple[object, ...], Kernel] = field(default_factory=dict[tuple[object, ...], Kernel])
    dispatches: list[Dispatch] = field(default_factory=list[Dispatch])
    files: dict[str, Path] = field(default_factory=dict[str, Path])

    def __post_init__(self) -> None:
        v, d = self.variant, self.device
        self.half = v.fp16 and d.fp16
        self.activation = "fp16" if self.half else "fp32"
        size = v.subgroup or d.subgroup_size
        with_subgroups = v.subgroups and d.subgroups
        self.lanes = "sub" if with_subgroups else "plain"
        # The linear kernel takes activations from the first 8 lanes of each subgroup.
        enough = size >= _BROADCAST and v.lanes % min(size, v.lanes) == 0
        self.linear_lanes = "plain"
        if with_subgroups and enough:
            self.linear_lanes = "shuffle" if v.shuffle and d.shuffle else "sub"

    def plan(self, step: Step, returns: Sequence[str]) -> Plan:
        step = replace(step, dispatches=tuple(self.dispatches), returns=tuple(dict.fromkeys(returns)))
        buffers, kernels = tuple(self.buffers.values()), tuple(self.kernels.values())
        return Plan(Backend.VULKAN, buffers, kernels, (step,), files=dict(self.files))

    # Buffers

    def buffer(self, buffer: Buffer) -> None:
        self.buffers[buffer.name] = buffer

    def tensor(self, name: str) -> None:
        """Norm weights stay fp32: (1 + w) is computed in fp32."""
        self.buffer(self.block.tensors[name].buffer(half=self.half and not name.startswith("w_")))

    def activations(self, name: str, elements: int) -> None:
        self.buffer(Buffer(name, elements * (2 if self.half else 4)))

    def fits(self, name: str) -> bool:
        return self.block.weights[name].size <= self.device.storage_range

    def weight(self, name: str) -> list[tuple[str, int, int]]:
        """Buffers of a matrix: (name, first row, rows), several if it is larger than a binding may be."""
        w = self.block.weights[name]
        tile = (self.variant.lanes, 16 if w.bits == 8 else 32)
        row_bytes = w.size // w.rows
        most = self.device.storage_range // row_bytes // tile[0] * tile[0]
        self.buffer(w.scale_buffer())
        parts: list[tuple[str, int, int]] = []
        for number, first in enumerate(range(0, w.rows, most)):
            part = w if most >= w.rows else _part(w, number, first, min(most, w.rows - first))
            self.buffer(part.buffer(tile))
            parts.append((part.name, first, part.rows))
        return parts

    # Kernels

    def kernel(self, module: modules.Module, spec: Sequence[int | float], bindings: int, push: int) -> str:
        """The name of a kernel: `spec` are the specialisation constants 0, 1, .. in order."""
        key = (module, *spec)
        if key not in self.kernels:
            if not module.path.is_file():
                raise ToolchainError(
                    f"The Vulkan kernels are not built: {module.path} is missing.",
                    hint="Build them with `python -m gemmafit.benchmarks.vulkan.build`.",
                )
            self.files[module.name] = module.path
            name = f"{module.name.partition('.')[0]}{len(self.kernels)}"
            constants = tuple(enumerate(spec))
            self.kernels[key] = Kernel(
                name,
                file=module.name,
                spec=constants,
                bindings=bindings,
                push=4 * push,
                subgroup=0 if "plain" in module.axes else self.variant.subgroup,
            )
        return self.kernels[key].name

    def run(self, kernel: str, buffers: Sequence[str], push: Sequence[int], *groups: int) -> None:
        args = tuple(Arg("B", name) for name in buffers) + tuple(Arg("U", v) for v in push)
        self.dispatches.append(Dispatch(kernel, args, groups))

    @property
    def group(self) -> int:
        """Work-group size of the kernels that are not products."""
        return min(64, self.device.invocations, self.device.work_group[0])

    # Operators

    def rmsnorm(
        self,
        x: str,
        w: str,
        y: str,
        *,
        tokens: int | None = None,
        residual: tuple[str, str] | None = None,
    ) -> None:
        """y = norm(x), or with residual (r, sum): sum = x + r, y = norm(sum)."""
        axes = (*(("residual",) if residual else ()), self.activation, self.lanes)
        d = self.block.dims
        names = (x, w, y, *(residual or ()))
        spec = (self.group, 1, d.d_model, float(d.eps))
        kernel = self.kernel(modules.Module("rmsnorm.comp", axes), spec, len(names), 0)
        self.run(kernel, names, (), tokens or self.block.phase.n)

    def linear(self, weight: str, x: str, y: str, *, tokens: int | None = None) -> None:
        self._product("", (weight,), x, y, tokens or self.block.phase.n)

    def gated(self, gate: str, up: str, x: str, y: str) -> None:
        """y = gelu(x . gate^T) * (x . up^T)."""
        self._product("gated", (gate, up), x, y, self.block.phase.n)

    def _product(self, form: str, weights: tuple[str, ...], x: str, y: str, n: int) -> None:
        w, v = self.block.weights[weights[0]], self.variant
        tile = 1 if n == 1 else _TOKEN_TILE
        module = modules.linear(
            form,
            w.bits,
            tile,
            self.activation,
            self.linear_lanes,
            storage8=v.storage8 and self.device.storage8,
        )
        split = min(v.parts(w.rows), self.device.invocations // v.lanes)
        spec = (v.lanes, split, w.cols, v.lanes, w.rows)
        kernel = self.kernel(module, spec, 2 * len(weights) + 2, 4)
        at_once = max(tile, _MACS_PER_DISPATCH // (w.rows * w.cols * len(weights)) // tile * tile)
        parts = [self.weight(name) for name in weights]
        for rows in zip(*parts, strict=True):
            names = [n for (part, _, _), name in zip(rows, weights, strict=True) for n in (part, f"{name}.s")]
            _, first, count = rows[0]
            for token in range(0, n, at_once):
                end = min(n, token + at_once)
                push = (end, count, first, token)
                self.run(kernel, (*names, x, y), push, -(-count // v.lanes), -(-(end - token) // tile))

    def rope(self, x: str, y: str, heads: int, *, stacked: bool = False) -> None:
        """Turn queries or keys; `stacked`: x holds query, key and value, the last two go to the caches."""
        d, phase = self.block.dims, self.block.phase
        axes = ("stacked", self.activation) if stacked else (self.activation,)
        names = (x, "rope_cos", "rope_sin", y, *(("kcache", "vcache") if stacked else ()))
        spec = (self.group, 1, heads, d.head_dim)
        kernel = self.kernel(modules.Module("rope.comp", axes), spec, len(names), 2)
        items = phase.n * (heads + 2 * stacked) * d.head_dim // 8
        self.run(kernel, names, (phase.n, phase.past if stacked else 0), -(-items // self.group))

    def append(self, rows: str, cache: str) -> None:
        d, phase = self.block.dims, self.block.phase
        module = modules.Module("rows.comp", (self.activation,))
        kernel = self.kernel(module, (self.group, 1, d.head_dim), 2, 2)
        items = phase.n * d.head_dim // 4
        self.run(kernel, (rows, cache), (phase.n, phase.past), -(-items // self.group))

    def attention(self, q: str, k: str, v: str, y: str) -> None:
        d, phase = self.block.dims, self.block.phase
        module = modules.Module("attention.comp", (self.activation, self.lanes))
        spec = (self.group, 1, d.heads, d.head_dim, float(self.block.score_scale))
        kernel = self.kernel(module, spec, 4, 1)
        self.run(kernel, (q, k, v, y), (phase.past,), d.heads, phase.n)

    def add(self, a: str, b: str, y: str, elements: int) -> None:
        self.elementwise("add", (a, b, y), elements)

    def elementwise(self, source: str, names: tuple[str, str, str], elements: int) -> None:
        module = modules.Module(f"{source}.comp", (self.activation,))
        kernel = self.kernel(module, (self.group, 1), 3, 1)
        count = elements // 4
        self.run(kernel, names, (count,), -(-count // self.group))


def _part(w: Weight, number: int, first: int, rows: int) -> Weight:
    """Rows of a matrix in a buffer of their own."""
    return replace(w, name=f"{w.name}.{number}", rows=rows, first_row=w.first_row + first)
