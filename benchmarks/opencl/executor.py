"""Executes plans through pyopencl, and says what OpenCL there is on this computer.

The device is what Google's engine would take, the first GPU of the first platform that has one; on a
computer without any, its first device (a CPU driver such as PoCL).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..interpreter.interface import BackendMissing, Built, DeviceInfo, ExecutorError
from ..interpreter.programs import NO_PROGRAMS, Programs
from ..plan import Buffer, Dispatch, Kernel, Transfer

# No disk cache of pyopencl's, nor the copies it saves of sources that fail: the driver's compiler counts.
os.environ.setdefault("PYOPENCL_NO_CACHE", "1")

cl: Any = None
_IMPORT_ERROR: str | None = None
try:
    import pyopencl as cl
except ImportError as error:  # a wheel without a loader for this system: a finding, reported by `_devices`
    _IMPORT_ERROR = str(error)

T = TypeVar("T")


def _text(error: Exception) -> str:
    """`CL_OUT_OF_RESOURCES (-5) in clEnqueueNDRangeKernel`, as the agent says it."""
    code = getattr(error, "code", None)
    if code is None:
        return str(error).strip() or type(error).__name__
    name = cl.status_code.to_string(code, "UNKNOWN")
    return f"CL_{name} ({code}) in {getattr(error, 'routine', '?')}"


def _call(function: Callable[..., T], *args: Any, **keywords: Any) -> T:
    try:
        return function(*args, **keywords)
    except (cl.Error, TypeError, ValueError, OverflowError) as error:
        raise ExecutorError(_text(error)) from error


def _devices() -> list[Any]:
    """All devices in the order of platforms. Raises BackendMissing where there is none."""
    if _IMPORT_ERROR is not None:
        raise BackendMissing(f"no OpenCL loader: {_IMPORT_ERROR}")
    try:
        platforms = cl.get_platforms()
    except cl.Error as error:
        raise BackendMissing(f"no OpenCL platform: {_text(error)}") from error
    found: list[Any] = []
    for platform in platforms:
        try:
            found += platform.get_devices()
        except cl.Error:  # CL_DEVICE_NOT_FOUND: an installed driver without hardware
            continue
    if not found:
        raise BackendMissing(f"no OpenCL device on {len(platforms)} platform(s)")
    return found


def _choose(devices: Sequence[Any], options: Mapping[str, str]) -> Any:
    wanted = options.get("device")
    if wanted is not None:
        if not wanted.isdecimal() or int(wanted) >= len(devices):
            raise BackendMissing(f"no OpenCL device number {wanted}: there are {len(devices)}")
        return devices[int(wanted)]
    return next((d for d in devices if d.type & cl.device_type.GPU), devices[0])


def _type(device: Any) -> str:
    kinds = {"gpu": cl.device_type.GPU, "cpu": cl.device_type.CPU, "accelerator": cl.device_type.ACCELERATOR}
    return next((name for name, bit in kinds.items() if device.type & bit), "other")


class _Image:
    """Memory as an image: `height` rows of `width` texels of `texel` bytes. Raises ExecutorError."""

    def __init__(self, buffer: Buffer) -> None:
        assert buffer.image is not None
        self.width, channel = buffer.image
        self.texel = 4 * channel // 8
        self.height, rest = divmod(buffer.size, self.width * self.texel)
        if rest:
            raise ExecutorError(f"{buffer.size} bytes are not rows of {self.width} texels")

    def pieces(self, offset: int, size: int) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
        """(first byte, origin, region) of what is left of a row, of whole rows, of the beginning of one."""
        at, end = offset // self.texel, (offset + size) // self.texel
        while at < end:
            x = at % self.width
            columns = min(end - at, self.width - x)
            rows = 1 if x else max(1, (end - at) // self.width)
            yield at * self.texel - offset, (x, at // self.width), (columns, rows)
            at += columns * rows


class OpenClExecutor:
    """See interface.Executor. One in-order queue: a dispatch sees all that the one before it wrote."""

    def __init__(self, device: Any, programs: Programs) -> None:
        self._kept = programs
        self.device = DeviceInfo(device.name.strip(), device.driver_version, _type(device))
        self._device = device
        self._context = _call(cl.Context, [device])
        profiling = cl.command_queue_properties.PROFILING_ENABLE
        self._queue = _call(cl.CommandQueue, self._context, device, profiling)
        self._buffers: dict[str, Any] = {}
        self._images: dict[str, _Image] = {}
        self._programs: dict[tuple[bytes, tuple[str, ...]], Any] = {}
        self._taken: set[tuple[bytes, tuple[str, ...]]] = set()
        self._first: dict[str, Any] = {}  # the programs by the first kernel that has each
        self._kernels: dict[str, tuple[Any, str]] = {}
        self._step: list[tuple[Any, tuple[int, ...], tuple[int, ...] | None]] = []

    def allocate(self, buffer: Buffer) -> None:
        limit = self._device.max_mem_alloc_size
        if buffer.size > limit:
            raise ExecutorError(f"over CL_DEVICE_MAX_MEM_ALLOC_SIZE ({limit} bytes)")
        if buffer.image is not None:
            self._images[buffer.name] = _Image(buffer)
            self._buffers[buffer.name] = self._image(self._images[buffer.name])
            return
        self._buffers[buffer.name] = _call(cl.Buffer, self._context, cl.mem_flags.READ_WRITE, buffer.size)

    def _image(self, image: _Image) -> Any:
        device = self._device
        most = device.image2d_max_width, device.image2d_max_height
        if not device.image_support:
            raise ExecutorError("the device has no images")
        if image.width > most[0] or image.height > most[1]:
            raise ExecutorError(
                f"an image of {image.width} x {image.height} is over the device's {most[0]} x {most[1]}"
            )
        kind = cl.channel_type.UNSIGNED_INT16 if image.texel == 8 else cl.channel_type.UNSIGNED_INT32
        form = cl.ImageFormat(cl.channel_order.RGBA, kind)
        shape = image.width, image.height
        return _call(cl.Image, self._context, cl.mem_flags.READ_ONLY, form, shape=shape)

    def upload(self, name: str, offset: int, data: NDArray[np.uint8]) -> None:
        data = np.ascontiguousarray(data)
        if name in self._images:
            for start, origin, region in self._images[name].pieces(offset, data.size):
                piece = data[start : start + region[0] * region[1] * self._images[name].texel]
                self._copy(self._buffers[name], piece, origin, region)
            return
        _call(cl.enqueue_copy, self._queue, self._buffers[name], data, dst_offset=offset, is_blocking=True)

    def build(self, kernel: Kernel, source: bytes) -> Built:
        key = (source, kernel.options)
        note = ""
        if key not in self._programs:
            program, note = self._take(kernel) if self._kept.taking else (None, "")
            if program is not None:
                self._taken.add(key)
            else:
                program = _call(cl.Program, self._context, source.decode())
                try:
                    program = program.build(options=list(kernel.options))
                except cl.Error as error:  # its text holds the compiler's words
                    raise ExecutorError(f"{_text(error)}: {str(error).strip()[-3000:]}") from error
            self._programs[key] = self._first[kernel.name] = program
        program = self._programs[key]
        _call(cl.Kernel, program, kernel.entry)
        self._kernels[kernel.name] = (program, kernel.entry)
        log = note or str(program.get_build_info(self._device, cl.program_build_info.LOG)).strip()
        return Built(log, key in self._taken)

    def _take(self, kernel: Kernel) -> tuple[Any, str]:
        """The program as an earlier process kept it, or None and why there is none."""
        binary = self._kept.take(kernel.name)
        if binary is None:
            return None, "no program was kept: built from source"
        try:
            program = cl.Program(self._context, [self._device], [binary])
            return program.build(options=list(kernel.options)), ""
        except cl.Error as error:
            return None, f"the kept program was refused, {_text(error)}: built from source"

    def keep(self) -> None:
        for name, program in self._first.items():
            (binary,) = _call(program.get_info, cl.program_info.BINARIES)
            self._kept.keep(name, binary)

    def transfer(self, transfer: Transfer, data: NDArray[np.uint8]) -> None:
        buffer, queue = self._buffers[transfer.buffer], self._queue
        match transfer.kind:
            case "write":
                _call(cl.enqueue_copy, queue, buffer, data, is_blocking=True)
            case "read":
                _call(cl.enqueue_copy, queue, data, buffer, is_blocking=True)
            case "map":
                flags = cl.map_flags.WRITE
                mapped, _ = _call(cl.enqueue_map_buffer, queue, buffer, flags, 0, data.shape, data.dtype)
                mapped[:] = data
                _call(mapped.base.release, queue)
                _call(queue.finish)

    def prepare(self, dispatches: Sequence[Dispatch]) -> None:
        self._step = []
        for d in dispatches:
            program, entry = self._kernels[d.kernel]
            kernel = _call(cl.Kernel, program, entry)  # one object a dispatch keeps its arguments
            for index, arg in enumerate(d.args):
                match arg.kind:
                    case "B":
                        value = self._buffers[str(arg.value)]
                    case "I":
                        value = _call(np.int32, arg.value)
                    case "U":
                        value = _call(np.uint32, arg.value)
                    case "F":
                        value = np.float32(arg.value)
                    case "L":
                        value = _call(cl.LocalMemory, arg.value)
                _call(kernel.set_arg, index, value)
            self._step.append((kernel, d.global_size, d.local_size or None))

    def submit(self) -> int | None:
        events = [
            _call(cl.enqueue_nd_range_kernel, self._queue, kernel, size, local)
            for kernel, size, local in self._step
        ]
        _call(self._queue.finish)
        for event in events:
            status = event.command_execution_status
            if status < 0:
                raise ExecutorError(
                    f"CL_{cl.status_code.to_string(status, 'UNKNOWN')} ({status}) in a kernel"
                )
        try:
            elapsed: int = events[-1].profile.end - events[0].profile.start
        except cl.Error:
            return None
        return elapsed if elapsed > 0 else None

    def download(self, name: str, size: int) -> NDArray[np.uint8]:
        out = np.empty(size, np.uint8)
        if name in self._images:
            image = self._images[name]
            self._copy(out, self._buffers[name], (0, 0), (image.width, image.height))
            return out
        _call(cl.enqueue_copy, self._queue, out, self._buffers[name], is_blocking=True)
        return out

    def _copy(self, to: Any, source: Any, origin: tuple[int, int], region: tuple[int, int]) -> None:
        """Between the host and an image."""
        _call(cl.enqueue_copy, self._queue, to, source, origin=origin, region=region, is_blocking=True)

    def close(self) -> None:
        self._step = []
        for buffer in self._buffers.values():
            buffer.release()
        self._buffers = {}


def open_executor(options: Mapping[str, str], programs: Programs = NO_PROGRAMS) -> OpenClExecutor:
    """The device of the plan's options (`device`: index over all platforms). Raises BackendMissing."""
    return OpenClExecutor(_choose(_devices(), options), programs)


def probe() -> dict[str, Any]:
    """The `opencl` part of probe.json."""
    part: dict[str, Any] = {
        "attempts": [
            {"name": "pyopencl", "route": "dlopen", "opened": _IMPORT_ERROR is None, "error": _IMPORT_ERROR}
        ],
        "library": None if _IMPORT_ERROR else "pyopencl",
        "route": None if _IMPORT_ERROR else "dlopen",
        "error": None,
        "platform_count": 0,
        "device_count": 0,
    }
    try:
        devices = _devices()
    except BackendMissing as missing:
        return part | {"error": str(missing)}
    device = _choose(devices, {})
    properties = _properties(device, cl.device_info, device.extensions) | {"CL_DEVICE_TYPE": [_type(device)]}
    return part | {
        "platform_count": len(cl.get_platforms()),
        "device_count": len(devices),
        "platform": _properties(device.platform, cl.platform_info, device.platform.extensions),
        "device": properties,
    }


_VENDORS = ("AMD", "ARM", "EXT", "IMG", "INTEL", "NV", "QCOM", "POCL", "SIMULTANEOUS")


def _properties(thing: Any, names: Any, extensions: str) -> dict[str, Any]:
    """Every query of the headers; a vendor's own only where the device has one of its extensions."""
    prefix = "CL_DEVICE_" if names is cl.device_info else "CL_PLATFORM_"
    values: dict[str, Any] = {}
    for name in sorted(n for n in dir(names) if n.isupper()):
        vendor = name.rsplit("_", 1)[-1]
        if vendor in _VENDORS and f"cl_{vendor.lower()}_" not in extensions:
            continue
        full = "CL_DRIVER_VERSION" if name == "DRIVER_VERSION" else prefix + name
        try:
            value = _plain(thing.get_info(getattr(names, name)))
        except cl.Error as error:
            value = {"error": f"CL_{cl.status_code.to_string(error.code, 'UNKNOWN')} ({error.code})"}
        if value is not None:
            values[full] = value
    return values


def _plain(value: Any) -> Any:
    """A value that JSON knows, or None for handles."""
    if isinstance(value, str):
        return value.rstrip("\0")
    if isinstance(value, int | float):
        return value
    if isinstance(value, list | tuple):
        items = [_plain(v) for v in value]
        return items if all(v is not None for v in items) else None
    if hasattr(value, "version") and hasattr(value, "name"):  # cl_name_version
        return {"name": _plain(value.name), "version": value.version}
    return None
