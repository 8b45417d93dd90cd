"""How the agent's CPU routines want their weights, and in which instruction-set variants they exist.

The C side: `agent/src/cpu/routines.c` (tiles) and `isa.c`; `tests/host/test_cpu_kernels.py` compares them.
"""

from __future__ import annotations

from typing import Final

CPU_TILES: Final[dict[str, tuple[int, int]]] = {"int8": (16, 4), "int4": (16, 8)}
"""Rows x columns of a weight block by scheme, the same for every isa so that a plan with isa=auto is right on
every phone. Use as `Buffer.tile`; rows must be a multiple of 16 and columns of 64."""

CPU_ISAS: Final[dict[str, tuple[str, ...]]] = {
    "x86_64": ("scalar", "avx2", "avxvnni", "avx512vnni", "amx"),
    "arm64-v8a": ("scalar", "neon", "dotprod", "i8mm"),
    "aarch64": ("scalar", "neon", "dotprod", "i8mm"),
    "armeabi-v7a": ("scalar", "neon"),
}
"""Isas compiled into the agent of an ABI, slowest first. Whether a CPU has one the agent finds out itself."""

ROW_MULTIPLE: Final = 16
COLUMN_MULTIPLE: Final = 64
