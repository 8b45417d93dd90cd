"""Debian packages unpacked into a folder, by a private apt state: nothing on this machine changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Unavailable(Exception):
    """The virtual phone cannot be built or run here; the message says what is missing."""


def unpack(
    suite: str,
    architecture: str,
    packages: Sequence[str],
    root: Path,
    state: Path,
    members: Sequence[str] = (),
) -> None:
    """Download packages with all they depend on and unpack them below `root`.

    Args:
        suite: e.g. trixie.
        architecture: amd64 or arm64, also where this machine is of another.
        members: unpack no more than these files; all, if none is given.
        state: a folder for apt's lists and archives while this runs.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is missing: the virtual phone is made of Debian packages")
    if not KEYRING.exists():
        raise Unavailable(f"{KEYRING} is missing (package debian-archive-keyring)")
    state = state / "-".join((suite, architecture, *packages))
    archives = state / "cache" / "archives"
    for folder in (state / "lists" / "partial", archives / "partial", state / "etc"):
        folder.mkdir(parents=True, exist_ok=True)
    (state / "etc" / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    (state / "status").touch()
    apt = ["apt-get", "-q", "-y", *_options(state, architecture)]
    _run([*apt, "update"])
    _run([*apt, "--no-install-recommends", "--download-only", "install", *packages])
    root.mkdir(parents=True, exist_ok=True)
    for package in sorted(archives.glob("*.deb")):
        if members and package.name.partition("_")[0] not in packages:
            continue
        fsys = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
        # --keep-directory-symlink: /lib is a link to usr/lib, and some packages still ship files below it.
        _run(["tar", "-x", "--keep-directory-symlink", "-C", str(root), *members], stdin=fsys.stdout)
        if fsys.wait() != 0:
            raise Unavailable(f"{package.name} cannot be unpacked")
    shutil.rmtree(state)


def _mirror() -> str:
    """The Debian archive that this machine's own apt uses. Other suites of Debian are there as well."""
    shown = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for line in shown.stdout.splitlines():
        origin, label, uri = line.split("|", 2)
        if (origin, label) == ("Debian", "Debian"):
            return uri
    raise Unavailable("apt knows no Debian archive here (after `apt-get update`)")


def _options(state: Path, architecture: str) -> list[str]:
    settings = {
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": state / "etc" / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::Etc::main": "/dev/null",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _run(command: Sequence[str], *, stdin: IO[bytes] | int | None = subprocess.DEVNULL) -> None:
    done = subprocess.run(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        timeout=900,
    )
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command[:2])} ... failed: {done.stdout.strip()[-400:]}")
