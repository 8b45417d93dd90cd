"""Every rule of the judge: a phone with nothing wrong, and for each code the fact that brings it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import StringIO
from typing import Any, ClassVar

import msgspec
import pytest
from rich.console import Console

from gemmafit.base.errors import AgentCause, UsageError
from gemmafit.base.names import Backend, CheckStatus, Evidence, Status, Verdict
from gemmafit.base.options import Options
from gemmafit.benchmarks.measurements import Contention, Deviation, Measurement
from gemmafit.benchmarks.states import Span
from gemmafit.cli.render import render
from gemmafit.judge.judge import judge
from gemmafit.judge.references import load
from gemmafit.probes.snapshot import (
    AgentProblem,
    Android,
    AppVisibility,
    Cluster,
    Conditions,
    Cpu,
    Gpu,
    Identity,
    LibraryVisibility,
    Memory,
    OpenCl,
    Snapshot,
    Soc,
    Vulkan,
)
from gemmafit.profiles.conditions import FILE_FACTS
from gemmafit.profiles.knowledge import Knowledge
from gemmafit.reports.figures import measured
from gemmafit.reports.report import Check, Report
from gemmafit.tests.judge.faults import holding, made

GB = 10**9
PRIMARY = "gemma-2b-it-gpu-int8"


@dataclass(frozen=True)
class Situation:
    """What the judge is given."""

    snapshot: Snapshot
    rows: tuple[Measurement, ...] = ()
    options: Options = field(default_factory=Options)

    def judged(self, knowledge: Knowledge | None = None) -> Report:
        return self._report if knowledge is None else self._judge(knowledge)

    @cached_property
    def _report(self) -> Report:
        """Many tests ask for the same one."""
        return self._judge(load())

    def _judge(self, knowledge: Knowledge) -> Report:
        return judge(self.snapshot, self.rows, knowledge, self.options)


PHONE = Snapshot(
    kind="adb",
    identity=Identity(manufacturer="maker", model="Good Phone", emulator=False),
    android=Android("15", 35, "2025-05-01", ("arm64-v8a",), 64),
    soc=Soc("QTI", "SM8635", "Snapdragon 8s Gen 3"),
    cpu=Cpu(
        (
            Cluster("Cortex-A520", 2, 2266, cpus=(0, 1)),
            Cluster("Cortex-A720", 5, 3149, cpus=(2, 3, 4, 5, 6)),
            Cluster("Cortex-X4", 1, 3398, cpus=(7,)),
        ),
        frozenset({"asimd", "asimddp", "i8mm"}),
    ),
    memory=Memory(15 * GB, 9 * GB, storage_free_bytes=100 * GB),
    gpu=Gpu("Qualcomm", "Adreno 750", "Adreno 7xx", gles_version="3.2"),
    opencl=OpenCl(
        fp16=True,
        max_alloc_bytes=2 * GB,
        app=AppVisibility(
            True, "listed", libraries=(LibraryVisibility("libOpenCL.so", True, "listed", True),)
        ),
        device_type="gpu",
    ),
    vulkan=Vulkan(present=True, device="Adreno 750", max_storage_buffer_range=GB),
)
GOOD = Situation(PHONE)


def row(backend: str, phase: str, scheme: str = "int8", **values: Any) -> Measurement:
    """A measurement of one Gemma-2B layer at 50 GB/s and 5000 GFLOP/s, right and reproducible."""
    standard: dict[str, Any] = {
        "status": Status.OK,
        "samples_s": (0.0022,) if phase == "decode" else (0.0056,),
        "bytes": 110_000_000,
        "flops": 220_000_000 if phase == "decode" else 28_000_000_000,
        "tokens": 1 if phase == "decode" else 128,
        "deviation": Deviation(0.01, 0.001, 1.0, "out", 0.02),
        "deterministic": True,
    }
    return Measurement(Backend(backend), scheme, phase, "rows", **{**standard, **values})


def rows(backend: str, **values: Any) -> tuple[Measurement, ...]:
    return tuple(
        row(backend, phase, scheme, **values)
        for phase in ("decode", "prefill")
        for scheme in ("int8", "int4")
    )


def phone(**parts: Any) -> Situation:
    """The good phone with some parts of the snapshot replaced."""
    return Situation(replace(PHONE, **parts))


def opencl(**values: Any) -> Situation:
    return phone(opencl=replace(PHONE.opencl, **values))


def gpu(model: str, architecture: str | None = None, vendor: str | None = "Arm") -> Situation:
    return phone(gpu=Gpu(vendor, model, architecture, gles_version="3.2"), soc=Soc())


def android(**values: Any) -> Situation:
    assert PHONE.android is not None
    return phone(android=replace(PHONE.android, **values))


WRONG = Deviation(9.0, 0.5, 0.4, "geglu", 0.02)
FAILED: dict[str, Any] = {"status": Status.ERROR, "reason": "CL_BUILD_PROGRAM_FAILURE (-11)", "samples_s": ()}

TAKEN: dict[str, Any] = {
    "valid": False,
    "reason": "this computer was busy: other programs took 1.9 of 2 cores",
    "contention": Contention(True, 2, lost=0.5, others=1.9, load=11.2),
}
"""A row that was measured beside other programs."""

CASES: dict[str, Situation] = {
    "abi.no-arm64": android(abis=("x86_64",)),
    "abi.32-bit": android(bits=32),
    "abi.unknown": android(bits=None),
    "sdk.too-old": android(sdk=21),
    "sdk.unknown": android(sdk=None),
    "npu.soc-unknown": phone(soc=Soc()),
    "npu.untested": phone(soc=Soc("QTI", "SM8750", "Snapdragon 8 Elite")),
    "device.emulator": phone(identity=Identity(emulator=True, emulator_kind="cloud phone")),
    "opencl.missing": opencl(present=False, error="libOpenCL.so not found"),
    "opencl.no-platform": opencl(present=False, library="libOpenCL.so"),
    "opencl.not-public": opencl(app=AppVisibility(False, "no public.libraries file names it")),
    "opencl.other-library": opencl(
        app=AppVisibility(True, "listed", libraries=(LibraryVisibility("libPVROCL.so", True, "listed"),))
    ),
    "opencl.app-unknown": opencl(present=True, app=None),
    "opencl.unknown": opencl(app=None),
    "opencl.probe-failed": opencl(error="the opencl probe failed: it was killed by SIGSEGV (11)"),
    "opencl.kernels-failed": replace(GOOD, rows=rows("opencl", **FAILED)),
    "opencl.no-fp16": opencl(fp16=False),
    "cpu.kernels-failed": replace(GOOD, rows=rows("cpu", **FAILED)),
    "vulkan.missing": phone(vulkan=Vulkan(present=False)),
    "vulkan.unknown": phone(vulkan=Vulkan()),
    "vulkan.probe-failed": phone(vulkan=Vulkan(error="the vulkan probe failed: it ended with status 1")),
    "vulkan.small-binding": phone(vulkan=replace(PHONE.vulkan, max_storage_buffer_range=128 << 20)),
    "vulkan.kernels-failed": replace(GOOD, rows=rows("vulkan", **FAILED)),
    "memory.too-small": phone(memory=Memory(2 * GB)),
    "memory.tight": phone(memory=Memory(int(4.7 * GB))),
    "memory.unknown": phone(memory=Memory()),
    "memory.busy": phone(memory=Memory(15 * GB, 1 * GB)),
    "memory.below-publisher": phone(memory=Memory(4 * GB)),
    "buffer.small": opencl(max_alloc_bytes=256 << 20),
    "storage.full": phone(memory=replace(PHONE.memory, storage_free_bytes=GB)),
    "numbers.wrong": replace(GOOD, rows=rows("opencl", deviation=WRONG)),
    "numbers.some-kernels-wrong": replace(
        GOOD, rows=(*rows("opencl"), replace(row("opencl", "decode", deviation=WRONG), variant="engine"))
    ),
    "numbers.not-deterministic": replace(GOOD, rows=rows("opencl", deterministic=False)),
    "gpu.unknown": phone(gpu=Gpu()),
    "speed.slow": replace(GOOD, options=Options(decode_tok_s=1000.0)),
    "speed.unusable": replace(GOOD, rows=rows("opencl", samples_s=(1.0,))),
    "speed.unknown": phone(gpu=Gpu("Arm", "Mali-G999"), soc=Soc()),
    "speed.first-token-unknown": phone(cpu=Cpu()),
    "speed.capped": replace(GOOD, rows=rows("opencl", samples_s=(1.0,), details={"capped": ["x was on"]})),
    "speed.first-token": replace(GOOD, options=Options(ttft_s=0.001)),
    "gpu.slower-than-cpu": replace(
        GOOD, rows=(*rows("opencl", samples_s=(0.008,)), *rows("cpu", samples_s=(0.004,)))
    ),
    "list.unsupported": gpu("Mali-T720", "Midgard"),
    "backend.left-alone": replace(
        GOOD,
        rows=(
            Measurement(
                Backend.VULKAN, "", "decode", "", Status.SKIPPED, "not run", details={"left_alone": "a fault"}
            ),
        ),
    ),
    "speed.disturbed": replace(phone(gpu=Gpu("Arm", "Mali-G999"), soc=Soc()), rows=rows("cpu", **TAKEN)),
    "conditions.busy": replace(GOOD, rows=rows("cpu", **TAKEN)),
    "conditions.throttled": replace(GOOD, rows=rows("cpu", valid=False)),
    "conditions.capped": replace(phone(conditions=Conditions(battery_saver=True)), rows=rows("cpu")),
    "conditions.screen-off": replace(phone(conditions=Conditions(screen_on=False)), rows=rows("cpu")),
    "device.services-down": phone(services=False),
    "device.no-aicore": phone(aicore=False),
    "device.pages": android(page_bytes=4096, page_bytes_max=16384),
    "runtime.page-size": replace(
        android(page_bytes=16384), options=Options(runtime_version="tasks-genai=0.10.25")
    ),
    "runtime.too-old": replace(GOOD, options=Options(family="gemma-4", runtime_version="litert-lm=0.12.0")),
    **{f"agent.{cause}": phone(agent_problem=AgentProblem(cause, "its own words")) for cause in AgentCause},
}
"""Reason code -> the good phone, made so that the code has to appear."""

ALWAYS = {
    "opencl.manifest",
    "vulkan.fallback-only",
    "npu.other-soc",
    "npu.no-file",
    "file.not-for-android",
    "runtime.deprecated",
}
"""Codes that hold for the good phone too: about other files, the runtime, or what a backend is not."""

KNOWN = load()
SHIPPED = {backend for model in KNOWN.models.values() for backend in model.backends}
FAULTS: dict[str, Situation] = {
    id: Situation(made(PHONE, row.when))
    for id, row in KNOWN.drivers.items()
    if SHIPPED & {value for name, value in holding(row.when) if name == "backend"}
}
"""Fault row -> the good phone, made so that the row holds. Other rows only keep us from asking or running."""

NEIGHBOURS = (
    GOOD,
    gpu("Adreno 740", "Adreno 7xx", "Qualcomm"),
    replace(GOOD, snapshot=replace(PHONE, kind="local")),
)
"""A row that asks for something of the device does not hold on all of these."""


def codes(report: Report) -> set[str]:
    return {
        *(reason for variant in report.variants for reason in variant.reasons),
        *(reason for backend in report.backends.values() for reason in backend.reasons),
        *(check.reason for check in report.checks if check.reason is not None),
    }


def check(report: Report, id: str) -> Check:
    return next(c for c in report.checks if c.id == id)


def variant(report: Report, id: str, backend: str) -> Any:
    return next(v for v in report.variants if (v.id, v.backend) == (id, backend))


def test_the_good_phone_passes() -> None:
    report = GOOD.judged()
    assert report.verdict is Verdict.PASS
    assert report.recommendation is not None
    assert report.recommendation.variant == PRIMARY
    assert variant(report, PRIMARY, "opencl").reasons == ()
    assert variant(report, PRIMARY, "opencl").scope == "app-inferred"


@pytest.mark.parametrize("code", CASES)
def test_reason_appears_only_where_its_fact_holds(code: str) -> None:
    assert code not in codes(GOOD.judged())
    assert code in codes(CASES[code].judged())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_row_holds_on_its_device_and_not_on_every(fault: str) -> None:
    asked = {name for name, _ in holding(KNOWN.drivers[fault].when)} - {"backend", *FILE_FACTS}
    assert f"known.{fault}" in codes(FAULTS[fault].judged()), (
        "no phone and file of the tables have what `when` asks for"
    )
    assert not asked or any(f"known.{fault}" not in codes(other.judged()) for other in NEIGHBOURS)


def test_every_row_is_exercised_here() -> None:
    assert set(KNOWN.reasons) == {*CASES, *ALWAYS}, "a reason needs a phone in CASES on which it appears"
    rest = {id: row.avoid for id, row in KNOWN.drivers.items() if id not in FAULTS}
    assert all(rest.values()), f"about no backend of any file, and without `avoid`: {rest}"
    assert {code for code in codes(GOOD.judged()) if not code.startswith("known.")} == ALWAYS


def test_every_statement_has_a_source_and_what_is_wrong_a_remedy() -> None:
    situations = [GOOD, Situation(Snapshot(kind="assembled")), *CASES.values(), *FAULTS.values()]
    for situation in situations:
        for answer in situation.judged().checks:
            assert answer.source and answer.because and answer.found and answer.required, answer
            assert (answer.status is CheckStatus.PASS) == (answer.reason is None) == (answer.remedy is None)


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (opencl(present=False), Verdict.DEGRADED),
        (opencl(app=AppVisibility(False, "not listed")), Verdict.DEGRADED),
        (gpu("Mali-T820", "Midgard"), Verdict.DEGRADED),
        (gpu("Mali-G715", "Valhall"), Verdict.DEGRADED),
        (phone(memory=Memory(4 * GB)), Verdict.DEGRADED),
        (phone(memory=Memory(2 * GB)), Verdict.FAIL),
        (android(bits=32, abis=("armeabi-v7a",)), Verdict.FAIL),
        (android(abis=("x86_64",)), Verdict.FAIL),
        (opencl(app=None), Verdict.INCONCLUSIVE),
        (phone(memory=Memory()), Verdict.INCONCLUSIVE),
        (phone(android=None), Verdict.INCONCLUSIVE),
        # A fact that is unknown does not matter where another one already decides.
        (phone(memory=Memory(2 * GB), opencl=OpenCl()), Verdict.FAIL),
        (phone(memory=Memory(4 * GB), opencl=OpenCl()), Verdict.DEGRADED),
        (phone(vulkan=Vulkan()), Verdict.PASS),
        (phone(gpu=Gpu("Arm", "Mali-T880", "Midgard")), Verdict.DEGRADED),
        (gpu("Mali-T880", "Midgard"), Verdict.INCONCLUSIVE),
    ],
)
def test_verdict(situation: Situation, expected: Verdict) -> None:
    assert situation.judged().verdict is expected


def test_verdict_follows_the_family_asked_for() -> None:
    small = phone(memory=Memory(2 * GB))
    assert small.judged().verdict is Verdict.FAIL
    assert small.judged().recommendation is None
    any_family = replace(small, options=Options(family="any")).judged()
    assert any_family.verdict is Verdict.DEGRADED
    assert any_family.recommendation is not None
    assert any_family.recommendation.variant == "gemma3-270m-it-q8"
    with pytest.raises(UsageError, match="gemma-5"):
        replace(GOOD, options=Options(family="gemma-5")).judged()


def test_degraded_says_what_was_given_up() -> None:
    report = opencl(present=False).judged()
    assert report.recommendation is not None
    assert (report.recommendation.variant, report.recommendation.backend) == ("gemma-2b-it-cpu-int8", "cpu")
    assert "given up: the GPU" in report.summary
    small = phone(memory=Memory(4 * GB)).judged()
    assert small.recommendation is not None
    assert small.recommendation.variant == "gemma-2b-it-gpu-int4"
    assert "given up: 8-bit weights" in small.summary


def test_a_gpu_that_is_slower_than_the_cpu_is_not_recommended() -> None:
    slow_gpu = CASES["gpu.slower-than-cpu"].judged()
    assert slow_gpu.verdict is Verdict.PASS
    assert slow_gpu.recommendation is not None
    assert slow_gpu.recommendation.backend == "cpu"


def left_alone(backend: str) -> Measurement:
    """As `benchmarks.run` says that it ran nothing on a backend."""
    fault = {"left_alone": "known fault x (reboot): it restarts (a source)"}
    return Measurement(Backend(backend), "", "decode", "", Status.SKIPPED, "not run", details=fault)


def test_a_backend_that_was_left_alone_is_said_and_judged_by_its_fault() -> None:
    reset = FAULTS["powervr-cxt-reset"]
    before = replace(reset, rows=rows("cpu")).judged()
    report = replace(reset, rows=(left_alone("opencl"), left_alone("vulkan"), *rows("cpu"))).judged()
    assert report.verdict is before.verdict is Verdict.DEGRADED
    assert report.recommendation is not None and report.recommendation.backend == "cpu"
    for backend in ("opencl", "vulkan"):
        assert "backend.left-alone" in report.backends[backend].reasons
        said = check(report, f"{backend}.left-alone")
        assert said.status is CheckStatus.SKIP and "known fault x" in said.found
        assert any(note.startswith(f"{backend}: nothing was run, for known fault x") for note in report.notes)
    assert "known.powervr-cxt-reset" in report.backends["opencl"].reasons
    assert report.backends["opencl"].capable is CheckStatus.FAIL  # by the fault
    assert report.backends["vulkan"].capable is CheckStatus.SKIP
    assert report.backends["cpu"].capable is CheckStatus.PASS
    assert not any(c.endswith("left-alone") for c in codes(before))


def test_where_nothing_is_fast_enough_the_fastest_is_recommended() -> None:
    slow = replace(opencl(present=False), options=Options(decode_tok_s=1000.0)).judged()
    assert slow.recommendation is not None
    assert slow.recommendation.variant == "gemma-2b-it-cpu-int4"


def test_use_weighs_prefill_against_decode() -> None:
    """A GPU that decodes slower but reads the prompt much faster wins for summaries and loses for chat."""
    measured = (
        *(row("opencl", "decode", s, samples_s=(0.004,)) for s in ("int8", "int4")),
        *(row("opencl", "prefill", s, samples_s=(0.0056,)) for s in ("int8", "int4")),
        *(row("cpu", "decode", s, samples_s=(0.003,)) for s in ("int8", "int4")),
        *(row("cpu", "prefill", s, samples_s=(0.0500,)) for s in ("int8", "int4")),
    )
    chosen = {}
    for use in ("chat", "summarise"):
        report = replace(GOOD, rows=measured, options=Options(use=use)).judged()
        assert report.recommendation is not None
        chosen[use] = report.recommendation.backend
    assert chosen == {"chat": "cpu", "summarise": "opencl"}


def test_fallback_goes_from_gpu_to_cpu_to_fewer_bits_to_a_smaller_model() -> None:
    """Of the files named here: one that is published later may be better than they are."""
    expected = [
        ("gemma-2b-it-cpu-int8", "cpu"),
        ("gemma-2b-it-gpu-int4", "opencl"),
        ("gemma-2b-it-cpu-int4", "cpu"),
        ("gemma3-1b-it-int4", "opencl"),
        ("gemma3-270m-it-q8", "cpu"),
    ]
    named = {id: KNOWN.models[id] for id in (PRIMARY, *(variant for variant, _ in expected))}
    report = phone(memory=Memory(6 * GB)).judged(msgspec.structs.replace(KNOWN, models=named))
    assert [(s.variant, s.backend) for s in report.fallback] == expected


def test_fallback_leaves_out_a_gpu_that_cannot_be_loaded() -> None:
    steps = [(s.variant, s.backend) for s in opencl(present=False).judged().fallback]
    assert all(backend == "cpu" for _, backend in steps)
    assert steps[0] == ("gemma-2b-it-cpu-int4", "cpu")


def test_evidence_is_probed_only_for_the_backend_that_ran() -> None:
    report = replace(GOOD, rows=rows("opencl")).judged()
    assert variant(report, PRIMARY, "opencl").evidence is Evidence.PROBED
    assert variant(report, "gemma-2b-it-cpu-int8", "cpu").evidence is Evidence.PREDICTED
    assert check(report, "opencl.correct").evidence is Evidence.PROBED
    assert check(report, f"{PRIMARY}.opencl.decode").evidence is Evidence.PROBED
    assert check(report, f"{PRIMARY}.opencl.memory").evidence is Evidence.PREDICTED
    assert report.backends["opencl"].deterministic is CheckStatus.PASS
    assert report.backends["cpu"].deterministic is CheckStatus.SKIP


@pytest.mark.parametrize(
    ("broken", "reason"), [({"deviation": WRONG}, "numbers.wrong"), (FAILED, "opencl.kernels-failed")]
)
def test_kernels_of_one_scheme_decide_about_its_files_only(broken: dict[str, Any], reason: str) -> None:
    int4 = tuple(row("opencl", phase, "int4", **broken) for phase in ("decode", "prefill"))
    int8 = tuple(row("opencl", phase, "int8") for phase in ("decode", "prefill"))
    report = replace(GOOD, rows=(*int8, *int4)).judged()
    assert report.verdict is Verdict.PASS
    assert variant(report, PRIMARY, "opencl").reasons == ()
    four_bits = variant(report, "gemma-2b-it-gpu-int4", "opencl")
    assert four_bits.status is CheckStatus.FAIL
    assert reason in four_bits.reasons
    other_way = replace(
        GOOD, rows=tuple(replace(r, scheme="int4" if r.scheme == "int8" else "int8") for r in (*int8, *int4))
    )
    assert other_way.judged().verdict is Verdict.DEGRADED


def test_measured_rows_that_are_wrong_or_disturbed_predict_nothing() -> None:
    disturbed = replace(GOOD, rows=rows("opencl", valid=False, samples_s=(100.0,))).judged()
    speed = variant(disturbed, PRIMARY, "opencl").predicted
    assert speed.basis == "chip"
    assert speed.decode_tok_s.value > 1


def test_settings_follow_memory_sweep_and_clusters() -> None:
    sweep = (
        *rows("cpu"),
        replace(row("cpu", "prefill", samples_s=(0.0056,), tokens=256), variant="chunk256"),
        replace(row("cpu", "prefill", samples_s=(0.0200,), tokens=512), variant="chunk512"),
    )
    report = replace(opencl(present=False), rows=sweep).judged()
    assert report.recommendation is not None
    settings = report.recommendation.settings
    assert settings["prefill_chunk"] == 256
    assert settings["threads"] == 4
    assert settings["cpus"] == [2, 3, 4, 7]
    assert settings["max_tokens"] == 8192
    narrow = replace(opencl(present=False), options=Options(context=4096))
    tight = replace(narrow, snapshot=replace(narrow.snapshot, memory=Memory(int(5.40 * GB)))).judged()
    assert tight.recommendation is not None
    assert tight.recommendation.settings["max_tokens"] == 4096


def test_a_computer_is_judged_without_androids_rules() -> None:
    here = Snapshot(
        kind="local",
        memory=Memory(24 * GB, 20 * GB),
        opencl=OpenCl(
            present=True, device="cpu-znver3", platform="Portable Computing Language", device_type="cpu"
        ),
    )
    report = Situation(here, (*rows("opencl"), *rows("cpu"))).judged()
    assert report.verdict is Verdict.PASS
    assert not any(c.id.endswith((".abi", ".sdk")) for c in report.checks)
    assert "computes on the CPU" in check(report, "opencl.visible").found
    assert report.backends["opencl"].scope == "device"


def test_vulkan_is_the_base_of_a_fallback_and_never_a_variant() -> None:
    report = replace(GOOD, rows=rows("vulkan")).judged()
    assert report.backends["vulkan"].reasons == ("vulkan.fallback-only",)
    assert all(v.backend != "vulkan" for v in report.variants)
    assert "WebGPU" in check(report, "vulkan.visible").because


def test_nothing_known_is_inconclusive_and_says_what_is_missing() -> None:
    report = Situation(Snapshot(kind="assembled")).judged()
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.recommendation is None
    assert all(v.status in (CheckStatus.UNKNOWN, CheckStatus.FAIL) for v in report.variants)
    assert report.device["ram_bytes"] is None and report.device["android"] is None


def test_only_additions_to_the_snapshot_change_the_input() -> None:
    """Judging twice gives the same report: no clock, no environment, no order of a set."""
    situations: list[Callable[[], Report]] = [GOOD.judged, CASES["numbers.wrong"].judged]
    for judged in situations:
        assert judged() == judged()


def test_manifest_is_a_remark_that_names_what_to_declare() -> None:
    report = GOOD.judged()
    for runtime in load().runtimes.values():
        remark = check(report, f"{runtime.id}.manifest")
        assert remark.status is CheckStatus.WARN
        assert set(remark.required.split(", ")) == {"libOpenCL.so", *runtime.manifest_libraries}
    assert report.verdict is Verdict.PASS
    older = opencl(app=AppVisibility(True, "listed; API 30 needs no declaration")).judged()
    assert "opencl.manifest" not in codes(older)


def test_a_runtime_is_judged_by_the_library_names_that_it_tries() -> None:
    """Apps get only libGLES_mali.so: LiteRT-LM tries that name, tasks-genai does not."""
    library = LibraryVisibility("libGLES_mali.so", True, "listed", must_declare=True)
    report = opencl(app=AppVisibility(True, "listed", libraries=(library,))).judged()
    refusals = {
        (v.runtime, "opencl.other-library" in v.reasons) for v in report.variants if v.backend == "opencl"
    }
    assert refusals == {("tasks-genai", True), ("litert-lm", False)}
    assert report.backends["opencl"].visible is CheckStatus.FAIL
    refused = check(report, "tasks-genai.opencl")
    assert (refused.reason, refused.found) == ("opencl.other-library", "apps may open libGLES_mali.so")
    assert report.recommendation is None or (report.recommendation.runtime, report.recommendation.backend) != (
        "tasks-genai", "opencl"
    )  # fmt: skip
    assert {c.id for c in report.checks if c.reason == "opencl.manifest"} == {"litert-lm.manifest"}
    assert check(report, "litert-lm.manifest").required.startswith("libGLES_mali.so, libOpenCL.so")


@pytest.mark.parametrize("made_for_them", [False, True])
def test_a_runtime_that_is_not_made_for_emulators_is_remarked_upon(made_for_them: bool) -> None:
    known = load()
    runtimes = {k: msgspec.structs.replace(r, emulators=made_for_them) for k, r in known.runtimes.items()}
    found = CASES["device.emulator"].judged(msgspec.structs.replace(known, runtimes=runtimes))
    assert ("device.emulator" in codes(found)) is not made_for_them
    assert found.verdict is (Verdict.PASS if made_for_them else Verdict.DEGRADED)


def test_a_recommendation_says_what_an_apps_build_asks_for() -> None:
    best = GOOD.judged().recommendation
    assert best is not None and best.dependency == load().runtimes[best.runtime].dependency


@pytest.mark.parametrize("family", [f for f in load().families if f != "gemma3-270m"])
def test_the_file_a_family_stands_for_is_recommended_where_nothing_is_wrong(family: str) -> None:
    report = replace(gpu("Adreno 740", "Adreno 7xx", "Qualcomm"), options=Options(family=family)).judged()
    assert report.verdict is Verdict.PASS
    assert report.recommendation is not None
    assert report.recommendation.variant == load().families[family].primary
    assert report.recommendation.backend == "opencl"


def test_a_file_for_a_deprecated_runtime_is_recommended_with_its_successor() -> None:
    report = GOOD.judged()
    assert report.recommendation is not None
    assert "is deprecated; with litert-lm take gemma-4-E4B-it.litertlm" in report.recommendation.because
    newer = replace(GOOD, options=Options(family="gemma-4")).judged()
    assert newer.recommendation is not None
    assert "deprecated" not in newer.recommendation.because


def test_summary_is_one_sentence_about_what_was_decided() -> None:
    for situation in (GOOD, *CASES.values(), *FAULTS.values()):
        report = situation.judged()
        assert report.summary.endswith(".") and ". " not in report.summary, report.summary
        assert report.recommendation is None or report.recommendation.file in report.summary
    slower = CASES["gpu.slower-than-cpu"].judged().summary
    assert "sooner without it; use gemma-2b-it-cpu-int8.bin on the CPU" in slower


class TestBusy:
    """Rows that other programs disturbed: said first, and no ground for anything."""

    def test_the_device_is_said_to_be_busy_with_figures(self) -> None:
        report = replace(GOOD, rows=(*rows("cpu", **TAKEN), *rows("opencl"))).judged()
        found = check(report, "device.busy")
        assert found.status is CheckStatus.WARN and found.reason == "conditions.busy"
        assert "The phone is busy (load 11, other programs use 1.9 of 2 cores)" in found.because
        assert "4 of 8 measured rows do not count" in found.because
        local = Situation(replace(PHONE, kind="local"), rows("cpu", **TAKEN)).judged()
        assert check(local, "device.busy").because.startswith("This computer is busy (load 11")
        ids = {c.id for c in GOOD.judged().checks}
        assert "device.busy" not in ids and "cpu.conditions" not in {c.id for c in report.checks}

    def test_no_speed_rests_on_them(self) -> None:
        """The same as if they had not been measured: from the chip's data, or unknown."""
        slow = {**TAKEN, "samples_s": (0.5,)}
        void = replace(GOOD, rows=(*rows("cpu", **slow), *rows("opencl", **slow))).judged()
        none = GOOD.judged()
        assert [v.predicted for v in void.variants] == [v.predicted for v in none.variants]
        assert void.verdict is none.verdict and void.recommendation is not None
        assert void.recommendation.variant == PRIMARY and "ran here" not in void.summary
        counted = replace(GOOD, rows=rows("opencl", samples_s=(0.5,))).judged()
        assert counted.verdict is not none.verdict, "the same rows decide where they count"

    def test_where_nothing_else_is_known_the_verdict_is_open_and_says_why(self) -> None:
        report = CASES["speed.disturbed"].judged()
        decode = check(report, "gemma-2b-it-cpu-int8.cpu.decode")
        assert decode.status is CheckStatus.UNKNOWN and decode.reason == "speed.disturbed"
        assert "other programs took 1.9 of 2 cores" in decode.found
        assert "ran here" not in report.summary

    def test_wrong_numbers_of_a_busy_device_are_wrong(self) -> None:
        report = replace(GOOD, rows=rows("opencl", deviation=WRONG, **TAKEN)).judged()
        assert "numbers.wrong" in codes(report)

    def test_layouts_and_the_prefill_chunk_leave_them_out(self) -> None:
        quick = row("opencl", "prefill", tokens=64, samples_s=(1e-6,), **TAKEN)
        report = replace(GOOD, rows=(*rows("opencl"), replace(quick, variant="engine"))).judged()
        assert report.recommendation is not None
        assert report.recommendation.settings["prefill_chunk"] == 128
        assert all(pair["best"]["variant"] == "rows" for pair in report.layouts)

    def test_a_screen_says_it_first_and_shows_no_speed_of_theirs(self) -> None:
        out = StringIO()
        report = Situation(replace(PHONE, kind="local"), rows("cpu", **TAKEN)).judged()
        render(report, Console(file=out, width=120, highlight=False))
        text = out.getvalue()
        assert text.count("This computer is busy") == 1
        assert text.index("This computer is busy") < text.index("CPU ")
        assert measured(report.measurements, "cpu") == "void" and "GB/s" in measured(rows("cpu"), "cpu")


class TestCappedClocks:
    """What was measured while the phone held its clocks down is the least that it can do."""

    CAPPED: ClassVar[dict[str, Any]] = {
        "details": {"capped": ["battery saver was on"], "engine_layout": True}
    }

    def test_it_can_make_a_phone_fast_enough(self) -> None:
        report = replace(GOOD, rows=rows("opencl", **self.CAPPED)).judged()
        assert report.verdict is Verdict.PASS
        assert "ran here while battery saver was on" in check(report, f"{PRIMARY}.opencl.decode").found
        assert "battery saver" in report.summary

    def test_it_cannot_make_a_phone_too_slow(self) -> None:
        slow = {"samples_s": (1.0,), **self.CAPPED}
        assert variant(GOOD_SLOW.judged(), PRIMARY, "opencl").status is CheckStatus.FAIL
        found = variant(replace(GOOD, rows=rows("opencl", **slow)).judged(), PRIMARY, "opencl")
        assert found.status is CheckStatus.UNKNOWN and "speed.capped" in found.reasons
        assert found.predicted.capped == "battery saver was on"

    def test_slower_than_asked_says_why(self) -> None:
        situation = replace(GOOD, rows=rows("opencl", **self.CAPPED), options=Options(decode_tok_s=1000.0))
        answer = check(situation.judged(), f"{PRIMARY}.opencl.decode")
        assert answer.status is CheckStatus.WARN and answer.reason == "speed.slow"
        assert "measured while battery saver was on" in answer.because

    def test_the_interval_reaches_as_high_as_without_it(self) -> None:
        slow: dict[str, Any] = {"samples_s": (0.1,)}
        plain = variant(replace(GOOD, rows=rows("opencl", **slow)).judged(), PRIMARY, "opencl").predicted
        capped = replace(GOOD, rows=rows("opencl", **slow, **self.CAPPED)).judged()
        found = variant(capped, PRIMARY, "opencl").predicted
        unmeasured = variant(GOOD.judged(), PRIMARY, "opencl").predicted
        assert found.decode_tok_s.value == plain.decode_tok_s.value
        assert found.decode_tok_s.low == plain.decode_tok_s.low
        assert found.decode_tok_s.high > 3 * plain.decode_tok_s.high
        assert found.decode_tok_s.high == pytest.approx(unmeasured.decode_tok_s.high, rel=0.2)

    def test_two_states_are_not_compared(self) -> None:
        fast, slow = rows("cpu", samples_s=(0.004,)), rows("opencl", samples_s=(0.008,), **self.CAPPED)
        assert "gpu.slower-than-cpu" not in codes(replace(GOOD, rows=(*fast, *slow)).judged())
        both = (*rows("cpu", samples_s=(0.004,), **self.CAPPED), *slow)
        assert "gpu.slower-than-cpu" in codes(replace(GOOD, rows=both).judged())

    def test_the_states_are_in_the_report(self) -> None:
        on, off = Conditions(battery_saver=True), Conditions(battery_saver=False, screen_on=False)
        report = judge(PHONE, rows("cpu"), load(), spans=[Span("cpu", off, off), Span("opencl", off, on)])
        assert report.conditions["before"] == {"battery_saver": False, "screen_on": False}
        assert report.conditions["after"] == {"battery_saver": True}
        assert set(report.conditions["spans"]) == {"cpu", "opencl"}
        answer = check(report, "device.conditions")
        assert answer.found == "battery saver was on, the screen was off"
        assert any("Battery saver went on" in note for note in report.notes)

    def test_where_nothing_ran_the_state_says_nothing(self) -> None:
        report = phone(conditions=Conditions(battery_saver=True, screen_on=False)).judged()
        assert not any(answer.id == "device.conditions" for answer in report.checks)


GOOD_SLOW = replace(GOOD, rows=rows("opencl", samples_s=(1.0,)))
