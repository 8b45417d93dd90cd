"""What was found in a model file, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """What a finding means for whoever ships the file."""

    ERROR = "error"  # the file cannot be loaded as it is
    WARNING = "warning"  # it may load, but not everywhere or not as its name says
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """Something to know about the file. `code` is stable; `remedy` says what to do."""

    code: str
    severity: Severity
    text: str
    remedy: str | None = None


def error(
    code: str, text: str, remedy: str = "Download the file again and compare its size and hash."
) -> Finding:
    """A finding that keeps the file from being loaded."""
    return Finding(code, Severity.ERROR, text, remedy)


@dataclass(frozen=True)
class TensorGroup:
    """Weights stored with the same type and granularity of scales.

    Attributes:
        dtype: INT4, INT8, FLOAT32, ...; of a GGUF ggml's Q4_K, Q8_0, ...
        scales: tensor | channel | block N | none.
        tensors, elements, bytes: how many, and what they occupy in the file; a buffer that several
            signatures share counts once.
        largest: bytes of the largest one.
    """

    dtype: str
    scales: str
    tensors: int
    elements: int
    bytes: int
    largest: int

    @property
    def bits(self) -> int:
        """Of a weight, as the tables count them: the nearest by ratio, scales of blocks included."""
        exact = 8 * self.bytes / max(self.elements, 1)
        return min((2, 4, 8, 16, 32), key=lambda bits: max(exact, bits) / max(min(exact, bits), 1e-9))


def grouped(sizes: Mapping[tuple[str, str], Sequence[tuple[int, int]]]) -> tuple[TensorGroup, ...]:
    """Groups from (type, scales) -> (weights, bytes) of each tensor, the most bytes first."""
    groups = [
        TensorGroup(
            dtype=dtype,
            scales=scales,
            tensors=len(found),
            elements=sum(elements for elements, _ in found),
            bytes=sum(size for _, size in found),
            largest=max(size for _, size in found),
        )
        for (dtype, scales), found in sizes.items()
    ]
    return tuple(sorted(groups, key=lambda group: -group.bytes))


@dataclass(frozen=True)
class Tflite:
    """A TFLite model inside a file.

    Attributes:
        weights: groups, the largest first.
        metadata: names of the model's metadata entries.
        backend: the `backend` entry of a MediaPipe .bin: cpu | gpu.
        model_type: the architecture a MediaPipe .bin declares, e.g. GEMMA_2B.
        npu: (manufacturer, SoC) that a model is compiled for, by its stamp or its operators; each "" where it
            is not told.
        signatures: names of its entry points (prefill_128, decode, serving_default).
        end: bytes up to the end of the last buffer, counted from the start of the model.
    """

    subgraphs: int
    buffers: int
    weights: tuple[TensorGroup, ...]
    metadata: tuple[str, ...]
    backend: str | None = None
    model_type: str | None = None
    npu: tuple[str, str] | None = None
    signatures: tuple[str, ...] = ()
    end: int = 0

    @property
    def weight_bytes(self) -> int:
        return sum(group.bytes for group in self.weights)

    @property
    def largest_tensor(self) -> int:
        return max((group.largest for group in self.weights), default=0)


@dataclass(frozen=True)
class Section:
    """A part of a container: a ZIP member or a .litertlm section, the bytes [begin, end)."""

    name: str
    begin: int
    end: int
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tflite: Tflite | None = None

    @property
    def size(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True)
class ModelFile:
    """A model file.

    Attributes:
        extension: lower case, with the dot.
        format: the `Container` that its content is, by name, or "unknown".
        what: the content in words, also where it is no model ("an HTML page").
        complete: every section and buffer that its tables name is inside the file; None: cannot be told.
        header: fields of the container's header.
        weights: of a container that holds no TFLite model, the groups of its tensors, the largest first.
        parts: what it can do besides text (vision, audio, speculative decoding, embedding), where it says so.
        backends: those the text model may run on, in the file's order; None: the file does not say.
        context: tokens of the longest context the file states.
        sha256: filled by `digest`, which reads all of the file.
    """

    path: str
    size: int
    extension: str
    format: str
    what: str
    complete: bool | None
    header: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sections: tuple[Section, ...] = ()
    tflite: Tflite | None = None
    weights: tuple[TensorGroup, ...] = ()
    parts: tuple[str, ...] = ()
    backends: tuple[str, ...] | None = None
    npu: tuple[str, str] | None = None
    model_type: str | None = None
    context: int | None = None
    min_runtime: str | None = None
    findings: tuple[Finding, ...] = ()
    sha256: str | None = None

    @property
    def models(self) -> tuple[Tflite, ...]:
        """All TFLite models in the file."""
        inner = [section.tflite for section in self.sections if section.tflite is not None]
        return (*([self.tflite] if self.tflite else []), *inner)

    @property
    def tensors(self) -> tuple[TensorGroup, ...]:
        """All weights in the file."""
        return (*self.weights, *(group for model in self.models for group in model.weights))

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    def facts(self) -> dict[str, Any]:
        """Facts by name for conditions (`profiles/conditions.py`). Unknown ones are left out."""
        return {name: value for name, of in FACTS.items() if (value := of(self)) is not None}


FACTS: Mapping[str, Callable[[ModelFile], Any]] = {
    "file.format": lambda file: file.format,
    "file.extension": lambda file: file.extension,
    "file.complete": lambda file: file.complete,
    "file.backend": lambda file: file.tflite.backend if file.tflite else None,
    "file.backends": lambda file: file.backends,
    "file.npu_soc": lambda file: (file.npu[1] or None) if file.npu else None,
    "file.web": lambda file: any(f.code == "web-only" for f in file.findings),
}
"""What conditions may ask of a model file."""
