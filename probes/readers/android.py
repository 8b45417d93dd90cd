"""Who the device says it is, which Android it runs, and how wide its userland is."""

from __future__ import annotations

from ...base import limits
from ..parsers.text import integer, name
from ..snapshot import Android, Identity
from .facts import Readout

_PLACES = ("", "odm.", "vendor.", "product.", "system.", "system_ext.", "bootimage.")


def read_identity(facts: Readout) -> Identity:
    """Manufacturer, model and so on; the emulator fields are filled in later (readers/emulator.py)."""

    def product(key: str) -> str | None:
        # Android 10 and later repeat the identity per partition; ro.product.X is what the build chose.
        names = [f"ro.product.{key}", *(f"ro.product.{place}{key}" for place in _PLACES[1:])]
        return name(facts.prop(*names) or "")

    return Identity(
        product("manufacturer"),
        product("brand"),
        product("model"),
        product("device"),
        name(facts.prop("ro.build.fingerprint", *(f"ro.{p}build.fingerprint" for p in _PLACES[1:])) or ""),
    )


def read_android(facts: Readout) -> Android | None:
    """None where nothing says that this is an Android device."""
    release = facts.prop("ro.build.version.release", *(f"ro.{p}build.version.release" for p in _PLACES[1:]))
    sdk_names = ("ro.build.version.sdk", *(f"ro.{p}build.version.sdk" for p in _PLACES[1:]))
    sdk = integer(facts.prop(*sdk_names) or "")
    listed = facts.prop(
        "ro.product.cpu.abilist", "ro.vendor.product.cpu.abilist", "ro.odm.product.cpu.abilist"
    )
    if listed is None:
        # Before Android 5 there were two properties and no list.
        pair = [facts.prop("ro.product.cpu.abi"), facts.prop("ro.product.cpu.abi2")]
        listed = ",".join(abi for abi in pair if abi) or None
    abis = tuple(abi for part in listed.split(",")[: limits.FEW] if (abi := name(part))) if listed else None
    zygote = name(facts.prop("ro.zygote") or "")
    if release is None and sdk is None and abis is None and zygote is None:
        return None
    return Android(
        name(release or ""),
        sdk,
        name(facts.prop("ro.build.version.security_patch", "ro.vendor.build.security_patch") or ""),
        abis,
        _bits(facts, abis, zygote, sdk),
        zygote,
        _pages(facts, "ro.boot.hardware.cpu.pagesize"),
        _pages(facts, "ro.product.cpu.pagesize.max"),
    )


def _pages(facts: Readout, name: str) -> int | None:
    """Bytes of a page, of a size that Arm's or x86's memory units have."""
    size = integer(facts.prop(name) or "")
    return size if size in (4096, 16384, 65536) else None


_ZYGOTES = {"zygote64": 64, "zygote64_32": 64, "zygote32_64": 32, "zygote32": 32}


def _bits(facts: Readout, abis: tuple[str, ...] | None, zygote: str | None, sdk: int | None) -> int | None:
    """Whether a 64-bit app can run: the zygote and the ABI list decide, not the chip.

    With zygote32_64 the primary zygote is 32-bit and 64-bit apps run too; the ABI list says so.
    """
    by_abi = None
    if abis:
        by_abi = 64 if any("64" in abi for abi in abis) else 32
    by_zygote = _ZYGOTES.get(zygote or "")
    if by_zygote == 32 and zygote == "zygote32_64":
        by_zygote = 64
    if by_abi and by_zygote and by_abi != by_zygote:
        bits = min(by_abi, by_zygote)
        facts.disagree(
            "android.bits",
            bits,
            "ro.zygote" if bits == by_zygote else "ro.product.cpu.abilist",
            max(by_abi, by_zygote),
            "ro.product.cpu.abilist" if bits == by_zygote else "ro.zygote",
            "a 64-bit app needs both a 64-bit zygote and a 64-bit ABI",
        )
        facts.note("android.bits", "ro.zygote and ro.product.cpu.abilist")
        return bits
    if by_zygote:
        facts.note("android.bits", "ro.zygote")
    elif by_abi:
        facts.note("android.bits", "ro.product.cpu.abilist")
    elif sdk is not None and sdk < 21:
        facts.note("android.bits", "ro.build.version.sdk: no 64-bit Android before API 21")
        return 32
    return by_zygote or by_abi
