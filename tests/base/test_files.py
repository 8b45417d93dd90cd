"""Files: one mechanism reads them within bounds, one writes them whole; nobody else opens a path."""

from __future__ import annotations

import ast
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemmafit.base import files
from gemmafit.base.errors import InputError, UsageError
from gemmafit.lab import inventory
from gemmafit.probes.files import read_capture
from gemmafit.probes.modelfile import digest, inspect
from gemmafit.probes.vulkan_profile import read_profiles
from gemmafit.profiles.tablefile import compose
from gemmafit.reports import report_io
from gemmafit.tests.trees import parsed

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())

OWN = {
    "agent/__init__.py": "the wheel's own agents and their list",
    "agent/build.py": "sources and objects of a build",
    "base/system.py": "/proc",
    "benchmarks/vulkan/build.py": "sources and objects of a build",
    "benchmarks/interpreter/contention.py": "/proc",
    "benchmarks/interpreter/programs.py": "a plan's folder, with the page cache under control",
    "benchmarks/interpreter/worker.py": "a plan's folder",
    "benchmarks/interpreter/result.py": "a plan's folder",
    "benchmarks/tuning.py": "the wheel's own kernels, for their digest",
    "cli/console.py": "/dev/null in place of a closed stream",
    "probes/adb/session.py": "the tail of a log in a session's folder",
    "probes/adb/transport.py": "what is pushed, and into a session's folder",
    "probes/local.py": "into a session's folder",
}
"""Who opens a path that no user named, and which."""
OPENS = {
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "mkstemp",
    "NamedTemporaryFile",
    "fdopen",
}
READERS: tuple[Callable[[Path], Any], ...] = (
    read_capture, read_profiles, compose, inventory.load, report_io.load, inspect, digest,
)  # fmt: skip


def test_nobody_else_opens_a_path() -> None:
    found: dict[str, list[int]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT)
        if place.parts[0] in ("tests", "build", "tools", "setup.py", ".ci") or place == Path("base/files.py"):
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                whose = ast.unparse(node.func).rpartition(".")[0]
                if name in OPENS and whose != "files":
                    found.setdefault(str(place), []).append(node.lineno)
    found = {place: lines for place, lines in found.items() if not _ours(place, lines)}
    assert found.keys() <= OWN.keys(), found
    assert OWN.keys() <= found.keys(), OWN.keys() - found.keys()


def _ours(place: str, lines: list[int]) -> bool:
    """`read_text` and `opened` that were imported from base/files.py."""
    tree = parsed(ROOT / place)
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("base.files")
        for alias in node.names
    }
    return bool(names) and all(
        isinstance(node.func, ast.Name) and node.func.id in names
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.lineno in lines
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in OPENS
    )  # fmt: skip


@pytest.mark.parametrize("read", READERS)
def test_every_reader_refuses_in_one_sentence_and_at_once(
    read: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PIPE_SECONDS", 0.2)
    silent, secret = tmp_path / "pipe", tmp_path / "secret"
    os.mkfifo(silent)
    secret.touch(mode=0)
    cases = [
        (tmp_path / "absent", "No such file"),
        (tmp_path, "Is a directory"),
        (silent, "pipe|regular file"),
    ]
    cases += [(Path("/dev/zero"), "not a regular file"), (Path("a\0b"), "null")]
    cases += [(secret, "Permission denied")] if os.geteuid() else []
    for path, why in cases:
        with pytest.raises(InputError, match=why) as caught:
            read(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("read", READERS[:5])
def test_every_reader_stops_at_its_limit(read: Callable[[Path], Any], tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    with endless.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(
        InputError, match=r"larger than [\d.]+ MB; no (capture|profile|table|inventory|report) is"
    ):
        read(endless)


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """As in `gemmafit check replay:<(zcat phone.yaml.gz)`."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"x" * 3_000_000))
    writer.start()
    assert len(files.read_bytes(pipe, 4_000_000, "text")) == 3_000_000
    writer.join()


def test_text_is_utf8_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes("\ufeffü".encode())
    assert files.read_text(path, 9, "text") == "ü"
    path.write_bytes(b"ab\xff")
    with pytest.raises(InputError, match="not UTF-8 at byte 2"):
        files.read_text(path, 9, "text")
    assert files.read_text(path, 9, "text", errors="replace") == "ab\ufffd"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, link = tmp_path / "report.yaml", tmp_path / "link"
    files.write(path, "old")
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    path.chmod(0o640)
    link.symlink_to(path)
    files.write(link, b"new")
    assert link.is_symlink() and path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o640

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"cannot write .*report.yaml: No space left") as caught:
        files.write(path, "half")
    assert "\n" not in str(caught.value) and path.read_text() == "new"
    with pytest.raises(UsageError, match="No space left"):
        files.append(tmp_path / "rows", b"x")
    assert {p.name for p in tmp_path.iterdir()} == {"report.yaml", "link", "rows"}, "nothing half is left"


def test_what_is_no_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    files.write(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(UsageError, match=r"cannot write .*: No space left"):
        files.write(Path("/dev/full"), "text")
    for path in (tmp_path, tmp_path / "absent" / "file", Path("a\0b")):
        with pytest.raises(UsageError, match="cannot write"):
            files.write(path, "text")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
