"""The agent on a phone: a directory of its own, kept by a guard that removes it whatever happens.

The guard is a shell on the phone that was started before anything was pushed. It reads its standard input;
when that ends, because this process is done, was killed, or the cable was pulled, it kills what runs in
the directory and removes it. It also ends by itself where no run was begun for LIFE_SECONDS: a session may
last as long as it likes, a run may not. Should even the guard be killed, the next session sweeps the
directory away.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ...base.errors import AgentError, DeadlineExceeded, DeviceBusy, ToolchainError, TransportError
from ...base.events import Event, Listener, ignore
from ...base.protocol import EXIT_LATE, GRACE_SECONDS, LONGEST_RUN_SECONDS
from ...base.units import seconds, size
from .. import agent_causes
from ..agent_causes import as_error
from ..local import plain_name
from ..parsers.dumpsys import parse_df
from ..parsers.text import ParseError
from ..progress import TAIL_BYTES, Progress
from ..target import AgentRun, Awake
from . import scripts
from .transport import End, ShellStream, Transport

LIFE_SECONDS = 6.0 * LONGEST_RUN_SECONDS
"""After an hour without a word the phone cleans up. A run is over by then, and its results are fetched."""
START_SECONDS = 30.0
VERSION_SECONDS = 30.0
"""For `gemmafit-agent version`: the first start of a program on a slow phone, or under an emulator."""
AWAKE_SECONDS = 45.0
"""For three calls of Java programs, each with a deadline of 10 s on the phone."""
END_SECONDS = 30.0
"""One of those calls, and removing some files."""
DF_SECONDS, DF_BYTES = 10.0, 1 << 16
"""For one question about free space after something went wrong."""
WATCHDOG = GRACE_SECONDS + 1.0
"""Seconds after the deadline at which the phone kills an agent that did not keep it by itself."""
GRACE = 8.0
"""Seconds after the deadline at which the host gives up on the phone."""
PUSH_BYTES_PER_SECOND = 250_000
"""Slower than any adb: Wi-Fi from another room. Sets the deadline of a transfer."""
OUTPUT_BYTES = 16 << 20
"""Of progress lines; a run prints some kilobytes."""
RESULT_BYTES = 256 << 20
ROOM_BYTES = 8 << 20
"""Free space needed beyond what is pushed: results, and the phone's own needs."""

LOADERS = {
    "arm64-v8a": "/system/bin/linker64",
    "x86_64": "/system/bin/linker64",
    "armeabi-v7a": "/system/bin/linker",
    "linux-x86_64": "/lib64/ld-linux-x86-64.so.2",
    "linux-aarch64": "/lib/ld-linux-aarch64.so.1",
}
"""Per agent binary, the program that has to be there to start it."""
TWINS = {"arm64-v8a": "linux-aarch64", "x86_64": "linux-x86_64"}
"""The same processor without Android: a Linux machine may run adbd, too."""
MACHINES = {"aarch64": "arm64-v8a", "x86_64": "x86_64", "armv7l": "armeabi-v7a", "armv8l": "armeabi-v7a"}


class AdbSession:
    """See the module.

    Attributes:
        abi: which agent runs, once it has been found out.
        awake: see `AgentSession`.
    """

    abi: str
    awake: Awake | None

    def __init__(self, transport: Transport, name: str, local: Path) -> None:
        self._transport = transport
        self._name = name
        self._local = local
        self._runs = 0
        self.abi = "unknown"
        self.awake = None

    def push(self, files: Mapping[str, Path | bytes]) -> None:
        """Copy files into the directory."""
        count = sum(len(c) if isinstance(c, bytes) else c.stat().st_size for c in files.values())
        what = f"copying {size(count)} to {self._transport.serial}"
        remote = {
            self._remote(name): (content, 0o700 if name == scripts.AGENT else 0o600)
            for name, content in files.items()
        }
        try:
            self._transport.push(remote, what=what, seconds=20 + count / PUSH_BYTES_PER_SECOND)
        except DeadlineExceeded:
            raise
        except TransportError as error:
            self._transport.require_device(what)
            said = str(error).removeprefix(f"{what}: ")
            problem = agent_causes.not_copied(
                said, scripts.BASE, free=_ask_free(self._transport), needed=count
            )
            raise as_error(problem, serial=error.serial, command=error.command) from error

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
        """See `AgentSession.run`."""
        if section != "unrestricted" and section not in scripts.SECTIONS:
            raise ValueError(f"unknown section {section!r}")
        if not 0 < deadline <= LONGEST_RUN_SECONDS:
            raise ValueError(f"a run of {seconds(deadline)}: the guard would end it")
        what = f"running the agent for {backend} on {self._transport.serial}"
        progress = Progress(backend, on_line)
        output = self._transport.shell(
            scripts.agent_run(
                self._name,
                args,
                seconds=deadline + WATCHDOG,
                remove=[*map(plain_name, results)],
                section=section,
            ),
            what=what,
            seconds=deadline + GRACE,
            max_bytes=OUTPUT_BYTES,
            on_stdout=progress.feed,
        )
        if output.end is End.EOF and self._transport.modern:
            raise self._transport.lost(what)
        if output.end is End.FLOOD:
            raise as_error(
                agent_causes.flooded(OUTPUT_BYTES),
                serial=self._transport.serial,
                command=what,
                output=progress.tail,
            )
        late = output.end in (End.LATE, End.SILENT)
        if late:  # where only the connection stalled, the run went on without it
            self._transport.require_answer(what)
        run = self._collect(what, results, progress)
        if run is not None:
            return run
        self._transport.require_device(what)
        if late:
            raise DeadlineExceeded(
                f"{what}: the phone did not stop it within {seconds(deadline + GRACE)}",
                serial=self._transport.serial,
                command=what,
                output=progress.tail,
                hint="a driver may hang in the kernel; restart the phone",
            )
        said = output.stderr[-TAIL_BYTES:].decode("utf-8", "replace")
        place = scripts.SECTIONS.get(section, scripts.BASE)
        words = said if self._transport.modern else progress.tail
        problem = agent_causes.not_started(words, place, free=_ask_free(self._transport))
        raise as_error(problem, serial=self._transport.serial, command=what, output=progress.tail + said)

    def _collect(self, what: str, results: Sequence[str], progress: Progress) -> AgentRun | None:
        """Fetch what a run left; None if it left no exit status. Only the files tell how it ended."""
        self._runs += 1
        folder = self._local / str(self._runs)
        folder.mkdir()
        names = (scripts.STATUS, scripts.LATE, scripts.STDERR, *results)
        found = self._transport.pull(
            {self._remote(name): folder / name for name in names},
            what=f"fetching results from {self._transport.serial}",
            seconds=20 + RESULT_BYTES / PUSH_BYTES_PER_SECOND / 8,
            max_bytes=RESULT_BYTES,
        )
        status = _small(folder / scripts.STATUS).strip()
        stderr = _small(folder / scripts.STDERR)
        if not re.fullmatch(r"\d{1,3}", status):
            return None
        code = int(status)
        timed_out = code == EXIT_LATE or _small(folder / scripts.LATE).strip() == "late"
        return AgentRun(
            exit=code if code < 128 and not timed_out else None,
            signal=code - 128 if code > 128 else None,
            timed_out=timed_out,
            files={name: folder / name for name in results if self._remote(name) in found},
            stdout=progress.tail,
            stderr=stderr,
        )

    def _remote(self, name: str) -> str:
        return f"{scripts.BASE}/{self._name}/{plain_name(name)}"


@contextmanager
def open_session(
    transport: Transport, agent: Callable[[str], Path], on_event: Listener, *, awake: bool = False
) -> Iterator[AdbSession]:
    """Start the guard, push the agent that this device executes, check its version; undo all at the end.

    Raises AgentError where the agent cannot run, DeviceBusy while another session has the device,
    ToolchainError where the agent was not built.
    """
    name = f"gemmafit-{secrets.token_hex(8)}"
    token = secrets.token_hex(16)
    what = f"preparing {scripts.BASE} on {transport.serial}"
    script = scripts.guard(name, token, LIFE_SECONDS, sorted(set(LOADERS.values())), awake=awake)
    with (
        tempfile.TemporaryDirectory(prefix="gemmafit-") as local,
        transport.open_shell(script, what=what, seconds=START_SECONDS) as stream,
    ):
        facts = _start(transport, stream, token.encode(), what, agent)
        try:
            session = AdbSession(transport, name, Path(local))
            _install(transport, session, facts, agent, on_event)
            if awake:  # the phone did it while the agent was copied
                session.awake = _awake(stream, token.encode(), what)
            yield session
        finally:
            _end(transport, stream, token.encode(), on_event)


def _start(
    transport: Transport, stream: ShellStream, token: bytes, what: str, agent: Callable[[str], Path]
) -> str:
    """Wait for the guard's word; what it found out about the phone."""
    said = stream.until(token + b" facts", START_SECONDS, what)
    if token + b" failed" in said:
        words, _, rest = _text(said.split(token + b" failed", 1)[1]).partition("\n")
        raise as_error(
            agent_causes.no_place(
                words, scripts.BASE, free=_free("\n" + rest), needed=_largest(agent) + ROOM_BYTES
            ),
            serial=transport.serial,
            command=f"mkdir {scripts.BASE}/gemmafit-...",
        )
    if token + b" busy" in said:
        raise DeviceBusy(
            f"{transport.serial} is in use: another gemmafit works on it",
            hint="wait until it is done; one that died lets go within seconds",
        )
    head, found, facts = said.partition(token + b" ready")
    if not found:
        transport.require_device(what)
        answer = head[-2000:].decode("utf-8", "replace")
        raise as_error(agent_causes.no_shell(answer), serial=transport.serial, command=what, output=answer)
    return _text(facts)


def _text(said: bytes) -> str:
    return said.decode("utf-8", "replace").replace("\r\n", "\n")


def _awake(stream: ShellStream, token: bytes, what: str) -> Awake | None:
    """Whether the phone stays awake; None where it did not say."""
    found = stream.line(token + b" awake", AWAKE_SECONDS, what)
    if found is None:
        return None
    word, _, why = found.decode("utf-8", "replace").strip().partition(" ")
    return Awake(word == "yes", why.strip()[:300])


def _end(transport: Transport, stream: ShellStream, token: bytes, on_event: Listener) -> None:
    """Let the guard clean up and say so. Whatever happens here, it does."""
    what = f"cleaning up on {transport.serial}"
    said = b""
    with suppress(TransportError):  # the device is gone: the guard sees that, too
        stream.write(b"bye\n", END_SECONDS, what)
        said = stream.until(token + b" gone", END_SECONDS, what)
    if token + b" gone" not in said:
        on_event(
            Event("clean", f"{transport.serial} did not confirm that it cleaned up; it does so by itself")
        )


def candidates(facts: str) -> list[str]:
    """The agent binaries that the device may execute, best first, from what the guard printed."""
    rows = [line.split(" ", 1) for line in facts.splitlines() if " " in line]
    loaders = {value for key, value in rows if key == "loader"}
    listed = [value for key, value in rows if key in ("abilist", "abi") and value.strip()]
    abis = [abi.strip() for value in listed for abi in value.split(",")]
    abis += [MACHINES[value.strip()] for key, value in rows if key == "machine" and value.strip() in MACHINES]
    both = [binary for abi in abis for binary in (abi, TWINS.get(abi, abi))]
    return [b for b in dict.fromkeys(both) if b in LOADERS and LOADERS[b] in loaders]


def _install(
    transport: Transport,
    session: AdbSession,
    facts: str,
    agent: Callable[[str], Path],
    on_event: Listener,
) -> None:
    choices = candidates(facts)
    if not choices:
        abis = re.search(r"^abi(?:list)? (.*\S.*)$", facts, re.MULTILINE)
        problem = agent_causes.no_agent(abis[1] if abis else "", list(LOADERS))
        raise as_error(problem, serial=transport.serial)
    free = _free(facts)
    refusal: TransportError | ToolchainError | None = None
    for abi in choices:
        try:
            binary = agent(abi)
            count = binary.stat().st_size
            if free is not None and free < count + ROOM_BYTES:
                problem = agent_causes.no_room(scripts.BASE, free=free, needed=count + ROOM_BYTES)
                raise as_error(problem, serial=transport.serial)
            on_event(Event("push", f"copying the agent for {abi} ({size(count)})"))
            session.push({scripts.AGENT: binary})
            _shake_hands(transport, session, abi)
        except (AgentError, ToolchainError) as error:
            refusal = refusal or error
            continue
        session.abi = abi
        return
    assert refusal is not None
    raise refusal


def _shake_hands(transport: Transport, session: AdbSession, abi: str) -> None:
    """The agent runs here, and is of this version."""
    run = session.run("version", ["version"], deadline=VERSION_SECONDS)
    problem = agent_causes.unfit(run, abi, scripts.BASE, VERSION_SECONDS)
    if problem is not None:
        raise as_error(
            problem,
            serial=transport.serial,
            command=f"{scripts.BASE}/.../{scripts.AGENT} version",
            exit_status=run.exit,
            output=(run.stdout + run.stderr)[-2000:],
        )


def _free(facts: str) -> int | None:
    """Free bytes where the session's directory is; None where `df` said nothing readable."""
    try:
        return min(parse_df(facts.partition("\ndf\n")[2]).values())
    except ParseError:
        return None


def _ask_free(transport: Transport) -> int | None:
    """Free bytes now, for a sentence about what went wrong; None where the phone does not say."""
    what = f"asking {transport.serial} for free space in {scripts.BASE}"
    try:
        said = transport.shell(scripts.SPACE, what=what, seconds=DF_SECONDS, max_bytes=DF_BYTES).stdout
        return _free("\ndf\n" + said.decode("utf-8", "replace"))
    except TransportError:
        return None


def _largest(agent: Callable[[str], Path]) -> int:
    """Bytes of the largest agent there is, where it is not yet known which one a phone gets."""
    sizes = [0]
    for abi in LOADERS:
        with suppress(ToolchainError, OSError):
            sizes.append(agent(abi).stat().st_size)
    return max(sizes)


def _small(path: Path) -> str:
    """The tail of a small text file, or nothing."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode("utf-8", "replace")
