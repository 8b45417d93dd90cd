"""llama.cpp's CPU engine (ggml) on matrix products and a whole layer, as a peer of the agent's CPU kernels.

Through its C API from the shared libraries of a build (`cmake -S llama.cpp -B build && cmake --build build
--target ggml`; `--llama build`). Weights are q8_0 and q4_0, which llama.cpp runs fastest; each is offered to
every kind of buffer that the CPU device has (plain, and repacked for the CPU's own instructions), and the
fastest counts. A build by GCC 12 dies in ggml's AMX kernels, which are then left out: that compiler drops the
stores of the tile configuration before `_tile_loadconfig` (`ggml/src/ggml-cpu/amx/mmq.cpp`). To compare with
them, put `asm volatile("" : : "m"(tc));` before that line, or build with clang.
"""

from __future__ import annotations

import ctypes as c
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.block.dims import Block

NAME = "llama.cpp"
_TYPES = {8: (8, 34), 4: (2, 18)}  # ggml_type and bytes of a block of 32: q8_0, q4_0
_F32, _F16, _I32, _CPU = 0, 1, 26, 0
_ROPE_NEOX = 2  # the two halves of a head are rotated against each other, as in Gemma


class Unsupported(Exception):
    """This kind of buffer does not take these weights."""


class _InitParams(c.Structure):
    _fields_ = (("mem_size", c.c_size_t), ("mem_buffer", c.c_void_p), ("no_alloc", c.c_bool))


class Ggml:
    """The libraries of one build. Raises OSError if they are not there."""

    def __init__(self, build: Path) -> None:
        self.build = build
        self._survives: dict[tuple[int, int, int], bool] = {}
        for name in ("libggml-base.so", "libggml-cpu.so", "libggml.so"):
            found = sorted(build.rglob(name))
            if not found:
                raise OSError(f"no {name} below {build}")
            self.lib = c.CDLL(str(found[0]), mode=c.RTLD_GLOBAL)
        pointer, number, size, real = c.c_void_p, c.c_int64, c.c_size_t, c.c_float
        for name, result, arguments in (
            ("ggml_backend_init_by_type", pointer, (c.c_int, c.c_char_p)),
            ("ggml_backend_dev_by_type", pointer, (c.c_int,)),
            ("ggml_backend_dev_backend_reg", pointer, (pointer,)),
            ("ggml_backend_dev_buffer_type", pointer, (pointer,)),
            ("ggml_backend_reg_get_proc_address", pointer, (pointer, c.c_char_p)),
            ("ggml_backend_buft_name", c.c_char_p, (pointer,)),
            ("ggml_init", pointer, (_InitParams,)),
            ("ggml_new_tensor_2d", pointer, (pointer, c.c_int, number, number)),
            ("ggml_new_tensor_1d", pointer, (pointer, c.c_int, number)),
            ("ggml_mul_mat", pointer, (pointer, pointer, pointer)),
            ("ggml_mul", pointer, (pointer, pointer, pointer)),
            ("ggml_add", pointer, (pointer, pointer, pointer)),
            ("ggml_scale", pointer, (pointer, pointer, real)),
            ("ggml_rms_norm", pointer, (pointer, pointer, real)),
            ("ggml_geglu_split", pointer, (pointer, pointer, pointer)),
            ("ggml_cpy", pointer, (pointer, pointer, pointer)),
            ("ggml_reshape_2d", pointer, (pointer, pointer, number, number)),
            ("ggml_reshape_3d", pointer, (pointer, pointer, number, number, number)),
            ("ggml_view_2d", pointer, (pointer, pointer, number, number, size, size)),
            ("ggml_permute", pointer, (pointer, pointer, c.c_int, c.c_int, c.c_int, c.c_int)),
            ("ggml_rope_ext", pointer, (pointer,) * 4 + (c.c_int,) * 3 + (real,) * 6),
            ("ggml_flash_attn_ext", pointer, (pointer,) * 5 + (real,) * 3),
            ("ggml_gallocr_new", pointer, (pointer,)),
            ("ggml_gallocr_alloc_graph", c.c_bool, (pointer, pointer)),
            ("ggml_gallocr_free", None, (pointer,)),
            ("ggml_backend_tensor_get", None, (pointer, c.c_void_p, size, size)),
            ("ggml_new_graph", pointer, (pointer,)),
            ("ggml_build_forward_expand", None, (pointer, pointer)),
            ("ggml_backend_alloc_ctx_tensors_from_buft", pointer, (pointer, pointer)),
            ("ggml_backend_tensor_set", None, (pointer, c.c_char_p, size, size)),
            ("ggml_backend_graph_compute", c.c_int, (pointer, pointer)),
            ("ggml_backend_dev_supports_op", c.c_bool, (pointer, pointer)),
            ("ggml_backend_buffer_free", None, (pointer,)),
            ("ggml_free", None, (pointer,)),
        ):
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
        self.device = self.lib.ggml_backend_dev_by_type(_CPU)
        self.backend = self.lib.ggml_backend_init_by_type(_CPU, None)
        self.registry = self.lib.ggml_backend_dev_backend_reg(self.device)

    def _procedure(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any] | None:
        address = self.lib.ggml_backend_reg_get_proc_address(self.registry, name.encode())
        return c.CFUNCTYPE(result, *arguments)(address) if address else None

    def set_threads(self, threads: int) -> None:
        function = self._procedure("ggml_backend_set_n_threads", None, c.c_void_p, c.c_int)
        if function is not None:
            function(self.backend, threads)

    def buffer_types(self) -> list[int]:
        """Plain memory first, then the repacked kinds."""
        kinds = [self.lib.ggml_backend_dev_buffer_type(self.device)]
        extra = self._procedure("ggml_backend_dev_get_extra_bufts", c.POINTER(c.c_void_p), c.c_void_p)
        if extra is not None:
            listed = extra(self.device)
            for i in range(16):
                if not listed or not listed[i]:
                    break
                kinds.append(listed[i])
        return kinds

    def survives(self, index: int, n: int, bits: int) -> bool:
        """Whether a product with the buffer type of this index ends, tried in another process: ggml's AMX
        kernels crash at n > 1 on some virtual machines (general protection fault in ldtilecfg)."""
        key = index, n, bits
        if key not in self._survives:
            command = [sys.executable, "-m", __name__, str(self.build), *map(str, key)]
            done = subprocess.run(command, capture_output=True, check=False)
            self._survives[key] = done.returncode == 0
            if done.returncode < 0:
                name = self.lib.ggml_backend_buft_name(self.buffer_types()[index]).decode()
                print(f"{NAME}: {name} weights die at n={n}, int{bits}: not used", file=sys.stderr)
        return self._survives[key]


class _Graph:
    """Tensors in contexts of their own kinds of buffer, and a graph over them."""

    def __init__(self, ggml: Ggml) -> None:
        self.ggml, self.lib = ggml, ggml.lib
        self.contexts: list[int] = []
        self.buffers: list[int] = []
        self.work = self.context()
        self.graph = self.lib.ggml_new_graph(self.work)
        self.plain = ggml.buffer_types()[0]

    def context(self) -> int:
        self.contexts.append(self.lib.ggml_init(_InitParams(16 << 20, None, True)))
        return self.contexts[-1]

    def allocate(self, context: int, kind: int) -> None:
        self.buffers.append(self.lib.ggml_backend_alloc_ctx_tensors_from_buft(context, kind))
        if not self.buffers[-1]:
            raise MemoryError("the tensors do not fit")

    def weights(self, context: int, shapes: Sequence[tuple[int, int]], bits: int, kind: int) -> list[int]:
        """Matrices of random values; they know their kind of buffer, which decides how a product runs.
        Raises Unsupported, and closes, if there is no such product."""
        ggml_type, block = _TYPES[bits]
        tensors = [self.lib.ggml_new_tensor_2d(context, ggml_type, cols, rows) for rows, cols in shapes]
        self.allocate(context, kind)
        trial = self.context()
        for tensor, (_, cols) in zip(tensors, shapes, strict=True):
            product = self.lib.ggml_mul_mat(trial, tensor, self.lib.ggml_new_tensor_2d(trial, _F32, cols, 1))
            if not self.lib.ggml_backend_dev_supports_op(self.ggml.device, product):
                self.close()
                raise Unsupported
        rng = np.random.default_rng(0)
        for tensor, (rows, cols) in zip(tensors, shapes, strict=True):
            blocks = rng.integers(0, 256, (rows * cols // 32, block), dtype=np.uint8)
            blocks[:, :2] = np.frombuffer(np.float16(1e-3).tobytes(), np.uint8)
            self.lib.ggml_backend_tensor_set(tensor, blocks.tobytes(), 0, blocks.nbytes)
        return tensors

    def set(self, tensor: int, values: NDArray[Any]) -> None:
        self.lib.ggml_backend_tensor_set(tensor, values.tobytes(), 0, values.nbytes)

    def product(self, weights: int, x: int) -> int:
        return self.lib.ggml_mul_mat(self.work, weights, x)  # type: ignore[no-any-return]

    def run(self) -> None:
        if self.lib.ggml_backend_graph_compute(self.ggml.backend, self.graph) != 0:
            raise RuntimeError("ggml could not compute the graph")

    def seconds(self) -> float:
        """The fastest of a few runs."""
        found = []
        for _ in range(4):
            start = time.perf_counter()
            self.run()
            found.append(time.perf_counter() - start)
        return min(found)

    def close(self) -> None:
        for buffer in self.buffers:
            self.lib.ggml_backend_buffer_free(buffer)
        for context in self.contexts:
            self.lib.ggml_free(context)


class _Products(_Graph):
    """Products that share an input where their widths are equal."""

    def __init__(self, ggml: Ggml, shapes: Sequence[tuple[int, int]], n: int, bits: int, kind: int) -> None:
        super().__init__(ggml)
        tensors = self.weights(self.context(), shapes, bits, kind)
        new = self.lib.ggml_new_tensor_2d
        inputs = {cols: new(self.work, _F32, cols, n) for cols in {cols for _, cols in shapes}}
        for tensor, (_, cols) in zip(tensors, shapes, strict=True):
            self.lib.ggml_build_forward_expand(self.graph, self.product(tensor, inputs[cols]))
        self.allocate(self.work, self.plain)
        rng = np.random.default_rng(0)
        for cols, tensor in inputs.items():
            self.set(tensor, rng.standard_normal((n, cols), dtype=np.float32))


class _Layer(_Graph):
    """A decoder layer as llama.cpp computes Gemma's (`src/models/gemma.cpp`): fp16 cache, flash attention,
    intermediate results placed by ggml's own allocator. `kinds`: of the attention's and the FFN's weights."""

    def __init__(self, ggml: Ggml, block: Block, kinds: tuple[int, int]) -> None:
        super().__init__(ggml)
        lib, work, d, n, past = self.lib, self.work, block.dims, block.phase.n, block.phase.past
        kv = past + n
        q_, k_, v_, o_ = self.weights(
            self.context(),
            ((d.q_dim, d.d_model), (d.head_dim, d.d_model), (d.head_dim, d.d_model), (d.d_model, d.q_dim)),
            block.weights["wq"].bits,
            kinds[0],
        )
        gate_, up_, down_ = self.weights(
            self.context(),
            ((d.hidden, d.d_model), (d.hidden, d.d_model), (d.d_model, d.hidden)),
            block.weights["wgate"].bits,
            kinds[1],
        )
        given = self.context()
        x = lib.ggml_new_tensor_2d(given, _F32, d.d_model, n)
        norms = [lib.ggml_new_tensor_1d(given, _F32, d.d_model) for _ in range(2)]
        positions = lib.ggml_new_tensor_1d(given, _I32, n)
        mask = lib.ggml_new_tensor_2d(given, _F16, kv, n)
        caches = [lib.ggml_new_tensor_2d(given, _F16, d.head_dim, kv) for _ in range(2)]
        self.allocate(given, self.plain)

        def norm(value: int, weight: int) -> int:
            return lib.ggml_mul(work, lib.ggml_rms_norm(work, value, d.eps), weight)  # type: ignore[no-any-return]

        def rope(value: int, heads: int) -> int:
            value = lib.ggml_reshape_3d(work, value, d.head_dim, heads, n)
            numbers = (d.head_dim, _ROPE_NEOX, 8192, d.rope_base, 1.0, 0.0, 1.0, 32.0, 1.0)
            return lib.ggml_rope_ext(work, value, positions, None, *numbers)  # type: ignore[no-any-return]

        cur = norm(x, norms[0])
        q = lib.ggml_scale(work, rope(self.product(q_, cur), d.heads), d.head_dim**-0.5)
        k, v = rope(self.product(k_, cur), 1), self.product(v_, cur)
        row = 2 * d.head_dim
        for value, cache in zip((k, v), caches, strict=True):
            value = lib.ggml_reshape_2d(work, value, d.head_dim, n)
            place = lib.ggml_view_2d(work, cache, d.head_dim, n, row, past * row)
            lib.ggml_build_forward_expand(self.graph, lib.ggml_cpy(work, value, place))
        query = lib.ggml_permute(work, q, 0, 2, 1, 3)
        cur = lib.ggml_flash_attn_ext(work, query, *caches, mask, 1.0, 0.0, 0.0)
        cur = lib.ggml_reshape_2d(work, cur, d.q_dim, n)
        mid = lib.ggml_add(work, self.product(o_, cur), x)
        cur = norm(mid, norms[1])
        cur = lib.ggml_geglu_split(work, self.product(gate_, cur), self.product(up_, cur))
        self.out = lib.ggml_add(work, self.product(down_, cur), mid)
        lib.ggml_build_forward_expand(self.graph, self.out)
        self.allocator = lib.ggml_gallocr_new(self.plain)
        if not lib.ggml_gallocr_alloc_graph(self.allocator, self.graph):
            raise MemoryError("the intermediate results do not fit")
        rng = np.random.default_rng(0)
        self.set(x, rng.standard_normal((n, d.d_model), dtype=np.float32))
        for weight in norms:
            self.set(weight, np.ones(d.d_model, np.float32))
        self.set(positions, np.arange(past, kv, dtype=np.int32))
        self.set(mask, np.where(np.arange(kv) > past + np.arange(n)[:, None], -np.inf, 0).astype(np.float16))
        for cache in caches:
            self.set(cache, rng.standard_normal((kv, d.head_dim)).astype(np.float16))

    def close(self) -> None:
        if hasattr(self, "allocator"):
            self.lib.ggml_gallocr_free(self.allocator)
        super().close()


def prepare(
    ggml: Ggml, shapes: Sequence[tuple[int, int]], n: int, bits: int, threads: int
) -> Callable[[], None]:
    """A call that runs all products once, in the fastest kind of buffer."""
    ggml.set_threads(threads)
    return _fastest(
        (lambda kind=kind: _Products(ggml, shapes, n, bits, kind))  # type: ignore[misc]
        for index, kind in enumerate(ggml.buffer_types())
        if ggml.survives(index, n, bits)
    ).run


def prepare_layer(ggml: Ggml, block: Block, threads: int) -> Callable[[], None]:
    """A call that runs a whole layer once, its weights in the fastest kinds of buffers."""
    ggml.set_threads(threads)
    kinds = tuple(enumerate(ggml.buffer_types()))
    bits = block.weights["wq"].bits, block.weights["wgate"].bits
    return _fastest(
        (lambda pair=pair: _Layer(ggml, block, (pair[0][1], pair[1][1])))  # type: ignore[misc]
        for pair in itertools.product(kinds, kinds)
        if (bits[0] != bits[1] or pair[0] == pair[1])
        and all(ggml.survives(at, block.phase.n, each) for (at, _), each in zip(pair, bits, strict=True))
    ).run


def _fastest(ways: Iterable[Callable[[], _Graph]]) -> _Graph:
    best: tuple[float, _Graph] | None = None
    for make in ways:
        try:
            graph = make()
        except Unsupported:
            continue
        seconds = graph.seconds()
        if best is None or seconds < best[0]:
            if best is not None:
                best[1].close()
            best = seconds, graph
        else:
            graph.close()
    if best is None:
        raise MemoryError("no buffer of the CPU device takes the weights")
    return best[1]


def _main() -> None:
    """BUILD INDEX N BITS: one small product; see `Ggml.survives`."""
    ggml = Ggml(Path(sys.argv[1]))
    index, n, bits = map(int, sys.argv[2:])
    _Products(ggml, [(256, 2048)], n, bits, ggml.buffer_types()[index]).run()


if __name__ == "__main__":
    _main()
