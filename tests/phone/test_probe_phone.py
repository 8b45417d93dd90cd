"""The probe over the real adb protocol: in how many round trips, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gemmafit.base.events import Event
from gemmafit.probes.adb.target import AdbTarget
from gemmafit.probes.collect import collect
from gemmafit.probes.files import dump_capture, parse_capture, sha256
from gemmafit.probes.read import read
from gemmafit.tests.phone.vphone.handle import Phone

Connect = Callable[..., AdbTarget]


@pytest.mark.parametrize(("old", "trips"), [(False, 2), (True, 3)], ids=["shell_v2", "old daemon"])
def test_a_probe_without_push_in_few_round_trips(
    connect: Connect, plain_phone: Phone, old: bool, trips: int
) -> None:
    target = connect(plain_phone, old=old)
    steps: list[Event] = []
    capture = collect(target, push=False, on_event=steps.append)
    assert len([step for step in steps if step.seconds is not None]) <= trips
    assert steps[-1].message.endswith(" 1 questions"), "what may restart a phone comes last and alone"
    assert capture.agent is None
    snapshot = read(capture)
    assert snapshot.kind == "adb"
    assert snapshot.identity.model == "Plain Phone"
    assert snapshot.android is not None
    assert (snapshot.android.sdk, snapshot.android.bits) == (33, 64)
    assert snapshot.gpu.renderer == "Virtual GPU"
    assert snapshot.cpu.clusters and snapshot.memory.total_bytes
    assert snapshot.public_libraries == ("libqti-perfd-client.so",)
    assert snapshot.opencl.present is None
    assert snapshot.opencl.app is not None and snapshot.opencl.app.visible is False
    assert snapshot.warnings == ()


def test_what_the_agent_sees(connect: Connect, plain_phone: Phone) -> None:
    capture = collect(connect(plain_phone))
    assert capture.agent is not None
    # Also the sections that cannot be written say so.
    assert set(capture.agent) == {"probe", "sections"}
    assert {"cpu", "opencl", "vulkan"} <= capture.agent["probe"].keys()
    snapshot = read(capture)
    assert snapshot.opencl.present is False
    assert {attempt.name for attempt in snapshot.opencl.attempts} >= {"libOpenCL.so"}
    assert sha256(parse_capture(dump_capture(capture))) == sha256(capture)
