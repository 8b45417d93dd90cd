"""llama.cpp's CPU engine (ggml) on matrix products, as a peer of the agent's CPU kernels.

Through its C API from the shared libraries of a build (`cmake -S llama.cpp -B build && cmake --build build
--target ggml`; `--llama build`). Weights are q8_0 and q4_0, which llama.cpp runs fastest; each is offered to
every kind of buffer that the CPU device has (plain, and repacked for the CPU's own instructions), and the
fastest counts.
"""

from __future__ import annotations

import ctypes as c
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

NAME = "llama.cpp"
_TYPES = {8: (8, 34), 4: (2, 18)}  # ggml_type and bytes of a block of 32: q8_0, q4_0
_F32, _CPU = 0, 0


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
        pointer, number, size = c.c_void_p, c.c_int64, c.c_size_t
        for name, result, arguments in (
            ("ggml_backend_init_by_type", pointer, (c.c_int, c.c_char_p)),
            ("ggml_backend_dev_by_type", pointer, (c.c_int,)),
            ("ggml_backend_dev_backend_reg", pointer, (pointer,)),
            ("ggml_backend_dev_buffer_type", pointer, (pointer,)),
            ("ggml_backend_reg_get_proc_address", pointer, (pointer, c.c_char_p)),
            ("ggml_backend_buft_name", c.c_char_p, (pointer,)),
            ("ggml_init", pointer, (_InitParams,)),
            ("ggml_new_tensor_2d", pointer, (pointer, c.c_int, number, number)),
            ("ggml_mul_mat", pointer, (pointer, pointer, pointer)),
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

    def products(self, shapes: Sequence[tuple[int, int]], n: int, bits: int, kind: int) -> _Products:
        return _Products(self, shapes, n, bits, kind)


class _Products:
    """Weights in one kind of buffer and the graph over them."""

    def __init__(self, ggml: Ggml, shapes: Sequence[tuple[int, int]], n: int, bits: int, kind: int) -> None:
        self.ggml, lib = ggml, ggml.lib
        self.contexts = [lib.ggml_init(_InitParams(16 << 20, None, True)) for _ in range(2)]
        weights, work = self.contexts
        ggml_type, block = _TYPES[bits]
        tensors = [lib.ggml_new_tensor_2d(weights, ggml_type, cols, rows) for rows, cols in shapes]
        self.buffers = [lib.ggml_backend_alloc_ctx_tensors_from_buft(weights, kind)]
        if not self.buffers[0]:
            raise MemoryError("the weights do not fit")
        self.graph = lib.ggml_new_graph(work)
        inputs = {cols: lib.ggml_new_tensor_2d(work, _F32, cols, n) for cols in {cols for _, cols in shapes}}
        plain = ggml.buffer_types()[0]
        for tensor, (_, cols) in zip(tensors, shapes, strict=True):
            product = lib.ggml_mul_mat(work, tensor, inputs[cols])
            if not lib.ggml_backend_dev_supports_op(ggml.device, product):
                self.close()
                raise Unsupported
            lib.ggml_build_forward_expand(self.graph, product)
        self.buffers.append(lib.ggml_backend_alloc_ctx_tensors_from_buft(work, plain))
        rng = np.random.default_rng(0)
        for tensor, (rows, cols) in zip(tensors, shapes, strict=True):
            blocks = rng.integers(0, 256, (rows * cols // 32, block), dtype=np.uint8)
            blocks[:, :2] = np.frombuffer(np.float16(1e-3).tobytes(), np.uint8)
            lib.ggml_backend_tensor_set(tensor, blocks.tobytes(), 0, blocks.nbytes)
        for cols, tensor in inputs.items():
            x = rng.standard_normal((n, cols), dtype=np.float32)
            lib.ggml_backend_tensor_set(tensor, x.tobytes(), 0, x.nbytes)

    def run(self) -> None:
        if self.ggml.lib.ggml_backend_graph_compute(self.ggml.backend, self.graph) != 0:
            raise RuntimeError("ggml could not compute the graph")

    def close(self) -> None:
        for buffer in self.buffers:
            self.ggml.lib.ggml_backend_buffer_free(buffer)
        for context in self.contexts:
            self.ggml.lib.ggml_free(context)


def prepare(
    ggml: Ggml, shapes: Sequence[tuple[int, int]], n: int, bits: int, threads: int
) -> Callable[[], None]:
    """A call that runs all products once, in the fastest kind of buffer."""
    ggml.set_threads(threads)
    best: tuple[float, _Products] | None = None
    for index, kind in enumerate(ggml.buffer_types()):
        if not ggml.survives(index, n, bits):
            continue
        products = ggml.products(shapes, n, bits, kind)
        seconds = []
        for _ in range(4):
            start = time.perf_counter()
            products.run()
            seconds.append(time.perf_counter() - start)
        if best is None or min(seconds) < best[0]:
            if best is not None:
                best[1].close()
            best = (min(seconds), products)
        else:
            products.close()
    if best is None:
        raise MemoryError("no buffer of the CPU device takes the weights")
    return best[1].run


def _main() -> None:
    """BUILD INDEX N BITS: one small product; see `Ggml.survives`."""
    ggml = Ggml(Path(sys.argv[1]))
    index, n, bits = map(int, sys.argv[2:])
    ggml.products([(256, 2048)], n, bits, ggml.buffer_types()[index]).run()


if __name__ == "__main__":
    _main()
