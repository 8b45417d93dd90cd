"""The knowledge base: reviewed rows about models, runtimes, chips and drivers, as typed values.

Every table is one YAML file of this folder. A user's own folder is laid over it: a row of the same id
replaces the built-in one, other rows are added, and keys of a mapping are replaced one by one; of the tables
that devices' names are read with (tables.py) the user's rows come first. Every row has `because` and
`source`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ..base.errors import InputError
from .calibration import Calibration
from .conditions import FILE_FACTS, Condition
from .rows import Conditional, Count, Entry, Positive, Row, Text
from .signatures import Signature
from .tablefile import Table, compose
from .tables import IDENTITY, Tables, load_tables

FOLDER = Path(__file__).parent

Bits = Literal[2, 4, 8, 16, 32]
BackendName = Literal["cpu", "opencl", "vulkan", "npu"]


class Architecture(Entry, frozen=True, kw_only=True):
    """The network behind a model file. Units: counts; see the file for the fields that need a word."""

    title: Text
    layers: Count
    d_model: Count
    heads: Count
    kv_heads: Count
    head_dim: Count
    ffn: Count
    vocab: Count
    context: Count
    parameters: Count
    capability: int
    kv_layers: Count | None = None
    kv_values: Count | None = None
    streamed_fraction: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    prefill_share: Annotated[float, Meta(gt=0, le=1)] = 1.0

    @property
    def attention_weights(self) -> int:
        """Of all layers: queries, keys, values and output."""
        per_layer = self.d_model * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * per_layer

    @property
    def ffn_weights(self) -> int:
        """Of all layers: gate, up and down."""
        return self.layers * 3 * self.d_model * self.ffn

    @property
    def embedding_weights(self) -> int:
        """The table that is both embedding and output head."""
        return self.vocab * self.d_model

    def kv_bytes_per_token(self, bytes_per_value: int = 2) -> int:
        """Cache of one token: keys and values of every layer that owns a cache."""
        values = self.kv_values or 2 * (self.kv_layers or self.layers) * self.kv_heads * self.head_dim
        return values * bytes_per_value

    def bytes_per_token(self, bits: Quantisation) -> int:
        """Weights that decoding one token reads: every weight once, the head included."""
        return (
            self.attention_weights * bits.attention
            + self.ffn_weights * bits.ffn
            + self.embedding_weights * bits.embedding
        ) // 8

    @property
    def prefill_flops_per_token(self) -> int:
        """2 x multiply-accumulates of the layers; the head runs once per prompt, and so do layers that only
        read the cache of others (`prefill_share` is the work of the rest)."""
        return round(2 * (self.attention_weights + self.ffn_weights) * self.prefill_share)


class Quantisation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bits per weight of each part."""

    attention: Bits
    ffn: Bits
    embedding: Bits


class ObservedMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published peak of one file on one backend."""

    backend: BackendName
    bytes: Positive
    device: Text
    source: Text


class Revision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same file name with other bytes."""

    bytes: Count
    source: Text
    revision: str | None = None


class Model(Entry, frozen=True, kw_only=True):
    """One model file at one revision; `earlier` are other bytes that were published under its name.
    `counterpart`: the file with the same weights for the backends that this one is not for."""

    file: Text
    family: Text
    architecture: Text
    runtime: Text
    format: Literal["bin", "task", "litertlm"]
    repository: Text
    bits: Quantisation
    backends: tuple[BackendName, ...]
    context: Count
    bytes: Count | None = None
    about_bytes: Count | None = None
    sha256: tuple[Annotated[str, Meta(pattern="^[0-9a-f]{63,64}$")], ...] = ()
    revision: str | None = None
    block: Count | None = None
    compiled: bool = False
    npu_soc: str | None = None
    min_ram_gb: Positive | None = None
    rank: int = 0
    counterpart: str | None = None
    memory: tuple[ObservedMemory, ...] = ()
    earlier: tuple[Revision, ...] = ()

    def __post_init__(self) -> None:
        if (self.bytes is None) == (self.about_bytes is None):
            raise ValueError("exactly one of bytes and about_bytes")

    @property
    def size(self) -> int:
        """Bytes of the file, as exact as is known."""
        return self.bytes or self.about_bytes or 0

    @property
    def facts(self) -> dict[str, str]:
        """What conditions may ask of the file (`conditions.FILE_FACTS`)."""
        values = (self.runtime, self.format, self.id, self.architecture)
        return dict(zip(FILE_FACTS, values, strict=True))

    @property
    def scheme(self) -> str:
        """The weight scheme of the reference block that stands for this file: int8 or int4."""
        return "int8" if self.bits.ffn >= 8 else "int4"


class Family(Entry, frozen=True, kw_only=True):
    """A name for `--family`. `primary` is the file whose success on the GPU is the verdict pass."""

    title: Text
    primary: Text


class MemoryModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Peak resident bytes = factor x file + fixed + cache; the interval from the lows and the highs."""

    factor: Positive
    factor_low: Positive
    factor_high: Positive
    fixed: Positive
    fixed_low: Positive
    fixed_high: Positive


class Runtime(Entry, frozen=True, kw_only=True):
    """An engine as it is shipped for Android."""

    title: Text
    maven: Text
    versions: Text
    formats: tuple[Text, ...]
    abis: tuple[Text, ...]
    min_sdk: Count
    libraries: tuple[Text, ...]
    gpu_api: tuple[Text, ...]
    opencl_libraries: tuple[Text, ...]
    manifest_libraries: tuple[Text, ...]
    emulators: bool
    context_step: Count
    switches: tuple[Text, ...]
    memory: dict[BackendName, MemoryModel]
    deprecated: bool = False
    successor: str | None = None


Step = Literal["vkjson", "open", "run"]
"""What a fault may keep us from doing on a backend: `cmd gpu vkjson`, opening its driver, running kernels."""


class Fault(Conditional, frozen=True, kw_only=True):
    """A known failure of a GPU, driver or device.

    Attributes:
        avoid: what is not done where the row holds; None: what follows from its effect (`avoided`).
    """

    effect: Literal["refused", "crash", "compile", "wrong-output", "unstable", "slow", "reboot"]
    severity: Literal["fail", "warn"]
    remedy: Text
    avoid: tuple[Step, ...] | None = None

    @property
    def avoided(self) -> tuple[Step, ...]:
        """What is not done where the row holds.

        A reboot costs the person's phone, whatever engine it was seen with: its driver is not even opened. A
        crash that the device alone decides is the driver's, and may take more with it than our process. One
        that names an engine or a file too is that engine's, in its own process, and keeps nobody from
        measuring.
        """
        if self.avoid is not None:
            return self.avoid
        if self.effect == "reboot":
            return ("open",)
        engine = not set(FILE_FACTS).isdisjoint(self.when.facts())
        return ("run",) if self.effect == "crash" and not engine else ()

    @property
    def gravity(self) -> int:
        """As of a reason: slow is 1, everything else may be wrong or crash."""
        return 1 if self.effect == "slow" else 3


class KernelChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a class of GPU changes about the choice of kernels on one backend.

    Attributes:
        first: variants to try first, in this order; the others follow.
        never: variants that are not tried.
        images: whether weights may be images (OpenCL).
        max_work_group: work-items of a work-group, where less than the driver states.
    """

    first: tuple[Text, ...] = ()
    never: tuple[Text, ...] = ()
    images: bool = True
    max_work_group: Count | None = None


class KernelClass(Conditional, frozen=True, kw_only=True):
    """A class of GPU; the last row that holds counts."""

    opencl: KernelChoice = KernelChoice()
    vulkan: KernelChoice = KernelChoice()


class Chip(Entry, frozen=True, kw_only=True):
    """Limits of memory (GB/s) and arithmetic (GFLOP/s) of one chip."""

    gpu: tuple[Text, ...]
    basis: Literal["measured", "derived", "estimated"]
    dram_gb_s: Positive
    socs: tuple[Text, ...] = ()
    cores: Count | None = None
    fp16_gflops: Positive | None = None
    read_gb_s: Positive | None = None
    compute_gflops: Positive | None = None


class Memory(Entry, frozen=True, kw_only=True):
    """Theoretical DRAM bandwidth in GB/s of some SoCs, each with its GPU's fp16 GFLOP/s where known."""

    dram_gb_s: Positive
    socs: dict[Text, Positive | None]


class Use(Row, frozen=True, kw_only=True):
    """What a use asks for. None: no limit."""

    prompt_tokens: Count
    output_tokens: Count
    decode_tok_s: Positive | None
    ttft_s: Positive | None


class SpeedThresholds(Row, frozen=True, kw_only=True):
    """Below `floor_tok_s` a speed is no use to anybody; `better_ratio` makes a backend the better one."""

    floor_tok_s: Positive
    better_ratio: Positive


class MemoryThresholds(Row, frozen=True, kw_only=True):
    """What of the RAM as sold Android shows, and what of that an app has to leave to others."""

    reserve_bytes: Positive
    reserve_fraction: Positive
    ram_visible_fraction: Positive
    kv_bytes_per_value: Count


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is enough (thresholds.yaml)."""

    uses: dict[str, Use]
    speed: SpeedThresholds
    memory: MemoryThresholds
    contexts: tuple[Count, ...]
    correctness: Row


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fraction and its interval."""

    value: Positive
    low: Positive
    high: Positive


class SpecModel(Row, frozen=True, kw_only=True):
    """Share of a specified limit that kernels reach."""

    dram_share: Share
    compute_share: Share


class Spread(Row, frozen=True, kw_only=True):
    """An interval as a factor: value / spread to value x spread."""

    spread: Positive


class Overheads(Row, frozen=True, kw_only=True):
    """Seconds a layer, and the factors of its interval."""

    opencl: Positive
    cpu: Positive
    low: Positive
    high: Positive


class OpsPerCycle(Row, frozen=True, kw_only=True):
    """int8 operations of one core in one cycle, by the widest product it has."""

    i8mm: Positive
    asimddp: Positive
    asimd: Positive


class CoreFeatures(Row, frozen=True, kw_only=True):
    """Names of cores by the widest product of int8 they have."""

    i8mm: tuple[Text, ...]
    asimddp: tuple[Text, ...]
    asimd: tuple[Text, ...]


class Prediction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How speeds follow from limits where nothing ran (prediction.yaml)."""

    spec: dict[BackendName, SpecModel]
    measured: Spread
    known_bandwidth: Spread
    layer_overhead_s: Overheads
    cpu_ops_per_cycle: OpsPerCycle
    cpu_cores: CoreFeatures
    max_threads: Count


class Assumption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is taken for granted of a phone that somebody only describes, where they do not say.

    Attributes:
        text: a clause, for the line `assumed:` of the report.
        unless: phones of which it would be wrong; there it stays unknown.
    """

    text: Text
    unless: Condition | None = None


class Reason(Entry, frozen=True, kw_only=True):
    """A stable code that a report may carry. `because` is its sentence; `remedy` says what to do.

    `gravity` orders reservations when all candidates have some: 1 slower than asked, 2 may not fit or not be
    offered, 3 may be wrong or crash.
    `agent`: the agent would have told. Where it did not run, why and what to do about that is said instead.
    `assumed`: of a phone that is only described, this is taken for granted instead of the unknown.
    """

    remedy: Text | None = None
    agent: bool = False
    gravity: Literal[1, 2, 3] = 2
    assumed: Assumption | None = None


class ListRule(Conditional, frozen=True, kw_only=True):
    """What the classic TFLite GPU delegate's published list says about a GPU."""

    status: Literal["supported", "unsupported"]


class Knowledge(msgspec.Struct, frozen=True, kw_only=True):
    """All tables. Rows keep the order of the file."""

    models: dict[str, Model]
    families: dict[str, Family]
    architectures: dict[str, Architecture]
    runtimes: dict[str, Runtime]
    drivers: dict[str, Fault]
    kernels: dict[str, KernelClass]
    chips: dict[str, Chip]
    memory: dict[str, Memory]
    reasons: dict[str, Reason]
    tflite_compat: dict[str, ListRule]
    thresholds: Thresholds
    prediction: Prediction
    calibration: Calibration
    overlay: Path | None = None

    @property
    def tables(self) -> Tables:
        """What devices' names are read with; loaded when first asked for."""
        return load_tables(self.overlay)

    @property
    def signatures(self) -> dict[str, Signature]:
        """Known failures by their messages; loaded when first asked for, as only `explain` needs them."""
        return _signatures() if self.overlay is None else _read_signatures(self.overlay)


ROWS: dict[str, type[Entry]] = {
    "models": Model,
    "families": Family,
    "architectures": Architecture,
    "runtimes": Runtime,
    "drivers": Fault,
    "kernels": KernelClass,
    "chips": Chip,
    "memory": Memory,
    "reasons": Reason,
    "tflite_compat": ListRule,
}
"""File stem -> the type of its rows."""

MAPPINGS: dict[str, Any] = {"thresholds": Thresholds, "prediction": Prediction, "calibration": Calibration}
"""File stem -> the type of the whole file."""


OTHER_TABLES = ("signatures", *IDENTITY)
"""Tables that are read when they are needed: properties of `Knowledge`."""


def load(overlay: Path | None = None) -> Knowledge:
    """The built-in tables, with those of `overlay` laid over them.

    Raises InputError naming file, line and key of the first thing that is wrong.
    """
    if overlay is None:
        return _built_in()
    return _load(FOLDER, overlay)


@cache
def _built_in() -> Knowledge:
    return _load(FOLDER, None)


def _load(folder: Path, overlay: Path | None) -> Knowledge:
    if overlay is not None:
        _check_folder(overlay)
    tables: dict[str, Any] = {}
    for stem, kind in ROWS.items():
        rows = _table(folder, overlay, stem).rows(kind)
        tables[stem] = {row.id: row for row in rows}
    for stem, kind in MAPPINGS.items():
        tables[stem] = _table(folder, overlay, stem).mapping(kind)
    knowledge = Knowledge(**tables, overlay=overlay)
    if overlay is not None:
        # A mistake in a user's file is told before anything is done.
        knowledge.tables, knowledge.signatures  # noqa: B018
    _check_references(knowledge, overlay or folder)
    return knowledge


@cache
def _signatures() -> dict[str, Signature]:
    return _read_signatures(None)


def _read_signatures(overlay: Path | None) -> dict[str, Signature]:
    return {row.id: row for row in _table(FOLDER, overlay, "signatures").rows(Signature)}


def _check_references(knowledge: Knowledge, place: Path) -> None:
    """Raises InputError naming the row whose key leads nowhere."""
    for model in knowledge.models.values():
        for table, key in (
            ("families", model.family),
            ("architectures", model.architecture),
            ("runtimes", model.runtime),
        ):
            if key not in getattr(knowledge, table):
                raise InputError(f"{place}: model {model.id!r} names {key!r}, which is not in {table}.yaml")
        if model.format not in knowledge.runtimes[model.runtime].formats:
            raise InputError(
                f"{place}: {model.runtime!r} does not load {model.format!r} (model {model.id!r})"
            )
        if (other := model.counterpart) is not None:
            _check_counterpart(model, knowledge.models.get(other), place)
    for family in knowledge.families.values():
        if family.primary not in knowledge.models:
            raise InputError(
                f"{place}: family {family.id!r} names {family.primary!r}, which is not in models.yaml"
            )


def _check_counterpart(model: Model, other: Model | None, place: Path) -> None:
    """Two files that are compared as the same weights have to be."""
    if other is None:
        raise InputError(
            f"{place}: model {model.id!r} names {model.counterpart!r}, which is not in models.yaml"
        )
    same = (model.architecture, model.bits) == (other.architecture, other.bits)
    if not same or set(model.backends) & set(other.backends):
        raise InputError(
            f"{place}: {other.id!r} is no counterpart of {model.id!r}",
            hint="It has the same architecture and bits, and is for other backends.",
        )


def _table(folder: Path, overlay: Path | None, stem: str) -> Table:
    table = Table(compose(folder / f"{stem}.yaml"))
    if overlay is not None and (own := overlay / f"{stem}.yaml").exists():
        table = Table(compose(own)).over(table)
    return table


def _check_folder(overlay: Path) -> None:
    """A misspelt table name would silently change nothing, so it is an error."""
    try:
        names = sorted(p.stem for p in overlay.iterdir() if p.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise InputError(
            f"{overlay}: {error.strerror}", hint="--profiles takes a folder of tables."
        ) from error
    known = {*ROWS, *MAPPINGS, *OTHER_TABLES}
    for name in names:
        if name not in known:
            raise InputError(
                f"{overlay / name}.yaml: no such table", hint=f"Tables: {', '.join(sorted(known))}."
            )
