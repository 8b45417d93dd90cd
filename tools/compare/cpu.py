"""The agent's CPU kernels beside the best engines', in one run on this computer.

    python -m gemmafit.tools.compare.cpu [--llama BUILD] [--threads 2] [--rounds 6]

For each Gemma-2B weight matrix and for all matrices of a layer ("products", a sum of products and nothing
else), decode (n=1) and prefill (n=128), int8 and 4-bit: ours, XNNPACK (`pip install ai-edge-litert
flatbuffers`) and llama.cpp (a build given with --llama). A row gives GB/s of weights (decode) or GFLOP/s
(prefill), best and median, and our speed divided by the peer's. "whole layer" is all that a layer does, also
norms, RoPE and attention: ours fused and unfused, and llama.cpp's; XNNPACK has no such graph here.

Every engine takes float activations and returns float ones, so quantising them is in every figure. The
engines take turns, and each rests before the next: idle workers of XNNPACK's thread pool keep their core busy
for some 50 ms. The machine's noise then hits all alike; only the ratios mean something on a shared one.
Weights are rotated through 256 MB (decode) or 128 MB (prefill), or 256 copies of the smallest: second-level
caches are cold, a third-level cache of a server may hold them. "whole layer" has one copy of its 60 to
110 MB.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from ...agent import binary
from ...base.names import Backend
from ...benchmarks.block.dims import GEMMA_2B, Block, Scheme, decode, prefill
from ...benchmarks.cpu.layout import CPU_TILES
from ...benchmarks.cpu.plan import VARIANTS, lower
from ...benchmarks.plan import Buffer, Dispatch, Kernel, Plan, Step, buffers, ints
from ...benchmarks.timing import Timing
from . import ggml, xnnpack

SHAPES = ((16384, 2048), (2048, 16384), (2048, 2048), (256, 2048))
LAYER = ((2560, 2048), (2048, 2048), (32768, 2048), (2048, 16384))
"""Rows x columns of q+k+v, o, gate+up and down."""
LAYER_SPLIT = (
    (2048, 2048),
    (256, 2048),
    (256, 2048),
    (2048, 2048),
    (16384, 2048),
    (16384, 2048),
    (2048, 16384),
)
"""The same matrices as the model files hold them: what the peers are given."""
ROTATE = 256 << 20  # bytes of weights to cycle through; the agent takes 400 MB in all
COPIES = 256
REST = 0.1  # seconds
WARMUP = 2
AGENTS = {"x86_64": "linux-x86_64", "aarch64": "linux-aarch64"}


@dataclass(frozen=True)
class Work:
    """Some products, repeated over `copies` of their weights."""

    name: str
    shapes: tuple[tuple[int, int], ...]
    split: tuple[tuple[int, int], ...]
    n: int
    bits: int

    @property
    def weights(self) -> int:
        return sum(rows * cols for rows, cols in self.shapes)

    @property
    def copies(self) -> int:
        size = self.weights * self.bits // 8
        return min(COPIES, max(1, (ROTATE if self.n == 1 else ROTATE // 2) // size))

    @property
    def amount(self) -> float:
        """GB of weights (decode) or GFLOP (prefill) of all copies."""
        if self.n == 1:
            return self.copies * self.weights * self.bits / 8e9
        return self.copies * 2 * self.weights * self.n / 1e9


def plan_of(work: Work, threads: int, repeats: int, isa: str) -> Plan:
    """Products after the quantisation of their activations, which equal widths share, as for the peers."""
    n, low = work.n, "int8" if work.bits == 8 else "int4"
    found: dict[str, Buffer] = {}
    dispatches: list[Dispatch] = []
    for copy in range(work.copies):
        widths: set[int] = set()
        for i, (rows, cols) in enumerate(work.shapes):
            x, w = f"x{cols}", f"w{copy}.{i}"
            how = {"fill": "f32", "seed": 2, "rows": n, "cols": cols, "lo": -1.0, "hi": 1.0}
            found.setdefault(x, Buffer(x, 4 * n * cols, **how))  # type: ignore[arg-type]
            found.setdefault(f"{x}.q", Buffer(f"{x}.q", n * cols))
            found.setdefault(f"{x}.s", Buffer(f"{x}.s", 4 * n))
            size = rows * cols * work.bits // 8
            how = {"fill": f"i{work.bits}", "seed": copy, "rows": rows, "cols": cols, "tile": CPU_TILES[low]}
            found[w] = Buffer(w, size, **how)  # type: ignore[arg-type]
            how = {"fill": "f32", "seed": 3, "rows": 1, "cols": rows, "lo": 1e-4, "hi": 2e-4}
            found.setdefault(f"ws{rows}", Buffer(f"ws{rows}", 4 * rows, **how))  # type: ignore[arg-type]
            found.setdefault(f"y{rows}", Buffer(f"y{rows}", 4 * n * rows))
            if cols not in widths:
                widths.add(cols)
                dispatches.append(Dispatch("quantize", buffers(x, f"{x}.q", f"{x}.s") + ints(n, cols)))
            names = buffers(f"{x}.q", f"{x}.s", w, f"ws{rows}", f"y{rows}")
            dispatches.append(Dispatch("linear", names + ints(n, rows, cols)))
    kernels = (
        Kernel("quantize", routine="quantize", isa=isa),
        Kernel("linear", routine=f"linear_i{work.bits}", isa=isa),
    )
    step = Step("work", tuple(dispatches), (), WARMUP, repeats, repeats)
    return Plan(Backend.CPU, tuple(found.values()), kernels, (step,), {"threads": str(threads)})


class Ours:
    """The agent, one process a turn."""

    def __init__(self, agent: Path, threads: int, isa: str, folder: Path) -> None:
        self.agent, self.threads, self.isa, self.folder = agent, threads, isa, folder

    def turn(self, plan: Plan) -> list[float]:
        """Seconds of each repeat of the plan's only step."""
        (self.folder / "plan.txt").write_text(plan.to_text())
        paths = ["--plan", str(self.folder / "plan.txt"), "--out", str(self.folder / "out")]
        command = [str(self.agent), "run", *paths, "--deadline", "100"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (row,) = json.loads((self.folder / "out.json").read_text())["steps"]
        if row["status"] != "ok":
            raise RuntimeError(row["reason"])
        return [ns / 1e9 for ns in row["samples_ns"]]


@dataclass
class Peer:
    """An engine that can be asked for products. It has a thread of its own: XNNPACK releases the AMX tiles of
    the thread it runs on, and ggml configures those of a thread only once."""

    name: str
    prepare: Callable[[Sequence[tuple[int, int]], int, int], Callable[[], None]]
    layer: Callable[[Block], Callable[[], None]] | None = None
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def turn(self, run: Callable[[], None], repeats: int) -> list[float]:
        """Seconds of each run, after a rest and as many warm-up runs as ours has."""
        time.sleep(REST)
        return self.thread.submit(_timed, run, repeats).result()


def _timed(run: Callable[[], None], repeats: int) -> list[float]:
    for _ in range(WARMUP):
        run()
    found: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return found


@dataclass
class Samples:
    """Seconds of each round."""

    seconds: list[float] = field(default_factory=list[float])

    def speed(self, amount: float) -> tuple[float, float]:
        """Best and median."""
        return amount / min(self.seconds), amount / median(self.seconds)


def compare(work: Work, ours: Ours, peers: Sequence[Peer], rounds: int, repeats: int) -> str:
    """A line of the table: ours against each peer on one shape, in turns within each round."""
    shapes = work.split * work.copies
    ready = [(p, p.thread.submit(p.prepare, shapes, work.n, work.bits).result()) for p in peers]
    plan = plan_of(work, ours.threads, repeats, ours.isa)
    samples = {name: Samples() for name in ("ours", *(peer.name for peer in peers))}
    for _ in range(rounds):
        time.sleep(REST)
        samples["ours"].seconds += ours.turn(plan)
        for peer, run in ready:
            samples[peer.name].seconds += peer.turn(run, repeats)
    unit = "GB/s" if work.n == 1 else "GFLOP/s"
    best, mid = samples["ours"].speed(work.amount)
    line = f"{work.name:<12} n={work.n:<4} int{work.bits} {unit:>8}  ours {best:7.1f} {mid:7.1f}"
    for peer in peers:
        its_best, its_mid = samples[peer.name].speed(work.amount)
        line += f"   {peer.name} {its_best:7.1f} {its_mid:7.1f}"
        line += f"  ratio {best / its_best:5.2f} {mid / its_mid:5.2f}"
    return line


def whole_layer(n: int, bits: int, ours: Ours, peers: Sequence[Peer], rounds: int, repeats: int) -> str:
    """Milliseconds of the complete layer (norms, RoPE, attention over 128 tokens and all)."""
    block = Block(GEMMA_2B, Scheme.INT8 if bits == 8 else Scheme.INT4, decode(128) if n == 1 else prefill(n))
    timing = Timing(WARMUP, repeats, repeats)
    ready = [(peer, peer.thread.submit(peer.layer, block).result()) for peer in peers if peer.layer]
    samples = {
        name: Samples()
        for name in (*(variant.name for variant in VARIANTS), *(peer.name for peer, _ in ready))
    }
    for turn in range(rounds):
        for variant in VARIANTS[:: 1 if turn % 2 else -1]:
            plan = lower(block, variant, timing, isa=ours.isa, threads=ours.threads, logits=False)
            time.sleep(REST)
            samples[variant.name].seconds += ours.turn(plan)
        for peer, run in ready:
            samples[peer.name].seconds += peer.turn(run, repeats)
    line = f"{'whole layer':<12} n={n:<4} {'int8' if bits == 8 else '8/4/4'} {'ms':>8}"
    for name, found in samples.items():
        line += f"   {name} {1e3 * min(found.seconds):7.2f} {1e3 * median(found.seconds):7.2f}"
    fused = samples[VARIANTS[0].name].seconds
    for name in list(samples)[1:]:
        theirs = samples[name].seconds
        line += f"  ratio {min(theirs) / min(fused):5.2f} {median(theirs) / median(fused):5.2f}"
    return line


def find_peers(llama: Path | None, threads: int) -> list[Peer]:
    """Those that are installed; why another is not is said on stderr."""
    peers = []
    try:
        import ai_edge_litert.interpreter  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: F401
        import flatbuffers  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: F401

        peers.append(Peer(xnnpack.NAME, lambda s, n, bits: xnnpack.prepare(s, n, bits, threads)))
    except ImportError as error:
        print(f"skipped: {xnnpack.NAME}: {error}; pip install ai-edge-litert flatbuffers", file=sys.stderr)
    if llama is None:
        print(f"skipped: {ggml.NAME}: no build given (--llama BUILD)", file=sys.stderr)
        return peers
    try:
        libraries = ggml.Ggml(llama)
    except OSError as error:
        print(f"skipped: {ggml.NAME}: {error}", file=sys.stderr)
        return peers
    peers.append(
        Peer(
            ggml.NAME,
            lambda s, n, bits: ggml.prepare(libraries, s, n, bits, threads),
            lambda block: ggml.prepare_layer(libraries, block, threads),
        )
    )
    return peers


def main() -> None:
    """Print the tables."""
    assert __doc__
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--llama", type=Path, help="a build folder of llama.cpp with shared libraries")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=8, help="in a turn")
    parser.add_argument("--isa", default="auto", help="of the agent's kernels")
    parser.add_argument("--n", type=int, nargs="*", default=[1, 128], help="tokens")
    parser.add_argument("--bits", type=int, nargs="*", default=[8, 4])
    parser.add_argument("--only", default="", help="work whose name contains this")
    options = parser.parse_args()
    peers = find_peers(options.llama, options.threads)
    print("best and median; ratio = ours / theirs", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(binary(AGENTS[platform.machine()]), options.threads, options.isa, Path(folder))
        for n in options.n:
            for bits in options.bits:
                works = [Work(f"{r}x{c}", ((r, c),), ((r, c),), n, bits) for r, c in SHAPES]
                for work in (*works, Work("products", LAYER, LAYER_SPLIT, n, bits)):
                    if options.only in work.name:
                        print(compare(work, ours, peers, options.rounds, options.repeats), flush=True)
                if options.only in "whole layer":
                    print(whole_layer(n, bits, ours, peers, options.rounds, options.repeats), flush=True)


if __name__ == "__main__":
    main()
