"""The rooms of the house, and who imports whom, as the code says it.

tests/test_rooms.py holds the order; .ci/docs.py draws it in docs/develop.md.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ORDER = (
    "base", "profiles", "agent", "probes", "benchmarks", "engines", "reports", "judge", "pipeline", "lab",
    "cli", "tools",
)  # fmt: skip
"""From the ground up: a room imports only what stands before it. What is in each: its own first line."""


def modules() -> dict[str, Path]:
    """Dotted name below the package -> file, of all that is in the rooms; "" is the package itself."""
    found: dict[str, Path] = {}
    for path in (*ROOT.glob("*.py"), *(p for room in ORDER for p in (ROOT / room).rglob("*.py"))):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if path.name != "setup.py":
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of ours that a module imports, at whatever depth of its code and for whatever purpose."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "gemmafit" for alias in node.names), (
                f"{name}: absolute"
            )
        if not isinstance(node, ast.ImportFrom):
            continue
        assert (node.module or "").split(".")[0] != "gemmafit" or node.level, f"{name}: absolute import"
        if node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            target = ".".join(filter(None, base))
            for alias in node.names:
                full = f"{target}.{alias.name}".lstrip(".")
                yield full if full in known else target


@cache
def uses() -> dict[str, set[str]]:
    """Room -> the rooms that it imports from, in ORDER; without the package itself, whose version all ask."""
    known = modules()
    rooms: dict[str, set[str]] = {room: set() for room in ORDER if room in {n.split(".")[0] for n in known}}
    for name, path in known.items():
        room = name.split(".")[0]
        if room in rooms:
            rooms[room] |= {t.split(".")[0] for t in imports(name, path, known)} - {"", room}
    return rooms


def direct(rooms: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same without what follows: where a uses b and b uses c, that a uses c is not drawn."""
    reach: dict[str, set[str]] = {}
    for room in sorted(rooms, key=ORDER.index):
        reach[room] = set().union(rooms[room], *(reach.get(other, set()) for other in rooms[room]))
    return {
        room: {o for o in used if not any(o in reach[other] for other in used if other != o)}
        for room, used in rooms.items()
    }
