"""Result files: written and read back, and read from a device that lies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmafit.base.errors import AgentError
from gemmafit.base.names import Status
from gemmafit.benchmarks.interpreter.contention import Load, StepContention
from gemmafit.benchmarks.interpreter.interface import DeviceInfo
from gemmafit.benchmarks.interpreter.result import Build, ResultWriter, StepResult, read

FACTS = StepContention(2, True, 4, (9, 11), (0, 1), 20, own_ns=21, switches=3)


@pytest.fixture
def good(tmp_path: Path) -> tuple[Path, Path]:
    writer = ResultWriter(tmp_path / "result", "opencl", "1.2", "linux-x86_64", "pyopencl")
    writer.device = DeviceInfo("GPU", "r26p0", "gpu")
    writer.builds.append(Build("k", Status.OK, 0.5, "log"))
    for name in ("a", "b"):
        rows = writer.append({name: np.arange(10, dtype=np.uint8), "x": np.full(3, 7, np.uint8)})
        step = StepResult(name, Status.OK, None, (5, 6), (3, 4), ("h", "h"), rows)
        writer.steps.append(replace(step, contention=FACTS if name == "a" else None))
        writer.save()
    writer.save(complete=True)
    return tmp_path / "result.json", tmp_path / "result.bin"


def test_round_trip(good: tuple[Path, Path]) -> None:
    result = read(*good)
    assert (
        result.complete
        and result.executor == "pyopencl"
        and result.device == DeviceInfo("GPU", "r26p0", "gpu")
    )
    step = result.step("b")
    assert step is not None and step.deterministic and step.samples_ns == (5, 6)
    out = result.output(step, "a")
    assert out is None
    out = result.output(step, "b")
    assert out is not None and out.tolist() == list(range(10))
    assert result.output(step, "x") is not None and result.step("c") is None


def test_what_else_the_machine_did_comes_back_and_unknown_stays_unknown(good: tuple[Path, Path]) -> None:
    result = read(*good)
    assert [step.contention for step in result.steps] == [FACTS, None]
    content = json.loads(good[0].read_text())
    assert "machine_ns" not in content["steps"][0]["contention"] and "contention" not in content["steps"][1]
    content["load"] = {"before": {"average": 1.5}, "after": {"pressure_percent": 20}}
    good[0].write_text(json.dumps(content))
    assert read(*good).load == Load(None, 20.0)
    del content["load"]["after"]  # it was stopped
    good[0].write_text(json.dumps(content))
    assert read(*good).load == Load(1.5, None)
    del content["load"]
    good[0].write_text(json.dumps(content))
    assert read(*good).load == Load()


def test_different_bits_are_noticed(good: tuple[Path, Path]) -> None:
    content = json.loads(good[0].read_text())
    content["steps"][0]["bits"] = ["h", "i"]
    content["steps"][1]["bits"] = ["h"]
    good[0].write_text(json.dumps(content))
    assert [s.deterministic for s in read(*good).steps] == [False, None]


def test_a_timer_of_zero_is_no_timer(good: tuple[Path, Path]) -> None:
    content = json.loads(good[0].read_text())
    content["steps"][0]["device_ns"] = [0, 0]
    good[0].write_text(json.dumps(content))
    assert read(*good).steps[0].device_ns == ()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("steps", 0, "outputs", 0, "bytes"), 1 << 40),
        (("steps", 0, "outputs", 0, "offset"), -1),
        (("steps", 0, "outputs", 0, "bytes"), "10"),
        (("steps", 0, "outputs"), {"a": 1}),
        (("steps", 0, "samples_ns"), [1, "2"]),
        (("steps", 0, "samples_ns"), [-5]),
        (("steps", 0, "samples_ns"), [True]),
        (("steps", 0, "status"), "fine"),
        (("steps", 0), "decode"),
        (("steps",), None),
        (("complete",), "yes"),
        (("device",), ["GPU"]),
        (("build", 0, "seconds"), "fast"),
        (("memory",), 5),
        (("load",), [1]),
        (("load", "after"), {"average": -1}),
        (("load", "after"), {"pressure_percent": "high"}),
        (("steps", 0, "contention"), 5),
        (("steps", 0, "contention", "threads"), 0),
        (("steps", 0, "contention", "cores"), 1 << 70),
        (("steps", 0, "contention", "cpu_ns"), [1]),
        (("steps", 0, "contention", "waited_ns"), [-1, 1]),
        (("steps", 0, "contention", "waited_ns"), [1, 2, 3]),
        (("steps", 0, "contention", "machine_ns"), -5),
        (("steps", 0, "contention", "span_ns"), 10**30),
        (("steps", 0, "contention", "computing"), "yes"),
    ],
    ids=lambda v: ".".join(map(str, v)) if isinstance(v, tuple) else None,
)
def test_a_lie_is_refused(good: tuple[Path, Path], path: tuple[Any, ...], value: Any) -> None:
    content = json.loads(good[0].read_text())
    at = content
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    good[0].write_text(json.dumps(content))
    with pytest.raises(AgentError, match=r"result\.json"):
        read(*good)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_garbage_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "result.json").write_bytes(text)
    with pytest.raises(AgentError, match=r"result\.json"):
        read(tmp_path / "result.json", None)


def test_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(b" " * (9 << 20))
    with pytest.raises(AgentError, match="larger"):
        read(tmp_path / "result.json", None)


def test_outputs_without_data_are_refused(good: tuple[Path, Path]) -> None:
    with pytest.raises(AgentError, match="within"):
        read(good[0], None)


def test_long_texts_are_cut(good: tuple[Path, Path]) -> None:
    content = json.loads(good[0].read_text())
    content["build"][0]["log"] = "x" * 100_000
    good[0].write_text(json.dumps(content))
    assert len(read(*good).builds[0].log) == 4000
