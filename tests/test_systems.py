"""macOS and Windows, as far as Linux can tell: what those lack is taken away, and the package still works."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gemmafit.base import system
from gemmafit.tests.trees import parsed

ROOT = Path(__file__).resolve().parent.parent
CAPTURE = ROOT / "tests/replay/captures/galaxy-s24-adreno-750.yaml"
PRODUCT = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if not {"tests", "tools", ".ci", "docs", "build"} & set(path.relative_to(ROOT).parts[:1])
    and path.name != "setup.py"
]

LACKING = {
    "win32": "fcntl grp posix pty pwd resource termios tty",
    "darwin": "",
}
"""Modules of Linux's Python that there are not."""
MISSING = {
    "win32": """os.chown os.fchmod os.fork os.forkpty os.getegid os.geteuid os.getgid os.getloadavg os.getpgid os.getuid
        os.killpg os.mkfifo os.nice os.openpty os.posix_fadvise os.posix_fallocate os.posix_spawn os.pread os.preadv
        os.pwrite os.pwritev os.register_at_fork os.sched_getaffinity os.sched_setaffinity os.sched_yield os.setpgid
        os.setsid os.statvfs os.sysconf os.sync os.uname os.wait os.wait3 os.wait4
        signal.SIGALRM signal.SIGHUP signal.SIGPIPE signal.alarm signal.pthread_kill signal.setitimer
        mmap.MAP_ANONYMOUS mmap.MAP_PRIVATE mmap.MAP_SHARED mmap.PROT_READ mmap.PROT_WRITE
        socket.AF_UNIX select.poll select.epoll""",
    "darwin": """os.posix_fadvise os.posix_fallocate os.preadv os.sched_getaffinity os.sched_setaffinity select.epoll""",
}
"""Names within modules that there are not."""

PROGRAM = """
import importlib, importlib.abc, json, os, pkgutil, sys, tempfile
system, lacking, missing, commands = sys.argv[1:]
lacking, commands = lacking.split(), json.loads(commands)
fork, pipe, dup2, waitpid = os.fork, os.pipe, os.dup2, os.waitpid
# What other packages do there is their own affair: they are loaded as what this computer is.
import contextlib, multiprocessing
for name in "adbutils asyncio jinja2 msgspec numpy platformdirs rich.console rich.live typer.rich_utils yaml zoneinfo".split():
    importlib.import_module(name)
for name in "click.testing click distributed psycopg pyopencl sqlalchemy vulkan".split() if not commands else ():
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in lacking:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in lacking:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
import gemmafit
sys.platform = system
for name in missing.split():
    module, name = name.split(".")
    module = importlib.import_module(module)
    if hasattr(module, name):
        delattr(module, name)
if commands:
    from gemmafit.cli.main import main
    ended = []
    for words in commands:
        files = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        if (pid := fork()) == 0:
            for number, file in enumerate(files, 1):
                dup2(file.fileno(), number)
            sys.argv = ["gemmafit", *words]
            main()
            sys.exit()
        status = os.waitstatus_to_exitcode(waitpid(pid, 0)[1])
        for file in files:
            file.seek(0)
        ended.append((status, files[0].read().decode("utf-8"), files[1].read().decode("utf-8", "replace")))
    print(json.dumps(ended))
else:
    count = 0
    for found in pkgutil.walk_packages(gemmafit.__path__, "gemmafit."):
        if found.name.split(".")[1] not in ("tests", "tools", "setup", "build") and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
            count += 1
    print(count)
"""


COMMANDS = {
    "help": (["--help"], 0),
    "check": (["check", f"replay:{CAPTURE}", "-f", "markdown"], 0),
    "estimate": (["estimate", "--gpu", "Adreno 740", "--ram", "8", "-f", "json"], 0),
    "explain": (["explain", "Failed to initialize engine: %INVALID_ARGUMENT: Unknown backend"], 0),
    "model": (["model", "inspect", "{file}"], 1),
    "local": (["check", "local", "--no-run", "-q"], 5),
}
"""Words and exit status."""


def run(name: str, commands: Sequence[Sequence[str]] = (), **variables: str) -> Any:
    """What PROGRAM prints on a system that lacks what `name` lacks. A text file opened without an encoding is an
    error."""
    command = [sys.executable, "-X", "warn_default_encoding", "-W", "error::EncodingWarning:gemmafit"]
    command += ["-c", PROGRAM, name, LACKING[name], MISSING[name], json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, **variables}, timeout=600)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", LACKING)
def test_every_module_imports(name: str) -> None:
    assert run(name) > 200


@pytest.fixture(scope="module", params=LACKING)
def ended(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[int, str, str]]:
    """Exit status, answer and messages of each command, with a code page as Windows has it."""
    file = tmp_path_factory.mktemp("model") / "mine.bin"
    file.write_bytes(b"\x20\x00\x00\x00TFL3" + bytes(4096))
    lines = [[word.format(file=file) for word in words] for words, _ in COMMANDS.values()]
    found = run(request.param, lines, PYTHONIOENCODING="cp1252", GEMMAFIT_DEBUG="1")
    return dict(zip(COMMANDS, found, strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_work(command: str, ended: dict[str, tuple[int, str, str]]) -> None:
    """What leaves is UTF-8 everywhere."""
    status, answer, messages = ended[command]
    assert status == COMMANDS[command][1], messages
    assert answer


def test_what_a_system_lacks_is_used_in_one_module() -> None:
    modules = {name for names in LACKING.values() for name in names.split()}
    names = {name for several in MISSING.values() for name in several.split()}
    names |= {"signal.SIGKILL", "sys.platform", "os.name", "platform.system", "platform.machine"}
    found = []
    for path in PRODUCT:
        if path == Path(system.__file__):
            continue
        for node in ast.walk(parsed(path)):
            used: list[str] = []
            if isinstance(node, ast.Import):
                used = [alias.name for alias in node.names if alias.name in modules]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                used = [name for name in whole if name in names or node.module in modules]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used = [name for name in (f"{node.value.id}.{node.attr}",) if name in names]
            elif isinstance(node, ast.keyword) and node.arg in ("preexec_fn", "pass_fds", "process_group"):
                used = [node.arg]
            found += [f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', '?')}: {name}" for name in used]
    assert not found


@pytest.mark.parametrize(("name", "expected"), [("linux", 7 << 10), ("darwin", 7)])
def test_the_peak_of_memory_is_in_bytes_everywhere(
    name: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: Path, *args: object) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", nothing)  # /proc
    monkeypatch.setattr("resource.getrusage", lambda who: SimpleNamespace(ru_maxrss=7))
    monkeypatch.setattr(sys, "platform", name)
    assert system.peak_rss() == expected


def test_a_cold_read_that_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As weights and kept programs are read: never a warm one under the name of a cold one."""
    from gemmafit.benchmarks.interpreter.programs import Programs
    from gemmafit.benchmarks.interpreter.storage import NotCold, Storage
    from gemmafit.benchmarks.plan import Buffer

    kept = Programs(tmp_path, "cold")
    kept.keep("x", b"program")
    stored = Storage(tmp_path, [Buffer("w", 8192, "i8", rows=2, cols=4096, stored=True)])
    stored.evict()
    assert kept.take("x") == b"program"
    monkeypatch.delattr(os, "posix_fadvise")
    with pytest.raises(NotCold, match="a cold read cannot be had"):
        stored.evict()
    with pytest.raises(OSError, match="a cold read cannot be had"):
        kept.take("x")
    stored.close()
