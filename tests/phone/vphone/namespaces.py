"""A process in namespaces of its own: user, mount, pid, network, IPC, host name. Linux, as root.

Everything in them goes away with the first process, which dies with the process that started it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

from .packages import Unavailable

_libc = ctypes.CDLL(None, use_errno=True)

# linux/sched.h, linux/mount.h, linux/prctl.h, linux/sockios.h, linux/if.h
NEWNS, NEWUTS, NEWIPC = 0x00020000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 4096, 8192, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

IDS = 65536
"""User and group ids 0..65535 inside are the same numbers outside."""


def mount(source: str, target: Path, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(source.encode(), os.fsencode(target), kind.encode(), flags, data.encode())
    _check(result, f"mount {kind or 'bind'} on {target}")


def bind(source: Path, target: Path, flags: int = 0) -> None:
    """Show `source` at `target`. Flags, e.g. MS_RDONLY, take a remount: a bind mount itself ignores them."""
    mount(str(source), target, "", MS_BIND | MS_REC)
    if flags:
        mount(str(source), target, "", MS_BIND | MS_REMOUNT | flags)


def enter_root(root: Path) -> None:
    """Make a mount point the root of this mount namespace."""
    os.chdir(root)
    mount(".", Path("/"), "", MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def start(main: Callable[[], None]) -> int:
    """Run `main` as process 1 of new namespaces; it should end in exec.

    Returns the pid, as seen from here, of the process that waits for it. Killing that one ends all.
    Raises Unavailable where namespaces cannot be had.
    """
    if os.geteuid() != 0:
        raise Unavailable("the virtual phone needs root for its namespaces")
    ready_read, ready_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _exit_after(lambda: _outer(main, ready_write, mapped_read))
    os.close(ready_write)
    os.close(mapped_read)
    answer = os.read(ready_read, 200)
    os.close(ready_read)
    if answer != b"ok":
        os.close(mapped_write)
        os.waitpid(pid, 0)
        raise Unavailable(f"no namespaces here: {answer.decode() or 'the process died'}")
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{name}").write_text(f"0 0 {IDS}\n")
    os.write(mapped_write, b"x")
    os.close(mapped_write)
    return pid


def join_network(pid: int) -> None:
    """Let this thread open its further sockets in the network of `pid`; those that are open stay."""
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        _check(_libc.setns(fd, NEWNET), "setns")
    finally:
        os.close(fd)


def loopback_up() -> None:
    """Switch the loopback interface of this network namespace on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("H", ioctl(s, SIOCGIFFLAGS, request), 16)[0]
        ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def die_with_parent() -> None:
    """Be killed when the parent ends. Again after each change of user, which takes that back (prctl(2)): a
    phone that outlived its test would hold its daemon, and all its files in memory."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _outer(main: Callable[[], None], ready: int, mapped: int) -> None:
    die_with_parent()
    os.setsid()
    try:
        _check(_libc.unshare(NEWUSER | NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET), "unshare")
    except OSError as error:
        os.write(ready, str(error).encode()[:200])
        return
    os.write(ready, b"ok")
    if os.read(mapped, 1) != b"x":
        return
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    die_with_parent()
    pid = os.fork()
    if pid == 0:
        _exit_after(lambda: _first(main))
    os.waitpid(pid, 0)


def _first(main: Callable[[], None]) -> None:
    die_with_parent()
    mount("none", Path("/"), "", MS_REC | MS_PRIVATE)
    loopback_up()
    main()


def _exit_after(action: Callable[[], None]) -> None:
    """For a forked child: never return into the parent's code, whatever happens."""
    status = 1
    try:
        action()
        status = 0
    except BaseException as error:
        os.write(2, f"virtual phone: {error!r}\n".encode())
    finally:
        os._exit(status)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
