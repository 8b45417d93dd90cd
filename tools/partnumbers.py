"""Which part numbers stand in texts (recorded devices, threads, device lists) and not in socs.yaml.

    python -m gemmafit.tools.partnumbers FOLDER_OR_FILE... [--least 2] [--profiles FOLDER]

A part number is what the designators of socs.yaml find. Each that no row lists is printed with the number of
files that hold it and one of them; the last line counts the known ones. Some texts that are written like one
are none (a model of a phone, a date): read before adding a row, and give each row its own source.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..profiles.loader import load
from ..profiles.socs import Socs

MAX_BYTES = 8 << 20
"""Of a file's beginning that is read."""


@dataclass
class Counted:
    """Part number -> files that hold it, apart by whether the tables have it."""

    known: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    unknown: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


def count(texts: Iterable[tuple[str, str]], socs: Socs) -> Counted:
    """Of texts, each with the name of its file."""
    counted = Counted()
    for name, text in texts:
        for part in socs.part_numbers(text):
            # Boards are called like part numbers too, and mean what they list.
            rows = socs.find(part).rows or socs.family(part)
            (counted.known if rows else counted.unknown).setdefault(part, []).append(name)
    return counted


def read(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """The files of folders, by name and text."""
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            with file.open("rb") as opened:
                yield str(file), opened.read(MAX_BYTES).decode("utf-8", "replace")


def main(arguments: Sequence[str] | None = None, write: Callable[[str], object] = print) -> int:
    """Returns 1 where there are part numbers that the tables lack."""
    parser = argparse.ArgumentParser(prog="partnumbers", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("paths", nargs="+", type=Path, help="folders or files of text")
    parser.add_argument("--least", type=int, default=1, help="files that have to hold it (1)")
    parser.add_argument("--profiles", type=Path, help="a folder of tables laid over the built-in ones")
    asked = parser.parse_args(arguments)
    counted = count(read(asked.paths), load(asked.profiles).tables.socs)
    missing = {part: files for part, files in counted.unknown.items() if len(files) >= asked.least}
    for part, files in sorted(missing.items(), key=lambda row: (-len(row[1]), row[0])):
        write(f"{len(files):6} {part:16} {files[0]}")
    known, total = len(counted.known), len(counted.known) + len(missing)
    write(f"{known} of {total} part numbers are known")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
