"""Snapshot: what is known about a device, read from a capture by pure functions.

Every field may be None, which means unknown. `answers` says why (missing, refused, empty),
`sources` says where a value comes from and `disagreements` what else was claimed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..base.errors import AgentCause
from ..base.names import AnswerStatus, Scope, TargetKind


@dataclass(frozen=True)
class Disagreement:
    """Two sources said different things about `field` (dotted path below Snapshot)."""

    field: str
    believed: str
    source: str
    other: str
    other_source: str
    because: str


@dataclass(frozen=True)
class Cluster:
    """CPU cores of one kind. `core` is e.g. Cortex-A53; `max_mhz` from cpuinfo_max_freq."""

    core: str | None
    count: int | None
    max_mhz: int | None = None
    features: tuple[str, ...] = ()
    cpus: tuple[int, ...] = ()
    implementer: int | None = None
    part: int | None = None


@dataclass(frozen=True)
class Cpu:
    """The processor: cores of one kind are a cluster."""

    clusters: tuple[Cluster, ...] = ()
    features: frozenset[str] | None = None
    """Instruction-set features common to all cores, as /proc/cpuinfo or hwcap names them (asimddp, i8mm)."""
    architecture: str | None = None
    """aarch64, armv7l, x86_64, ...: the kernel's."""


@dataclass(frozen=True)
class Soc:
    """The chip."""

    manufacturer: str | None = None
    model: str | None = None
    """Part number, stated or read from another property, e.g. SM8450."""
    name: str | None = None
    """As people call it, e.g. Snapdragon 8 Gen 1."""
    build_manufacturer: str | None = None
    build_model: str | None = None
    """Build.SOC_MANUFACTURER and SOC_MODEL, exactly: what apps and Play compare with. None before API 31."""
    one_of: tuple[str, ...] = ()
    """Names of the chips that it may be, where what the device says does not decide; `name` is None then."""

    @property
    def title(self) -> str | None:
        """What to call it: its name, or those that it may have, or its part number."""
        return self.name or " or ".join(self.one_of) or self.model


ABI_BITS = {"arm64-v8a": 64, "x86_64": 64, "armeabi-v7a": 32, "armeabi": 32, "x86": 32}
"""Android's ABIs -> bits of a process of theirs."""


@dataclass(frozen=True)
class Android:
    """The system that apps run on."""

    release: str | None = None
    sdk: int | None = None
    security_patch: str | None = None
    abis: tuple[str, ...] | None = None
    bits: int | None = None
    """Of the zygote that starts apps: 64 (an arm64 app can run) or 32."""
    zygote: str | None = None
    page_bytes: int | None = None
    """Of a page of memory as it runs now: 4096, or 16384."""
    page_bytes_max: int | None = None
    """The largest that the system image was built for: it can be switched to that."""


@dataclass(frozen=True)
class Identity:
    """Who the device says it is, and whether it is an emulator of that."""

    manufacturer: str | None = None
    brand: str | None = None
    model: str | None = None
    device: str | None = None
    fingerprint: str | None = None
    emulator: bool | None = None
    emulator_kind: str | None = None
    """emulator, container, cloud phone, ...: what it really is, where `emulator` is true."""


@dataclass(frozen=True)
class Memory:
    """Of the whole device; available and free as they were when it was asked."""

    total_bytes: int | None = None
    available_bytes: int | None = None
    swap_bytes: int | None = None
    storage_free_bytes: int | None = None


@dataclass(frozen=True)
class Gpu:
    """The GPU and its driver, from every source that names it (`Snapshot.sources`)."""

    vendor: str | None = None  # Qualcomm, Arm, Imagination, Samsung, ...: a row of profiles/gpus.yaml
    model: str | None = None  # Adreno 730, Mali-T820, ...
    architecture: str | None = None  # Adreno 7xx, Midgard, Bifrost, Valhall, ...
    cores: int | None = None
    driver: str | None = None  # as stated, e.g. "r26p0-01eac0"
    driver_version: tuple[int, ...] | None = None  # orderable within the vendor and driver_kind
    driver_kind: str | None = None
    """Which of a vendor's numberings `driver_version` is: compiler, ddk, gl, vulkan, mesa, ..."""
    renderer: str | None = None  # GL_RENDERER, raw
    gles_version: str | None = None
    software: bool | None = None
    """True for a CPU driver (PoCL, lavapipe, SwiftShader)."""


@dataclass(frozen=True)
class LibraryAttempt:
    """One try of the agent to open an OpenCL library."""

    name: str
    route: str  # dlopen | sphal
    opened: bool
    error: str | None = None
    section: str = "unrestricted"


@dataclass(frozen=True)
class LibraryVisibility:
    """Whether an app could open one library.

    Attributes:
        must_declare: its manifest has to name what it opens.
        declared: what its manifest names; None: for any app, or dumpsys does not say.
    """

    name: str
    visible: bool | None
    because: str
    must_declare: bool = False
    declared: tuple[str, ...] | None = None


@dataclass(frozen=True)
class AppVisibility:
    """Whether an app could open an OpenCL library, inferred from files."""

    visible: bool | None
    because: str
    needs_manifest: tuple[str, ...] = ()
    """Libraries that the app has to name in <uses-native-library>."""
    scope: Scope = Scope.APP_INFERRED
    package: str | None = None
    """The app whose declarations were looked at, or None: for any app."""
    libraries: tuple[LibraryVisibility, ...] | None = None
    """Each library that an engine may try; one that is missing is not there for apps. None: not known."""

    @property
    def manifest(self) -> tuple[str, ...]:
        """The lines to paste below <application> in AndroidManifest.xml."""
        return tuple(
            f'<uses-native-library android:name="{library}" android:required="false" />'
            for library in self.needs_manifest
        )


@dataclass(frozen=True)
class OpenCl:
    """OpenCL as the engine would find it: platform 0, first GPU device (for `local` also a CPU device)."""

    present: bool | None = None
    """A library opened and a device was found; None: nobody looked."""
    library: str | None = None
    route: str | None = None
    attempts: tuple[LibraryAttempt, ...] = ()
    error: str | None = None
    platforms: int | None = None
    """How many the opened library named, where that was counted: a loader without a driver has none."""
    platform: str | None = None
    platform_version: str | None = None  # CL_PLATFORM_VERSION
    device: str | None = None
    vendor: str | None = None
    device_type: str | None = None  # gpu | cpu | accelerator
    version: str | None = None  # CL_DEVICE_VERSION
    driver: str | None = None  # CL_DRIVER_VERSION
    extensions: frozenset[str] | None = None
    fp16: bool | None = None
    integer_dot: bool | None = None
    compute_units: int | None = None
    max_alloc_bytes: int | None = None
    global_mem_bytes: int | None = None
    local_mem_bytes: int | None = None
    max_work_group_size: int | None = None
    properties: dict[str, Any] = field(default_factory=dict[str, Any])
    """CL_... name -> value, as the agent or clinfo gave it."""
    public: bool | None = None
    """Named in a public.libraries file."""
    paths: tuple[str, ...] | None = None
    """Candidate library files that exist, whether or not they can be opened."""
    app: AppVisibility | None = None


@dataclass(frozen=True)
class Vulkan:
    """Vulkan matters as the base of the engine's WebGPU fallback, never as a shipped backend."""

    present: bool | None = None
    error: str | None = None
    device: str | None = None
    device_type: str | None = None
    api_version: str | None = None
    driver_id: int | None = None
    driver_name: str | None = None
    driver_info: str | None = None
    driver_version: int | None = None
    vendor_id: int | None = None
    device_id: int | None = None
    extensions: frozenset[str] | None = None
    fp16: bool | None = None  # shaderFloat16
    int8: bool | None = None  # shaderInt8
    storage16: bool | None = None
    storage8: bool | None = None
    integer_dot: bool | None = None
    subgroup_size: int | None = None
    max_storage_buffer_range: int | None = None
    max_work_group_invocations: int | None = None
    max_shared_memory: int | None = None
    heaps: tuple[int, ...] | None = None
    timestamp_period_ns: float | None = None
    properties: dict[str, Any] = field(default_factory=dict[str, Any])
    """Khronos structure name -> {field: value}, as `cmd gpu vkjson` or the agent gave it."""


THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's names of its thermal status, 0 to 6."""


@dataclass(frozen=True)
class Conditions:
    """The device's state when it was asked.

    Attributes:
        charging: on any power source.
        power_source: ac | usb | wireless | dock | ...; None also where there is none.
        screen_on: a dimmed screen is on, an always-on clock is off.
        locked: the lock screen is shown.
        battery_saver: Android's own.
        power_modes: the makers' modes that cap clocks (profiles/powermodes.yaml) and are on; () for none of
            them.
        temperatures_c: sensor -> degrees Celsius, as Android's thermal service reads them.
        kept_awake: the screen is kept on while the phone is plugged in, by its owner or by the session that
            measures; None where nobody asked for that.
        awake_refusal: the phone's words where it may not be.
    """

    battery_percent: int | None = None
    charging: bool | None = None
    battery_temperature_c: float | None = None
    thermal_status: int | None = None  # 0 none .. 6 shutdown
    cpu_max_mhz: dict[int, int] = field(default_factory=dict[int, int])
    """cpu number -> scaling_max_freq in MHz (lower than the hardware's under throttling)."""
    governor: str | None = None
    power_source: str | None = None
    screen_on: bool | None = None
    locked: bool | None = None
    battery_saver: bool | None = None
    power_modes: tuple[str, ...] | None = None
    temperatures_c: dict[str, float] = field(default_factory=dict[str, float])
    load: float | None = None
    """Load average of the last minute. Phones count threads that wait for drivers, so 5 may be idle there."""
    cpu_pressure: float | None = None
    """Percent of the last ten seconds in which some thread waited for a CPU."""
    kept_awake: bool | None = None
    awake_refusal: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """For a file; what is unknown is left out."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in plain.items() if v is not None and v != {}}


@dataclass(frozen=True)
class AgentProblem:
    """Why the agent did not run, or not for all that it should have.

    Attributes:
        sentence: what happened, with the device's own words and the numbers; without device and full stop.
        backends: what it was wanted for and did not look at.
        ended: the whole session ended over it; otherwise only these backends were left out.
    """

    cause: AgentCause
    sentence: str
    backends: tuple[str, ...] = ()
    ended: bool = True

    def concerns(self, backend: str | None) -> bool:
        """Whether that backend was left out, or all of them were."""
        return self.ended or backend in self.backends

    @property
    def clause(self) -> str:
        """The sentence with what it means for the run, to stand inside or as a sentence."""
        lead = "the run broke" if self.cause is AgentCause.LOST else "the agent did not run"
        return f"{lead}: {self.sentence}"

    @property
    def statement(self) -> str:
        """The clause as a sentence of its own."""
        return f"{self.clause[:1].upper()}{self.clause[1:]}."

    @property
    def reason(self) -> str:
        """The row of profiles/reasons.yaml that says what it means and what to do."""
        return f"agent.{self.cause}"


@dataclass(frozen=True)
class Snapshot:
    """All that is known about one target. `kind`: the word of a `TargetKind`."""

    kind: str
    identity: Identity = Identity()
    android: Android | None = None
    """None for a target that is not Android."""
    soc: Soc = Soc()
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    gpu: Gpu = Gpu()
    opencl: OpenCl = OpenCl()
    vulkan: Vulkan = Vulkan()
    conditions: Conditions = Conditions()
    public_libraries: tuple[str, ...] | None = None
    features: frozenset[str] | None = None
    aicore: bool | None = None
    """Whether Android's own language model service is installed (com.google.android.aicore)."""
    services: bool | None = None
    """Whether Android's system services answer; None where they were not asked."""
    answers: dict[str, AnswerStatus] = field(default_factory=dict[str, AnswerStatus])
    sources: dict[str, str] = field(default_factory=dict[str, str])
    disagreements: tuple[Disagreement, ...] = ()
    warnings: tuple[str, ...] = ()
    agent_problem: AgentProblem | None = None
    """None: the agent ran, or was not asked for."""

    @property
    def origin(self) -> TargetKind:
        """What follows from its kind."""
        return TargetKind.of(self.kind)
