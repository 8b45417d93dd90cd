"""What a report still says about its device, as a Snapshot, for questions that come after the check.

A report holds less than a capture: everything it does not state stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.names import Backend, CheckStatus, Scope
from ..probes.snapshot import Android, AppVisibility, Gpu, Identity, Memory, OpenCl, Snapshot, Soc
from .report import Report


def snapshot_of(report: Report) -> Snapshot:
    """The device part of a report. Fields of another type than the contract's are left unknown."""
    device = report.device
    soc, android, gpu = (_mapping(device, key) for key in ("soc", "android", "gpu"))
    abis = device.get("abis")
    return Snapshot(
        kind=str(report.target.get("kind", "report")),
        identity=Identity(
            manufacturer=_text(device, "manufacturer"),
            brand=_text(device, "brand"),
            model=_text(device, "model"),
            device=_text(device, "device"),
            emulator=device["emulator"] if isinstance(device.get("emulator"), bool) else None,
        ),
        android=Android(
            release=_text(android, "release"),
            sdk=_number(android, "sdk"),
            security_patch=_text(android, "security_patch"),
            abis=tuple(str(abi) for abi in abis) if isinstance(abis, list | tuple) else None,
            bits=_number(device, "bits"),
            page_bytes=_number(android, "page_bytes"),
            page_bytes_max=_number(android, "page_bytes_max"),
        ),
        aicore=android["aicore"] if isinstance(android.get("aicore"), bool) else None,
        soc=Soc(
            _text(soc, "manufacturer"),
            _text(soc, "model"),
            _text(soc, "name"),
            one_of=tuple(map(str, soc["one_of"])) if isinstance(soc.get("one_of"), list) else (),
        ),
        memory=Memory(total_bytes=_number(device, "ram_bytes")),
        gpu=Gpu(
            vendor=_text(gpu, "vendor"),
            model=_text(gpu, "model"),
            architecture=_text(gpu, "architecture"),
            driver=_text(gpu, "driver"),
        ),
        opencl=_opencl(report),
    )


def _opencl(report: Report) -> OpenCl:
    row = report.backends.get(Backend.OPENCL)
    if row is None:
        return OpenCl()
    visible = {CheckStatus.PASS: True, CheckStatus.WARN: True, CheckStatus.FAIL: False}.get(row.visible)
    if row.scope in (Scope.APP_INFERRED, Scope.APP_TESTED):
        return OpenCl(app=AppVisibility(visible, "the report's line about OpenCL"))
    # Seen by a shell process: what it lacks an application lacks too, the reverse does not hold.
    app = AppVisibility(False, "not even a shell process finds OpenCL") if visible is False else None
    return OpenCl(present=visible, app=app)


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None


def _number(data: Mapping[str, Any], key: str) -> int | None:
    value = data.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
