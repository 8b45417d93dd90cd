"""LAB.yaml: which adb servers and phones, with which options. Typed; what is wrong is named by its key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from ..base.errors import InputError
from ..base.files import read_text
from ..base.options import Request, Strict
from ..base.yaml_input import load_yaml
from ..profiles.loader import load as load_tables

SCHEMA = "gemmafit.lab/1"
MAX_BYTES = 1 << 20


class Gate(Strict, frozen=True, kw_only=True):
    """When a phone may start. `wait_s` is how long to wait for it, at most."""

    battery_min_percent: int = 20
    temperature_max_c: float = 40.0
    thermal_status_max: int = 1
    wait_s: int = 900


class Group(Strict, frozen=True, kw_only=True):
    """Phones by serial, by property, or all that no earlier group took.

    match: property -> glob pattern; properties are serial, manufacturer, model, device, soc, gpu, android.
    """

    name: str = "phones"
    serials: tuple[str, ...] = ()
    match: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    options: Request = Request()
    gate: Gate = Gate()
    deadline_s: int = 900
    retries: int = 1


class Inventory(Strict, frozen=True, kw_only=True):
    """The whole file. Servers are `host:port` of adb servers; none means the usual one."""

    schema: str = SCHEMA
    servers: tuple[str, ...] = ()
    groups: tuple[Group, ...] = (Group(),)
    parallel: int = 8


PROPERTIES = ("serial", "manufacturer", "model", "device", "soc", "gpu", "android")


READY = "device"
"""The state of a phone that can be used, as adb names it."""

NO_SERVER = "no server"
"""Not a phone: stands for all those of an adb server that does not answer."""


@dataclass(frozen=True)
class Phone:
    """A phone of a server as the listing and a short look at it tell.

    Attributes:
        state: as adb names it; `advice` says what to do about one that is not `device`.
        facts: property -> value.
        socs: names of the chip, or of those that it may be.
    """

    server: str | None
    serial: str
    state: str
    advice: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    socs: tuple[str, ...] = ()


def load(path: Path) -> Inventory:
    """Read an inventory. Raises InputError naming the key, or what is named twice."""
    data = load_yaml(read_text(path, MAX_BYTES, "inventory"), origin=str(path))
    try:
        inventory = msgspec.convert(data or {}, Inventory)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}") from error
    _validate(path, inventory)
    return inventory


def _validate(path: Path, inventory: Inventory) -> None:
    if inventory.schema != SCHEMA:
        raise InputError(f"{path}: schema is {inventory.schema!r}, expected {SCHEMA!r}")
    serials = [serial for group in inventory.groups for serial in group.serials]
    for what, values in (
        ("server", inventory.servers),
        ("phone", serials),
        ("group", [group.name for group in inventory.groups]),
    ):
        if twice := _twice(values):
            raise InputError(f"{path}: {what} {twice!r} is named twice")
    for group in inventory.groups:
        if unknown := set(group.match) - set(PROPERTIES):
            raise InputError(
                f"{path}: group {group.name!r}: no property {min(unknown)!r}",
                hint=f"There are {', '.join(PROPERTIES)}.",
            )


def _twice(values: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def assign(inventory: Inventory, phones: Sequence[Phone]) -> list[tuple[Phone, Group]]:
    """Each phone with the first group that takes it; phones that no group takes are left out."""
    pairs: list[tuple[Phone, Group]] = []
    for phone in phones:
        group = next((group for group in inventory.groups if takes(group, phone)), None)
        if group is not None and phone.state != NO_SERVER:
            pairs.append((phone, group))
    return pairs


def takes(group: Group, phone: Phone) -> bool:
    """Whether a group wants a phone. Without serials and match it wants all; patterns ignore case."""
    if phone.serial in group.serials:
        return True
    if group.serials and not group.match:
        return False
    facts = {**phone.facts, "serial": phone.serial}
    return all(
        fnmatchcase(facts.get(name, "").lower(), pattern.lower())
        or (name == "soc" and _is_soc(pattern, phone.socs))
        for name, pattern in group.match.items()
    )


def _is_soc(pattern: str, names: Sequence[str]) -> bool:
    """Whether a pattern, or a chip's name as people write it, means all of the chips that it may be."""
    meant = {row.name for row in load_tables().tables.socs.find(pattern, spoken=True).rows}
    return bool(names) and all(n in meant or fnmatchcase(n.lower(), pattern.lower()) for n in names)


def absent(inventory: Inventory, phones: Sequence[Phone]) -> list[tuple[str, Group]]:
    """Serials that the file names and no server has."""
    there = {phone.serial for phone in phones}
    return [(s, group) for group in inventory.groups for s in group.serials if s not in there]


def needs_facts(inventory: Inventory) -> bool:
    """Whether assigning needs more than serials, and the phones have to be asked first."""
    return any(set(group.match) - {"serial"} for group in inventory.groups)
