"""Loads? ABI, bitness, API level, emulator, NPU target, and whether an app can open the backend's library."""

from __future__ import annotations

from ...base.names import Backend, CheckStatus, Column, Scope, Status
from ...benchmarks import notes
from ...probes.snapshot import Android, AppVisibility, LibraryVisibility
from ...profiles.knowledge import Runtime
from ...reports.report import Check
from ..case import Case, Question, Variant

PASS, WARN, FAIL, UNKNOWN = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.UNKNOWN


def runtime_loads(case: Case, runtime: Runtime) -> list[Check]:
    """Android's own conditions for the runtime's native libraries; none on a computer."""
    if not case.android:
        return []
    android = case.snapshot.android or Android()
    return [_abi(case, runtime, android), _sdk(case, runtime, android)]


def deprecated(case: Case, runtime: Runtime) -> list[Check]:
    """A remark on a runtime that is no longer maintained."""
    if not runtime.deprecated:
        return []
    return [
        case.check(
            Question(runtime, "deprecated"),
            WARN,
            "runtime.deprecated",
            found=f"{runtime.title}, {runtime.versions}",
            required=runtime.successor or "a maintained runtime",
        )
    ]


def _abi(case: Case, runtime: Runtime, android: Android) -> Check:
    about, required = Question(runtime, "abi"), f"a 64-bit zygote and one of {', '.join(runtime.abis)}"
    if android.abis is not None and not set(android.abis) & set(runtime.abis):
        reason = "abi.32-bit" if android.bits == 32 else "abi.no-arm64"
        return case.check(about, FAIL, reason, found=", ".join(android.abis) or "none", required=required)
    if android.bits == 32:
        return case.check(about, FAIL, "abi.32-bit", found="a 32-bit zygote", required=required)
    if android.abis is None or android.bits is None:
        return case.check(about, UNKNOWN, "abi.unknown", found="not known", required=required)
    return case.check(
        about,
        PASS,
        "abi.no-arm64",
        found=f"{', '.join(android.abis)}, {android.bits}-bit zygote",
        required=required,
        because="The runtime's native libraries exist for this ABI.",
    )


def _sdk(case: Case, runtime: Runtime, android: Android) -> Check:
    about, required = Question(runtime, "sdk"), f"API {runtime.min_sdk} or later"
    if android.sdk is None:
        return case.check(about, UNKNOWN, "sdk.unknown", found="not known", required=required)
    status = PASS if android.sdk >= runtime.min_sdk else FAIL
    return case.check(
        about,
        status,
        "sdk.too-old",
        found=f"API {android.sdk}",
        required=required,
        because="The app can be installed." if status is PASS else None,
    )


def emulator(case: Case, runtime: Runtime) -> list[Check]:
    """A remark on what is known to be no phone, for a runtime that is not made for it: its makers say that it
    is not reliable there, not that it fails."""
    identity = case.snapshot.identity
    if not identity.emulator or runtime.emulators:
        return []
    return [
        case.check(
            Question(runtime, "emulator"),
            WARN,
            "device.emulator",
            found=identity.emulator_kind or "an emulator",
            required="a phone",
        )
    ]


def file_is_for_device(case: Case, variant: Variant) -> list[Check]:
    """Files for browsers and for the NPU of one SoC."""
    model = variant.model
    if not model.backends:
        return [
            case.check(
                Question(variant, "platform"),
                FAIL,
                "file.not-for-android",
                found=model.file,
                required="a file for this platform",
            )
        ]
    if model.npu_soc is None:
        return []
    about, required = Question(variant, "soc"), model.npu_soc
    soc = case.snapshot.soc
    socs = case.knowledge.tables.socs
    wanted = {row.name for row in socs.find(required, spoken=True).rows}
    names = {soc.name} if soc.name else set(soc.one_of)
    found = soc.model or soc.title
    if found is None or (not names <= wanted and names & wanted):
        return [case.check(about, UNKNOWN, "npu.soc-unknown", found=found or "not known", required=required)]
    if names and names <= wanted:
        return [case.check(about, UNKNOWN, "npu.untested", found=found, required=required)]
    return [case.check(about, FAIL, "npu.other-soc", found=found, required=required)]


def backend_visible(case: Case, backend: str) -> Check:
    """Whether an app's process finds a device of this backend."""
    match backend:
        case "cpu":
            return case.check(
                Question(Backend.CPU, "visible", Column.VISIBLE),
                PASS,
                "cpu.kernels-failed",
                found="the CPU",
                required="a CPU",
                because="There always is one.",
                evidence=case.evidence("cpu"),
            )
        case "vulkan":
            return _vulkan(case)
        case _:
            return _opencl(case)


def _opencl(case: Case) -> Check:
    cl = case.snapshot.opencl
    ran = case.ran("opencl")
    seen = True if ran else cl.present
    about = Question(Backend.OPENCL, "visible", Column.VISIBLE)
    required = "an OpenCL library that the process may open, with a device"
    evidence = case.evidence("opencl")
    where = _opencl_found(case)
    if seen is False:
        return case.check(
            about,
            FAIL,
            "opencl.no-platform" if cl.library else "opencl.missing",
            found=cl.error or (f"{cl.library}: no platform" if cl.library else "no library could be opened"),
            required=required,
            scope=Scope.SHELL if case.android else Scope.DEVICE,
        )
    if not case.android:
        if not seen and cl.error:
            return case.check(about, UNKNOWN, "opencl.probe-failed", found=cl.error, required=required)
        status = PASS if seen else UNKNOWN
        because = "The library opened and a device was found." if seen else None
        return case.check(
            about,
            status,
            "opencl.no-platform" if cl.platforms == 0 else "opencl.unknown",
            found=where,
            required=required,
            because=because,
            evidence=evidence,
        )
    visible = cl.app.visible if cl.app is not None else None
    if visible is False and cl.app is not None:
        missing = cl.paths == () and not seen
        return case.check(
            about,
            FAIL,
            "opencl.missing" if missing else "opencl.not-public",
            found=cl.app.because,
            required=required,
            scope=Scope.APP_INFERRED,
            evidence=evidence,
        )
    if visible and cl.error and not seen:
        return case.check(about, UNKNOWN, "opencl.probe-failed", found=cl.error, required=required)
    if visible and cl.app is not None:
        return case.check(
            about,
            PASS,
            "opencl.not-public",
            found=where,
            required=required,
            because=cl.app.because,
            scope=Scope.APP_INFERRED,
            evidence=evidence,
        )
    if seen:
        return case.check(
            about,
            UNKNOWN,
            "opencl.app-unknown",
            found=where,
            required=required,
            scope=Scope.SHELL,
            evidence=evidence,
        )
    reason = "opencl.probe-failed" if cl.error else "opencl.unknown"
    if cl.platforms == 0:
        reason = "opencl.no-platform"
    return case.check(about, UNKNOWN, reason, found=cl.error or "not known", required=required)


def opencl_of(case: Case, runtime: Runtime) -> list[Check]:
    """Whether apps find a library by one of the names that this runtime tries; nothing where that is no
    more than what is known of any engine (`backend_visible`)."""
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


def _tried(app: AppVisibility, runtime: Runtime) -> list[LibraryVisibility]:
    """What is known of the libraries that a runtime tries, in its order; one left out is not there."""
    known = {library.name: library for library in app.libraries or ()}
    return [known[name] for name in runtime.opencl_libraries if name in known]


def manifest(case: Case, runtime: Runtime) -> list[Check]:
    """A remark: what the app's manifest has to declare, the commonest reason for a GPU that is not found."""
    app = case.snapshot.opencl.app
    if not case.android or app is None or "opencl" not in runtime.memory:
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


def _opencl_found(case: Case) -> str:
    cl = case.snapshot.opencl
    rows = case.rows("opencl")
    name = cl.device or next((row.device for row in rows if row.device), None)
    software = cl.device_type == "cpu" or case.snapshot.gpu.software
    if not (case.ran("opencl") or cl.present):
        return (
            "a library file, which nothing opened" if cl.app is not None and cl.app.visible else "not known"
        )
    what = name or "a device"
    kind = ", a driver that computes on the CPU" if software else ""
    route = f" through {cl.library}" if cl.library else ""
    return f"{what}{kind}{route}"


def _vulkan(case: Case) -> Check:
    vk = case.snapshot.vulkan
    about = Question(Backend.VULKAN, "visible", Column.VISIBLE)
    required = "a Vulkan device for the WebGPU fallback"
    if case.ran("vulkan") or vk.present:
        return case.check(
            about,
            PASS,
            "vulkan.fallback-only",
            found=vk.device or "a device",
            required=required,
            because="It can carry LiteRT-LM's WebGPU fallback; no runtime ships a Vulkan backend.",
            evidence=case.evidence("vulkan"),
        )
    if vk.present is False:
        return case.check(about, WARN, "vulkan.missing", found=vk.error or "no device", required=required)
    reason = "vulkan.probe-failed" if vk.error else "vulkan.unknown"
    return case.check(about, UNKNOWN, reason, found=vk.error or "not known", required=required)


def backend_capable(case: Case, backend: str, scheme: str | None = None) -> Check:
    """Whether the reference kernels (of one weight scheme) built and ran, or would by what is stated."""
    about = Question(
        Backend(backend), "capable" + (f".{scheme}" if scheme else ""), None if scheme else Column.CAPABLE
    )
    required, failing = "the reference kernels build and run", f"{backend}.kernels-failed"
    rows = case.rows(backend, scheme=scheme)
    evidence = case.evidence(backend)
    failed = [row for row in rows if row.status in (Status.ERROR, Status.UNSUPPORTED)]
    if case.ran(backend, scheme):
        found = f"{sum(row.status is Status.OK for row in rows)} of {len(rows)} measurements ran"
        found += f"; {failed[0].key}: {failed[0].reason}" if failed else ""
        because = "The kernels built and ran."
    elif failed:
        found = f"{failed[0].key}: {failed[0].reason or failed[0].status}"
        return case.check(about, FAIL, failing, found=found, required=required)
    elif _known(case, backend):
        found, because = "nothing ran", "By what the device states about itself; nothing ran."
    else:
        return case.check(about, UNKNOWN, f"{backend}.unknown", found="not known", required=required)
    if backend == "opencl" and case.snapshot.opencl.fp16 is False:
        return case.check(
            about,
            WARN,
            "opencl.no-fp16",
            found=f"no cl_khr_fp16; {found}",
            required=required,
            evidence=evidence,
        )
    return case.check(
        about,
        PASS,
        failing,
        found=found,
        required=required,
        because=because,
        evidence=evidence,
    )


def left_alone(case: Case, backend: str) -> list[Check]:
    """That nothing was run on a backend for a known fault; nothing where it was, or nobody wanted to."""
    fault = notes.left_alone(case.rows(backend))
    if fault is None:
        return []
    return [
        case.check(
            Question(Backend(backend), "left-alone", Column.CAPABLE),
            CheckStatus.SKIP,
            "backend.left-alone",
            found=fault,
            required="no known fault that takes the device down",
        )
    ]


def _known(case: Case, backend: str) -> bool:
    """Whether something is known about the processor behind a backend."""
    match backend:
        case "cpu":
            return True
        case "opencl":
            return (case.snapshot.gpu.model or case.snapshot.opencl.device) is not None
        case _:
            return case.snapshot.vulkan.present is True
