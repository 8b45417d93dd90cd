"""Instructions per multiply-accumulate of the agent's Arm kernels, counted under qemu-user.

    python -m gemmafit.tools.compare.arm_instructions

Time under emulation means nothing; the number of instructions that an in-order core has to issue does. qemu
translates one instruction at a time and logs each block that it enters; the difference between a step of five
products and one of a single product leaves out everything else. Needs Debian's qemu-user-static and
libc6-arm64-cross.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from ...agent import binary
from ...base.names import Backend
from ...benchmarks.cpu.layout import CPU_TILES
from ...benchmarks.plan import Buffer, Dispatch, Kernel, Plan, Step, buffers, ints

CORES = {
    "cortex-a53": ("scalar", "neon"),
    "cortex-a76": ("neon", "dotprod"),
    "max": ("dotprod", "i8mm"),
}
SYSROOT = "/usr/aarch64-linux-gnu"
ROWS, COLS = 64, 2048


def one_at_a_time() -> str:
    """The option's name: renamed in qemu 8.1."""
    done = subprocess.run(["qemu-aarch64-static", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)\.(\d+)", done.stdout)
    if found is None:
        raise RuntimeError(f"unknown qemu: {done.stdout}")
    return "-one-insn-per-tb" if (int(found[1]), int(found[2])) >= (8, 1) else "-singlestep"


def plan(isa: str, n: int, bits: int, products: int) -> Plan:
    """A step of so many equal products."""
    size = ROWS * COLS * bits // 8
    tile = CPU_TILES["int8" if bits == 8 else "int4"]
    held = (
        Buffer("q", n * COLS, "i8", seed=1, rows=n, cols=COLS),
        Buffer("s", 4 * n, "f32", seed=2, rows=1, cols=n, lo=0.1, hi=0.2),
        Buffer("w", size, "i8" if bits == 8 else "i4", seed=3, rows=ROWS, cols=COLS, tile=tile),
        Buffer("ws", 4 * ROWS, "f32", seed=4, rows=1, cols=ROWS, lo=0.1, hi=0.2),
        Buffer("y", 4 * n * ROWS),
    )
    run = Dispatch("linear", buffers("q", "s", "w", "ws", "y") + ints(n, ROWS, COLS))
    step = Step("linear", (run,) * products, (), 0, 1, 1)
    return Plan(
        Backend.CPU, held, (Kernel("linear", routine=f"linear_i{bits}", isa=isa),), (step,), {"threads": "1"}
    )


def count(core: str, program: Plan, folder: Path, option: str) -> int:
    """Instructions of the whole process."""
    (folder / "plan.txt").write_text(program.to_text())
    log = folder / "log"
    os.mkfifo(log)
    lines = 0

    def read() -> None:
        nonlocal lines
        with log.open("rb", buffering=1 << 20) as stream:
            while piece := stream.read(1 << 20):
                lines += piece.count(b"\nTrace ")

    reader = threading.Thread(target=read)
    reader.start()
    qemu = ["qemu-aarch64-static", "-L", SYSROOT, "-cpu", core, option, "-d", "nochain,exec", "-D", str(log)]
    agent = [str(binary("linux-aarch64")), "run", "--plan", str(folder / "plan.txt")]
    subprocess.run(
        [*qemu, *agent, "--out", str(folder / "out"), "--deadline", "100"], check=True, capture_output=True
    )
    reader.join()
    log.unlink()
    return lines


def main() -> None:
    """Print the table."""
    print(f"instructions per multiply-accumulate, {ROWS}x{COLS} weights, dequantisation included")
    print("core        isa       int8 n=1   int8 n=16  int4 n=1   int4 n=16")
    option = one_at_a_time()
    with tempfile.TemporaryDirectory() as folder:
        for core, isas in CORES.items():
            for isa in isas:
                row = f"{core:<11} {isa:<8}"
                for bits, n in ((8, 1), (8, 16), (4, 1), (4, 16)):
                    once, more = (count(core, plan(isa, n, bits, r), Path(folder), option) for r in (1, 5))
                    row += f"  {(more - once) / (4 * n * ROWS * COLS):9.3f}"
                print(row, flush=True)


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as error:
        sys.exit(f"{error}: needs Debian's qemu-user-static and libc6-arm64-cross")
