import json
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml

from gemmafit.base.errors import InputError
from gemmafit.reports.report import Report
from gemmafit.reports.report_io import from_dict, load, to_dict
from gemmafit.reports.schema import report_schema
from gemmafit.reports.writers import Format

ROOT = Path(__file__).parents[2]
ORDER = [
    "schema", "tool", "created", "target", "device", "verdict", "summary", "recommendation", "fallback",
    "variants", "backends", "checks", "measurements", "conditions", "capture",
    "notes", "layouts", "agent",
]  # fmt: skip


def test_keys_come_in_the_contracts_order(report: Report) -> None:
    assert list(to_dict(report)) == [*ORDER, "incomplete"]


@pytest.mark.parametrize("format", [Format.YAML, Format.JSON])
def test_what_is_written_reads_back(report: Report, format: Format, tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text(format.writer()(report))
    again = load(path)
    assert again.extra == report.extra
    assert again.device == report.device
    assert again.recommendation == report.recommendation
    assert again.variants == report.variants


def test_schema_accepts_what_is_written_and_refuses_what_is_not(report: Report) -> None:
    schema = report_schema()
    data = json.loads(Format.JSON.writer()(report))
    jsonschema.validate(data, schema)
    data["variants"][0]["status"] = "maybe"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


def test_schema_file_is_current() -> None:
    assert json.loads((ROOT / "docs" / "report.schema.json").read_text()) == json.loads(
        json.dumps(report_schema())
    )


def test_yaml_cuts_numbers_to_what_they_are_good_for(report: Report) -> None:
    assert yaml.safe_load(Format.YAML.writer()(report))["measurements"][0]["samples_s"] == [0.00123457, 0.2]


def test_markdown_has_no_live_markup_of_the_device(report: Report) -> None:
    text = Format.MARKDOWN.writer()(report)
    assert "<script>" not in text
    assert "\\<script\\>\\*x\\*" in text
    assert all(line.count("|") - line.count("\\|") in (0, 7, 9, 12) for line in text.splitlines())


def test_junit_counts_and_kinds(report: Report) -> None:
    root = ET.fromstring(Format.JUNIT.writer()(report))
    assert {k: root.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    failure = root.find(".//failure")
    assert failure is not None and "libOpenCL.so" in (failure.text or "")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "gemmafit.report/2"}, "gemmafit.report/2"),
        ({"schema": "other/1"}, "not a gemmafit report"),
        ({"verdict": "perhaps"}, "verdict"),
        ({"checks": [{"id": 3}]}, "checks"),
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
