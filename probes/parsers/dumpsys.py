"""dumpsys battery, thermalservice and package; `pm list features`; df."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...base import limits
from .text import ParseError, integer, lines

_PAIR = re.compile(r"\s*([A-Za-z][A-Za-z0-9 _]{0,60}):\s*(.*)\Z")


@dataclass(frozen=True)
class Battery:
    """percent 0..100; temperature in degrees Celsius; charging: on any power source; source: ac, usb,
    wireless, ..."""

    percent: int | None
    charging: bool | None
    temperature_c: float | None
    source: str | None = None


def parse_battery(text: str) -> Battery:
    """dumpsys battery. Temperature is in tenths of a degree; the level is relative to `scale`."""
    values: dict[str, str] = {}
    for line in lines(text):
        pair = _PAIR.match(line)
        if pair and len(values) < limits.ITEMS:
            values.setdefault(pair[1].lower(), pair[2].strip())
    level, scale = integer(values.get("level", "")), integer(values.get("scale", "100"))
    sources = {
        key.removesuffix(" powered"): value for key, value in values.items() if key.endswith(" powered")
    }
    powered = list(sources.values())
    temperature = integer(values.get("temperature", ""))
    if level is None and temperature is None and not powered:
        raise ParseError("no `level:` or `temperature:` in dumpsys battery")
    percent = level * 100 // scale if level is not None and scale is not None and scale > 0 else None
    return Battery(
        percent if percent is not None and 0 <= percent <= 100 else None,
        any(value == "true" for value in powered) if powered else None,
        # Outside of what a battery survives the value is a driver's placeholder.
        temperature / 10 if temperature is not None and -400 <= temperature <= 1200 else None,
        next((name for name, value in sources.items() if value == "true"), None),
    )


_THERMAL = re.compile(r"\s*Thermal Status:\s*(\d{1,2})\s*\Z")


def parse_thermal_status(text: str) -> int:
    """dumpsys thermalservice: 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown."""
    for line in lines(text):
        found = _THERMAL.match(line)
        if found and int(found[1]) <= 6:
            return int(found[1])
    raise ParseError("no `Thermal Status:` in dumpsys thermalservice")


def parse_features(text: str) -> frozenset[str]:
    """`pm list features`: names without `feature:`; a version (`=4198400`) stays part of the name."""
    found: set[str] = set()
    for line in lines(text):
        key, colon, value = line.strip().partition("feature:")
        if colon and not key and value and len(found) < limits.ITEMS:
            found.add(value[: limits.NAME_CHARS])
    if not found:
        raise ParseError("no `feature:` line in the list of features")
    return frozenset(found)


def parse_aicore(text: str) -> bool:
    """Whether the package is listed; `#` is printed where the list was read and does not have it."""
    found = {line.strip() for line in lines(text)}
    if "package:com.google.android.aicore" in found:
        return True
    if "#" in found:
        return False
    raise ParseError("neither the package nor the end of the list")


_AMOUNT = r"-?\d{1,20}(?:\.\d{1,6})?[BKMGTP]?(?:i?B)?"
# toybox, busybox and coreutils: source, total, used, free, percent, mount point (which may hold spaces).
_DF_MOUNTED = re.compile(
    rf"\S.*?\s+({_AMOUNT})\s+({_AMOUNT})\s+({_AMOUNT})\s+(?:-|\d{{1,3}}%)\s+(/.*?)\s*\Z", re.I
)
# toolbox of Android 5 and 6, also Samsung's: mount point, total, used, free, block size (4096 or 4.0K).
_DF_TOOLBOX = re.compile(rf"(/.*?)\s+({_AMOUNT})\s+({_AMOUNT})\s+({_AMOUNT})\s+({_AMOUNT})\s*\Z", re.I)
# toolbox of Android 2: one sentence each.
_DF_SENTENCE = re.compile(rf"(/.*?):\s+{_AMOUNT} total, {_AMOUNT} used, ({_AMOUNT}) available", re.I)
_DF_HEADER = re.compile(r"\b(\d{1,7})([KMG]?)-blocks\b", re.I)
_UNITS = "BKMGTP"


def parse_df(text: str) -> dict[str, int]:
    """Mount point -> free bytes, in whatever dialect.

    Numbers without a unit are blocks of the size that the header names (1K-blocks; POSIX: 512-blocks), except
    in toolbox's table, where they are bytes. A long device name may stand on a line of its own. What says
    that less than nothing is free (-1.0K, of a card that was taken out) says nothing.
    """
    free: dict[str, int] = {}
    block, pending = 1024, ""
    for line in (line[: limits.TEXT_CHARS] for line in lines(text)):
        header = _DF_HEADER.search(line)
        if header:
            block = (_bytes(header[1] + header[2], 1) or 1024) if not free else block
            continue
        words = line.split()
        if len(words) == 1 and not words[0].endswith(":"):
            pending = words[0]
            continue
        whole = f"{pending} {line}" if pending and not line[:1].strip() else line
        pending = ""
        if row := _DF_MOUNTED.match(whole):
            mount, size = row[4], _bytes(row[3], block)
        elif row := _DF_TOOLBOX.match(line):
            mount, size = row[1], _bytes(row[4], 1)
        elif row := _DF_SENTENCE.match(line):
            mount, size = row[1], _bytes(row[2], 1)
        else:
            continue
        if size is not None and len(free) < limits.ITEMS:
            free.setdefault(mount[: limits.NAME_CHARS], size)
    if not free:
        raise ParseError("no file system in df's output")
    return free


def _bytes(text: str, block: int) -> int | None:
    """`25.1G`, `4.0K`, `600` (of blocks); None for what is negative or beyond any quantity."""
    digits = text.upper().removesuffix("IB")
    digits = digits.removesuffix("B") if digits[-2:-1].isalpha() else digits
    unit = digits[-1:]
    scale = 1 << 10 * _UNITS.index(unit) if unit in _UNITS and unit else block
    number = float(digits.rstrip(_UNITS))
    return int(number * scale) if 0 <= number * scale < 1 << limits.INTEGER_BITS else None


@dataclass(frozen=True)
class Package:
    """What `dumpsys package NAME` says about one installed app.

    Attributes:
        target_sdk: targetSdkVersion.
        abi: primaryCpuAbi; None where the app has no native code.
        required, optional: libraries of <uses-native-library>, by required="true" and "false".
        native_stated: the dump has one of those lists (Android 12 and later print those that are not empty).
        complete: the block goes on behind the lists, so that a missing list means an empty one.
    """

    name: str
    target_sdk: int | None = None
    version: str | None = None
    abi: str | None = None
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    native_stated: bool = False
    complete: bool = False


_SECTION = re.compile(r"\s*(uses\w*Libraries|usesLibraryFiles):\s*\Z", re.IGNORECASE)
_TARGET = re.compile(r"\btargetSdk(?:Version)?=(\d{1,6})\b")
_VERSION = re.compile(r"\bversionName=(\S{1,80})")
_ABI = re.compile(r"\bprimaryCpuAbi=(\S{1,40})")
_AFTER_LISTS = re.compile(r"\s*(?:timeStamp=|firstInstallTime=|lastUpdateTime=|User \d+:)")
_PACKAGE = re.compile(r"\s*Package \[([A-Za-z0-9_.]{1,255})\]")


def parse_package(text: str) -> Package:
    """The first `Package [...]` block of dumpsys package."""
    label: str | None = None
    sdk = version = abi = None
    section: str | None = None
    indent = 0
    complete = False
    libraries: dict[str, list[str]] = {}
    for line in lines(text):
        found = _PACKAGE.match(line)
        if found:
            if label is not None:
                break
            label = found[1]
        if label is None:
            continue
        header = _SECTION.match(line)
        depth = len(line) - len(line.lstrip())
        if header:
            section, indent = header[1].lower(), depth
            libraries.setdefault(section, [])
            continue
        if section is not None and line.strip() and depth > indent and "=" not in line:
            if len(libraries[section]) < limits.ITEMS:
                libraries[section].append(line.split()[0][: limits.NAME_CHARS])
            continue
        section = None
        complete = complete or _AFTER_LISTS.match(line) is not None
        sdk = sdk or _TARGET.search(line)
        version = version or _VERSION.search(line)
        abi = abi or _ABI.search(line)
    if label is None:
        raise ParseError("no `Package [name]` block: the app is not installed, or the dump was cut")
    required = libraries.get("usesnativelibraries")
    optional = libraries.get("usesoptionalnativelibraries")
    return Package(
        label,
        int(sdk[1]) if sdk else None,
        version[1] if version else None,
        abi[1] if abi and abi[1] != "null" else None,
        tuple(required or ()),
        tuple(optional or ()),
        required is not None or optional is not None,
        complete,
    )
