"""Identifiers leave a capture: proved on real getprop dumps, whose curators had zeroed them."""

from __future__ import annotations

import random
import re

import pytest

from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.files import dump_capture
from gemmafit.probes.parsers.properties import parse_getprop
from gemmafit.probes.read import read
from gemmafit.probes.redact import redact

ZEROED = re.compile(r"(?=.*0{7}|(?:00:){5}|0{1,3}(?:\.0{1,3}){3}\Z|0{6}_0)[0 .:,_-]+\Z")
# Zeros that are the property's real value.
NO_IDENTIFIER = {
    "sys.pdr.version",
    "ro.boot.dram_rev",
    "ro.setupwizard.esim_cid_ignore",
}


def planted(text: str, rng: random.Random) -> tuple[str, dict[str, str]]:
    """The dump with random identifiers where somebody had zeroed the real ones."""
    secrets: dict[str, str] = {}

    def plant(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if not ZEROED.match(value) or name in NO_IDENTIFIER:
            return match[0]
        address = ":" in value
        secret = re.sub("0", lambda _: rng.choice("123456789abcdef" if address else "123456789"), value)
        secrets[name] = secret
        return f"[{name}]: [{secret}]"

    return re.sub(r"(?m)^\[([^\]\n]+)\]: \[([^\]\n]*)\]$", plant, text), secrets


def test_what_curators_had_zeroed_is_removed(captures: dict[str, Capture]) -> None:
    rng = random.Random(7)
    removed = 0
    for name, capture in captures.items():
        if "getprop" not in capture.commands:
            continue
        text, secrets = planted(capture.commands["getprop"].out, rng)
        serial = secrets.get("ro.serialno", "")
        full = Capture(
            "adb",
            {"serial": serial},
            {**capture.commands, "getprop": Answer(0, text), "log": Answer(0, f"device {serial} ready")},
            {"error": f"{serial}: lost"},
        )
        clean = redact(full)
        written = dump_capture(clean)
        for prop, secret in secrets.items():
            for part in filter(None, secret.split(",")):
                assert part.strip() not in written, f"{name}: {prop} is still there"
        removed += len(secrets)
        # The form is kept, and what the device is stays readable.
        before, after = parse_getprop(text), parse_getprop(clean.commands["getprop"].out)
        assert before.keys() == after.keys()
        assert read(clean).soc == read(full).soc
        assert read(clean).identity == read(full).identity
        assert read(clean).android == read(full).android
    assert removed > 200


@pytest.mark.parametrize(
    "text",
    [
        "wlan0 10:7b:44:ab:cd:ef up",
        "account someone.else+tag@mail.example.org",
        "imei 490154203237518",
        "Serial\t\t: 000012a70000ac49",
        "/sys/devices/soc0/serial_number:3219283712",
    ],
)
def test_forms_are_found_in_any_answer(text: str) -> None:
    secret = text.split(": ")[-1].split()[-1] if "Serial" in text else text.split()[-1].split("number:")[-1]
    if "10:7b" in text:
        secret = "10:7b:44:ab:cd:ef"
    clean = redact(Capture("adb", {}, {"cpuinfo": Answer(0, text)}))
    assert secret not in clean.commands["cpuinfo"].out
    assert len(clean.commands["cpuinfo"].out) == len(text)


def test_what_is_no_identifier_stays() -> None:
    text = (
        "[ro.build.fingerprint]: [samsung/beyond2ltexx/beyond2:10/QP1A.1907/G975FXX:user/release-keys]\n"
        "[init.svc.macloader]: [stopped]\n[ro.bt.bdaddr_path]: [/efs/bluetooth/bt_addr]\n"
        "[ro.board.platform]: [universal9820]\n[ro.boottime.gpu]: [62995286556]\n"
        "[gsm.version.baseband]: [1.0.0.4,1.0.0.4]\n"
    )
    capture = Capture("adb", {}, {"getprop": Answer(0, text)})
    assert redact(capture).commands["getprop"].out == text
