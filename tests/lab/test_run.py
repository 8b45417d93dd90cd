"""Inventories, plans, and the folder of a run: what is wrong is named, what was written stays."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gemmafit.base.errors import GemmafitError, InputError, UsageError
from gemmafit.base.names import Exit, Verdict
from gemmafit.lab import pool
from gemmafit.lab.discovery import discover
from gemmafit.lab.inventory import Gate, Group, Inventory, Phone, assign, load
from gemmafit.lab.job import Control, Finished, Job, JobEnd, JobRow, gate_closed, run_phone
from gemmafit.lab.run import LabRun, job_id, make_plan
from gemmafit.lab.table import markdown
from gemmafit.probes.snapshot import Conditions
from gemmafit.reports.report import Report

A = Phone(None, "A", "device", None, {"model": "SM-S911B", "gpu": "Adreno 740"})
B = Phone(None, "B", "device", None, {"model": "Pixel 8", "gpu": "Mali-G715"})
LOCKED = Phone(None, "C", "unauthorized", "unlock it")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("groups: [{name: a, matsch: {model: x}}]", "matsch"),
        ("groups: [{name: a, serials: [X, X]}]", "'X' is named twice"),
        ("groups: [{name: a, serials: [X]}, {name: b, serials: [X]}]", "'X' is named twice"),
        ("groups: [{name: a}, {name: a}]", "'a' is named twice"),
        ("servers: [h:1, h:1]", "'h:1' is named twice"),
        ("groups: [{name: a, match: {colour: red}}]", "colour"),
        ("groups: [{name: a, options: {use: gaming}}]", "use"),
        ("parallel: 0", "parallel"),
        ("schema: gemmafit.lab/2", "gemmafit.lab/2"),
        ("- a\n- b", "object"),
        ("a: [", "line"),
    ],
)
def test_what_is_wrong_in_an_inventory_is_named(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        load(path)


def test_an_empty_inventory_is_all_phones(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("")
    assert [(p.serial, g.name) for p, g in assign(load(path), [A, B])] == [("A", "phones"), ("B", "phones")]


def test_the_first_group_that_takes_a_phone_has_it() -> None:
    inventory = Inventory(
        groups=(Group(name="s", match={"model": "sm-s911*"}), Group(name="m", match={"gpu": "Mali-*"}))
    )
    assert [(p.serial, g.name) for p, g in assign(inventory, [A, B])] == [("A", "s"), ("B", "m")]


def test_a_plan_has_a_job_or_a_reason_for_each_phone() -> None:
    inventory = Inventory(groups=(Group(name="g", serials=("A", "C", "gone")), Group(name="rest")))
    plan = make_plan(inventory, [A, B, LOCKED])
    assert [(job.phone.serial, job.group.name) for job in plan.jobs] == [("A", "g"), ("B", "rest")]
    assert {(row.serial, row.hint) for row in plan.unreachable} >= {("C", "unlock it")}
    assert "gone is on no adb server" in [row.error for row in plan.unreachable]


def test_one_silent_server_of_two_is_a_row_and_of_one_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as s:
        dead = f"127.0.0.1:{s.getsockname()[1]}"
    monkeypatch.setattr("gemmafit.probes.adb.server.LOCAL", frozenset())  # do not start one there
    with pytest.raises(GemmafitError):
        discover(Inventory(servers=(dead,)))
    phones = discover(Inventory(servers=(dead, dead)))
    plan = make_plan(Inventory(), phones)
    assert not plan.jobs and all(dead in (row.error or "") for row in plan.unreachable)


@pytest.mark.parametrize("serial", ["../../x", "a/b", "\x1b[31m", "", "x" * 300, "127.0.0.1:5555"])
def test_a_serial_makes_a_harmless_folder_name(serial: str) -> None:
    name = job_id(Phone(None, serial, "device"))
    assert name.replace("-", "").isalnum() and len(name) < 60
    assert name != job_id(Phone("other:1", serial, "device"))


def test_a_run_is_resumed_where_it_ended(tmp_path: Path, phone_report: Callable[..., Report]) -> None:
    run = LabRun(tmp_path / "run")
    plan = make_plan(Inventory(), [A, B, LOCKED])
    run.start(plan)
    with pytest.raises(UsageError, match="already holds"):
        run.start(plan)
    first, second = plan.jobs
    kept = run.keep(
        Finished(JobRow(first.id, "A", None, "phones", JobEnd.DONE, verdict=Verdict.PASS), phone_report("a"))
    )
    assert (run.folder / (kept.report or "")).exists()
    with (run.folder / "results.jsonl").open("ab") as file:
        file.write(b'{"id": "cut o')  # the power went
    assert run.todo() == [second]
    run.append(JobRow(second.id, "B", None, "phones", JobEnd.FAILED, error="the cable"))
    assert run.todo() == [second]  # broken runs are run again
    run.append(JobRow(second.id, "B", None, "phones", JobEnd.DONE, verdict=Verdict.FAIL))
    assert run.todo() == [] and len(run.rows()) == 3
    assert Exit.worst(row.exit() for row in run.rows()) == 3
    assert markdown(run.rows()).splitlines()[0].startswith("# gemmafit: 1 ")


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = LabRun(tmp_path / "run")
    run.start(make_plan(Inventory(), [A]))
    before = run.rows()

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GemmafitError, match="No space left") as caught:
        run.append(JobRow("x", "A", None, "g", JobEnd.DONE))
    assert caught.value.exit_code == 4 and "--resume" in (caught.value.hint or "")
    assert before == [] and run.plan().jobs


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([("done", "pass")], 0),
        ([("done", "degraded")], 0),
        ([("done", "pass"), ("done", "fail")], 1),
        ([("done", "inconclusive")], 5),
        ([("done", "fail"), ("unreachable", None)], 3),
        ([("unreachable", None), ("partial", "pass")], 4),
        ([("stopped", None)], 4),
    ],
)
def test_exit_codes(statuses: list[tuple[str, str | None]], code: int) -> None:
    rows = [
        JobRow(str(n), "s", None, "g", JobEnd(status), verdict=Verdict(v) if v else None)
        for n, (status, v) in enumerate(statuses)
    ]
    assert Exit.worst(row.exit() for row in rows) == code


def test_the_gate_holds_for_what_is_known_only() -> None:
    gate = Gate(battery_min_percent=20, temperature_max_c=40.0, thermal_status_max=1)
    assert gate_closed(gate, Conditions()) is None
    assert "battery at 4 %" in (gate_closed(gate, Conditions(battery_percent=4)) or "")
    assert "45" in (gate_closed(gate, Conditions(battery_temperature_c=45.0)) or "")
    assert "thermal" in (gate_closed(gate, Conditions(thermal_status=3)) or "")
    assert (
        gate_closed(gate, Conditions(battery_percent=90, battery_temperature_c=30.0, thermal_status=0))
        is None
    )


def test_a_job_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    forever = threading.Event()

    def examine(job: Job, control: Control) -> Finished:
        if job.phone.serial == "A":
            forever.wait(30)
        return Finished(JobRow(job.id, job.phone.serial, None, "g", JobEnd.DONE, verdict=Verdict.PASS))

    monkeypatch.setattr(pool, "run_phone", examine)
    monkeypatch.setattr(pool, "GRACE_S", 0.5)
    group = Group(deadline_s=0, gate=Gate(wait_s=0))
    jobs = make_plan(Inventory(groups=(group,)), [A, B]).jobs
    found = {f.row.serial: f.row for f in pool.ThreadPool(1).run(jobs, Control())}
    forever.set()
    assert (found["A"].status, found["B"].status) == ("failed", "done")
    assert "given up" in (found["A"].error or "")


def test_a_defect_of_ours_costs_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(job: Job) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("gemmafit.lab.job._target", broken)
    row = run_phone(Job("a", Phone(None, "a", "device"), Group())).row
    assert (row.status, row.error) == ("failed", "unexpected ZeroDivisionError: by zero")
