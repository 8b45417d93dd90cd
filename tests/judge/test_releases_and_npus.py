"""In which releases a fault counts, files for an NPU, pages of 16 KB, AICore, and files of one purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gemmafit.base.errors import UsageError
from gemmafit.base.names import Backend, CheckStatus
from gemmafit.base.options import Options
from gemmafit.judge.estimate import estimate, stated
from gemmafit.judge.judge import judge
from gemmafit.judge.references import load
from gemmafit.profiles.knowledge import Releases
from gemmafit.profiles.rows import release
from gemmafit.reports.from_report import snapshot_of
from gemmafit.reports.report import Check, Report, VariantResult
from gemmafit.tests.judge.test_judge_rules import GOOD, PHONE, Situation

KNOWN = load()


def of(gpu: str, family: str = "any", version: str | None = None, **phone: Any) -> Report:
    options = Options(family=family, runtime_version=version)
    return estimate(gpu=gpu, ram_gb=16, knowledge=KNOWN, options=options, **phone)


def variant(report: Report, id: str, backend: str) -> VariantResult:
    return next(v for v in report.variants if (v.id, v.backend) == (id, backend))


def check(report: Report, id: str) -> Check:
    return next(c for c in report.checks if c.id == id)


class TestReleases:
    def test_the_order_is_that_of_numbers(self) -> None:
        assert release("0.9") == release("0.9.0") < release("0.10") < release("0.10.26") < release("1.0")

    def test_the_first_is_in_and_the_last_is_not(self) -> None:
        some = Releases(from_="0.9", below="0.13.0")
        assert [v in some for v in ("0.8.9", "0.9.0", "0.12.9", "0.13")] == [False, True, True, False]
        assert "99" in Releases() and "0.1" in Releases()
        assert None not in some and None in Releases(from_="0.9")  # the newest, of a table of one's own
        with pytest.raises(ValueError, match="not later"):
            Releases(from_="0.13", below="0.13.0")

    def test_a_release_outside_a_row_is_not_judged_by_it(self) -> None:
        pixel = "PowerVR DXT-48-1536"
        today, old = of(pixel, "gemma-4"), of(pixel, "gemma-4", "litert-lm=0.8.1")
        assert variant(today, "gemma-4-E2B-it", "opencl").reasons[0] == "known.powervr-dxt-litert-lm"
        assert variant(today, "gemma-4-E2B-it", "opencl").status is CheckStatus.WARN
        assert "known.powervr-pixel-10" in variant(old, "gemma-4-E2B-it", "opencl").reasons
        assert variant(old, "gemma-4-E2B-it", "opencl").status is CheckStatus.FAIL
        assert (
            variant(today, "gemma-2b-it-gpu-int8", "opencl").status is CheckStatus.FAIL
        )  # the other runtime

    def test_a_fixed_phone_is_judged_by_the_release_it_broke_in(self) -> None:
        s10: dict[str, Any] = {"facts": {"identity.model": "SM-G977B"}}
        code = "known.galaxy-s10-5g-missing-needed"
        now, before = of("Mali-G76", **s10), of("Mali-G76", version="litert-lm=0.16.0", **s10)
        assert code in variant(now, "gemma3-1b-it-int4", "opencl").reasons
        assert code not in variant(before, "gemma3-1b-it-int4", "opencl").reasons

    def test_a_runtime_of_ones_own_needs_no_number(self) -> None:
        mine = msgspec.structs.replace(KNOWN.runtimes["litert-lm"], current=None)
        known = msgspec.structs.replace(KNOWN, runtimes={**KNOWN.runtimes, "litert-lm": mine})
        report = estimate(gpu="PowerVR DXT-48-1536", ram_gb=16, knowledge=known)
        assert "known.powervr-dxt-litert-lm" in variant(report, "gemma-4-E2B-it", "opencl").reasons
        assert "known.powervr-pixel-10" not in variant(report, "gemma-4-E2B-it", "opencl").reasons

    def test_every_fault_is_dated(self) -> None:
        report = of("Adreno 610")
        told = next(c for c in report.checks if c.reason == "known.adreno-610-tasks")
        assert "newest report 2026-09-07" in (told.source or "")

    @pytest.mark.parametrize("text", ["litert-lm", "litert-lm=new", "llama=1.0", "=1"])
    def test_what_is_no_release_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match="no runtime and version"):
            of("Adreno 740", version=text)

    def test_a_file_that_needs_a_later_release_does_not_load(self) -> None:
        old, new = (of("Adreno 740", "gemma-4", f"litert-lm={v}") for v in ("0.12.0", "0.13.0"))
        assert variant(old, "gemma-4-E2B-it", "cpu").status is CheckStatus.FAIL
        assert "runtime.too-old" in variant(old, "gemma-4-E2B-it", "cpu").reasons
        assert check(new, "gemma-4-E2B-it.cpu.release").status is CheckStatus.PASS
        assert "gemma-4-E2B-it.cpu.release" not in {c.id for c in of("Adreno 740", "gemma-4").checks}


class TestGpusByName:
    def test_a_pixel_10a_is_no_powervr(self) -> None:
        """It has a Mali: its name alone decides nothing."""
        report = of("Mali-G715", soc="Tensor G4", facts={"identity.model": "Pixel 10a"})
        codes = {code for v in report.variants for code in v.reasons}
        assert not any("powervr" in code for code in codes) and "known.mali-g715-tensor" in codes

    def test_an_entry_gpu_with_reports_has_them_and_no_other_is_told_of_none(self) -> None:
        for gpu, row in (("BXM-8-256", "bxm-8-256-loops"), ("Rogue GE8320", "ge8320-wrong")):
            reasons = variant(of(f"PowerVR {gpu}"), "gemma3-1b-it-int4", "opencl").reasons
            assert f"known.powervr-{row}" in reasons and "known.powervr-unproven" not in reasons
        other = variant(of("PowerVR Rogue GE8300"), "gemma3-1b-it-int4", "opencl")
        assert "known.powervr-unproven" in other.reasons

    def test_gemma_3n_of_the_old_runtime_is_warned_of_on_adreno_830(self) -> None:
        report = of("Adreno 830")
        assert (
            "known.adreno-830-gemma-3n-task" in variant(report, "gemma-3n-E2B-it-int4-task", "opencl").reasons
        )
        assert variant(report, "gemma-3n-E2B-it-int4", "opencl").status is CheckStatus.PASS


NPU_CHIPS = [model.npu_soc for model in KNOWN.models.values() if model.npu_soc]


class TestNpu:
    @pytest.mark.parametrize("chip", sorted(set(filter(None, NPU_CHIPS))))
    def test_each_chip_with_a_file_is_offered_it_with_what_it_needs(self, chip: str) -> None:
        known, soc = KNOWN.tables.socs, KNOWN.tables.socs.find(chip, spoken=True).rows[0]
        found = replace(
            PHONE.soc, manufacturer=soc.manufacturer, model=next(iter(soc.models), None), name=soc.name
        )
        assert known.find(chip, spoken=True)
        report = Situation(replace(PHONE, soc=found), options=Options(family="any")).judged()
        mine = [v for v in report.variants if v.backend == "npu" and v.status is not CheckStatus.FAIL]
        assert mine and all("npu.untested" in v.reasons for v in mine)
        line = check(report, "npu.visible")
        maker = next(row for row in KNOWN.npus.values() if row.manufacturer == soc.manufacturer)
        assert line.status is CheckStatus.UNKNOWN and maker.dispatch in line.because
        assert all(library in line.because for library in (*maker.libraries, *maker.manifest_libraries))
        assert "compiled for this chip" in line.because
        assert report.recommendation is not None and report.recommendation.backend != "npu"

    def test_every_chip_of_a_file_is_in_the_makers_list(self) -> None:
        listed = {chip for row in KNOWN.npus.values() for chip in row.chips}
        assert set(filter(None, NPU_CHIPS)) <= listed

    def test_the_lack_of_a_file_names_the_chips_that_have_one(self) -> None:
        report = of("Mali-G715", "gemma3-1b", soc="Tensor G4")
        line = check(report, "npu.visible")
        assert line.because == (
            "No file of Gemma 3 1B is compiled for Tensor G4. Chips of Google with one: Tensor G5, Tensor G6."
        )
        assert line.status is CheckStatus.SKIP

    def test_a_family_without_such_files_and_a_chip_of_nobody_get_no_line(self) -> None:
        assert not any("NPU" in note for note in of("Adreno 740", "gemma-2b").notes)
        assert not any("NPU" in note for note in of("Mali-G78", "gemma3-1b", soc="Exynos 2100").notes)

    def test_the_npu_is_no_fault_of_the_gpu(self) -> None:
        with_npu = of("Adreno 830", "gemma-4", soc="SM8750")
        without = of("Adreno 830", "gemma-4", soc="SM8750", facts={"soc.model": "x", "soc.name": "x"})
        assert with_npu.verdict is without.verdict
        assert variant(with_npu, "gemma-4-E2B-it", "opencl").reasons == ()


class TestPages:
    def pages(self, version: str | None = None, **android: Any) -> Report:
        assert PHONE.android is not None
        there = replace(PHONE, android=replace(PHONE.android, **android))
        return judge(there, (), KNOWN, Options(runtime_version=version))

    def test_old_libraries_do_not_load_on_pages_of_16_kb(self) -> None:
        report = self.pages("tasks-genai=0.10.25", page_bytes=16384)
        told = check(report, "tasks-genai.pages")
        assert (told.status, told.reason) == (CheckStatus.FAIL, "runtime.page-size")
        assert "0.10.26 or later" in told.required
        assert variant(report, "gemma-2b-it-cpu-int8", "cpu").status is CheckStatus.FAIL
        assert check(report, "litert-lm.pages").status is CheckStatus.PASS

    def test_new_ones_do(self) -> None:
        report = self.pages(page_bytes=16384)
        assert {check(report, f"{r}.pages").status for r in KNOWN.runtimes} == {CheckStatus.PASS}

    @pytest.mark.parametrize("size", [None, 4096])
    def test_of_usual_pages_nothing_is_said(self, size: int | None) -> None:
        report = self.pages("tasks-genai=0.10.14", page_bytes=size)
        assert not [c for c in report.checks if "pages" in c.id]

    def test_a_phone_that_can_be_switched_is_a_remark(self) -> None:
        report = self.pages(page_bytes=4096, page_bytes_max=16384)
        assert check(report, "device.pages").status is CheckStatus.WARN
        assert report.verdict is GOOD.judged().verdict
        assert any("Google Play asks" in note for note in report.notes)


class TestAicore:
    @pytest.mark.parametrize(("there", "status"), [(True, CheckStatus.PASS), (False, CheckStatus.SKIP)])
    def test_it_is_a_remark(self, there: bool, status: CheckStatus) -> None:
        report = judge(replace(PHONE, aicore=there), (), KNOWN)
        told = check(report, "device.aicore")
        assert told.status is status and any("AICore is " in note for note in report.notes)
        assert report.verdict is GOOD.judged().verdict

    def test_of_what_was_not_asked_nothing_is_said(self) -> None:
        assert not [c for c in GOOD.judged().checks if c.id == "device.aicore"]


def test_a_report_keeps_what_the_phone_said_of_pages_and_aicore() -> None:
    assert PHONE.android is not None
    there = replace(
        PHONE, android=replace(PHONE.android, page_bytes=16384, page_bytes_max=16384), aicore=True
    )
    back = snapshot_of(judge(there, (), KNOWN))
    assert back.android is not None and back.aicore is True
    assert (back.android.page_bytes, back.android.page_bytes_max) == (16384, 16384)


class TestPurpose:
    def test_a_file_of_one_purpose_is_recommended_to_who_asks_for_it_alone(self) -> None:
        purposes = {id for id, model in KNOWN.models.items() if model.purpose is not None}
        assert {"functiongemma-tiny-garden", "medgemma-1.5-4b-it"} <= purposes
        for family in (*KNOWN.families, "any"):
            for gpu in ("Adreno 740", "Mali-T830"):
                report = of(gpu, family)
                said = {step.variant for step in report.fallback}
                said |= {report.recommendation.variant} if report.recommendation else set()
                assert family == "medgemma" or not said & purposes, (family, gpu)
        asked = of("Adreno 740", "medgemma").recommendation
        assert asked is not None and asked.variant == "medgemma-1.5-4b-it"

    def test_what_a_file_can_is_on_backends_of_its_runtime(self) -> None:
        for model in KNOWN.models.values():
            for backends in model.does.values():
                assert set(backends) <= set(KNOWN.runtimes[model.runtime].memory)
                assert Backend.NPU not in backends

    def test_a_stated_phone_has_pages_by_its_facts(self) -> None:
        phone = stated("Adreno 740", 8, KNOWN, facts={"android.page_bytes": "16384"})
        assert phone.android is not None and phone.android.page_bytes == 16384
