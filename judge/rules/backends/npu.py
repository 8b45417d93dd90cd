"""The NPU: nothing of ours runs on it. Its files are compiled for one SoC, so the SoC says what is known."""

from __future__ import annotations

from ....base.names import Backend, CheckStatus, Column
from ....reports.report import Check
from ...case import Case, Question, Variant
from .rules import FAIL, PASS, UNKNOWN, Rules


class NpuRules(Rules):
    """See the module. Its codes begin with the name of the backend, so that another processor of the kind is
    a class with another `backend`."""

    backend = Backend.NPU

    def visible(self, case: Case) -> Check:
        about, required = (
            Question(self.backend, "visible", Column.VISIBLE),
            "a chip that a file is compiled for",
        )
        here = self._chip(case)
        if here is None:
            return case.check(
                about, UNKNOWN, f"{self.backend}.soc-unknown", found="not known", required=required
            )
        if all(wanted and not _is_for(wanted, case) for _, wanted in self._files(case)):
            return case.check(
                about, CheckStatus.SKIP, f"{self.backend}.no-file", found=here, required=required
            )
        return case.check(about, UNKNOWN, f"{self.backend}.untested", found=here, required=required)

    def capable(self, case: Case, scheme: str | None = None) -> Check | None:
        """None where no file is for this chip: then there is nothing to ask."""
        files = [file for file, wanted in self._files(case) if wanted and _is_for(wanted, case)]
        if not files:
            return None
        return case.check(
            Question(self.backend, "capable", Column.CAPABLE),
            PASS,
            f"{self.backend}.other-soc",
            found=", ".join(files),
            required="a file compiled for this chip",
            because="A file is published for the NPU of this chip.",
        )

    def of_file(self, case: Case, variant: Variant) -> list[Check]:
        """Whether it is for this SoC; that the SoC is not known, the backend's own line says."""
        here, wanted = self._chip(case), variant.model.npu_soc
        if here is None or wanted is None:
            return []
        fits = _is_for(wanted, case)
        if fits and not _is_for(wanted, case, surely=True):
            return []  # for one of the chips that it may be
        return [
            case.check(
                Question(variant, "soc"),
                PASS if fits else FAIL,
                f"{self.backend}.other-soc",
                found=here,
                required=wanted,
                because="It is compiled for this chip." if fits else None,
            )
        ]

    def _chip(self, case: Case) -> str | None:
        """What to call the SoC; None: not known."""
        soc = case.snapshot.soc
        return soc.model or soc.title or (None if case.android else "a computer")

    def _files(self, case: Case) -> list[tuple[str, str | None]]:
        """The backend's files, each with the SoC it is compiled for; None: a file that does not say it."""
        return [
            (model.file, model.npu_soc)
            for model in case.knowledge.models.values()
            if self.backend in model.backends
        ]


def _is_for(wanted: str, case: Case, surely: bool = False) -> bool:
    """Whether a chip that it may be (`surely`: each of them) is one that a file is for."""
    soc, socs = case.snapshot.soc, case.knowledge.tables.socs
    if soc.model == wanted:  # also of a chip that the table lacks
        return True
    meant = {row.name for row in socs.find(wanted, spoken=True).rows}
    names = {soc.name} if soc.name else set(soc.one_of)
    return bool(names) and names <= meant if surely else not names.isdisjoint(meant)
