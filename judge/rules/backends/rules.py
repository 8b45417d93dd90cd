"""What a backend's rules are: one class a backend. What is not overridden holds for all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from ....base.names import Backend, CheckStatus, Column, Evidence, Status
from ....profiles.knowledge import Runtime
from ....reports.report import Check
from ...case import Case, Question, Variant

PASS, WARN, FAIL, UNKNOWN = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.UNKNOWN


class Rules(ABC):
    """See the module. Reason codes: `BACKEND.unknown` and `BACKEND.kernels-failed` of one that is measured.

    Attributes:
        always: codes that its line has whatever was found: what the backend is not.
        remarks_only: codes of its checks that decide its line and no file.
    """

    backend: ClassVar[Backend]
    always: ClassVar[tuple[str, ...]] = ()
    remarks_only: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def visible(self, case: Case) -> Check:
        """Whether an app's process finds a device of this backend."""

    def capable(self, case: Case, scheme: str | None = None) -> Check | None:
        """Whether the reference kernels (of one weight scheme) built and ran, or would by what is stated."""
        about = Question(
            self.backend, "capable" + (f".{scheme}" if scheme else ""), None if scheme else Column.CAPABLE
        )
        required, failing = "the reference kernels build and run", f"{self.backend}.kernels-failed"
        rows = case.rows(self.backend, scheme=scheme)
        evidence = case.evidence(self.backend)
        failed = [row for row in rows if row.status in (Status.ERROR, Status.UNSUPPORTED)]
        if case.ran(self.backend, scheme):
            found = f"{sum(row.status is Status.OK for row in rows)} of {len(rows)} measurements ran"
            found += f"; {failed[0].key}: {failed[0].reason}" if failed else ""
            because = "The kernels built and ran."
        elif failed:
            found = f"{failed[0].key}: {failed[0].reason or failed[0].status}"
            return case.check(about, FAIL, failing, found=found, required=required)
        elif self.known(case):
            found, because = "nothing ran", "By what the device states about itself; nothing ran."
        else:
            return case.check(about, UNKNOWN, f"{self.backend}.unknown", found="not known", required=required)
        if (caveat := self.caveat(case, about, required, found, evidence)) is not None:
            return caveat
        return case.check(
            about, PASS, failing, found=found, required=required, because=because, evidence=evidence
        )

    def known(self, case: Case) -> bool:
        """Whether the device states something about the processor behind it."""
        return True

    def caveat(
        self, case: Case, about: Question, required: str, found: str, evidence: Evidence
    ) -> Check | None:
        """What the kernels do without on this device."""
        return None

    def nameable(self, case: Case) -> bool:
        """Whether it is known well enough to look up the faults on record of such a processor."""
        return self.known(case)

    def of_runtime(self, case: Case, runtime: Runtime) -> list[Check]:
        """What is different for one runtime."""
        return []

    def of_file(self, case: Case, variant: Variant) -> list[Check]:
        """Whether a file is made for this device."""
        return []

    def fits(self, case: Case, variant: Variant) -> list[Check]:
        """Limits of the device beside its memory."""
        return []

    def remarks(self, case: Case) -> list[Check]:
        """What is worth saying about it and decides nothing."""
        return []

    def runtime_remarks(self, case: Case, runtime: Runtime) -> list[Check]:
        """The same about a runtime on it."""
        return []
