"""Classes of GPU are rows: what each tries first, and that a new one needs nothing but its row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gemmafit.base.errors import InputError
from gemmafit.base.names import Backend
from gemmafit.benchmarks.backends import lowerer
from gemmafit.benchmarks.kernel_class import ANY, choice
from gemmafit.benchmarks.opencl.variants import ClFacts, candidates
from gemmafit.benchmarks.run import MOST_VARIANTS
from gemmafit.judge.references import load
from gemmafit.probes.readers.gpu import identify
from gemmafit.probes.snapshot import Gpu, OpenCl, Snapshot

IMAGES = {
    "CL_DEVICE_IMAGE_SUPPORT": True,
    "CL_DEVICE_IMAGE2D_MAX_WIDTH": 16384,
    "CL_DEVICE_IMAGE2D_MAX_HEIGHT": 16384,
}
OPENCL = OpenCl(
    present=True,
    device_type="gpu",
    max_work_group_size=1024,
    extensions=frozenset({"cl_khr_fp16", "cl_khr_subgroups"}),
    properties=IMAGES,
)


def phone(renderer: str) -> Snapshot:
    """A phone with every feature and this GPU: what differs is its class."""
    gpu = identify(load().tables.gpus, renderer)
    assert gpu is not None and gpu.model is not None
    return Snapshot(
        "adb", gpu=Gpu(vendor=gpu.vendor, model=gpu.model, architecture=gpu.architecture), opencl=OPENCL
    )


def tried(snapshot: Snapshot) -> list[str]:
    """The variants that a search on this device begins with."""
    every = lowerer(Backend.OPENCL, snapshot, classes=load().kernels).candidates()
    return [c.name for c in every if c.fused and not c.dot][:MOST_VARIANTS]


@pytest.mark.parametrize(
    ("renderer", "first"),
    [
        ("Mali-T820", ["engine", "tiled", "rows"]),
        ("Mali-G76", ["engine-image", "engine", "tiled", "rows-subgroup"]),
        ("Mali-G710", ["engine-image", "engine", "rows-subgroup", "tiled"]),
        ("Immortalis-G925", ["engine-image-128", "engine-128", "rows-subgroup", "tiled"]),
        ("Adreno (TM) 530", ["engine-image", "engine", "tiled", "rows"]),
        ("Adreno (TM) 640", ["engine-image-128", "engine-128", "rows-subgroup", "tiled"]),
        ("Adreno (TM) 730", ["engine-image-128", "engine-256", "rows-subgroup", "engine-128"]),
        ("Adreno (TM) 740", ["engine-256", "engine-128", "rows-subgroup", "engine-image-128"]),
        ("Adreno (TM) 830", ["engine-256", "engine-128", "rows-subgroup", "engine-image-128"]),
        ("PowerVR B-Series BXM-8-256", ["engine-image-128", "engine-128", "tiled", "rows"]),
        ("Xclipse 920", ["engine-128", "engine", "rows-subgroup", "engine-image-128"]),
        ("Maleoon 910", ["engine", "engine-128", "tiled", "engine-image"]),
    ],
)
def test_what_is_tried_first(renderer: str, first: list[str]) -> None:
    assert tried(phone(renderer))[: len(first)] == first


def test_midgard_gets_no_images_whatever_its_driver_states() -> None:
    snapshot = replace(phone("Mali-T860"), opencl=replace(OPENCL, max_work_group_size=384))
    lower = lowerer(Backend.OPENCL, snapshot, classes=load().kernels)
    names = [c.name for c in lower.candidates()]
    assert "engine" in names and not any("image" in name for name in names)
    assert max(dict(c.details)["work_group"] for c in lower.candidates()) <= 256


def test_facts_decide_before_the_row() -> None:
    """A row cannot give a device what it lacks."""
    snapshot = replace(
        phone("Adreno (TM) 640"), opencl=replace(OPENCL, properties={}, max_work_group_size=64)
    )
    assert tried(snapshot)[0] == "rows-subgroup", "the first of its row that it can run"
    assert not any("image" in name or "128" in name for name in tried(snapshot))


def test_a_device_without_a_row_has_the_order_of_the_variants() -> None:
    snapshot = phone("Maleoon 910")
    assert choice(snapshot, Backend.OPENCL, load().kernels) is ANY
    every = [c.name for c in lowerer(Backend.OPENCL, snapshot, classes=load().kernels).candidates()]
    assert every == [v.name for v in candidates(ClFacts.of(OPENCL))]


def overlay(folder: Path, choices: str) -> Path:
    (folder / "kernels.yaml").write_text(
        f"""- id: maleoon
  when: {{fact: gpu.vendor, is: HiSilicon}}
  {choices}
  because: a test
  source: a test
"""
    )
    return folder


def test_a_new_class_is_a_row_alone(tmp_path: Path) -> None:
    folder = overlay(
        tmp_path, "opencl: {first: [rows-subgroup, rows], never: [tiled], images: false, max_work_group: 64}"
    )
    rows = load(folder).kernels
    snapshot = phone("Maleoon 910")
    names = [c.name for c in lowerer(Backend.OPENCL, snapshot, classes=rows).candidates()]
    assert names[:2] == ["rows-subgroup", "rows"]
    assert not {"tiled", "engine-128", "engine-image"} & set(names)
    # Others are as before.
    assert lowerer(Backend.OPENCL, phone("Mali-T820"), classes=rows).candidates()[0].name == "engine"


def test_a_misspelt_variant_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'maleoon' names 'engnie'"):
        load(overlay(tmp_path, "opencl: {first: [engnie]}"))


def test_a_misspelt_key_is_told_by_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"kernels\.yaml:3.*frist"):
        load(overlay(tmp_path, "opencl: {frist: [engine]}"))
