"""The same phone in each flavour of userland: every command says the same of it and leaves nothing behind.

Also what goes wrong is the same: the host is killed, the agent is killed or hangs, /data/local/tmp takes nothing.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gemmafit import __version__
from gemmafit.probes import collect as collecting
from gemmafit.probes.adb.server import AdbServer
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.tests.phone import commands
from gemmafit.tests.phone.commands import BROKE, JUDGED, nothing_is_left, run, sentence, started, yaml_of
from gemmafit.tests.phone.vphone.handle import Phone, eventually, running, variant
from gemmafit.tests.phone.vphone.userlands import USERLANDS

ORDINARY = "debian"
OTHERS = [name for name in USERLANDS if name != ORDINARY]

Facts = dict[str, Any]
Boot = Callable[..., Phone]


# The same results ---------------------------------------------------------------------------------------------


def probed(phone: Phone, server: AdbServer, folder: Path) -> Facts:
    """The snapshot, value by value."""
    done = run("probe", phone, server, "-f", "json", "-o", folder / "snapshot.json")
    assert done.returncode == 0, done.stderr
    return flat(json.loads((folder / "snapshot.json").read_text("utf-8")))


def recorded(phone: Phone, server: AdbServer, folder: Path) -> Facts:
    """Which questions were answered, with which exit status, and what the agent saw."""
    done = run("record", phone, server, "-o", folder / "capture.yaml")
    assert done.returncode == 0, done.stderr
    capture = yaml_of(folder / "capture.yaml")
    answers = {key: (a["exit"], bool(a.get("out", "").strip())) for key, a in capture["commands"].items()}
    opencl = capture["agent"]["probe"]["opencl"]
    return flat({"answers": answers, "agent": sorted(capture["agent"]), "opencl": opencl})


def checked(phone: Phone, server: AdbServer, folder: Path) -> Facts:
    """Every judgement that does not depend on how fast this machine was at that moment."""
    done = run("check", phone, server, "--quick", "-o", folder / "report.yaml")
    assert done.returncode in JUDGED, done.stderr
    report = yaml_of(folder / "report.yaml")
    rows = report["measurements"]
    assert [row for row in rows if row["status"] == "error"] == []
    keys = ("status", "scope", "visible", "capable", "correct", "deterministic")
    cpu = report["backends"].pop("cpu")
    return flat(
        {
            "cpu": {key: cpu[key] for key in keys[1:]},
            "backends": {n: {key: b[key] for key in keys} for n, b in report["backends"].items()},
            "device": report["device"],
            "checks": {c["id"]: c["status"] for c in report["checks"] if not OF_THE_MOMENT.search(c["id"])},
            "steps": sorted({f"{r['backend']} {r['scheme']} {r['phase']}" for r in rows}),
        }
    )


def benchmarked(phone: Phone, server: AdbServer, folder: Path) -> Facts:
    """Which rows there are, and what became of each."""
    done = run(
        *("bench", phone, server, "--backend", "cpu", "--scheme", "int8", "--quick", "--sweep", "load"),
        *("-o", folder / "rows.yaml"),
    )
    assert done.returncode == 0, done.stderr
    rows = yaml_of(folder / "rows.yaml")["measurements"]
    assert len(rows) >= 5 and {row["executor"] for row in rows if row["status"] == "ok"} == {"agent"}
    return {f"{row['phase']} {row.get('details', {}).get('at', '')}": row["status"] for row in rows}


COMMANDS = {"probe": probed, "record": recorded, "check": checked, "bench": benchmarked}
OF_THE_MOMENT = re.compile(
    r"decode|first-token|speed|memory|storage|conditions|device\.state|busy|load$|\.measured", re.IGNORECASE
)
"""Checks about speed, free memory and the state a device is in."""
CHANGES = re.compile(r"available_bytes|storage_free|^conditions|^cpu\.clusters|_mhz$|cpu_topology")
"""Facts that change from one moment to the next, on this machine as on a phone."""
WITHOUT_UNAME = {"answers.uname", "cpu.architecture", "sources.cpu.architecture", "device.cpu.architecture"}
OWN = {
    "android": {"answers.tools"},
    "android5": WITHOUT_UNAME | {"answers.tools"},
}
"""Facts that a flavour itself changes: it has no `uname`, and what its tools are is a fact."""


def flat(value: Any, path: str = "") -> Facts:
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, one in value.items() for k, v in flat(one, f"{path}.{key}".strip(".")).items()}


Results = Callable[[str, str], Facts]


@pytest.fixture(scope="module")
def results(adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """(userland, command) -> what it yields on a phone of that flavour; run once."""
    phones: dict[str, Phone] = {}
    known: dict[tuple[str, str], Facts] = {}
    with ExitStack() as stack:

        def of(userland: str, command: str) -> Facts:
            folder = tmp_path_factory.mktemp(f"{userland}-{command}")
            if userland not in phones:
                phones[userland] = stack.enter_context(running(variant(folder, userland=userland)))
            if (userland, command) not in known:
                known[userland, command] = COMMANDS[command](phones[userland], adb_server, folder)
                nothing_is_left(phones[userland], 10)
            return known[userland, command]

        yield of


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("userland", OTHERS)
def test_a_command_yields_the_same(userland: str, command: str, results: Results) -> None:
    here, there = results(userland, command), results(ORDINARY, command)
    differing = {key for key in here.keys() | there.keys() if here.get(key) != there.get(key)}
    unlike = {key: (here.get(key), there.get(key)) for key in differing if not CHANGES.search(key)}
    assert unlike.keys() <= OWN[userland], unlike


def test_a_probe_waits_for_no_deadline(boot_plain: Boot, adb_server: AdbServer, tmp_path: Path) -> None:
    # A question that waits for its deadline takes at least 5 s; all of them together, minutes.
    start = time.monotonic()
    probed(boot_plain(), adb_server, tmp_path)
    assert time.monotonic() - start < 12


def test_a_phone_with_drivers_is_probed(
    userland: str, boot: Callable[[Path], Phone], adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot(variant(tmp_path, "x86_64-drivers", userland=userland))
    facts = probed(phone, adb_server, tmp_path)
    assert facts["opencl.present"] is True and "PoCL" in facts["opencl.platform_version"]
    assert facts["vulkan.present"] is True and facts["vulkan.driver_name"] == "llvmpipe"
    # Where the library is, is told with its folder, also where `ls` names none.
    assert facts["opencl.paths"] == ["/system/lib64/libOpenCL.so"]
    nothing_is_left(phone, 10)


# What goes wrong ----------------------------------------------------------------------------------------------

SLOW = "#!/system/bin/sh\nsleep 20\n"
"""A service that takes its time."""


def test_the_host_is_killed_while_it_asks(boot_plain: Boot, adb_server: AdbServer) -> None:
    phone = boot_plain(tools={"dumpsys": SLOW})
    with started("probe", phone, adb_server) as host:
        eventually(lambda: commands.running(phone, "/system/bin/sh /system/bin/dumpsys"))
        host.kill()
        nothing_is_left(phone, 20)


def test_the_host_is_killed_while_the_agent_runs(boot_plain: Boot, adb_server: AdbServer) -> None:
    phone = boot_plain()
    with started("check", phone, adb_server, "--quick") as host:
        eventually(lambda: commands.running(phone, commands.AGENT_RUN), 60)
        host.kill()
        nothing_is_left(phone, 10)
    assert awake_setting(phone) is None


def awake_setting(phone: Phone) -> str | None:
    file = phone.root / "run/settings/global%stay_on_while_plugged_in"
    return file.read_text() if file.exists() else None


def test_the_agent_is_killed(boot_plain: Boot, adb_server: AdbServer, tmp_path: Path) -> None:
    phone = boot_plain()
    report = tmp_path / "report.yaml"
    with started("check", phone, adb_server, "--quick", "--backend", "cpu", "-o", report) as host:
        commands.send(phone, commands.AGENT_RUN, signal.SIGKILL)
        done = commands.ended(host, 300)
    assert done.returncode in JUDGED, done.stderr
    reasons = [row["reason"] for row in yaml_of(report)["measurements"] if row["status"] == "error"]
    assert reasons and all("signal 9" in reason or "SIGKILL" in reason for reason in reasons)
    nothing_is_left(phone, 10)


def test_the_agent_hangs(
    connect: Callable[..., AdbTarget], plain_phone: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "AGENT_SECONDS", 1)
    monkeypatch.setattr(collecting, "GRACE_SECONDS", 0)
    agent = tmp_path / "agent.sh"
    agent.write_text(
        "#!/system/bin/sh\n"
        f'[ "$1" = version ] && {{ echo "gemmafit-agent {__version__} linux-x86_64"; exit; }}\n'
        "trap '' HUP TERM\nsleep 600 & wait; sleep 601\n"
    )
    capture = collecting.collect(connect(plain_phone, agent=lambda abi: agent))
    assert capture.agent is not None
    for backend in ("cpu", "opencl", "vulkan"):
        assert "did not end within 1 s" in capture.agent["probe"][backend]["error"]
    nothing_is_left(plain_phone, 10)


DATA = [
    ("noexec", {"executable": False}, r"may not be executed|noexec|permission denied"),
    ("full", {"full": True}, r"no space left|\d .?B (are )?free"),
    ("read-only", {"read_only": True}, r"read-only"),
    ("missing", {"present": False}, r"no such file|does not exist|missing"),
    ("refused", {"writable": False}, r"permission denied|may not"),
]


@pytest.mark.parametrize(("data", "cause"), [row[1:] for row in DATA], ids=[row[0] for row in DATA])
def test_a_place_that_takes_no_agent(
    data: dict[str, bool], cause: str, boot_plain: Boot, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = boot_plain(data=data)
    before = sorted((phone.root / "data").rglob("*"))
    report, capture = tmp_path / "report.yaml", tmp_path / "capture.yaml"
    for command, options in (
        ("probe", ()),
        ("record", ("-o", capture)),
        ("check", ("--quick", "-o", report)),
    ):
        done = run(command, phone, adb_server, *options, seconds=120)
        assert done.returncode == BROKE, (command, done.stderr)
        assert re.search(cause, sentence(done), re.IGNORECASE), (command, done.stderr)
    # As far as it got: what the phone answered is in the report and in the recording.
    assert yaml_of(report)["device"]["model"] == "Plain Phone" and yaml_of(report)["incomplete"]
    assert yaml_of(capture)["commands"]["getprop"]["exit"] == 0
    assert sorted((phone.root / "data").rglob("*")) == before
    eventually(lambda: not phone.processes(), 10)
