"""Take what identifies a person or a single device out of a capture, before it is passed on.

Serial numbers, IMEI and other subscriber ids, MAC and IP addresses, accounts, host names. What says which
model it is (fingerprint, build, chip) stays. Letters and digits become `0` in place, so that the answer has
the form it had. A value found under a telling name is replaced wherever else it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .capture import Answer, Capture
from .parsers.properties import parse_build_prop, parse_getprop
from .parsers.text import ParseError

# Words of a property's name (split at . _ -) whose value identifies: Android's own names and the makers'
# (ro.boot.ap_serial, ril.serialnumber, ro.meizu.hardware.psn, oem.device.imeicache, ro.boot.wifimacaddr).
_WORD = re.compile(
    r"(?:\w*serial(?:no|num|number)?|sn|psn|csn|usn|barcode|showcode|customsn"
    r"|imei\w*|meid\w*|esn|pesn|imsi\w*|iccid\w*|msisdn|did|deviceid|uid|cid|uuid|gaid|ssid|bssid"
    r"|\w*mac|\w*macaddr(?:ess)?|bdaddr(?:ess)?|ipaddr(?:ess)?|gateway|mask|server|dns\d?|hostname"
    r"|ip|ipv[46]|account\w*|e?mail|phonenumber|latitude|longitude)\Z",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?:bluetooth|bt)[._](?:address|addr|name)|device_name|android_id|persist\.\w+\.name\Z", re.IGNORECASE
)
_SERVICES = ("init.svc", "ro.boottime")
"""Names of services, not of people: init.svc.macloader is `running`."""

_NETWORK = ("net.", "dhcp.", "wifi.", "wlan.", "vpn.", "persist.net.", "vendor.net.", "vendor.wifi.")

_WORDS_ONLY = re.compile(r"[A-Za-z_ ]*\Z")
_SHORTEST = 5
"""A shorter value (`true`, `03`, `qcom`) tells nobody apart, and to replace it everywhere would hurt."""

_MAC = re.compile(r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])")
_HOST = r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,5}\.[A-Za-z]{2,24}"
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@" + _HOST + r"\b")
_LAN = re.compile(r"(?<![\d.])192\.168\.\d{1,3}\.\d{1,3}(?![\d.])")
_IMEI = re.compile(r"(?<![0-9A-Za-z])\d{15}(?![0-9A-Za-z])")
_ADDRESS = re.compile(
    r"(?:\d{1,3}\.){3}\d{1,3}(?:[/:]\d{1,5})?\Z|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){4,7}\Z"
)
_SERIAL_LINE = re.compile(r"(?im)^(\s*serial(?:[_ ]?number)?\s*:|/sys/\S*serial_number:)(.*)$")


def redact(capture: Capture) -> Capture:
    """The capture without identifiers, also in the agent's answers and in what is recorded about it."""
    found = {value for value in _identifiers(capture) if value}
    known = sorted(found, key=len, reverse=True)
    clean = _cleaner(known)
    recorded = {key: value for key, value in capture.recorded.items() if key not in ("serial", "name")}
    return replace(
        capture,
        recorded=_walk(recorded, clean),
        commands={key: _answer(answer, clean) for key, answer in capture.commands.items()},
        agent=_walk(capture.agent, clean),
    )


def identifying(name: str, value: str) -> bool:
    """Whether a property's value identifies a device or a person."""
    if len(value.strip()) < _SHORTEST or value.startswith("/") or name.startswith(_SERVICES):
        return False
    # Elsewhere four numbers with dots are a version.
    if _ADDRESS.match(value.strip()) and name.startswith(_NETWORK):
        return True
    if _WORDS_ONLY.match(value):
        return False
    return bool(_NAME.search(name)) or any(_WORD.match(word) for word in re.split(r"[._-]", name))


def _identifiers(capture: Capture) -> set[str]:
    """Values that stand under a telling name, anywhere in the capture."""
    found: set[str] = set()
    for key, parser in (("getprop", parse_getprop), ("build_prop", parse_build_prop)):
        answer = capture.commands.get(key)
        try:
            values = parser(answer.out) if answer else {}
        except ParseError:
            continue
        # Also each part of a list: `imei1,imei2`.
        found |= {
            part.strip()
            for name, value in values.items()
            if identifying(name, value)
            for part in (value, *value.split(","))
            if len(part.strip()) >= _SHORTEST
        }
    serial = capture.recorded.get("serial")
    if isinstance(serial, str) and len(serial) >= _SHORTEST:
        found.add(serial)
    for answer in capture.commands.values():
        serials = (match[2].strip() for match in _SERIAL_LINE.finditer(answer.out))
        found |= {serial for serial in serials if len(serial) >= _SHORTEST}
    return found


def _cleaner(known: list[str]) -> Callable[[str], str]:
    """A function that replaces the known values and whatever has the form of an identifier."""
    values = re.compile("|".join(map(re.escape, known))) if known else None

    def clean(text: str) -> str:
        if values is not None:
            text = values.sub(_zeros, text)
        for form in (_MAC, _EMAIL, _LAN):
            text = form.sub(_zeros, text)
        return _IMEI.sub(lambda match: _zeros(match) if _luhn(match[0]) else match[0], text)

    return clean


def _zeros(match: re.Match[str]) -> str:
    return re.sub(r"[^\W_]", "0", match[0])


def _luhn(digits: str) -> bool:
    """The check digit of an IMEI; other numbers of 15 digits (sizes, times) mostly fail it."""
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(d // 10 + d % 10 for d in doubled) % 10 == 0


def _answer(answer: Answer, clean: Callable[[str], str]) -> Answer:
    # Bytes that are no text are kept only as the text they decode to: identifiers are looked for there.
    return replace(answer, out=clean(answer.out), raw=None)


def _walk(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {key: _walk(part, clean) for key, part in value.items()}
    if isinstance(value, list):
        return [_walk(part, clean) for part in value]
    return value
