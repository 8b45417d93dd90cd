"""Result files of a plan, `NAME.json` and `NAME.bin`: written by the Python workers, read for all.

The format is in docs/plan-format.md. A result may come from a phone: reading it believes nothing about
types, sizes and lengths, and never reads more than the plan's outputs can be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...base.errors import AgentError, InputError
from ...base.files import read_text
from ...base.names import Status
from ...base.protocol import LOG_MAX
from ...base.system import peak_rss
from .contention import NO_LOAD, Load, StepContention, load_now
from .interface import DeviceInfo

MAX_JSON = 8 << 20


@dataclass(frozen=True)
class Build:
    """How one kernel compiled. `status` is ok or error, `log` the compiler's words, cut. `kept`: it was not
    compiled but taken from what an earlier process of the session kept."""

    kernel: str
    status: Status
    seconds: float
    log: str = ""
    kept: bool = False


@dataclass(frozen=True)
class StepOutput:
    """Where a returned buffer lies in the .bin file."""

    name: str
    offset: int
    bytes: int


@dataclass(frozen=True)
class StepResult:
    """One step. `samples_ns` and `device_ns` per timed repeat; `bits` one hash of all outputs per repeat.
    `peak_rss_bytes`: largest resident size while it ran, of a step that loads; 0: not known. `contention`:
    what else the machine did meanwhile; None where nothing was timed."""

    name: str
    status: Status
    reason: str | None = None
    samples_ns: tuple[int, ...] = ()
    device_ns: tuple[int, ...] = ()
    bits: tuple[str, ...] = ()
    outputs: tuple[StepOutput, ...] = ()
    peak_rss_bytes: int = 0
    contention: StepContention | None = None

    @property
    def deterministic(self) -> bool | None:
        """Whether all repeats returned the same bits; None with fewer than two."""
        return None if len(self.bits) < 2 else len(set(self.bits)) == 1


@dataclass(frozen=True)
class Result:
    """A result file, with the outputs still on disk."""

    backend: str
    complete: bool
    error: str | None
    device: DeviceInfo | None
    agent: str | None = None
    abi: str | None = None
    peak_rss: int | None = None
    builds: tuple[Build, ...] = ()
    steps: tuple[StepResult, ...] = ()
    data: Path | None = None
    written_by: str | None = None
    too_large: bool = False
    """Nothing was run, as the plan needs more memory than it may have."""
    load: Load = NO_LOAD
    """After the plan; before it where it did not come to its end."""

    @property
    def executor(self) -> str:
        """Who wrote it: agent, pyopencl or vulkan."""
        return self.written_by or "agent"

    def step(self, name: str) -> StepResult | None:
        return next((s for s in self.steps if s.name == name), None)

    def output(self, step: StepResult, name: str) -> NDArray[np.uint8] | None:
        """The bytes of one returned buffer, or None if it was not returned."""
        for o in step.outputs:
            if o.name == name and self.data is not None:
                with self.data.open("rb") as f:
                    f.seek(o.offset)
                    return np.frombuffer(f.read(o.bytes), np.uint8)
        return None


class ResultWriter:
    """Writes a result as it grows: after each `save` the files hold everything added so far."""

    def __init__(self, base: Path, backend: str, version: str, abi: str, executor: str) -> None:
        self._json = base.with_name(base.name + ".json")
        self._bin = base.with_name(base.name + ".bin")
        self._bin.write_bytes(b"")
        self._offset = 0
        self.head: dict[str, Any] = {"agent": version, "abi": abi, "backend": backend, "executor": executor}
        self.error: str | None = None
        self.device: DeviceInfo | None = None
        self.builds: list[Build] = []
        self.steps: list[StepResult] = []
        self._load = {"before": load_now().to_dict()}

    def append(self, outputs: Mapping[str, NDArray[np.uint8]]) -> tuple[StepOutput, ...]:
        """Store the outputs of one step."""
        rows: list[StepOutput] = []
        with self._bin.open("ab") as f:
            for name, data in outputs.items():
                f.write(data.tobytes())
                rows.append(StepOutput(name, self._offset, data.nbytes))
                self._offset += data.nbytes
        return tuple(rows)

    def save(self, complete: bool = False) -> None:
        """Replace the JSON file, so that a reader never sees half of it."""
        text = {
            **self.head,
            "complete": complete,
            "error": self.error,
            "device": None if self.device is None else vars(self.device),
            "memory": {"peak_rss_bytes": peak_rss()},
            "load": {**self._load, **({"after": load_now().to_dict()} if complete else {})},
            "build": [{**vars(b), "status": str(b.status)} for b in self.builds],
            "steps": [_step_row(s) for s in self.steps],
        }
        part = self._json.with_suffix(".part")
        part.write_text(json.dumps(text), encoding="utf-8")
        part.replace(self._json)


def _step_row(step: StepResult) -> dict[str, Any]:
    row = {**vars(step), "status": str(step.status), "outputs": [vars(o) for o in step.outputs]}
    del row["contention"]
    return row if step.contention is None else {**row, "contention": step.contention.to_dict()}


T = TypeVar("T")


def read(json_path: Path, data: Path | None) -> Result:
    """Read a result. Raises AgentError naming the file and the field that cannot be."""
    try:
        root = json.loads(read_text(json_path, MAX_JSON, "result", errors="replace"))
    except InputError as error:  # its folder is of no use to anybody, and what is said here may be recorded
        raise AgentError(str(error).removeprefix(f"{json_path.parent}/")) from error
    except (ValueError, RecursionError) as error:
        raise AgentError(f"{json_path.name}: {error}") from error
    available = data.stat().st_size if data is not None and data.exists() else 0
    try:
        return _result(_Fields(root), data, available)
    except (TypeError, ValueError) as error:
        raise AgentError(f"{json_path.name}: {error}") from error


@dataclass(frozen=True)
class _Fields:
    """A JSON object whose fields are checked as they are read."""

    value: Any = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.value, dict):
            raise TypeError(f"expected an object, found {type(self.value).__name__}")

    def get(self, name: str, kind: type[T]) -> T:
        found = self.value.get(name)
        if kind is float and type(found) is int:
            found = float(found)
        if type(found) is not kind:
            raise TypeError(f"{name}: expected {kind.__name__}, found {type(found).__name__}")
        return found

    def part(self, name: str) -> _Fields | None:
        return None if self.value.get(name) is None else _Fields(self.value[name])

    def count(self, name: str) -> int | None:
        found = None if self.value.get(name) is None else self.get(name, int)
        if found is not None and not 0 <= found < 1 << 63:
            raise ValueError(f"{name}: a count that cannot be")
        return found

    def amount(self, name: str) -> float | None:
        found = None if self.value.get(name) is None else self.get(name, float)
        if found is not None and not 0 <= found < float("inf"):
            raise ValueError(f"{name}: no amount")
        return found

    def text(self, name: str) -> str | None:
        return None if self.value.get(name) is None else self.get(name, str)[:LOG_MAX]

    def rows(self, name: str, read: Callable[[_Fields], T]) -> tuple[T, ...]:
        return tuple(read(_Fields(row)) for row in self.get(name, list))

    def items(self, name: str, kind: type[T]) -> tuple[T, ...]:
        found = tuple(self.get(name, list))
        if any(type(v) is not kind for v in found):
            raise TypeError(f"{name}: expected a list of {kind.__name__}")
        return found


def _result(f: _Fields, data: Path | None, available: int) -> Result:
    def output(o: _Fields) -> StepOutput:
        offset, size = o.get("offset", int), o.get("bytes", int)
        if offset < 0 or size < 0 or offset + size > available:
            raise ValueError(f"outputs: {offset}+{size} is not within the {available} bytes of data")
        return StepOutput(o.get("name", str), offset, size)

    def step(s: _Fields) -> StepResult:
        samples, device = s.items("samples_ns", int), s.items("device_ns", int)
        if any(t <= 0 for t in samples):
            raise ValueError("samples_ns: a time that is not positive")
        return StepResult(
            s.get("name", str),
            Status(s.get("status", str)),
            s.text("reason"),
            samples,
            () if any(t <= 0 for t in device) else device,  # a timer that reports 0 is no timer
            s.items("bits", str),
            s.rows("outputs", output),
            max(0, s.get("peak_rss_bytes", int)) if "peak_rss_bytes" in s.value else 0,
            _contention(s.part("contention"), len(samples)),
        )

    def build(b: _Fields) -> Build:
        log = b.text("log") or ""
        status, kept = Status(b.get("status", str)), b.value.get("kept") is True
        return Build(b.get("kernel", str), status, b.get("seconds", float), log, kept)

    device = None
    if f.value.get("device") is not None:
        d = _Fields(f.value["device"])
        device = DeviceInfo(d.text("name") or "", d.text("driver") or "", d.text("type") or "other")
    memory = _Fields(f.value["memory"]) if f.value.get("memory") else _Fields({})
    return Result(
        f.get("backend", str),
        f.get("complete", bool),
        f.text("error"),
        device,
        f.text("agent"),
        f.text("abi"),
        memory.value.get("peak_rss_bytes") if type(memory.value.get("peak_rss_bytes")) is int else None,
        f.rows("build", build),
        f.rows("steps", step),
        data if available else None,
        f.text("executor"),
        memory.value.get("too_large") is True,
        _load(f.part("load")),
    )


def _contention(c: _Fields | None, repeats: int) -> StepContention | None:
    if c is None:
        return None
    cpu = c.items("cpu_ns", int)
    waited = c.items("waited_ns", int) if "waited_ns" in c.value else None
    if len(cpu) != repeats or (waited is not None and len(waited) != repeats):
        raise ValueError("contention: not as many values as repeats")
    found = StepContention(
        c.get("threads", int),
        c.get("computing", bool),
        c.get("cores", int),
        cpu,
        waited,
        c.get("span_ns", int),
        c.count("own_ns"),
        c.count("machine_ns"),
        c.count("pressure_ns"),
        c.count("switches"),
    )
    if any(not 0 <= value < 1 << 63 for value in (found.span_ns, *cpu, *(waited or ()))):
        raise ValueError("contention: a time that cannot be")
    if any(not 1 <= value < 1 << 16 for value in (found.threads, found.cores)):
        raise ValueError("contention: a count that cannot be")
    return found


def _load(f: _Fields | None) -> Load:
    now = None if f is None else f.part("after") or f.part("before")
    return NO_LOAD if now is None else Load(now.amount("average"), now.amount("pressure_percent"))
