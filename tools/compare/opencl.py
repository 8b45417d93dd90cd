"""OpenCL's matrix products at decode beside the CPU kernels', in one run on this computer.

    python -m gemmafit.tools.compare.opencl [--variant lanes] [--rounds 3]

For each Gemma-2B weight matrix, int8 and 4-bit: GB/s of weights, best and median of all rounds, and the share
of the CPU's. Both run in the agent and take turns; weights are rotated as in `compare.cpu`, so that no cache
of a core holds them. Which driver: the first device of the loader (`OCL_ICD_VENDORS` chooses). A driver that
runs on the CPU shows what layout and arithmetic leave of the memory's speed, and nothing about a phone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

from ...agent import binary
from ...benchmarks.block.dims import Weight
from ...benchmarks.opencl.plan import products
from ...benchmarks.opencl.variants import ClFacts, ClVariant, by_name, candidates
from ...benchmarks.plan import Plan
from ...benchmarks.timing import Timing
from .cpu import AGENTS, LAYER, REST, SHAPES, WARMUP, Samples, Work, plan_of


def opencl_plan(work: Work, variant: ClVariant, facts: ClFacts, repeats: int) -> Plan:
    """The work's products over all copies of their weights."""
    weights = [
        Weight(f"w{copy}.{i}", rows, cols, work.bits, seed=copy, lo=1e-4, hi=2e-4)
        for copy in range(work.copies)
        for i, (rows, cols) in enumerate(work.shapes)
    ]
    return products(weights, variant, facts, Timing(WARMUP, repeats, repeats))


def turn(agent: Path, folder: Path, plan: Plan) -> list[float]:
    """Seconds of each repeat of the plan's only step. Raises RuntimeError if it failed."""
    (folder / "plan.txt").write_text(plan.to_text())
    for name, file in plan.files.items():
        (folder / name).write_bytes(file.read_bytes())
    time.sleep(REST)
    command = [str(agent), "run", "--plan", "plan.txt", "--out", "out", "--deadline", "100"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    (row,) = json.loads((folder / "out.json").read_text())["steps"]
    if row["status"] != "ok":
        raise RuntimeError(row["reason"])
    return [ns / 1e9 for ns in row["samples_ns"]]


def main() -> None:
    """Print the table for the OpenCL device of this computer."""
    from ...probes.collect import collect
    from ...probes.local import LocalTarget
    from ...probes.read import read

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", help="default: the first that the device suggests")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=4, help="in a turn")
    options = parser.parse_args()
    device = read(collect(LocalTarget())).opencl
    facts = ClFacts.of(device)
    variant = by_name(options.variant) if options.variant else candidates(facts)[0]
    agent, threads = binary(AGENTS[platform.machine()]), len(os.sched_getaffinity(0))
    print(f"{device.device}, {device.driver}: {variant.name}; GB/s of weights, best and median")
    works = [Work(f"{rows}x{cols}", ((rows, cols),), (), 1, bits) for bits in (8, 4) for rows, cols in SHAPES]
    works += [Work("products", LAYER, (), 1, bits) for bits in (8, 4)]
    with tempfile.TemporaryDirectory() as folder:
        for work in works:
            plans = {
                "cpu": plan_of(work, threads, options.repeats, "auto"),
                "opencl": opencl_plan(work, variant, facts, options.repeats),
            }
            samples = {name: Samples() for name in plans}
            for _ in range(options.rounds):
                for name, plan in plans.items():
                    samples[name].seconds += turn(agent, Path(folder), plan)
            ours, other = (samples[name].speed(work.amount) for name in plans)
            print(
                f"{work.name:<12} int{work.bits}  cpu {ours[0]:6.1f} {ours[1]:6.1f}"
                f"   opencl {other[0]:6.1f} {other[1]:6.1f}"
                f"   of the CPU's {other[0] / ours[0]:4.0%} {other[1] / ours[1]:4.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
