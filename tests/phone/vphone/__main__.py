"""python -m gemmafit.tests.phone.vphone build|run

`run` prints one line of JSON when the phone answers, {"serial": "127.0.0.1:PORT", "pid": N}, where pid is
the phone's first process as seen from here, and then obeys lines on stdin:

    unplug, plug    the cable
    stall, resume   nothing is passed on, and nothing is closed: a phone that sleeps, and that wakes up
    kill-daemon     it is started again, as init does on a phone
    reboot          the cable drops, every process dies, the daemon comes back, the cable is back. /data stays

At the end of stdin the phone is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from . import namespaces
from .machine import DAEMON_PORT, Profile, boot
from .packages import Unavailable
from .relay import Relay
from .rootfs import build

READY_SECONDS = 20.0


def main() -> int:
    """The command line. Exit status 77, as in automake, if the phone cannot exist here."""
    parser = argparse.ArgumentParser(prog="vphone", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="download and assemble the root of a kind of phone")
    builder.add_argument("--arch", choices=("x86_64", "aarch64"), default="x86_64")
    builder.add_argument("--drivers", action="store_true", help="with PoCL and lavapipe")
    runner = commands.add_parser("run", help="run a phone until the end of standard input")
    runner.add_argument("--port", type=int, default=0, help="of 127.0.0.1; 0: a free one")
    runner.add_argument("--profile", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        if arguments.command == "build":
            print(build(arguments.arch, drivers=arguments.drivers))
            return 0
        return _run(arguments.port, Profile.read(arguments.profile))
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 77


def _run(port: int, profile: Profile) -> int:
    # adb servers look for emulators on 5554..5585 of their own accord; a free port is above those.
    listener = socket.create_server(("127.0.0.1", port))
    with tempfile.TemporaryDirectory(prefix="vphone-") as mount_point:
        holder = boot(profile, Path(mount_point))
        try:
            namespaces.join_network(holder)
            _wait_for_daemon(holder)
            first = _first_process(holder)
            relay = Relay(listener, DAEMON_PORT)
            relay.start()
            serial = f"127.0.0.1:{listener.getsockname()[1]}"
            print(json.dumps({"serial": serial, "pid": first}), flush=True)
            for line in sys.stdin:
                match line.strip():
                    case "plug":
                        relay.plug()
                    case "unplug":
                        relay.unplug()
                    case "stall":
                        relay.stall()
                    case "resume":
                        relay.resume()
                    case "kill-daemon":
                        _kill(first, lambda name: name == "adbd")
                    case "reboot":
                        relay.unplug()
                        for _ in range(2):  # what was being started may slip through once
                            _kill(first, lambda name: True)
                        _wait_for_daemon(holder)
                        relay.plug()
                    case other:
                        raise ValueError(f"unknown word {other!r}")
                print("done", flush=True)
        finally:
            os.kill(holder, signal.SIGKILL)
            os.waitpid(holder, 0)
    return 0


def _wait_for_daemon(holder: int) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", DAEMON_PORT), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
        if os.waitpid(holder, os.WNOHANG) != (0, 0):
            break
    raise Unavailable("the virtual phone's daemon does not answer; its messages are above")


def _first_process(holder: int) -> int:
    return int(Path(f"/proc/{holder}/task/{holder}/children").read_text().split()[0])


def _kill(first: int, chosen: Callable[[str], bool]) -> None:
    """Kill the phone's processes whose names are chosen, all but the first one."""
    space = Path(f"/proc/{first}/ns/pid").readlink()
    if space == Path("/proc/self/ns/pid").readlink():
        raise RuntimeError("these are the processes of this machine, not of a phone")
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not entry.name.isdigit() or int(entry.name) == first:
                continue
            if (entry / "ns/pid").readlink() == space and chosen((entry / "comm").read_text().strip()):
                os.kill(int(entry.name), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
