"""A table of published speeds: rows of a known network, engine and quantisation, and why others are not used.

The columns are those of published_speeds.csv. Tables are written by people: names are compared without case,
blanks and punctuation, and a row that cannot be used is named with its line and its reason, never dropped.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import InputError
from ..base.files import read_text
from ..judge.calibration import Workload
from ..profiles.knowledge import Architecture, Bits, Knowledge, Quantisation
from ..profiles.loader import FOLDER

TABLE = FOLDER / "published_speeds.csv"
MODELS = FOLDER / "published_models.csv"
COLUMNS = (
    "source",
    "device",
    "soc",
    "gpu_or_cpu",
    "backend",
    "model",
    "quant",
    "prefill_tok_s",
    "decode_tok_s",
)
"""Must be there. `prompt_len` and `note` may be."""
MAX_BYTES = 4 << 20
MAX_TOKENS_PER_S = 1e6

QUANTISATIONS: Mapping[str, tuple[Bits, Bits, Bits]] = {
    "q8": (8, 8, 8),
    "int8": (8, 8, 8),
    "8/4/4": (8, 4, 4),
    "int4": (4, 4, 4),
    "int4 qat": (4, 4, 4),
    "qat int2/4/8": (4, 4, 4),  # as the catalogue has those files
    "int4 b128": (4, 4, 8),
    "int4 b32": (4, 4, 8),
    "int4 mixed b32": (4, 4, 8),
    "fp16": (16, 16, 16),
    "fp32": (32, 32, 32),
}
"""Bits of attention, FFN and embedding by the table's names (the embedding's from the files' sizes)."""

EXCLUDED = "excluded"
"""A note that begins so takes a row out of the fits; it stays in the table for everybody to see."""


@dataclass(frozen=True)
class Speed:
    """A published speed of a known network. `engine` is a row of calibration.yaml.

    Attributes:
        unit: the GPU's model, or "CPU".
        excluded: why the row is no evidence, or "".
    """

    source: str
    device: str
    soc: str
    unit: str
    engine: str
    model: str
    quantisation: str
    workload: Workload
    prefill: float | None
    decode: float | None
    prompt: int | None
    excluded: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A row that cannot be used."""

    line: int
    reason: str


@dataclass(frozen=True)
class Published:
    """A table as read."""

    rows: tuple[Speed, ...]
    left_out: tuple[LeftOut, ...]


def read_speeds(path: Path, knowledge: Knowledge) -> Published:
    """Read a table. Raises InputError where it is none: not there, not text, without the columns, empty."""
    networks = _networks(knowledge)
    rows: list[Speed] = []
    left_out: list[LeftOut] = []
    for line, cells in _lines(path):
        found = _row(cells, networks)
        if isinstance(found, Speed):
            rows.append(found)
        else:
            left_out.append(LeftOut(line, found))
    return Published(tuple(rows), tuple(left_out))


def _lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    text = read_text(path, MAX_BYTES, "table of speeds")
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(
                f"{path}: no column {', '.join(missing)}", hint="The columns are " + ", ".join(COLUMNS)
            )
        # None: a row that is shorter than the header; a list: one that is longer.
        found = [
            (reader.line_num, {key: cell.strip() for key, cell in row.items() if isinstance(cell, str)})
            for row in reader
        ]
    except csv.Error as error:
        raise InputError(f"{path}: not a table: {error}") from error
    if not found:
        raise InputError(f"{path}: no rows")
    return found


def _row(cells: Mapping[str, str], networks: Mapping[str, Architecture]) -> Speed | str:
    """The row, or why it is not one."""
    if short := [name for name in COLUMNS if name not in cells]:
        return f"the row ends before {short[0]}"
    unit, name, quant = _unit(cells["gpu_or_cpu"]), cells["model"], cells["quant"]
    engine = _engine(cells["backend"], unit)
    if engine is None:
        return f"engine {cells['backend']!r} on {cells['gpu_or_cpu']!r} is not calibrated"
    network = networks.get(plain(name))
    if network is None:
        return f"model {name!r} is not in {MODELS.name}"
    bits = _QUANTISATIONS.get(plain(quant))
    if bits is None:
        return f"quantisation {quant!r} is none of {', '.join(QUANTISATIONS)}"
    speeds: list[float | None] = []
    for column in ("prefill_tok_s", "decode_tok_s"):
        try:
            speeds.append(_speed(cells[column]))
        except ValueError:
            return f"{column} {cells[column]!r} is no speed"
    if speeds == [None, None]:
        return "neither prefill nor decode has a speed"
    prompt, note = cells.get("prompt_len", "").lstrip("~"), cells.get("note", "")
    return Speed(
        source=cells["source"],
        device=cells["device"],
        soc=cells["soc"],
        unit=unit,
        engine=engine,
        model=name,
        quantisation=quant,
        workload=Workload(
            network, Quantisation(*bits), _mean_context(4096 if "4096" in note else 1280, engine)
        ),
        prefill=speeds[0],
        decode=speeds[1],
        prompt=int(prompt) if prompt.isdecimal() and len(prompt) < 7 else None,
        excluded=note if note.startswith(EXCLUDED) else "",
    )


def plain(text: str) -> str:
    """A name without what people write differently: `Gemma 2 2B`, `gemma2-2b` -> `gemma22b`."""
    return "".join(c for c in text.casefold() if c.isalnum())


_QUANTISATIONS = {plain(name): bits for name, bits in QUANTISATIONS.items()}


def _mean_context(compiled: int, engine: str) -> int:
    # ML Drift attends to what is there (1024 of prompt, on average half of the 256 that follow); the graphs
    # of the CPU are compiled for the whole cache and read all of it.
    return compiled if engine == "cpu" else min(1152, compiled)


def _engine(backend: str, unit: str) -> str | None:
    """The row of calibration.yaml whose kernels ran, or None. Speculative decoding is another engine."""
    name = plain(backend)
    if "mtp" in name or "mlc" in name or unit.upper().startswith(("NPU", "AUTO")) or not unit:
        return None
    if name.startswith("mldrift"):
        return "ml-drift"
    if not name.startswith(("mediapipe", "litertlm")):
        return None
    return "cpu" if unit == "CPU" else "litert-gpu"


def _unit(text: str) -> str:
    """`Mali-G715 MC7` -> `Mali-G715`, `GPU (Adreno 840)` -> `Adreno 840`, `CPU 4t` -> `CPU`."""
    if text.upper().startswith("CPU"):
        return "CPU"
    inner = text.partition("(")[2].partition(")")[0] or text
    return inner.partition(" MC")[0].partition(" MP")[0].strip()


def _speed(text: str) -> float | None:
    """Tokens per second; None for an empty cell. Raises ValueError."""
    if not text:
        return None
    value = float(text.lstrip("~"))
    if not 0 < value < MAX_TOKENS_PER_S or not math.isfinite(value):
        raise ValueError(text)
    return value


def _networks(knowledge: Knowledge) -> dict[str, Architecture]:
    """By plain name: of the catalogue, or as the row itself says."""
    networks: dict[str, Architecture] = {}
    with MODELS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = row["name"]
            if row["architecture"]:
                networks[plain(name)] = knowledge.architectures[row["architecture"]]
                continue
            sizes = {
                key: int(row[key])
                for key in ("layers", "d_model", "heads", "kv_heads", "head_dim", "ffn", "vocab")
            }
            networks[plain(name)] = Architecture(
                id=name, title=name, context=4096, parameters=1, capability=0, because="calibration only",
                source=row["source"], **sizes,
            )  # fmt: skip
    return networks
