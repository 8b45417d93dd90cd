"""Speeds and memory of every model file on a phone that is not at hand, from its GPU's name and its memory.

What a published benchmark reached on the same chip counts before the data sheet; one measured model of the
phone (an `Anchor`) counts before both. Which of them it was stands in every estimate, and its interval says
how much it is worth (`tools/calibrate.py` measures that).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches

import msgspec

from ..base.bounds import require
from ..base.errors import UsageError
from ..base.names import CheckStatus
from ..probes.readers.gpu import identify
from ..probes.snapshot import Cluster, Cpu, Gpu, Memory, Snapshot, Soc
from ..profiles.calibration import Calibration, Engine, Phase
from ..profiles.conditions import Facts
from ..profiles.knowledge import Knowledge, Model
from ..profiles.tables import SocRow, Tables
from ..reports.report import Predicted, Range
from .calibration import (
    Workload,
    around,
    engine_for,
    gpu_class,
    joined,
)
from .case import Case, Options, Variant, worst
from .predict import find_chip, predict
from .rules import fits

GIB = 1 << 30


@dataclass(frozen=True)
class Anchor:
    """A model file that somebody measured on the phone: tokens/s of decode and, if known, prefill."""

    model: str
    backend: str
    decode: float
    prefill: float | None = None


@dataclass(frozen=True)
class Estimate:
    """One model file on one backend.

    Attributes:
        basis: measured model | published for this chip | data sheet.
        memory: whether it fits: pass, warn (tight), fail.
    """

    model: Model
    backend: str
    predicted: Predicted
    basis: str
    memory: CheckStatus


def phone(gpu: str, ram_gb: float, soc: str | None, knowledge: Knowledge) -> Snapshot:
    """A phone as its box describes it.

    Args:
        gpu: as people or drivers write it, e.g. "Adreno 740", "Mali-G715 MC7".
        ram_gb: as it is sold; what Android can use is less.
        soc: name or part number; without it the SoC is taken from the GPU where only one has it.

    Raises UsageError for a GPU or SoC that no table knows.
    """
    require({"ram_gb": ram_gb})
    tables = knowledge.tables
    found = identify(tables.gpus, gpu)
    if found is None or found.model is None:
        alike = similar(gpu, knowledge)
        raise UsageError(
            f"unknown GPU {gpu!r}",
            hint=(f"Perhaps {', '.join(alike)}. " if alike else "")
            + "Write it as the specification does: Adreno 740, Mali-G610 MC6, Immortalis-G720.",
        )
    row = _soc(tables, found.model, soc)
    clusters = row.cpu if row is not None else ()
    usable = knowledge.thresholds.memory.ram_visible_fraction
    return Snapshot(
        kind="estimate",
        gpu=Gpu(
            found.vendor, found.model, found.architecture, found.cores or (row.gpu.cores if row else None)
        ),
        soc=Soc(row.manufacturer, row.models[0] if row.models else None, row.name) if row else Soc(name=soc),
        cpu=Cpu(tuple(Cluster(c.core, c.count, c.mhz) for c in clusters)),
        memory=Memory(total_bytes=int(ram_gb * GIB * usable)),
    )


def similar(gpu: str, knowledge: Knowledge, most: int = 3) -> list[str]:
    """Names of GPUs whose data sheet is known and that are written like this one, the most similar first."""
    names = [row.gpu.model for row in knowledge.tables.socs if row.gpu.model]
    names += [name for chip in knowledge.chips.values() for name in chip.gpu]
    known = {name.casefold(): name for name in names}
    return [known[found] for found in get_close_matches(gpu.strip().casefold(), known, most, cutoff=0.7)]


def possible_socs(gpu: str, tables: Tables) -> list[str]:
    """Names of the SoCs that have a GPU, where there are several: without a choice the CPU stays unknown."""
    names = [row.name for row in tables.socs if row.gpu.model == gpu]
    return names if len(names) > 1 else []


def _soc(tables: Tables, gpu: str, name: str | None) -> SocRow | None:
    rows = tables.socs
    if name is not None:
        wanted = name.casefold()
        matching = [r for r in rows if wanted in (r.name.casefold(), *(m.casefold() for m in r.models))]
        matching = matching or [r for r in rows if r.name.casefold().endswith(wanted)]
        if not matching:
            raise UsageError(
                f"unknown SoC {name!r}", hint="Give its name (Snapdragon 8 Gen 2) or part number (SM8550)."
            )
        return matching[0]
    matching = [r for r in rows if r.gpu.model == gpu]
    return matching[0] if len(matching) == 1 else None


def estimate(
    snapshot: Snapshot,
    knowledge: Knowledge,
    anchor: Anchor | None = None,
    *,
    data_sheet_only: bool = False,
    prompt_tokens: int = 256,
    context: int = 1152,
) -> list[Estimate]:
    """Every model file that is for a phone's CPU or GPU, in the catalogue's order.

    Args:
        anchor: one measured model of the same phone.
        data_sheet_only: as if nothing had ever been measured on that chip.

    Raises UsageError where the anchor's model is not in the catalogue or too fast to be true.
    """
    require({"prompt_tokens": prompt_tokens, "context": context})
    if data_sheet_only:
        chips = {
            k: msgspec.structs.replace(c, read_gb_s=None, compute_gflops=None)
            for k, c in knowledge.chips.items()
        }
        knowledge = msgspec.structs.replace(knowledge, chips=chips)
    if anchor is not None and anchor.model not in knowledge.models:
        raise UsageError(f"unknown model {anchor.model!r}", hint="Names: " + ", ".join(knowledge.models))
    case = Case(snapshot, (), knowledge, Options(family="any"))
    found = []
    for variant in case.variants:
        if variant.backend not in variant.model.backends or variant.backend == "npu":
            continue
        limit = min(context, variant.model.context)
        predicted = predict(
            variant.model,
            variant.backend,
            snapshot,
            (),
            knowledge,
            prompt_tokens=prompt_tokens,
            context=limit,
        )
        basis = _basis(snapshot, variant, knowledge)
        if anchor is not None and anchor.backend == variant.backend:
            anchored = _from_anchor(variant, anchor, snapshot, knowledge, prompt_tokens, limit)
            predicted, basis = (
                replace(anchored, peak_memory_bytes=predicted.peak_memory_bytes),
                "measured model",
            )
        memory = [check.status for check in fits.memory(case, variant, predicted)]
        found.append(Estimate(variant.model, variant.backend, predicted, basis, worst(memory)))
    return found


def _basis(snapshot: Snapshot, variant: Variant, knowledge: Knowledge) -> str:
    chip = find_chip(snapshot, knowledge)
    published = chip is not None and chip.read_gb_s is not None and variant.backend == "opencl"
    return "published for this chip" if published else "data sheet"


def _from_anchor(
    variant: Variant, anchor: Anchor, snapshot: Snapshot, knowledge: Knowledge, prompt: int, context: int
) -> Predicted:
    """All speeds from one: the rates it stands for, and the work of the other model."""
    calibration = knowledge.calibration
    known = knowledge.models[anchor.model]
    there = engine_for(anchor.backend, known.format, calibration)
    here = engine_for(variant.backend, variant.model.format, calibration)
    if there is None or here is None:
        return Predicted()
    measured = Workload(knowledge.architectures[known.architecture], known.bits, min(context, known.context))
    wanted = Workload(knowledge.architectures[variant.model.architecture], variant.model.bits, context)
    reading = measured.decode_rate(there, anchor.decode)
    if reading is None:
        raise UsageError(f"{anchor.decode:g} tokens/s is faster than {anchor.model} can be on this engine")
    reading *= here.decode_share / there.decode_share
    same = variant.model.id == anchor.model
    spread = 1.02 if same else _spread("decode", there, here, snapshot, calibration)
    decode = around(1 / wanted.decode_seconds(here, reading), spread)
    if anchor.prefill is None:
        return Predicted(decode_tok_s=decode)
    computing = measured.prefill_rate(there, anchor.prefill) * here.prefill_share / there.prefill_share
    spread = 1.02 if same else _spread("prefill", there, here, snapshot, calibration)
    prefill = around(computing / wanted.prefill_operations(here), spread)
    ttft = Range(
        *(
            prompt / p + 1 / d
            for p, d in (
                (prefill.value, decode.value),
                (prefill.high, decode.high),
                (prefill.low, decode.low),
            )
        )
    )
    return Predicted(prefill, decode, ttft)


def _spread(phase: Phase, there: Engine, here: Engine, snapshot: Snapshot, calibration: Calibration) -> float:
    """Of a prediction from one measured model: what the engines add, and on a GPU its class."""
    engines = [here.spread(phase)] if here is there else [here.spread(phase), there.spread(phase)]
    if here.when == calibration.engines["cpu"].when:
        return joined(*engines)
    return joined(*engines, gpu_class(Facts(snapshot), calibration.specification).model_spread)
