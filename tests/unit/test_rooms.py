"""The rooms of the house stand on each other in one order: what stands below never imports what stands above."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ORDER = (
    "base", "profiles", "agent", "probes", "benchmarks", "engines", "reports", "judge", "pipeline", "lab",
    "cli", "tools",
)  # fmt: skip
"""From the ground up; docs/develop.md says what is in each."""
ENTRANCE = "__init__.py"
"""The package's own names stand above everything that they come from."""


def modules() -> dict[str, Path]:
    """Dotted name below the package -> file, of all that is in the rooms."""
    found: dict[str, Path] = {}
    for path in (*ROOT.glob("*.py"), *(p for room in ORDER for p in (ROOT / room).rglob("*.py"))):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if path.name != "setup.py":
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
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


def test_rooms_import_only_what_stands_below_them() -> None:
    known = modules()
    assert len(known) > 150
    wrong = []
    for name, path in known.items():
        room = name.split(".")[0]
        for target in imports(name, path, known):
            other = target.split(".")[0]
            if not room or not other:  # the package itself: its version and, for those who use it, its API
                assert not room or target == "", (name, target)
            elif ORDER.index(other) > ORDER.index(room):
                wrong.append(f"{name} imports {target}")
    assert not wrong, wrong


def test_every_folder_of_code_is_a_room() -> None:
    folders = {path.name for path in ROOT.iterdir() if any(path.glob("*.py"))} - {"tests", ".ci"}
    assert folders <= set(ORDER), folders - set(ORDER)


def test_only_the_command_line_prints_and_draws_on_terminals() -> None:
    for name, path in modules().items():
        # A build step speaks to whoever installs, and a worker to the process that started it.
        if name.split(".")[0] in ("cli", "tools", "") or path.name in ("build.py", "worker.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id
            assert called != "print", f"{name} prints"
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not any(n.split(".")[0] in ("rich", "typer") for n in names), f"{name} imports {names}"
