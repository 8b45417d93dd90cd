"""The rooms of the house stand on each other in one order: what stands below never imports what stands above."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from gemmafit.tests.trees import parsed

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
_SPEC = importlib.util.spec_from_file_location("rooms", ROOT / ".ci/rooms.py")
assert _SPEC is not None and _SPEC.loader is not None
rooms = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(rooms)
ORDER, modules, imports = rooms.ORDER, rooms.modules, rooms.imports


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
        for node in ast.walk(parsed(path)):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id
            assert called != "print", f"{name} prints"
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not any(n.split(".")[0] in ("rich", "typer") for n in names), f"{name} imports {names}"


def test_every_room_says_what_is_in_it() -> None:
    """docs/develop.md takes the sentence from there."""
    for room in rooms.uses():
        path = modules()[room]
        assert len(ast.get_docstring(parsed(path)) or "") > 30, path


def test_the_picture_leaves_out_only_what_follows_from_it() -> None:
    uses, direct = rooms.uses(), rooms.direct(rooms.uses())
    assert any(direct[room] < uses[room] for room in uses)
    for room, used in uses.items():
        reached, before = set(direct[room]), set[str]()
        while reached != before:
            before, reached = reached, reached.union(*(direct[r] for r in reached))
        assert used <= reached, room
