"""Names that every room uses and each means one thing: the enums of the contract, and the exit codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Backend(StrEnum):
    """Where a model file can run; a line of the report each, in this order."""

    CPU = "cpu"
    OPENCL = "opencl"
    VULKAN = "vulkan"
    NPU = "npu"

    @property
    def about(self) -> AboutBackend:
        """Its row of the table."""
        return _BACKENDS[self]

    @classmethod
    def of(cls, name: str) -> Backend | None:
        """What a name means, ours or one that an engine or a model file uses; None: nothing that is known."""
        if name in cls.__members__.values():
            return cls(name)
        return next((b for b in cls if name == b.about.engine or name in b.about.spellings), None)

    @classmethod
    def spoken(cls, name: str) -> str:
        """Its title for a sentence; of a backend that only a later gemmafit knows, its name."""
        return cls(name).about.title if name in cls.__members__.values() else name


@dataclass(frozen=True)
class AboutBackend:
    """What a backend is.

    Attributes:
        title: in a sentence.
        label: in a list.
        processor: what it computes on, in the words of engines: cpu, gpu, npu.
        rank: which comes first of two that are as good; the lower.
        spellings: what model files call it beside `engine`.
        measured: the reference block runs there. Else it is judged by what is known of the device.
        shipped: some runtime has it. Else it is only what another falls back on.
        per_chip: its files are compiled for one SoC.
    """

    title: str
    label: str
    processor: str
    rank: int
    spellings: tuple[str, ...] = ()
    measured: bool = True
    shipped: bool = True
    per_chip: bool = False

    @property
    def accelerator(self) -> bool:
        """Whether it is a device beside the CPU: with a driver, which may be missing, crash or be wrong."""
        return self.processor != "cpu"

    @property
    def engine(self) -> str | None:
        """Its name in engines, apps and model files; None where none ships it."""
        return self.processor if self.shipped else None

    @property
    def is_gpu(self) -> bool:
        """Whether engines mean it by "the GPU"."""
        return self.engine == "gpu"


_BACKENDS = {
    Backend.CPU: AboutBackend("the CPU", "CPU", "cpu", 1, ("cpu_artisan",)),
    Backend.OPENCL: AboutBackend("the GPU", "GPU", "gpu", 0, ("gpu_artisan",)),
    Backend.VULKAN: AboutBackend("the GPU through Vulkan", "Vulkan", "gpu", 2, shipped=False),
    Backend.NPU: AboutBackend(
        "the NPU", "NPU", "npu", 3, ("google_tensor_artisan",), measured=False, per_chip=True
    ),
}
"""The one table of backends. Sources of the spellings: the constraints in LiteRT-LM's model files."""

MEASURED = tuple(backend for backend in Backend if backend.about.measured)
"""The backends that the reference block runs on."""


class TargetKind(StrEnum):
    """Where answers come from, and what follows from that: nothing else asks which kind it is.

    Attributes:
        noun: the device in a sentence.
        called: in place of maker and model; None: by these.
        android: Android's own rules apply.
        whole: one device answered, at one time: its silence says something too.
        recorded: a capture may be of it.
        assumed: what is left out may be taken for granted, where reasons.yaml says so.
    """

    noun: str
    called: str | None
    android: bool
    whole: bool
    recorded: bool
    assumed: bool

    # fmt: off
    #                        noun             called                  android whole  recorded assumed
    ADB = "adb",             "the phone",     None,                   True,   True,  True,    False
    LOCAL = "local",         "this computer", "this computer",        False,  True,  True,    False
    REPLAY = "replay",       "the recording", None,                   True,   False, False,   False
    ASSEMBLED = "assembled", "the phone",     None,                   True,   False, True,    False
    STATED = "stated",       "the phone",     "a phone as described", True,   False, False,   True
    # fmt: on

    def __new__(cls, name: str, noun: str, called: str | None, *marks: bool) -> TargetKind:
        self = str.__new__(cls, name)
        self._value_ = name
        self.noun, self.called = noun, called
        self.android, self.whole, self.recorded, self.assumed = marks
        return self

    @classmethod
    def of(cls, word: object) -> TargetKind:
        """The kind of that name; of no name that is known, as in a file of a later version, `ASSEMBLED`."""
        return next((kind for kind in cls if kind == word), cls.ASSEMBLED)


class Status(StrEnum):
    """How a measurement ended. A row that is not OK carries a reason."""

    OK = "ok"
    UNSUPPORTED = "unsupported"  # the device cannot, and says so
    SKIPPED = "skipped"  # we chose not to (memory, time, option)
    ERROR = "error"  # it should have worked


class Scope(StrEnum):
    """For whom a finding holds."""

    SHELL = "shell"
    """Seen by a process of `adb shell` (linker section [unrestricted])."""
    APP_INFERRED = "app-inferred"
    """Derived for an app from public.libraries, ABI, labels and API level."""
    APP_TESTED = "app-tested"
    """Observed inside an app's process."""
    DEVICE = "device"
    """A property of the device itself, the same for everybody."""


class AnswerStatus(StrEnum):
    """How a question to the device ended."""

    OK = "ok"
    MISSING = "missing"  # never asked, or no such file or command
    REFUSED = "refused"  # permission denied
    EMPTY = "empty"  # answered with nothing
    CUT = "cut"  # over the limit: the rest was dropped
    UNREADABLE = "unreadable"  # answered, but not in a form that could be read
    TIMEOUT = "timeout"
    DOWN = "down"  # the system services did not answer, whatever was asked


class Verdict(StrEnum):
    """The answer about a phone; docs and summary say what each means for a family."""

    PASS = "pass"
    DEGRADED = "degraded"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class CheckStatus(StrEnum):
    """The answer to one question. Unknown is not fail: a fact that is missing was not found wanting."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    SKIP = "skip"
    ERROR = "error"


class Column(StrEnum):
    """A column of the verdict sheet: the questions asked of a backend, in their order."""

    VISIBLE = "visible"
    CAPABLE = "capable"
    CORRECT = "correct"
    DETERMINISTIC = "deterministic"
    SPEED = "speed"
    MEMORY = "memory"


class Evidence(StrEnum):
    """How a statement is known; in rising order, never mixed."""

    PREDICTED = "predicted"
    PROBED = "probed"
    RAN = "ran"
    VERIFIED = "verified"


class Exit(IntEnum):
    """The exit statuses of every command; `meaning` is what the documentation says of each."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    NO_TARGET = 3
    BROKE = 4
    INCONCLUSIVE = 5
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        return _MEANING[self]

    @classmethod
    def of(cls, verdict: Verdict, *, strict: bool = False) -> Exit:
        """Of a complete report. strict: degraded is a failure too."""
        return cls.FAIL if strict and verdict is Verdict.DEGRADED else _OF_VERDICT[verdict]

    @classmethod
    def worst(cls, several: Iterable[Exit]) -> Exit:
        """Of a run over many phones: what nobody examined weighs more than what was found."""
        return max(several, key=_RISING.index, default=cls.PASS)


_MEANING = {
    Exit.PASS: "pass, or degraded (--strict makes degraded 1)",
    Exit.FAIL: "fail: nothing of the family works there; of compare: a regression",
    Exit.USAGE: "usage: an option, a number out of its range, a file of no use",
    Exit.NO_TARGET: "no such phone, or it is unauthorized or offline",
    Exit.BROKE: "the run broke (a partial report is written) or nobody took the answer",
    Exit.INCONCLUSIVE: "inconclusive: a fact that matters is unknown",
    Exit.INTERRUPTED: "interrupted by Ctrl-C; what was measured until then is kept",
}
_OF_VERDICT = {
    Verdict.PASS: Exit.PASS,
    Verdict.DEGRADED: Exit.PASS,
    Verdict.FAIL: Exit.FAIL,
    Verdict.INCONCLUSIVE: Exit.INCONCLUSIVE,
}
_RISING = (Exit.PASS, Exit.INCONCLUSIVE, Exit.FAIL, Exit.NO_TARGET, Exit.BROKE, Exit.USAGE, Exit.INTERRUPTED)


class ReportFormat(StrEnum):
    """The forms in which a report leaves; how each is written: the module of that name in reports/writers."""

    YAML = "yaml"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    GITHUB = "github"

    @property
    def ending(self) -> str:
        """Of a file of this format, where nobody named the file."""
        return _ENDINGS[self][0]

    @classmethod
    def of_file(cls, suffix: str) -> ReportFormat:
        """What a file name ending means; YAML where it means nothing."""
        return next((format for format, known in _ENDINGS.items() if suffix.lower() in known), cls.YAML)


_ENDINGS = {
    ReportFormat.YAML: (".yaml", ".yml"),
    ReportFormat.JSON: (".json",),
    ReportFormat.MARKDOWN: (".md",),
    ReportFormat.JUNIT: (".xml",),
    ReportFormat.GITHUB: (".github",),
}


class AllowlistFormat(StrEnum):
    """Who reads an allowlist; how each is written: the module of that name in lab/formats."""

    YAML = "yaml"
    GALLERY = "gallery"
    PLAY = "play"
    APP = "app"
