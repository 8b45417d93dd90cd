"""Google Play's device targeting configuration: one device group per model file and backend.

Play knows device ids, RAM and exact SoC strings, and no GPU or driver. Its limits (developer.android.com,
"Device targeting"): at most 5 selectors a group, 10 000 device ids a group, the first matching group wins,
and a device that matches none is in the group `other`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

from ...profiles.knowledge import Knowledge
from ..allowlist import Allowlist, Coverage, Rule

NAMESPACE = "http://schemas.android.com/apk/config"
_NAME = re.compile(r"[\x20-\x7e]{1,200}")
"""What Build.DEVICE and the like may hold; anything else a phone says is not passed on."""

MAX_SELECTORS = 5
MAX_IDS = 10_000 // MAX_SELECTORS
"""Ids of one selector, so that five of them stay within a group's 10 000."""


def write(allowlist: Allowlist, knowledge: Knowledge) -> str:
    """The XML document. What Play cannot express is named in comments at its top."""
    ET.register_namespace("config", NAMESPACE)
    root = ET.Element(_tag("device-targeting-config"))
    for note in _notes(allowlist):
        root.append(ET.Comment(f" {note} "))
    # Groups of device ids come first: the first match wins, and a device's own rule is the stronger one.
    for coverage in Coverage:
        for name, rules in _groups(allowlist.rules, coverage).items():
            selectors = _selectors(rules, coverage)
            for start in range(0, len(selectors), MAX_SELECTORS):
                number = start // MAX_SELECTORS + 1
                group = ET.SubElement(root, _tag("device-group"), name=f"{name}_{coverage}_{number}")
                group.extend(selectors[start : start + MAX_SELECTORS])
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def group_name(rule: Rule) -> str:
    """A name that Play accepts: letters, digits and underscores."""
    if rule.choice is None:
        return "gemma_none"
    return re.sub(r"\W+", "_", f"{rule.choice.variant}_{rule.choice.backend}", flags=re.ASCII).strip("_")


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _names(rule: Rule) -> tuple[str, str] | None:
    """What Play compares a phone with: brand and device, or both SoC strings; None where it cannot."""
    names = (rule.brand, rule.device) if rule.coverage is Coverage.DEVICE else rule.build_soc or (None, None)
    first, second = (name if name and _NAME.fullmatch(name) else None for name in names)
    return (first, second) if first and second else None


def _groups(rules: Iterable[Rule], coverage: Coverage) -> dict[str, list[Rule]]:
    groups: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        if rule.coverage is coverage and _names(rule):
            groups[group_name(rule)].append(rule)
    return groups


def _selectors(rules: Sequence[Rule], coverage: Coverage) -> list[ET.Element]:
    """One selector per RAM bound; inside it the ids or SoCs, of which any one has to match."""
    by_ram: dict[int, dict[tuple[str, str], None]] = defaultdict(dict)
    for rule in rules:
        if (names := _names(rule)) is not None:
            by_ram[_ram_bound(rule)][names] = None
    selectors: list[ET.Element] = []
    for ram, keys in sorted(by_ram.items()):
        listed = list(keys)
        for start in range(0, len(listed), MAX_IDS):
            selector = ET.Element(_tag("device-selector"))
            if ram:
                selector.set("ram-min-bytes", str(ram))
            for first, second in listed[start : start + MAX_IDS]:
                if coverage is Coverage.DEVICE:
                    ET.SubElement(selector, _tag("included-device-id"), brand=first, device=second)
                else:
                    ET.SubElement(selector, _tag("system-on-chip"), manufacturer=first, model=second)
            selectors.append(selector)
    return selectors


def _ram_bound(rule: Rule) -> int:
    """The smallest phone of the reports, rounded down to half a GB so that phones of one kind share one.

    A denial holds for every memory size.
    """
    step = 500_000_000
    return 0 if rule.choice is None else (rule.ram_min_bytes or 0) // step * step


def _notes(allowlist: Allowlist) -> list[str]:
    notes = ["Written by gemmafit. Groups are matched in this order; the first match wins."]
    for rule in allowlist.rules:
        what = rule.device if rule.coverage is Coverage.DEVICE else rule.soc_model
        if _names(rule) is None:
            notes.append(
                f"left out: {what}: its Build.BRAND or SoC strings (API 31) are unknown or not plain text"
            )
        elif rule.driver_min and rule.driver_min != rule.driver_max:
            notes.append(
                f"{what}: {rule.evidence} for drivers {rule.driver_min} to {rule.driver_max}; Play cannot ask"
            )
    notes += [f"conflict, no rule: {conflict.what}: {conflict.because}" for conflict in allowlist.conflicts]
    # Nothing escapes inside an XML comment, and two dashes end it.
    return [re.sub(r"-(?=-)", "- ", re.sub(r"[^\x20-\x7e]", "?", note)) for note in notes]
