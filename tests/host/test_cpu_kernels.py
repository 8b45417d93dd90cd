"""The agent's CPU routines against NumPy, on every isa of this computer and, under qemu, of three Arm cores.

Integer products are compared exactly; float routines with a float64 reference; fused routines bit by bit
with the routines they fuse; and every isa and thread count with every other, bit by bit.
"""

from __future__ import annotations

import itertools
import json
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmafit.agent import binary
from gemmafit.base.names import Backend
from gemmafit.benchmarks.block.fill import floats, int8, nibbles
from gemmafit.benchmarks.cpu.layout import CPU_ISAS, CPU_TILES
from gemmafit.benchmarks.plan import Buffer, Dispatch, Kernel, Plan, Step, buffers, ints

Array = NDArray[np.generic]
Floats = NDArray[np.float32]
SYSROOT = Path("/usr/aarch64-linux-gnu")
NATIVE = {"x86_64": "linux-x86_64", "aarch64": "linux-aarch64"}


@dataclass(frozen=True)
class Machine:
    """A CPU to run the agent on, and the isas it must offer."""

    name: str
    command: tuple[str, ...]
    isas: tuple[str, ...]

    def agent(self, *args: str | Path) -> str:
        done = subprocess.run(
            [*self.command, *map(str, args)], capture_output=True, text=True, timeout=110, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


EMULATED = {
    "cortex-a53": ("scalar", "neon"),
    "cortex-a76": ("scalar", "neon", "dotprod"),
    "max": ("scalar", "neon", "dotprod", "i8mm"),
}


@pytest.fixture(scope="session", params=["native", *EMULATED])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    if request.param != "native":
        if shutil.which("qemu-aarch64-static") is None or not SYSROOT.is_dir():
            pytest.skip("needs Debian's qemu-user-static and libc6-arm64-cross")
        qemu = ("qemu-aarch64-static", "-L", str(SYSROOT), "-cpu", request.param)
        return Machine(request.param, (*qemu, str(binary("linux-aarch64"))), EMULATED[request.param])
    if platform.system() != "Linux" or platform.machine() not in NATIVE:
        pytest.skip(f"there is no agent for {platform.system()} {platform.machine()}")
    agent = str(binary(NATIVE[platform.machine()]))
    return Machine("native", (agent,), offered((agent,), tmp_path_factory.mktemp("isas")))


def offered(command: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """The isas of which a kernel builds."""
    everything = Machine("", command, ())
    isas = json.loads(everything.agent("version", "--json"))["isas"]
    kernels = tuple(Kernel(isa, routine="add", isa=isa) for isa in isas)
    (folder / "plan.txt").write_text(Plan(Backend.CPU, (), kernels, ()).to_text())
    everything.agent("run", "--plan", folder / "plan.txt", "--out", folder / "out", "--deadline", "20")
    built = json.loads((folder / "out.json").read_text())["build"]
    return tuple(row["kernel"] for row in built if row["status"] == "ok")


# --- a plan of many cases, and its answers ---


@dataclass
class Cases:
    """Collects buffers and one step a case; `run` executes them and returns each step's buffers."""

    isa: str = "auto"
    threads: int = 2
    buffers: list[Buffer] = field(default_factory=list)
    kernels: dict[str, Kernel] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def buffer(self, name: str, size: int, **how: object) -> str:
        self.buffers.append(Buffer(name, size, **how))  # type: ignore[arg-type]
        return name

    def floats(self, name: str, rows: int, cols: int, seed: int, lo: float, hi: float) -> Floats:
        """A filled buffer and what it holds."""
        self.buffer(name, 4 * rows * cols, fill="f32", seed=seed, rows=rows, cols=cols, lo=lo, hi=hi)
        return floats(seed, 0, rows * cols, lo, hi).reshape(rows, cols)

    def data(self, name: str, values: Array) -> str:
        return self.buffer(name, values.nbytes, fill="hex", data=values.tobytes())

    def dispatch(self, routine: str, names: Iterable[str], *numbers: int) -> Dispatch:
        self.kernels.setdefault(routine, Kernel(routine, routine=routine, isa=self.isa))
        return Dispatch(routine, buffers(*names) + ints(*numbers))

    def step(self, name: str, dispatches: Iterable[Dispatch], returns: Iterable[str]) -> None:
        self.steps.append(Step(name, tuple(dispatches), tuple(returns), 0, 2, 2))

    def run(self, machine: Machine, folder: Path) -> Iterator[tuple[Mapping[str, object], dict[str, bytes]]]:
        plan = Plan(
            Backend.CPU,
            tuple(self.buffers),
            tuple(self.kernels.values()),
            tuple(self.steps),
            {"threads": str(self.threads)},
        )
        (folder / "plan.txt").write_text(plan.to_text())
        machine.agent("run", "--plan", folder / "plan.txt", "--out", folder / "out", "--deadline", "100")
        result = json.loads((folder / "out.json").read_text())
        assert result["complete"], result
        returned = (folder / "out.bin").read_bytes()
        for row in result["steps"]:
            yield (
                row,
                {
                    o["name"]: returned[o["offset"] : o["offset"] + o["bytes"]]
                    for o in row.get("outputs") or ()
                },
            )

    def outputs(self, machine: Machine, folder: Path) -> dict[str, dict[str, bytes]]:
        """Of each step, all of which must succeed with the same bits twice."""
        found = {}
        for row, returned in self.run(machine, folder):
            assert row["status"] == "ok", row
            assert len(set(row["bits"])) == 1, row  # type: ignore[call-overload]
            found[str(row["name"])] = returned
        return found


def same(got: Mapping[str, Mapping[str, bytes]], want: Mapping[str, Mapping[str, bytes]], what: str) -> None:
    assert [f"{what}: {s} {n}" for s in want for n in want[s] if got[s][n] != want[s][n]] == []


def every_way(machine: Machine) -> list[tuple[str, int]]:
    """Each isa with 2 threads, the best one also with 1 and 3."""
    return [(isa, 2) for isa in machine.isas] + [("auto", 1), ("auto", 3)]


# --- integer products ---

SHAPES = (
    *itertools.product((1, 2, 3, 5, 16, 17, 37), ((16, 64), (48, 192))),
    (1, (160, 4224)),  # more columns than one slice of 4096
    (128, (64, 128)),
    (33, (32, 4160)),
    (300, (16, 64)),  # more tokens than one pass
    (96, (16, 4160)),  # shared by tokens, several slices
)


def weights(cases: Cases, name: str, bits: int, rows: int, cols: int, seed: int) -> NDArray[np.int32]:
    tile = CPU_TILES[f"int{bits}"]
    cases.buffer(name, rows * cols * bits // 8, fill=f"i{bits}", seed=seed, rows=rows, cols=cols, tile=tile)
    if bits == 8:
        return int8(seed, 0, rows * cols).astype(np.int32).reshape(rows, cols)
    return nibbles(seed, 0, rows * cols).astype(np.int32).reshape(rows, cols) - 8


def linear_cases(isa: str, threads: int) -> tuple[Cases, dict[str, Floats]]:
    cases, want = Cases(isa, threads), {}
    for (n, (rows, cols)), bits in itertools.product(SHAPES, (8, 4)):
        c = f"{n}x{rows}x{cols}i{bits}"
        cases.buffer(f"{c}.q", n * cols, fill="i8", seed=n, rows=n, cols=cols)
        q = int8(n, 0, n * cols).astype(np.int32).reshape(n, cols)
        s = cases.floats(f"{c}.s", 1, n, 5, 0.01, 0.02)[0]
        w = weights(cases, f"{c}.w", bits, rows, cols, 7)
        ws = cases.floats(f"{c}.ws", 1, rows, 6, 1e-4, 2e-4)[0]
        cases.buffer(f"{c}.y", 4 * n * rows)
        names = [f"{c}.{b}" for b in ("q", "s", "w", "ws", "y")]
        cases.step(c, [cases.dispatch(f"linear_i{bits}", names, n, rows, cols)], [f"{c}.y"])
        want[c] = (q @ w.T).astype(np.float32) * s[:, None] * ws
    return cases, want


def test_integer_products_are_exact(machine: Machine, tmp_path: Path) -> None:
    for isa, threads in every_way(machine):
        cases, want = linear_cases(isa, threads)
        got = cases.outputs(machine, tmp_path)
        wrong = [
            c for c in want if not np.array_equal(np.frombuffer(got[c][f"{c}.y"], "<f4"), want[c].ravel())
        ]
        assert wrong == [], (isa, threads)


@pytest.mark.parametrize("n", [1, 17])
def test_largest_sums_do_not_overflow(machine: Machine, tmp_path: Path, n: int) -> None:
    """All values at their limits over 16384 columns, where 16-bit sums or unsigned tricks would break."""
    rows, cols = 16, 16384
    for isa in machine.isas:
        cases, want = Cases(isa), {}
        q = np.full((n, cols), 127, np.int8)
        q[:, 1::2] *= np.int8(-1) if n > 1 else np.int8(1)
        q[0] = 127
        cases.data("q", q)
        cases.data("s", np.ones(n, np.float32))
        cases.data("ws", np.ones(rows, np.float32))
        for bits, value in ((8, 127), (8, -127), (4, 7), (4, -8)):
            c = f"i{bits}of{value}"
            stored = np.full(rows * cols, value, np.int8).view(np.uint8)
            cases.data(
                f"{c}.w", stored if bits == 8 else np.full(rows * cols // 2, (value + 8) * 17, np.uint8)
            )
            cases.buffer(f"{c}.y", 4 * n * rows)
            names = ["q", "s", f"{c}.w", "ws", f"{c}.y"]
            cases.step(c, [cases.dispatch(f"linear_i{bits}", names, n, rows, cols)], [f"{c}.y"])
            want[c] = np.repeat((q.astype(np.int64).sum(1) * value).astype(np.float32), rows)
        got = cases.outputs(machine, tmp_path)
        for c in want:
            np.testing.assert_array_equal(
                np.frombuffer(got[c][f"{c}.y"], "<f4"), want[c], err_msg=f"{isa} {c}"
            )


# --- float routines ---


def q8(x: Floats) -> tuple[bytes, bytes]:
    """Dynamic int8 of each row, as docs/plan-format.md defines it."""
    largest = np.abs(x).max(1, keepdims=True)
    factor = np.divide(np.float32(127), largest, out=np.zeros_like(largest), where=largest > 0)
    return np.rint(x * factor).astype(np.int8).tobytes(), (largest / np.float32(127)).tobytes()


def gelu(x: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """tanh-GELU in the form that does not cancel, and the magnitude of its exponential's argument."""
    d = x.astype(np.float64)
    z2 = 2 * np.sqrt(2 / np.pi) * (d + 0.044715 * d**3)
    return d / (1 + np.exp(-z2)), np.abs(z2)


def close(got: Floats, want: NDArray[np.float64], tolerance: float, what: str) -> None:
    """Relative to each row's largest value."""
    error = np.abs(got - want).max(1) / np.abs(want).max(1)
    assert error.max() <= tolerance, (what, error.max())


@dataclass
class FloatCase:
    """What the float routines were given and returned."""

    n: int
    given: dict[str, Floats]
    got: dict[str, dict[str, bytes]]

    def floats(self, step: str, name: str) -> Floats:
        return np.frombuffer(self.got[step][name], "<f4").reshape(self.n, -1)


D, HIDDEN, HEADS, DIM = 96, 4112, 3, 64


def float_cases(isa: str, threads: int, n: int, past: int) -> tuple[Cases, dict[str, Floats]]:
    cases = Cases(isa, threads)
    ctx = past + n + 1
    given = {
        "x": cases.floats("x", n, D, 1, -3, 3),
        "b": cases.floats("b", n, D, 2, -1, 1),
        "w": cases.floats("w", 1, D, 3, -0.5, 0.5),
        "gate": cases.floats("gate", n, HIDDEN, 4, -12, 12),
        "up": cases.floats("up", n, HIDDEN, 5, -2, 2),
        "qkv": cases.floats("qkv", n, (HEADS + 2) * DIM, 6, -2, 2),
        "q": cases.floats("q", n, HEADS * DIM, 7, -4, 4),
        "k": cases.floats("k", ctx, DIM, 8, -4, 4),
        "v": cases.floats("v", ctx, DIM, 9, -1, 1),
        "cos": cases.floats("cos", n, DIM // 2, 10, -1, 1),
        "sin": cases.floats("sin", n, DIM // 2, 11, -1, 1),
    }
    for name, size in (
        ("norm", 4 * n * D), ("normq", n * D), ("norms", 4 * n), ("sum", 4 * n * D),
        ("act", 4 * n * HIDDEN), ("actq", n * HIDDEN), ("acts", 4 * n),
        ("out", 4 * n * HEADS * DIM), ("outq", n * HEADS * DIM), ("outs", 4 * n),
        ("turned", 4 * n * HEADS * DIM), ("keys", 4 * ctx * DIM), ("values", 4 * ctx * DIM),
        ("copy", 4 * ctx * DIM),
    ):  # fmt: skip
        cases.buffer(name, size)
    for step, routine, names, numbers, returns in (
        ("rmsnorm", "rmsnorm", "x w norm", (n, D), "norm"),
        ("quantize", "quantize", "x normq norms", (n, D), "normq norms"),
        ("rmsnorm_q8", "rmsnorm_q8", "x w normq norms", (n, D), "normq norms"),
        ("sum", "add", "x b sum", (n * D,), "sum"),
        ("of sum", "rmsnorm_q8", "sum w normq norms", (n, D), "normq norms"),
        ("add_rmsnorm_q8", "add_rmsnorm_q8", "x b sum w normq norms", (n, D), "sum normq norms"),
        ("geglu", "geglu", "gate up act", (n, HIDDEN), "act"),
        ("geglu_q8", "geglu_q8", "gate up actq acts", (n, HIDDEN), "actq acts"),
        ("attention", "attention", "q k v out", (n, HEADS, DIM, past), "out"),
        ("attention_q8", "attention_q8", "q k v outq outs", (n, HEADS, DIM, past), "outq outs"),
        ("rope_append", "rope_append", "qkv cos sin turned keys values", (n, HEADS, DIM, past),
         "turned keys values"),
        ("copy_rows", "copy_rows", "b copy", (n, 32, 1), "copy"),
    ):  # fmt: skip
        cases.step(
            step.replace(" ", "_"), [cases.dispatch(routine, names.split(), *numbers)], returns.split()
        )
    return cases, given


@pytest.mark.parametrize(("n", "past"), [(1, 0), (1, 150), (5, 0), (5, 19)])
def test_float_routines(machine: Machine, tmp_path: Path, n: int, past: int) -> None:
    first: dict[str, dict[str, bytes]] | None = None
    for isa, threads in every_way(machine):
        cases, given = float_cases(isa, threads, n, past)
        got = cases.outputs(machine, tmp_path)
        if first is None:
            first = got
            check_floats(FloatCase(n, given, got), past)
        same(got, first, f"{isa}, {threads} threads against {machine.isas[0]}")


def check_floats(case: FloatCase, past: int) -> None:
    x, b, w, n, got = case.given["x"], case.given["b"], case.given["w"], case.n, case.got

    exact = (
        x.astype(np.float64) * (1 + w) / np.sqrt((x.astype(np.float64) ** 2).mean(1, keepdims=True) + 1e-6)
    )
    close(case.floats("rmsnorm", "norm"), exact, 3e-7, "rmsnorm")
    assert (got["quantize"]["normq"], got["quantize"]["norms"]) == q8(x)
    assert tuple(got["rmsnorm_q8"].values()) == q8(case.floats("rmsnorm", "norm"))
    assert got["sum"]["sum"] == (x + b).tobytes()
    assert got["add_rmsnorm_q8"] == got["of_sum"] | {"sum": got["sum"]["sum"]}

    activated = case.floats("geglu", "act")
    want, argument = gelu(case.given["gate"])
    want *= case.given["up"]
    # Element by element, down to gelu = 1e-30, where an exponential that is right only absolutely would fail.
    # The argument's own rounding grows with it.
    visible = np.abs(want) > 1e-30
    assert (np.abs(activated / want - 1) / (1 + argument))[visible].max() <= 4e-7
    assert tuple(got["geglu_q8"].values()) == q8(activated)

    q, k, v = (case.given[name].astype(np.float64) for name in "qkv")
    rows = []
    for i, h in itertools.product(range(n), range(HEADS)):
        scores = k[: past + i + 1] @ q[i, h * DIM : (h + 1) * DIM] * DIM**-0.5
        p = np.exp(scores - scores.max())
        rows.append(p / p.sum() @ v[: past + i + 1])
    close(case.floats("attention", "out"), np.array(rows).reshape(n, -1), 2e-6, "attention")
    assert tuple(got["attention_q8"].values()) == q8(case.floats("attention", "out"))

    heads = case.given["qkv"].reshape(n, HEADS + 2, 2, DIM // 2)
    low, high, c, s = heads[:, :, 0], heads[:, :, 1], case.given["cos"][:, None], case.given["sin"][:, None]
    turned = np.stack([low * c - high * s, low * s + high * c], 2).reshape(n, HEADS + 2, DIM)
    assert got["rope_append"]["turned"] == np.ascontiguousarray(turned[:, :HEADS]).tobytes()
    for name, rows_of in (("keys", turned[:, HEADS]), ("values", heads[:, HEADS + 1].reshape(n, DIM))):
        cache = np.zeros((past + n + 1, DIM), np.float32)
        cache[past : past + n] = rows_of
        assert got["rope_append"][name] == cache.tobytes(), name

    copied = np.zeros((past + n + 1) * DIM, np.float32)
    copied[32 : 32 + n * 32] = b.ravel()[: n * 32]
    assert got["copy_rows"]["copy"] == copied.tobytes()


def test_denormals_are_zeros(machine: Machine, tmp_path: Path) -> None:
    """On every thread: as 32-bit NEON has it, and because an x86 core spends 150 cycles on each."""
    count = 3 * 4096 + 5
    for isa in machine.isas:
        cases = Cases(isa, threads=3)
        cases.data("tiny", np.full(count, 1e-39, np.float32))
        cases.data("one", np.full(count, 2.0**-126, np.float32))
        cases.buffer("sum", 4 * count)
        cases.buffer("difference", 4 * count)
        cases.data("minus", np.full(count, -1.5 * 2.0**-126, np.float32))
        cases.step("in", [cases.dispatch("add", ["tiny", "one", "sum"], count)], ["sum"])
        cases.step("out", [cases.dispatch("add", ["minus", "one", "difference"], count)], ["difference"])
        got = cases.outputs(machine, tmp_path)
        assert np.all(np.frombuffer(got["in"]["sum"], "<f4") == np.float32(2.0**-126))
        assert np.all(np.frombuffer(got["out"]["difference"], "<f4") == 0)


def test_rope_in_place_is_rope_append_without_a_cache(machine: Machine, tmp_path: Path) -> None:
    cases, given = float_cases("auto", 2, 3, 0)
    cases.data("own", np.ascontiguousarray(given["qkv"][:, : HEADS * DIM]))
    step = Step("rope", (cases.dispatch("rope", ["own", "cos", "sin"], 3, HEADS, DIM),), ("own",), 0, 1, 1)
    cases.steps.append(step)  # not idempotent: once
    got = cases.outputs(machine, tmp_path)
    assert got["rope"]["own"] == got["rope_append"]["turned"]


@pytest.mark.parametrize("bits", [8, 4])
def test_fused_gate_and_up_equal_three_steps(machine: Machine, tmp_path: Path, bits: int) -> None:
    rows, cols = 48, 128
    for isa, n in itertools.product(machine.isas, (1, 17, 80)):  # 80: shared by tokens
        cases = Cases(isa)
        cases.buffer("q", n * cols, fill="i8", seed=1, rows=n, cols=cols)
        cases.floats("s", 1, n, 2, 0.1, 0.2)
        for name, first in (("gate", 0), ("up", rows * cols), ("both", 0)):
            height = 2 * rows if name == "both" else rows
            how = {"fill": f"i{bits}", "seed": 3, "rows": height, "cols": cols, "first": first}
            cases.buffer(name, height * cols * bits // 8, tile=CPU_TILES[f"int{bits}"], **how)
            scale = {"fill": "f32", "seed": 4, "rows": 1, "cols": height, "first": first // cols}
            cases.buffer(f"{name}.s", 4 * height, lo=1e-3, hi=2e-3, **scale)
            cases.buffer(f"{name}.y", 4 * n * rows)
        cases.buffer("y", 4 * n * rows)
        linear = [
            cases.dispatch(f"linear_i{bits}", ["q", "s", w, f"{w}.s", f"{w}.y"], n, rows, cols)
            for w in ("gate", "up")
        ]
        cases.step("three", [*linear, cases.dispatch("geglu", ["gate.y", "up.y", "y"], n, rows)], ["y"])
        names = ["q", "s", "both", "both.s", "both.y"]
        cases.step("one", [cases.dispatch(f"linear_geglu_i{bits}", names, n, rows, cols)], ["both.y"])
        got = cases.outputs(machine, tmp_path)
        assert np.abs(np.frombuffer(got["three"]["y"], "<f4")).max() > 0.1
        assert got["one"]["both.y"] == got["three"]["y"], (isa, n)


# --- limits, the table, errors ---


def test_limits(machine: Machine, tmp_path: Path) -> None:
    for isa in machine.isas:
        cases = Cases(isa)
        words = 3 * 512 * 64 + 512  # 12 chunks of 64 KB and a page
        cases.buffer("source", 8 * words, fill="i8", seed=1, rows=1, cols=8 * words)
        cases.buffer("target", 8 * words)
        for name in ("sum", "f32", "i8", "f16"):
            cases.buffer(name, 8)
        cases.step("read", [cases.dispatch("stream_read", ["source", "sum"])], ["sum"])
        cases.step("copy", [cases.dispatch("stream_copy", ["source", "target"])], ["target"])
        for kind in ("f32", "i8", "f16"):
            cases.step(kind, [cases.dispatch(f"peak_{kind}", [kind], 33)], [kind])
        rows = {str(row["name"]): (row, returned) for row, returned in cases.run(machine, tmp_path)}
        source = int8(1, 0, 8 * words)
        assert rows["read"][1]["sum"] == source.view("<u8").sum(dtype=np.uint64).tobytes()
        assert rows["copy"][1]["target"] == source.tobytes()
        for kind in ("f32", "i8"):
            assert np.frombuffer(rows[kind][1][kind], "<f4")[0] > 0
        row, returned = rows["f16"]
        assert row["status"] == ("ok" if half_precision(machine, isa) else "unsupported"), (isa, row)
        if row["status"] == "ok":
            assert np.frombuffer(returned["f16"], "<f4")[0] > 0
        else:
            assert "half-precision" in str(row["reason"])


def half_precision(machine: Machine, isa: str) -> bool:
    """Whether an isa of this machine also has half-precision arithmetic, by another way than the agent's."""
    if machine.name == "native":
        features = Path("/proc/cpuinfo").read_text().split()
        return isa in {"avx512vnni", "amx"} if "avx512_fp16" in features else "asimdhp" in features
    return machine.name != "cortex-a53" and isa != "scalar"


def test_tables_agree(machine: Machine, tmp_path: Path) -> None:
    listed = json.loads(machine.agent("version", "--json"))
    assert {f"int{name[1:]}": tuple(tile) for name, tile in listed["tiles"].items()} == CPU_TILES
    assert tuple(listed["isas"]) == CPU_ISAS[listed["abi"].removeprefix("linux-")]
    assert offered(machine.command, tmp_path) == machine.isas


def test_an_isa_that_the_cpu_lacks_is_an_error_not_a_crash(machine: Machine, tmp_path: Path) -> None:
    lacking = sorted({i for isas in CPU_ISAS.values() for i in isas} - set(machine.isas))
    assert lacking
    for isa in lacking:
        cases, _ = linear_cases(isa, 1)
        rows = [row for row, _ in cases.run(machine, tmp_path)]
        assert all(row["status"] != "ok" and isa in str(row["reason"]) for row in rows), rows


@pytest.mark.parametrize("machine", ["native", "max"], indirect=True)
@pytest.mark.parametrize(
    ("routine", "names", "numbers", "says"),
    [
        ("linear_i8", "q s w ws y", (1, 16, 65), "not a multiple of 64"),
        ("linear_i8", "q s w ws y", (1, 17, 64), "not a multiple of 16"),
        ("linear_i8", "q s w ws y", (0, 16, 64), "argument 6 is 0"),
        ("linear_i8", "q s w ws y", (2, 16, 64), "argument 1 has 64 bytes, 128 are needed"),
        ("linear_i8", "q s w ws y", (1, 32, 64), "argument 3 has 1024 bytes, 2048 are needed"),
        ("linear_i8", "q s w ws small", (1, 16, 64), "argument 5 has 4 bytes, 64 are needed"),
        ("linear_geglu_i4", "q s w ws y", (1, 16, 64), "argument 4 has 64 bytes, 128 are needed"),
        ("linear_i8", "q s w ws y", (1, 2147483632, 64), "argument 7"),
        ("quantize", "ws q s", (-1, 16), "argument 4 is -1"),
        ("add", "ws ws y", (17,), "argument 1 has 64 bytes, 68 are needed"),
        ("attention", "y y y y", (1, 1, 48, 0), "not a multiple of 32"),
        ("attention", "w w w w", (1, 1, 64, 16777216), "argument 2 has 1024 bytes"),
        ("copy_rows", "y y", (1, 16, 1), "argument 2 has 64 bytes, 128 are needed"),
        ("stream_read", "y s", (), "multiple of 4096"),
        ("linear_i8", "q s w", (1, 16, 64), "takes the arguments BBBBBIII"),
        ("no_such", "q", (), "no CPU routine is called no_such"),
    ],
)  # fmt: skip
def test_arguments_are_checked(
    machine: Machine, tmp_path: Path, routine: str, names: str, numbers: tuple[int, ...], says: str
) -> None:
    cases = Cases()
    for name, size in (("q", 64), ("s", 4), ("w", 1024), ("ws", 64), ("y", 64), ("small", 4)):
        cases.buffer(name, size)
    cases.step("bad", [cases.dispatch(routine, names.split(), *numbers)], [])
    (row,) = (row for row, _ in cases.run(machine, tmp_path))
    assert row["status"] == "error"
    assert says in str(row["reason"])
