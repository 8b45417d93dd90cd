"""Which phones there are, and what an inventory may match them by."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ..errors import TargetError, TransportError
from .inventory import Inventory, Phone, needs_facts

READY = "device"
"""The state of a phone that can be used, as adb names it."""


def discover(inventory: Inventory) -> list[Phone]:
    """The phones of all servers; a server that does not answer is a TargetError naming it."""
    from ..probes.targets import devices

    phones: list[Phone] = []
    for server in inventory.servers or (None,):
        phones += [Phone(server, d.serial, d.state, d.advice) for d in devices(server)]
    if needs_facts(inventory):
        phones = [_with_facts(phone) if phone.state == READY else phone for phone in phones]
    return phones


def _with_facts(phone: Phone) -> Phone:
    """Ask a phone for the properties that inventories match by: one round trip, nothing pushed."""
    from ..probes.collect import collect
    from ..probes.read import read
    from ..probes.targets import resolve

    with suppress(TargetError, TransportError):
        snapshot = read(collect(resolve(phone.serial, phone.server), push=False))
        identity, android = snapshot.identity, snapshot.android
        facts = {
            "manufacturer": identity.manufacturer,
            "model": identity.model,
            "device": identity.device,
            "soc": snapshot.soc.model or snapshot.soc.name,
            "gpu": snapshot.gpu.model,
            "android": android.release if android else None,
        }
        return replace(phone, facts={key: value for key, value in facts.items() if value})
    return phone
