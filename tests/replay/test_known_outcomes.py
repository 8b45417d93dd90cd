"""Phones whose outcome is known: what gemmafit says from the facts, and whether that agrees.

The table is known_outcomes.yaml.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gemmafit.base.options import Options
from gemmafit.judge.judge import judge
from gemmafit.judge.references import load
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.read import read
from gemmafit.reports.report import Range, VariantResult

TABLE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "known_outcomes.yaml").read_text(encoding="utf-8")
)
ROWS: list[dict[str, Any]] = TABLE["outcomes"]

AGREEMENT = {
    "works": {"pass"},
    "fails": {"fail"},
    "wrong": {"warn", "fail"},
    "unstable": {"warn", "fail"},
    "slow": {"warn", "fail"},
}


def name(row: dict[str, Any]) -> str:
    return f"{row['phone']}-{row['file']}-{row['backend']}-{row['outcome']}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_prediction(row: dict[str, Any]) -> None:
    found = predicted(row)
    assert (found.status, row.get("reason")) == (row["predicted"], row.get("reason")), found.reasons
    if "reason" in row:
        assert row["reason"] in found.reasons
    agrees = found.status in AGREEMENT[row["outcome"]]
    assert agrees != ("why" in row), "a disagreement is explained, and nothing else is"


@pytest.mark.parametrize("row", [r for r in ROWS if "decode" in r or "prefill" in r], ids=name)
def test_published_speed_lies_in_the_predicted_interval(row: dict[str, Any]) -> None:
    found = predicted(row).predicted
    assert found is not None
    outside = [
        f"{phase} {row[phase]} not in {interval.low:.3g} to {interval.high:.3g}"
        for phase, interval in (("decode", found.decode_tok_s), ("prefill", found.prefill_tok_s))
        if phase in row and interval is not None and not holds(interval, row[phase])
    ]
    assert bool(outside) == ("speed_why" in row), outside


def test_every_device_is_used_and_every_source_named() -> None:
    assert {row["phone"] for row in ROWS} == set(TABLE["devices"])
    assert all(row["source"] for row in ROWS)


def holds(interval: Range, value: float) -> bool:
    return interval.low <= value <= interval.high


def predicted(row: dict[str, Any]) -> VariantResult:
    """The judge's line on this file, for a capture made of what was known."""
    device = TABLE["devices"][row["phone"]] | {k: row[k] for k in ("opencl",) if k in row}
    report = judge(read(capture(device)), [], load(), Options(family="any"))
    return next(v for v in report.variants if (v.id, v.backend) == (row["file"], row["backend"]))


def capture(device: dict[str, Any]) -> Capture:
    bits = device.get("bits", 64)
    abis = device.get("abis", "arm64-v8a,armeabi-v7a" if bits == 64 else "armeabi-v7a,armeabi")
    properties = {
        "ro.product.manufacturer": device["maker"],
        "ro.product.model": device["model"],
        "ro.build.version.sdk": device["sdk"],
        "ro.product.cpu.abilist": abis,
        "ro.zygote": "zygote64_32" if bits == 64 else "zygote32",
        "ro.board.platform": device.get("platform"),
        "ro.soc.model": device.get("soc"),
    }
    folder = "lib64" if bits == 64 else "lib"
    label = "vendor_file" if device.get("opencl") == "labelled" else "same_process_hal_file"
    commands = {
        "getprop": "".join(f"[{k}]: [{v}]\n" for k, v in properties.items() if v is not None),
        "meminfo": f"MemTotal: {int(device['ram_gb'] * 1e9 / 1024)} kB\n",
        "surfaceflinger": f"GLES: {device['gles']}\n",
    }
    if device.get("opencl", "public") != "unseen":
        library = "libother.so" if device.get("opencl") == "private" else "libOpenCL.so"
        commands |= {
            "public_libraries": f"# file: /vendor/etc/public.libraries.txt\n{library}\n",
            "opencl_files": f"-rw-r--r-- 1 root root u:object_r:{label}:s0 52224 2009-01-01 00:00"
            f" /vendor/{folder}/libOpenCL.so\n",
        }
    return Capture("assembled", {}, {key: Answer(0, text) for key, text in commands.items()})
