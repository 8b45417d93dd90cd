"""What contention looks like on this computer: the figures behind the thresholds of `trust.py`.

    python -m gemmafit.tools.contention [--runs 10] [--loops CORES] [--backend cpu ...]

Waits before each run until the machine idles (`--patience`: seconds at most), measures the reference layer
`runs` times on the machine as it is, which should be idle, and as often beside busy loops, each once without
measuring again. Prints for every row what was lost to others, how many cores they used, and whether the row
is void; at the end the ranges of both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median

from ..base.names import MEASURED, Backend, Status
from ..benchmarks.backends import lowerer
from ..benchmarks.block.dims import Scheme, decode, prefill
from ..benchmarks.interpreter.contention import machine_ns
from ..benchmarks.measurements import Measurement
from ..benchmarks.rows import References
from ..benchmarks.runner import Runner
from ..benchmarks.timing import Timing
from ..probes.collect import collect
from ..probes.local import LocalTarget
from ..probes.read import read
from ..probes.snapshot import Snapshot
from ..profiles.loader import load as load_knowledge

_LOOP = "while True: pass"
_IDLE = 0.05
"""Share of all cores that may be busy for two seconds before a run that is called quiet."""
_WARM_S = 1.0
"""Until loops that were started run at their full share."""


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """So many processes that compute all the time."""
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", _LOOP]))
            stack.callback(process.kill)
        time.sleep(_WARM_S if count else 0)
        yield


def idle(patience: float) -> bool:
    """Wait until nothing else runs here; False where that did not come within so many seconds."""
    end = time.monotonic() + patience
    while True:
        before, start = machine_ns(), time.monotonic_ns()
        time.sleep(2.0)
        now, elapsed = machine_ns(), time.monotonic_ns() - start
        if before is None or now is None:
            return False
        if now - before <= _IDLE * elapsed * (os.cpu_count() or 1):
            return True
        if time.monotonic() > end:
            return False


def rows(backend: Backend, snapshot: Snapshot, references: References) -> list[Measurement]:
    """Decode, logits and prefill of the first candidate, each measured once."""
    lower = lowerer(backend, snapshot, classes=load_knowledge().kernels)
    found: list[Measurement] = []
    with LocalTarget().session() as session:
        runner = Runner(session, snapshot, lower, references)
        first = next(c for c in lower.candidates() if c.fused)
        for phase in (decode(128), prefill(16)):
            timing = Timing(repeat_min=2, repeat_max=10, budget_ms=300)
            found += runner.block(Scheme.INT8, phase, first, timing, again=False)
    return found


def _line(row: Measurement) -> str:
    c = row.contention
    if row.status is not Status.OK or c is None:
        return f"{row.key}: {row.status}: {row.reason or 'no facts'}"
    figures = {"lost": c.lost, "others": c.others, "pressure": c.pressure, "load": c.load}
    text = " ".join(f"{name} {'?' if value is None else f'{value:.3f}'}" for name, value in figures.items())
    ms = 1e3 * (row.seconds or 0.0)
    return f"{row.key:32} {ms:8.2f} ms {text} switches {c.switches} dropped {c.dropped} " + (
        "VOID" if c.disturbed else "counts"
    )


def _ranges(what: str, found: Sequence[Measurement]) -> None:
    for backend in MEASURED:
        seen = [r for r in found if r.backend is backend and r.contention and r.status is Status.OK]
        for name in ("lost", "others"):
            values = [v for r in seen if (v := getattr(r.contention, name)) is not None]
            if values:
                low, middle, high = min(values), median(values), max(values)
                print(f"{what:6} {backend:6} {name:6} {low:.3f} to {high:.3f}, median {middle:.3f}")
        if seen:
            void = sum(r.disturbed for r in seen)
            print(f"{what:6} {backend:6} {void} of {len(seen)} rows void")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--loops", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--patience", type=float, default=60.0)
    parser.add_argument("--backend", action="append", choices=list(MEASURED))
    args = parser.parse_args(argv)
    snapshot = read(collect(LocalTarget()))
    references = References()
    for what, loops in (("quiet", 0), ("beside", args.loops)):
        found: list[Measurement] = []
        for run in range(args.runs):
            for name in args.backend or [Backend.CPU]:
                if not loops and not idle(args.patience):
                    print(f"{what:6} {run + 1:3} {name}: left out, as the machine did not idle", flush=True)
                    continue
                with busy_loops(loops):
                    one = rows(Backend(name), snapshot, references)
                found += one
                for row in one:
                    print(f"{what:6} {run + 1:3} {_line(row)}", flush=True)
        _ranges(what, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
