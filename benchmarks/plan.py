"""The plan: a short text program that both interpreters (the agent and the Python one) execute.

A plan lists buffers and how to fill them, kernels, steps of dispatches with how often to time them, and
which buffers to return. `docs/plan-format.md` is the specification; `Plan.to_text` and `parse` are
inverse to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from ..base.errors import GemmafitError
from ..base.names import Backend
from ..base.protocol import PLAN_VERSION

Fill = Literal["zero", "i8", "i4", "f32", "f16", "hex"]


class PlanError(GemmafitError):
    """A plan is malformed. Message: line number and what was expected."""


@dataclass(frozen=True)
class Buffer:
    """Memory and what it holds at the start.

    A filled buffer is a matrix of `rows` x `cols` elements; element (r, c) has the logical index
    r*cols+c, from which alone its value follows (`fill.py`). `tile` = (R, C) changes where it is stored,
    never what it is: blocks of R rows x C columns, row blocks outermost, inside a block row after row
    (`(1, cols)` is plain row-major). `transposed` stores each block column after column.

    Attributes:
        size: in bytes.
        data: the content for fill "hex" (small constants such as RoPE tables).
        first: logical index of the first element: a slice of a larger matrix has the same values.
        image: OpenCL: the memory is an image of (texels a row, bits of each of a texel's four channels).
        stored: the content lies in a file of the run until a step loads it.
    """

    name: str
    size: int
    fill: Fill = "zero"
    seed: int = 0
    rows: int = 0
    cols: int = 0
    tile: tuple[int, int] | None = None
    transposed: bool = False
    lo: float = 0.0
    hi: float = 0.0
    data: bytes = b""
    first: int = 0
    image: tuple[int, int] | None = None
    stored: bool = False


@dataclass(frozen=True)
class Kernel:
    """Something that can be dispatched.

    OpenCL: `file` is OpenCL C, `entry` the kernel, `options` build options (no blanks inside one).
    Vulkan: `file` is SPIR-V, `entry` usually main, `spec` specialisation constants (id -> 32-bit value
    given as int or float), `bindings` storage buffers in descriptor set 0, `push` bytes of push constants.
    CPU: `routine` is the name of a built-in routine; `isa` which variant of it (auto: the best there is).
    """

    name: str
    file: str = ""
    entry: str = "main"
    options: tuple[str, ...] = ()
    spec: tuple[tuple[int, int | float], ...] = ()
    bindings: int = 0
    push: int = 0
    subgroup: int = 0
    """Vulkan: required subgroup size (VK_EXT_subgroup_size_control), 0 for the driver's choice."""
    routine: str = ""
    isa: str = "auto"


@dataclass(frozen=True)
class Arg:
    """One kernel argument: B buffer, I int32, U uint32, F float32, L bytes of local memory (OpenCL)."""

    kind: Literal["B", "I", "U", "F", "L"]
    value: str | int | float


@dataclass(frozen=True)
class Dispatch:
    """Run a kernel. `global_size` is in work-items for OpenCL (as clEnqueueNDRangeKernel), in work-groups
    for Vulkan (as vkCmdDispatch) and unused for the CPU. `local_size` () lets the driver choose (OpenCL)."""

    kernel: str
    args: tuple[Arg, ...] = ()
    global_size: tuple[int, ...] = ()
    local_size: tuple[int, ...] = ()


@dataclass(frozen=True)
class Transfer:
    """A whole buffer between the process's memory and the device's: `write` to it, `read` from it, `map` it
    into the process and write there."""

    kind: Literal["write", "read", "map"]
    buffer: str


@dataclass(frozen=True)
class Step:
    """A timed sequence of dispatches, run in order, one wait at the end.

    It runs `warmup` times untimed, then at least `repeat_min` and at most `repeat_max` times timed, and stops
    between them once `budget_ms` of timed work is used up. After each timed run the returned
    buffers are hashed: repeats that differ in one bit are reported. A step must be idempotent.

    Attributes:
        load: before the dispatches of each repeat the stored buffers are read, so many bytes at a time (at
            least LOAD_UNIT); 0: they are not.
        cold: and the file leaves the page cache first, which is not timed.
        transfer: this instead of dispatches.
    """

    name: str
    dispatches: tuple[Dispatch, ...]
    returns: tuple[str, ...] = ()
    warmup: int = 1
    repeat_min: int = 3
    repeat_max: int = 20
    budget_ms: int = 1500
    load: int = 0
    cold: bool = False
    transfer: Transfer | None = None


@dataclass(frozen=True)
class Plan:
    """See the module. `options`: threads, cpus (agent, CPU), device (index), programs (keep, warm, cold)."""

    backend: Backend
    buffers: tuple[Buffer, ...]
    kernels: tuple[Kernel, ...]
    steps: tuple[Step, ...]
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """Where each kernel's `file` is on the host. Not part of the text."""

    @property
    def size(self) -> int:
        """Bytes that the buffers need, and what is beside them while something is loaded or transferred."""
        sizes = {b.name: b.size for b in self.buffers}
        beside = [sizes[step.transfer.buffer] if step.transfer else step.load for step in self.steps]
        return sum(sizes.values()) + max(beside, default=0)

    def to_text(self) -> str:
        """The program as the agent reads it."""
        lines = [f"gemmafit-plan {PLAN_VERSION}", f"backend {self.backend}"]
        lines += [f"option {k}={v}" for k, v in self.options.items()]
        lines += [_buffer_line(b) for b in self.buffers]
        lines += [_kernel_line(k) for k in self.kernels]
        for step in self.steps:
            lines.append(
                f"step {step.name} warmup={step.warmup} repeat={step.repeat_min}..{step.repeat_max}"
                f" budget_ms={step.budget_ms}{_step_extras(step)}"
            )
            lines += [_run_line(d) for d in step.dispatches]
            lines += [f"return {name}" for name in step.returns]
            lines.append("end")
        return "\n".join(lines) + "\n"


def _step_extras(step: Step) -> str:
    words = f" load={step.load}" if step.load else ""
    words += " cold=1" if step.cold else ""
    return words + (f" transfer={step.transfer.kind}:{step.transfer.buffer}" if step.transfer else "")


def _float(value: float) -> str:
    return repr(float(value))


def _buffer_line(b: Buffer) -> str:
    parts = [f"buffer {b.name} bytes={b.size} fill={b.fill}"]
    if b.fill in ("i8", "i4", "f32", "f16"):
        parts.append(f"seed={b.seed} rows={b.rows} cols={b.cols}")
        if b.fill in ("f32", "f16"):
            parts.append(f"lo={_float(b.lo)} hi={_float(b.hi)}")
        if b.first:
            parts.append(f"first={b.first}")
        if b.tile is not None:
            parts.append(f"tile={b.tile[0]},{b.tile[1]}" + (",t" if b.transposed else ""))
    elif b.fill == "hex":
        parts.append(f"data={b.data.hex()}")
    if b.image is not None:
        parts.append(f"image={b.image[0]},u{b.image[1]}")
    if b.stored:
        parts.append("stored=1")
    return " ".join(parts)


def _kernel_line(k: Kernel) -> str:
    """By what it has: a routine, source with options, or a module with bindings."""
    if k.routine:
        return f"kernel {k.name} routine={k.routine} isa={k.isa}"
    line = f"kernel {k.name} file={k.file} entry={k.entry}" + "".join(f" opt={o}" for o in k.options)
    if k.bindings:
        line += f" bindings={k.bindings} push={k.push}"
    if k.subgroup:
        line += f" subgroup={k.subgroup}"
    return line + "".join(f" spec={i}:{'f' + _float(v) if isinstance(v, float) else v}" for i, v in k.spec)


def _arg_text(a: Arg) -> str:
    return f"{a.kind}:{_float(a.value) if isinstance(a.value, float) else a.value}"


def _run_line(d: Dispatch) -> str:
    parts = [f"run {d.kernel}"]
    if d.global_size:
        parts.append("global=" + ",".join(map(str, d.global_size)))
    if d.local_size:
        parts.append("local=" + ",".join(map(str, d.local_size)))
    if d.args:
        parts.append("args=" + ",".join(map(_arg_text, d.args)))
    return " ".join(parts)


def buffers(*names: str) -> tuple[Arg, ...]:
    """Buffer arguments, in order."""
    return tuple(Arg("B", n) for n in names)


def ints(*values: int) -> tuple[Arg, ...]:
    """int32 arguments, in order."""
    return tuple(Arg("I", v) for v in values)


def parse(text: str, files: Mapping[str, Path] | None = None) -> Plan:
    """Read a plan back. Raises PlanError naming the line."""
    backend: Backend | None = None
    options: dict[str, str] = {}
    bufs: list[Buffer] = []
    kernels: list[Kernel] = []
    steps: list[Step] = []
    head: tuple[str, dict[str, list[str]]] | None = None
    runs: list[Dispatch] = []
    returns: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        words = raw.split("#", 1)[0].split()
        if not words:
            continue
        try:
            match words[0]:
                case "gemmafit-plan":
                    if words[1:] != [str(PLAN_VERSION)]:
                        raise PlanError(f"line {number}: plan version {words[1:]} is not {PLAN_VERSION}")
                case "backend":
                    backend = Backend(words[1])
                case "option":
                    key, _, value = words[1].partition("=")
                    options[key] = value
                case "buffer":
                    bufs.append(_parse_buffer(words[1], _pairs(words[2:])))
                case "kernel":
                    kernels.append(_parse_kernel(words[1], _pairs(words[2:])))
                case "step":
                    head = (words[1], _pairs(words[2:]))
                case "run":
                    runs.append(_parse_run(words[1], _pairs(words[2:])))
                case "return":
                    returns.append(words[1])
                case "end":
                    if head is None:
                        raise PlanError(f"line {number}: end without step")
                    steps.append(_parse_step(head[0], head[1], runs, returns))
                    head, runs, returns = None, [], []
                case word:
                    raise PlanError(f"line {number}: unknown word {word!r}")
        except (KeyError, ValueError, IndexError) as error:
            raise PlanError(f"line {number}: {error!r} in {raw!r}") from error
    if backend is None:
        raise PlanError("no backend line")
    return Plan(backend, tuple(bufs), tuple(kernels), tuple(steps), options, dict(files or {}))


def _pairs(words: Iterable[str]) -> dict[str, list[str]]:
    pairs: dict[str, list[str]] = {}
    for word in words:
        key, _, value = word.partition("=")
        pairs.setdefault(key, []).append(value)
    return pairs


def _one(pairs: dict[str, list[str]], key: str, default: str) -> str:
    return pairs.get(key, [default])[-1]


def _parse_buffer(name: str, p: dict[str, list[str]]) -> Buffer:
    fill = p["fill"][0]
    if fill not in get_args(Fill):
        raise ValueError(f"unknown fill {fill}")
    tile = _one(p, "tile", "")
    sizes = tile.split(",")
    return Buffer(
        name,
        int(p["bytes"][0]),
        cast(Fill, fill),
        seed=int(_one(p, "seed", "0")),
        rows=int(_one(p, "rows", "0")),
        cols=int(_one(p, "cols", "0")),
        tile=(int(sizes[0]), int(sizes[1])) if tile else None,
        transposed=sizes[2:] == ["t"],
        lo=float(_one(p, "lo", "0")),
        hi=float(_one(p, "hi", "0")),
        data=bytes.fromhex(_one(p, "data", "")),
        first=int(_one(p, "first", "0")),
        image=_parse_image(_one(p, "image", "")),
        stored=_one(p, "stored", "0") == "1",
    )


def _parse_image(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    width, _, channel = text.partition(",")
    if channel not in ("u16", "u32") or int(width) < 1:
        raise ValueError(f"image {text} is not WIDTH,u16 or WIDTH,u32")
    return int(width), int(channel[1:])


def _parse_kernel(name: str, p: dict[str, list[str]]) -> Kernel:
    spec: list[tuple[int, int | float]] = []
    for item in p.get("spec", []):
        index, _, value = item.partition(":")
        spec.append((int(index), float(value[1:]) if value.startswith("f") else int(value)))
    return Kernel(
        name,
        file=_one(p, "file", ""),
        entry=_one(p, "entry", "main"),
        options=tuple(p.get("opt", [])),
        spec=tuple(spec),
        bindings=int(_one(p, "bindings", "0")),
        push=int(_one(p, "push", "0")),
        subgroup=int(_one(p, "subgroup", "0")),
        routine=_one(p, "routine", ""),
        isa=_one(p, "isa", "auto"),
    )


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(v) for v in text.split(",")) if text else ()


def _parse_run(kernel: str, p: dict[str, list[str]]) -> Dispatch:
    args: list[Arg] = []
    for item in filter(None, _one(p, "args", "").split(",")):
        kind, _, value = item.partition(":")
        match kind:
            case "B":
                args.append(Arg("B", value))
            case "I" | "U" | "L":
                args.append(Arg(kind, int(value)))
            case "F":
                args.append(Arg("F", float(value)))
            case _:
                raise ValueError(f"unknown argument {item}")
    return Dispatch(kernel, tuple(args), _sizes(_one(p, "global", "")), _sizes(_one(p, "local", "")))


def _transfer(text: str) -> Transfer | None:
    if not text:
        return None
    kind, _, buffer = text.partition(":")
    if kind not in ("write", "read", "map"):
        raise ValueError(f"unknown transfer {text}")
    return Transfer(cast(Literal["write", "read", "map"], kind), buffer)


def _parse_step(name: str, p: dict[str, list[str]], runs: list[Dispatch], returns: list[str]) -> Step:
    low, _, high = p["repeat"][0].partition("..")
    return Step(
        name,
        tuple(runs),
        tuple(returns),
        warmup=int(_one(p, "warmup", "1")),
        repeat_min=int(low),
        repeat_max=int(high or low),
        budget_ms=int(_one(p, "budget_ms", "1500")),
        load=int(_one(p, "load", "0")),
        cold=_one(p, "cold", "0") == "1",
        transfer=_transfer(_one(p, "transfer", "")),
    )
