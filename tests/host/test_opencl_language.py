"""Every kernel compiles as OpenCL C 1.2, which is all that Midgard and Adreno 5xx drivers know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gemmafit.base.names import Status
from gemmafit.benchmarks.block.dims import SMALL, Block, Scheme, decode, prefill
from gemmafit.benchmarks.opencl import limits
from gemmafit.benchmarks.opencl.plan import lower
from gemmafit.benchmarks.opencl.variants import VARIANTS, ClFacts
from gemmafit.benchmarks.plan import Kernel, Plan


def plans() -> list[Plan]:
    blocks = [Block(SMALL, s, p) for s in Scheme for p in (decode(4), prefill(4))]
    return [lower(b, v, ClFacts()) for b in blocks for v in VARIANTS] + [
        limits.plan(ClFacts())[0],
        limits.plan(ClFacts(cpu=True))[0],
    ]


def test_opencl_c_1_2_without_warnings(opencl: Any) -> None:
    kernels: dict[tuple[Any, ...], Kernel] = {}
    files: dict[str, Path] = {}
    for plan in plans():
        files.update(plan.files)
        for k in plan.kernels:
            kernels.setdefault((k.file, k.entry, k.options), k)
    named = tuple(
        replace(k, name=f"k{i}", options=(*k.options, "-cl-std=CL1.2"))
        for i, k in enumerate(kernels.values())
    )
    assert len(named) > 40
    builds = opencl.run(Plan(plans()[0].backend, (), named, (), files=files)).result.builds
    built = list(zip(named, builds, strict=True))
    failed = [(k, b.log) for k, b in built if b.status is not Status.OK]
    assert not failed, failed[0]
    warned = [(k, line) for k, b in built for line in b.log.splitlines() if "warning:" in line]
    # How this computer passes wide vectors, which depends on its processor and is no matter of the language.
    warned = [(k, line) for k, line in warned if "changes the ABI" not in line]
    assert not warned, warned[0]


def test_local_memory_fits_midgard() -> None:
    """32 KiB a work-group, as the driver counts what a kernel declares."""
    cl = pytest.importorskip("pyopencl")
    try:
        context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
    except cl.Error as error:
        pytest.skip(f"no OpenCL: {error}")
    used = {}
    for plan in plans():
        for k in plan.kernels:
            if (k.file, k.entry, k.options) not in used:
                program = cl.Program(context, plan.files[k.file].read_text())
                kernel = cl.Kernel(program.build(list(k.options), cache_dir=False), k.entry)
                size = kernel.get_work_group_info(
                    cl.kernel_work_group_info.LOCAL_MEM_SIZE, context.devices[0]
                )
                used[k.file, k.entry, k.options] = size
    assert max(used.values()) <= 32768
    assert any(size >= 6144 for (_, entry, _), size in used.items() if entry == "gemm")


@pytest.mark.parametrize("facts", [ClFacts(), ClFacts(fp16=True, max_work_group=1024)])
def test_one_build_a_file_and_options(facts: ClFacts) -> None:
    """Drivers take up to a second for a build: kernels of one file share their options."""
    plan = lower(Block(SMALL, Scheme.INT4, decode(4)), VARIANTS[0], facts)
    assert len({(k.file, k.options) for k in plan.kernels}) <= 3
