"""From reports to rules: which phones get which model file, no further than the evidence goes.

A rule covers one device, or, when several different devices with one SoC, GPU and driver range agree, all
phones of that kind. Reports that contradict each other make no rule: they are listed as a conflict.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import Any

from ..base.names import Evidence, Verdict
from ..reports.report import Report
from .collection import ReportSource, text

MIN_DEVICES = 2
"""Different devices that must agree before their SoC, GPU and driver range get a rule of their own."""


class Coverage(StrEnum):
    """How far a rule reaches."""

    DEVICE = "device"
    SOC = "soc"


@dataclass(frozen=True)
class Advice:
    """What an app should load: variant on backend, then the fallbacks in order."""

    variant: str
    file: str
    backend: str
    fallback: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Seen:
    """One report, reduced to what identifies the phone and what came out. `choice` None: nothing works.

    build_soc: manufacturer and model as `android.os.Build` states them, or None.
    """

    path: str
    name: str
    brand: str | None
    device: str | None
    soc_manufacturer: str | None
    soc_model: str | None
    build_soc: tuple[str, str] | None
    gpu: str | None
    driver: str | None
    sdk: int | None
    ram_bytes: int | None
    evidence: Evidence
    choice: Advice | None

    @property
    def driver_key(self) -> tuple[int, ...]:
        """The numbers in the driver's version, orderable within one GPU; () where unknown."""
        return tuple(int(n) for n in re.findall(r"\d{1,9}", self.driver or ""))


@dataclass(frozen=True)
class Rule:
    """Phones that match get `choice`, or are denied when it is None.

    Attributes:
        build_soc: what an app or a store compares its SoC with; None where the phones do not state one.
        driver_min, driver_max: the range of drivers in the reports; a rule says nothing beyond it.
        ram_min_bytes: of the smallest phone among the reports.
        evidence: the weakest among the reports.
        devices, reports: how many different devices and reports stand behind it.
    """

    coverage: Coverage
    brand: str | None
    device: str | None
    soc_manufacturer: str | None
    soc_model: str | None
    build_soc: tuple[str, str] | None
    gpu: str | None
    driver_min: str | None
    driver_max: str | None
    sdk_min: int | None
    ram_min_bytes: int | None
    choice: Advice | None
    evidence: Evidence
    devices: int
    reports: tuple[str, ...]
    because: str


@dataclass(frozen=True)
class Conflict:
    """Reports of one kind of phone that disagree in a way that no driver version explains."""

    what: str
    because: str
    reports: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    """A report that yields no rule, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class Allowlist:
    """`rules` are in the order of matching: devices before SoCs."""

    rules: tuple[Rule, ...]
    conflicts: tuple[Conflict, ...]
    left_out: tuple[LeftOut, ...]

    def only(self, denied: bool) -> Allowlist:
        """The allowing or the denying rules alone."""
        rules = tuple(rule for rule in self.rules if (rule.choice is None) is denied)
        return Allowlist(rules, self.conflicts, self.left_out)


def outcome(source: ReportSource) -> Seen | LeftOut:
    """Reduce a report; computers, emulators and undecided phones are left out and said so."""
    report = source.report
    device = report.device
    if report.verdict is Verdict.INCONCLUSIVE:
        return LeftOut(source.path, "inconclusive: a fact that matters is unknown")
    if report.incomplete is not None:
        return LeftOut(source.path, "the run broke before its end")
    if device.get("emulator"):
        return LeftOut(source.path, "an emulator or container, not a phone")
    if not text(device, "android", "sdk"):
        return LeftOut(source.path, "not an Android device")
    sdk, ram = text(device, "android", "sdk"), device.get("ram_bytes")
    return Seen(
        path=source.path,
        name=" ".join(filter(None, (text(device, "manufacturer"), text(device, "model")))) or "?",
        brand=text(device, "brand"),
        device=text(device, "device"),
        soc_manufacturer=text(device, "soc", "manufacturer"),
        soc_model=text(device, "soc", "model"),
        build_soc=_build_soc(device),
        gpu=text(device, "gpu", "model"),
        driver=text(device, "gpu", "driver"),
        sdk=int(sdk) if sdk and sdk.isdigit() else None,
        ram_bytes=ram if isinstance(ram, int) else None,
        evidence=_evidence(report),
        choice=_choice(report),
    )


def _choice(report: Report) -> Advice | None:
    best = report.recommendation
    if best is None or report.verdict is Verdict.FAIL:
        return None
    return Advice(
        best.variant,
        best.file,
        best.backend,
        tuple((step.variant, step.backend) for step in report.fallback),
    )


def _build_soc(device: Mapping[str, Any]) -> tuple[str, str] | None:
    maker, model = (text(device, "soc", key) for key in ("build_manufacturer", "build_model"))
    return (maker, model) if maker and model else None


def _evidence(report: Report) -> Evidence:
    """Of the recommendation, or the weakest of the files that were asked for and all do not work."""
    if report.recommendation is not None:
        return report.recommendation.evidence
    return weakest(v.evidence for v in report.variants if report.about(variant=v.id, backend=v.backend))


def weakest(several: Iterable[Evidence]) -> Evidence:
    """A statement from several is worth no more than the weakest of them."""
    return min(several, key=list(Evidence).index, default=Evidence.PREDICTED)


def build(sources: Iterable[ReportSource]) -> Allowlist:
    """Generalise reports to rules, as far as they agree."""
    outcomes: list[Seen] = []
    left_out: list[LeftOut] = []
    for source in sources:
        found = outcome(source)
        if isinstance(found, LeftOut):
            left_out.append(found)
        else:
            outcomes.append(found)
    rules: list[Rule] = []
    conflicts: list[Conflict] = []
    by_device: dict[Hashable, list[Seen]] = defaultdict(list)
    by_soc: dict[Hashable, list[Seen]] = defaultdict(list)
    for item in outcomes:
        if item.device:
            by_device[item.brand, item.device, _ram_class(item.ram_bytes)].append(item)
        else:
            left_out.append(LeftOut(item.path, "its Build.DEVICE is unknown"))
        if item.soc_model and item.gpu:
            by_soc[item.soc_manufacturer, item.soc_model, item.gpu].append(item)
    for group in by_device.values():
        _generalise(group, Coverage.DEVICE, rules, conflicts)
    for group in by_soc.values():
        if len({(item.brand, item.device) for item in group}) >= MIN_DEVICES:
            _generalise(group, Coverage.SOC, rules, conflicts)
    rules.sort(key=lambda rule: (list(Coverage).index(rule.coverage), str(rule.brand), str(rule.device)))
    return Allowlist(tuple(rules), tuple(conflicts), tuple(left_out))


def _ram_class(ram: int | None) -> int | None:
    """One device name is sold with several memory sizes, and memory decides what fits: they stay apart."""
    return None if ram is None else round(ram / 2**30)


def _generalise(
    group: Sequence[Seen], coverage: Coverage, rules: list[Rule], conflicts: list[Conflict]
) -> None:
    """Rules for a group that agrees, or agrees within ranges of driver versions; else a conflict."""
    segments = _by_driver(group)
    if segments is None:
        results = sorted({_said(item.choice) for item in group})
        conflicts.append(
            Conflict(
                _what(group[0], coverage),
                f"reports disagree: {'; '.join(results)}; no driver version separates them",
                tuple(item.path for item in group),
            )
        )
        return
    for segment in segments:
        devices = {(item.brand, item.device) for item in segment}
        if coverage is Coverage.SOC and len(devices) < MIN_DEVICES:
            continue
        rules.append(_rule(segment, coverage, len(devices)))


def _by_driver(group: Sequence[Seen]) -> list[list[Seen]] | None:
    """Runs of equal outcome along the driver version, or None if one version has two outcomes."""
    if len({_said(item.choice) for item in group}) == 1:
        return [list(group)]
    ordered = sorted(group, key=lambda item: item.driver_key)
    for version, same in groupby(ordered, key=lambda item: item.driver_key):
        if not version or len({_said(item.choice) for item in same}) > 1:
            return None
    return [list(run) for _, run in groupby(ordered, key=lambda item: _said(item.choice))]


def _rule(items: Sequence[Seen], coverage: Coverage, devices: int) -> Rule:
    first = items[0]
    ordered = sorted((item for item in items if item.driver), key=lambda item: item.driver_key)
    evidence = weakest(item.evidence for item in items)
    builds = {item.build_soc for item in items}
    soc = coverage is Coverage.SOC
    reach = f"{devices} different devices with this SoC, GPU and driver range" if soc else "this device"
    count = f"{len(items)} report{'s' if len(items) > 1 else ''}"
    return Rule(
        coverage=coverage,
        brand=None if soc else first.brand,
        device=None if soc else first.device,
        soc_manufacturer=first.soc_manufacturer,
        soc_model=first.soc_model,
        build_soc=builds.pop() if len(builds) == 1 else None,
        gpu=first.gpu,
        driver_min=ordered[0].driver if ordered else None,
        driver_max=ordered[-1].driver if ordered else None,
        sdk_min=min((item.sdk for item in items if item.sdk is not None), default=None),
        ram_min_bytes=min((item.ram_bytes for item in items if item.ram_bytes is not None), default=None),
        choice=_common(items),
        evidence=evidence,
        devices=devices,
        reports=tuple(item.path for item in items),
        because=f"{evidence} for {reach}: {_said(first.choice)} ({count})",
    )


def _common(items: Sequence[Seen]) -> Advice | None:
    """The agreed choice with the fallbacks that hold for every report of the group."""
    choices = [item.choice for item in items if item.choice is not None]
    if not choices:
        return None
    shared = [step for step in choices[0].fallback if all(step in choice.fallback for choice in choices)]
    return replace(choices[0], fallback=tuple(shared))


def _said(choice: Advice | None) -> str:
    return "nothing of the family works" if choice is None else f"{choice.file} on {choice.backend}"


def _what(item: Seen, coverage: Coverage) -> str:
    if coverage is Coverage.DEVICE:
        return f"{item.brand or '?'} {item.device} ({item.name})"
    return f"{item.soc_model} with {item.gpu}"
