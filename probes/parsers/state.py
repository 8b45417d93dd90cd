"""The state a phone is in: screen, keyguard, battery saver, vendors' power settings, temperatures."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...base import limits
from .text import ParseError, lines


@dataclass(frozen=True)
class Power:
    """What `dumpsys power` and `dumpsys window policy` say; None: nothing about it.

    Attributes:
        screen_on: a dimmed screen and a screen saver are on; the clock of an always-on display is off.
        locked: the lock screen is shown, whether or not it asks for a secret.
    """

    screen_on: bool | None = None
    locked: bool | None = None
    battery_saver: bool | None = None


_PAIR = re.compile(r"\s*([A-Za-z][A-Za-z ]{1,40}?)(?:=|: (?:state=)?)([A-Za-z_]{1,24})\b")
_ON = {"true": True, "false": False, "on": True, "off": False, "on_suspend": True}
_ON |= {"doze": False, "doze_suspend": False, "vr": True, "bright": True, "dim": True}
_AWAKE = {"awake": True, "dreaming": True, "asleep": False, "dozing": False, "napping": False}

# Each fact by the lines that state it, the one to be believed first: what is, before what was set.
# Display Power: Android 4.4 to 11; mScreenOn: until 4.4 and of some makers; mWakefulness: all.
# "currently": Android 9 on; mLowPowerModeEnabled: 5 to 8; the setting: 9 on.
# showing: KeyguardServiceDelegate, 7 on; mIsShowing: KeyguardStateMonitor, 8 on; mShowingLockscreen: until 8.
_SCREEN = ("Display Power", "mScreenOn", "mWakefulness")
_SAVER = ("Battery Saver is currently", "mLowPowerModeEnabled", "mSettingBatterySaverEnabled")
_LOCKED = ("showing", "mIsShowing", "mShowingLockscreen")


def parse_power(text: str) -> Power:
    """`dumpsys power` followed by `dumpsys window policy`, whole or the lines that are read here.

    Source of the forms: PowerManagerService, BatterySavingStats, BatterySaverStateMachine, PhoneWindowManager
    and KeyguardServiceDelegate of AOSP, 5.0 to 16. A line counts from its beginning: names of wake locks,
    which apps choose, stand later in lines.
    """
    found: dict[str, bool] = {}
    for line in lines(text):
        pair = _PAIR.match(line[: limits.TEXT_CHARS])
        if not pair:
            continue
        values = _AWAKE if pair[1] == "mWakefulness" else _ON
        value = values.get(pair[2].lower())
        if value is not None and pair[1] in (*_SCREEN, *_SAVER, *_LOCKED):
            found.setdefault(pair[1], value)
    if not found:
        raise ParseError("nothing about the screen in dumpsys power")
    return Power(*(_first(found, names) for names in (_SCREEN, _LOCKED, _SAVER)))


def _first(found: dict[str, bool], names: tuple[str, ...]) -> bool | None:
    return next((found[name] for name in names if name in found), None)


_PLACES = ("prop", "system", "global", "secure")
_SETTING = re.compile(
    r"(?:Row: \d{1,9} name=(?P<row>[\w.]{1,64}), value=(?P<of_row>.{0,64})"
    r"|\[(?P<property>[\w.-]{1,64})\]: \[(?P<of_property>.{0,64})\]"
    r"|(?P<key>[\w.]{1,64})=(?P<value>.{0,64}))\s*\Z",
    re.ASCII,
)


def parse_power_modes(text: str) -> dict[str, str]:
    """`PLACE:KEY` -> value, of settings (system, global, secure) and properties (prop) that speak of power.

    A place that was read stands as `PLACE:` with an empty value, also where it has no such setting. Three
    forms: `settings list`, `content query` (Android 5 and 6) and getprop.
    """
    found: dict[str, str] = {}
    for line in lines(text):
        place, colon, rest = line.strip().partition(":")
        if not colon or place not in _PLACES or len(found) >= limits.ITEMS:
            continue
        if rest == "#":
            found.setdefault(f"{place}:", "")
        elif row := _SETTING.match(rest):
            key, value = next((k, v) for k, v in zip(row.groups()[::2], row.groups()[1::2], strict=True) if k)
            found.setdefault(f"{place}:{key}", value.strip())
    if not found:
        raise ParseError("no settings were listed")
    return found


_TEMPERATURE = re.compile(
    r"\s*Temperature\{mValue=(-?\d{1,4}(?:\.\d{1,8})?(?:E-?\d)?), mType=(\d{1,2}), "
    r"mName=([^,}\n]{1,64}), mStatus=\d"
)
_HAL = "Current temperatures from HAL:"
_COLDEST, _HOTTEST = -40.0, 200.0
"""Degrees Celsius; beyond, a value is a placeholder (-273.1) or in other units (35000)."""


def parse_temperatures(text: str) -> dict[str, float]:
    """Sensor -> degrees Celsius from dumpsys thermalservice: those just read, else those of the last
    event."""
    read: dict[str, float] = {}
    cached: dict[str, float] = {}
    target = cached
    for line in lines(text):
        if line[:1].strip():
            target = read if line.startswith(_HAL) else cached if line.startswith("Cached") else {}
        row = _TEMPERATURE.match(line[: limits.TEXT_CHARS])
        if row and len(target) < limits.FEW and _COLDEST <= (value := float(row[1])) <= _HOTTEST:
            target.setdefault(row[3].strip(), round(value, 1))
    if not read and not cached:
        raise ParseError("no temperatures in dumpsys thermalservice")
    return read or cached
