"""Every consumer shows the judge's answer: an estimate, an explanation and a look into a model file, against what
`check` says of the same recorded phones without measurements."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gemmafit.base.errors import UsageError
from gemmafit.base.names import CheckStatus, Verdict
from gemmafit.base.options import Options
from gemmafit.judge.estimate import GIB, estimate, stated
from gemmafit.judge.explain import remedy
from gemmafit.judge.judge import judge
from gemmafit.judge.modelfit import Recognised, RecognisedBy, will_run
from gemmafit.judge.references import load
from gemmafit.probes.capture import Capture
from gemmafit.probes.files import read_capture
from gemmafit.probes.modelfile import CONTAINERS, ModelFile
from gemmafit.probes.read import read
from gemmafit.probes.snapshot import Snapshot
from gemmafit.profiles.knowledge import Model
from gemmafit.reports.from_report import snapshot_of
from gemmafit.reports.report import Report
from gemmafit.reports.report_io import to_dict

OWN = sorted((Path(__file__).parent / "captures").glob("*.yaml"))
KNOWLEDGE = load()
WORKS = (CheckStatus.PASS, CheckStatus.WARN)


def statement(snapshot: Snapshot) -> dict[str, Any]:
    """All that the options of `estimate` can say of a phone."""
    android, identity, cl = snapshot.android, snapshot.identity, snapshot.opencl
    facts: dict[str, Any] = {
        "identity.model": identity.model,
        "identity.emulator_kind": identity.emulator_kind,
        "opencl.device": cl.device,
        "opencl.platform": cl.platform,
        "opencl.version": cl.version,
        "opencl.app.visible": cl.app.visible if cl.app is not None else None,
    }
    clusters = snapshot.cpu.clusters
    cores = "+".join(f"{c.count}x{c.core}@{c.max_mhz}" for c in clusters)
    complete = clusters and all(c.count and c.core and c.max_mhz for c in clusters)
    abi = None
    if android is not None and android.abis:
        abi = android.abis[0] if android.bits != 32 or "64" not in android.abis[0] else "armeabi-v7a"
    total, share = snapshot.memory.total_bytes, KNOWLEDGE.thresholds.memory.ram_visible_fraction
    said: dict[str, Any] = {
        "gpu": snapshot.gpu.model,
        "ram_gb": total / GIB / share if total is not None else None,
        "cpu": cores if complete else None,
        "abi": abi,
        "sdk": android.sdk if android is not None else None,
        "driver": cl.driver or snapshot.gpu.driver,
        "facts": {name: str(value) for name, value in facts.items() if value is not None},
    }
    try:
        stated(said["gpu"], 8, KNOWLEDGE, soc=snapshot.soc.name)
    except UsageError:
        return said  # a SoC that the tables do not hold cannot be stated
    return {**said, "soc": snapshot.soc.name}


def recommended(report: Report) -> Iterator[tuple[str, str]]:
    for best in (report.recommendation, report.works_instead):
        if best is not None:
            yield best.variant, best.backend
    yield from ((step.variant, step.backend) for step in report.fallback)


def never_forgives(snapshot: Snapshot) -> None:
    """An estimate of a phone says of no file that it works where the check of the phone says that it fails."""
    for family in ("gemma-2b", "any"):
        options = Options(family=family)
        checked = judge(snapshot, (), KNOWLEDGE, options)
        said = estimate(**statement(snapshot), knowledge=KNOWLEDGE, options=options)
        failing = {(v.id, v.backend) for v in checked.variants if v.status is CheckStatus.FAIL}
        working = {(v.id, v.backend) for v in said.variants if v.status in WORKS}
        assert not failing & working
        assert not failing & set(recommended(said))
        assert not (checked.verdict == "fail" and said.verdict in ("pass", "degraded"))
        # Faults of drivers are the same, each way: what they ask of a phone can be stated.
        assert known(said) == known(checked)


def known(report: Report) -> set[tuple[str, str, str]]:
    codes = {f"known.{id}" for id in KNOWLEDGE.drivers}
    return {(v.id, v.backend, code) for v in report.variants for code in v.reasons if code in codes}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_an_estimate_never_forgives_what_a_check_refuses(path: Path) -> None:
    never_forgives(read(read_capture(path)))


def test_an_estimate_never_forgives_what_a_check_of_a_public_recording_refuses(
    captures: dict[str, Capture],
) -> None:
    """Some thirty of the recordings beside the checkout, those with an ABI or a memory first."""
    phones = [(name, read(capture)) for name, capture in captures.items()]
    phones = [(name, phone) for name, phone in phones if phone.gpu.model is not None]
    told = [p for p in phones if p[1].memory.total_bytes or (p[1].android and p[1].android.bits)]
    rest = [p for p in phones if p not in told]
    chosen = [*told[:20], *rest[:: max(len(rest) // 15, 1)]]
    assert len(chosen) >= 25
    for name, phone in chosen:
        try:
            never_forgives(phone)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def test_the_phones_are_not_all_refused() -> None:
    """The invariant above must not hold because an estimate never says anything."""
    verdicts = {
        path.stem: estimate(**statement(read(read_capture(path))), knowledge=KNOWLEDGE).verdict
        for path in OWN
    }
    assert list(verdicts.values()).count(Verdict.PASS) >= 4, verdicts


# --- explain ------------------------------------------------------------------------------------------------


@pytest.fixture
def run() -> Any:
    from gemmafit.cli import check, explain, model  # noqa: F401 - registers the commands
    from gemmafit.cli.app import app

    return lambda *args: CliRunner().invoke(app, [str(a) for a in args])


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_an_explanation_shows_the_reports_own_answer(path: Path, run: Any, tmp_path: Path) -> None:
    report = judge(read(read_capture(path)), (), KNOWLEDGE)
    file = tmp_path / "report.json"
    file.write_text(json.dumps(to_dict(report), default=str))
    line = "Failed to initialize engine: %INVALID_ARGUMENT: Unknown backend"
    lost = {v.file for v in report.variants} - {v.file for v in report.variants if v.status in WORKS}
    for phone in (("--report", file), ("--target", f"replay:{path}")):
        data = json.loads(run("explain", line, *phone, "-f", "json").stdout)
        shown = data["phone"]
        assert (shown["verdict"], shown["summary"]) == (report.verdict, report.summary)
        for key in ("recommendation", "works_instead"):
            own = getattr(report, key)
            assert (shown[key] or {}).get("file") == (own.file if own else None)
        text = " ".join(run("explain", line, *phone).stdout.split())
        do = text.partition("do: ")[2].partition("why we think so")[0]
        assert not [name for name in lost if name in do], do
        best = report.recommendation or report.works_instead
        assert best is None or best.file in text


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_no_advice_names_a_file_that_fails_on_the_phone(path: Path) -> None:
    """Whatever the message: the row's own words hold where the report does not contradict them."""
    report = judge(read(read_capture(path)), (), KNOWLEDGE)
    working = {v.id for v in report.variants if v.status in WORKS}
    for signature in KNOWLEDGE.signatures.values():
        said = remedy(signature, report, KNOWLEDGE)
        named = {m.id for m in KNOWLEDGE.models.values() if m.file in said or f"{m.id} " in said}
        assert not named or named & working, (signature.id, said)


# --- model inspect ------------------------------------------------------------------------------------------


def model_file(row: Model) -> ModelFile:
    formats = {container.format: name for name, container in CONTAINERS.items()}
    return ModelFile(f"/x/{row.file}", row.size, Path(row.file).suffix, formats[row.format], "a model", True)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_a_model_file_is_judged_as_the_report_judges_it(path: Path) -> None:
    snapshot = read(read_capture(path))
    report = judge(snapshot, (), KNOWLEDGE)
    listed = {(v.id, v.backend): v for v in report.variants}
    for row in KNOWLEDGE.models.values():
        identity = Recognised(row, RecognisedBy.SIZE)
        shown = will_run(model_file(row), identity, snapshot, KNOWLEDGE, report=report)
        judged = will_run(model_file(row), identity, snapshot, KNOWLEDGE)
        assert [f.backend for f in shown] == list(row.backends or ("cpu",))
        for mine, again in zip(shown, judged, strict=True):
            own = listed[row.id, mine.backend]
            assert (mine.status, mine.reasons) == (own.status, own.reasons)
            assert mine.status is again.status


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_a_file_nobody_knows_is_refused_where_all_its_kind_are(path: Path) -> None:
    """By the rules about runtime, backend, driver and memory, on the phone and on what its report still says."""
    snapshot = read(read_capture(path))
    report = judge(snapshot, (), KNOWLEDGE)
    row = KNOWLEDGE.models["gemma-2b-it-gpu-int8"]
    unknown = replace(model_file(row), backends=("gpu",))
    (twin,) = [v for v in report.variants if v.id == row.id]
    for phone in (snapshot, snapshot_of(report)):
        (fit,) = will_run(unknown, Recognised(), phone, KNOWLEDGE, report=report)
        assert fit.status is (CheckStatus.FAIL if twin.status is CheckStatus.FAIL else CheckStatus.UNKNOWN)


def test_inspect_of_a_recorded_phone_asks_the_judge(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.bin"
    file.write_bytes(b"\x20\x00\x00\x00TFL3" + bytes(4096))
    path = next(p for p in OWN if p.stem == "mali-t820-64bit-3gb")
    data = json.loads(run("model", "inspect", file, f"replay:{path}", "-f", "json").stdout)
    reasons = {code for fit in data["loads"] for code in fit["reasons"]}
    assert "known.mali-t820-unknown-backend" in reasons
