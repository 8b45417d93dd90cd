"""What follows from a kind of target is a column of its enum: no code asks which kind it has before it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemmafit.base.names import TargetKind
from gemmafit.probes.capture import Capture
from gemmafit.probes.files import dump_capture, parse_capture
from gemmafit.tests.trees import parsed

ROOT = Path(__file__).parents[2]
KIND = re.compile(r"\b(kind|origin)['\")\]]*$")
CLASSES = {"AdbTarget", "LocalTarget", "ReplayTarget"}


def asked(tree: ast.AST) -> Iterator[ast.expr]:
    """Where a kind is compared with one of them, or a target asked for its class."""
    members = {f"TargetKind.{kind.name}" for kind in TargetKind}
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                sides = (node.left, *node.comparators)
                of_kind = any(KIND.search(ast.unparse(side)) for side in sides)
                parts = [part for side in sides for part in ast.walk(side)]
                words = {part.value for part in parts if isinstance(part, ast.Constant)}
                if (of_kind and words & set(TargetKind)) or members & {ast.unparse(side) for side in sides}:
                    yield node
            case ast.Call(func=ast.Name("isinstance"), args=[_, classes]):
                if CLASSES & {part.id for part in ast.walk(classes) if isinstance(part, ast.Name)}:
                    yield node


def test_nobody_asks_which_kind_it_is() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path in sorted(ROOT.rglob("*.py"))
        if "tests" not in path.parts
        for node in asked(parsed(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        'snapshot.kind == "local"',
        'report.target.get("kind") != "stated"',
        'kind not in ("adb", "local")',
        "target.kind is TargetKind.REPLAY",
        "isinstance(target, (int, ReplayTarget))",
    ],
)
def test_the_check_itself_finds_each_way_of_asking(text: str) -> None:
    assert len(list(asked(ast.parse(text)))) == 1


def test_a_capture_is_of_a_device_that_answered_whatever_it_states() -> None:
    """A file that calls itself stated must not have its gaps taken for granted."""
    for word in (*TargetKind, "of a later version", None):
        text = dump_capture(Capture("adb", {"kind": str(word)}))
        kind = parse_capture(text).origin
        assert kind.recorded and (kind == word or kind is TargetKind.ASSEMBLED)
