"""Properties of the judge over all snapshots: it never fails, never invents, and more is never worse."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass, replace
from enum import Enum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gemmafit.base.names import MEASURED, CheckStatus, Evidence, ReportFormat, Status, Verdict
from gemmafit.base.options import Options
from gemmafit.benchmarks.measurements import Deviation, Measurement
from gemmafit.judge.judge import judge
from gemmafit.judge.references import load
from gemmafit.probes.snapshot import Android, AppVisibility, Cluster, Cpu, Gpu, Memory, OpenCl, Snapshot, Soc
from gemmafit.reports.report_io import from_dict, to_dict
from gemmafit.reports.writers import writer

GB = 10**9
NAMES = st.sampled_from(
    ["", "Mali-T820", "Adreno 750", "Snapdragon 8 Gen 3", "arm64-v8a", "x\x1b[31m", "\u202e"]
)


PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: NAMES,
    int: st.integers(0, 1 << 36),
    float: st.floats(0, 1e6),
    bool: st.booleans(),
}


def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, None included where the type allows it."""
    if is_dataclass(kind) and isinstance(kind, type):
        return any_of(kind)
    if isinstance(kind, UnionType):
        return st.one_of([anything(k) for k in get_args(kind)])
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return st.lists(anything(inner[0]), max_size=3).map(tuple)
    if origin is frozenset:
        return st.frozensets(st.sampled_from(["asimd", "asimddp", "i8mm", "cl_khr_fp16"]))
    if origin is dict:
        return st.just({})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    return PLAIN.get(kind, st.none())


def any_of(kind: type) -> st.SearchStrategy[Any]:
    """Dataclass values with every field drawn, those without a default always given."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{f.name: anything(hints[f.name]) for f in fields(kind) if f.name != "sources"})


ROWS = st.builds(
    Measurement,
    backend=st.sampled_from(MEASURED),
    scheme=st.sampled_from(["int8", "int4"]),
    phase=st.sampled_from(["decode", "prefill", "logits", "limit"]),
    variant=st.sampled_from(["rows", "engine"]),
    status=st.sampled_from(Status),
    reason=st.none() | NAMES,
    samples_s=st.lists(st.floats(0, 10), max_size=3).map(tuple),
    bytes=st.none() | st.integers(0, 1 << 30),
    flops=st.none() | st.integers(0, 1 << 40),
    tokens=st.none() | st.integers(0, 512),
    deviation=st.none() | st.builds(Deviation, *[st.floats(0, 10)] * 3, st.just("out"), st.just(0.02)),
    deterministic=st.none() | st.booleans(),
    valid=st.booleans(),
)


@settings(
    max_examples=40,
    # Shrinking a snapshot of a hundred fields takes minutes and rarely makes it clearer.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(
    snapshot=any_of(Snapshot),
    rows=st.lists(ROWS, max_size=6),
    family=st.sampled_from(["gemma-2b", "gemma-4", "any"]),
)
def test_judges_whatever_it_is_given(snapshot: Snapshot, rows: list[Measurement], family: str) -> None:
    report = judge(snapshot, rows, load(), Options(family=family))
    for check in report.checks:
        assert check.source and check.because
        assert (check.reason is None) == (check.status is CheckStatus.PASS)
    for variant in report.variants:
        assert bool(variant.reasons) or variant.status is CheckStatus.PASS
        if "file.not-for-android" in variant.reasons:
            continue
        ran = any(r.status is Status.OK and r.phase != "limit" and r.backend == variant.backend for r in rows)
        assert variant.evidence is (Evidence.PROBED if ran else Evidence.PREDICTED)
    works = {(v.id, v.backend) for v in report.variants if v.status in (CheckStatus.PASS, CheckStatus.WARN)}
    best = report.recommendation
    assert best is None or (best.variant, best.backend) in works
    assert {(s.variant, s.backend) for s in report.fallback} <= works
    assert len(set(report.fallback)) == len(report.fallback)
    assert best is None or (best.variant, best.backend) not in {
        (s.variant, s.backend) for s in report.fallback
    }
    if report.verdict in (Verdict.PASS, Verdict.DEGRADED):
        assert best is not None
    if report.verdict is Verdict.FAIL:
        assert best is None
    assert to_dict(from_dict(to_dict(report))) == to_dict(report)
    for format in ReportFormat:
        assert writer(format)(report)


def test_a_number_of_cores_that_no_phone_has_is_not_counted_out(phone: Snapshot) -> None:
    many = Cpu((Cluster("Cortex-X4", 1 << 36, 3300),), frozenset({"asimd", "i8mm"}))
    few = Cpu((Cluster("Cortex-X4", 8, 3300),), frozenset({"asimd", "i8mm"}))
    reports = [judge(replace(phone, cpu=cpu), [], load()) for cpu in (many, few)]
    assert reports[0].variants == reports[1].variants


def test_strategies_reach_required_fields() -> None:
    required = {f.name for f in fields(Snapshot) if f.default is MISSING and f.default_factory is MISSING}
    assert required == {"kind"}


ORDER = (Verdict.FAIL, Verdict.DEGRADED, Verdict.PASS)


@pytest.mark.parametrize(
    "gpu", [Gpu("Qualcomm", "Adreno 750", "Adreno 7xx"), Gpu("Arm", "Mali-G52", "Bifrost")]
)
def test_more_memory_is_never_worse(phone: Snapshot, gpu: Gpu) -> None:
    verdicts = [
        judge(replace(phone, gpu=gpu, soc=Soc(), memory=Memory(int(gb * GB))), [], load()).verdict
        for gb in (0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24)
    ]
    ranks = [ORDER.index(v) for v in verdicts]
    assert ranks == sorted(ranks)
    assert ranks[0] == 0 and ranks[-1] > 0


def test_a_lower_threshold_is_never_worse(phone: Snapshot) -> None:
    verdicts = [
        judge(phone, [], load(), Options(decode_tok_s=limit)).verdict for limit in (1000.0, 30.0, 5.0, 0.1)
    ]
    ranks = [ORDER.index(v) for v in verdicts]
    assert ranks == sorted(ranks)
    assert verdicts[0] is Verdict.DEGRADED and verdicts[-1] is Verdict.PASS


@pytest.fixture
def phone() -> Snapshot:
    return Snapshot(
        kind="adb",
        android=Android("15", 35, None, ("arm64-v8a",), 64),
        soc=Soc(name="Snapdragon 8 Gen 3"),
        cpu=Cpu(
            (Cluster("Cortex-X4", 1, 3300), Cluster("Cortex-A720", 5, 3000)), frozenset({"asimd", "i8mm"})
        ),
        memory=Memory(12 * GB),
        gpu=Gpu("Qualcomm", "Adreno 750", "Adreno 7xx"),
        opencl=OpenCl(app=AppVisibility(True, "listed")),
    )
