"""The report's `device`: facts of the snapshot in the contract's shape."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..probes.snapshot import Android, Snapshot


def describe(snapshot: Snapshot) -> dict[str, Any]:
    """`device` of the report; what is unknown is null."""
    identity, android, gpu = snapshot.identity, snapshot.android or Android(), snapshot.gpu
    return {
        "manufacturer": identity.manufacturer,
        "brand": identity.brand,
        "model": identity.model,
        "device": identity.device,
        "soc": {**asdict(snapshot.soc), "one_of": list(snapshot.soc.one_of)},
        "android": {
            "release": android.release,
            "sdk": android.sdk,
            "security_patch": android.security_patch,
            "page_bytes": android.page_bytes,
            "page_bytes_max": android.page_bytes_max,
            "aicore": snapshot.aicore,
        }
        if snapshot.android is not None
        else None,
        "abis": list(android.abis) if android.abis is not None else None,
        "bits": android.bits,
        "ram_bytes": snapshot.memory.total_bytes,
        "cpu": {
            "clusters": [
                {"core": c.core, "count": c.count, "max_mhz": c.max_mhz, "features": sorted(c.features)}
                for c in snapshot.cpu.clusters
            ]
        },
        "gpu": {
            "vendor": gpu.vendor,
            "model": gpu.model,
            "architecture": gpu.architecture,
            "driver": gpu.driver,
            "renderer": gpu.renderer,
            "software": gpu.software,
        },
        "emulator": identity.emulator,
    }
