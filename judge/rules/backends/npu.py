"""The NPU: nothing of ours runs on it. Its files are compiled for one SoC, so the SoC says what is known."""

from __future__ import annotations

from ....base.names import Backend, CheckStatus, Column
from ....profiles.knowledge import Model, Npu
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
        if all(model.npu_soc and not _is_for(model.npu_soc, case) for model in self._files(case)):
            reason = f"{self.backend}.no-file"
            general = _sentences(
                case.knowledge.reasons[reason].because, self._others(case, self._files(case))
            )
            because = _sentences(*self.options(case)) or general
            return case.check(about, CheckStatus.SKIP, reason, found=here, required=required, because=because)
        reason = f"{self.backend}.untested"
        trouble = f"Known trouble: {maker.fails}." if (maker := self._maker(case)) is not None else ""
        options = self.options(case) or [case.knowledge.reasons[reason].because, self._needs(case)]
        because = _sentences(*options, trouble)
        return case.check(about, UNKNOWN, reason, found=here, required=required, because=because)

    def capable(self, case: Case, scheme: str | None = None) -> Check | None:
        """None where no file is for this chip: then there is nothing to ask."""
        files = [model.file for model in self._here(case)]
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

    def options(self, case: Case) -> list[str]:
        """What there is for the NPU, in lines: the asked family's files for this chip, or which chips of
        the maker have some. Nothing of a family without such files, nor where chip or maker are not known."""
        files = [
            m for m in self._files(case) if any(case.of_family(v) for v in case.variants if v.model is m)
        ]
        chip = case.snapshot.soc.title or self._chip(case)
        if not files or chip is None or self._maker(case) is None:
            return []
        if not (here := [model for model in files if model in self._here(case)]):
            family = case.knowledge.families.get(case.options.family)
            if family is None:
                return []
            return [
                _sentences(
                    f"No file of {family.title} is compiled for {chip}.",
                    self._others(case, files),
                )
            ]
        ran = [f"{model.file} ran on {', '.join(map(str, model.ran))}." for model in here if model.ran]
        names = ", ".join(model.file for model in here)
        what = f"{names}: compiled for this chip ({chip}), an option that gemmafit cannot try."
        return [_sentences(what, *(ran or ["No report of it at work was found."])), self._needs(case)]

    def _maker(self, case: Case) -> Npu | None:
        """What an app needs for this maker's chips."""
        soc, socs = case.snapshot.soc, case.knowledge.tables.socs
        names = [soc.model, soc.name, *soc.one_of]
        makers = {row.manufacturer for name in names if name for row in socs.find(name, spoken=True).rows}
        makers = makers or {soc.manufacturer or ""}
        return next((row for row in case.knowledge.npus.values() if row.manufacturer in makers), None)

    def _needs(self, case: Case) -> str:
        if (maker := self._maker(case)) is None:
            return ""
        own = next((what for chip, what in maker.chips.items() if _is_for(chip, case)), ())
        brought = ", ".join((maker.dispatch, *maker.libraries, *own))
        named = ", ".join(maker.manifest_libraries)
        runtime = case.knowledge.runtimes[maker.runtime].title
        return f"With {runtime} such a file needs {brought}, and in the app's manifest {named}."

    def _others(self, case: Case, files: list[Model]) -> str:
        """Which chips of the same maker there are files for."""
        maker, socs = self._maker(case), case.knowledge.tables.socs
        if maker is None:
            return ""
        chips = [
            model.npu_soc
            for model in files
            if model.npu_soc
            and maker.manufacturer in {row.manufacturer for row in socs.find(model.npu_soc, spoken=True).rows}
        ]
        return f"Chips of {maker.manufacturer} with one: {', '.join(dict.fromkeys(chips))}." if chips else ""

    def _chip(self, case: Case) -> str | None:
        """What to call the SoC; None: not known."""
        soc = case.snapshot.soc
        return soc.model or soc.title or (None if case.android else "a computer")

    def _files(self, case: Case) -> list[Model]:
        """The backend's files."""
        return [model for model in case.knowledge.models.values() if self.backend in model.backends]

    def _here(self, case: Case) -> list[Model]:
        """Those for this chip."""
        return [m for m in self._files(case) if m.npu_soc and _is_for(m.npu_soc, case)]


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _is_for(wanted: str, case: Case, surely: bool = False) -> bool:
    """Whether a chip that it may be (`surely`: each of them) is one that a file is for."""
    soc, socs = case.snapshot.soc, case.knowledge.tables.socs
    if soc.model == wanted:  # also of a chip that the table lacks
        return True
    meant = {row.name for row in socs.find(wanted, spoken=True).rows}
    names = {soc.name} if soc.name else set(soc.one_of)
    names = names or {row.name for row in socs.find(soc.model or "").rows}
    return bool(names) and names <= meant if surely else not names.isdisjoint(meant)
