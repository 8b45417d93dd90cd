"""Why the agent did not run: each cause brought about on a virtual phone, and what a person is told.

`-s` prints the table. What each cause means and what to do about it is in docs/phones.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import gemmafit
from gemmafit import __version__, agent
from gemmafit.base.errors import AgentCause, ToolchainError
from gemmafit.cli import main as cli
from gemmafit.probes.adb.server import AdbServer
from gemmafit.profiles.loader import load
from gemmafit.tests.phone.vphone.handle import PROFILES, Phone, eventually

ABI = "linux-x86_64"
"""What a virtual phone on this processor executes."""
JUDGED = (0, 1, 5)
SCRIPT = "#!/system/bin/sh\n"


@dataclass(frozen=True)
class Injected:
    """A phone, and an agent, so that a cause comes about.

    Attributes:
        agent: text of a script in the agent's place; bytes of a file; None: the real one; () none was built.
        sentence: what has to be said (a regular expression).
    """

    cause: AgentCause
    sentence: str
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    agent: str | tuple[()] | None = None
    other_abi: str | None = None


C = AgentCause
CASES = {
    "mounted noexec": Injected(
        C.NO_EXEC,
        r"the agent for linux-x86_64 may not be executed in /data/local/tmp: .*Permission denied",
        {"executable": False},
    ),
    "full": Injected(
        C.NO_SPACE,
        r"/data/local/tmp has no place for the agent: .+; 8\.\d+ MB are needed, 0 bytes are free",
        {"size": "12m", "full": True},
    ),
    "almost full": Injected(
        C.NO_SPACE,
        r"/data/local/tmp has [1-4]\.\d+ MB free, the agent needs 8\.\d+ MB",
        {"size": "4m"},
    ),
    "read-only": Injected(
        C.READ_ONLY,
        r"/data/local/tmp has no place for the agent: .*Read-only file system",
        {"read_only": True},
    ),
    "missing folder": Injected(
        C.NO_FOLDER,
        r"/data/local/tmp has no place for the agent: .*No such file or directory",
        {"present": False},
    ),
    "not writable": Injected(
        C.REFUSED,
        r"/data/local/tmp has no place for the agent: .*Permission denied",
        {"writable": False},
    ),
    "another processor": Injected(
        C.WRONG_ABI, r"the agent for linux-x86_64 is no program for this device: .+", other_abi="arm64-v8a"
    ),
    "not built": Injected(
        C.NOT_BUILT, "this gemmafit was built without the agent for linux-x86_64", agent=()
    ),
    "another version": Injected(
        C.OTHER_VERSION,
        rf"the agent for linux-x86_64 is of version 9\.9\.9, this is gemmafit {re.escape(__version__)}",
        agent="echo gemmafit-agent 9.9.9 linux-x86_64",
    ),
    "illegal instruction": Injected(
        C.CRASHED, r"the agent for linux-x86_64 was killed by SIGILL \(4\)", agent="kill -4 $$"
    ),
    "aborts with words": Injected(
        C.CRASHED,
        r"was killed by SIGABRT \(6\): libc: stack corruption detected",
        agent="echo 'libc: stack corruption detected' >&2; kill -6 $$",
    ),
    "low memory": Injected(
        C.KILLED, r"the agent for linux-x86_64 was killed by SIGKILL \(9\)", agent="kill -9 $$"
    ),
    "cannot link": Injected(
        C.CANNOT_LINK,
        r"was refused by the phone's dynamic linker: CANNOT LINK EXECUTABLE .*libdl_android\.so",
        agent="""echo 'CANNOT LINK EXECUTABLE "./gemmafit-agent": library "libdl_android.so" not found' >&2
                 exit 1""",
    ),
    "hangs": Injected(C.HANGS, "the agent for linux-x86_64 hangs: no answer within 1 s", agent="sleep 600"),
    "ends in silence": Injected(
        C.FAILED, r"the agent for linux-x86_64 does not run \(exit status 1\)", agent="exit 1"
    ),
}


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Injected], None]:
    """Put the injected agent where this gemmafit was built."""

    def make(case: Injected) -> None:
        if case.agent is None and case.other_abi is None:
            real()
            return
        content = (SCRIPT + str(case.agent) + "\n").encode()
        if case.other_abi is not None:
            content = real(case.other_abi).read_bytes()
        monkeypatch.setattr(agent, "BUILT", tmp_path / "built")
        if case.agent != ():
            built(tmp_path / "built", content)

    monkeypatch.setattr("gemmafit.probes.adb.session.VERSION_SECONDS", 1.0)
    return make


def real(abi: str = ABI) -> Path:
    """The agent of this checkout; without it there is nothing to refuse."""
    try:
        return agent.binary(abi)
    except ToolchainError as error:
        pytest.skip(str(error))


def built(folder: Path, content: bytes) -> None:
    """A folder as agent/build.py leaves it, with one agent."""
    (folder / ABI).mkdir(parents=True)
    (folder / ABI / "gemmafit-agent").write_bytes(content)
    row = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    manifest = {"version": __version__, "binaries": {ABI: row}}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def gemmafit_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command line in this process: exit status, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gemmafit", *map(str, arguments)])
        capsys.readouterr()
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err and "internal error" not in captured.err, captured.err
        assert "phone connected" not in captured.out + captured.err
        return status, captured.out, captured.err

    return run


def profile(folder: Path, data: dict[str, Any]) -> Path:
    """A phone that says so little of itself that only the agent could tell: arm64, no list of libraries."""
    raw = yaml.safe_load((PROFILES / "plain-x86_64.yaml").read_text())
    raw["properties"] |= {"ro.product.cpu.abilist": "arm64-v8a", "ro.product.cpu.abi": "arm64-v8a"}
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump({**raw, "files": {}, "data": data}))
    return path


@pytest.mark.parametrize("name", CASES)
def test_the_cause_reaches_the_person(
    name: str,
    boot: Callable[[Path], Phone],
    adb_server: AdbServer,
    build: Callable[[Injected], None],
    gemmafit_command: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
) -> None:
    case = CASES[name]
    build(case)
    remedy = load().reasons[f"agent.{case.cause}"].remedy
    assert remedy
    phone = boot(profile(tmp_path, case.data))
    where = (phone.serial, "--adb", adb_server.address)

    status, screen, errors = gemmafit_command("probe", *where)
    assert status == 4, (screen, errors)
    first = next(line for line in screen.splitlines() if line.strip())
    assert first.startswith("Agent")
    sentence = first.removeprefix("Agent").strip()
    assert re.fullmatch(f"the agent did not run: .*{case.sentence}.*", sentence), sentence
    assert f"→ {remedy}" in screen
    assert "Plain Phone" in screen  # what was answered is there all the same
    assert f"error: {sentence}" in errors and f"hint:    {remedy}" in errors and phone.serial in errors

    report_file, capture = tmp_path / "report.yaml", tmp_path / "capture.yaml"
    status, _, errors = gemmafit_command("check", *where, "-o", report_file, "--record", capture)
    assert status == 4, errors
    assert f"error: {sentence}" in errors and errors.count(f"→ {remedy}") >= 1
    assert_says(yaml.safe_load(report_file.read_text("utf-8")), case, sentence, remedy)
    assert yaml.safe_load(report_file.read_text("utf-8"))["incomplete"] == sentence
    assert phone.left() == []

    # A recording of it says the same anywhere.
    status, again, errors = gemmafit_command("check", f"replay:{capture}", "-f", "yaml")
    assert status in JUDGED and sentence in errors and f"→ {remedy}" in errors
    assert_says(yaml.safe_load(again), case, sentence, remedy)

    recording = tmp_path / "recording.yaml"
    status, _, errors = gemmafit_command("record", *where, "-o", recording)
    assert status == 4 and f"error: {sentence}" in errors and f"hint:    {remedy}" in errors
    status, screen, _ = gemmafit_command("probe", f"replay:{recording}")
    assert status == 0 and sentence in screen and f"→ {remedy}" in screen
    eventually(lambda: not phone.left() and not phone.processes())
    print(f"\n| {name} | {case.cause} | {sentence} | {remedy} |")


def assert_says(report: dict[str, Any], case: Injected, sentence: str, remedy: str) -> None:
    """The report names the cause, and nothing that rested on the agent gives other advice."""
    checks = {check["id"]: check for check in report["checks"]}
    ran = next(iter(report["checks"]))
    assert ran["id"] == "agent.ran"
    assert (ran["status"], ran["reason"]) == ("error", f"agent.{case.cause}")
    assert (ran["found"], ran["remedy"]) == (sentence, remedy)
    assert ran["because"] == f"T{sentence[1:]}. {load().reasons[ran['reason']].because}"
    unseen = checks["opencl.visible"]
    assert (unseen["status"], unseen["reason"]) == ("unknown", "opencl.unknown")
    assert unseen["because"] == f"T{sentence[1:]}." and unseen["remedy"] == remedy
    assert sentence in report["summary"]
    assert report["verdict"] == "inconclusive"
    assert report["backends"]["opencl"]["status"] != "fail"
    assert "measurements" not in report or not report["measurements"]


def test_another_gemmafit_is_no_cause(
    plain_phone: Phone,
    connect: Callable[..., Any],
    adb_server: AdbServer,
    gemmafit_command: Callable[..., tuple[int, str, str]],
) -> None:
    real()
    with connect(plain_phone).session():
        for command in ("probe", "check"):
            status, _, errors = gemmafit_command(command, plain_phone.serial, "--adb", adb_server.address)
            assert status == 3 and "is in use: another gemmafit works on it" in errors
    eventually(lambda: not plain_phone.left())


def test_bench_says_it_too_and_writes_what_it_has(
    boot: Callable[[Path], Phone],
    adb_server: AdbServer,
    gemmafit_command: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
) -> None:
    real()
    phone = boot(profile(tmp_path, {"executable": False}))
    out = tmp_path / "bench.yaml"
    status, _, errors = gemmafit_command("bench", phone.serial, "--adb", adb_server.address, "-o", out)
    assert status == 4 and "may not be executed in /data/local/tmp" in errors and "hint:" in errors
    assert "may not be executed" in yaml.safe_load(out.read_text("utf-8"))["incomplete"]


@pytest.fixture
def unbuilt(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """`gemmafit` of a checkout in which the agent was not built, as a process of its own."""
    home = Path(gemmafit.__file__).parent
    package = tmp_path / "checkout" / "gemmafit"
    package.mkdir(parents=True)
    for entry in home.iterdir():
        if entry.name != "agent" and not entry.name.startswith("."):
            (package / entry.name).symlink_to(entry)
    (package / "agent").mkdir()
    shutil.copy(home / "agent" / "__init__.py", package / "agent")

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gemmafit.cli.main", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=package.parent,
            env={**os.environ, "PYTHONPATH": str(package.parent), "COLUMNS": "300", "NO_COLOR": "1"},
        )

    yield run


def test_a_checkout_that_was_not_built_fails_no_phone(
    boot: Callable[[Path], Phone],
    adb_server: AdbServer,
    unbuilt: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    phone = boot(profile(tmp_path, {}))
    report = tmp_path / "report.yaml"
    done = unbuilt("check", phone.serial, "--adb", adb_server.address, "-o", report)
    assert done.returncode == 4, done.stderr
    assert "this gemmafit was built without the agent for linux-x86_64" in done.stderr
    assert "python -m gemmafit.agent.build" in done.stderr
    assert yaml.safe_load(report.read_text("utf-8"))["verdict"] == "inconclusive"
    assert phone.left() == []


@pytest.mark.parametrize(("command", "status"), [("probe", (0,)), ("check", JUDGED), ("bench", (0,))])
def test_a_checkout_that_was_not_built_runs_the_rest_of_this_computer(
    command: str,
    status: tuple[int, ...],
    unbuilt: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    """OpenCL and Vulkan run in Python here."""
    sentence = f"this gemmafit was built without the agent for {ABI}"
    if command == "probe":
        done = unbuilt("probe", "local")
        assert done.returncode in status, done.stderr
        first = next(line.strip() for line in done.stdout.splitlines() if line.strip())
        assert first.startswith("Agent") and first.endswith(f"the agent did not run: {sentence}"), first
        assert "python -m gemmafit.agent.build" in done.stdout
        return
    out = tmp_path / "out.yaml"
    others = ("opencl", "vulkan") if command == "check" else ("opencl",)
    chosen = [word for name in ("cpu", *others) for word in ("--backend", name)]
    done = unbuilt(command, "local", "--quick", "-o", out, *chosen)
    assert done.returncode in status, done.stderr
    assert sentence in done.stderr
    data = yaml.safe_load(out.read_text("utf-8"))
    rows = data["measurements"]
    cpu = [row for row in rows if row["backend"] == "cpu"]
    assert cpu and {(row["status"], row["reason"]) for row in cpu} == {("skipped", sentence)}
    for backend in others:
        assert any(row["backend"] == backend and row["status"] != "skipped" for row in rows), backend
    if command == "check":
        ran = data["checks"][0]
        assert (ran["id"], ran["status"], ran["reason"]) == ("agent.ran", "skip", "agent.not-built")
        assert ran["found"] == f"the agent did not run: {sentence}; not looked at: cpu"
        assert data["backends"]["cpu"]["capable"] != "fail"
        assert "incomplete" not in data
