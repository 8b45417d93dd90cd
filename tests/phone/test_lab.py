"""A lab of virtual phones: each has a report or a row that says why not, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from gemmafit.base.names import Exit, ReportFormat
from gemmafit.base.options import Request
from gemmafit.lab.inventory import Gate, Group, Inventory
from gemmafit.lab.inventory import Phone as LabPhone
from gemmafit.lab.job import JobRow
from gemmafit.lab.pool import Pool, ThreadPool
from gemmafit.lab.run import LabRun, execute, make_plan
from gemmafit.probes.adb.server import AdbServer
from gemmafit.reports.report_io import load
from gemmafit.tests.phone.vphone.handle import PROFILES, Phone, eventually, running

PLAIN = PROFILES / "plain-x86_64.yaml"
COUNT = int(os.environ.get("GEMMAFIT_LAB_PHONES", "40"))
CLI = [sys.executable, "-m", "gemmafit.cli.main"]
OPEN = Gate(battery_min_percent=0, temperature_max_c=1000.0, thermal_status_max=99, wait_s=0)


@contextlib.contextmanager
def phones(count: int, server: AdbServer) -> Iterator[list[Phone]]:
    """Virtual phones, connected to the server."""
    with ExitStack() as stack:
        with ThreadPoolExecutor(4) as pool:
            contexts = [running(PLAIN) for _ in range(count)]
            found = list(pool.map(stack.enter_context, contexts))
        for phone in found:
            server.attach(phone.serial)
        eventually(lambda: all(server.state(phone.serial) == "device" for phone in found))
        try:
            yield found
        finally:
            for phone in found:
                with contextlib.suppress(Exception):
                    server.detach(phone.serial)


@pytest.fixture
def unauthorized(lab_server: AdbServer) -> Iterator[str]:
    """A phone that never accepts this computer's key: the real daemon of the package has no authentication."""
    listener = socket.create_server(("127.0.0.1", 0))
    serial = f"127.0.0.1:{listener.getsockname()[1]}"

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=_refuse, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with contextlib.suppress(Exception):
        lab_server.attach(serial)
    eventually(lambda: f"{serial}\tunauthorized" in lab_server.ask("host:devices"))
    yield serial
    lab_server.detach(serial)
    listener.close()


def _refuse(connection: socket.socket) -> None:
    """Answer every packet of the adb protocol with a fresh AUTH token."""
    token = os.urandom(20)
    reply = struct.pack("<6I", 0x48545541, 1, 0, len(token), sum(token), 0x48545541 ^ 0xFFFFFFFF) + token
    with contextlib.suppress(OSError):
        while header := connection.recv(24, socket.MSG_WAITALL):
            length = struct.unpack("<6I", header)[3]
            connection.recv(length, socket.MSG_WAITALL)
            connection.sendall(reply)


def _inventory(server: AdbServer, **options: object) -> Inventory:
    group = Group(options=Request(run=False), gate=OPEN, **{"retries": 0, "deadline_s": 60, **options})  # type: ignore[arg-type]
    return Inventory(servers=(str(server.address),), groups=(group,), parallel=8)


def _daemon(phone: Phone) -> int:
    """The process id of a phone's adbd, as seen from here."""
    namespace = (phone.root.parent / "ns/pid").readlink()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            here = entry.name.isdigit() and (entry / "ns/pid").readlink() == namespace
            if here and (entry / "comm").read_text().strip() == "adbd":
                return int(entry.name)
    raise AssertionError("no adbd")


def _left(found: list[Phone]) -> list[str]:
    return [name for phone in found for name in phone.left()]


def test_forty_phones_some_of_which_do_not_play(
    lab_server: AdbServer, unauthorized: str, tmp_path: Path
) -> None:
    """Unplugged in the middle, full, without a shell that answers, rebooting, unauthorized; then --resume."""
    with phones(COUNT, lab_server) as found:
        gone, full, hanging, rebooting, *well = found
        (full.root / "data/local/tmp").chmod(0o555)  # as a full or locked file system answers
        frozen = _daemon(hanging)
        os.kill(frozen, signal.SIGSTOP)
        inventory = _inventory(lab_server)
        pool = ThreadPool(inventory.parallel)
        plan = make_plan(inventory, pool.discover(inventory))
        assert len(plan.jobs) == COUNT
        assert [row.serial for row in plan.unreachable] == [unauthorized]
        run = LabRun(tmp_path / "run")
        run.start(plan)
        threading.Timer(0.5, gone.tell, ["unplug"]).start()
        threading.Timer(1.0, rebooting.tell, ["kill-daemon"]).start()
        execute(run, plan.jobs, pool, lambda row: None)
        rows = {row.serial: row for row in run.rows()}
        assert len(rows) == COUNT + 1
        for phone in well:
            row = rows[phone.serial]
            assert row.status == "done", row
            assert load(run.folder / (row.report or "")).target["serial"] == phone.serial
        for phone in (gone, full, hanging):
            row = rows[phone.serial]
            assert row.error or row.report, row
        assert rows[unauthorized].status == "unreachable" and rows[unauthorized].hint
        assert Exit.worst(row.exit() for row in rows.values()) in (3, 4)
        os.kill(frozen, signal.SIGCONT)
        eventually(lambda: _left(found) == [], 60)

        gone.tell("plug")
        lab_server.attach(gone.serial)
        (full.root / "data/local/tmp").chmod(0o771)
        todo = {job.phone.serial for job in run.todo()}
        assert todo.isdisjoint({phone.serial for phone in well})
        execute(run, run.todo(), pool, lambda row: None)
        assert {row.serial for row in run.rows() if row.status == "done"} >= {p.serial for p in well}
        assert run.todo() == []
        eventually(lambda: _left(found) == [])


def test_check_all_gives_a_report_each_and_one_exit_code(
    lab_server: AdbServer, unauthorized: str, tmp_path: Path
) -> None:
    with phones(2, lab_server) as found:
        for format in ReportFormat:
            command = [*CLI, "check", "--all", "--no-push", "-o", str(tmp_path / format), "-f", format]
            done = subprocess.run(
                [*command, "--adb", str(lab_server.address)], capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 3, done.stderr  # one of the phones cannot be reached
            reports = sorted((tmp_path / format).iterdir())
            assert len(reports) == 2 and {path.suffix for path in reports} == {format.ending}
            for serial in (unauthorized, *(phone.serial for phone in found)):
                assert serial in done.stderr
        assert all(ET.parse(path).getroot().get("tests") for path in (tmp_path / "junit").iterdir())
        assert _left(found) == []


def test_two_runs_do_not_measure_on_one_phone_at_a_time(lab_server: AdbServer, tmp_path: Path) -> None:
    """The phone itself is the lock, so that other hosts respect it, too."""
    with phones(1, lab_server) as found:
        inventory = _inventory(lab_server, retries=0)
        pool = ThreadPool(1)
        plan = make_plan(inventory, pool.discover(inventory))
        from gemmafit.probes.targets import resolve

        with resolve(found[0].serial, str(lab_server.address)).session():
            run = LabRun(tmp_path / "run")
            run.start(plan)
            execute(run, plan.jobs, pool, lambda row: None)
            (row,) = run.rows()
            assert row.status == "unreachable" and "in use" in (row.error or ""), row


def test_ctrl_c_once_ends_the_steps_and_the_run_resumes(lab_server: AdbServer, tmp_path: Path) -> None:
    with phones(4, lab_server) as found:
        folder, lab = tmp_path / "run", tmp_path / "lab.yaml"
        lab.write_text("groups: [{options: {run: false}, gate: {battery_min_percent: 0, wait_s: 0}}]\n")
        command = [
            *CLI,
            "lab",
            "run",
            str(lab),
            "-o",
            str(folder),
            "--adb",
            str(lab_server.address),
            "--parallel",
            "1",
        ]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        eventually(lambda: LabRun(folder).rows(), 120)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 4, errors
        assert "Traceback" not in errors
        statuses = sorted(row.status for row in LabRun(folder).rows())
        assert len(statuses) == 4 and "stopped" in statuses and "done" in statuses
        eventually(lambda: _left(found) == [])
        resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=120)
        assert resumed.returncode in (0, 1, 5), resumed.stderr
        assert [row.status for row in LabRun(folder).rows()] == ["done"] * 4


def test_a_cluster_loses_a_worker(lab_server: AdbServer, other_server: AdbServer, tmp_path: Path) -> None:
    """Two workers with an adb server each; one is killed in the middle; its phones are rows that say so."""
    pytest.importorskip("distributed", reason="needs distributed")
    with socket.create_server(("127.0.0.1", 0)) as s:
        scheduler_port = s.getsockname()[1]
    address = f"tcp://127.0.0.1:{scheduler_port}"
    with ExitStack() as stack:
        here = stack.enter_context(phones(3, lab_server))
        there = stack.enter_context(phones(3, other_server))
        programs = [
            [
                sys.executable,
                "-m",
                "distributed.cli.dask_scheduler",
                "--host",
                "127.0.0.1",
                "--port",
                str(scheduler_port),
                "--no-dashboard",
                "--no-show",
            ],
            [*CLI, "lab", "worker", address, "--adb", str(lab_server.address)],
            [*CLI, "lab", "worker", address, "--adb", str(other_server.address)],
        ]
        running_programs: list[subprocess.Popen[bytes]] = []
        for program in programs:
            process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            running_programs.append(process)
        from gemmafit.lab.cluster import DaskPool

        pool = eventually(lambda: _cluster(DaskPool, address), 60)
        assert pool is not None
        inventory = Inventory(groups=(Group(options=Request(run=False), gate=OPEN, retries=0),))
        known = eventually(lambda: _all(pool.discover(inventory), 6), 60)
        assert known is not None
        plan = make_plan(inventory, known)
        run = LabRun(tmp_path / "run")
        run.start(plan)
        killed = threading.Event()

        def first(row: JobRow) -> None:
            if not killed.is_set():
                killed.set()
                running_programs[2].kill()

        execute(run, plan.jobs, pool, first)
        rows = {row.serial: row for row in run.rows()}
        assert len(rows) == 6
        assert all(rows[phone.serial].status == "done" for phone in here)
        lost = [rows[phone.serial] for phone in there if rows[phone.serial].status != "done"]
        assert lost and all("worker" in (row.error or "") for row in lost)
        eventually(lambda: _left([*here, *there]) == [], 60)


def _all(known: list[LabPhone], count: int) -> list[LabPhone] | None:
    return known if len(known) == count else None


def _cluster(pool: Callable[[str], Pool], address: str) -> Pool | None:
    with contextlib.suppress(Exception):
        return pool(address)
    return None
