"""What is left alone on a device for a known fault: which rows keep us from what, and on which devices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml

from gemmafit.base import typed
from gemmafit.base.errors import InputError
from gemmafit.base.names import MEASURED, Backend
from gemmafit.probes.snapshot import Android, Gpu, Identity, Memory, OpenCl, Snapshot
from gemmafit.profiles.hazards import not_run, reason
from gemmafit.profiles.knowledge import Fault, Knowledge, Step
from gemmafit.profiles.loader import load

PHONE = Snapshot(
    "adb",
    Identity("maker", model="TAB-8", emulator=False),
    Android("15", 35, None, ("arm64-v8a",), 64),
    memory=Memory(8 * 10**9),
    gpu=Gpu("Qualcomm", "Adreno 750", "Adreno 7xx"),
)
CXT = replace(PHONE, gpu=Gpu("Imagination", "PowerVR CXTP-48-1536", "PowerVR C-Series"))
PIXEL_10 = replace(PHONE, gpu=Gpu("Imagination", "PowerVR DXT-48-1536", "PowerVR D-Series"))

ROW = """
- id: mine
  effect: {effect}
  severity: warn
  when: {{all: [{{fact: backend, is: opencl}}, {{fact: identity.model, is: TAB-8}}{more}]}}
  remedy: none
  because: It happened.
  source: a test
{avoid}"""
ENGINE = ", {fact: runtime, is: litert-lm}"
FILE = ", {fact: model.architecture, is: gemma-2b}"


def row(effect: str, more: str = "", avoid: str = "") -> str:
    return ROW.format(effect=effect, more=more, avoid=f"  avoid: {avoid}\n" if avoid else "")


def knowledge(effect: str, more: str = "", avoid: str = "") -> Knowledge:
    """The built-in tables with this row as the only fault."""
    (fault,) = typed.convert(yaml.safe_load(row(effect, more, avoid)), tuple[Fault, ...])
    return msgspec.structs.replace(load(), drivers={fault.id: fault})


def left(snapshot: Snapshot, known: Knowledge | None = None) -> set[tuple[Step, str]]:
    """What is left alone there: (step, backend)."""
    asked: list[tuple[Step, Backend]] = [("vkjson", Backend.VULKAN)]
    asked += [(step, backend) for step in ("open", "run") for backend in MEASURED]
    return {(step, backend) for step, backend in asked if reason(step, backend, snapshot, known or load())}


def test_a_phone_without_such_a_fault_is_left_nothing_of() -> None:
    assert left(PHONE) == set()
    assert left(Snapshot("adb")) == set(), "what nobody knows is no fault"


def test_a_driver_that_resets_the_phone_is_not_even_opened() -> None:
    both = ("opencl", "vulkan")
    assert left(CXT) == {*((step, b) for step in ("open", "run") for b in both), ("vkjson", "vulkan")}
    why = not_run(MEASURED, CXT, load())
    assert set(why) == set(both)
    assert why["opencl"].startswith("known fault powervr-cxt-reset (reboot): The firmware of the GPU crashed")
    assert "ggml-org/llama.cpp#28214" in why["opencl"]


def test_a_driver_that_crashes_is_asked_and_not_run() -> None:
    assert left(PIXEL_10) == {("run", "opencl"), ("run", "vulkan")}


@pytest.mark.parametrize(
    "snapshot",
    [
        replace(PHONE, gpu=Gpu("Qualcomm", "Adreno 610", "Adreno 6xx")),
        replace(PHONE, gpu=Gpu("Arm", "Immortalis-G715", "Valhall")),
        replace(PHONE, identity=Identity("Google", model="Pixel 4")),
        replace(PHONE, identity=Identity("samsung", model="SM-G977B")),
        replace(PHONE, gpu=Gpu("Arm", "Mali-T820", "Midgard")),
    ],
    ids=lambda s: f"{s.identity.model} {s.gpu.model}",
)
def test_where_only_an_engine_fails_in_its_own_process_all_is_measured(snapshot: Snapshot) -> None:
    assert left(snapshot) == set()


@pytest.mark.parametrize(
    ("effect", "more", "avoid", "expected"),
    [
        ("reboot", "", "", {"open", "run"}),
        ("reboot", ENGINE, "", {"open", "run"}),  # whose kernels did it is no comfort
        ("reboot", FILE, "", {"open", "run"}),
        ("reboot", FILE, "[]", set()),
        ("reboot", "", "[run]", {"run"}),
        ("crash", "", "", {"run"}),
        ("crash", ENGINE, "", set()),
        ("crash", FILE, "", set()),
        ("crash", ENGINE, "[run]", {"run"}),
        ("crash", "", "[]", set()),
        ("wrong-output", "", "", set()),
        ("unstable", "", "[open]", {"open", "run"}),
        ("crash", ", {fact: opencl.driver, contains: x}", "", set()),  # not known here
    ],
)
def test_what_a_row_keeps_us_from(effect: str, more: str, avoid: str, expected: set[str]) -> None:
    known = knowledge(effect, more, avoid)
    assert left(PHONE, known) == {(step, "opencl") for step in expected}
    assert left(replace(PHONE, identity=Identity(model="TAB-9")), known) == set()


def test_a_fact_that_the_probe_brings_counts_then() -> None:
    known = knowledge("crash", ", {fact: opencl.driver, contains: E031}")
    assert left(PHONE, known) == set()
    assert left(replace(PHONE, opencl=OpenCl(driver="E031.47")), known) == {("run", "opencl")}


@pytest.mark.parametrize(
    ("snapshot", "asked"),
    [
        (PHONE, True),
        (replace(PHONE, memory=Memory()), True),
        (replace(PHONE, memory=Memory(1_900_000_000)), False),
        (replace(PHONE, memory=Memory(3_900_000_000)), True),
        (replace(PHONE, identity=Identity(emulator=True, emulator_kind="emulator: Android Emulator")), False),
        (replace(PHONE, identity=Identity(emulator=True, emulator_kind="cloud phone: redroid")), True),
        (replace(PHONE, android=None, memory=Memory(2 * 10**9)), True),
    ],
)
def test_the_question_that_restarts_phones(snapshot: Snapshot, asked: bool) -> None:
    assert (reason("vkjson", Backend.VULKAN, snapshot, load()) is None) is asked
    assert not_run(MEASURED, snapshot, load()) == {}


def test_a_step_that_does_not_exist_is_told(tmp_path: Path) -> None:
    (tmp_path / "drivers.yaml").write_text(row("crash", avoid="[probe]"), encoding="utf-8")
    with pytest.raises(InputError, match=r"drivers.yaml:9: avoid\[0\]: .*probe"):
        load(tmp_path)
