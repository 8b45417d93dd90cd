"""The knowledge base: reviewed rows about models, runtimes, chips and drivers, as typed values.

Here are the types; loader.py reads the tables. Every row has `because` and `source`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ..base.names import Backend
from ..base.units import stated
from .calibration import Calibration
from .conditions import FILE_FACTS, Condition
from .rows import (
    Asks,
    Between,
    CoreName,
    Count,
    Entry,
    Factor,
    Fraction,
    GpuName,
    LibraryName,
    Positive,
    Ref,
    Row,
    SocName,
    Text,
    Version,
    ordered,
    release,
)
from .signatures import Origin, Signature
from .tables import Tables

Bits = Literal[2, 4, 8, 16, 32]
Format = Annotated[Text, Ref("model file format")]
Skill = Literal["vision", "audio", "speculative"]
"""Pictures and sound as input; decoding that drafts several tokens and then checks them."""


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

    backend: Backend
    bytes: Positive
    device: Text
    source: Text


class Revision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same file name with other bytes."""

    bytes: Count
    source: Text
    revision: str | None = None
    needs: Version | None = None


class Ran(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A report of a file at work on a processor that nothing of ours runs on."""

    device: Text
    source: Text
    decode_tok_s: Positive | None = None

    def __str__(self) -> str:
        return self.device + (f" ({stated(self.decode_tok_s)} tokens/s)" if self.decode_tok_s else "")


class Model(Entry, frozen=True, kw_only=True):
    """One model file at one revision; `earlier` are other bytes that were published under its name.

    Attributes:
        counterpart: the file with the same weights for the backends that this one is not for.
        does: what it can beside text, and on which backends.
        needs: the first release of its runtime that loads it.
        purpose: the one task that it was trained for. Such a file is recommended to nobody who did not ask
            for its family.
        ran: of a file for an NPU: reports of it at work.
    """

    file: Text
    family: Annotated[Text, Ref("families")]
    architecture: Annotated[Text, Ref("architectures")]
    runtime: Annotated[Text, Ref("runtimes")]
    format: Format
    repository: Text
    bits: Quantisation
    backends: tuple[Backend, ...]
    context: Count
    bytes: Count | None = None
    about_bytes: Count | None = None
    sha256: tuple[Annotated[str, Meta(pattern="^[0-9a-f]{63,64}$")], ...] = ()
    revision: str | None = None
    block: Count | None = None
    compiled: bool = False
    npu_soc: SocName | None = None
    min_ram_gb: Positive | None = None
    rank: int = 0
    counterpart: Annotated[Text, Ref("models")] | None = None
    does: dict[Skill, tuple[Backend, ...]] = msgspec.field(default_factory=dict[Skill, tuple[Backend, ...]])
    needs: Version | None = None
    purpose: Text | None = None
    memory: tuple[ObservedMemory, ...] = ()
    earlier: tuple[Revision, ...] = ()
    ran: tuple[Ran, ...] = ()

    def __post_init__(self) -> None:
        if (self.bytes is None) == (self.about_bytes is None):
            raise ValueError("exactly one of bytes and about_bytes")

    @property
    def size(self) -> int:
        """Bytes of the file, as exact as is known."""
        return self.bytes or self.about_bytes or 0

    @property
    def listed_on(self) -> tuple[Backend, ...]:
        """The backends under which a report lists it. A file for none here is listed all the same, as one
        that does not load: under the CPU, which every device has."""
        return self.backends or (Backend.CPU,)

    @property
    def facts(self) -> dict[str, str]:
        """What conditions may ask of the file (`conditions.FILE_FACTS`)."""
        values = (self.runtime, self.format, self.id, self.architecture)
        return dict(zip(FILE_FACTS, values, strict=True))

    @property
    def scheme(self) -> str:
        """The weight scheme of the reference block that stands for this file: int8 or int4."""
        return "int8" if self.bits.ffn >= 8 else "int4"


class Embedder(Entry, frozen=True, kw_only=True):
    """A file that turns a text into a vector, which is no language model.

    Attributes:
        context: the longest text, in tokens; None: not stated.
        backends: those that its publisher offers.
    """

    title: Text
    file: Text
    repository: Text
    bytes: Count
    backends: Annotated[tuple[Backend, ...], Meta(min_length=1)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None
    revision: str | None = None
    context: Count | None = None


class Family(Entry, frozen=True, kw_only=True):
    """A name for `--family`. `primary` is the file whose success on the GPU is the verdict pass."""

    title: Text
    primary: Annotated[Text, Ref("models")]


class MemoryModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Peak resident bytes = factor x file + fixed + cache; the interval from the lows and the highs."""

    factor: Positive
    factor_low: Positive
    factor_high: Positive
    fixed: Positive
    fixed_low: Positive
    fixed_high: Positive

    def __post_init__(self) -> None:
        ordered(self.factor_low, self.factor, self.factor_high)
        ordered(self.fixed_low, self.fixed, self.fixed_high)


class Runtime(Entry, frozen=True, kw_only=True):
    """An engine as it is shipped for Android.

    Attributes:
        dependency: what an app's build asks for.
        opencl_libraries: the names by which it tries to open OpenCL, in its order.
        manifest_libraries: what an app's manifest has to name for it, by its own documentation.
        emulators: whether it is made for emulators.
        current: the newest release; it is judged unless somebody names another. None (a table of one's own):
            later than all that rows name.
        pages_16k: the first release whose libraries load on a phone with pages of 16 KB; None: no release is
            known whose do not.
        memory: for each backend that it has.
    """

    title: Text
    dependency: Text
    versions: Text
    formats: Annotated[tuple[Format, ...], Meta(min_length=1)]
    abis: Annotated[tuple[Text, ...], Meta(min_length=1)]
    min_sdk: Count
    opencl_libraries: tuple[LibraryName, ...]
    manifest_libraries: tuple[Text, ...]
    emulators: bool
    context_step: Count
    memory: Annotated[dict[Backend, MemoryModel], Meta(min_length=1)]
    current: Version | None = None
    pages_16k: Version | None = None
    deprecated: bool = False
    successor: Annotated[Text, Ref("runtimes")] | None = None


class Npu(Entry, frozen=True, kw_only=True):
    """What an app has to bring for the NPU of one maker's chips.

    Attributes:
        manufacturer: of the chip, as socs.yaml writes it.
        runtime: the one that has the backend.
        dispatch: the runtime's library that hands a compiled graph to the maker's driver.
        libraries: the maker's own that have to be in the app.
        chips: part number or name of a chip -> what it needs beside those.
        manifest_libraries: the system's, which an app's manifest has to name.
        fails: what people met with, and what helped.
    """

    manufacturer: Text
    runtime: Annotated[Text, Ref("runtimes")]
    dispatch: Text
    libraries: tuple[Text, ...] = ()
    chips: dict[SocName, tuple[Text, ...]]
    manifest_libraries: Annotated[tuple[Text, ...], Meta(min_length=1)]
    fails: Text


Step = Literal["vkjson", "open", "run"]
"""What a fault may keep us from doing on a backend: `cmd gpu vkjson`, opening its driver, running kernels."""


class Releases(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}
):
    """Of one runtime: the first in which something holds, and the first in which it no longer does."""

    from_: Version | None = None
    below: Version | None = None

    def __post_init__(self) -> None:
        if self.from_ and self.below and release(self.from_) >= release(self.below):
            raise ValueError("no release is from one on and below another that is not later")

    def __contains__(self, version: str | None) -> bool:
        """Whether a release is one of them; None: the newest, whatever its number."""
        if version is None:
            return self.below is None
        at = release(version)
        early = self.from_ is not None and at < release(self.from_)
        return not early and (self.below is None or at < release(self.below))


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest report that a row rests on, and what it says of the software."""

    date: Annotated[str, Meta(pattern=r"^20\d\d-\d\d(-\d\d)?$")]
    runtime: Text
    driver: Text

    def __str__(self) -> str:
        return f"newest report {self.date}: {self.runtime}; driver {self.driver}"


class Fault(Entry, frozen=True, kw_only=True):
    """A known failure of a GPU, driver or device.

    Attributes:
        seen: None only in a table of one's own.
        versions: the releases of each runtime in which it holds; {}: all, of all runtimes.
        avoid: what is not done where the row holds; None: what follows from its effect (`avoided`).
    """

    when: Annotated[Condition, Asks(("snapshot", "backend", "file"))]
    effect: Literal["refused", "crash", "compile", "wrong-output", "unstable", "slow", "reboot"]
    severity: Literal["fail", "warn"]
    remedy: Text
    seen: Seen | None = None
    versions: dict[Annotated[Text, Ref("runtimes")], Releases] = msgspec.field(
        default_factory=dict[str, Releases]
    )
    avoid: tuple[Step, ...] | None = None

    def holds_in(self, runtime: str, version: str | None) -> bool:
        """Whether it says something of that release."""
        if not self.versions:
            return True
        return runtime in self.versions and version in self.versions[runtime]

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


class OpenClChoice(KernelChoice, frozen=True, kw_only=True):
    """Of OpenCL."""

    first: tuple[Annotated[Text, Ref("OpenCL variant")], ...] = ()
    never: tuple[Annotated[Text, Ref("OpenCL variant")], ...] = ()


class VulkanChoice(KernelChoice, frozen=True, kw_only=True):
    """Of Vulkan."""

    first: tuple[Annotated[Text, Ref("Vulkan variant")], ...] = ()
    never: tuple[Annotated[Text, Ref("Vulkan variant")], ...] = ()


class KernelClass(Entry, frozen=True, kw_only=True):
    """A class of GPU; the last row that holds counts."""

    when: Annotated[Condition, Asks(("snapshot",))]
    opencl: OpenClChoice = OpenClChoice()
    vulkan: VulkanChoice = VulkanChoice()


class Chip(Entry, frozen=True, kw_only=True):
    """Limits of memory (GB/s) and arithmetic (GFLOP/s) of one chip."""

    gpu: Annotated[tuple[GpuName, ...], Meta(min_length=1)]
    basis: Literal["measured", "derived", "estimated"]
    dram_gb_s: Positive
    socs: tuple[SocName, ...] = ()
    cores: Count | None = None
    fp16_gflops: Positive | None = None
    read_gb_s: Positive | None = None
    compute_gflops: Positive | None = None


class UseThresholds(Row, frozen=True, kw_only=True):
    """What a use asks for. None: no limit."""

    prompt_tokens: Count
    output_tokens: Count
    decode_tok_s: Positive | None
    ttft_s: Positive | None


class SpeedThresholds(Row, frozen=True, kw_only=True):
    """Below `floor_tok_s` a speed is no use to anybody; `better_ratio` makes a backend the better one."""

    floor_tok_s: Positive
    better_ratio: Factor


class MemoryThresholds(Row, frozen=True, kw_only=True):
    """What of the RAM as sold Android shows, and what of that an app has to leave to others."""

    reserve_bytes: Positive
    reserve_fraction: Annotated[float, Meta(ge=0, lt=1)]
    ram_visible_fraction: Fraction
    kv_bytes_per_value: Count


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is enough (thresholds.yaml)."""

    uses: Annotated[dict[Text, UseThresholds], Meta(min_length=1)]
    speed: SpeedThresholds
    memory: MemoryThresholds
    contexts: Annotated[tuple[Count, ...], Meta(min_length=1)]


class SpecModel(Row, frozen=True, kw_only=True):
    """Share of a specified limit that kernels reach."""

    dram_share: Between
    compute_share: Between


class Spread(Row, frozen=True, kw_only=True):
    """An interval as a factor: value / spread to value x spread."""

    spread: Factor


class Overheads(Row, frozen=True, kw_only=True):
    """Seconds a layer, and the factors of its interval."""

    opencl: Positive
    cpu: Positive
    low: Fraction
    high: Factor


class OpsPerCycle(Row, frozen=True, kw_only=True):
    """int8 operations of one core in one cycle, by the widest product it has."""

    i8mm: Positive
    asimddp: Positive
    asimd: Positive


class CoreFeatures(Row, frozen=True, kw_only=True):
    """Names of cores by the widest product of int8 they have."""

    i8mm: Annotated[tuple[CoreName, ...], Meta(min_length=1)]
    asimddp: Annotated[tuple[CoreName, ...], Meta(min_length=1)]
    asimd: Annotated[tuple[CoreName, ...], Meta(min_length=1)]


class Prediction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How speeds follow from limits where nothing ran (prediction.yaml)."""

    spec: dict[Backend, SpecModel]
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
    unless: Annotated[Condition, Asks(("snapshot",))] | None = None


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


class ListRule(Entry, frozen=True, kw_only=True):
    """What the classic TFLite GPU delegate's published list says about a GPU."""

    when: Annotated[Condition, Asks(("snapshot", "gles"))]
    status: Literal["supported", "unsupported"]


class WebGpuFallback(msgspec.Struct, frozen=True, kw_only=True):
    """A Khronos profile file: what LiteRT-LM's WebGPU fallback asks of a Vulkan driver."""

    capabilities: dict[str, Any]
    profiles: Annotated[dict[str, Any], Meta(min_length=1)]


class Knowledge(msgspec.Struct, frozen=True, kw_only=True):
    """All tables. Rows keep the order of the file.

    Attributes:
        tables: what devices' names are read with.
        webgpu_fallback: a Khronos profile, as JSON (`probes.vulkan_profile`).
    """

    models: dict[str, Model]
    embedders: dict[str, Embedder]
    families: dict[str, Family]
    architectures: dict[str, Architecture]
    runtimes: dict[str, Runtime]
    drivers: dict[str, Fault]
    npus: dict[str, Npu]
    kernels: dict[str, KernelClass]
    chips: dict[str, Chip]
    reasons: dict[str, Reason]
    tflite_compat: dict[str, ListRule]
    signatures: dict[str, Signature]
    origins: dict[str, Origin]
    thresholds: Thresholds
    prediction: Prediction
    calibration: Calibration
    tables: Tables
    webgpu_fallback: WebGpuFallback
