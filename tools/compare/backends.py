"""Decode on OpenCL and Vulkan beside the CPU kernels of this computer, as ratios of one run.

    python -m gemmafit.tools.compare.backends [--rounds 3] [--backends cpu,opencl]

The CPU's kernels reach what the memory gives; a software OpenCL driver on the same cores shows how much of
that the OpenCL kernels' layout and arithmetic leave. Backends take turns, best and median of all rounds
count. Software devices prove layout, not a phone's speed.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from ...base.names import MEASURED, Status
from ...benchmarks.block.dims import GEMMA_2B, Scheme
from ...benchmarks.measurements import Measurement
from ...benchmarks.run import BlockOptions, measure


def speeds(rounds: int, backends: Sequence[str]) -> dict[tuple[Scheme, str, str], list[float]]:
    """GB/s of every repeat by (scheme, phase, backend/variant)."""
    from ...probes.collect import collect
    from ...probes.local import LocalTarget
    from ...probes.read import read

    target = LocalTarget()
    snapshot = read(collect(target))
    found: dict[tuple[Scheme, str, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for backend in backends:
            options = BlockOptions(
                backends=(backend,), phases=("decode",), thorough=True, limits=False, dims=GEMMA_2B
            )
            for row in measure(target, snapshot, options):
                if row.status is Status.OK and row.bytes is not None:
                    _check(row)
                    name = f"{row.backend}/{row.variant}"
                    rates = [row.bytes / s / 1e9 for s in row.samples_s]
                    found[Scheme(row.scheme), row.phase, name] += rates
    return found


def _check(row: Measurement) -> None:
    if row.deviation is None or not row.deviation.ok:
        raise SystemExit(f"{row.key}: wrong results ({row.deviation}): its speed means nothing")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table for the backends of this computer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backends", default=",".join(MEASURED), help="cpu and others, separated by commas")
    args = parser.parse_args(argv)
    found = speeds(args.rounds, args.backends.split(","))
    cpu: dict[tuple[Scheme, str], tuple[float, float]] = {}
    for (scheme, phase, name), rates in found.items():
        if name.startswith("cpu/"):
            cpu[scheme, phase] = max((max(rates), median(rates)), cpu.get((scheme, phase), (0.0, 0.0)))
    for (scheme, phase, name), rates in sorted(found.items()):
        best, mid = max(rates), median(rates)
        line = f"{scheme} {phase:<7} {name:<24} best {best:6.2f} median {mid:6.2f} GB/s"
        if (scheme, phase) in cpu and not name.startswith("cpu"):
            top, middle = cpu[scheme, phase]
            line += f"   of the CPU's: best {best / top:4.0%} median {mid / middle:4.0%}"
        print(line)


if __name__ == "__main__":
    main()
