"""What a probe asks, in which order, and what it leaves alone: real targets, with stand-ins for a phone's tools
and for the agent that say in a file that they were called."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gemmafit.base.errors import ToolchainError
from gemmafit.base.events import Event
from gemmafit.cli.app import app
from gemmafit.probes.adb.server import AdbServer, Address
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.adb.transport import Transport
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.collect import collect
from gemmafit.probes.files import dump_capture, parse_capture
from gemmafit.probes.local import LocalTarget
from gemmafit.probes.read import read
from gemmafit.profiles.knowledge import Knowledge
from gemmafit.profiles.loader import load
from gemmafit.tests.probes.test_targets import FakeServer

GLES = "GLES: {}, {}, OpenGL ES 3.2 v1"
ADRENO = GLES.format("Qualcomm", "Adreno (TM) 750")
CXT = GLES.format("Imagination Technologies", "PowerVR C-Series CXTP-48-1536 MC1")

LIMITS = {"maxStorageBufferRange": 1 << 27, "maxComputeWorkGroupInvocations": 1024, "timestampPeriod": 52.0}
PROPERTIES = {
    "apiVersion": 4206592, "driverVersion": 7, "vendorID": 0x5143, "deviceID": 9, "deviceType": 1,
    "deviceName": "Adreno (TM) 750", "limits": LIMITS,
}  # fmt: skip
DRIVER = {"driverID": 8, "driverName": "Qualcomm", "driverInfo": "x"}
MEMORY = {"memoryHeaps": [{"size": 8 << 30, "flags": 1}]}
NAMES = {"VK_KHR_16bit_storage": 1}
VKJSON = {
    "devices": [
        {
            "properties": PROPERTIES,
            "VK_KHR_driver_properties": {"driverPropertiesKHR": DRIVER},
            "VK_KHR_16bit_storage": {"16bitStorageFeaturesKHR": {"storageBuffer16BitAccess": 1}},
            "VK_KHR_shader_float16_int8": {
                "shaderFloat16Int8FeaturesKHR": {"shaderFloat16": 1, "shaderInt8": 0}
            },
            "subgroupProperties": {"subgroupSize": 64},
            "memory": MEMORY,
            "extensions": [{"extensionName": name, "specVersion": v} for name, v in NAMES.items()],
        }
    ]
}
AGENTS = {
    "VkPhysicalDeviceProperties": PROPERTIES,
    "VkPhysicalDeviceDriverProperties": DRIVER,
    "VkPhysicalDevice16BitStorageFeatures": {"storageBuffer16BitAccess": True},
    "VkPhysicalDeviceShaderFloat16Int8Features": {"shaderFloat16": True, "shaderInt8": False},
    "VkPhysicalDeviceSubgroupProperties": {"subgroupSize": 64},
    "VkPhysicalDeviceMemoryProperties": MEMORY,
    "extensions": NAMES,
    "queueFamilies": [],
}
SEES = {"devices": [AGENTS], "error": None}
NONE = {"devices": [], "error": "no Vulkan driver: VK_ERROR_INCOMPATIBLE_DRIVER (-9) in vkCreateInstance"}
DIED = {"error": "the driver did not answer: it crashed, or hung until the deadline"}


class Phone:
    """The tools of a phone before those of this computer, and an agent."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._bin = folder / "bin"
        self._bin.mkdir()
        patch.setenv("PATH", f"{self._bin}:{os.environ['PATH']}")
        self.answers("cmd", json.dumps(VKJSON))
        self.answers("dumpsys", ADRENO)
        self.answers("getprop", "[ro.build.version.sdk]: [34]\n[ro.product.cpu.abilist]: [arm64-v8a]\n")

    def program(self, name: str, text: str) -> Path:
        path = self._bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._folder}/calls\n{text}\n')
        path.chmod(0o755)
        return path

    def answers(self, name: str, text: str) -> None:
        (self._folder / f"{name}.txt").write_text(text)
        self.program(name, f"cat {self._folder}/{name}.txt")

    def agent(self, vulkan: str | dict[str, Any]) -> LocalTarget:
        """A target whose agent sees no OpenCL, and for Vulkan writes this part, or does this."""

        def part(name: str, said: dict[str, Any]) -> str:
            return f"cat > probe.json <<'END'\n{json.dumps({'agent': '1', 'cpu': {}, name: said})}\nEND"

        does = part("vulkan", vulkan) if isinstance(vulkan, dict) else vulkan
        other = part("opencl", {"attempts": [], "error": "none"})
        path = self.program("agent", f"case $5 in vulkan)\n{does}\n;; *)\n{other}\n;; esac")
        return LocalTarget(interpreter="agent", agent=lambda abi: path)

    @property
    def calls(self) -> list[str]:
        """`cmd` as it was called, and of the agent the backend; what is asked always is left out."""
        words = [line.split() for line in (self._folder / "calls").read_text().splitlines()]
        return [" ".join(w) if w[0] == "cmd" else w[5] for w in words if w[0] in ("cmd", "agent")]


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phone:
    return Phone(tmp_path, monkeypatch)


ASKED = "cmd gpu vkjson"
WROTE = 'echo \'{"agent": "1", "cpu": {}}\' > probe.json\n'


@pytest.mark.parametrize(
    ("vulkan", "asked"),
    [
        (SEES, False),
        (NONE, False),
        ({**NONE, "error": "no Vulkan loader could be opened: not found"}, False),
        # A driver that killed our process, or hung in it, would do so in the system's.
        (DIED, False),
        (WROTE + "kill -SEGV $$", False),
        # No word about the driver: ours is at fault.
        ("kill -ILL $$", True),
        ("exit 3", True),
        ("echo '{' > probe.json", True),
        (WROTE, True),
        (WROTE + "exit 3", True),
    ],
    ids=["devices", "no driver", "no loader", "died in the driver", "died opening it", "died before", "refused",
         "unreadable", "says nothing", "says nothing and refuses"],
)  # fmt: skip
def test_the_system_is_asked_last_and_only_where_the_agent_has_no_answer(
    phone: Phone, vulkan: str | dict[str, Any], asked: bool
) -> None:
    capture = collect(phone.agent(vulkan))
    assert phone.calls == ["cpu", "opencl", "vulkan", *([ASKED] if asked else [])]
    assert ("vkjson" in capture.commands) is asked
    snapshot = read(parse_capture(dump_capture(capture)))
    if asked:
        assert (snapshot.vulkan.device, snapshot.sources["vulkan"]) == ("Adreno (TM) 750", ASKED)
    elif vulkan is SEES:
        assert snapshot.vulkan.present and snapshot.sources["vulkan"] == "agent"
    else:
        assert not snapshot.vulkan.present and snapshot.vulkan.error


def test_an_agent_that_does_not_exist_leaves_it_to_the_system(phone: Phone) -> None:
    def missing(abi: str) -> Path:
        raise ToolchainError("no agent for this processor")

    capture = collect(LocalTarget(interpreter="agent", agent=missing))
    assert capture.agent is not None
    assert all("no agent" in part["error"] for part in capture.agent["probe"].values())
    assert phone.calls == [ASKED] and read(capture).vulkan.present


def test_without_push_it_is_asked_unless_nobody_wants_to_know(phone: Phone) -> None:
    assert "vkjson" not in collect(LocalTarget(), push=False, system=False).commands
    assert phone.calls == []
    assert "vkjson" in collect(LocalTarget(), push=False).commands
    assert phone.calls == [ASKED]


def test_the_agent_and_the_system_tell_the_same(phone: Phone) -> None:
    """Every fact of Snapshot.vulkan, from either source; `properties` is each source's own text."""
    own = read(collect(phone.agent(SEES))).vulkan
    systems = read(collect(LocalTarget(), push=False)).vulkan
    assert own.subgroup_size == 64 and own.heaps == (8 << 30,)
    assert {**own.__dict__, "properties": 0} == {**systems.__dict__, "properties": 0}


def test_drivers_that_reset_the_phone_are_not_opened(phone: Phone) -> None:
    phone.answers("dumpsys", CXT)
    capture = collect(phone.agent(SEES))
    assert phone.calls == ["cpu"]
    snapshot = read(parse_capture(dump_capture(capture)))
    for part in (snapshot.opencl, snapshot.vulkan):
        assert part.present is None
        assert part.error is not None and "not opened: known fault powervr-cxt-reset" in part.error
    assert len([warning for warning in snapshot.warnings if "powervr-cxt-reset" in warning]) == 2


def test_they_are_opened_by_force(phone: Phone) -> None:
    phone.answers("dumpsys", CXT)
    assert read(collect(phone.agent(SEES), force=True)).vulkan.present
    assert phone.calls == ["cpu", "opencl", "vulkan"]


def test_force_does_not_ask_the_system(phone: Phone) -> None:
    phone.answers("dumpsys", CXT)
    capture = collect(phone.agent("exit 3"), force=True)
    assert ASKED not in phone.calls
    assert "powervr-cxt-reset" in capture.recorded["left_alone"]["vkjson"]


def test_what_one_probe_tells_keeps_from_the_next(phone: Phone, overlay: Callable[[str], Knowledge]) -> None:
    """A fact that only the agent's OpenCL probe brings."""
    known = overlay("{fact: backend, is: vulkan}, {fact: opencl.error, contains: none}")
    capture = collect(phone.agent(SEES), knowledge=known)
    assert phone.calls == ["cpu", "opencl"]
    assert capture.agent is not None and capture.agent["probe"]["vulkan"]["left_alone"] is True


@pytest.fixture
def overlay(tmp_path: Path) -> Callable[[str], Knowledge]:
    def make(conditions: str) -> Knowledge:
        folder = tmp_path / "profiles"
        folder.mkdir()
        (folder / "drivers.yaml").write_text(
            "- {id: mine, effect: reboot, severity: fail, remedy: r, because: b, source: s, "
            f"when: {{all: [{conditions}]}}}}\n",
            encoding="utf-8",
        )
        return load(folder)

    return make


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def adb(server: FakeServer) -> AdbTarget:
    """A phone behind an adb server, whose shell is this computer's with the stand-ins."""
    return AdbTarget(Transport(AdbServer(Address.of(server.address)), "A"))


@pytest.mark.parametrize(("hardware", "asked"), [("qcom", True), ("ranchu", False), ("goldfish_x86", False)])
def test_an_emulator_is_not_asked(adb: AdbTarget, phone: Phone, hardware: str, asked: bool) -> None:
    phone.answers("dumpsys", GLES.format("Virtual", "Virtual GPU"))
    phone.answers("getprop", f"[ro.hardware]: [{hardware}]\n[ro.build.version.sdk]: [34]\n")
    vulkan = read(collect(adb, push=False)).vulkan
    assert phone.calls == ([ASKED] if asked else [])
    if not asked:
        assert vulkan.present is None
        assert vulkan.error is not None and "vkjson-emulator" in vulkan.error


def test_a_phone_that_is_gone_after_the_question_leaves_its_other_answers(
    server: FakeServer, adb: AdbTarget, phone: Phone
) -> None:
    def listen(event: Event) -> None:
        if event.message == "asking A 1 questions":
            server.refusal = "device 'A' not found"

    phone.answers("dumpsys", GLES.format("Virtual", "Virtual GPU"))
    capture = collect(adb, push=False, on_event=listen)
    assert "getprop" in capture.commands and "storage" in capture.commands
    assert "device 'A' not found" in capture.recorded["incomplete"]


def test_a_recording_with_both_reads_the_agent(phone: Phone) -> None:
    """Recordings of earlier versions asked every phone."""
    answers = {"vkjson": Answer(0, json.dumps({"devices": [{"properties": {"deviceName": "other"}}]}))}
    agents = Capture("adb", {}, answers, {"probe": {"vulkan": SEES}})
    assert read(agents).vulkan.device == "Adreno (TM) 750"
    assert read(Capture("adb", {}, answers, {"probe": {"vulkan": NONE}})).vulkan.present is False
    assert read(Capture("adb", {}, answers)).vulkan.device == "other"


@pytest.mark.parametrize("command", ["probe", "record"])
def test_the_commands_have_a_force_of_their_own(phone: Phone, tmp_path: Path, command: str) -> None:
    phone.answers("dumpsys", CXT)
    out = tmp_path / "out.yaml"
    for force in ([], ["--force"]):
        options = ["-o", str(out), "-q", *(["--format", "yaml"] if command == "probe" else [])]
        done = CliRunner().invoke(app, [command, "local", *options, *force], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert ("powervr-cxt-reset" in out.read_text("utf-8")) is not bool(force)
