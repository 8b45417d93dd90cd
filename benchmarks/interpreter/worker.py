"""The Python twin of the agent: executes a plan on this computer through pyopencl or the vulkan package.

    python -m gemmafit.benchmarks.interpreter.worker BACKEND run --plan plan.txt --out result --deadline 60
    python -m gemmafit.benchmarks.interpreter.worker BACKEND probe --out probe.json --deadline 20

Exit status, progress lines, result files and deadline are the agent's (docs/plan-format.md). It is a
process of its own, as on a phone, so that a crashing driver costs one row.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...base import units
from ...base.names import Backend, Status
from ...base.protocol import EXIT_MISSING, EXIT_OK, EXIT_USAGE, GRACE_SECONDS, LOG_MAX, RUN_SECONDS
from ...base.system import host_abi, peak_rss, reset_peak_rss
from ..block import fill
from ..plan import Kernel, Plan, PlanError, Step, parse
from .contention import Watch
from .interface import BackendMissing, Executor, ExecutorError, ExecutorModule
from .programs import Programs
from .result import Build, ResultWriter, StepResult
from .storage import NotCold, Storage

EXECUTORS: Mapping[Backend, str] = {Backend.OPENCL: "pyopencl", Backend.VULKAN: "vulkan"}
"""Backends with a module `executor` in their folder, and the package that it works through."""


def interpret(plan: Plan, executor: Executor, files: Path, writer: ResultWriter, deadline: float) -> bool:
    """Execute a plan, writing each result as it comes. `deadline` is a time.monotonic() value.

    Returns whether the plan was gone through; False: stopped by the deadline.
    """
    failed: dict[str, str] = {}  # buffer or kernel -> why the steps that use it cannot run
    for b in plan.buffers:
        try:
            executor.allocate(b)
            offset = 0
            for piece in () if b.stored else fill.chunks(b):
                executor.upload(b.name, offset, piece)
                offset += piece.size
        except ExecutorError as error:
            failed[b.name] = f"buffer {b.name} ({b.size} bytes): {error}"
        if time.monotonic() > deadline:
            return False
    storage: Storage | None = None
    stored = [b.name for b in plan.buffers if b.stored]
    try:
        storage = Storage(files, plan.buffers) if stored else None
    except OSError as error:
        failed |= dict.fromkeys(stored, f"the weights cannot be stored: {error.strerror}")
    try:
        complete = _kernels_and_steps(plan, executor, files, writer, failed, storage, deadline)
    finally:
        if storage is not None:
            storage.close()
    if plan.options.get("programs") == "keep":
        with contextlib.suppress(ExecutorError, OSError):  # costs a later process a build
            executor.keep()
    return complete


def _kernels_and_steps(
    plan: Plan,
    executor: Executor,
    files: Path,
    writer: ResultWriter,
    failed: dict[str, str],
    storage: Storage | None,
    deadline: float,
) -> bool:
    for k in plan.kernels:
        _build(k, executor, files, writer, failed)
        writer.save()
        if time.monotonic() > deadline:
            return False
    for number, step in enumerate(plan.steps, 1):
        used = [d.kernel for d in step.dispatches]
        used += [str(a.value) for d in step.dispatches for a in d.args if a.kind == "B"]
        used += step.returns
        used += [b.name for b in plan.buffers if b.stored and step.load]
        used += [step.transfer.buffer] if step.transfer else []
        reason = next((failed[name] for name in used if name in failed), None)
        if reason is not None:
            writer.steps.append(StepResult(step.name, Status.ERROR, reason))
        else:
            writer.steps.append(_run(step, plan, executor, storage, writer, deadline))
        writer.save()
        _say({"event": "step", "name": step.name, "done": number, "total": len(plan.steps)})
        if time.monotonic() > deadline and number < len(plan.steps):
            return False
    return True


def _build(k: Kernel, executor: Executor, files: Path, writer: ResultWriter, failed: dict[str, str]) -> None:
    start = time.perf_counter()
    kept = False
    try:
        built = executor.build(k, (files / k.file).read_bytes())
        log, kept, status = built.log, built.kept, Status.OK
    except (ExecutorError, OSError) as error:
        log, status = str(error), Status.ERROR
        failed[k.name] = f"kernel {k.name} did not build: {log[:300]}"
    writer.builds.append(Build(k.name, status, time.perf_counter() - start, log[:LOG_MAX], kept))


def _perform(
    step: Step, executor: Executor, storage: Storage | None, data: NDArray[np.uint8] | None
) -> int | None:
    """One repeat. The device's own nanoseconds, where they cover all of it."""
    if step.transfer is not None and data is not None:
        executor.transfer(step.transfer, data)
        return None
    if step.load and storage is not None:
        # What neither a kernel nor the host looks at is read and not copied.
        storage.load(step.load, executor.upload if step.dispatches or step.returns else None)
    own = executor.submit() if step.dispatches else None
    return None if step.load else own


def _run(
    step: Step, plan: Plan, executor: Executor, storage: Storage | None, writer: ResultWriter, deadline: float
) -> StepResult:
    sizes = {b.name: b.size for b in plan.buffers}
    samples: list[int] = []
    device: list[int] = []
    bits: list[str] = []
    outputs: dict[str, NDArray[np.uint8]] = {}
    status, reason = Status.OK, None
    watch: Watch | None = None
    data = None
    if step.transfer:  # pages that were never written are all one page of zeros, which a cache holds
        data = np.full(sizes[step.transfer.buffer], 1, np.uint8)
    if step.load:
        reset_peak_rss()
    try:
        executor.prepare(step.dispatches)
        for _ in range(step.warmup):
            _perform(step, executor, storage, data)
        watch = _watch(step, executor)
        while len(samples) < step.repeat_max:
            # A driver's call cannot be stopped: one that would outlast the deadline is not begun.
            if time.monotonic() + (samples[-1] / 1e9 if samples else 0) > deadline:
                reason = f"deadline after {len(samples)} repeats"
                break
            if len(samples) >= step.repeat_min and sum(samples) >= step.budget_ms * 1_000_000:
                break
            if step.cold and step.load and storage is not None:
                storage.evict()
            watch.before()
            start = time.perf_counter_ns()
            own = _perform(step, executor, storage, data)
            samples.append(time.perf_counter_ns() - start)
            watch.after()
            if own:
                device.append(own)
            outputs = {name: executor.download(name, sizes[name]) for name in step.returns}
            bits.append(_hash(outputs))
    except NotCold as error:
        status, reason = Status.SKIPPED, str(error)
    except (ExecutorError, OSError) as error:
        status, reason = Status.ERROR, str(error)
    peak = peak_rss() or 0 if step.load else 0
    if not samples and status is Status.OK:
        status = Status.SKIPPED
    others = watch.end(len(samples)) if watch is not None else None
    if not samples:
        others = None
    rows = writer.append(outputs)
    return StepResult(
        step.name, status, reason, tuple(samples), tuple(device), tuple(bits), rows, peak, others
    )


def _watch(step: Step, executor: Executor) -> Watch:
    """All threads where a driver computes on the CPU, else the one that waits for the device."""
    on_cpu = executor.device.type == "cpu"
    computes = bool(step.dispatches) and not step.load
    return Watch(all_threads=on_cpu, threads=(os.cpu_count() or 1) if on_cpu and computes else 1)


def _hash(outputs: dict[str, NDArray[np.uint8]]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for data in outputs.values():
        digest.update(data.data)
    return digest.hexdigest()


def _say(event: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(event), flush=True)


def run_plan(module: ExecutorModule, backend: str, plan_path: Path, out: Path, seconds: float) -> int:
    """Execute a plan file; the result lies beside it. Returns the exit status."""
    deadline = time.monotonic() + seconds
    try:
        plan = parse(plan_path.read_text(encoding="utf-8"))
        _check(plan, backend)
        programs = Programs.of(plan.options, plan_path.parent)
    except (PlanError, ValueError, OSError) as error:
        print(f"{plan_path}: {error}", file=sys.stderr)
        return EXIT_USAGE
    writer = ResultWriter(out, backend, __version__, host_abi(), EXECUTORS[Backend(backend)])
    try:
        executor = module.open_executor(plan.options, programs)
    except BackendMissing as error:
        writer.error = str(error)
        writer.save(complete=True)
        return EXIT_MISSING
    writer.device = executor.device
    writer.save()
    try:
        complete = interpret(plan, executor, plan_path.parent, writer, deadline)
        writer.error = None if complete else f"stopped by its deadline of {units.seconds(seconds)}"
        writer.save(complete)
    finally:
        executor.close()
    return EXIT_OK


def _check(plan: Plan, backend: str) -> None:
    if plan.backend != backend:
        raise PlanError(f"the plan is for {plan.backend}, this worker runs {backend}")
    names = {b.name for b in plan.buffers}
    kernels = {k.name for k in plan.kernels}
    for k in plan.kernels:
        if Path(k.file).name != k.file or k.file in ("", ".", ".."):
            raise PlanError(f"kernel {k.name}: {k.file!r} is not a plain file name")
    for step in plan.steps:
        used = {str(a.value) for d in step.dispatches for a in d.args if a.kind == "B"} | set(step.returns)
        used |= {step.transfer.buffer} if step.transfer else set()
        unknown = (used - names) | ({d.kernel for d in step.dispatches} - kernels)
        if unknown:
            raise PlanError(f"step {step.name}: no buffer or kernel {', '.join(sorted(unknown))}")


def probe(module: ExecutorModule, backend: str, out: Path) -> int:
    """Write what the API says as probe.json with the one part `backend`."""
    out.write_text(
        json.dumps({"agent": __version__, "abi": host_abi(), backend: module.probe()}), encoding="utf-8"
    )
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status, which is the agent's."""
    parser = argparse.ArgumentParser(prog="worker", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("backend", choices=list(EXECUTORS))
    parser.add_argument("command", choices=["run", "probe"])
    parser.add_argument("--plan", type=Path, default=Path("plan.txt"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--deadline", type=float, default=RUN_SECONDS)
    # The agent takes these too. One backend is all that a worker has; memory is this computer's.
    parser.add_argument("--only", choices=list(EXECUTORS), help=argparse.SUPPRESS)
    parser.add_argument("--max-memory", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    # A driver that hangs holds the interpreter lock; this watchdog is a native thread and needs none.
    # It says on stderr where the process hung, and ends it.
    faulthandler.dump_traceback_later(args.deadline + GRACE_SECONDS, exit=True)
    module = cast(ExecutorModule, importlib.import_module(f"..{args.backend}.executor", __package__))
    if args.command == "probe":
        return probe(module, args.backend, args.out)
    return run_plan(module, args.backend, args.plan, args.out, args.deadline)


if __name__ == "__main__":
    sys.exit(main())
