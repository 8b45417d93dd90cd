"""`gemmafit probe` and `gemmafit record` on recordings: the screen, the data, what is escaped and redacted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from gemmafit.base.errors import InputError
from gemmafit.cli.app import app
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.files import dump_capture, read_capture

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202eevil[bold red]\n"
GETPROP = (
    "[ro.product.model]: [Phone \x1b[31mX]\n[ro.product.manufacturer]: [" + HOSTILE.strip() + "]\n"
    "[ro.build.version.sdk]: [33]\n[ro.build.version.release]: [13]\n[ro.zygote]: [zygote64_32]\n"
    "[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]\n[ro.soc.model]: [SM8350]\n"
    "[ro.board.platform]: [kona]\n[ro.serialno]: [R58M123ABCX]\n"
)
COMMANDS = {
    "getprop": Answer(0, GETPROP),
    "cpuinfo": Answer(0, "processor: 0\nCPU implementer: 0x41\nCPU part: 0xd05\nFeatures: asimd asimddp\n"),
    "meminfo": Answer(0, "MemTotal: 7656764 kB\n"),
    "surfaceflinger": Answer(0, "GLES: Qualcomm, Adreno (TM) 660, OpenGL ES 3.2 V@0522.0 (GIT@7c0af96f79)\n"),
    "public_libraries": Answer(0, "# file: /vendor/etc/public.libraries.txt\nlibOpenCL.so\n"),
    "thermal": Answer(1, "Permission Denial: x"),
}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "phone.yaml"
    agent: dict[str, Any] = {"probe": {"opencl": {"attempts": [], "error": HOSTILE, "device": None}}}
    path.write_text(
        dump_capture(Capture("adb", {"serial": "R58M123ABCX"}, COMMANDS, agent)), encoding="utf-8"
    )
    return path


def run(*args: str) -> tuple[str, str]:
    result = CliRunner().invoke(
        app, list(args), catch_exceptions=False, env={"COLUMNS": "200", "NO_COLOR": "1"}
    )
    assert result.exit_code == 0
    return result.stdout, result.stderr


def test_the_screen_says_what_a_person_wants(recording: Path) -> None:
    text, _ = run("probe", f"replay:{recording}", "-q")
    for part in (
        "Android 13",
        "64-bit apps",
        "Snapdragon 888 or Snapdragon 888+ (SM8350)",
        "Cortex-A55",
        "7.84 GB RAM",
        "Adreno 660 · Qualcomm · Adreno 6xx",
        "shell: no",
        "app: yes (app-inferred)",
        '<uses-native-library android:name="libOpenCL.so" android:required="false" />',
        "base of the WebGPU fallback",
        "was believed, not Snapdragon 865 or",
        "refused: thermal",
    ):
        assert part in text


def test_the_screen_says_what_holds_the_phone_back(tmp_path: Path) -> None:
    state = {
        "battery": Answer(0, "  USB powered: true\n  level: 80\n  scale: 100\n  temperature: 300\n"),
        "power": Answer(0, "mWakefulness=Asleep\nBattery Saver is currently: ON\nshowing=true\n"),
        "power_modes": Answer(0, "system:POWER_SAVE_MODE_OPEN=1\nsystem:#\n"),
        "thermal": Answer(
            0,
            "Thermal Status: 2\nCached temperatures:\n"
            "\tTemperature{mValue=44.2, mType=3, mName=\x1b[31mSKIN, mStatus=2}\n",
        ),
    }
    path = tmp_path / "phone.yaml"
    path.write_text(dump_capture(Capture("adb", {}, {**COMMANDS, **state})), encoding="utf-8")
    text, _ = run("probe", f"replay:{path}", "-q")
    for part in (
        "charging (usb)",
        "throttling: moderate",
        "44.2 °C",
        "screen off · locked",
        "battery saver is on: it caps the clocks",
        "Battery saver (Xiaomi) is on: it caps the clocks",
    ):
        assert part in text
    assert "\x1b" not in text


def test_stuck_services_are_said_once(tmp_path: Path) -> None:
    silent = {"battery": Answer(None, "", timed_out=True), "features": Answer(None, "", skipped=True)}
    path = tmp_path / "phone.yaml"
    path.write_text(dump_capture(Capture("adb", {}, {**COMMANDS, **silent})), encoding="utf-8")
    text, _ = run("probe", f"replay:{path}", "-q")
    assert text.count("system services do not answer") == 1 and "down: features" in text


def test_nothing_of_a_device_reaches_the_terminal_unescaped(recording: Path) -> None:
    for text in run("probe", f"replay:{recording}", "--timings"):
        assert not set(text) & set("\x1b\x07\u202e")
    assert "\\u001b" in run("probe", f"replay:{recording}")[0]


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_programs_get_everything(recording: Path, tmp_path: Path, format: str) -> None:
    out = tmp_path / "snapshot"
    run("probe", f"replay:{recording}", "--format", format, "-o", str(out))
    load = json.loads if format == "json" else yaml.safe_load
    data = load(out.read_text("utf-8"))
    assert data["schema"] == "gemmafit.snapshot/1"
    assert data["soc"] == {
        "manufacturer": "Qualcomm", "model": "SM8350", "name": None,
        "build_manufacturer": None, "build_model": "SM8350", "one_of": ["Snapdragon 888", "Snapdragon 888+"],
    }  # fmt: skip
    assert data["gpu"]["driver_version"] == [522, 0]
    assert data["opencl"]["app"]["needs_manifest"] == ["libOpenCL.so", "libvndksupport.so"]
    assert data["disagreements"][0]["because"]


def test_a_recording_of_a_recording_has_no_identifiers(recording: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.yaml"
    run("record", f"replay:{recording}", "-o", str(copy), "-q")
    assert "R58M123ABCX" not in copy.read_text("utf-8")
    assert read_capture(copy).commands["surfaceflinger"] == COMMANDS["surfaceflinger"]
    kept = tmp_path / "kept.yaml"
    run("record", f"replay:{recording}", "-o", str(kept), "-q", "--keep-identifiers")
    assert "R58M123ABCX" in kept.read_text("utf-8")


def test_no_recording(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        run("probe", f"replay:{tmp_path / 'none.yaml'}")
