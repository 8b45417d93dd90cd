"""OpenCL: what engines mean by the GPU."""

from __future__ import annotations

from ....base.names import Backend, Column, Evidence, Scope
from ....base.units import size
from ....probes.snapshot import AppVisibility, LibraryVisibility
from ....profiles.conditions import evaluate
from ....profiles.knowledge import Runtime
from ....reports.report import Check
from ...case import Case, Question, Variant
from .rules import FAIL, PASS, UNKNOWN, WARN, Rules

_VISIBLE = Question(Backend.OPENCL, "visible", Column.VISIBLE)
_WANTED = "an OpenCL library that the process may open, with a device"


class OpenClRules(Rules):
    """See the module."""

    backend = Backend.OPENCL
    # No fp16 costs speed, which the speed rules see: no reservation of a file of its own.
    remarks_only = frozenset({"opencl.no-fp16"})

    def visible(self, case: Case) -> Check:
        cl = case.snapshot.opencl
        seen = True if case.ran(self.backend) else cl.present
        if seen is False:
            missing = f"{cl.library}: no platform" if cl.library else "no library could be opened"
            return case.check(
                _VISIBLE,
                FAIL,
                "opencl.no-platform" if cl.library else "opencl.missing",
                found=cl.error or missing,
                required=_WANTED,
                scope=Scope.SHELL if case.android else Scope.DEVICE,
            )
        return self._to_apps(case, bool(seen)) if case.android else self._here(case, bool(seen))

    def _here(self, case: Case, seen: bool) -> Check:
        """On a computer, where one process may open what another may."""
        cl = case.snapshot.opencl
        if not seen and cl.error:
            return case.check(_VISIBLE, UNKNOWN, "opencl.probe-failed", found=cl.error, required=_WANTED)
        return case.check(
            _VISIBLE,
            PASS if seen else UNKNOWN,
            "opencl.no-platform" if cl.platforms == 0 else "opencl.unknown",
            found=_opencl_found(case),
            required=_WANTED,
            because="The library opened and a device was found." if seen else None,
            evidence=case.evidence(self.backend),
        )

    def _to_apps(self, case: Case, seen: bool) -> Check:
        """On a phone. `seen`: a process of the shell found a device."""
        cl, evidence = case.snapshot.opencl, case.evidence(self.backend)
        if cl.app is not None and cl.app.visible is False:
            missing = cl.paths == () and not seen
            return case.check(
                _VISIBLE,
                FAIL,
                "opencl.missing" if missing else "opencl.not-public",
                found=cl.app.because,
                required=_WANTED,
                scope=Scope.APP_INFERRED,
                evidence=evidence,
            )
        if cl.app is not None and cl.app.visible and (seen or not cl.error):
            return case.check(
                _VISIBLE,
                PASS,
                "opencl.not-public",
                found=_opencl_found(case),
                required=_WANTED,
                because=cl.app.because,
                scope=Scope.APP_INFERRED,
                evidence=evidence,
            )
        if seen:
            return case.check(
                _VISIBLE,
                UNKNOWN,
                "opencl.app-unknown",
                found=_opencl_found(case),
                required=_WANTED,
                scope=Scope.SHELL,
                evidence=evidence,
            )
        reason = "opencl.probe-failed" if cl.error else "opencl.unknown"
        if cl.platforms == 0 and not (cl.app is not None and cl.app.visible):
            reason = "opencl.no-platform"
        return case.check(_VISIBLE, UNKNOWN, reason, found=cl.error or "not known", required=_WANTED)

    def known(self, case: Case) -> bool:
        return bool(case.snapshot.gpu.model or case.snapshot.opencl.device)

    def caveat(
        self, case: Case, about: Question, required: str, found: str, evidence: Evidence
    ) -> Check | None:
        if case.snapshot.opencl.fp16 is not False:
            return None
        return case.check(
            about,
            WARN,
            "opencl.no-fp16",
            found=f"no cl_khr_fp16; {found}",
            required=required,
            evidence=evidence,
        )

    def of_runtime(self, case: Case, runtime: Runtime) -> list[Check]:
        """Whether apps find a library by one of the names that this runtime tries; nothing where that is no
        more than what is known of any engine (`visible`)."""
        app = case.snapshot.opencl.app
        if not case.android or app is None or not app.visible or app.libraries is None:
            return []
        tried = _tried(app, runtime)
        if any(library.visible is not False for library in tried):
            return []
        names = ", ".join(runtime.opencl_libraries)
        others = ", ".join(library.name for library in app.libraries if library.visible)
        return [
            case.check(
                Question(runtime, "opencl", Column.VISIBLE),
                FAIL,
                "opencl.other-library",
                found=tried[0].because if tried else f"apps may open {others}",
                required=f"a library that {runtime.title} tries: {names}",
                scope=Scope.APP_INFERRED,
            )
        ]

    def fits(self, case: Case, variant: Variant) -> list[Check]:
        """The largest weight table against one OpenCL buffer: a risk, because the engine may split it."""
        limit = case.snapshot.opencl.max_alloc_bytes
        if limit is None:
            return []
        architecture = case.knowledge.architectures.get(variant.model.architecture)
        if architecture is None:  # a file that is not in the catalogue
            return []
        table = architecture.embedding_weights * variant.model.bits.embedding // 8
        about, required = Question(variant, "buffer"), f"one buffer of {size(table)}"
        if table > limit:
            return [
                case.check(about, WARN, "buffer.small", found=f"at most {size(limit)}", required=required)
            ]
        return [
            case.check(
                about,
                PASS,
                "buffer.small",
                found=f"up to {size(limit)}",
                required=required,
                because="The embedding table fits in one buffer.",
            )
        ]

    def remarks(self, case: Case) -> list[Check]:
        """What the classic TFLite GPU delegate's list says: evidence only."""
        verdict, because = None, ""
        gles = case.snapshot.gpu.gles_version
        facts = case.facts()
        if gles is not None and facts.given is not None:
            numbers = tuple(int(n) for n in gles.split(".") if n.isdigit())
            facts = type(facts)(facts.snapshot, {**facts.given, "gles": numbers})
        for rule in case.knowledge.tflite_compat.values():
            truth = evaluate(rule.when, facts)
            if truth.value:
                verdict, because = rule.status, f"{rule.because} ({truth.because})"
        if verdict is None:
            return []
        fine = verdict == "supported"
        return [
            case.check(
                Question(self.backend, "tflite-list"),
                PASS if fine else WARN,
                "list.unsupported",
                found=because,
                required="listed as supported",
                because="The classic GPU delegate's list, made for vision models, trusts this GPU."
                if fine
                else None,
            )
        ]

    def runtime_remarks(self, case: Case, runtime: Runtime) -> list[Check]:
        """What the app's manifest has to declare, the commonest reason for a GPU that is not found."""
        app = case.snapshot.opencl.app
        if not case.android or app is None or self.backend not in runtime.memory:
            return []
        opened = next((library for library in _tried(app, runtime) if library.visible), None)
        if opened is None or not opened.must_declare:
            return []
        needed = dict.fromkeys((opened.name, *runtime.manifest_libraries))
        missing = [name for name in needed if name not in (opened.declared or ())]
        if not missing:
            return []
        return [
            case.check(
                Question(runtime, "manifest"),
                WARN,
                "opencl.manifest",
                found="the manifest was not seen"
                if app.package is None
                else f"{app.package} does not name all of them",
                required=", ".join(missing),
                scope=Scope.APP_INFERRED,
            )
        ]


def _tried(app: AppVisibility, runtime: Runtime) -> list[LibraryVisibility]:
    """What is known of the libraries that a runtime tries, in its order; one left out is not there."""
    known = {library.name: library for library in app.libraries or ()}
    return [known[name] for name in runtime.opencl_libraries if name in known]


def _opencl_found(case: Case) -> str:
    cl = case.snapshot.opencl
    rows = case.rows(Backend.OPENCL)
    name = cl.device or next((row.device for row in rows if row.device), None)
    software = cl.device_type == "cpu" or case.snapshot.gpu.software
    if not (case.ran(Backend.OPENCL) or cl.present):
        return (
            "a library file, which nothing opened" if cl.app is not None and cl.app.visible else "not known"
        )
    what = name or "a device"
    kind = ", a driver that computes on the CPU" if software else ""
    route = f" through {cl.library}" if cl.library else ""
    return f"{what}{kind}{route}"
