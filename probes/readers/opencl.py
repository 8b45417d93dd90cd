"""OpenCL as the engine would find it, from the agent's probe or a clinfo listing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ...base import limits
from ...base.names import AnswerStatus
from ..parsers.clinfo import parse_clinfo
from ..parsers.libraries import FileEntry, PublicLibrary, parse_ls
from ..parsers.text import number
from ..snapshot import LibraryAttempt, OpenCl
from .facts import Readout, probes

ENGINE_LIBRARIES = ("libOpenCL.so", "libGLES_mali.so", "libOpenCL-pixel.so", "libOpenCL-car.so")
"""The names that Google's engine tries, in its order (ml_drift/cl/opencl_wrapper.cc)."""

# Also names that the engine does not try: a driver that is there and cannot be opened is worth knowing of.
# Not libOpenCv.so, which stands beside it on Samsung's phones.
LIBRARY = re.compile(r"lib(?:OpenCL|GLES_mali|PVROCL|mali)(?:[-_.]\w+)*\.so\Z", re.IGNORECASE)


def read_opencl(facts: Readout, public: tuple[PublicLibrary, ...] | None) -> OpenCl:
    """Everything but `app`, which readers/visibility.py adds."""
    files = opencl_files(facts)
    paths = tuple(entry.path for entry in files) if files is not None else None
    named = None
    if public is not None:
        named = any(row.name in ENGINE_LIBRARIES for row in public)
    part = facts.probe("opencl")
    if part is not None:
        facts.note("opencl", "agent")
        facts.left_alone("opencl", part)
        return _from_agent(part, _attempts(facts), named, paths)
    listing = facts.parse("clinfo", parse_clinfo)
    if listing is None:
        return OpenCl(attempts=_attempts(facts), public=named, paths=paths)
    facts.note("opencl", "clinfo")
    # Platform 0, first GPU device, as the engine chooses; a listing of one device may name no platform.
    devices = [row for row in listing.devices if row.platform in (0, None)] or listing.devices
    gpus = [row for row in devices if "gpu" in _words(row.properties.get("CL_DEVICE_TYPE"))]
    device: dict[str, Any] = dict((gpus or devices)[0].properties) if devices else {}
    platform = dict(listing.platforms[0]) if listing.platforms else {}
    if listing.count == 0:
        # The loader that a listing program brings knows of no driver; the vendor's library may be there.
        facts.warnings.append(
            "clinfo: its loader named no platform, which says nothing of the vendor's library"
        )
    found = _facts_of(
        {**platform, **device}, present=True if devices else None, public=named, paths=paths, attempts=()
    )
    return replace(found, platforms=listing.count)


def opencl_files(facts: Readout) -> tuple[FileEntry, ...] | None:
    """The library files that exist; () where they were looked for and none is there."""
    entries = facts.parse("opencl_files", parse_ls)
    if entries is None:
        return () if facts.answers.get("opencl_files") is AnswerStatus.EMPTY else None
    return tuple(entry for entry in entries if LIBRARY.match(entry.path.rsplit("/", 1)[-1]))


def _from_agent(
    part: dict[str, Any],
    attempts: tuple[LibraryAttempt, ...],
    public: bool | None,
    paths: tuple[str, ...] | None,
) -> OpenCl:
    device = part.get("device") if isinstance(part.get("device"), dict) else {}
    platform = part.get("platform") if isinstance(part.get("platform"), dict) else {}
    library = _text(part.get("library"))
    # A probe that crashed, or was left out for a known fault, has not seen that there is no device.
    looked = part.get("crashed") is not True and part.get("left_alone") is not True
    present = True if device else False if looked else None
    found = _facts_of(
        {**(platform or {}), **(device or {})}, present=present, public=public, paths=paths, attempts=attempts
    )
    values = {
        **found.__dict__,
        "library": library,
        "route": _text(part.get("route")),
        "error": _text(part.get("error")),
    }
    if present is False and library is None:
        values["error"] = _why_none_opened(attempts) or values["error"]
    return OpenCl(**values)


_NOT_FOUND = re.compile(
    r'library "(?P<bionic>[^"]+)" not found'
    r"|(?P<glibc>[^\s:]+): cannot open shared object file: No such file"
)
_HELPER = "libvndksupport"
_SILENT = "no reason"


def _why_none_opened(attempts: tuple[LibraryAttempt, ...]) -> str | None:
    """Of several attempts that failed, the reason that tells most; None where there were none to choose from.

    A library that is there and is kept from the process (namespace, permission, width, a dependency) explains
    more than a name that does not exist, and that more than no reason at all or a route that is closed. Of
    equals the first counts: `libOpenCL.so` by dlopen, which is what an app's engine gets first.
    """
    own = [row for row in attempts if row.section == "unrestricted"]
    if len(own) < 2 or any(row.opened for row in own):
        return None
    best = min(own, key=_silence)
    route = " by android_load_sphal_library" if best.route == "sphal" else ""
    return (
        f"no OpenCL library could be opened in {len(own)} attempts; {best.name}{route}: "
        f"{best.error or 'no reason was given'}"
    )[: limits.TEXT_CHARS]


def _silence(attempt: LibraryAttempt) -> int:
    """How little an attempt's error says about why there is no OpenCL: 0 most telling."""
    error = attempt.error or ""
    if _HELPER in error and _HELPER not in attempt.name:
        return 3  # about the way to the library, not about the library
    if not error or _SILENT in error:
        return 2
    missing = _NOT_FOUND.search(error)
    if missing is None:
        return 0
    name = (missing["bionic"] or missing["glibc"]).rsplit("/", 1)[-1]
    return 1 if name == attempt.name else 0  # another name: a library that it needs is missing


def _attempts(facts: Readout) -> tuple[LibraryAttempt, ...]:
    found: list[LibraryAttempt] = []
    for section, probe in probes(facts.capture).items():
        part = probe.get("opencl")
        rows = part.get("attempts") if isinstance(part, dict) else None
        found += [
            LibraryAttempt(
                _text(row.get("name")) or "?",
                _text(row.get("route")) or "dlopen",
                row.get("opened") is True,
                _text(row.get("error")),
                section,
            )
            for row in (rows[: limits.FEW] if isinstance(rows, list) else ())
            if isinstance(row, dict)
        ]
    return tuple(found)


def section_differences(attempts: tuple[LibraryAttempt, ...]) -> list[str]:
    """Libraries that open from one linker section and not from another, as warnings.

    A library that opens only in [unrestricted], where `adb shell` programs run, is a sign that an app will
    not get it either.
    """
    opened: dict[str, dict[str, bool]] = {}
    for row in attempts:
        sections = opened.setdefault(row.name, {})
        sections[row.section] = sections.get(row.section, False) or row.opened
    return [
        f"{library} opens in [{'], ['.join(sorted(s for s in sections if sections[s]))}] but not in "
        f"[{'], ['.join(sorted(s for s in sections if not sections[s]))}]"
        for library, sections in opened.items()
        if len(set(sections.values())) == 2
    ]


def _facts_of(
    values: dict[str, Any],
    *,
    present: bool | None,
    public: bool | None,
    paths: tuple[str, ...] | None,
    attempts: tuple[LibraryAttempt, ...],
) -> OpenCl:
    extensions = None
    if "CL_DEVICE_EXTENSIONS" in values:
        extensions = frozenset(_words(values["CL_DEVICE_EXTENSIONS"]))
    types = _words(values.get("CL_DEVICE_TYPE"))
    kept = dict(list(values.items())[: limits.ITEMS])
    return OpenCl(
        present=present,
        attempts=attempts,
        platform=_text(values.get("CL_PLATFORM_NAME")),
        platform_version=_text(values.get("CL_PLATFORM_VERSION")),
        device=_text(values.get("CL_DEVICE_NAME")),
        vendor=_text(values.get("CL_DEVICE_VENDOR")),
        device_type=next((kind for kind in ("gpu", "accelerator", "cpu") if kind in types), None),
        version=_text(values.get("CL_DEVICE_VERSION")),
        driver=_text(values.get("CL_DRIVER_VERSION")),
        extensions=extensions,
        fp16="cl_khr_fp16" in extensions if extensions is not None else None,
        # cl_khr_integer_dot_product, cl_arm_integer_dot_product_int8, cl_qcom_dot_product8
        integer_dot=any("dot_product" in e for e in extensions) if extensions is not None else None,
        compute_units=number(values.get("CL_DEVICE_MAX_COMPUTE_UNITS")),
        max_alloc_bytes=number(values.get("CL_DEVICE_MAX_MEM_ALLOC_SIZE")),
        global_mem_bytes=number(values.get("CL_DEVICE_GLOBAL_MEM_SIZE")),
        local_mem_bytes=number(values.get("CL_DEVICE_LOCAL_MEM_SIZE")),
        max_work_group_size=number(values.get("CL_DEVICE_MAX_WORK_GROUP_SIZE")),
        properties=kept,
        public=public,
        paths=paths,
    )


def _words(value: object) -> list[str]:
    """A list of names, or one text of names separated by blanks."""
    if isinstance(value, str):
        return value.split()[: limits.ITEMS]
    if isinstance(value, list):
        return [str(item)[: limits.NAME_CHARS] for item in value[: limits.ITEMS]]
    return []


def _text(value: object) -> str | None:
    """Text worth keeping; None for a query that failed (`{"error": ...}`) or is empty."""
    return value.strip()[: limits.TEXT_CHARS] or None if isinstance(value, str) else None
