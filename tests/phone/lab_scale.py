"""What a phone costs in a lab run, by the number of phones: wall time and CPU seconds of host and adb server.

usage (root, Linux): python -m gemmafit.tests.phone.lab_scale [COUNT ...]

Real adb server, real daemons on virtual phones, a whole no-push probe and a report each; no kernels.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from gemmafit.base.options import Request
from gemmafit.lab.inventory import Gate, Group, Inventory
from gemmafit.lab.pool import ThreadPool
from gemmafit.lab.run import LabRun, execute, make_plan
from gemmafit.probes.adb.server import AdbServer, Address
from gemmafit.tests.phone.vphone.handle import PROFILES, running

GATE = Gate(battery_min_percent=0, temperature_max_c=1000.0, thermal_status_max=99, wait_s=0)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def server_pid(port: int) -> int:
    """The process that is the adb server on a port."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if "adb" in line and str(port) in line and "fork-server" in line:
                return int(entry.name)
    raise RuntimeError("the adb server is not to be found")


def measure(count: int) -> None:
    """One run over `count` phones."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    server = AdbServer(Address("127.0.0.1", port))
    server.ask("host:version")
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            phone = stack.enter_context(running(PROFILES / "plain-x86_64.yaml"))
            server.attach(phone.serial)
        options = Request(run=False, push=False)
        group = Group(options=options, gate=GATE, retries=0)
        inventory = Inventory(servers=(f"127.0.0.1:{port}",), groups=(group,))
        pool = ThreadPool(inventory.parallel)
        start, own, adb = time.perf_counter(), time.process_time(), cpu_seconds(server_pid(port))
        plan = make_plan(inventory, pool.discover(inventory))
        run = LabRun(Path(folder) / "run")
        run.start(plan)
        execute(run, plan.jobs, pool, lambda row: None)
        wall = time.perf_counter() - start
        host, daemon = time.process_time() - own, cpu_seconds(server_pid(port)) - adb
        done = sum(row.status == "done" for row in run.rows())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{count:4} phones, {done} reports: {wall:6.1f} s; per phone {1e3 * wall / count:5.0f} ms wall, "
            f"{1e3 * host / count:4.0f} ms CPU here, {1e3 * daemon / count:4.0f} ms adb server; peak {peak:.0f} MB"
        )
    with server.channel(5, "stopping the adb server") as channel:
        channel.request("host:kill")


if __name__ == "__main__":
    for number in [int(word) for word in sys.argv[1:]] or [10, 50, 200]:
        measure(number)
