"""A phone for each fault row, made from the row's own condition: a new row needs no line in a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gemmafit.probes.snapshot import Snapshot
from gemmafit.profiles.conditions import FILE_FACTS, Condition, Facts, evaluate


def holding(condition: Condition) -> Iterator[tuple[str, Any]]:
    """Facts with which a condition holds."""
    for part in condition.all or (condition.any or ())[:1]:
        yield from holding(part)
    if condition.not_ is not None:
        yield from ((name, "another") for name, _ in holding(condition.not_))
    elif condition.fact is not None:
        value: Any = condition.is_
        if condition.any_of is not None:
            value = condition.any_of[0]
        elif condition.contains is not None:
            value = condition.contains
        elif condition.at_least is not None:
            value = condition.at_least
        elif condition.below is not None:
            value = int(condition.below) - 1  # type: ignore[arg-type]
        yield condition.fact, value


def made(snapshot: Snapshot, condition: Condition) -> Snapshot:
    """The phone with what it lacks of a condition, as far as that is about phones."""
    for part in condition.all or ():
        snapshot = made(snapshot, part)
    if condition.all or evaluate(condition, Facts(snapshot)).value:
        return snapshot
    for name, value in holding(condition):
        if name not in ("backend", *FILE_FACTS):
            snapshot = _with(snapshot, name.split("."), value)
    return snapshot


def _with(value: Any, path: list[str], wanted: Any) -> Any:
    name, *rest = path
    return replace(value, **{name: _with(getattr(value, name), rest, wanted) if rest else wanted})
