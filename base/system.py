"""What differs between Linux, macOS and Windows: here alone stands what one of them lacks.

What a system does not tell is None; what it cannot do raises OSError with a sentence.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_QUIET_S = 0.5
"""Silence after which a process that ended is taken to have said all, whoever holds its pipes."""


def host_abi() -> str:
    """This computer as agent binaries are named: linux-x86_64, or a name for which there is none."""
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    return f"{platform.system().lower()}-{machine}"


# --- the process ---


def peak_rss() -> int | None:
    """Largest resident size of this process so far, in bytes."""
    with contextlib.suppress(OSError):  # Linux: the one that `reset_peak_rss` resets
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text("ascii", "replace"))
        return int(found[1]) * 1024 if found else None
    try:
        import resource
    except ImportError:  # Windows
        return None
    # getrusage(2): kilobytes on Linux and the BSDs, bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reset_peak_rss() -> None:
    """The peak begins anew on Linux; elsewhere it stays that of the whole process."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def switches() -> int | None:
    """How often this process lost its CPU to another so far."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


# --- files ---


def drop_cached(file: int) -> None:
    """Make the next read of a file read from the storage itself. Raises OSError where that cannot be had."""
    if not hasattr(os, "posix_fadvise"):  # macOS, Windows
        raise OSError(0, f"a cold read cannot be had: {platform.system()} keeps files in memory")
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def reread(file: int, size: int) -> bytes:
    """The first bytes of an open file, as they are now: for those of Linux's /proc."""
    return os.pread(file, size, 0)


def cached(file: int, size: int) -> float:
    """Part of a file's first `size` bytes in the page cache, 0 to 1; 1 where the system does not say."""
    if not sys.platform.startswith("linux"):
        return 1.0
    pages = -(-size // mmap.PAGESIZE)
    state = (ctypes.c_ubyte * pages)()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    with mmap.mmap(file, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as view:
        whole = (ctypes.c_ubyte * size).from_buffer(view)
        failed = libc.mincore(whole, size, state)
        del whole
    return 1.0 if failed else sum(page & 1 for page in state) / pages


# --- child processes ---


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a child that leads a session of its own; where there are process groups, also what it started."""
    if sys.platform == "win32":
        process.kill()
    else:
        import signal

        with contextlib.suppress(ProcessLookupError):  # all of it has ended already
            os.killpg(process.pid, signal.SIGKILL)


def chunks(process: subprocess.Popen[bytes], until: float) -> Iterator[tuple[str, bytes]]:
    """(stdout or stderr, bytes) as they come, until both have ended, the process has, or `until` (monotonic).

    A thread reads each: Windows has no `select` for pipes. A grandchild that keeps one is not waited for.
    """
    arrived: queue.Queue[tuple[str, bytes]] = queue.Queue(maxsize=16)
    stop = threading.Event()

    def read(name: str, stream: IO[bytes]) -> None:
        data = b"begin"
        while data and not stop.is_set():
            data = os.read(stream.fileno(), 1 << 16)
            while not stop.is_set():
                with contextlib.suppress(queue.Full):
                    arrived.put((name, data), timeout=_QUIET_S)
                    break

    streams = {name: s for name, s in (("stdout", process.stdout), ("stderr", process.stderr)) if s}
    for one in streams.items():
        threading.Thread(target=read, args=one, daemon=True).start()
    try:
        while streams and (left := until - time.monotonic()) > 0:
            ended = process.poll() is not None
            try:
                name, data = arrived.get(timeout=min(left, _QUIET_S))
            except queue.Empty:
                if ended:
                    return
                continue
            if data:
                yield name, data
            else:
                del streams[name]
    finally:
        stop.set()
