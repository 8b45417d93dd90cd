"""The probe of this computer: real questions, real agent and workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmafit.base.events import Event
from gemmafit.probes.collect import ask_conditions, collect
from gemmafit.probes.files import dump_capture, parse_capture, sha256
from gemmafit.probes.local import LocalTarget
from gemmafit.probes.read import read
from gemmafit.probes.redact import redact
from gemmafit.probes.replay import ReplayTarget


def test_this_computer(tmp_path: Path) -> None:
    steps: list[Event] = []
    capture = collect(LocalTarget(), on_event=steps.append)
    snapshot = read(capture)
    assert snapshot.kind == "local" and snapshot.android is None and snapshot.identity.emulator is None
    assert snapshot.cpu.architecture is not None and snapshot.cpu.clusters
    assert sum(cluster.count or 0 for cluster in snapshot.cpu.clusters) >= 1
    assert snapshot.memory.total_bytes and snapshot.memory.storage_free_bytes
    # Each backend was looked at in a process of its own: found, or not found with an error.
    for part in (snapshot.opencl, snapshot.vulkan):
        assert part.present or part.error
    assert [step.message for step in steps if step.stage == "agent" and step.seconds is not None] == [
        "cpu probe",
        "opencl probe",
        "vulkan probe",
    ]
    # The recording is the same phone: the same snapshot, the same digest.
    path = tmp_path / "local.yaml"
    path.write_text(dump_capture(capture), encoding="utf-8")
    again = collect(ReplayTarget(path))
    assert read(again) == snapshot
    assert sha256(again) == sha256(capture)
    assert read(redact(parse_capture(dump_capture(capture)))).cpu == snapshot.cpu


def test_without_push_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: LocalTarget, on_event: object = None) -> None:
        raise AssertionError("a session was opened")

    monkeypatch.setattr(LocalTarget, "session", refuse)
    capture = collect(LocalTarget(), push=False)
    assert capture.agent is None
    assert read(capture).opencl.present is None


def test_conditions_are_asked_alone() -> None:
    steps: list[Event] = []
    conditions = ask_conditions(LocalTarget(), steps.append)
    assert len([step for step in steps if step.seconds is not None]) == 1
    assert conditions.battery_percent is None or 0 <= conditions.battery_percent <= 100
