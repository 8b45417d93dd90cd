"""`adb devices -l`, in every state it can print."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...base import limits
from .text import ParseError, lines

STATES = [
    "device",
    "offline",
    "unauthorized",
    "authorizing",
    "connecting",
    "recovery",
    "rescue",
    "sideload",
    "bootloader",
    "host",
    "detached",
    "disconnect",
]
NO_PERMISSIONS = "no permissions"


@dataclass(frozen=True)
class AdbDevice:
    """One line. `state` is one of STATES or NO_PERMISSIONS, or the word adb printed; `detail` is the free
    text after `no permissions`; `attributes` are model:, product:, device:, transport_id:, usb:."""

    serial: str
    state: str
    detail: str | None = None
    attributes: dict[str, str] = field(default_factory=dict[str, str])


_ROW = re.compile(
    r"(?P<serial>\S.{0,254}?)(?:\t+|\s{2,}|\s(?=" + "|".join(STATES) + r"\b|no permissions))(?P<rest>\S.*)\Z"
)
_ATTRIBUTE = re.compile(r"(usb|product|model|device|transport_id|features):(\S*)")


def parse_adb_devices(text: str) -> tuple[AdbDevice, ...]:
    """The rows below the `List of devices attached` header; daemon messages before it are skipped."""
    devices: list[AdbDevice] = []
    listed = False
    for line in lines(text):
        if line.startswith("List of devices"):
            listed = True
            continue
        if not listed or not line.strip() or line.startswith("* ") or len(devices) >= limits.ADB_DEVICES:
            continue
        row = _ROW.match(line)
        if row is None:
            continue
        serial, rest = row["serial"].strip(), row["rest"]
        attributes = dict(_ATTRIBUTE.findall(rest))
        if rest.startswith(NO_PERMISSIONS):
            detail = _ATTRIBUTE.sub("", rest[len(NO_PERMISSIONS) :]).strip() or None
            devices.append(
                AdbDevice(serial, NO_PERMISSIONS, detail and detail[: limits.NAME_CHARS], attributes)
            )
        else:
            devices.append(AdbDevice(serial, rest.split()[0], None, attributes))
    if not listed:
        raise ParseError("no `List of devices attached` header in adb's output")
    return tuple(devices)
