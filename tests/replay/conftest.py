"""The recorded devices: folders of loose answers beside the checkout, assembled into captures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gemmafit.probes.capture import Answer, Capture

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"

# File name -> key of `commands`; of several, the first that exists.
FILES = {
    "getprop": ("getprop.txt", "getprop-partial.txt", "getprop-gfx.txt"),
    "cpuinfo": ("proc-cpuinfo.txt", "proc-cpuinfo.armeabi.txt"),
    "meminfo": ("proc-meminfo.txt", "proc-meminfo-partial.txt", "proc-meminfo-indented.txt"),
    "surfaceflinger": ("dumpsys-surfaceflinger-gles.txt",),
    "vkjson": ("cmd-gpu-vkjson.json", "cmd-gpu-vkjson.partial.json"),
    "public_libraries": ("vendor-etc-public-libraries.txt",),
    "kgsl_gpu_model": ("sys-class-kgsl-gpu_model.txt",),
    "mali_gpuinfo": ("sys-mali-gpuinfo.txt",),
    "clinfo": ("clinfo.txt", "clinfo-alt.txt", "clinfo-head.txt", "cl-device-name-version.txt"),
    "cpu_topology": ("sysfs-grep.txt",),
    "opencl_files": ("ls-vendor-lib64.txt",),
    "features": ("pm-list-features.txt",),
    "build_prop": ("system-build-prop.txt", "vendor-build-prop-excerpt.txt"),
}


def assemble(folder: Path) -> Capture:
    commands = {}
    for key, names in FILES.items():
        path = next((folder / name for name in names if (folder / name).exists()), None)
        if path is not None:
            commands[key] = Answer(0, path.read_bytes().decode("utf-8", "replace"))
    return Capture("assembled", {"name": folder.name}, commands)


@pytest.fixture(scope="session")
def captures_folder() -> Path:
    if not CAPTURES.is_dir():
        pytest.skip(f"the recorded devices are not beside this checkout ({CAPTURES})")
    return CAPTURES


@pytest.fixture(scope="session")
def captures(captures_folder: Path) -> dict[str, Capture]:
    """Folder name -> capture, of every folder that holds an answer of a device."""
    found = {path.name: assemble(path) for path in sorted(captures_folder.iterdir()) if path.is_dir()}
    return {name: capture for name, capture in found.items() if capture.commands}


@pytest.fixture(scope="session")
def labels(captures_folder: Path) -> dict[str, dict[str, str]]:
    """Folder name -> what somebody noted about the device; may be wrong."""
    found: dict[str, dict[str, str]] = {}
    index = yaml.load((captures_folder / "INDEX.yaml").read_text("utf-8"), Loader=yaml.CSafeLoader)
    for entry in index["entries"]:
        row = found.setdefault(entry["file"].split("/")[0], {})
        for key in ("soc", "gpu", "note"):
            if entry.get(key):
                row.setdefault(key, str(entry[key]))
    return found


@pytest.fixture(scope="session")
def gles_reports(captures_folder: Path) -> Iterator[list[dict[str, str]]]:
    import csv

    with (captures_folder / "databases" / "opengles-gpuinfo-half.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        yield list(csv.DictReader(file))
