"""Which chip, CPU or impostor a device is: rules that hold for every row of the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemmafit.base.errors import UsageError
from gemmafit.judge.estimate import stated
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.parsers.proc import parse_cpuinfo
from gemmafit.probes.parsers.text import ParseError
from gemmafit.probes.read import read
from gemmafit.probes.readers.gpu import Identified, identify
from gemmafit.probes.readers.soc import Shown, narrowed
from gemmafit.probes.snapshot import Snapshot
from gemmafit.profiles.loader import load
from gemmafit.profiles.socs import How, SocRow, common
from gemmafit.tools import partnumbers

KNOWLEDGE = load()
TABLES = KNOWLEDGE.tables
SOCS = TABLES.socs
PLATFORMS = sorted({code for row in SOCS.rows for code in row.platforms})
PARTS = sorted({model for row in SOCS.rows for model in row.models})


def device(props: Mapping[str, str], gles: str | None = None, **answers: str) -> Snapshot:
    """What a phone with these properties and this GLES line is taken for."""
    said = {"getprop": "".join(f"[{k}]: [{v}]\n" for k, v in props.items()), **answers}
    if gles is not None:
        said["surfaceflinger"] = f"GLES: {gles}\n"
    return read(Capture("assembled", {}, {key: Answer(0, text) for key, text in said.items()}), TABLES)


def named(snapshot: Snapshot) -> set[str]:
    return {snapshot.soc.name} if snapshot.soc.name else set(snapshot.soc.one_of)


def names(rows: tuple[SocRow, ...]) -> set[str]:
    return {row.name for row in rows}


def sisters(part: str) -> Iterator[str]:
    """The platforms of all chips that share a board with those of a part number."""
    codes = {code for row in SOCS.find(part).rows for code in row.platforms}
    yield from sorted({code for row in SOCS.rows if codes & set(row.platforms) for code in row.platforms})


@pytest.mark.parametrize("part", PARTS)
def test_a_part_number_stands_for_those_that_list_it_whatever_the_board_is_called(part: str) -> None:
    listing = {row.name for row in SOCS.rows if part in row.models}
    assert names(SOCS.find(part).rows) == listing and SOCS.find(part).how is How.PART
    for platform in (*sisters(part), "goldilocks"):
        found = device({"ro.soc.model": part, "ro.board.platform": platform})
        assert named(found) == listing, platform


@pytest.mark.parametrize("unknown", ["SM9999", "MT9999V/ZA", "S5E1111", "Snapdragon 99 Ultra"])
def test_no_board_makes_an_unknown_part_number_a_known_chip(unknown: str) -> None:
    for platform in PLATFORMS:
        found = device({"ro.soc.model": unknown, "ro.board.platform": platform})
        assert named(found) == set() and found.soc.model == unknown, platform
        assert found.cpu.clusters == () and found.gpu.model is None, platform


def test_a_board_alone_stands_for_all_of_its_chips_and_the_gpu_decides_among_them() -> None:
    for platform in PLATFORMS:
        family = SOCS.family(platform)
        assert named(device({"ro.board.platform": platform})) == names(family), platform
        for row in family:
            if row.gpu.model is not None:
                shown = narrowed(family, Shown(Identified("", row.gpu.model, None, row.gpu.cores)))
                assert row in shown, (platform, row.name)


def test_what_a_chip_shows_never_excludes_it() -> None:
    for row in SOCS.rows:
        tops = [cluster.mhz for cluster in row.cpu if cluster.mhz is not None]
        cores: dict[str, int] = {}
        for cluster in row.cpu:
            cores[cluster.core] = cores.get(cluster.core, 0) + cluster.count
        gpu = Identified("", row.gpu.model, None, row.gpu.cores)
        shown = Shown(gpu, cores, sum(cores.values()) or None, max(tops, default=None))
        assert row in narrowed(SOCS.rows, shown), row.name


def test_of_several_chips_no_figure_is_the_best_one() -> None:
    for platform in PLATFORMS:
        family = SOCS.family(platform)
        merged = common(family)
        assert merged is not None
        for figures in (
            [r.dram_gb_s for r in (merged, *family)],
            [r.gpu.fp16_gflops for r in (merged, *family)],
        ):
            best, *each = figures
            known = [value for value in each if value is not None]
            assert best is None or (len(known) == len(each) and best == min(known))
        for cluster in merged.cpu:
            tops = [max((c.mhz or 0) for c in row.cpu if c.core == cluster.core) for row in family]
            assert cluster.mhz is None or cluster.mhz <= min(tops)


@pytest.mark.parametrize("row", SOCS.rows, ids=lambda row: row.name)
def test_people_may_write_every_name(row: SocRow) -> None:
    for name in (row.name, *row.aliases):
        for written in (
            name,
            name.lower(),
            name.replace(" ", ""),
            f"{row.manufacturer} {name}",
            f"{name} 5G",
        ):
            assert row in SOCS.find(written, spoken=True).rows, written


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Dimensity 1080", "Dimensity 1080"),
        ("Snapdragon 8 Gen 3", "Snapdragon 8 Gen 3"),
        ("sd8gen3", "Snapdragon 8 Gen 3"),
        ("8 Elite", "Snapdragon 8 Elite"),
        ("Snapdragon 855 Plus", "Snapdragon 855+"),
        ("Snapdragon 8 Gen 2 for Galaxy", "Snapdragon 8 Gen 2"),
        ("Qualcomm® Snapdragon™ 7s Gen 3 Mobile Platform", "Snapdragon 7s Gen 3"),
        ("Helio G85", "Helio G85"),
        ("MediaTek Helio G99-Ultra", "Helio G99"),
        ("Exynos 2200", "Exynos 2200"),
        ("Google Tensor", "Tensor G1"),
        ("Tensor G3", "Tensor G3"),
        ("Kirin 9010", "Kirin 9010"),
        ("Unisoc Tiger T606", "Unisoc T606"),
        # Sisters: a suffix, or a part number of one die, is a chip of its own.
        ("MT6797T", "Helio X25"),
        ("MT6769V/CB", "Helio G70"),
        ("MT6785V/CD", "Helio G95"),
        ("EXYNOS5422", "Exynos 5422"),
        ("SM8150_Plus", "Snapdragon 855+"),
        ("MSM8996 Pro", "Snapdragon 821"),
        ("Qualcomm Technologies, Inc SM7550", "Snapdragon 7 Gen 3"),
        ("samsungexynos8890", "Exynos 8890"),
        ("hi6210sft", "Kirin 620"),
    ],
)
def test_one_chip(written: str, meant: str) -> None:
    assert names(SOCS.find(written, spoken=True).rows) == {meant}


@pytest.mark.parametrize(
    ("props", "gles", "meant"),
    [
        ({"ro.board.platform": "taro"}, "Qualcomm, Adreno (TM) 730, OpenGL ES 3.2 V@0615.0",
         {"Snapdragon 8 Gen 1", "Snapdragon 8+ Gen 1"}),
        ({"ro.board.platform": "taro"}, "Qualcomm, Adreno (TM) 644, OpenGL ES 3.2 V@0615.0",
         {"Snapdragon 7 Gen 1"}),
        ({"ro.board.platform": "taro"}, "Qualcomm, Adreno (TM) 999, OpenGL ES 3.2 V@0615.0", set[str]()),
        ({"ro.soc.model": "SM8845", "ro.board.platform": "canoe"}, None, {"Snapdragon 8 Gen 5"}),
        ({"ro.soc.model": "SM6435", "ro.board.platform": "parrot"}, None, {"Snapdragon 6s Gen 4"}),
        ({"ro.soc.model": "MT8781", "ro.board.platform": "mt6789"}, None, {"Helio G99"}),
        ({"ro.board.platform": "sc8830"}, None, {"SC7731", "SC9832"}),
    ],
)  # fmt: skip
def test_boards_and_parts(props: dict[str, str], gles: str | None, meant: set[str]) -> None:
    assert named(device(props, gles)) == meant


def test_the_clock_tells_bins_of_one_part_apart() -> None:
    def kona(khz: int) -> set[str]:
        topology = f"/sys/devices/system/cpu/cpu7/cpufreq/cpuinfo_max_freq:{khz}\n"
        return named(device({"ro.soc.model": "SM8250"}, cpu_topology=topology))

    assert kona(2841600) == {"Snapdragon 865"} and kona(3187200) == {"Snapdragon 870"}
    assert kona(2000000) == {"Snapdragon 865", "Snapdragon 865+", "Snapdragon 870"}


def test_an_unknown_name_is_met_with_those_like_it() -> None:
    with pytest.raises(UsageError) as refused:
        stated("Adreno 740", 8, KNOWLEDGE, soc="Snapdargon 8 Gen 2")
    assert "Snapdragon 8 Gen 2" in (refused.value.hint or "")


def test_every_row_says_where_it_is_from() -> None:
    assert not [row.name for row in SOCS.rows if not row.source or not row.because]


# --- CPUs ---------------------------------------------------------------------------------------------------


def cores(snapshot: Snapshot) -> str:
    return ", ".join(f"{c.count} {c.core} {c.max_mhz}" for c in snapshot.cpu.clusters)


BIG_LITTLE = """Processor\t: ARMv7 Processor rev 3 (v7l)
processor\t: 0
processor\t: 1

Features\t: swp half
CPU implementer\t: 0x41
CPU variant\t: 0x0
CPU part\t: 0xc07

processor\t: 4
processor\t: 5

CPU implementer\t: 0x41
CPU variant\t: 0x2
CPU part\t: 0xc0f

Hardware\t: SAMSUNG EXYNOS5422
"""


def test_groups_have_the_block_that_follows_them() -> None:
    info = parse_cpuinfo(BIG_LITTLE)
    assert not info.shared and info.hardware == "SAMSUNG EXYNOS5422"
    assert [(p.number, p.part) for p in info.processors] == [(0, 0xC07), (1, 0xC07), (4, 0xC0F), (5, 0xC0F)]
    tight = parse_cpuinfo(BIG_LITTLE.replace("\n\n", "\n"))
    assert [p.part for p in tight.processors] == [0xC07, 0xC07, 0xC0F, 0xC0F]
    # The four that sleep are those of the chip.
    assert cores(device({}, cpuinfo=BIG_LITTLE)) == "4 Cortex-A7 None, 4 Cortex-A15 None"


@given(st.lists(st.sampled_from(BIG_LITTLE.splitlines()), max_size=40), st.text(max_size=20))
def test_no_order_of_blocks_breaks_the_reader(lines: list[str], noise: str) -> None:
    text = "\n".join((*lines, noise))
    with suppress(ParseError):
        parse_cpuinfo(text)
    device({"ro.soc.model": "EXYNOS5422"}, cpuinfo=text)


def test_clocks_and_rows_of_one_core_come_from_the_table() -> None:
    awake = "".join(
        f"processor : {n}\nCPU implementer : 0x41\nCPU part : 0xd03\nCPU variant : 0x0\n\n" for n in range(4)
    )
    found = device({"ro.soc.model": "MT6797"}, cpuinfo=awake)
    assert cores(found) == "4 Cortex-A53 1547, 4 Cortex-A53 2002, 2 Cortex-A72 None"


def test_threads_of_one_core_are_one_core() -> None:
    parts = ["0x41 0xd46"] * 4 + ["0x48 0xd42"] * 6 + ["0x48 0xd02"] * 2
    info = "".join(
        f"processor : {n}\nCPU implementer : {p.split()[0]}\nCPU part : {p.split()[1]}\nCPU variant : 0x2\n\n"
        for n, p in enumerate(parts)
    )
    found = device({"ro.hardware.chipname": "kirin9000s"}, cpuinfo=info)
    assert cores(found) == "4 Cortex-A510 1530, 3 TaiShan v120 2150, 1 TaiShan v120 2620"
    assert [c.cpus for c in found.cpu.clusters] == [(0, 1, 2, 3), (4, 6, 8), (10,)]

    atom = "".join(
        f"processor : {n}\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 53\n"
        f"model name : Intel(R) Atom(TM) CPU Z2560 @ 1.60GHz\nphysical id : 0\ncore id : {n // 2}\n\n"
        for n in range(4)
    )
    assert cores(device({}, cpuinfo=atom)) == "2 Saltwell None"


# --- impostors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("props", "gles", "kind"),
    [
        ({}, "Google (Apple), ANGLE (Apple, ANGLE Metal Renderer: Apple M2 Pro, Version 14.1), OpenGL ES 3.0",
         "emulator: a Mac's GPU"),
        ({}, "Google, Adreno (TM) 740, OpenGL ES 3.2 (4.1 Metal - 88)", "emulator: a Mac's GPU"),
        ({}, "Apple Inc., Apple GPU, OpenGL ES 3.0 Metal - 76.3", "emulator: a Mac's GPU"),
        ({}, "Google (Red Hat), ANGLE (Red Hat, Vulkan 1.3.255 (Virtio-GPU Venus (Intel(R) UHD Graphics 620) "
         "(0x5917)), venus), OpenGL ES 3.2", "virtual machine: virtio-gpu"),
        ({"ro.boot.armcloud_server_addr": "10.0.0.1"}, "ARM, Mali-G715, OpenGL ES 3.2 v1.r44p1",
         "cloud phone: ArmCloud"),
        ({"ro.boot.pad_code": "AC1"}, "Qualcomm, Adreno (TM) 740, OpenGL ES 3.2 V@0762.0",
         "cloud phone: ArmCloud"),
        ({"ro.soc.model": "SM8550"}, "ARM, Mali-G715, OpenGL ES 3.2 v1.r44p1",
         "emulator: one maker's chip with another's GPU"),
        ({"ro.board.platform": "kona"}, "ARM, Mali-G57, OpenGL ES 3.2 v1.r44p1",
         "emulator: one maker's chip with another's GPU"),
        ({"ro.product.device": "kiwi_x86_64", "ro.hardware": "cutf_cvm"}, None, "PC: Google Play Games on PC"),
        ({"ro.product.device": "windows_x86_64"}, None, "container: Windows Subsystem for Android"),
        ({}, "Google Inc. (NVIDIA), ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 Direct3D12), OpenGL ES 3.1", "emulator"),
    ],
)  # fmt: skip
def test_impostors(props: dict[str, str], gles: str | None, kind: str) -> None:
    who = device(props, gles).identity
    assert who.emulator and (who.emulator_kind or "").startswith(kind)


def test_no_chip_of_the_table_is_an_impostor_by_its_own_gpu() -> None:
    vendors = {"Qualcomm": "Qualcomm", "Arm": "ARM", "Imagination": "Imagination Technologies"}
    for row in SOCS.rows:
        said = identify(TABLES.gpus, row.gpu.model) if row.gpu.model else None
        if said is None or not row.models or said.vendor not in vendors:
            continue
        version = "OpenGL ES 3.2 V@0615.0" if said.vendor == "Qualcomm" else "OpenGL ES 3.2 v1.r32p1"
        model = str(row.gpu.model).replace("Adreno ", "Adreno (TM) ")
        found = device({"ro.soc.model": row.models[0]}, f"{vendors[said.vendor]}, {model}, {version}")
        assert not found.identity.emulator, row.name


# --- names of GPUs, and loaders -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "model", "architecture"),
    [
        ("GC7000NanoUltra", "GC7000NanoUltra", "Vivante"),
        ("Vivante GC7000UltraLite", "GC7000UltraLite", "Vivante"),
        ("Mali-G715 Immortalis MC11", "Immortalis-G715", "Valhall"),
        ("Mali-G720 (Immortalis)", "Immortalis-G720", "Arm 5th Gen"),
        ("Mali-G715-Immortalis MC11", "Immortalis-G715", "Valhall"),
        ("Mali-T764", "Mali-T760", "Midgard"),
        ("Adreno (TM) 702", "Adreno 702", "Adreno 6xx"),
        ("Adreno610v1", "Adreno 610", "Adreno 6xx"),
        ("Adreno 642Lv1", "Adreno 642L", "Adreno 6xx"),
        ("Adreno7c3", None, "Adreno 6xx"),
        ("Samsung Xclipse 540", "Xclipse 540", "RDNA3"),
        ("Samsung Xclipse 550", "Xclipse 550", "RDNA3"),
        ("ANGLE (Samsung Xclipse 950) on Vulkan 1.3.279", "Xclipse 950", "RDNA3"),
        ("ANGLE (Samsung Xclipse 960) on Vulkan 1.4.0", "Xclipse 960", "RDNA4"),
        # Cut off: the vendor, and no other model.
        ("Adreno (TM) 7", None, None),
        ("Mali-G7", None, None),
        ("Immortalis-G", None, None),
        ("PowerVR B-Series BXM-8-25", None, None),
        ("Samsung Xclipse 9", None, None),
    ],
)
def test_names_of_gpus(text: str, model: str | None, architecture: str | None) -> None:
    said = identify(TABLES.gpus, text)
    assert said is not None and said.vendor is not None
    assert (said.model, said.architecture) == (model, architecture)


def test_a_loader_without_a_driver_is_no_missing_library() -> None:
    found = device({}, clinfo="Number of platforms                               0\n")
    assert found.opencl.platforms == 0 and found.opencl.present is None


def test_the_tool_counts_what_the_tables_lack(tmp_path: Path) -> None:
    (tmp_path / "thread.txt").write_text(
        "SM8650-AB works, SM9999 and mt9999V/ZA do not; SM9999 again", "utf-8"
    )
    (tmp_path / "getprop.txt").write_text(
        "[ro.soc.model]: [SM9999]\n[ro.board.platform]: [sc8830]\n", "utf-8"
    )
    said: list[str] = []
    assert partnumbers.main([str(tmp_path)], said.append) == 1
    assert [line.split()[:2] for line in said[:-1]] == [["2", "SM9999"], ["1", "MT9999"]]
    assert said[-1] == "2 of 4 part numbers are known"


@given(
    st.text(max_size=200) | st.from_regex(r"(SM|MT|EXYNOS|KIRIN)[0-9]{3,5}[A-Z_/ -]{0,60}", fullmatch=True)
)
def test_no_text_breaks_the_lookup(text: str) -> None:
    for spoken in (False, True):
        assert len(SOCS.find(text, spoken=spoken).rows) <= len(SOCS.rows)
    assert SOCS.near(text) is not None and set(SOCS.family(text)) <= set(SOCS.rows)
