"""Rows of socs.yaml, and which of them a text may mean: the one lookup of captures, options and tables.

A text identifies no more than it says. A part number of which several bins are sold, or a code name that
sister chips share, stands for all of them: the answer is a set of rows, and `common` is what holds for each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

import msgspec

from ..base.errors import InputError
from .rows import CoreName, Count, GpuName, Listed, Positive, Text

T = TypeVar("T")
Pattern = re.Pattern[str]


class SocCluster(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Cores of one kind in a SoC; `mhz` is the top frequency the vendor states, or None; `threads` of a core
    are CPUs to the kernel."""

    count: Count
    core: CoreName
    mhz: Count | None = None
    threads: Count = 1


class SocGpu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The GPU of a SoC, with its theoretical fp16 rate (operations a clock x cores x clock)."""

    model: GpuName | None = None
    cores: Count | None = None
    fp16_gflops: Positive | None = None


class SocRow(Listed, frozen=True, kw_only=True):
    """A system on a chip as it is sold: each name is a row, also where several are sold of one part.

    Attributes:
        models: part numbers as devices state them (SM8450, MT6769V/CB); several rows may list one.
        aliases: other ways to write the name.
        platforms: code names of ro.board.platform and the like; sister chips list the same.
        dram_gb_s: theoretical bandwidth of the fastest memory that the chip allows, in 1e9 bytes a second.
    """

    name: Text
    manufacturer: Text
    models: tuple[Text, ...] = ()
    aliases: tuple[Text, ...] = ()
    platforms: tuple[Text, ...] = ()
    cpu: tuple[SocCluster, ...] = ()
    gpu: SocGpu = SocGpu()
    dram_gb_s: Positive | None = None


class Spelling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How names of chips are written: each a pattern of what counts for nothing, or stands for something."""

    noise: Pattern | None = None
    editions: Pattern | None = None
    """At the end of a name, where no row has the whole: what makers of phones add to a chip's name."""
    short: dict[Text, Text] = {}


class How(StrEnum):
    """By what a text means a chip. A code name is that of a board or a family, which sister chips share."""

    PART = "part number"
    NAME = "name"
    CODE = "code name"


@dataclass(frozen=True)
class Found:
    """What a text may mean.

    Attributes:
        rows: the chips; () for none that the table knows.
        how: what told; None where nothing did.
        part: the part number that stands in the text, also one that the table lacks.
    """

    rows: tuple[SocRow, ...] = ()
    how: How | None = None
    part: str | None = None


_TAIL = r"(?:[ ](?:PRO|PLUS)\b|[-_]?[A-Z][A-Z0-9]{0,4}){0,3}(?:/[A-Z0-9]{1,6})?"
"""What may follow the digits of a part number: letters of a bin or a package (SM8250-AC, SM8150_Plus,
MSM8996 Pro, MT6893Z_A/CZA)."""

_Index = Mapping[str, tuple[SocRow, ...]]


@dataclass(frozen=True)
class _Part:
    text: str
    key: str
    stem: str


class Socs:
    """All rows, by everything that may mean them. What an earlier file says of a key counts alone."""

    def __init__(
        self,
        files: Sequence[tuple[SocRow, ...]],
        designators: Sequence[Pattern],
        spellings: Sequence[Spelling] = (),
    ) -> None:
        """Raises InputError where two rows of one file have one name."""
        self._parts_of = [
            re.compile(f"(?P<stem>{pattern.pattern})(?![0-9]){_TAIL}", re.IGNORECASE)
            for pattern in designators
        ]
        self._spellings = tuple(spellings)
        makers = {word for rows in files for row in rows for word in _words(row.manufacturer)}
        self._makers = "|".join(sorted(makers)) or "(?!)"
        self._names = _index(files, self._names_of)
        for key, sharing in self._names.items():
            if len(sharing) > 1:
                raise InputError(f"socs.yaml: {key} stands for {' and for '.join(r.name for r in sharing)}")
        self._short = _index(files, self._short_of)
        self._models = _index(files, lambda row: map(_part_key, row.models))
        self._stems = _index(files, self._stems_of)
        self._codes = _index(files, lambda row: (code.lower() for code in row.platforms))
        self.rows = tuple(row for rows in files for row in rows if self.named(row.name) is row)

    def named(self, name: str) -> SocRow | None:
        """The row of exactly this name, however it is spelt."""
        return next(iter(self._names.get(self._name_key(name), ())), None)

    def find(self, text: str, *, spoken: bool = False) -> Found:
        """The chips that a text may mean.

        A part number with a tail that no row lists (another package) stands for all of its stem; one whose
        stem no row has is unknown, and no code name beside it makes it known.

        Args:
            spoken: as people write, who leave out the series (`8 Gen 3`, `G99`). A property may hold the same
                letters as the code name of a board, so that it is not read like that.
        """
        parts = list(self._parts(text))
        for part in parts:
            if rows := self._of_part(part):
                return Found(rows, How.PART, part.text)
        if rows := self._by_name(text, spoken):
            return Found(rows, How.NAME)
        words = text.lower().split()
        for code in dict.fromkeys((" ".join(words), *words[-1:])):  # "Qualcomm Technologies, Inc BENGAL"
            if code in self._codes:
                return Found(self._codes[code], How.CODE)
        return Found(part=parts[0].text if parts else None)

    def family(self, text: str) -> tuple[SocRow, ...]:
        """The chips of a board: those that list its code name and, where that is a part number itself
        (MediaTek's are), those of that number."""
        listed = self._codes.get(text.strip().lower(), ())
        stems = (row for part in self._parts(text) for row in self._stems.get(part.stem, ()))
        return tuple(dict.fromkeys((*listed, *stems))) or self.find(text).rows

    def part_numbers(self, text: str) -> list[str]:
        """What is written like a part number, known or not, each once without its suffix."""
        return list(dict.fromkeys(part.stem for part in self._parts(text)))

    def near(self, text: str, most: int = 3) -> list[str]:
        """Names that are written like this one, the most similar first."""
        known = {**self._short, **self._names}
        found = [
            row
            for wanted, index, cutoff in (
                (self._name_key(text), known, 0.7),
                (_part_key(text).lower(), {key.lower(): rows for key, rows in self._stems.items()}, 0.8),
            )
            for key in get_close_matches(wanted, index, most, cutoff=cutoff)
            for row in index[key]
        ]
        return list(dict.fromkeys(row.name for row in found))[:most]

    def makes(self, manufacturer: str) -> frozenset[str]:
        """The GPU models in chips of a maker."""
        return frozenset(
            row.gpu.model for row in self.rows if row.manufacturer == manufacturer and row.gpu.model
        )

    def _of_part(self, part: _Part) -> tuple[SocRow, ...]:
        """The rows of the longest listed number that it begins with, else all of its stem."""
        for end in range(len(part.key), len(part.stem), -1):
            if rows := self._models.get(part.key[:end]):
                return rows
        listed = self._models.get(part.key, ()) if part.key == part.stem else ()
        return listed or self._stems.get(part.stem, ())

    def _by_name(self, text: str, spoken: bool) -> tuple[SocRow, ...]:
        shortened = (spelling.editions.sub("", text) for spelling in self._spellings if spelling.editions)
        for key in map(self._name_key, (text, *shortened)):
            found = self._names.get(key) or (self._short.get(key) if spoken else None)
            if found:
                return found
        return ()

    def _names_of(self, row: SocRow) -> Iterator[str]:
        return map(self._name_key, (row.name, *row.aliases))

    def _short_of(self, row: SocRow) -> Iterator[str]:
        """Its names without their first word, as far as a number is left (`8 Gen 3`, `G99`)."""
        for written in (row.name, *row.aliases):
            rest = "".join(self._name_words(written)[1:])
            if re.search(r"\d", rest):
                yield rest

    def _stems_of(self, row: SocRow) -> Iterator[str]:
        for model in row.models:
            yield next((part.stem for part in self._parts(model)), _part_key(model))

    def _name_key(self, text: str) -> str:
        return "".join(self._name_words(text))

    def _name_words(self, text: str) -> list[str]:
        """The words and numbers of a name without makers and what counts for nothing."""
        plain = text.casefold().replace("plus", "+")
        short: dict[str, str] = {}
        for spelling in self._spellings:
            plain = spelling.noise.sub(" ", plain) if spelling.noise else plain
            short |= spelling.short
        words = (re.sub(rf"^(?:{self._makers})", "", word) for word in _words(plain))
        return [short.get(word, word) for word in words if word]

    def _parts(self, text: str) -> Iterator[_Part]:
        """The part numbers inside a text, the longest first."""
        found = {
            match[0]: _Part(re.sub(r"\s", "", match[0]), _part_key(match[0]), _part_key(match["stem"]))
            for pattern in self._parts_of
            for match in pattern.finditer(text.upper())
        }
        yield from sorted(found.values(), key=lambda part: -len(part.key))


def common(rows: Sequence[SocRow]) -> SocRow | None:
    """What holds for each of several chips: of a figure that differs the least, and nothing of what is not
    known of one or cannot be ordered. None for no row."""
    if len(rows) < 2:
        return rows[0] if rows else None
    shapes = {tuple((cluster.count, cluster.core, cluster.threads) for cluster in row.cpu) for row in rows}
    kinds = {tuple(sorted(_kinds(row).items())) for row in rows}
    cpu: tuple[SocCluster, ...] = ()
    if len(shapes) == 1:
        alike = zip(*(row.cpu for row in rows), strict=True)
        cpu = tuple(SocCluster(c[0].count, c[0].core, least([k.mhz for k in c]), c[0].threads) for c in alike)
    elif len(kinds) == 1:
        cpu = tuple(
            SocCluster(count, core, None, threads) for (core, threads), count in _kinds(rows[0]).items()
        )
    model = _one(row.gpu.model for row in rows)
    return SocRow(
        name=" or ".join(row.name for row in rows),
        manufacturer=_one(row.manufacturer for row in rows) or "several makers",
        cpu=cpu,
        gpu=SocGpu(
            model=model,
            cores=_one(row.gpu.cores for row in rows) if model else None,
            fp16_gflops=least([row.gpu.fp16_gflops for row in rows]) if model else None,
        ),
        dram_gb_s=least([row.dram_gb_s for row in rows]),
    )


def _kinds(row: SocRow) -> dict[tuple[str, int], int]:
    """(core, threads of one) -> how many."""
    found: dict[tuple[str, int], int] = {}
    for cluster in row.cpu:
        key = (cluster.core, cluster.threads)
        found[key] = found.get(key, 0) + cluster.count
    return found


N = TypeVar("N", int, float)


def least(values: Sequence[N | None]) -> N | None:
    """The smallest; None as soon as one is unknown."""
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None


def _one(values: Iterable[T]) -> T | None:
    found = set(values)
    return found.pop() if len(found) == 1 else None


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+|\+", text.casefold())


def _part_key(text: str) -> str:
    return re.sub(r"[\s_-]", "", text.upper())


def _index(files: Sequence[tuple[SocRow, ...]], keys: Callable[[SocRow], Iterable[str]]) -> _Index:
    found: dict[str, tuple[SocRow, ...]] = {}
    for rows in files:
        own: dict[str, dict[SocRow, None]] = {}
        for row in rows:
            for key in keys(row):
                own.setdefault(key, {})[row] = None
        found = {key: tuple(sharing) for key, sharing in own.items()} | found
    return found
