import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemmafit.base.errors import InputError
from gemmafit.base.names import Backend, CheckStatus, ReportFormat, Status, Verdict
from gemmafit.base.yaml_input import load_yaml
from gemmafit.benchmarks.measurements import Contention, Deviation, Measurement
from gemmafit.judge.device import describe
from gemmafit.judge.judge import judge
from gemmafit.judge.references import load as load_knowledge
from gemmafit.probes.files import read_capture
from gemmafit.probes.read import read
from gemmafit.probes.snapshot import Gpu, Identity, Snapshot, Soc
from gemmafit.reports.report import Report
from gemmafit.reports.report_io import from_dict, load, to_dict
from gemmafit.reports.schema import report_schema
from gemmafit.reports.writers import writer
from gemmafit.tests.conftest import HOSTILE

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
CAPTURES = ROOT / "tests" / "replay" / "captures"
ORDER = [
    "schema", "tool", "created", "target", "device", "verdict", "summary", "recommendation",
    "works_instead", "fallback", "variants", "backends", "checks", "measurements", "conditions", "capture",
    "notes", "layouts", "agent",
]  # fmt: skip


def test_keys_come_in_the_contracts_order(report: Report) -> None:
    assert list(to_dict(report)) == [*ORDER, "incomplete"]


@pytest.mark.parametrize("format", [ReportFormat.YAML, ReportFormat.JSON])
def test_what_is_written_reads_back(report: Report, format: ReportFormat, tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text(writer(format)(report))
    again = load(path)
    assert again.extra == report.extra
    assert again.device == report.device
    assert again.recommendation == report.recommendation
    assert again.variants == report.variants


ROWS = (
    Measurement(
        Backend.OPENCL, "int8", "decode", "engine", Status.OK, samples_s=(0.5, 0.25), bytes=10**8, tokens=1,
        deviation=Deviation(0.1, 0.01, 0.99, "out", 0.02), contention=Contention(False, 8, others=0.25),
        details={"engine_layout": True, "capped": ["battery saver was on"]},
    ),
    Measurement(Backend.CPU, "", "limit", "read", Status.ERROR, "no memory", unit="GB/s"),
)  # fmt: skip


@pytest.mark.parametrize("format", [ReportFormat.YAML, ReportFormat.JSON])
def test_measured_rows_read_back_as_they_were(report: Report, format: ReportFormat, tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text(writer(format)(replace(report, measurements=ROWS)))
    assert load(path).measurements == ROWS
    data = to_dict(replace(report, measurements=ROWS))
    assert data["measurements"] == [row.to_dict() for row in ROWS]
    jsonschema.validate(json.loads(json.dumps(data)), report_schema())
    data["measurements"][0] |= {"of_a_later_version": {"x": 1}}
    data["measurements"][0]["deviation"] |= {"of_a_later_version": 1}
    assert from_dict(data).measurements == ROWS


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([ROWS[0].to_dict(), {"backend": "cpu"}], r"measurements\[1\]: .*`scheme`"),
        ([ROWS[0].to_dict() | {"samples_s": [-1.0]}], r"measurements\[0\]: .* negative"),
        ([3], r"measurements\[0\]: "),
        ("many", "measurements"),
        (None, "measurements"),
    ],
)
def test_a_row_that_cannot_be_is_named(report: Report, rows: object, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        from_dict(to_dict(report) | {"measurements": rows}, "phone.yaml")


def test_schema_accepts_what_is_written_and_refuses_what_is_not(report: Report) -> None:
    schema = report_schema()
    data = json.loads(writer(ReportFormat.JSON)(report))
    jsonschema.validate(data, schema)
    data["variants"][0]["status"] = "maybe"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


def test_schema_file_is_current() -> None:
    assert json.loads((ROOT / "docs" / "report.schema.json").read_text()) == json.loads(
        json.dumps(report_schema())
    )


def test_yaml_cuts_numbers_to_what_they_are_good_for(report: Report) -> None:
    assert yaml.safe_load(writer(ReportFormat.YAML)(report))["measurements"][0]["samples_s"] == [
        0.00123457,
        0.2,
    ]


def test_markdown_has_no_live_markup_of_the_device(report: Report) -> None:
    text = writer(ReportFormat.MARKDOWN)(report)
    assert "<script>" not in text
    assert "\\<script\\>\\*x\\*" in text
    assert all(line.count("|") - line.count("\\|") in (0, 7, 9, 12) for line in text.splitlines())


def _judged(name: str) -> Report:
    return judge(read(read_capture(CAPTURES / f"{name}.yaml")), [], load_knowledge(), created="2026-11-23")


@pytest.fixture(scope="module")
def phones() -> dict[str, Report]:
    """Every recorded phone, judged from facts."""
    return {path.stem: _judged(path.stem) for path in sorted(CAPTURES.glob("*.yaml"))}


def cases(report: Report) -> dict[str, ET.Element]:
    """JUnit case name -> element, in order."""
    return {
        case.get("name", ""): case
        for case in ET.fromstring(writer(ReportFormat.JUNIT)(report)).iter("testcase")
    }


def test_junit_has_the_verdict_first_and_counts_what_it_shows(phones: dict[str, Report]) -> None:
    for report in phones.values():
        root = ET.fromstring(writer(ReportFormat.JUNIT)(report))
        assert [suite.get("name") for suite in root] == [
            f"gemmafit.{s}" for s in ("verdict", "backends", "variants")
        ]
        for element in (root, *root):
            for tag, key in (
                ("testcase", "tests"),
                ("failure", "failures"),
                ("error", "errors"),
                ("skipped", "skipped"),
            ):
                assert element.get(key) == str(len(list(element.iter(tag))))


@pytest.mark.parametrize("incomplete", [None, "the cable was pulled"])
@pytest.mark.parametrize("verdict", Verdict)
def test_junit_and_annotations_are_red_where_the_exit_status_is(
    phones: dict[str, Report], verdict: Verdict, incomplete: str | None
) -> None:
    """Also where a file of the family fails beside one that works."""
    for report in phones.values():
        report = replace(report, verdict=verdict, extra={"incomplete": incomplete} if incomplete else {})
        shown = cases(report)
        red = {name for name, case in shown.items() if {"failure", "error"} & {child.tag for child in case}}
        annotations = writer(ReportFormat.GITHUB)(report)
        assert bool(red) is (report.exit() != 0) is ("verdict" in red)
        assert ("::error " in annotations) is (report.exit() != 0)


def test_junit_shows_each_case_its_own_checks(phones: dict[str, Report]) -> None:
    """What is found and required under a file was said about that file, its backend or its runtime."""
    shown = 0
    for report in phones.values():
        texts = {name: "".join(case.itertext()) for name, case in cases(report).items()}
        for row in report.variants:
            text = texts[f"{row.id} on {row.backend}"]
            for check in report.checks:
                own = (check.variant, check.backend, check.runtime) in (
                    (row.id, row.backend, None),
                    (None, row.backend, None),
                    (None, None, row.runtime),
                )
                assert own or f" {check.id}: " not in text, (row.key, check.id)
            for check in report.about(variant=row.id, backend=row.backend):
                assert f"{check.id}: found {check.found}, required {check.required}. {check.because}" in text
                shown += 1
    assert shown > 100


def test_junit_skips_what_nobody_asked_and_passes_warnings(phones: dict[str, Report]) -> None:
    report = phones["galaxy-s10e-mali-g76"]
    assert report.verdict is Verdict.PASS
    shown = cases(report)
    for row in report.variants:
        kinds = {child.tag for child in shown[f"{row.id} on {row.backend}"]}
        if not report.about(variant=row.id, backend=row.backend):
            assert kinds == {"skipped"}
        elif row.status is CheckStatus.WARN:
            assert kinds == {"system-out"}


DEVICE_TEXT = st.text(max_size=40) | st.sampled_from(
    ["---", "-->", "]]>", "::error::x", "a|b", "`", "\x00", "\ufffe", HOSTILE]
)


@given(words=st.lists(DEVICE_TEXT, min_size=8, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_format_is_well_formed_whatever_a_device_says(report: Report, words: list[str]) -> None:
    snapshot = Snapshot(
        kind="adb",
        identity=Identity(words[0], words[1], words[2], words[3]),
        soc=Soc(words[1], words[2], words[3], words[4], words[5], one_of=(words[6],)),
        gpu=Gpu(words[0], words[1], words[2], driver=words[3]),
    )
    check = replace(report.checks[0], found=words[0], required=words[1], because=words[2], remedy=words[3])
    said = replace(
        report, device=describe(snapshot), target={"kind": "adb", "serial": words[5]}, summary=words[6],
        checks=(check,), notes=(words[7],),
    )  # fmt: skip
    texts = {format: writer(format)(said) for format in ReportFormat}
    assert all(text.endswith("\n") for text in texts.values())
    assert from_dict(load_yaml(texts[ReportFormat.YAML], origin="r")).device == said.device
    assert from_dict(json.loads(texts[ReportFormat.JSON])).checks == said.checks
    ET.fromstring(texts[ReportFormat.JUNIT])
    for line in texts[ReportFormat.GITHUB].removesuffix("\n").split("\n"):
        assert re.fullmatch(r"::(error|warning|notice) title=[^:,\r\n]*::[^\r\n]*", line), line
    for table in re.findall(r"(?m)(?:^\|.*\n)+", texts[ReportFormat.MARKDOWN]):
        rows = [row.replace("\\|", "").count("|") for row in table.removesuffix("\n").split("\n")]
        assert len(set(rows)) == 1, table


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "gemmafit.report/2"}, "gemmafit.report/2"),
        ({"schema": "other/1"}, "not a gemmafit report"),
        ({"verdict": "perhaps"}, "verdict"),
        ({"checks": [{"id": 3}]}, "checks"),
        ({"device": {"gpu": "Mali"}}, "device"),
        ({"device": {"model": 3310}}, "device"),
        ({"device": {"ram_bytes": "much"}}, "device"),
        ({"device": {"cpu": {"clusters": [3]}}}, "device"),
    ],
)
def test_bad_reports_name_what_is_wrong(report: Report, change: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        from_dict({**to_dict(report), **change})


@pytest.mark.parametrize("text", ["a: &a [1, 2]\nb: [*a, *a]", "!!python/object/apply:os.system ['true']"])
def test_yaml_bombs_and_tags_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"r\.yaml"):
        load(path)
