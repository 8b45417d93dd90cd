"""Bounded random access to a file that is not trusted."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from types import TracebackType

from ...base import units
from ...base.files import opened

PAGE = 1 << 14
CACHED_PAGES = 1 << 10
"""16 MiB: the tables of a model lie close together, its weights are never read."""

BUDGET = 256 << 20
"""Bytes read from the file in all. Real files need some hundred kilobytes to a few megabytes of tables."""

MAX_READS = 2_000_000
"""Single reads in all: some seconds of work. Fifty thousand tensors need about a third of them."""


class BadContentError(Exception):
    """The content contradicts itself. Caught inside this package and turned into a Finding."""


class Source:
    """A file opened for reading, as a mapping from ranges to bytes."""

    def __init__(self, path: Path) -> None:
        """Raises InputError if `path` is not a readable regular file."""
        self._file = opened(path, hint="Give the path of a model file.")
        self.size = os.fstat(self._file.fileno()).st_size
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._left = BUDGET
        self._reads = MAX_READS

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes. Raises BadContentError if they are not all inside the file."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise BadContentError(
                f"bytes {offset} to {offset + size} are outside the file ({self.size} bytes)"
            )
        self._reads -= 1
        if self._reads < 0:
            raise BadContentError("its tables are too many")
        if size > PAGE:
            return self._fetch(offset, size)
        first, start = divmod(offset, PAGE)
        data = self._page(first)[start : start + size]
        if len(data) < size:
            data += self._page(first + 1)[: size - len(data)]
        if len(data) < size:
            raise BadContentError(f"the file ended at byte {offset + len(data)} while it was read")
        return data

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            page = self._fetch(number * PAGE, min(PAGE, self.size - number * PAGE))
            self._pages[number] = page
            if len(self._pages) > CACHED_PAGES:
                self._pages.popitem(last=False)
        else:
            self._pages.move_to_end(number)
        return page

    def _fetch(self, offset: int, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise BadContentError(f"its tables are scattered over more than {units.size(BUDGET)}")
        try:
            self._file.seek(offset)
            parts = []
            while size and (part := self._file.read(size)):
                parts.append(part)
                size -= len(part)
        except OSError as error:
            raise BadContentError(f"cannot be read at byte {offset}: {error.strerror}") from error
        return b"".join(parts)
