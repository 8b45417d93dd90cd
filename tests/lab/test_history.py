"""The same questions to SQLite and PostgreSQL give the same answers."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gemmafit.base.errors import InputError, UsageError
from gemmafit.lab.collection import ReportSource, phone
from gemmafit.lab.compare import compare_all
from gemmafit.lab.history import Selection, open_history
from gemmafit.reports.report import Report

Phone = Callable[..., Report]
Sources = Callable[..., list[ReportSource]]


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own on loopback; its URL."""
    pytest.importorskip("psycopg", reason="needs psycopg")
    tools = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not tools:
        pytest.skip("needs Debian's postgresql")
    user: list[str] = []
    folder = tmp_path_factory.mktemp("postgresql")
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("needs the user postgres of Debian's postgresql")
        folder = Path("/tmp") / f"gemmafit-postgresql-{os.getpid()}"
        folder.mkdir(mode=0o700)
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = ["runuser", "-u", "postgres", "--"]
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    data = folder / "data"

    def run(tool: str, *args: str) -> None:
        subprocess.run(
            [*user, str(tools[-1] / tool), *args], check=True, capture_output=True, timeout=120, cwd="/"
        )

    run("initdb", "-D", str(data), "-U", "gemmafit", "--auth=trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-w", "-o", options, "start")
    try:
        yield f"postgresql+psycopg://gemmafit@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the history is kept."""
    if request.param == "sqlite":
        return str(tmp_path / "history.db")
    url: str = request.getfixturevalue("postgresql")
    return url


def test_history_is_append_only_and_gives_the_newest(
    where: str, phone_report: Phone, sources: Sources
) -> None:
    old = phone_report("a", created="2026-01-01T00:00:00Z")
    new = phone_report("a", created="2026-02-01T00:00:00Z", samples=(2.0, 2.01, 1.99))
    with open_history(where) as history:
        assert history.add(sources(old, old), "jan") == (1, 1)
        assert history.add(sources(old, new, phone_report("b")), "feb") == (2, 1)
        assert sorted(phone(s.report) for s in history.newest()) == ["adb:a", "adb:b"]
        until = list(history.newest(Selection(until="2026-01-15")))
        assert [s.report.created for s in until] == ["2026-01-01T00:00:00Z"]
        assert [e.label for e in history.entries(Selection(phone="Phone a"), 10)] == ["feb", "jan"]
        assert history.entries(Selection(phone="%"), 10) == []
        first = history.entries(Selection(label="jan"), 1)[0]
        assert history.report(first.id).report == old
        with pytest.raises(InputError, match="no report"):
            history.report(10**6)
        changes = compare_all(history.newest(Selection(label="jan")), history.newest(Selection(label="feb")))
        assert [c.kind for p in changes.phones for c in p.changes] == ["regression"]


def test_errors_say_what_to_do_and_hide_passwords(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="needs psycopg")
    url = "postgresql+psycopg://user:secret@127.0.0.1:1/x?connect_timeout=2"
    with pytest.raises(UsageError) as caught, open_history(url):
        pass
    assert "secret" not in str(caught.value) and "127.0.0.1" in str(caught.value)
    with pytest.raises(UsageError, match="history"), open_history(str(tmp_path)):
        pass
    with pytest.raises(UsageError, match="history"), open_history("nonsense://x"):
        pass
