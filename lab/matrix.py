"""Coverage: which kinds of phones a set of reports has seen, with verdicts and speeds, and what is missing.

An axis is a property of a phone (CPU core, GPU generation, Android version, RAM class). What *could* be there
comes from the knowledge in `profiles/`, so that a gap has a name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ..reports.report import Report
from .collection import ReportSource, newest, text

RAM_CLASSES_GB = (2, 3, 4, 6, 8, 12, 16)
"""What phones are sold with; a phone belongs to the smallest class that holds its MemTotal."""


@dataclass(frozen=True)
class Cell:
    """Phones that share one value of an axis.

    Attributes:
        verdicts: verdict -> number of phones.
        decode_tok_s: median of the recommended files' predicted decode speeds; None without any.
    """

    value: str
    phones: int
    verdicts: Mapping[str, int]
    decode_tok_s: float | None
    names: tuple[str, ...]


@dataclass(frozen=True)
class Axis:
    """One property: what was seen, and what is known to exist and was not."""

    title: str
    cells: tuple[Cell, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Suggestion:
    """A kind of phone that would close the largest gap: the values it would add, by axis title."""

    example: str
    closes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Matrix:
    """`phones` counts different phones: of several reports of one phone the newest counts."""

    phones: int
    reports: int
    axes: tuple[Axis, ...]
    suggestions: tuple[Suggestion, ...]


def core_types(report: Report) -> tuple[str, ...]:
    """The kinds of CPU cores, e.g. ("Cortex-A55", "Cortex-A76")."""
    clusters = (report.device.get("cpu") or {}).get("clusters") or ()
    return tuple(dict.fromkeys(str(c["core"]) for c in clusters if c.get("core")))


def gpu_generation(report: Report) -> tuple[str, ...]:
    """Vendor and generation, e.g. ("Arm Midgard",)."""
    vendor, architecture = (text(report.device, "gpu", key) for key in ("vendor", "architecture"))
    return (generation(vendor, architecture),) if vendor or architecture else ()


def generation(vendor: str | None, architecture: str | None) -> str:
    """A GPU generation as people say it; some names carry the vendor already."""
    if vendor and architecture and architecture.startswith(vendor):
        return architecture
    return " ".join(filter(None, (vendor, architecture)))


def android_version(report: Report) -> tuple[str, ...]:
    """The major Android version, e.g. ("14",)."""
    release = text(report.device, "android", "release")
    return (release.split(".")[0],) if release else ()


def ram_class(report: Report) -> tuple[str, ...]:
    """The size class, e.g. ("3 GB",). MemTotal is less than what is sold: the kernel keeps a part."""
    ram = report.device.get("ram_bytes")
    if not isinstance(ram, int) or ram <= 0:
        return ()
    size = next((c for c in RAM_CLASSES_GB if ram <= c * 2**30), None)
    return (f"{size} GB" if size else f"over {RAM_CLASSES_GB[-1]} GB",)


AXES: Mapping[str, Callable[[Report], tuple[str, ...]]] = {
    "CPU core": core_types,
    "GPU generation": gpu_generation,
    "Android": android_version,
    "RAM": ram_class,
}


def build(
    sources: Iterable[ReportSource], known: Mapping[str, Sequence[str]], kinds: Sequence[PhoneKind]
) -> Matrix:
    """Count.

    known: axis title -> values that exist in the field. kinds: phones one could buy, to name gaps by.
    """
    read = list(sources)
    phones = list(newest(read).values())
    axes = tuple(_axis(title, value, phones, known.get(title, ())) for title, value in AXES.items())
    return Matrix(len(phones), len(read), axes, _suggest(axes, kinds))


@dataclass(frozen=True)
class PhoneKind:
    """A kind of phone: its name and its value on each axis (axis title -> values)."""

    example: str
    values: Mapping[str, tuple[str, ...]]


def _axis(
    title: str, read: Callable[[Report], tuple[str, ...]], phones: Sequence[Report], known: Sequence[str]
) -> Axis:
    seen: dict[str, list[Report]] = defaultdict(list)
    for report in phones:
        for value in read(report) or ("unknown",):
            seen[value].append(report)
    cells = [_cell(value, reports) for value, reports in seen.items()]
    cells.sort(key=lambda cell: (-cell.phones, cell.value))
    return Axis(title, tuple(cells), tuple(value for value in known if value not in seen))


def _cell(value: str, reports: Sequence[Report]) -> Cell:
    speeds = [speed for report in reports if (speed := _decode(report)) is not None]
    return Cell(
        value,
        len(reports),
        dict(Counter(str(report.verdict) for report in reports)),
        median(speeds) if speeds else None,
        tuple(sorted(report.name for report in reports)),
    )


def _decode(report: Report) -> float | None:
    speed = report.recommendation.predicted.decode_tok_s if report.recommendation else None
    return speed.value if speed is not None else None


def _suggest(axes: Sequence[Axis], kinds: Sequence[PhoneKind], most: int = 3) -> tuple[Suggestion, ...]:
    """Greedy cover: again and again the kind of phone that adds most values nobody has seen yet."""
    missing = {(axis.title, value) for axis in axes for value in axis.missing}
    found: list[Suggestion] = []
    while missing and len(found) < most:
        best = max(kinds, key=lambda kind: len(_adds(kind, missing)), default=None)
        adds = _adds(best, missing) if best else set()
        if best is None or not adds:
            break
        found.append(Suggestion(best.example, tuple(sorted(adds))))
        missing -= adds
    return tuple(found)


def _adds(kind: PhoneKind, missing: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(title, v) for title, values in kind.values.items() for v in values} & missing
