"""Which phones there are, and what an inventory may match them by."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ..base.errors import TargetError, TransportError
from .inventory import NO_SERVER, READY, Inventory, Phone, needs_facts


def discover(inventory: Inventory) -> list[Phone]:
    """The phones of all servers; one that does not answer stands in the list itself (NO_SERVER).

    Raises TargetError if the only server does not answer.
    """
    from ..probes.targets import devices

    phones: list[Phone] = []
    for server in inventory.servers or (None,):
        try:
            phones += [Phone(server, d.serial, d.state, d.advice) for d in devices(server)]
        except (TargetError, TransportError) as error:
            if len(inventory.servers) < 2:
                raise
            phones.append(Phone(server, f"adb server {server}", NO_SERVER, f"{error}; {error.hint or ''}"))
    if needs_facts(inventory):
        phones = [_with_facts(phone) if phone.state == READY else phone for phone in phones]
    return phones


def _with_facts(phone: Phone) -> Phone:
    """Ask a phone for the properties that inventories match by: one round trip, nothing pushed."""
    from ..probes.collect import collect
    from ..probes.read import read
    from ..probes.targets import resolve

    with suppress(TargetError, TransportError):
        snapshot = read(collect(resolve(phone.serial, phone.server), push=False, system=False))
        identity, android = snapshot.identity, snapshot.android
        facts = {
            "manufacturer": identity.manufacturer,
            "model": identity.model,
            "device": identity.device,
            "soc": snapshot.soc.model or snapshot.soc.name,
            "gpu": snapshot.gpu.model,
            "android": android.release if android else None,
        }
        socs = (snapshot.soc.name,) if snapshot.soc.name else snapshot.soc.one_of
        return replace(phone, facts={key: value for key, value in facts.items() if value}, socs=socs)
    return phone
