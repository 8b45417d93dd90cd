"""What an OpenCL device can do at most: a plan with one step for each limit, of the same name."""

from __future__ import annotations

from pathlib import Path

from ...base.names import Backend
from ..limits import READ_BYTES, Limit, transfers
from ..plan import Arg, Buffer, Dispatch, Kernel, Plan, Step, buffers, ints
from ..timing import Timing
from .variants import ClFacts

_SOURCE = Path(__file__).parent / "limits.cl"
_DISPATCHES = 64
_GROUP = 64
_GPU_ITEMS, _CPU_ITEMS = 1 << 15, 64
_ROUNDS = 128
"""32768 work-items x 128 rounds x 8 chains x 4 lanes: 0.27 GFLOP, 30 ms on a Mali-T820."""


def plan(facts: ClFacts, budget_ms: int = 300) -> tuple[Plan, tuple[Limit, ...]]:
    """read, copy (GB/s; copy counts both ways), peak_fp32, peak_fp16 (GFLOP/s), dispatch (us for each of 64
    dispatches in one submission), submit (us from submitting one dispatch to knowing that it is done), and
    host_write, host_read, host_map (GB/s between host and device: clEnqueueWriteBuffer, clEnqueueReadBuffer,
    and writing where clEnqueueMapBuffer says)."""
    word, lanes = ("uint16", 16) if facts.cpu else ("uint4", 4)
    items = _CPU_ITEMS if facts.cpu else _GPU_ITEMS
    count = READ_BYTES // (4 * lanes) // items
    base, stride = (count, 1) if facts.cpu else (1, items)
    timing = Timing(repeat_min=3, repeat_max=10, budget_ms=budget_ms)
    kernels: dict[str, Kernel] = {}
    steps: list[Step] = []
    limits: list[Limit] = []

    def add(
        limit: Limit,
        entry: str,
        options: tuple[str, ...],
        args: tuple[Arg, ...],
        size: int,
        local: int,
        times: int = 1,
    ) -> None:
        name = entry if entry != "peak" else limit.name
        kernels.setdefault(name, Kernel(name, "limits.cl", entry, options))
        steps.append(timing.step(limit.name, (Dispatch(name, args, (size,), (local,)),) * times))
        limits.append(limit)

    group = 1 if facts.cpu else _GROUP
    words = ("-cl-mad-enable", f"-DWORD={word}")
    where = ints(count, base, stride)
    add(Limit("read", "GB/s", READ_BYTES), "read", words, buffers("data", "sums") + where, items, group)
    add(Limit("copy", "GB/s", 2 * READ_BYTES), "copy", words, buffers("data", "copied") + where, items, group)
    rounds = _ROUNDS * (1024 if facts.cpu else 1)
    kinds: list[tuple[str, str, tuple[str, ...]]] = [("fp32", "float", ())]
    if facts.fp16:
        kinds.append(("fp16", "half", ("-DHALF",)))
    for kind, scalar, extra in kinds:
        operations = 2.0 * 8 * items * rounds * lanes
        chains = (*buffers("sums"), Arg("I", rounds), Arg("F", 0.5), Arg("F", 0.125))
        options = (*words, f"-DV={scalar}{lanes}", *extra)
        add(Limit(f"peak_{kind}", "GFLOP/s", operations), "peak", options, chains, items, group)
    nothing = buffers("sums")
    add(Limit("dispatch", "us", _DISPATCHES), "nothing", words, nothing, group, group, _DISPATCHES)
    add(Limit("submit", "us", 1), "nothing", words, nothing, group, group)
    moved, copies = transfers(timing)
    for limit, step in copies:
        steps.append(step)
        limits.append(limit)
    memory = (
        Buffer("data", READ_BYTES, "i8", seed=3, rows=READ_BYTES >> 12, cols=1 << 12),
        Buffer("copied", READ_BYTES),
        Buffer("sums", 4 * items),
        moved,
    )
    files = {"limits.cl": _SOURCE}
    return Plan(Backend.OPENCL, memory, tuple(kernels.values()), tuple(steps), files=files), tuple(limits)
