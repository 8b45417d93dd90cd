"""This computer as a target: the same questions, and interpreters of plans as child processes.

The CPU's plans run in the agent, those of OpenCL and Vulkan in the Python workers; `interpreter="agent"`
runs all of them in the agent. Nothing stays behind when this process is killed: a small shell beside
it waits for the end of its standard input, then kills what runs and removes the directory.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from ..base import system
from ..base.errors import AgentError
from ..base.events import Event, Listener, ignore
from ..base.names import Backend, TargetKind
from ..base.protocol import EXIT_LATE
from . import agent_causes, batch
from .agent_causes import as_error
from .capture import Answer
from .progress import TAIL_BYTES, Progress
from .target import AgentRun, AgentSession, Awake, Command

Interpreter = Literal["python", "agent"]

PLACE = "this computer's temporary folder"
"""As sentences name it: a recording is passed on."""
WORKER = "gemmafit.benchmarks.interpreter.worker"
GRACE = 3.0
"""Seconds after the deadline in which an interpreter may still write what it has (docs/plan-format.md: 1)."""

# Reads the process group that runs (0: none) line by line. At the end of its input, so also when this
# process is killed, the group is killed and the directory removed.
_GUARD = """\
g=0
while read -r line; do g=$line; done
[ "$g" -gt 1 ] && kill -9 "-$g"
rm -rf -- "$1"
"""


def packaged_agent(abi: str) -> Path:
    """The agent that this package was built with. Raises ToolchainError where it was not."""
    from .. import agent

    return agent.binary(abi)


class LocalTarget:
    """See the module.

    Attributes:
        kind: always local.
        serial: always local.
    """

    kind = TargetKind.LOCAL
    recording = None
    serial = "local"

    def __init__(
        self,
        *,
        interpreter: Interpreter = "python",
        agent: Callable[[str], Path] = packaged_agent,
    ) -> None:
        self._interpreter = interpreter
        self._agent = agent

    def ask(self, commands: Sequence[Command], on_event: Listener = ignore) -> dict[str, Answer]:
        """Ask this computer's sh. Commands of Android that it lacks answer with exit status 127."""
        sh = shutil.which("sh")
        if sh is None:  # Windows: nothing to ask, so nothing known
            return {}
        answers: dict[str, Answer] = {}
        for one in batch.batches(commands):
            on_event(Event("probe", f"asking {len(one.commands)} questions"))
            start = time.monotonic()
            answers |= batch.read(one, _shell(sh, one)).answers
            on_event(Event("probe", "answered", seconds=time.monotonic() - start))
        return answers

    @contextlib.contextmanager
    def session(self, on_event: Listener = ignore, *, awake: bool = False) -> Iterator[AgentSession]:
        """A private temporary directory. Nothing is done to keep this computer awake."""
        try:
            directory = Path(tempfile.mkdtemp(prefix="gemmafit-"))
        except OSError as error:
            problem = agent_causes.no_place(error.strerror or str(error), PLACE, free=_free(), needed=0)
            raise as_error(problem, serial="local") from error
        guard = _start_guard(directory)
        try:
            yield LocalSession(directory, guard, self._interpreter, self._agent)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            if guard is not None:
                guard.communicate(timeout=10)


class LocalSession:
    """A directory on this computer; each run is a child process in a group of its own."""

    def __init__(
        self,
        directory: Path,
        guard: subprocess.Popen[bytes] | None,
        interpreter: Interpreter,
        agent: Callable[[str], Path],
    ) -> None:
        self.abi = system.host_abi()
        self.awake: Awake | None = None
        self._directory = directory
        self._guard = guard
        self._interpreter = interpreter
        self._agent = agent

    def push(self, files: Mapping[str, Path | bytes]) -> None:
        """Copy files into the directory."""
        for name, content in files.items():
            path = self._directory / plain_name(name)
            try:
                if isinstance(content, bytes):
                    path.write_bytes(content)
                else:
                    shutil.copyfile(content, path)
            except OSError as error:
                count = len(content) if isinstance(content, bytes) else content.stat().st_size
                raise as_error(
                    agent_causes.not_copied(error.strerror or str(error), PLACE, free=_free(), needed=count),
                    serial="local",
                ) from error

    def run(
        self,
        backend: str,
        args: Sequence[str],
        *,
        results: Sequence[str] = (),
        deadline: float,
        on_line: Listener = ignore,
        section: str = "unrestricted",
    ) -> AgentRun:
        """See `AgentSession.run`. The result files stay in the directory until the session ends."""
        if section != "unrestricted":
            raise AgentError(f"this computer's linker has no section {section!r}", serial="local")
        wanted = {name: self._directory / plain_name(name) for name in results}
        for path in wanted.values():
            path.unlink(missing_ok=True)
        argv = [*self._command(backend), *args]
        start = time.monotonic()
        try:
            process = subprocess.Popen(
                argv,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            problem = agent_causes.not_executed(error.strerror or str(error), Path(argv[0]).name)
            raise as_error(problem, serial="local", command=" ".join(argv)) from error
        self._tell(process.pid)
        try:
            stdout, stderr, timed_out = _follow(process, Progress(backend, on_line), start + deadline + GRACE)
        finally:
            system.kill_group(process)
            self._tell(0)
        status = process.wait()
        timed_out = timed_out or status == EXIT_LATE
        return AgentRun(
            exit=status if status >= 0 and not timed_out else None,
            signal=-status if status < 0 else None,
            timed_out=timed_out,
            files={name: path for name, path in wanted.items() if path.is_file()},
            stdout=stdout,
            stderr=stderr,
        )

    def _command(self, backend: str) -> list[str]:
        if not Backend(backend).about.accelerator or self._interpreter == "agent":
            return [str(self._agent(self.abi))]
        # -P: the directory is the working directory and must not be a place to import from.
        return [sys.executable, "-P", "-m", WORKER, backend]

    def _tell(self, group: int) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.write(f"{group}\n".encode())
            self._guard.stdin.flush()


def plain_name(name: str) -> str:
    """`name` if it is a file name without a path; anything else is a mistake of ours."""
    if not name or "/" in name or "\\" in name or name in (".", ".."):
        raise ValueError(f"not a plain file name: {name!r}")
    return name


def _shell(sh: str, one: batch.Batch) -> bytes:
    """Run a batch. What it printed before its deadline, up to its limit."""
    process = subprocess.Popen(
        [sh, "-c", one.script],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    output = bytearray()
    try:
        for _, data in system.chunks(process, time.monotonic() + one.deadline + GRACE):
            output += data
            if len(output) > one.max_bytes:
                break
    finally:
        system.kill_group(process)
        process.wait()
    return bytes(output)


def _free() -> int | None:
    """Free bytes where the sessions' directories are."""
    try:
        return shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:
        return None


def _start_guard(directory: Path) -> subprocess.Popen[bytes] | None:
    sh = shutil.which("sh")
    if sh is None:
        return None
    # A session of its own: neither Ctrl-C in the terminal nor the end of its login ends it.
    return subprocess.Popen(
        [sh, "-c", _GUARD, "gemmafit-guard", str(directory)],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _follow(process: subprocess.Popen[bytes], progress: Progress, until: float) -> tuple[str, str, bool]:
    """Read both streams until they end or the time is over: tails of stdout and stderr, timed out."""
    errors = bytearray()
    for stream, data in system.chunks(process, until):
        if stream == "stdout":
            progress.feed(data)
        else:
            errors += data
            del errors[:-TAIL_BYTES]
    timed_out = False
    try:
        process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        timed_out = True
    return progress.tail, errors.decode("utf-8", "replace"), timed_out
