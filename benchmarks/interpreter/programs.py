"""Compiled programs kept in files of the session's folder, which is removed with it.

docs/plan-format.md, "Kept programs"; the twin of the agent's programs.c.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...base.system import drop_cached

MODES = ("keep", "warm", "cold")


@dataclass(frozen=True)
class Programs:
    """What the plan's option `programs` asks for. `mode`: one of MODES, or "" for neither."""

    folder: Path = Path()
    mode: str = ""

    @classmethod
    def of(cls, options: Mapping[str, str], folder: Path) -> Programs:
        """Raises ValueError for a mode that there is not."""
        mode = options.get("programs", "")
        if mode and mode not in MODES:
            raise ValueError(f"option programs is none of {', '.join(MODES)}")
        return cls(folder, mode)

    @property
    def taking(self) -> bool:
        return self.mode in ("warm", "cold")

    @property
    def keeping(self) -> bool:
        return self.mode == "keep"

    def take(self, name: str) -> bytes | None:
        """The kept program of this name, or None. Cold: it leaves the page cache before it is read, or
        OSError is raised."""
        try:
            with self._path(name).open("rb") as file:
                if self.mode == "cold":
                    drop_cached(file.fileno())
                return file.read()
        except FileNotFoundError:
            return None

    def keep(self, name: str, data: bytes) -> None:
        """Keep a program for later processes."""
        with self._path(name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # pages that are not written yet cannot leave the page cache

    def _path(self, name: str) -> Path:
        return self.folder / f"program.{name}"


NO_PROGRAMS = Programs()
"""Nothing is kept and nothing taken."""
