"""Allowlists from the golden reports, in every format, held against the rules of who reads them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemmafit.base.names import AllowlistFormat, Evidence, Verdict
from gemmafit.judge.device import describe
from gemmafit.judge.references import load
from gemmafit.lab import allowlist
from gemmafit.lab.collection import ReportSource
from gemmafit.lab.formats import writer
from gemmafit.lab.formats.play import NAMESPACE
from gemmafit.probes.snapshot import Android, Gpu, Identity, Memory, Snapshot, Soc
from gemmafit.profiles.knowledge import Knowledge
from gemmafit.reports.report import Report

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
KOTLIN = ROOT / "docs" / "android" / "GemmaBackendChooser.kt"
JSON_JAR = Path("/usr/share/java/com.android.json.jar")
"""org.json as Android has it, from Debian's libandroid-json-java."""

C = f"{{{NAMESPACE}}}"

Phone = Callable[..., Report]
Sources = Callable[..., list[ReportSource]]


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


def test_golden_reports_give_rules_and_every_report_is_accounted_for(golden: list[ReportSource]) -> None:
    built = allowlist.build(golden)
    named = {path for rule in built.rules for path in rule.reports}
    named |= {path for conflict in built.conflicts for path in conflict.reports}
    named |= {left.path for left in built.left_out}
    assert named == {source.path for source in golden}
    denied = {rule.gpu for rule in built.only(denied=True).rules}
    assert denied == {"Mali-T820"}


def test_own_format_reads_back(golden: list[ReportSource], knowledge: Knowledge) -> None:
    built = allowlist.build(golden)
    data = yaml.safe_load(writer(AllowlistFormat.YAML)(built, knowledge))
    assert data["schema"] == "gemmafit.allowlist/1"
    assert [rule["coverage"] for rule in data["rules"]] == [str(rule.coverage) for rule in built.rules]


def test_play_keeps_its_limits(phone_report: Phone, sources: Sources, knowledge: Knowledge) -> None:
    """Five selectors a group, unique names, devices before SoCs, exact SoC strings, every id a full one."""
    reports = [
        phone_report(f"d{n}", ram=(4 + n % 9) << 30, soc=f"SM{8000 + n % 7}", serial=f"s{n}")
        for n in range(60)
    ]
    root = ET.fromstring(
        writer(AllowlistFormat.PLAY)(
            allowlist.build(sources(*reports, phone_report("x", brand=None))), knowledge
        )
    )
    groups = root.findall(f"{C}device-group")
    names = [group.get("name") or "" for group in groups]
    assert len(set(names)) == len(names) and all(name.replace("_", "").isalnum() for name in names)
    assert all(1 <= len(group.findall(f"{C}device-selector")) <= 5 for group in groups)
    kinds = ["soc" if group.find(f".//{C}system-on-chip") is not None else "device" for group in groups]
    assert kinds == sorted(kinds) and set(kinds) == {"device", "soc"}
    ids = root.findall(f".//{C}included-device-id")
    assert len(ids) == 60 and all(i.get("brand") and i.get("device") for i in ids)
    assert all(s.get("manufacturer") == "QTI" for s in root.findall(f".//{C}system-on-chip"))


def test_play_says_what_it_cannot_say(phone_report: Phone, sources: Sources, knowledge: Knowledge) -> None:
    text = writer(AllowlistFormat.PLAY)(
        allowlist.build(sources(phone_report("x", brand=None), phone_report("a--b>\x00"))), knowledge
    )
    assert "left out: x" in text
    ET.fromstring(text)


def test_play_lists_the_phones_of_real_reports(golden: list[ReportSource], knowledge: Knowledge) -> None:
    """What Play compares with is in the report because the product writes it, not because a test does."""
    allowed, denied = (allowlist.build(golden).only(denied=which) for which in (False, True))
    root = ET.fromstring(writer(AllowlistFormat.PLAY)(allowed, knowledge))
    listed = {(i.get("brand"), i.get("device")) for i in root.iter(f"{C}included-device-id")}
    works = [s.report.device for s in golden if s.report.verdict is Verdict.PASS]
    assert listed == {(device["brand"], device["device"]) for device in works} and len(listed) == 5
    none = ET.fromstring(writer(AllowlistFormat.PLAY)(denied, knowledge))
    assert {i.get("device") for i in none.iter(f"{C}included-device-id")} == {"sp9850"}


def test_soc_rules_name_what_build_says_and_not_how_people_call_the_chip(
    golden: list[ReportSource], knowledge: Knowledge
) -> None:
    """Build.SOC_MANUFACTURER is QTI, whatever the table calls the maker; before API 31 there is none."""
    qualcomm = next(s.report for s in golden if s.report.device["soc"]["build_model"] == "SM8450")
    other = replace(
        qualcomm,
        device={**qualcomm.device, "device": "another"},
        target={"kind": "adb", "serial": "2"},
    )
    built = allowlist.build([ReportSource("1", qualcomm), ReportSource("2", other)])
    root = ET.fromstring(writer(AllowlistFormat.PLAY)(built, knowledge))
    chips = {(soc.get("manufacturer"), soc.get("model")) for soc in root.iter(f"{C}system-on-chip")}
    assert chips == {("QTI", "SM8450")} and qualcomm.device["soc"]["manufacturer"] != "QTI"
    rules = json.loads(writer(AllowlistFormat.APP)(built, knowledge))["rules"]
    assert [rule["match"].get("socManufacturer") for rule in rules] == [None, None, "QTI"]
    old = next(s.report for s in golden if s.report.device["device"] == "beyond0q")
    assert old.device["soc"]["build_model"] is None and old.device["soc"]["model"]


@pytest.mark.parametrize("evidence", Evidence)
def test_words_follow_the_evidence(
    evidence: Evidence, phone_report: Phone, sources: Sources, knowledge: Knowledge
) -> None:
    """A list claims what its weakest report does, in every format and in its own words."""
    strong = phone_report("a", driver="512.1")
    assert strong.recommendation is not None
    weak = replace(
        phone_report("b", driver="512.9"), recommendation=replace(strong.recommendation, evidence=evidence)
    )
    best = replace(strong, recommendation=replace(strong.recommendation, evidence=Evidence.VERIFIED))
    built = allowlist.build(sources(best, weak))
    soc = next(rule for rule in built.rules if rule.coverage is allowlist.Coverage.SOC)
    assert soc.evidence is evidence and soc.because.startswith(f"{evidence} for 2 different devices")
    for format in AllowlistFormat:
        text = writer(format)(built, knowledge)
        assert "seen" not in text
        assert str(evidence) in text or format is AllowlistFormat.GALLERY
        for stronger in list(Evidence)[list(Evidence).index(evidence) + 1 :]:
            claims = text.count(f"{stronger} for")
            assert claims == (1 if stronger is Evidence.VERIFIED and format in ("yaml", "app") else 0)


def test_the_gallery_says_predicted_where_nothing_ran(
    golden: list[ReportSource], phone_report: Phone, sources: Sources, knowledge: Knowledge
) -> None:
    model = next(m for m in knowledge.models.values() if m.format == "litertlm" and m.revision and m.bytes)
    report = phone_report("a", variant=model.id)
    assert report.recommendation is not None
    report = replace(report, recommendation=replace(report.recommendation, evidence=Evidence.PREDICTED))
    text = writer(AllowlistFormat.GALLERY)(allowlist.build(sources(report)), knowledge)
    assert "predicted for 1 kinds of phones" in text and "seen" not in text


DEVICE_TEXT = st.none() | st.text(max_size=30) | st.sampled_from(
    ["-", "--", "---", "a---b", "-->", "]]>", "&", "\"'<>", "\x00", "\ufffe", "\u2028", "a: b\n- c"]
)  # fmt: skip


@given(
    words=st.lists(st.lists(DEVICE_TEXT, min_size=7, max_size=7), min_size=1, max_size=5), deny=st.booleans()
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_list_is_well_formed_whatever_devices_say(
    phone_report: Phone, knowledge: Knowledge, words: list[list[str | None]], deny: bool
) -> None:
    reports = []
    for number, said in enumerate(words):
        snapshot = Snapshot(
            "adb",
            identity=Identity(said[0], said[1], said[2], said[3]),
            soc=Soc(said[0], said[4], None, said[5], said[4]),
            android=Android(said[6], 34),
            gpu=Gpu(model=said[5], driver=said[6]),
            memory=Memory(4 << 30),
        )
        verdict = Verdict.FAIL if deny and number % 2 else Verdict.DEGRADED
        reports.append(
            ReportSource(str(said[0]), replace(phone_report("a", verdict=verdict), device=describe(snapshot)))
        )
    built = allowlist.build(reports)
    ET.fromstring(writer(AllowlistFormat.PLAY)(built, knowledge))
    assert len(yaml.safe_load(writer(AllowlistFormat.YAML)(built, knowledge))["rules"]) == len(built.rules)
    for format in (AllowlistFormat.APP, AllowlistFormat.GALLERY):
        json.loads(writer(format)(built, knowledge))


def test_gallery_entries_have_what_the_app_reads(
    phone_report: Phone, sources: Sources, knowledge: Knowledge
) -> None:
    """Keys and types as read in the Gallery's `AllowedModel` class."""
    model = next(m for m in knowledge.models.values() if m.format == "litertlm" and m.revision and m.bytes)
    gpu = phone_report("a", variant=model.id, backend="opencl", fallback=((model.id, "cpu"),), ram=6 << 30)
    cpu = phone_report("b", variant=model.id, backend="cpu", fallback=(), soc="other")
    write = writer(AllowlistFormat.GALLERY)
    both = json.loads(write(allowlist.build(sources(gpu, cpu)), knowledge))["models"]
    assert [entry["modelFile"] for entry in both] == [model.file]
    entry = both[0]
    assert entry["defaultConfig"]["accelerators"] == "cpu"  # one phone has no GPU backend for it
    assert (entry["sizeInBytes"], entry["commitHash"]) == (model.bytes, model.revision)
    assert entry["minDeviceMemoryInGb"] == 6
    alone = json.loads(write(allowlist.build(sources(gpu)), knowledge))["models"]
    assert alone[0]["defaultConfig"]["accelerators"] == "gpu,cpu"


def test_gallery_names_the_files_it_cannot_fetch(golden: list[ReportSource], knowledge: Knowledge) -> None:
    data = json.loads(writer(AllowlistFormat.GALLERY)(allowlist.build(golden), knowledge))
    assert any("gemma-2b-it-gpu-int8.bin" in line for line in data["_gemmafit"]["leftOut"])


_MAIN = """
package gemmafit
fun main(args: Array<String>) {
    val chooser = GemmaBackendChooser(java.io.File(args[0]).readText())
    fun phone(device: String, ram: Long) = PhoneFacts("brand", device, "QTI", "SM8450", 34, ram)
    val known = chooser.attempts(phone("a", 8L shl 30))!!
    println(known.map { it.variant + "@" + it.backend })
    println(chooser.attempts(phone("a", 1L shl 30)))
    println(chooser.attempts(phone("denied", 8L shl 30)))
    println(chooser.attempts(phone("unknown", 8L shl 30)))
    val started = GemmaBackendChooser.start(known) {
        if (it.backend == "opencl") throw UnsatisfiedLinkError("libOpenCL.so") else it.file
    }
    println(started.engine + " after " + started.failures.size)
    try { GemmaBackendChooser.start(known) { throw IllegalStateException("no") } }
    catch (error: NothingStarted) { println(error.failures.size) }
}
"""


def test_kotlin_chooser_compiles_and_falls_back(
    phone_report: Phone, sources: Sources, knowledge: Knowledge, tmp_path: Path
) -> None:
    if shutil.which("kotlinc") is None or not JSON_JAR.exists():
        pytest.skip("needs Debian's kotlin and libandroid-json-java")
    built = allowlist.build(
        sources(phone_report("a"), phone_report("denied", verdict=Verdict.FAIL, soc="SM1"))
    )
    (tmp_path / "table.json").write_text(writer(AllowlistFormat.APP)(built, knowledge))
    (tmp_path / "Main.kt").write_text(_MAIN)
    jar = tmp_path / "chooser.jar"
    compiler = ["kotlinc", "-cp", str(JSON_JAR), "-include-runtime", "-d", str(jar)]
    # A program that runs for seconds is not worth the second compiler of a JVM.
    quick = {**os.environ, "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    compiled = subprocess.run(
        [*compiler, str(KOTLIN), str(tmp_path / "Main.kt")], capture_output=True, text=True, timeout=300,
        env=quick,
    )  # fmt: skip
    assert compiled.returncode == 0, compiled.stderr
    run = subprocess.run(
        ["java", "-cp", f"{jar}:{JSON_JAR}", "gemmafit.MainKt", str(tmp_path / "table.json")],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    name = "gemma3-1b-it-int4.litertlm"
    assert run.stdout.splitlines() == [
        f"[{name}@opencl, {name}@cpu]",
        "null",
        "[]",
        "null",
        f"{name} after 1",
        "2",
    ]
