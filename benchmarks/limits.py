"""Machine limits: figures that steps of a plan yield, beside which the kernels' own figures are judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..base.names import Backend
from ..base.protocol import PEAK_UNIT
from .plan import Buffer, Dispatch, Kernel, Plan, Step, Transfer, buffers, ints
from .timing import Timing


@dataclass(frozen=True)
class Limit:
    """One figure. `amount` is what a step does: bytes, operations or dispatches."""

    name: str
    unit: Literal["GB/s", "GFLOP/s", "GOP/s", "us"]
    amount: float

    def value(self, seconds: float) -> float:
        """The figure for a step that took so long: amount per time, or microseconds for each."""
        return seconds * 1e6 / self.amount if self.unit == "us" else self.amount / seconds / 1e9


READ_BYTES = 48 << 20
"""Several times the last-level cache of a phone (8 to 16 MB)."""
_MEGA = 256  # PEAK_UNIT: 0.5 GFLOP, 50 ms on one Cortex-A53 without vectors


TRANSFER_BYTES = 16 << 20
"""A piece of the weights as it is loaded. The host holds it too, and a driver perhaps once more."""


def transfers(timing: Timing) -> tuple[Buffer, tuple[tuple[Limit, Step], ...]]:
    """A buffer, and steps that copy it between host and device with their limits: host_write, host_read,
    host_map."""
    moved = Buffer("moved", TRANSFER_BYTES)
    kinds: tuple[Literal["write", "read", "map"], ...] = ("write", "read", "map")
    return moved, tuple(
        (
            Limit(f"host_{kind}", "GB/s", TRANSFER_BYTES),
            replace(timing.step(f"host_{kind}"), transfer=Transfer(kind, moved.name)),
        )
        for kind in kinds
    )


def cpu_plan(threads: int | None = None, budget_ms: int = 300) -> tuple[Plan, tuple[Limit, ...]]:
    """A plan for the agent's CPU routines with one step for each limit, of the same name.

    read, copy        GB/s; copy counts what is read and what is written
    peak_fp32, peak_fp16, peak_int8  of multiply-adds in registers, all threads; peak_fp16 is unsupported on a
                      CPU without half-precision arithmetic (Armv8.2 asimdhp, AVX512-FP16)
    """
    timing = Timing(repeat_min=3, repeat_max=10, budget_ms=budget_ms)
    operations = 2.0 * _MEGA * PEAK_UNIT
    rows: tuple[tuple[Limit, str, Dispatch], ...] = tuple(
        (limit, routine, Dispatch(routine, args))
        for limit, routine, args in (
            (Limit("read", "GB/s", READ_BYTES), "stream_read", buffers("data", "sum")),
            (Limit("copy", "GB/s", 2 * READ_BYTES), "stream_copy", buffers("data", "copied")),
            (Limit("peak_fp32", "GFLOP/s", operations), "peak_f32", buffers("out") + ints(_MEGA)),
            (Limit("peak_fp16", "GFLOP/s", operations), "peak_f16", buffers("out") + ints(_MEGA)),
            (Limit("peak_int8", "GOP/s", operations), "peak_i8", buffers("out") + ints(_MEGA)),
        )
    )
    memory = (
        Buffer("data", READ_BYTES, "i8", seed=3, rows=READ_BYTES >> 12, cols=1 << 12),
        Buffer("copied", READ_BYTES),
        Buffer("sum", 8),
        Buffer("out", 4),
    )
    kernels = tuple(Kernel(routine, routine=routine) for _, routine, _ in rows)
    steps = tuple(timing.step(limit.name, (run,)) for limit, _, run in rows)
    options = {} if threads is None else {"threads": str(threads)}
    return Plan(Backend.CPU, memory, kernels, steps, options), tuple(limit for limit, _, _ in rows)
