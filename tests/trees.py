"""The product's own modules as trees, for tests of how it is written; each is parsed once a process."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def parsed(path: Path) -> ast.Module:
    """Of one module. Nobody changes it."""
    return ast.parse(path.read_text("utf-8"))
