"""One table's file: read safely, laid over another, converted to typed rows; errors name file, line and key.

Works on YAML nodes, which remember their place, so that a wrong value in a user's file is found by its line
even after two files were merged.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import Resolver

from ..base import typed
from ..base.errors import InputError
from ..base.files import read_text

MAX_BYTES = 4 << 20
"""The largest table has some 30 KB."""

T = TypeVar("T")

_PATH = re.compile(r"(?: - at `\$(?P<path>[^`]*)`)?\Z")
_STEP = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<key>[^`]+)`")


_Events: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Where the wheel has libyaml it reads the text, five times as fast; the rest is the same either way."""


class _Named(io.StringIO):
    """A text that marks call by its file's name."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


class _Loader(Composer, _Events):  # type: ignore[misc]
    """Composes only; refuses aliases (a few hundred bytes of them expand to gigabytes) and repeated keys."""

    def __init__(self, text: str, name: str) -> None:
        _Events.__init__(self, _Named(text, name))
        Composer.__init__(self)
        Resolver.__init__(self)

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError("aliases are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(f"key {key.value!r} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def compose(path: Path) -> Node:
    """The file as a node tree. Raises InputError with file and line."""
    text = read_text(path, MAX_BYTES, "table")
    try:
        node = Composer.get_single_node(_Loader(text, str(path)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "context", None) or str(error)
        raise InputError(f"{path}:{mark.line + 1 if mark else 1}: {what}") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply") from error
    if node is None:
        raise InputError(f"{path}: empty")
    return node


def rows(node: Node, kind: type[T]) -> Iterator[tuple[Node, T]]:
    """A list of mappings as values of `kind`, each with its place. Raises InputError."""
    if not isinstance(node, SequenceNode):
        raise InputError(f"{place(node)}: a list of rows is expected")
    _by_id(node)
    for row in node.value:
        yield row, convert(row, kind)


def convert(node: Node, kind: type[T]) -> T:
    """A node as a value of `kind`. Raises InputError naming file, line and key of what is wrong."""
    try:
        data = SafeConstructor().construct_object(node, deep=True)
        return typed.convert(data, kind)
    except msgspec.ValidationError as error:
        where, key = _locate(node, str(error))
        message = str(error).partition(" - at `")[0]
        raise InputError(f"{place(where)}: {key}{message}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{place(node)}: {error}") from error


def _locate(node: Node, message: str) -> tuple[Node, str]:
    """The node that a validation message is about, and its key as a prefix for the message."""
    found = _PATH.search(message)
    path = (found["path"] if found else "") or ""
    name = ""
    for step in _STEP.finditer(path):
        if isinstance(node, MappingNode):
            pairs = [(k, v) for k, v in node.value if k.value == step["key"]]
            # `[...]` stands for "some value of this mapping": the message does not say which.
            if not pairs:
                break
            node, name = pairs[0][1], f"{name}.{step['key']}" if name else step["key"]
        elif isinstance(node, SequenceNode) and (step["index"] or "").isdigit():
            node, name = node.value[int(step["index"])], f"{name}[{step['index']}]"
    if (unknown := _UNKNOWN_FIELD.search(message)) and isinstance(node, MappingNode):
        node = next((k for k, _ in node.value if k.value == unknown["key"]), node)
    return node, f"{name}: " if name else ""


def place(node: Node, path: Sequence[str | int] = ()) -> str:
    """FILE:LINE of a node, or of what is below it at a path of keys and numbers, as far as that is there."""
    for step in path:
        if isinstance(node, MappingNode):
            pairs = [(k, v) for k, v in node.value if str(k.value) == str(step)]
            if not pairs:
                break
            # A line of a mapping is that of its key; a long value may begin on the next.
            node = pairs[0][1] if isinstance(pairs[0][1], MappingNode | SequenceNode) else pairs[0][0]
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
    return f"{node.start_mark.name}:{node.start_mark.line + 1}"


def laid_over(base: Node, top: Node) -> Node:
    """`top` laid over `base`: rows by id, mappings key by key."""
    if isinstance(base, SequenceNode) and isinstance(top, SequenceNode) and _has_ids(base, top):
        rows = list((_by_id(base) | _by_id(top)).values())
        return SequenceNode(top.tag, rows, top.start_mark, top.end_mark)
    if isinstance(base, MappingNode) and isinstance(top, MappingNode):
        pairs = {key.value: (key, value) for key, value in base.value}
        for key, value in top.value:
            below = pairs.get(key.value)
            pairs[key.value] = (key, laid_over(below[1], value) if below else value)
        return MappingNode(top.tag, list(pairs.values()), top.start_mark, top.end_mark)
    return top


def _by_id(rows: SequenceNode) -> dict[str, Node]:
    """The rows by their id. Raises InputError for an id that one file uses twice."""
    found: dict[str, Node] = {}
    for node in rows.value:
        if (first := found.setdefault(_id(node) or str(id(node)), node)) is not node:
            raise InputError(f"{place(node)}: id {_id(node)!r} is already used at {place(first)}")
    return found


def _has_ids(*nodes: SequenceNode) -> bool:
    return all(isinstance(row, MappingNode) and _id(row) for node in nodes for row in node.value)


def _id(node: Node) -> str:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == "id" and isinstance(value, ScalarNode):
                return str(value.value)
    return ""
