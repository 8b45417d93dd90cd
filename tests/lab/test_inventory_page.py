"""docs/lab.md says what LAB.yaml holds: every key of every part, its default, and an example that is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gemmafit.base.options import Request
from gemmafit.lab.inventory import PROPERTIES, Gate, Group, Inventory, assign, load
from gemmafit.lab.inventory import Phone as InventoryPhone

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
PAGE = (ROOT / "docs/lab.md").read_text("utf-8")

PARTS: dict[str, type[msgspec.Struct]] = {
    "The file": Inventory,
    "A group": Group,
    "Options of a group": Request,
    "The gate": Gate,
}
"""Heading -> the type that the table below it is about."""


def documented(heading: str) -> dict[str, str]:
    """Key -> what the page says is its default."""
    (section,) = re.findall(
        rf"^## {heading}(?: \(`\w+`\))?\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE
    )
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", section, re.MULTILINE)
    assert len(rows) == len(dict(rows)), f"{heading}: a key stands twice"
    return dict(rows)


@pytest.mark.parametrize("heading", PARTS)
def test_every_key_is_described_and_no_other(heading: str) -> None:
    assert list(documented(heading)) == [field.name for field in msgspec.structs.fields(PARTS[heading])]


@pytest.mark.parametrize("heading", PARTS)
def test_the_defaults_are_those_of_the_code(heading: str) -> None:
    said = documented(heading)
    for field in msgspec.structs.fields(PARTS[heading]):
        default = field.default
        if isinstance(default, bool):
            assert said[field.name] == str(default).lower(), field.name
        elif isinstance(default, int | float):
            assert said[field.name] == f"{default:g}", field.name
        elif isinstance(default, str) and field.name != "schema":
            assert said[field.name].strip("`") == default, field.name
        elif default is None or default == ():
            assert said[field.name] in ("none", "all", "of the use"), field.name


def test_the_properties_are_those_that_phones_are_matched_by() -> None:
    (listed,) = re.findall(r"Properties: ([\w, ]+\w)", PAGE)
    assert listed.split(", ") == list(PROPERTIES)


def test_the_example_is_read_and_deals_out_phones(tmp_path: Path) -> None:
    (text,) = re.findall(
        r"<!-- run: tests/lab/test_inventory_page.py -->\n```yaml\n(.*?)```", PAGE, re.DOTALL
    )
    path = tmp_path / "lab.yaml"
    path.write_text(text, "utf-8")
    lab = load(path)
    assert lab.parallel == 12 and len(lab.servers) == 2
    facts: list[dict[str, Any]] = [
        {"gpu": "Mali-T880", "android": "7.1.1"},
        {"gpu": "Mali-T880", "android": "8"},
    ]
    phones = [InventoryPhone(None, f"s{n}", "device", facts=f) for n, f in enumerate(facts)]
    phones.append(InventoryPhone(None, "R5CT10ABCDE", "device"))
    taken = {phone.serial: group.name for phone, group in assign(lab, phones)}
    assert taken == {"s0": "old Mali phones", "s1": "all others", "R5CT10ABCDE": "two by name"}
