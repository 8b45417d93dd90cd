"""Whether an app could open the OpenCL library, inferred from files: the shell's own success says little.

An app's linker namespace admits a vendor library only if a public.libraries file names it (Android 7),
if SELinux lets the app read the file (label same_process_hal_file, Android 8), if the library exists in the
app's ABI width, and, for apps that target API 31 or later, if the app's manifest names it. See
source.android.com/docs/core/permissions/namespaces_libraries and developer.android.com,
uses-native-library.
"""

from __future__ import annotations

from ..parsers.dumpsys import Package
from ..parsers.libraries import FileEntry, PublicLibrary
from ..snapshot import Android, AppVisibility, LibraryVisibility
from .opencl import ENGINE_LIBRARIES, LIBRARY

NAMESPACES_SINCE = 24
LABELS_SINCE = 26
MANIFEST_SINCE = 31

APP_LABELS = frozenset(
    {"same_process_hal_file", "vendor_public_lib_file", "vendor_public_framework_file", "system_lib_file"}
)
"""SELinux types that untrusted_app may map as code (AOSP system/sepolicy: domain.te, app.te)."""

SPHAL_HELPER = "libvndksupport.so"
"""Has to be declared too: the engine's second route, android_load_sphal_library, is in it."""


def app_visibility(
    android: Android | None,
    public: tuple[PublicLibrary, ...] | None,
    files: tuple[FileEntry, ...] | None,
    package: Package | None,
) -> AppVisibility | None:
    """For a 64-bit app on a 64-bit userland, else for a 32-bit one. None where this is no Android.

    `libraries` has what every library comes to; the answer itself is that of the first that opens, as an
    engine goes on to its next name where one fails.
    """
    if android is None:
        return None
    bits, sdk = android.bits or 64, android.sdk
    if sdk is not None and sdk < NAMESPACES_SINCE:
        return _without_namespaces(sdk, bits, files)
    if public is None:
        return AppVisibility(None, "the public.libraries files were not read")
    named = sorted((row for row in public if LIBRARY.match(row.name)), key=lambda row: _order(row.name))
    answers = [_library(row, sdk, bits, files, package) for row in named]
    found = _best([answer for answer in answers if answer.name in ENGINE_LIBRARIES])
    if found is None:
        because = "no public.libraries file names an OpenCL library that the engine tries"
        return AppVisibility(False, because, libraries=tuple(answers))
    missing = tuple(
        name
        for name in (found.name, SPHAL_HELPER)
        if found.must_declare and name not in (found.declared or ())
    )
    return AppVisibility(
        found.visible,
        found.because,
        missing,
        package=package.name if package else None,
        libraries=tuple(answers),
    )


def _order(name: str) -> int:
    return ENGINE_LIBRARIES.index(name) if name in ENGINE_LIBRARIES else len(ENGINE_LIBRARIES)


def _best(answers: list[LibraryVisibility]) -> LibraryVisibility | None:
    """The first that opens, else the first; None of none."""
    return next((answer for answer in answers if answer.visible), answers[0] if answers else None)


def _without_namespaces(sdk: int, bits: int, files: tuple[FileEntry, ...] | None) -> AppVisibility:
    open_to_all = f"API {sdk} does not restrict which libraries an app opens"
    if files is None:
        return AppVisibility(None, f"{open_to_all}; nobody looked for the library file")
    here = {
        entry.path.rsplit("/", 1)[-1]: entry.path for entry in files if _width(entry.path) in (None, bits)
    }
    there = tuple(
        LibraryVisibility(name, True, f"{open_to_all}; {here[name]}") for name in sorted(here, key=_order)
    )
    found = _best([answer for answer in there if answer.name in ENGINE_LIBRARIES])
    if found is None:
        none = f"{open_to_all}; none that the engine tries is there for {bits}-bit apps"
        return AppVisibility(False, none, libraries=there)
    return AppVisibility(True, found.because, libraries=there)


def _library(
    row: PublicLibrary,
    sdk: int | None,
    bits: int,
    files: tuple[FileEntry, ...] | None,
    package: Package | None,
) -> LibraryVisibility:
    """One library that public.libraries names: is its file there, and may an app read it?"""
    if row.bits not in (None, bits):
        because = f"public.libraries names {row.name} for {row.bits}-bit apps only"
        return LibraryVisibility(row.name, False, because)
    reasons = [f"{row.name} stands in {row.file or 'public.libraries'}"]
    if files is None:
        reasons.append("whether the file exists was not looked at")
    else:
        named = [entry for entry in files if entry.path.rsplit("/", 1)[-1] == row.name]
        found = [entry for entry in named if _width(entry.path) in (None, bits)]
        if not found:
            but = f"it exists only as {named[0].path}" if named else "no such file exists"
            return LibraryVisibility(row.name, False, f"{reasons[0]}, but {but}")
        reasons.append(found[0].path)
        labels = [label for entry in found if (label := _label(entry, files))]
        if labels and (sdk is None or sdk >= LABELS_SINCE):
            allowed = [label for label in labels if label in APP_LABELS]
            if not allowed:
                because = f"{reasons[0]}, but its label {labels[0]} keeps apps from reading {found[0].path}"
                return LibraryVisibility(row.name, False, because)
            reasons.append(f"labelled {allowed[0]}")
    if sdk is None:
        reasons.append("the Android version is unknown")
    return _with_manifest(row.name, sdk, package, reasons)


def _label(entry: FileEntry, files: tuple[FileEntry, ...]) -> str | None:
    """The type that SELinux checks: of the file, which for a symbolic link is the one it points to."""
    if entry.link is None:
        return entry.type
    target = entry.link.rsplit("/", 1)[-1]
    width = _width(entry.path)
    there = (file for file in files if file.link is None and file.path.rsplit("/", 1)[-1] == target)
    return next((file.type for file in there if _width(file.path) == width), None)


def _with_manifest(
    library: str, sdk: int | None, package: Package | None, reasons: list[str]
) -> LibraryVisibility:
    """From Android 12 the app's own target SDK and declarations decide, too."""

    def answer(visible: bool | None, *declared: str, must: bool = True) -> LibraryVisibility:
        named = None if package is None or visible is None else declared
        return LibraryVisibility(library, visible, "; ".join(reasons), must, named)

    if sdk is not None and sdk < MANIFEST_SINCE:
        return answer(True, must=False)
    if package is None:
        reasons.append(f"an app that targets API {MANIFEST_SINCE} or later has to declare it")
        return answer(True)
    if package.target_sdk is not None and package.target_sdk < MANIFEST_SINCE:
        reasons.append(f"{package.name} targets API {package.target_sdk} and need not declare it")
        return answer(True, must=False)
    if not package.native_stated and not package.complete:
        reasons.append(f"dumpsys does not say which libraries {package.name} declares")
        return answer(None)
    declared = tuple(dict.fromkeys((*package.required, *package.optional)))
    if library not in declared:
        reasons.append(f"{package.name} does not declare it")
        return answer(False, *declared)
    reasons.append(f"{package.name} declares it")
    return answer(True, *declared)


def _width(path: str) -> int | None:
    """64 below a lib64 folder, 32 below lib, None where the path does not say."""
    folders = path.split("/")[:-1]
    if "lib64" in folders:
        return 64
    return 32 if "lib" in folders else None
