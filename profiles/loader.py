"""Reads every table of this folder, a user's folder laid over them, and refuses what cannot be used.

`TABLES` describes each table once: how its file is made up, how a folder of one's own lies over it, and what
its rows are. What a row names has to exist; names that only rooms above know (facts, kernels, GPUs) are given
by them as a `Vocabulary` (judge/references.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from yaml.nodes import Node

from ..base.errors import InputError
from ..base.names import Backend
from . import tables
from .calibration import Calibration
from .conditions import Condition
from .knowledge import (
    Architecture,
    Chip,
    Embedder,
    Family,
    Fault,
    KernelClass,
    Knowledge,
    ListRule,
    Model,
    Npu,
    Prediction,
    Reason,
    Runtime,
    Thresholds,
    WebGpuFallback,
)
from .rows import Asks, Holes, Listed, Ref
from .signatures import Origin, Signature
from .socs import How
from .tablefile import compose, convert, laid_over, place, rows

FOLDER = Path(__file__).parent

Step = str | int


@dataclass(frozen=True)
class TableKind:
    """One table.

    Attributes:
        type: of a row (`rows`), or of the whole file.
        form: `rows`: a list of rows with an id; a row of the same id replaces the one below. `settings`: a
            mapping, laid over key by key. `lists`: lists of rows below a head; the upper file's come first.
            `document`: the upper file replaces the one below.
        suffix: of the file.
    """

    type: Any
    form: str = "rows"
    suffix: str = ".yaml"


TABLES: Mapping[str, TableKind] = {
    "models": TableKind(Model),
    "embedders": TableKind(Embedder),
    "families": TableKind(Family),
    "architectures": TableKind(Architecture),
    "runtimes": TableKind(Runtime),
    "drivers": TableKind(Fault),
    "npus": TableKind(Npu),
    "kernels": TableKind(KernelClass),
    "chips": TableKind(Chip),
    "reasons": TableKind(Reason),
    "tflite_compat": TableKind(ListRule),
    "signatures": TableKind(Signature),
    "origins": TableKind(Origin),
    "thresholds": TableKind(Thresholds, "settings"),
    "prediction": TableKind(Prediction, "settings"),
    "calibration": TableKind(Calibration, "settings"),
    "cores": TableKind(tables.Cores, "lists"),
    "socs": TableKind(tables.SocFile, "lists"),
    "gpus": TableKind(tables.GpuFile, "lists"),
    "emulators": TableKind(tables.Emulators, "lists"),
    "powermodes": TableKind(tables.PowerModes, "lists"),
    "webgpu_fallback": TableKind(WebGpuFallback, "document", ".json"),
}
"""File stem -> what is in it."""


@dataclass(frozen=True)
class ReadRow:
    """One row (or one file of settings) as it was read.

    Attributes:
        key: its name within the table; "" for settings.
        node, path: its place: a node, and where below it.
    """

    table: str
    key: str
    value: Any
    node: Node
    path: tuple[Step, ...] = ()


Names = Callable[[Knowledge], Callable[[str], bool]]
"""Knowledge -> whether a text is a name."""


@dataclass(frozen=True)
class Vocabulary:
    """What rows may name beside each other.

    Attributes:
        names: what `rows.Ref` is to -> which names there are.
        facts: group of `rows.Asks` -> whether it has a fact.
        hints: what `rows.Ref` is to -> the names, where they can be listed.
        check: further objections of the rooms above: (table, key, why).
    """

    names: Mapping[str, Names] = field(default_factory=dict[str, Names])
    facts: Mapping[str, Callable[[str], bool]] = field(default_factory=dict[str, Callable[[str], bool]])
    hints: Mapping[str, Iterable[str]] = field(default_factory=dict[str, Iterable[str]])
    check: Callable[[Knowledge], Iterable[tuple[str, str, str]]] = lambda knowledge: ()


def load(overlay: Path | None = None, vocabulary: Vocabulary | None = None) -> Knowledge:
    """The built-in tables, with those of `overlay` laid over them.

    Args:
        vocabulary: None: names and facts of the rooms above are not looked at, and the built-in tables
            alone are taken as they are: `judge.references.checked` looks at them, with all names.

    Raises InputError naming file, line and key, or row, of the first thing that is wrong.
    """
    if overlay is not None:
        _check_folder(overlay)
    knowledge, read = _read(overlay) if overlay is not None else _built_in()
    if overlay is not None or vocabulary is not None:
        _check(knowledge, read, vocabulary or Vocabulary())
    return knowledge


@dataclass(frozen=True)
class Table:
    """One table as it was read.

    Attributes:
        value: rows by id, or the file.
        rows: each with its place in a file.
    """

    value: Any
    rows: Sequence[ReadRow]

    @cached_property
    def marked(self) -> Sequence[tuple[ReadRow, tuple[Step, ...], Any, Any]]:
        """What the loader looks at: row, path below it, mark, value."""
        return [(row, *at) for row in self.rows for at in _marked(row.value, type(row.value), ())]


Read = Mapping[str, Sequence[Table]]
"""Every table by name; of lists the upper file's first, of all others one."""


@cache
def _built_in() -> tuple[Knowledge, Read]:
    return _read(None)


def _read(overlay: Path | None) -> tuple[Knowledge, Read]:
    read: dict[str, list[Table]] = {}
    for name, kind in TABLES.items():
        upper = None if overlay is None else overlay / f"{name}{kind.suffix}"
        if upper is None or not upper.exists():
            read[name] = [_own(name)]
        elif kind.form == "lists":
            read[name] = [_table(name, compose(upper)), _own(name)]
        else:
            node = compose(upper)
            read[name] = [_table(name, node if kind.form == "document" else laid_over(_node(name), node))]
    lists = {name: [table.value for table in read[name]] for name in _LISTS}
    others = {name: table.value for name, (table, *_) in read.items() if name not in lists}
    return Knowledge(**others, tables=tables.index(**lists)), read


@cache
def _node(name: str) -> Node:
    """The built-in file."""
    return compose(FOLDER / f"{name}{TABLES[name].suffix}")


@cache
def _own(name: str) -> Table:
    """The built-in table: the same whatever lies over others."""
    return _table(name, _node(name))


def _table(name: str, node: Node) -> Table:
    kind = TABLES[name]
    if kind.form == "rows":
        found = [ReadRow(name, row.id, row, at) for at, row in rows(node, kind.type)]
        value = {row.key: row.value for row in found}
    else:
        value = convert(node, kind.type)
        found = list(_listed(name, value, node)) if kind.form == "lists" else [ReadRow(name, "", value, node)]
    return Table(value, found)


def _listed(name: str, file: Any, node: Node) -> Iterator[ReadRow]:
    """The rows of a file of lists. Raises InputError for a key that one list has twice."""
    yield ReadRow(name, "", file, node)
    for section in file.__struct_fields__:
        first: dict[str, int] = {}
        listed = getattr(file, section)
        for i, row in enumerate(listed if isinstance(listed, tuple) else ()):
            if isinstance(row, Listed) and first.setdefault(row.key, i) != i:
                there = place(node, (section, first[row.key]))
                raise InputError(f"{place(node, (section, i))}: {row.key!r} is already stated at {there}")


def _check_folder(overlay: Path) -> None:
    """A misspelt table name would silently change nothing, so it is an error."""
    try:
        names = sorted(p.name for p in overlay.iterdir() if p.suffix in (".yaml", ".yml", ".json"))
    except OSError as error:
        raise InputError(
            f"{overlay}: {error.strerror}", hint="--profiles takes a folder of tables."
        ) from error
    known = {f"{name}{kind.suffix}" for name, kind in TABLES.items()}
    for name in names:
        if name not in known:
            raise InputError(f"{overlay / name}: no such table", hint=f"Tables: {', '.join(sorted(known))}.")


def listing(knowledge: Knowledge) -> dict[str, dict[str, Any]]:
    """Table -> name of a row -> row, of every table. Settings are listed by their keys."""
    found: dict[str, dict[str, Any]] = {}
    for name, kind in TABLES.items():
        if kind.form == "rows":
            found[name] = getattr(knowledge, name)
        elif kind.form != "lists":
            value = getattr(knowledge, name)
            found[name] = {key: getattr(value, key) for key in value.__struct_fields__}
        else:
            found[name] = _by_name(_LISTS[name](knowledge.tables))
    return found


_LISTS: Mapping[str, Callable[[tables.Tables], Iterable[Listed]]] = {
    "cores": lambda t: (*t.cores.values(), *dict.fromkeys(t.x86.values())),
    "socs": lambda t: t.socs.rows,
    "gpus": lambda t: (
        *t.gpus.rules, *t.gpus.software, *t.gpus.architectures, *t.gpus.drivers, *t.gpus.mali_products
    ),
    "emulators": lambda t: t.emulators,
    "powermodes": lambda t: t.power_modes,
}  # fmt: skip


def _by_name(listed: Iterable[Listed]) -> dict[str, Listed]:
    """By the name that people use; by name and key where several have it, by the key where there is none."""
    found: dict[str, Listed] = {}
    for row in listed:
        name = getattr(row, "name", row.key)
        found[name if name not in found else f"{name} [{row.key}]"] = row
    return found


# --- what a row says has to lead somewhere ------------------------------------------------------------------


def _check(knowledge: Knowledge, read: Read, vocabulary: Vocabulary) -> None:
    """Raises InputError for the first row that cannot be used."""
    names = {to: make(knowledge) for to, make in {**_NAMES, **vocabulary.names}.items()}
    listed = [table for files in read.values() for table in files]
    for table in listed:
        for row, path, mark, value in table.marked:
            if (found := _objection(mark, value, names, vocabulary)) is not None:
                _refuse(row, path, *found)
    named = {(row.table, row.key): row for table in listed for row in table.rows}
    for name, key, why in (*_misfits(knowledge), *vocabulary.check(knowledge)):
        _refuse(named[name, key], (), why)


def _refuse(row: ReadRow, path: Sequence[Step], why: str, hint: str | None = None) -> None:
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    whose = f"row {row.key!r}" if row.key else row.table
    at = f" ({where})" if where else ""
    raise InputError(f"{place(row.node, (*row.path, *path))}: {whose} {why}{at}", hint=hint)


_HOLE = re.compile(r"\{(\w*)\}")
_FINITE = "finite"


def _objection(
    mark: Any, value: Any, names: Mapping[str, Callable[[str], bool]], vocabulary: Vocabulary
) -> tuple[str, str | None] | None:
    """Why a marked value cannot be used, and a hint."""
    match mark:
        case Ref(to):
            if to in names and not names[to](value):
                known = vocabulary.hints.get(to)
                hint = f"There are: {', '.join(sorted(known))}." if known is not None else None
                what = f"which is not in {to}.yaml" if to in TABLES else f"which is no {to}"
                return f"names {value!r}, {what}", hint
        case Asks(groups):
            for part in _tests(value):
                if (why := _wrong_test(part, groups, names, vocabulary)) is not None:
                    return why
        case Holes(allowed):
            for hole in _HOLE.findall(value) if allowed is not None else ():
                if hole not in (allowed or ()):
                    return f"has the hole {{{hole}}}, which nothing fills", None
        case _:
            if not math.isfinite(value):
                return f"is {value}, which is no number", None
    return None


_VALUES = {
    "runtime": "runtimes",
    "model.id": "models",
    "model.architecture": "architectures",
    "gpu.model": "GPU",
    "gpu.architecture": "GPU architecture",
    "gpu.vendor": "GPU vendor",
    "soc.name": "SoC",
    "soc.model": "SoC",
    "backend": "backend",
    "format": "model file format",
}
"""Fact -> what its values are names of."""


def _wrong_test(
    test: Condition,
    groups: Sequence[str],
    names: Mapping[str, Callable[[str], bool]],
    vocabulary: Vocabulary,
) -> tuple[str, str | None] | None:
    """A misspelt fact or value would never hold, and nobody would notice."""
    fact = test.fact or ""
    known = [vocabulary.facts[group] for group in groups if group in vocabulary.facts]
    if known and not any(is_fact(fact) for is_fact in known):
        return f"asks for {fact!r}, which is no fact", None
    to = _VALUES.get(fact)
    if to is not None and to in names:
        for value in (test.is_,) if test.is_ is not None else test.any_of or ():
            if not isinstance(value, str) or not names[to](value):
                return f"asks whether {fact} is {value!r}, which is not in the tables", None
    return None


def _tests(condition: Condition) -> Iterator[Condition]:
    """The parts that ask for a fact."""
    if condition.fact is not None:
        yield condition
    inner = (condition.not_,) if condition.not_ is not None else ()
    for part in (*(condition.all or ()), *(condition.any or ()), *inner):
        yield from _tests(part)


@cache
def _hints(kind: Any) -> dict[str, tuple[str, Any]]:
    """Field -> its key in the file and its type with marks."""
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: (f.encode_name, hints[f.name]) for f in msgspec.structs.fields(kind)}


def _marked(
    value: Any, hint: Any, path: tuple[Step, ...], mark: Any = None
) -> Iterator[tuple[tuple[Step, ...], Any, Any]]:
    """Everything in a value that a mark is about: path, mark, value. A text without one has no holes."""
    if value is None:
        return
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *extras = get_args(hint)
        own = next((extra for extra in extras if isinstance(extra, Ref | Asks | Holes)), mark)
        yield from _marked(value, inner, path, own)
    elif origin in (Union, UnionType):
        for part in get_args(hint):
            yield from _marked(value, part, path, mark)
            break  # `X | None`, or scalars of a condition
    elif isinstance(value, Condition):
        if mark is not None:
            yield path, mark, value
    elif isinstance(value, msgspec.Struct):
        listed = value.__struct_config__.array_like
        for i, (name, (key, type_)) in enumerate(_hints(type(value)).items()):
            yield from _marked(getattr(value, name), type_, (*path, i if listed else key))
    elif isinstance(value, dict):
        keys, values = get_args(hint) or (Any, Any)
        for key, one in value.items():
            yield from _marked(key, keys, (*path, key))
            yield from _marked(one, values, (*path, key))
    elif isinstance(value, tuple):
        args = get_args(hint)
        for i, one in enumerate(value):
            yield from _marked(one, args[0] if args else Any, (*path, i), mark)
    elif isinstance(value, float):
        yield path, _FINITE, value
    elif isinstance(value, str):
        yield path, mark or Holes(()), value


def _of_table(table: str) -> Names:
    return lambda knowledge: getattr(knowledge, table).__contains__


def _socs(knowledge: Knowledge) -> Callable[[str], bool]:
    """A chip's name or its part number, as people write them."""
    return lambda name: knowledge.tables.socs.find(name, spoken=True).how in (How.PART, How.NAME)


def _core_names(of: tables.Tables) -> set[str]:
    return {core.name for core in of.cores.values()} | {core.name for core in of.x86.values()}


def _vendors(knowledge: Knowledge) -> Callable[[str], bool]:
    return {rule.vendor for rule in knowledge.tables.gpus.rules}.__contains__


def _architectures(knowledge: Knowledge) -> Callable[[str], bool]:
    gpus = knowledge.tables.gpus
    stated = {row.architecture for row in gpus.rules if row.architecture is not None}
    stated |= {row.architecture for row in gpus.architectures}
    patterns = [
        re.compile(r"\w+".join(re.escape(part) for part in _HOLE.split(text)[::2])) for text in stated
    ]
    return lambda name: any(pattern.fullmatch(name) for pattern in patterns)


_NAMES: Mapping[str, Names] = {
    **{name: _of_table(name) for name, kind in TABLES.items() if kind.form == "rows"},
    "SoC": _socs,
    "core": lambda knowledge: _core_names(knowledge.tables).__contains__,
    "GPU vendor": _vendors,
    "GPU vendor or *": lambda knowledge: lambda name: name == "*" or _vendors(knowledge)(name),
    "GPU architecture": _architectures,
    "backend": lambda knowledge: frozenset[str](Backend).__contains__,
}


def _literals(kind: Any, name: str) -> Iterator[str]:
    """The words that a field may have."""
    pending = [_hints(kind)[name][1]]
    while pending:
        for part in get_args(pending.pop()):
            if isinstance(part, str):
                yield part
            else:
                pending.append(part)


def _misfits(knowledge: Knowledge) -> Iterator[tuple[str, str, str]]:
    """Rows that are each right and do not fit together: (table, key, why)."""
    for model in knowledge.models.values():
        runtime = knowledge.runtimes[model.runtime]
        if model.format not in runtime.formats:
            yield "models", model.id, f"has the format {model.format!r}, which {runtime.id} does not load"
        for backend in model.backends:
            if backend not in runtime.memory:
                has = ", ".join(runtime.memory)
                yield (
                    "models",
                    model.id,
                    f"is for '{backend}', which {runtime.id} does not have: its row has memory for {has}",
                )
        for seen in model.memory:
            if seen.backend not in model.backends:
                yield "models", model.id, f"has a peak of memory on '{seen.backend}', which it is not for"
        if (model.npu_soc is None) == any(backend.about.per_chip for backend in model.backends):
            yield "models", model.id, "names npu_soc if and only if it is for a backend with files of one SoC"
        if (other := knowledge.models.get(model.counterpart or "")) is not None:
            same = (model.architecture, model.bits) == (other.architecture, other.bits)
            if not same or set(model.backends) & set(other.backends):
                why = f"has the counterpart {other.id!r}, which is no file of its weights for other backends"
                yield "models", model.id, why
        if model.context > knowledge.architectures[model.architecture].context:
            yield "models", model.id, f"has a longer context than its architecture {model.architecture}"
    for network in knowledge.architectures.values():
        weights = network.attention_weights + network.ffn_weights + network.embedding_weights
        if not network.streamed_fraction and not 0.9 <= weights / network.parameters <= 1.1:
            why = f"has dimensions of {weights} weights, which are not about {network.parameters} parameters"
            yield "architectures", network.id, why
    for family in knowledge.families.values():
        primary = knowledge.models[family.primary]
        if primary.family != family.id:
            yield "families", family.id, f"has the primary {primary.id!r}, a file of {primary.family}"
        if not any(backend.about.is_gpu for backend in primary.backends):
            yield "families", family.id, f"has the primary {primary.id!r}, which is for no GPU"
    for runtime in knowledge.runtimes.values():
        if Backend.OPENCL in runtime.memory and not runtime.opencl_libraries:
            yield "runtimes", runtime.id, "has OpenCL and names no library (opencl_libraries)"
