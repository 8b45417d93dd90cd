"""What the device can do at most: plans that measure memory bandwidth, arithmetic and launch overhead.

The kernels next to these figures can then be judged by them. Everything is measured with the plan format's
means, by either interpreter; `Limit.value` turns the seconds of a step into the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...base.names import Backend
from ..limits import READ_BYTES, Limit, transfers
from ..plan import Arg, Buffer, Dispatch, Kernel, Plan, Step
from ..timing import Timing
from . import modules
from .variants import VkFacts

_WORDS_PER_INVOCATION = 16  # of 16 bytes
ROUNDS, _PER_ROUND = 128, 16  # of peak.comp and peak_dot8.comp: chains x values
_PEAK_GROUPS = 1024
"""1024 x 64 invocations x 128 rounds x 64 multiply-adds = 1 GFLOP: 0.1 s on a Mali-T830, 0.4 ms on an
Adreno 750."""
_DISPATCHES = 64
MIXED = -2023406815  # 0x87654321 as int32: different bytes, two of them negative


@dataclass
class _Steps:
    """Steps of one kernel each, as they come."""

    group: int
    budget_ms: int
    kernels: list[Kernel] = field(default_factory=list[Kernel])
    files: dict[str, Path] = field(default_factory=dict[str, Path])
    steps: list[Step] = field(default_factory=list[Step])
    limits: list[Limit] = field(default_factory=list[Limit])

    def add(
        self,
        limit: Limit,
        module: modules.Module,
        constant: Sequence[int],
        names: Sequence[str],
        push: Sequence[Arg],
        groups: int,
        *,
        times: int = 1,
        result: bool = True,
    ) -> None:
        """`constant` follows the size of a work-group among the kernel's constants; the last of `names` is
        returned where `result`."""
        spec = tuple(enumerate((self.group, *constant)))
        self.kernels.append(
            Kernel(limit.name, file=module.name, spec=spec, bindings=len(names), push=4 * len(push))
        )
        self.files[module.name] = module.path
        run = Dispatch(limit.name, tuple(Arg("B", n) for n in names) + tuple(push), (groups,))
        returns = (names[-1],) if result else ()
        self.steps.append(
            Step(limit.name, (run,) * times, returns, repeat_min=3, repeat_max=10, budget_ms=self.budget_ms)
        )
        self.limits.append(limit)


def _module(source: str, *axes: str) -> modules.Module:
    return modules.Module(f"{source}.comp", axes)


def plan(facts: VkFacts, budget_ms: int = 400) -> tuple[Plan, tuple[Limit, ...]]:
    """A plan with one step for each limit, of the same name.

    read, copy      GB/s; copy counts what is read and what is written
    peak_fp32/fp16  GFLOP/s of multiply-add chains
    peak_dot8       GOP/s of 8-bit dot products, where the device has the extension
    dispatch        us for each of 64 dispatches in one submission
    submit          us from submitting one dispatch to knowing that it is done
    host_write/read GB/s between host and device through a staging buffer
    host_map        GB/s of writing where the host maps the device's memory
    """
    group = min(64, facts.invocations, facts.group_width)
    words = min(READ_BYTES, facts.storage_range) // 16
    block = group * _WORDS_PER_INVOCATION
    groups = min(words // block, facts.groups)
    size = groups * block * 16
    peak_items = _PEAK_GROUPS * group
    buffers = [
        Buffer("data", size, "i8", seed=3, rows=groups, cols=block * 16),
        Buffer("copied", size),
        Buffer("sums", groups * group * 4),
        Buffer("chains", peak_items * 16),
        *(Buffer(name, 16) for name in ("a", "b", "c")),
    ]
    made = _Steps(group, budget_ms)
    step = made.add
    per = (_WORDS_PER_INVOCATION,)
    step(Limit("read", "GB/s", size), _module("read"), per, ("data", "sums"), (), groups)
    copy = Limit("copy", "GB/s", 2 * size)
    step(copy, _module("read", "copy"), per, ("data", "copied"), (), groups, result=False)  # 48 MB to fetch
    operations = float(peak_items * ROUNDS * _PER_ROUND * 4 * 2)
    half = (Arg("F", 0.5), Arg("F", 1.0))
    rounds = (ROUNDS,)
    fp32 = Limit("peak_fp32", "GFLOP/s", operations)
    step(fp32, _module("peak", "fp32"), rounds, ("chains",), half, _PEAK_GROUPS)
    if facts.fp16:
        fp16 = Limit("peak_fp16", "GFLOP/s", operations)
        step(fp16, _module("peak", "fp16"), rounds, ("chains",), half, _PEAK_GROUPS)
    if facts.integer_dot:
        mixed = (Arg("I", MIXED), Arg("I", MIXED))
        dot8 = Limit("peak_dot8", "GOP/s", operations)
        step(dot8, _module("peak_dot8"), rounds, ("chains",), mixed, _PEAK_GROUPS)
    one = (Arg("U", 1),)
    nothing = ("a", "b", "c")
    step(Limit("dispatch", "us", _DISPATCHES), _module("add", "fp32"), (), nothing, one, 1, times=_DISPATCHES)
    step(Limit("submit", "us", 1), _module("add", "fp32"), (), nothing, one, 1)
    timing = Timing(repeat_min=3, repeat_max=10, budget_ms=budget_ms)
    moved, copies = transfers(timing)
    buffers.append(moved)
    steps = (*made.steps, *(copied for _, copied in copies))
    limits = (*made.limits, *(limit for limit, _ in copies))
    return Plan(Backend.VULKAN, tuple(buffers), tuple(made.kernels), steps, files=made.files), limits
