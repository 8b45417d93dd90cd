"""What is recognised of real devices: a table over the recordings, each wrong or missing one by name.

Run with `-s` to see the table. Labels of the index were added by hand; where one is wrong, or cannot be known from
what was recorded, `WRONG_LABELS` and `UNKNOWABLE` say why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.read import read
from gemmafit.probes.snapshot import Snapshot, Vulkan
from gemmafit.probes.vulkan_profile import check, read_profiles
from gemmafit.profiles.loader import load as load_knowledge

WRONG_LABELS = {
    # gpu
    "clstr-adreno-506": "the index repeats CL_DEVICE_NAME, which has no model; CL_DEVICE_VERSION has it",
    "clstr-adreno-640": "the same",
    "cpuinfo-nexus9": "the index names the architecture (Kepler), not the GPU (Tegra K1)",
    # emulator: x86 phones and tablets that exist, with the GPU and the driver that they were sold with
    "gles-00558-k019": "Asus K019 (FonePad 7) has an Atom Z3530 with a PowerVR G6430",
    "gles-01601-st1009": "Haier ST1009 has an Atom x3 (SoFIA) with a Mali-450 MP4",
    "gles-02199-k016": "Asus K016 (FonePad 8) has an Atom Z3530; early drivers say Rogue Hood",
    "gles-04593-k01u": "Asus K01U has an Atom Z2520 with a PowerVR SGX 544MP2",
    "gles-05133-full-aosp-on-sofia": "a SoFIA reference tablet: Mali-450 MP4 is its own GPU",
}
UNKNOWABLE = {
    "cpuinfo-padcod-10.1": "sun8i is the family of Allwinner A23, A33, A83T and H3; nothing else is recorded",
    "firefly-rk3399-mali-t860": "the listing ends before the first device",
    "gles-00780-pixel-c": "the driver says NVIDIA Tegra, whichever it is",
    "gles-01594-pixel-c": "the same",
    "gles-01817-pixel-c": "the same",
    "gles-01198-7029c-j0918": "the driver says UnKnow",
    "fpjs-zeroed-implementer": "the hypervisor hides which core it is",
    "gles-03551-pixel-xl": "a Mali-T830 alone is no sign; that the model is a Pixel XL was not recorded",
}


@pytest.fixture(scope="session")
def snapshots(captures: dict[str, Capture]) -> dict[str, Snapshot]:
    return {name: read(capture) for name, capture in captures.items()}


def plain(text: str) -> str:
    return re.sub(r"\(tm\)|\(r\)|[^a-z0-9]", "", text.lower())


def gpu_agrees(model: str, label: str) -> bool:
    """Whether a label means this model: its designation stands in the label."""
    renamed = {"vr400mp": "mali400", "immersion16": "mali450", "fd640": "adreno640", "malit764": "malit760"}
    said = renamed.get(plain(label), plain(label))
    designation = plain(
        model.split("Mali-")[-1].split("Immortalis-")[-1].removeprefix("PowerVR ").split(" for ")[0]
    )
    return designation.removeprefix("rogue") in said


def says_gpu(capture: Capture) -> bool:
    return bool({"surfaceflinger", "clinfo", "kgsl_gpu_model", "mali_gpuinfo"} & capture.commands.keys())


def says_soc(capture: Capture) -> bool:
    """A part number or code name was recorded: getprop or build.prop of a phone, or a Hardware line."""
    if "build_prop" in capture.commands or "cpu_topology" in capture.commands:
        return True
    text = (
        capture.commands.get("cpuinfo", Answer(0, "")).out
        + capture.commands.get("getprop", Answer(0, "")).out
    )
    return "Hardware" in text or "ro.board.platform" in text


def soc_agrees(snapshot: Snapshot, label: str) -> bool:
    """Whether a label means this chip, or one of those that it may be."""
    soc = snapshot.soc
    said = {soc.name} if soc.name else set(soc.one_of)
    meant = {row.name for row in load_knowledge().tables.socs.find(label, spoken=True).rows}
    return bool(said & meant) or any(plain(name) in plain(label) for name in said)


def rows(
    captures: dict[str, Capture], snapshots: dict[str, Snapshot], labels: dict[str, dict[str, str]]
) -> Iterator[tuple[str, str, str, str, str]]:
    """(aspect, device, outcome, ours, label) of every device that says something about the aspect."""
    for name, capture in captures.items():
        snapshot, label = snapshots[name], labels.get(name, {})
        known_emulator = (snapshot.identity.emulator_kind or "").split(":")[0] in (
            "emulator",
            "virtual machine",
            "PC",
            "cloud phone",
        )
        gpu = label.get("gpu")
        if gpu and not known_emulator and (says_gpu(capture) or snapshot.gpu.model):
            model = snapshot.gpu.model
            outcome = "missing" if model is None else "right" if gpu_agrees(model, gpu) else "wrong"
            yield "GPU model", name, outcome, str(model), gpu
            generation = snapshot.gpu.architecture
            yield "GPU generation", name, "right" if generation else "missing", str(generation), gpu
        if label.get("soc") and says_soc(capture) and "emulator" not in label["soc"]:
            found = snapshot.soc.title
            right = soc_agrees(snapshot, label["soc"])
            yield (
                "SoC",
                name,
                "missing" if not found else "right" if right else "wrong",
                str(found),
                label["soc"],
            )
        if {"cpuinfo", "cpu_topology"} & capture.commands.keys():
            cores = [cluster.core for cluster in snapshot.cpu.clusters]
            whole = bool(cores) and None not in cores
            yield "core types", name, "right" if whole else "missing", str(cores), ""
        text = capture.commands["getprop"].out if "getprop" in capture.commands else ""
        if "ro.product.cpu.abi" in text:
            wanted = 64 if "[ro.zygote]: [zygote64" in text or "abilist64]: [arm64" in text else 32
            bits = snapshot.android.bits if snapshot.android else None
            outcome = "missing" if bits is None else "right" if bits == wanted else "wrong"
            yield "bitness", name, outcome, str(bits), str(wanted)
        if "SPOOFED" in label.get("note", ""):
            yield (
                "emulator",
                name,
                "right" if snapshot.identity.emulator else "missing",
                str(snapshot.identity.emulator_kind),
                label["note"],
            )


MINIMUM = {
    "GPU model": 0.98,
    "GPU generation": 0.98,
    "SoC": 0.97,
    "core types": 0.97,
    "bitness": 1.0,
    "emulator": 1.0,
}


def test_what_is_identified(
    captures: dict[str, Capture], snapshots: dict[str, Snapshot], labels: dict[str, dict[str, str]]
) -> None:
    counts: dict[str, dict[str, int]] = {}
    problems: list[str] = []
    for aspect, name, outcome, ours, label in rows(captures, snapshots, labels):
        row = counts.setdefault(aspect, {"right": 0, "wrong": 0, "missing": 0, "excused": 0})
        reason = WRONG_LABELS.get(name) or UNKNOWABLE.get(name)
        if outcome != "right" and reason and aspect != "bitness":
            row["excused"] += 1
            continue
        row[outcome] += 1
        if outcome != "right":
            problems.append(f"{outcome:8} {aspect:15} {name}: {ours} (label: {label})")
    print("\naspect            right  wrong missing excused  share")
    for aspect, row in counts.items():
        asked = row["right"] + row["wrong"] + row["missing"]
        print(
            f"{aspect:16} {row['right']:6} {row['wrong']:6} {row['missing']:7} {row['excused']:7}"
            f"  {row['right'] / asked:6.1%}"
        )
    print("\n".join(problems))
    assert not [problem for problem in problems if problem.startswith("wrong")]
    for aspect, row in counts.items():
        share = row["right"] / (row["right"] + row["wrong"] + row["missing"])
        assert share >= MINIMUM[aspect], f"{aspect}: {share:.1%}\n" + "\n".join(problems)


def test_every_excuse_is_needed(
    captures: dict[str, Capture], snapshots: dict[str, Snapshot], labels: dict[str, dict[str, str]]
) -> None:
    failing = {name for _, name, outcome, *_ in rows(captures, snapshots, labels) if outcome != "right"}
    assert sorted((WRONG_LABELS.keys() | UNKNOWABLE.keys()) - failing) == []


def test_nothing_that_is_read_was_unreadable(snapshots: dict[str, Snapshot]) -> None:
    assert {name: s.warnings for name, s in snapshots.items() if s.warnings} == {}


# The clusters of devices whose cores each need something else: count x core @ MHz.
CLUSTERS = {
    "cpuinfo-galaxy-s7-global": "4 Cortex-A53 1586, 4 Exynos M1 2600",  # part 0x001 of implementer 0x53
    "cpuinfo-galaxy-s8-global": "4 Cortex-A53 1690, 4 Exynos M2 2314",  # the same part, another variant
    "soc-snapdragon-8-elite": "8 Oryon None",  # part 0x001 of implementer 0x51
    "cpuinfo-huawei-mate-20": "4 Cortex-A55 1805, 2 Cortex-A76 1901, 2 Cortex-A76 2600",  # implementer 0x48
    "cpuinfo-nexus6p": "4 Cortex-A53 1555, 4 Cortex-A57 1958",  # one identification for all, half asleep
    "soc-snapdragon-650": "4 Cortex-A53 1401, 2 Cortex-A72 1804",  # the same, without frequencies
    "cpuinfo-lenovo-vibe-x2": "4 Cortex-A7 1690, 4 Cortex-A17 None",  # 32-bit kernel
    "cpuinfo-meizu-pro-6s": "4 Cortex-A53 1547, 4 Cortex-A53 2002, 2 Cortex-A72 2522",  # big cores asleep
    "cpuinfo-meizu-pro-7-plus": "4 Cortex-A35 1898, 4 Cortex-A53 2197, 2 Cortex-A73 2600",
    "cpuinfo-huawei-p8-lite": "8 Cortex-A53 1200",
    "cpuinfo-galaxy-s4-us": "4 Krait 1890",
    "cpuinfo-pixel-8": "4 Cortex-A510 1704, 4 Cortex-A715 2367, 1 Cortex-X3 2914",
    "soc-exynos-9820": "4 Cortex-A55 None, 2 Cortex-A75 None, 2 Exynos M4 None",
    "cpuinfo-alldocube-iwork8": "4 Airmont 1920",
}


@pytest.mark.parametrize("name", CLUSTERS)
def test_clusters(snapshots: dict[str, Snapshot], name: str) -> None:
    clusters = snapshots[name].cpu.clusters
    assert ", ".join(f"{c.count} {c.core} {c.max_mhz}" for c in clusters) == CLUSTERS[name]


DRIVERS = {
    "adreno-650-termux-2021": ("compiler", (37, 12, 1)),
    "clstr-mali-g925": ("ddk", (49, 1, 3, 0)),
    "redroid-14-swiftshader": ("swiftshader", (5, 0, 0)),
    "hikey970-mali-g72": ("ddk", (10, 0, 1, 0)),
}


@pytest.mark.parametrize("name", DRIVERS)
def test_driver_versions(snapshots: dict[str, Snapshot], name: str) -> None:
    gpu = snapshots[name].gpu
    assert (gpu.driver_kind, gpu.driver_version) == DRIVERS[name]


def test_disagreements_say_who_was_believed(snapshots: dict[str, Snapshot]) -> None:
    revvl = snapshots["cpuinfo-alcatel-revvl"]
    assert revvl.soc.name == "MT6738"
    assert {(d.field, d.other) for d in revvl.disagreements} == {("soc.name", "MT6750")}
    assert all("Hardware" in d.source and d.because for d in revvl.disagreements)


APPS = {
    "galaxy-j4-plus-j4primelte": True,  # libOpenCv.so stands there too
    "honor-8-frd": False,
    "xiaomi-13t-pro-corot": True,
}


@pytest.mark.parametrize("name", APPS)
def test_an_app_sees_opencl(captures: dict[str, Capture], name: str) -> None:
    """The recording holds only public.libraries: the Android version is added here."""
    props = (
        "[ro.build.version.sdk]: [30]\n[ro.zygote]: [zygote64_32]\n[ro.product.cpu.abilist]: [arm64-v8a]\n"
    )
    commands = {**captures[name].commands, "getprop": Answer(0, props)}
    app = read(Capture("assembled", {}, commands)).opencl.app
    assert app is not None
    assert app.visible is APPS[name]


def report_capture(row: dict[str, str]) -> Capture:
    """A report of the GL database as a capture: the model, the kernel's architecture, the GLES line."""
    return Capture(
        "assembled",
        {},
        {
            "getprop": Answer(0, f"[ro.product.model]: [{row['device']}]\n"),
            "uname": Answer(0, row["cpu_arch"]),
            "surfaceflinger": Answer(
                0, f"GLES: {row['gl_vendor']}, {row['gl_renderer']}, {row['gl_version']}\n"
            ),
        },
    )


def is_x86(row: dict[str, str]) -> bool:
    return row["cpu_arch"] in ("i686", "x86_64", "x86", "i686-pc")


ODD = {  # renderers whose designation is not their last word with digits
    "Immersion.16": "Mali-450",
    "VR-400 MP": "Mali-400",
    "FD640": "Adreno 640",
    "V3D 4.2": "VideoCore VI",
    "VideoCore IV HW": "VideoCore IV",
    "VideoCore IV HW (V3D-435)": "VideoCore IV",
    "NVIDIA Tegra": "Tegra",
    "NVIDIA Tegra 3": "Tegra 3",
    "PowerVR Rogue Marlowe": "PowerVR Rogue Marlowe",
    "PowerVR Rogue GT7400 Plus": "PowerVR GT7400 Plus",
    "Mali-G715-Immortalis MC11": "Immortalis-G715",
    "Mali-G720-Immortalis MC12": "Immortalis-G720",
    "Mali_G76": "Mali-G76",
    "Android PixelFlinger 1.4": "PixelFlinger",
    "Android Emulator OpenGL ES Translator (Adreno (TM) 640)": "Adreno 640",
}
FAMILIES = {
    "ARM": "Mali-",
    "Qualcomm": "Adreno ",
    "Imagination Technologies": "PowerVR ",
    "Vivante Corporation": "",
    "Marvell Technology Group Ltd": "",
    "HUAWEI": "Maleoon ",
    "Samsung Electronics Co., Ltd.": "Xclipse ",
    "Google Inc. (ARM)": "Mali-",
    "Google Inc. (Qualcomm)": "Adreno ",
}


def expected_model(row: dict[str, str]) -> str | None:
    """Read the renderer in a second, simpler way: the vendor's family and the first designation."""
    renderer = row["gl_renderer"].strip().removesuffix(" / Chainfire3D")
    if renderer in ODD:
        return ODD[renderer]
    family = FAMILIES.get(row["gl_vendor"])
    inner = renderer.split("(Adreno (TM)")[-1].split("(Mali-")[-1].split("Xclipse")[-1]
    word = re.search(
        r"\b(?:[BCD]X[A-Z][\d-]+|GC\d{3,4}[A-Z]*|G[A-Z]?\d{4}|SGX ?\d{3}|[GT]\d{2,3}|\d{3}L?)(?!\.)", inner
    )
    return family + word[0].replace("SGX ", "SGX") if family is not None and word else None


def test_gpu_of_arm_phones_from_the_gles_line(gles_reports: list[dict[str, str]]) -> None:
    arm = [row for row in gles_reports if not is_x86(row)]
    wrong: list[str] = []
    for row in arm:
        model = read(report_capture(row)).gpu.model
        if model is None or model != expected_model(row):
            wrong.append(
                f"{row['device']}: {row['gl_vendor']}, {row['gl_renderer']}: {model}, not {expected_model(row)}"
            )
    print(f"\n{len(arm) - len(wrong)} of {len(arm)}", *wrong, sep="\n")
    assert len(arm) > 3000
    assert len(wrong) <= 0.01 * len(arm), "\n".join(wrong)


# x86 devices that are what they say: Intel's chips for phones and tablets, with the GPUs these were sold with.
REAL_X86 = re.compile(
    r"Imagination Technologies, PowerVR (?:SGX 5\d\d|Rogue (?:G6430|Hood))"
    r"|Intel, Intel\(R\) HD Graphics for (?:BayTrail|Atom)|ARM, Mali-450 MP"
)


def test_emulators_among_the_reports(gles_reports: list[dict[str, str]]) -> None:
    """Every x86 row but Intel's own phones is an emulator, a container or a PC; ARM rows hardly ever are."""
    missed, accused = [], []
    for row in gles_reports:
        emulator = read(report_capture(row)).identity.emulator
        line = f"{row['device']}: {row['gl_vendor']}, {row['gl_renderer']}, {row['gl_version']}"
        if is_x86(row):
            real = REAL_X86.match(f"{row['gl_vendor']}, {row['gl_renderer']}") is not None
            if not real and not emulator:
                missed.append(line)
            if real and emulator:
                accused.append(line)
        elif emulator:
            accused.append(line)
    assert missed == []
    signs = r"Chromebook|PixelFlinger|MuMu|Translator|Mali_G76|Adreno \(TM\) 540, OpenGL ES 3\.0\Z"
    assert [line for line in accused if not re.search(signs, line)] == []
    assert len(accused) < 30


def test_khronos_profiles_are_read_as_published(captures_folder: Path) -> None:
    for year, count in ((2021, 100), (2022, 110)):
        (profile,) = read_profiles(
            captures_folder / "databases" / f"vulkan-VP_ANDROID_vulkan_profile_{year}.json"
        )
        rows = check(profile, Vulkan(extensions=frozenset(), api_version="1.0.65"))
        assert len(rows) > count
        assert {row.name for row in rows if row.outcome == "missed"} >= {"apiVersion", "VK_KHR_swapchain"}
