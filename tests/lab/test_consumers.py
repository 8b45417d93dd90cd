"""Whatever a consumer reads from a report is written by the product itself, from real input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gemmafit.base.errors import TransportError
from gemmafit.base.events import Listener, ignore
from gemmafit.base.names import TargetKind
from gemmafit.base.options import Request
from gemmafit.lab.collection import ReportSource
from gemmafit.pipeline import examine
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.files import dump_capture
from gemmafit.probes.local import LocalTarget
from gemmafit.probes.replay import ReplayTarget
from gemmafit.probes.target import Command, Target
from gemmafit.reports.report import Report
from gemmafit.tests.lab.consumers import Notes, made_up, noted


class Lost(LocalTarget):
    """A phone that goes away while it is asked."""

    kind = TargetKind.ADB

    def ask(self, commands: Sequence[Command], on_event: Listener = ignore) -> dict[str, Answer]:
        raise TransportError("the cable was pulled", serial=self.serial)


@pytest.fixture(scope="module")
def reports(golden: list[ReportSource], tmp_path_factory: pytest.TempPathFactory) -> list[Report]:
    """Phones, one that was lost, one of which nothing, one of which only an unknown GPU and one of which only
    its pages are known: what a consumer reads only where something else is missing is read as well."""
    nothing, unknown, pages = (
        tmp_path_factory.mktemp("captures") / f"{name}.yaml" for name in ("nothing", "unknown", "pages")
    )
    nothing.write_text(dump_capture(Capture("assembled", {})))
    gles = Answer(0, "GLES: Maker, Unheard-of 9000, OpenGL ES 3.2 v1\n")
    unknown.write_text(dump_capture(Capture("assembled", {}, {"surfaceflinger": gles})))
    names = ("ro.boot.hardware.cpu.pagesize", "ro.product.cpu.pagesize.max")
    said = {
        "getprop": Answer(0, "[ro.zygote]: [zygote64]\n" + "".join(f"[{name}]: [16384]\n" for name in names)),
        "aicore": Answer(0, "#\n"),
    }
    pages.write_text(dump_capture(Capture("assembled", {}, said)))
    others: list[Target] = [*map(ReplayTarget, (nothing, unknown, pages)), Lost()]
    found = [examine(target, Request()).report for target in others]
    assert found[-1].incomplete
    return [*(source.report for source in golden), *found]


def test_nobody_reads_a_key_that_the_product_never_writes(reports: list[Report], tmp_path: Path) -> None:
    there, missing = made_up(reports, tmp_path)
    assert there >= {"device.brand", "device.soc.build_model", "device.gpu.renderer", "extra.incomplete"}
    assert missing == {}


def test_a_key_that_no_report_has_is_found(reports: list[Report]) -> None:
    """The check itself fails where a consumer reads what nobody writes."""
    notes = Notes()
    report = noted(reports[0], notes)
    assert report.device.get("brand") and not report.device.get("brnad")
    assert list(notes.made_up()) == ["device.brnad"]
