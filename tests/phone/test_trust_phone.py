"""A phone that changes while it is measured: its limits fall or it gets warm, and the rows are void for that reason."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gemmafit.probes.adb.server import AdbServer
from gemmafit.tests.phone.vphone.handle import PROFILES, Phone

pytestmark = pytest.mark.alone  # rows that other programs disturbed are void

GEMMAFIT = (sys.executable, "-m", "gemmafit.cli.main")
CPU = "sys/devices/system/cpu"
DUMP_POWER = "system/etc/answers/dumpsys power"
THERMAL = "system/etc/answers/dumpsys thermalservice"
BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  status: 2
  level: 4
  scale: 100
  temperature: 310
"""

POWER = """\
POWER MANAGER (dumpsys power)

Power Manager State:
  mWakefulness={wakefulness}
Battery saving stats:
    Battery Saver is currently: {saver}
"""
AWAKE = POWER.format(wakefulness="Awake", saver="OFF")

Change = Callable[[Phone], None]


def throttle(phone: Phone) -> None:
    """As the kernel's thermal driver does: a lower limit for each core."""
    for file in (phone.root / CPU).glob("cpu*/cpufreq/scaling_max_freq"):
        file.write_text("1200000\n")


def drop_a_little(phone: Phone) -> None:
    for file in (phone.root / CPU).glob("cpu*/cpufreq/scaling_max_freq"):
        file.write_text("1800000\n")


def warm_up(phone: Phone) -> None:
    (phone.root / THERMAL).write_text("IsStatusOverride: false\nThermal Status: 2\n")


def save_battery(phone: Phone) -> None:
    (phone.root / DUMP_POWER).write_text(POWER.format(wakefulness="Awake", saver="ON"))


def sleep(phone: Phone) -> None:
    (phone.root / DUMP_POWER).write_text(POWER.format(wakefulness="Asleep", saver="OFF"))


def sleep_and_slow_down(phone: Phone) -> None:
    sleep(phone)
    throttle(phone)


def nothing(phone: Phone) -> None:
    pass


@pytest.fixture
def phone(boot: Callable[[Path], Phone], tmp_path: Path) -> Phone:
    """An x86_64 phone that says how far its cores may clock, how warm it is, and that it is charging at 4 %."""
    profile: dict[str, Any] = yaml.safe_load((PROFILES / "plain-x86_64.yaml").read_text("utf-8"))
    cores = {"present": "0-1\n", "possible": "0-1\n", "online": "0-1\n"}
    for cpu in (0, 1):
        for name, value in (("cpuinfo_max_freq", 2000000), ("scaling_max_freq", 2000000)):
            cores[f"cpu{cpu}/cpufreq/{name}"] = f"{value}\n"
        cores[f"cpu{cpu}/cpufreq/scaling_governor"] = "schedutil\n"
    profile["files"] |= {f"/{CPU}/{name}": text for name, text in cores.items()}
    profile["answers"] |= {
        "dumpsys thermalservice": "IsStatusOverride: false\nThermal Status: 0\n",
        "dumpsys battery": BATTERY,
        "dumpsys power": AWAKE,
        "dumpsys window policy": "WINDOW MANAGER POLICY STATE\n  showing=false\n",
    }
    file = tmp_path / "phone.yaml"
    file.write_text(yaml.safe_dump(profile), "utf-8")
    return boot(file)


def run(phone: Phone, server: AdbServer, out: Path, change: Change, *command: str) -> dict[str, Any]:
    """Run a command on the phone, which changes while the first plan runs; what was written."""
    arguments = [phone.serial, "--adb", str(server.address), "-o", str(out), "--backend", "cpu", "--quick"]
    server.attach(phone.serial)
    host = subprocess.Popen(
        [*GEMMAFIT, *command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    ended = threading.Event()
    watcher = threading.Thread(target=_when_it_runs, args=(phone, change, ended))
    watcher.start()
    try:
        _, message = host.communicate(timeout=600)
    finally:
        host.kill()
        host.wait()
        ended.set()
        watcher.join()
    assert host.returncode in (0, 1, 5) and "Traceback" not in message, message
    return dict(yaml.safe_load(out.read_text("utf-8")))


def _when_it_runs(phone: Phone, change: Change, ended: threading.Event) -> None:
    while not ended.wait(0.01):
        if any("gemmafit-agent run" in line for line in phone.processes().values()):
            change(phone)
            return


VOID = [
    (throttle, "throttled: the limit of cpu 0 fell from 2000 to 1200 MHz"),
    (warm_up, "the thermal status went from 0 to 2"),
    (save_battery, "battery saver went on while it was measured"),
    (
        sleep_and_slow_down,
        "throttled: the limit of cpu 0 fell from 2000 to 1200 MHz when the screen went off",
    ),
]
NAMES = ["frequency", "thermal", "battery saver", "screen and frequency"]


@pytest.mark.parametrize(("change", "reason"), VOID, ids=NAMES)
def test_a_benchmark_of_a_phone_that_changes_is_void(
    change: Change, reason: str, phone: Phone, adb_server: AdbServer, tmp_path: Path
) -> None:
    data = run(phone, adb_server, tmp_path / "rows.yaml", change, "bench", "--scheme", "int8")
    timed = [row for row in data["measurements"] if row.get("samples_s")]
    assert len(timed) >= 5
    void = [row for row in timed if not row.get("valid", True)]
    assert void and {row["reason"] for row in void} == {reason}
    if change is save_battery:  # what came after it went on was measured in one state, which caps the clocks
        later = [row for row in timed if row.get("valid", True)]
        assert later and all(row["details"]["capped"] == ["battery saver was on"] for row in later)
    else:
        assert void == timed
    assert any(f"rows are void: {reason}." in note for note in data["notes"])
    assert change is save_battery or any("nothing measured" in f["text"] for f in data["findings"])
    before, after = data["conditions"]["before"], data["conditions"]["after"]
    assert before["cpu_max_mhz"] == {0: 2000, 1: 2000} and before["governor"] == "schedutil"
    assert (before["thermal_status"], after["thermal_status"]) == (0, 2 if change is warm_up else 0)
    assert after["cpu_max_mhz"][0] == (1200 if change in (throttle, sleep_and_slow_down) else 2000)
    assert (before["battery_saver"], after["battery_saver"]) == (False, change is save_battery)
    assert (before["screen_on"], after["screen_on"]) == (True, change is not sleep_and_slow_down)
    assert len(data["conditions"]["spans"]) >= 1


@pytest.mark.parametrize(("change", "reason"), VOID, ids=NAMES)
def test_a_check_of_a_phone_that_changes_predicts_nothing_from_it(
    change: Change, reason: str, phone: Phone, adb_server: AdbServer, tmp_path: Path
) -> None:
    report = run(phone, adb_server, tmp_path / "report.yaml", change, "check")
    timed = [row for row in report["measurements"] if row.get("samples_s")]
    assert timed and all(row["valid"] is False and row["reason"] == reason for row in timed)
    (remark,) = [check for check in report["checks"] if check["id"] == "cpu.conditions"]
    assert remark["status"] == "warn" and reason in remark["found"]
    assert any(reason in note for note in report["notes"])
    assert all((v["predicted"] or {}).get("basis") != "measured" for v in report["variants"])
    spans = report["conditions"]["spans"]
    assert spans["cpu"] == {key: report["conditions"][key] for key in ("before", "after")}


def test_battery_charger_and_small_drops_are_said_and_void_nothing(
    phone: Phone, adb_server: AdbServer, tmp_path: Path
) -> None:
    data = run(phone, adb_server, tmp_path / "rows.yaml", drop_a_little, "bench", "--scheme", "int8")
    assert all(row.get("valid", True) for row in data["measurements"])
    before = data["conditions"]["before"]
    assert (before["battery_percent"], before["charging"], before["battery_temperature_c"]) == (4, True, 31.0)
    notes = " ".join(data["notes"])
    assert "The battery is at 4 %" in notes and "It was charging" in notes
    assert "void" not in notes and data["conditions"]["after"]["cpu_max_mhz"][0] == 1800


def test_a_screen_that_goes_off_is_said_and_voids_nothing(
    phone: Phone, adb_server: AdbServer, tmp_path: Path
) -> None:
    data = run(phone, adb_server, tmp_path / "rows.yaml", sleep, "bench", "--scheme", "int8")
    assert all(row.get("valid", True) for row in data["measurements"])
    assert any("The screen went off while it was measured" in note for note in data["notes"])
    before, after = data["conditions"]["before"], data["conditions"]["after"]
    assert (before["screen_on"], after["screen_on"], before["locked"]) == (True, False, False)


def test_battery_saver_all_the_while_marks_what_was_measured(
    phone: Phone, adb_server: AdbServer, tmp_path: Path
) -> None:
    save_battery(phone)
    report = run(phone, adb_server, tmp_path / "report.yaml", nothing, "check")
    timed = [row for row in report["measurements"] if row.get("samples_s")]
    assert timed and all(row.get("valid", True) for row in timed)
    assert all(row["details"]["capped"] == ["battery saver was on"] for row in timed)
    (remark,) = [check for check in report["checks"] if check["id"] == "device.conditions"]
    assert remark["found"] == "battery saver was on" and "battery saver" in remark["remedy"]
    assert any("Battery saver is on" in note for note in report["notes"])
    marked = [v for v in report["variants"] if (v["predicted"] or {}).get("basis") == "measured"]
    assert marked and all(v["predicted"]["capped"] == "battery saver was on" for v in marked)
