"""The CPU."""

from __future__ import annotations

from ....base.names import Backend, Column
from ....reports.report import Check
from ...case import Case, Question
from .rules import PASS, Rules


class CpuRules(Rules):
    """See the module."""

    backend = Backend.CPU

    def visible(self, case: Case) -> Check:
        return case.check(
            Question(self.backend, "visible", Column.VISIBLE),
            PASS,
            "cpu.kernels-failed",
            found="the CPU",
            required="a CPU",
            because="There always is one.",
            evidence=case.evidence(self.backend),
        )
