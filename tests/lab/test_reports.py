"""Comparison, coverage and allowlist rules over hand-made reports."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gemmafit.base.names import ReportFormat, Verdict
from gemmafit.benchmarks.measurements import Deviation
from gemmafit.judge.device import describe
from gemmafit.lab import allowlist, matrix
from gemmafit.lab.collection import ReportSource, read_all
from gemmafit.lab.compare import ChangeKind, compare, compare_all, speed_ratio
from gemmafit.probes.snapshot import Identity, Snapshot
from gemmafit.reports.report import Report
from gemmafit.reports.writers import writer

Phone = Callable[..., Report]
Sources = Callable[..., list[ReportSource]]


def test_noise_is_no_change_and_a_real_slowdown_is() -> None:
    assert speed_ratio([1.0, 1.3, 0.8, 1.1], [1.2, 0.9, 1.4, 1.1], 0.05) is None
    ratio = speed_ratio([1.0, 1.01, 0.99], [2.0, 2.02, 1.98], 0.10)
    assert ratio is not None and math.isclose(ratio, 0.5, rel_tol=1e-6)
    assert speed_ratio([], [1.0], 0.1) is None
    assert speed_ratio([0.0], [1.0], 0.1) is None


def test_slower_wrong_or_broken_is_a_regression(phone_report: Phone, sources: Sources) -> None:
    before = phone_report()
    assert compare(before, before) == ()
    slower = compare(before, phone_report(samples=(2.0, 2.02, 1.98)))
    assert [(c.kind, c.what) for c in slower] == [(ChangeKind.REGRESSION, "cpu/int8/decode/dotprod")]
    broken = compare(before, phone_report(status="error"))
    assert broken[0].kind is ChangeKind.REGRESSION
    row = replace(before.measurements[0], deviation=Deviation(9.0, 0.5, 0.1, "ffn", 0.02))
    wrong = compare(before, replace(before, measurements=(row,)))
    assert [c.what for c in wrong] == ["cpu/int8/decode/dotprod numbers"]
    assert compare(replace(before, measurements=(row,)), before)[0].kind is ChangeKind.IMPROVEMENT


def test_verdicts_rank_and_inconclusive_is_neither_better_nor_worse(
    phone_report: Phone, sources: Sources
) -> None:
    def kind(old: Verdict, new: Verdict) -> ChangeKind:
        return next(
            c.kind
            for c in compare(phone_report(verdict=old), phone_report(verdict=new))
            if c.what == "verdict"
        )

    assert kind(Verdict.PASS, Verdict.DEGRADED) is ChangeKind.REGRESSION
    assert kind(Verdict.FAIL, Verdict.DEGRADED) is ChangeKind.IMPROVEMENT
    assert kind(Verdict.PASS, Verdict.INCONCLUSIVE) is ChangeKind.UNCLEAR
    broke = replace(phone_report(verdict=Verdict.FAIL), extra={"incomplete": "the cable was pulled"})
    assert compare(phone_report(verdict=Verdict.PASS), broke)[0].what == "recommendation"
    assert {c.kind for c in compare(phone_report(verdict=Verdict.PASS), broke)} == {
        ChangeKind.CHANGE,
        ChangeKind.UNCLEAR,
    }


def test_sets_are_paired_by_phone_and_the_newest_report_counts(phone_report: Phone, sources: Sources) -> None:
    old = phone_report("a", created="2026-01-01T00:00:00Z", driver="1.0")
    mid = phone_report("a", created="2026-02-01T00:00:00Z", driver="2.0")
    new = phone_report("a", created="2026-03-01T00:00:00Z", driver="3.0")
    result = compare_all(sources(mid, old), sources(new, phone_report("b")))
    assert [c.before for c in result.phones[0].changes] == ["2.0"]
    assert result.only_after == ("Maker Phone b",)


def test_one_device_gives_a_device_rule_and_two_that_agree_a_soc_rule(
    phone_report: Phone, sources: Sources
) -> None:
    one = allowlist.build(sources(phone_report("a")))
    assert [r.coverage for r in one.rules] == [allowlist.Coverage.DEVICE]
    two = allowlist.build(sources(phone_report("a", driver="512.1"), phone_report("b", driver="512.9")))
    assert [r.coverage for r in two.rules] == ["device", "device", "soc"]
    soc = two.rules[-1]
    assert (soc.driver_min, soc.driver_max, soc.devices, soc.device) == ("512.1", "512.9", 2, None)


def test_contradiction_is_listed_unless_the_driver_explains_it(phone_report: Phone, sources: Sources) -> None:
    bad = phone_report("a", verdict=Verdict.FAIL)
    clash = allowlist.build(sources(phone_report("a"), bad))
    assert not clash.rules and "disagree" in clash.conflicts[0].because
    explained = allowlist.build(sources(phone_report("a", driver="512.9"), bad))
    assert not explained.conflicts
    assert [(r.driver_min, r.choice is None) for r in explained.rules] == [("512.1", True), ("512.9", False)]
    assert [r.choice for r in explained.only(denied=True).rules] == [None]


def test_memory_sizes_of_one_device_stay_apart(phone_report: Phone, sources: Sources) -> None:
    small = phone_report("a", ram=4 << 30, verdict=Verdict.FAIL)
    built = allowlist.build(sources(small, phone_report("a", ram=8 << 30)))
    assert len(built.rules) == 2 and not built.conflicts


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"verdict": Verdict.INCONCLUSIVE}, "inconclusive"),
        ({"extra": {"incomplete": "x"}}, "broke"),
        ({"device": describe(Snapshot("adb", identity=Identity(emulator=True)))}, "emulator"),
        ({"device": describe(Snapshot("local", identity=Identity(model="PC")))}, "not an Android"),
    ],
)
def test_what_proves_nothing_is_left_out(
    phone_report: Phone, sources: Sources, change: dict[str, object], reason: str
) -> None:
    built = allowlist.build(sources(replace(phone_report(), **change)))  # type: ignore[arg-type]
    assert not built.rules and reason in built.left_out[0].reason


def test_matrix_counts_phones_and_names_gaps(phone_report: Phone, sources: Sources) -> None:
    kinds = [
        matrix.PhoneKind("old phone", {"GPU generation": ("Arm Midgard",), "CPU core": ("Cortex-A53",)}),
        matrix.PhoneKind("other", {"GPU generation": ("Arm Midgard",)}),
    ]
    known = {"GPU generation": ["Qualcomm Adreno 7xx", "Arm Midgard"], "CPU core": ["Cortex-A53"]}
    built = matrix.build(sources(phone_report("a"), phone_report("a"), phone_report("b")), known, kinds)
    axes = {axis.title: axis for axis in built.axes}
    assert (built.phones, built.reports) == (2, 3)
    assert axes["GPU generation"].cells[0].phones == 2
    assert axes["GPU generation"].missing == ("Arm Midgard",)
    assert axes["RAM"].cells[0].value == "8 GB"
    assert [s.example for s in built.suggestions] == ["old phone"]


def test_unreadable_files_are_listed(phone_report: Phone, sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(writer(ReportFormat.YAML)(phone_report()))
    (tmp_path / "b.yaml").write_text("schema: gemmafit.report/9\n")
    found, unreadable = read_all([tmp_path])
    assert len(found) == 1 and "report/9" in unreadable[0].reason
