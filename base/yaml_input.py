"""YAML from outside, read as plain data: no tags, no aliases, bounded depth and size, no duplicate keys.

For captures (untrusted) and for knowledge files alike. Dates stay text: JSON has none.
"""

from __future__ import annotations

from typing import Any

import yaml

from . import limits
from .errors import InputError

# libyaml's parser where the wheel has it (20 times as fast), else the Python one: same events, same data.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _PlainLoader(_Base):  # type: ignore[misc]
    """SafeLoader without timestamps, merge keys and duplicate keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is neither text nor a number", key_node.start_mark
                )
            key = str(key)
            if key in mapping:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key[: limits.KEY_CHARS]!r} stands twice", key_node.start_mark
                )
            mapping[key] = self.construct_object(value_node, deep=deep)
        return mapping


_DROPPED = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag not in _DROPPED]
    for first, rules in _Base.yaml_implicit_resolvers.items()
}


def load_yaml(text: str, *, origin: str) -> Any:
    """`text` as dicts, lists, strings, numbers, booleans and None.

    Raises InputError, with `origin` (a file's name) and where known the line, for what is malformed, too
    deep, too large, or uses tags, anchors or aliases.
    """
    try:
        _check_events(text)
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{origin}{where}: not readable as YAML: {problem}") from None
    except (ValueError, RecursionError, OverflowError) as error:
        # ValueError: an integer of more than 4300 digits, or a surrogate in the text.
        raise InputError(f"{origin}: not readable as YAML: {str(error)[: limits.QUOTE_CHARS]}") from None


def _check_events(text: str) -> None:
    """One pass over the events before anything is built: a bomb must not be expanded to be refused."""
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=_Base), 1):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("anchors and aliases are not used here")
        tag = getattr(event, "tag", None)
        # `!` is the non-specific tag that libyaml reports for quoted scalars.
        if tag is not None and tag != "!":
            raise yaml.YAMLError("tags are not used here")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > limits.FILE_DEPTH:
            raise yaml.YAMLError(f"nested deeper than {limits.FILE_DEPTH} levels")
        if nodes > limits.CAPTURE_NODES:
            raise yaml.YAMLError(f"more than {limits.CAPTURE_NODES} nodes")
