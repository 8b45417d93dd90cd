"""The one loader: what a row names has to exist, in every table, and every field is read by somebody."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
import yaml

from gemmafit.base.errors import InputError
from gemmafit.judge.references import load
from gemmafit.profiles import calibration, conditions, knowledge, rows, signatures, tables
from gemmafit.profiles.loader import FOLDER, TABLES, _marked
from gemmafit.profiles.rows import Asks, Holes, Ref

ROOT = Path(__file__).parents[2]
YAML = {
    name: yaml.load((FOLDER / f"{name}{kind.suffix}").read_text("utf-8"), Loader=yaml.CSafeLoader)
    for name, kind in TABLES.items()
}
NOT_A_NAME = "no-such-name.xyz"


Place = tuple[tuple[Any, ...], Any, Any]
"""Path of keys and numbers, mark, value."""


def samples(name: str) -> Iterator[Place]:
    """Each place of a table that the loader looks at."""
    kind, data = TABLES[name], YAML[name]
    if kind.form == "rows":
        for i, row in enumerate(data):
            yield from marked((i,), load_row(name, row))
    elif kind.form != "document":
        yield from marked((), whole(name, data))


def load_row(name: str, row: Any) -> Any:
    return getattr(load(), name)[row["id"]]


def whole(name: str, data: Any) -> Any:
    from gemmafit.base.typed import convert

    return convert(data, TABLES[name].type)


def marked(at: tuple[Any, ...], value: Any) -> Iterator[Place]:
    for path, mark, found in _marked(value, type(value), ()):
        yield (*at, *path), mark, found


def cases() -> Iterator[Any]:
    """One place for each kind of mark and field of each table."""
    for name in TABLES:
        seen: set[str] = set()
        for path, mark, found in samples(name):
            short = ":".join([name, type(mark).__name__, *map(str, path[-2:])])
            # Of texts one of each table: they have no other mark than that nothing fills their holes.
            key = f"{name}:{mark!r}" if isinstance(mark, Asks | Holes) else f"{name}:{mark!r}:{path[-1]}"
            key = f"{name}:{mark!r}" if isinstance(mark, Ref) and isinstance(path[-1], int) else key
            if key not in seen and len(seen) < 12:
                seen.add(key)
                yield pytest.param(name, path, mark, found, id=short)


def spoiled(name: str, path: tuple[Any, ...], mark: Any, found: Any) -> Any:
    """The table's own rows with one place made wrong; None where the mark allows anything."""
    data = copy.deepcopy(YAML[name])
    parent = data
    for step in path[:-1]:
        parent = parent[step]
    last = path[-1]
    match mark:
        case Ref():
            if isinstance(parent, dict) and last == found:  # a key
                parent[NOT_A_NAME] = parent.pop(last)
            else:
                parent[last] = NOT_A_NAME
        case Asks():
            parent[last] = {"not": parent[last]}
            test = parent[last]
            while "fact" not in test:
                inner = test.get("all") or test.get("any") or test.get("not")
                test = inner[0] if isinstance(inner, list) else inner
            test["fact"] += "x"
        case Holes(names):
            if names is None or (isinstance(parent, dict) and last == found):
                return None
            parent[last] = f"{found} {{nobody}}"
        case _:
            parent[last] = float("nan")
    return data


def write(folder: Path, name: str, data: Any) -> Path:
    path = folder / f"{name}{TABLES[name].suffix}"
    text = yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "path", "mark", "found"), list(cases()))
def test_what_leads_nowhere_is_refused(tmp_path: Path, name: str, path: Any, mark: Any, found: Any) -> None:
    data = spoiled(name, path, mark, found)
    if data is None:
        return
    file = write(tmp_path, name, data)
    with pytest.raises(InputError, match=rf"{file.name}:\d+: "):
        load(tmp_path)


def structs() -> list[type[msgspec.Struct]]:
    modules = (rows, knowledge, tables, calibration, signatures, conditions)
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    found = {kind for kind in kinds if issubclass(kind, msgspec.Struct)}
    return sorted(found - {msgspec.Struct}, key=lambda struct: struct.__name__)


@pytest.mark.parametrize("name", [n for n, kind in TABLES.items() if kind.form != "document"])
def test_a_misspelt_key_is_refused_wherever_it_stands(tmp_path: Path, name: str) -> None:
    """Each key of a row (the first with it), and each key of a mapping of fields inside it."""
    data = YAML[name]
    done: set[str] = set()
    first = data if isinstance(data, dict) else next(iter(data))
    for key in list(first):
        if key in done or key == "id":
            continue
        done.add(key)
        wrong = copy.deepcopy(data)
        row = wrong if isinstance(wrong, dict) else wrong[0]
        row[f"{key}x"] = row.pop(key)
        write(tmp_path, name, wrong)
        with pytest.raises(InputError, match=rf"{name}\.yaml:\d+: "):
            load(tmp_path)


MISFITS = {
    "a backend that its runtime lacks": ("models", "backends", ["vulkan"], "does not have"),
    "a format that its runtime does not load": ("models", "format", "litertlm", "does not load"),
    "a longer context than the network": ("models", "context", 1 << 20, "longer context"),
    "a SoC for a file that is for none": ("models", "npu_soc", "SM8750", "npu_soc if and only if"),
    "a primary for no GPU": ("families", "primary", "gemma-2b-it-cpu-int8", "for no GPU"),
    "a primary of another family": ("families", "primary", "gemma3-1b-it-int4", "a file of gemma3-1b"),
    "dimensions of another network": ("architectures", "ffn", 1, "dimensions"),
    "no library to open": ("runtimes", "opencl_libraries", [], "names no library"),
}


@pytest.mark.parametrize(("table", "field", "value", "why"), MISFITS.values(), ids=list(MISFITS))
def test_rows_that_do_not_fit_together(tmp_path: Path, table: str, field: str, value: Any, why: str) -> None:
    row = copy.deepcopy(YAML[table][0]) | {field: value}
    write(tmp_path, table, [row])
    with pytest.raises(InputError, match=rf"{table}\.yaml:1: row '{row['id']}' .*{why}"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("memory: {reserve_fraction: 1.5}", "memory.reserve_fraction"),
        ("memory: {ram_visible_fraction: 0}", "memory.ram_visible_fraction"),
        ("uses: {chat: {decode_tok_s: .nan}}", "uses"),
        ("uses: {chat: {ttft_s: .inf}}", "uses"),
        ("contexts: []", "contexts"),
        ("speed: {better_ratio: 0.5}", "speed.better_ratio"),
    ],
)
def test_a_threshold_out_of_range(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "thresholds.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=where.replace(".", r"\.")):
        load(tmp_path)


def test_duplicates_are_refused_in_lists_too(tmp_path: Path) -> None:
    data = copy.deepcopy(YAML["powermodes"])
    data["modes"].append(copy.deepcopy(data["modes"][0]))
    write(tmp_path, "powermodes", data)
    with pytest.raises(InputError, match="is already stated at"):
        load(tmp_path)


# --- every field is read ------------------------------------------------------------------------------------

PRINTED = {"because", "source", "schema"}
"""`profiles show` and reports print them; the schema is checked as a literal."""


def reads() -> set[str]:
    """Attribute names that the product reads in modules that deal with rows, and names it looks up as text."""
    found: set[str] = set()
    for path in (p for p in ROOT.rglob("*.py") if p.relative_to(ROOT).parts[0] not in ("tests", "tools")):
        text = path.read_text("utf-8")
        if "profiles" not in text and path.relative_to(ROOT).parts[0] not in ("profiles", "judge"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                found.add(node.value)
    return found


def test_every_field_of_every_row_is_read() -> None:
    read = reads()
    unread = [f"{s.__name__}.{f}" for s in structs() for f in s.__struct_fields__ if f not in read | PRINTED]
    assert not unread, "read them by what they are for, or delete them"


def test_every_condition_says_which_facts_it_may_ask() -> None:
    """Without that the loader could not tell a misspelt fact."""
    for struct in structs():
        for name, hint in get_type_hints(struct, include_extras=True).items():
            if struct is not conditions.Condition and "Condition" in str(hint):
                assert "Asks" in str(hint), f"{struct.__name__}.{name}"


def test_a_listing_has_every_table_and_every_row() -> None:
    from gemmafit.judge.validate import tables as listed

    assert list(listed()) == list(TABLES)
    for name, kind in TABLES.items():
        if kind.form == "rows":
            assert len(listed()[name]) == len(YAML[name])
