"""Loads? ABI, bitness, API level, emulator, platform. Whether an app finds the backend: `backends`."""

from __future__ import annotations

from ...base.names import Backend, CheckStatus, Column
from ...benchmarks import notes
from ...probes.snapshot import ABI_BITS, Android
from ...profiles.knowledge import Runtime
from ...profiles.rows import release
from ...reports.report import Check
from ..case import Case, Question, Variant
from .backends import RULES

PASS, WARN, FAIL, UNKNOWN = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.UNKNOWN


def runtime_loads(case: Case, runtime: Runtime) -> list[Check]:
    """Android's own conditions for the runtime's native libraries; none on a computer."""
    if not case.android:
        return []
    android = case.snapshot.android or Android()
    return [_abi(case, runtime, android), _sdk(case, runtime, android), *_pages(case, runtime, android)]


def old_runtime(case: Case, variant: Variant) -> list[Check]:
    """Whether the release that somebody asks about loads the file; the newest loads all."""
    runtime, needs = case.runtime(variant.model), variant.model.needs
    version = case.version(runtime)
    if needs is None or version is None or not case.stated(runtime):
        return []
    early = release(version) < release(needs)
    return [
        case.check(
            Question(variant, "release"),
            FAIL if early else PASS,
            "runtime.too-old",
            found=f"{runtime.title} {version}",
            required=f"{needs} or later",
            because=None if early else "This release loads the file.",
        )
    ]


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
    wide = all(ABI_BITS.get(abi) == 64 for abi in runtime.abis)
    about, required = Question(runtime, "abi"), f"one of {', '.join(runtime.abis)}"
    if wide:
        required = f"a 64-bit zygote and {required}"
    if android.abis is not None and not set(android.abis) & set(runtime.abis):
        reason = "abi.32-bit" if android.bits == 32 else "abi.no-arm64"
        return case.check(about, FAIL, reason, found=", ".join(android.abis) or "none", required=required)
    if android.bits == 32 and wide:
        return case.check(about, FAIL, "abi.32-bit", found="a 32-bit zygote", required=required)
    if android.abis is None or (android.bits is None and wide):
        return case.check(about, UNKNOWN, "abi.unknown", found="not known", required=required)
    return case.check(
        about,
        PASS,
        "abi.no-arm64",
        found=", ".join(android.abis) + (f", {android.bits}-bit zygote" if android.bits else ""),
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


PAGE = 4096
"""Bytes of a page of memory on nearly every phone; every library is linked for it."""


def _pages(case: Case, runtime: Runtime, android: Android) -> list[Check]:
    """Whether the runtime's libraries are linked for the device's pages of memory, where those are larger."""
    if android.page_bytes is None or android.page_bytes <= PAGE:
        return []
    first, version = runtime.pages_16k, case.version(runtime)
    early = first is not None and version is not None and release(version) < release(first)
    return [
        case.check(
            Question(runtime, "pages"),
            FAIL if early else PASS,
            "runtime.page-size",
            found=f"pages of {android.page_bytes >> 10} KB; {runtime.title} {version or ''}".rstrip(),
            required=f"libraries linked for them{f': {first} or later' if first else ''}",
            because=None if early else "The release's libraries are linked for pages of 16 KB.",
        )
    ]


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
    """Files for browsers, and what the backend asks of a file."""
    if variant.model.backends:
        return RULES[variant.backend].of_file(case, variant)
    return [
        case.check(
            Question(variant, "platform"),
            FAIL,
            "file.not-for-android",
            found=variant.model.file,
            required="a file for this platform",
        )
    ]


def left_alone(case: Case, backend: Backend) -> list[Check]:
    """That nothing was run on a backend for a known fault; nothing where it was, or nobody wanted to."""
    fault = notes.left_alone(case.rows(backend))
    if fault is None:
        return []
    return [
        case.check(
            Question(backend, "left-alone", Column.CAPABLE),
            CheckStatus.SKIP,
            "backend.left-alone",
            found=fault,
            required="no known fault that takes the device down",
        )
    ]
