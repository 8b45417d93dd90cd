"""The axis "which API runs a plan": what a Python executor offers, and how it fails.

opencl.py   pyopencl
vulkan.py   the vulkan package
The agent is the same interpreter in C; `worker.py` drives an executor through a plan as the agent does.
A module of this axis offers `open_executor(options) -> Executor` and `probe() -> dict` (the part of
probe.json that is named as the backend).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..plan import Buffer, Dispatch, Kernel, Transfer
from .programs import NO_PROGRAMS, Programs


class BackendMissing(Exception):
    """No loader, no platform, no device: a finding. The message says which; the worker exits with 3."""


class ExecutorError(Exception):
    """The API refused something, by its name: `CL_OUT_OF_RESOURCES (-5) in clEnqueueNDRangeKernel`."""


@dataclass(frozen=True)
class DeviceInfo:
    """Which device executes. `type`: gpu | cpu | accelerator | virtual | other."""

    name: str
    driver: str
    type: str


@dataclass(frozen=True)
class Built:
    """A kernel that can be dispatched: the compiler's words; `kept`: it was not compiled here."""

    log: str = ""
    kept: bool = False


class Executor(Protocol):
    """One device with the buffers and kernels of one plan. Methods raise ExecutorError."""

    device: DeviceInfo

    def allocate(self, buffer: Buffer) -> None:
        """Memory for a buffer. Its content is set by `upload`."""
        ...

    def upload(self, name: str, offset: int, data: NDArray[np.uint8]) -> None:
        """Write a piece of a buffer; `data` may be reused by the caller once this returns."""
        ...

    def build(self, kernel: Kernel, source: bytes) -> Built:
        """Compile a kernel for the device, or take it from what an earlier process kept."""
        ...

    def keep(self) -> None:
        """Keep the compiled programs for later processes of the session (`programs.py`)."""
        ...

    def prepare(self, dispatches: Sequence[Dispatch]) -> None:
        """Make the next step ready to `submit` again and again (record command buffers, check sizes)."""
        ...

    def submit(self) -> int | None:
        """Run the prepared dispatches once and wait for them. Returns the device's own nanoseconds from the
        start of the first to the end of the last, or None where it has no clock or reports zero."""
        ...

    def download(self, name: str, size: int) -> NDArray[np.uint8]:
        """The first `size` bytes of a buffer."""
        ...

    def transfer(self, transfer: Transfer, data: NDArray[np.uint8]) -> None:
        """Move a whole buffer from or to `data`, and wait."""
        ...

    def close(self) -> None: ...


class ExecutorModule(Protocol):
    """What a module of this axis offers."""

    def open_executor(self, options: Mapping[str, str], programs: Programs = NO_PROGRAMS) -> Executor:
        """The device that the options name (`device`: an index). Raises BackendMissing."""
        ...

    def probe(self) -> dict[str, Any]:
        """What the API says about its devices. A missing loader is `{"error": ..., "attempts": [...]}`."""
        ...
