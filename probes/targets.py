"""From what the user wrote (TARGET in the design) to a target; and what targets there are."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ..base.errors import TargetError, TransportError, UsageError
from .adb.server import AdbServer, Address
from .adb.target import AdbTarget
from .adb.transport import Transport
from .parsers.adb_devices import AdbDevice, parse_adb_devices
from .target import WORDS, Target, forms

READY = "device"
SETTLE_SECONDS = 6.0
"""How long a device may take from being connected to being ready."""
PASSING = frozenset({"offline", "connecting", "authorizing"})
"""States that a device goes through by itself after it was connected."""

ADVICE: Mapping[str, str] = {
    "unauthorized": "unlock the phone and accept 'Allow USB debugging'; if it does not ask, revoke USB "
    "debugging authorizations in Developer options and plug it in again",
    "authorizing": "wait a moment; unlock the phone and accept 'Allow USB debugging'",
    "connecting": "wait a moment",
    "offline": "plug it in again, or `adb reconnect offline`; over Wi-Fi, wake the phone up",
    "no permissions": "Linux: install udev rules (Debian: apt install android-sdk-platform-tools-common), "
    "join group plugdev, log in again, then `adb kill-server`",
    "recovery": "it is in recovery; choose 'Reboot system now', or `adb reboot`",
    "rescue": "it is in rescue mode; reboot it into Android",
    "sideload": "it waits for an update by sideload; finish or cancel it on the phone, then reboot",
    "bootloader": "it is in the bootloader; `fastboot reboot`",
    "host": "another computer is connected in the place of a phone; unplug it",
    "detached": "another program holds it; `adb attach` gives it to this adb server",
    "disconnect": "plug it in again",
}
"""What to do about a device that cannot be used, by its state."""

_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[\w.-]+):\d{1,5}", re.ASCII)


@dataclass(frozen=True)
class Device:
    """A device that the adb server knows.

    Attributes:
        state: as adb prints it; `device` is the one that works.
        advice: what to do, where the state is another.
        model, product: as the device calls itself; untrusted text.
    """

    serial: str
    state: str
    advice: str | None
    model: str | None = None
    product: str | None = None

    @property
    def usable(self) -> bool:
        """It can be talked to."""
        return self.state == READY

    @classmethod
    def of(cls, row: AdbDevice) -> Device:
        """From a line of `adb devices -l`."""
        advice = None
        if row.state != READY:
            advice = ADVICE.get(row.state, "plug it in again; if that does not help, restart it")
        names = row.attributes
        return cls(row.serial, row.state, advice, names.get("model"), names.get("product"))


def devices(adb_server: str | None = None) -> list[Device]:
    """The devices that the adb server lists. Raises TargetError if there is no server to ask."""
    return _list(AdbServer(Address.of(adb_server)))


def resolve(text: str | None, adb_server: str | None = None) -> Target:
    """The target that `text` names.

    Args:
        text: None (the one connected phone), a serial, HOST:PORT, or one of `WORDS`.
        adb_server: HOST:PORT of the adb server, or None for the usual one.

    Raises TargetError (none, several, not ready), UsageError, InputError (the recording).
    """
    if text is not None:
        for word in WORDS:
            if (rest := word.rest(text)) is not None:
                return word.make(rest)
        if not text.strip() or text.startswith("-"):
            raise UsageError(f"{text!r} is not a valid target", hint=forms([word.form for word in WORDS]))
    server = AdbServer(Address.of(adb_server))
    wanted = text or os.environ.get("ANDROID_SERIAL")
    serial = _named(server, wanted) if wanted else _only(server, _list(server))
    return AdbTarget(Transport(server, serial))


def _list(server: AdbServer) -> list[Device]:
    # The server leaves out the header that `adb devices` prints before it.
    return [Device.of(row) for row in parse_adb_devices("List of devices attached\n" + server.devices())]


def _only(server: AdbServer, found: list[Device]) -> str:
    """The one that works; an error with the way out otherwise."""
    usable = [d for d in found if d.usable]
    if len(usable) == 1:
        return usable[0].serial
    if usable:
        if (cabled := _twice_connected(server, usable)) is not None:
            return cabled.serial
        raise TargetError(
            f"{len(usable)} devices are connected: {_names(usable)}",
            hint=f"name one, e.g. `gemmafit check {usable[0].serial}`, or set ANDROID_SERIAL",
        )
    if found:
        first = found[0]
        others = f" (and {len(found) - 1} more that cannot be used)" if len(found) > 1 else ""
        raise TargetError(f"{first.serial} is {_state(first)}{others}", hint=first.advice)
    raise TargetError(
        "no phone is connected",
        hint="switch on USB debugging in the phone's Developer options and plug it in, or name HOST:PORT; "
        "`local` examines this computer instead",
    )


def _twice_connected(server: AdbServer, usable: list[Device]) -> Device | None:
    """The entry with the cable, if all the others are the same phone over the network."""
    cabled = [d for d in usable if not Transport(server, d.serial).wireless]
    if len(cabled) != 1:
        return None
    numbers = {_serial_number(server, d) for d in usable}
    return cabled[0] if len(numbers) == 1 and "" not in numbers else None


def _serial_number(server: AdbServer, device: Device) -> str:
    """What the phone says is its serial number; nothing if it does not."""
    what = f"asking {device.serial} for its serial number"
    try:
        output = Transport(server, device.serial).shell("getprop ro.serialno", what=what, seconds=5)
    except TransportError:
        return ""
    return output.stdout.decode("utf-8", "replace").strip()


def _named(server: AdbServer, serial: str) -> str:
    device = _find(server, serial)
    if (device is None or not device.usable) and _HOST_PORT.fullmatch(serial):
        device = _connect(server, serial)
    if device is None:
        there = _list(server)
        raise TargetError(
            f"there is no device {serial}",
            hint=f"connected: {_names(there)}" if there else "nothing is connected; see `gemmafit devices`",
        )
    if not device.usable:
        raise TargetError(f"{device.serial} is {_state(device)}", hint=device.advice)
    return device.serial


def _connect(server: AdbServer, serial: str) -> Device | None:
    """`adb connect`; once more where the server clings to a connection that has died."""
    server.attach(serial)
    device = _settled(server, serial)
    if device is not None and device.state == "offline":
        server.detach(serial)
        server.attach(serial)
        device = _settled(server, serial)
    return device


def _settled(server: AdbServer, serial: str) -> Device | None:
    """The device as soon as its state is not a passing one."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        device = _find(server, serial)
        if (device is not None and device.state not in PASSING) or time.monotonic() > until:
            return device
        time.sleep(0.05)


def _find(server: AdbServer, serial: str) -> Device | None:
    return next((d for d in _list(server) if d.serial == serial), None)


def _names(found: list[Device]) -> str:
    return ", ".join(
        d.serial + (f" ({d.model})" if d.model else "") + ("" if d.usable else f" [{d.state}]") for d in found
    )


def _state(device: Device) -> str:
    if device.state == "no permissions":
        return "there, but this user has no permission to use it"
    return device.state if device.state in ("unauthorized", *PASSING) else f"in state {device.state!r}"
