"""Files that a user names or that were made for us: read up to a limit, written whole or not at all.

The only place that opens such a path (`tests/base/test_files.py`). What cannot be read or written is one
sentence with the file and the reason. A pipe that nobody writes to, a device or a file without end holds
nobody up.
"""

from __future__ import annotations

import io
import os
import secrets
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError, UsageError
from .units import size

BLOCK = 1 << 20
PIPE_SECONDS = 10.0
"""How long a named pipe may say nothing."""


def opened(path: Path, *, hint: str | None = None, pipes: bool = False) -> io.FileIO:
    """A file, unbuffered. Raises InputError for what is missing, may not be read, or is no file.

    pipes: a pipe will do too; what comes through it is read by `blocks`.
    """
    try:
        # Else opening a pipe waits for somebody who writes to it.
        file = io.FileIO(path, opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{path}: {_why(error)}", hint=hint) from error
    mode = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(mode) and not (pipes and stat.S_ISFIFO(mode)):
        file.close()
        raise InputError(f"{path}: not a regular file", hint=hint)
    return file


def blocks(path: Path) -> Iterator[bytes]:
    """The content of a file or pipe, in pieces. Raises InputError."""
    with opened(path, pipes=True) as file:
        piped = not stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        try:
            while True:
                if piped and not select.select([file], [], [], PIPE_SECONDS)[0]:
                    raise InputError(f"{path}: nothing comes through this pipe")
                block = file.read(BLOCK)
                if block == b"":
                    return
                yield block or b""
        except OSError as error:
            raise InputError(f"{path}: {_why(error)}") from error


def read_bytes(path: Path, limit: int, what: str) -> bytes:
    """The whole content. Raises InputError, also for more than `limit` bytes, as no `what` ("table") has."""
    data = bytearray()
    for block in blocks(path):
        data += block
        if len(data) > limit:
            raise InputError(f"{path}: larger than {size(limit)}; no {what} is")
    return bytes(data)


def read_text(path: Path, limit: int, what: str, *, errors: str = "strict") -> str:
    """The whole text, UTF-8 with or without a byte-order mark. Raises InputError.

    errors: "replace" for what a device wrote, of which one odd byte is no reason to refuse the rest.
    """
    try:
        return read_bytes(path, limit, what).decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from error


def write(path: Path, data: str | bytes, *, mode: int | None = None) -> None:
    """Write a file whole or not at all: to the disk first, then under its name. Raises UsageError.

    A file that is there keeps its mode, unless `mode` is given; a link stays a link; a pipe or a device is
    written to.
    """
    content = data.encode() if isinstance(data, str) else data
    with _writing(path):
        old = path.stat().st_mode if path.exists() else None
        if old is not None and not stat.S_ISREG(old):
            path.write_bytes(content)
            return
        target = Path(os.path.realpath(path))
        part = target.with_name(f".gemmafit-{secrets.token_hex(4)}.part")
        try:
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None or old is not None:
                part.chmod(stat.S_IMODE(mode or old or 0))
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def append(path: Path, line: bytes) -> None:
    """Add a line, on disk before this returns; one that a crash cut off is ended first. Raises UsageError."""
    with _writing(path), path.open("ab+") as file:
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n":
            file.write(b"\n")
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it is there. Raises UsageError."""
    with _writing(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns a full disk or a missing permission into a sentence."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {path}: {_why(error)}") from error


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
