"""Conditions over facts, as data: what a knowledge row asks of a phone, a file or a run.

A condition is a mapping of one of these forms; a fact is a dotted path below `Snapshot`, or a name the
caller adds (`file.format`, ...)::

    {fact: gpu.architecture, any_of: [Midgard, Utgard]}
    {fact: android.sdk, at_least: 31}
    {all: [...]}   {any: [...]}   {not: {...}}

The logic has three values. A fact that nobody knows makes its test unknown, never false, and the answer
carries a sentence with the value that decided it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Scalar = bool | int | float | str

FILE_FACTS = ("runtime", "format", "model.id", "model.architecture")
"""Facts of a model file and its engine, which are added to those of the device."""


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"is_": "is", "not_": "not"}):
    """See the module. Exactly one of `fact`, `all`, `any`, `not`; a fact has exactly one test.

    Attributes:
        any_of: the fact, or one of its members where it is a list, equals one of these. Text is compared
            without regard to case.
        contains: part of the fact's text, or of one of its members.
        at_least, below: numbers, or version tuples as lists of numbers.
    """

    fact: str | None = None
    is_: Scalar | None = None
    any_of: tuple[Scalar, ...] | None = None
    contains: str | None = None
    at_least: float | tuple[int, ...] | None = None
    below: float | tuple[int, ...] | None = None
    all: tuple[Condition, ...] | None = None
    any: tuple[Condition, ...] | None = None
    not_: Condition | None = None

    def __post_init__(self) -> None:
        forms = [f for f in (self.fact, self.all, self.any, self.not_) if f is not None]
        if len(forms) != 1:
            raise ValueError("a condition has exactly one of fact, all, any, not")
        if (len(self._tests()) == 1) != (self.fact is not None):
            raise ValueError("a fact has exactly one test: is, any_of, contains, at_least or below")

    def _tests(self) -> list[str]:
        names = ("is_", "any_of", "contains", "at_least", "below")
        return [name for name in names if getattr(self, name) is not None]

    def facts(self) -> Iterator[str]:
        """The names of all facts the condition asks for."""
        if self.fact is not None:
            yield self.fact
        for part in (*(self.all or ()), *(self.any or ()), *((self.not_,) if self.not_ else ())):
            yield from part.facts()


@dataclass(frozen=True)
class Truth:
    """The answer to a condition: True, False or None for unknown, and the facts that decided it: each by
    name, with the words for its value."""

    value: bool | None
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def because(self) -> str:
        """The facts in words."""
        return self._words(self.facts) or "nothing is asked"

    def without(self, *names: str) -> str:
        """The same without some facts, unless there are no others."""
        return self._words([fact for fact in self.facts if fact[0] not in names]) or self.because

    @staticmethod
    def _words(facts: Iterable[tuple[str, str]]) -> str:
        return ", ".join(f"{name} is {value}" for name, value in facts)


@dataclass(frozen=True)
class Facts:
    """Facts by name: those given, else those of the snapshot."""

    snapshot: object | None = None
    given: Mapping[str, Any] | None = None

    def get(self, name: str) -> Any:
        """The value of a fact, or None where it is unknown or does not exist for this target."""
        if self.given and name in self.given:
            return self.given[name]
        value: Any = self.snapshot
        for part in name.split("."):
            if value is None:
                return None
            value = getattr(value, part, None)
        return value


def evaluate(condition: Condition, facts: Facts) -> Truth:
    """Kleene logic: `any` is True as soon as one part is, unknown only if none is and one is unknown."""
    if condition.not_ is not None:
        inner = evaluate(condition.not_, facts)
        return Truth(None if inner.value is None else not inner.value, inner.facts)
    if condition.all is not None:
        return _combine(condition.all, facts, decisive=False)
    if condition.any is not None:
        return _combine(condition.any, facts, decisive=True)
    assert condition.fact is not None  # __post_init__
    value = facts.get(condition.fact)
    if value is None or value == ():
        return Truth(None, ((condition.fact, "unknown"),))
    return Truth(_holds(condition, value), ((condition.fact, _show(value)),))


def _combine(conditions: Iterable[Condition], facts: Facts, *, decisive: bool) -> Truth:
    parts: list[Truth] = []
    for condition in conditions:
        part = evaluate(condition, facts)
        if part.value is decisive:
            return part  # one is reason enough, and the rest need not be asked
        parts.append(part)
    unknown = [part for part in parts if part.value is None]
    because = tuple(dict.fromkeys(fact for part in unknown or parts for fact in part.facts))
    return Truth(None if unknown else not decisive, because)


def _holds(condition: Condition, value: Any) -> bool | None:
    members = list(value) if isinstance(value, tuple | list | set | frozenset) else [value]
    if condition.is_ is not None:
        return _same(value, condition.is_)
    if condition.any_of is not None:
        return any(_same(member, wanted) for member in members for wanted in condition.any_of)
    if condition.contains is not None:
        return any(condition.contains.casefold() in str(member).casefold() for member in members)
    limit: Any = condition.at_least if condition.at_least is not None else condition.below
    try:
        reached = bool((tuple(value) if isinstance(limit, tuple) else value) >= limit)
    except TypeError:
        return None  # a number was expected and the device stated something else
    return reached if condition.at_least is not None else not reached


def _same(value: Any, wanted: Scalar) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return value.casefold() == wanted.casefold()
    return bool(value == wanted)


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list | set | frozenset):
        shown = [str(member) for member in value]
        shown = sorted(shown) if isinstance(value, set | frozenset) else shown
        return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")
    return str(value)
