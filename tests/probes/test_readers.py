"""From answers to a snapshot: bitness, app visibility, GPUs, SoCs, emulators, the agent's probe."""

from __future__ import annotations

from typing import Any

import pytest

from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.read import read
from gemmafit.probes.readers.gpu import identify, mali_model
from gemmafit.probes.snapshot import AppVisibility, Snapshot
from gemmafit.profiles.loader import load as load_knowledge

TABLES = load_knowledge().tables


def snapshot(agent: dict[str, Any] | None = None, /, **commands: str) -> Snapshot:
    answers = {key: Answer(0, text) for key, text in commands.items()}
    return read(Capture("adb", {}, answers, agent))


def props(**values: str) -> str:
    return "".join(f"[{key.replace('__', '.')}]: [{value}]\n" for key, value in values.items())


class TestBits:
    @pytest.mark.parametrize(
        ("stated", "found"), [("16384", 16384), ("4096", 4096), ("65536", 65536), ("5000", None), ("x", None)]
    )
    def test_pages_of_memory(self, stated: str, found: int | None) -> None:
        android = snapshot(
            getprop=props(ro__zygote="zygote64", ro__boot__hardware__cpu__pagesize=stated)
        ).android
        assert android is not None and android.page_bytes == found and android.page_bytes_max is None
        most = snapshot(getprop=props(ro__zygote="zygote64", ro__product__cpu__pagesize__max=stated)).android
        assert most is not None and most.page_bytes_max == found

    @pytest.mark.parametrize(
        ("zygote", "abis", "bits"),
        [
            ("zygote64_32", "arm64-v8a,armeabi-v7a,armeabi", 64),
            ("zygote64", "arm64-v8a", 64),
            ("zygote32_64", "arm64-v8a,armeabi-v7a", 64),
            ("zygote32", "armeabi-v7a,armeabi", 32),
            ("zygote32", "arm64-v8a,armeabi-v7a", 32),
            ("", "arm64-v8a,armeabi-v7a", 64),
            ("zygote64_32", "armeabi-v7a", 32),
        ],
    )
    def test_zygote_and_abis(self, zygote: str, abis: str, bits: int) -> None:
        found = snapshot(getprop=props(ro__zygote=zygote, ro__product__cpu__abilist=abis))
        assert found.android is not None and found.android.bits == bits
        stated = {"zygote32": 32, "zygote64_32": 64}.get(zygote)
        disagree = stated is not None and stated != (64 if "64" in abis else 32)
        assert ("android.bits" in {d.field for d in found.disagreements}) is disagree

    def test_before_android_5(self) -> None:
        found = snapshot(getprop=props(ro__build__version__sdk="19"))
        assert found.android is not None and found.android.bits == 32

    def test_nothing_is_no_android(self) -> None:
        assert snapshot().android is None


class TestSoc:
    """`build_*` is what `android.os.Build` tells apps, which is not how a table calls the maker."""

    @pytest.mark.parametrize(
        ("sdk", "maker", "model", "built"),
        [
            ("34", "QTI", "SM8650", ("QTI", "SM8650")),
            ("31", "QTI", "SM8650", ("QTI", "SM8650")),
            ("30", "QTI", "SM8650", (None, None)),
            ("34", "Nobody", "XY-1", ("Nobody", "XY-1")),
            ("34", "", "", (None, None)),
        ],
    )
    def test_what_build_says(
        self, sdk: str, maker: str, model: str, built: tuple[str | None, str | None]
    ) -> None:
        stated = props(
            ro__build__version__sdk=sdk, ro__soc__manufacturer=maker, ro__soc__model=model,
            ro__board__platform="pineapple",
        )  # fmt: skip
        soc = snapshot(getprop=stated).soc
        assert (soc.build_manufacturer, soc.build_model) == built
        assert soc.manufacturer == ("Nobody" if maker == "Nobody" and not soc.name else "Qualcomm")


LISTED = "# file: /vendor/etc/public.libraries.txt\nlibOpenCL.so\n"
FILE = "-rw-r--r-- 1 root root u:object_r:{label}:s0 4 2009-01-01 00:00 /vendor/{lib}/libOpenCL.so\n#\n"
PACKAGE = (
    "Package [com.x]:\n    targetSdk={sdk}\n    usesOptionalNativeLibraries:\n{libraries}    timeStamp=1\n"
)


class TestAppVisibility:
    def see(self, *, sdk: int | None = 33, bits: int = 64, **commands: str) -> AppVisibility:
        abis = "arm64-v8a,armeabi-v7a" if bits == 64 else "armeabi-v7a"
        values = {"ro__product__cpu__abilist": abis}
        if sdk is not None:
            values["ro__build__version__sdk"] = str(sdk)
        app = snapshot(getprop=props(**values), **commands).opencl.app
        assert app is not None
        return app

    def test_listed_present_and_labelled(self) -> None:
        app = self.see(
            public_libraries=LISTED, opencl_files=FILE.format(label="same_process_hal_file", lib="lib64")
        )
        assert app.visible is True
        assert app.manifest == (
            '<uses-native-library android:name="libOpenCL.so" android:required="false" />',
            '<uses-native-library android:name="libvndksupport.so" android:required="false" />',
        )

    @pytest.mark.parametrize(
        ("commands", "part"),
        [
            ({"public_libraries": "libteec.so\n"}, "no public.libraries file names"),
            ({"public_libraries": "libOpenCL.so 32\n"}, "32-bit apps only"),
            ({"public_libraries": "libOpenCL\n"}, "no public.libraries file names"),
            (
                {
                    "public_libraries": LISTED,
                    "opencl_files": FILE.format(label="same_process_hal_file", lib="lib"),
                },
                "only as /vendor/lib/libOpenCL.so",
            ),
            ({"public_libraries": LISTED, "opencl_files": "#\n"}, "no such file"),
            (
                {"public_libraries": LISTED, "opencl_files": FILE.format(label="vendor_file", lib="lib64")},
                "label vendor_file",
            ),
        ],
    )
    def test_why_not(self, commands: dict[str, str], part: str) -> None:
        app = self.see(sdk=33, bits=64, **commands)
        assert app.visible is False and part in app.because

    def test_the_engine_tries_its_next_name(self) -> None:
        listed = LISTED + "libOpenCL-pixel.so\n"
        files = FILE.format(label="same_process_hal_file", lib="lib64").replace(
            "libOpenCL.so", "libOpenCL-pixel.so"
        )
        app = self.see(public_libraries=listed, opencl_files=files)
        assert app.visible is True and app.needs_manifest[0] == "libOpenCL-pixel.so"

    @pytest.mark.parametrize(("label", "visible"), [("same_process_hal_file", True), ("vendor_file", False)])
    def test_of_a_link_the_file_counts(self, label: str, visible: bool) -> None:
        link = "lrwxrwxrwx 1 root root u:object_r:{}:s0 9 2009-01-01 00:00 /vendor/lib64/libOpenCL.so -> egl/libGLES_mali.so\n"
        other = "vendor_file" if visible else "same_process_hal_file"
        target = FILE.format(label=label, lib="lib64/egl").replace("libOpenCL.so", "libGLES_mali.so")
        assert self.see(public_libraries=LISTED, opencl_files=link.format(other) + target).visible is visible
        assert self.see(public_libraries=LISTED, opencl_files=link.format(other) + "#\n").visible is True

    def test_an_app_that_is_not_installed(self) -> None:
        found = snapshot(getprop=props(ro__build__version__sdk="33"), package="Unable to find package: com.x")
        assert any("not installed" in warning for warning in found.warnings)

    def test_files_that_are_there(self) -> None:
        text = "/vendor/lib64:\nlibOpenCL.so\nlibOpenCv.so\nlibPVROCL.so\nlibmali.so\nlibmaliggy\n"
        assert snapshot(opencl_files=text).opencl.paths == (
            "/vendor/lib64/libOpenCL.so",
            "/vendor/lib64/libPVROCL.so",
            "/vendor/lib64/libmali.so",
        )

    def test_labels_count_from_android_8_on(self) -> None:
        files = FILE.format(label="vendor_file", lib="lib64")
        assert self.see(sdk=25, public_libraries=LISTED, opencl_files=files).visible is True
        assert self.see(sdk=26, public_libraries=LISTED, opencl_files=files).visible is False

    def test_before_namespaces_the_file_decides(self) -> None:
        assert self.see(sdk=23, bits=32, opencl_files=FILE.format(label="x", lib="lib")).visible is True
        assert self.see(sdk=23, bits=32, opencl_files="#\n").visible is False
        assert self.see(sdk=23, bits=32).visible is None

    def test_unknown_is_not_no(self) -> None:
        assert self.see().visible is None
        assert self.see(public_libraries=LISTED).visible is True

    def test_nothing_to_declare_before_android_12(self) -> None:
        assert self.see(sdk=30, public_libraries=LISTED).needs_manifest == ()

    @pytest.mark.parametrize(
        ("sdk", "libraries", "visible", "missing"),
        [
            (34, "      libOpenCL.so\n      libvndksupport.so\n", True, ()),
            (34, "      libOpenCL.so\n", True, ("libvndksupport.so",)),
            (34, "      libother.so\n", False, ("libOpenCL.so", "libvndksupport.so")),
            (30, "", True, ()),
        ],
    )
    def test_an_app(self, sdk: int, libraries: str, visible: bool, missing: tuple[str, ...]) -> None:
        text = PACKAGE.format(sdk=sdk, libraries=libraries)
        app = self.see(public_libraries=LISTED, package=text)
        assert (app.visible, app.needs_manifest, app.package) == (visible, missing, "com.x")


# Names that drivers print or will print, beyond those recorded: rules, not lists.
@pytest.mark.parametrize(
    ("text", "vendor", "model", "architecture", "cores"),
    [
        ("Adreno (TM) 840", "Qualcomm", "Adreno 840", "Adreno 8xx", None),
        ("QUALCOMM Adreno(TM) OpenCL 3.0 Adreno(TM) 750", "Qualcomm", "Adreno 750", "Adreno 7xx", None),
        ("Adreno (TM) 619L", "Qualcomm", "Adreno 619L", "Adreno 6xx", None),
        ("Adreno X1-85", "Qualcomm", "Adreno X1-85", "Adreno X", None),
        ("Turnip Adreno (TM) 650", "Qualcomm", "Adreno 650", "Adreno 6xx", None),
        ("Mali-G720-Immortalis MC12", "Arm", "Immortalis-G720", "Arm 5th Gen", 12),
        ("Mali-G925-Immortalis MC12 r0p1", "Arm", "Immortalis-G925", "Arm 5th Gen", 12),
        ("Immortalis-G715 MC11", "Arm", "Immortalis-G715", "Valhall", 11),
        ("Mali-G57 MC2", "Arm", "Mali-G57", "Valhall", 2),
        ("Mali-G78AE", "Arm", "Mali-G78AE", "Valhall", None),
        ("Mali G1-Ultra MC12", "Arm", "Mali G1-Ultra", "Arm 5th Gen", 12),
        ("Mali-G1-Premium MC6", "Arm", "Mali G1-Premium", "Arm 5th Gen", 6),
        ("Mali-T820", "Arm", "Mali-T820", "Midgard", None),
        ("Mali-450 MP4", "Arm", "Mali-450", "Utgard", 4),
        ("PowerVR Rogue GE8320", "Imagination", "PowerVR GE8320", "Rogue", None),
        ("PowerVR B-Series BXM-8-256", "Imagination", "PowerVR BXM-8-256", "PowerVR B-Series", None),
        ("PowerVR D-Series DXT-48-1536 MC1", "Imagination", "PowerVR DXT-48-1536", "PowerVR D-Series", 1),
        ("PowerVR C-Series CXTP-48-1536", "Imagination", "PowerVR CXTP-48-1536", "PowerVR C-Series", None),
        ("PowerVR SGX 544MP2", "Imagination", "PowerVR SGX544", "SGX", 2),
        ("ANGLE (Samsung Xclipse 940) on Vulkan 1.3.231", "Samsung", "Xclipse 940", "RDNA3", None),
        ("Samsung Xclipse 540", "Samsung", "Xclipse 540", "RDNA3", None),
        ("Maleoon 920", "HiSilicon", "Maleoon 920", "Maleoon", None),
        ("V3D 7.1.7.0", "Broadcom", "VideoCore VII", "VideoCore VII", None),
        ("Vivante GC7000UL", "Vivante", "GC7000UL", "Vivante", None),
        ("NVIDIA Tegra X1 (nvgpu)/integrated", "NVIDIA", "Tegra X1", "Maxwell", None),
        ("NVIDIA GeForce RTX 3080 Laptop GPU/PCIe/SSE2", "NVIDIA", "NVIDIA GeForce RTX 3080", None, None),
        ("Mesa Intel(R) UHD Graphics 605 (GLK 3)", "Intel", "Intel UHD Graphics 605", None, None),
        ("AMD Radeon RX 480 Graphics", "AMD", "AMD Radeon RX 480", None, None),
        ("Apple M2 Pro", "Apple", "Apple M2 Pro GPU", "Apple", None),
    ],
)
def test_gpu_names(text: str, vendor: str, model: str, architecture: str | None, cores: int | None) -> None:
    said = identify(TABLES.gpus, text)
    assert said is not None
    assert (said.vendor, said.model, said.architecture, said.cores) == (vendor, model, architecture, cores)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (LLVM 10.0.0) (0xC0DE)), SwiftShader)",
            "SwiftShader",
        ),
        ("Gallium 0.4 on llvmpipe (LLVM 3.7, 256 bits)", "llvmpipe"),
        ("pthread-haswell-Intel(R) Core(TM) i7 Portable Computing Language", "PoCL"),
    ],
)
def test_software_renderers(text: str, name: str) -> None:
    said = identify(TABLES.gpus, text)
    assert said is not None and said.software and said.model == name


@pytest.mark.parametrize(
    ("product", "cores", "model"),
    [
        (0x7093, 1, "Mali-G31"),
        (0xA867, 4, "Mali-G610"),
        (0x0A080607, 4, "Mali-G610"),
        (0x0860, 2, "Mali-T860"),
        (0xB8A2, 11, "Immortalis-G715"),
        (0xB8A2, 7, "Mali-G715"),
        (0xB8A2, None, None),  # three products share the id: cores decide
        (0x1234, 1, None),
        (0xFFFFFFFFFF, 1, None),
    ],
)
def test_mali_product_ids(product: int, cores: int | None, model: str | None) -> None:
    assert mali_model(TABLES.gpus, product, cores) == model


def test_every_gpu_in_the_table_of_socs_is_known() -> None:
    """The SoC table names GPUs as the rules do, each with its architecture."""
    for soc in TABLES.socs.rows:
        if soc.gpu.model:
            said = identify(TABLES.gpus, soc.gpu.model)
            assert said is not None and said.model == soc.gpu.model, soc.name
            assert said.architecture or said.model == "Tegra", soc.name


def test_every_core_in_the_table_of_socs_is_known() -> None:
    names = {core.name for core in TABLES.cores.values()}
    unknown = {cluster.core for soc in TABLES.socs.rows for cluster in soc.cpu} - names
    assert unknown == set()


@pytest.mark.parametrize(
    ("driver", "kind", "version"),
    [
        ("OpenCL 3.0 QUALCOMM build: 0 Compiler E031.47.12.03.00", "compiler", (47, 12, 3, 0)),
        ("OpenCL 2.0 v1.r26p0-01eac0.455662e5", "ddk", (26, 0, 1, 0)),
        ("OpenCL 1.2 v1.r14p0-01rel0-git(a79caef).004e51a1", "ddk", (14, 0, 1, 0)),
        ("OpenCL 3.0 v1.g12p0-01eac0.47b8540b", "ddk", (12, 0, 1, 0)),
    ],
)
def test_driver_versions_compare(driver: str, kind: str, version: tuple[int, ...]) -> None:
    name = "Adreno 750" if kind == "compiler" else "Mali-G57"
    device = {"CL_DEVICE_NAME": name, "CL_DEVICE_VERSION": driver, "CL_DRIVER_VERSION": driver}
    gpu = snapshot({"probe": {"opencl": {"device": device}}}).gpu
    assert (gpu.driver_kind, gpu.driver_version) == (kind, version)


class TestAgent:
    def test_opencl(self) -> None:
        probe = {
            "opencl": {
                "attempts": [{"name": "libOpenCL.so", "route": "dlopen", "opened": True, "error": None}],
                "library": "libOpenCL.so",
                "route": "dlopen",
                "error": None,
                "platform": {"CL_PLATFORM_NAME": "ARM Platform"},
                "device": {
                    "CL_DEVICE_NAME": "Mali-G57 MC2 r0p1",
                    "CL_DEVICE_TYPE": ["gpu"],
                    "CL_DEVICE_EXTENSIONS": "cl_khr_fp16 cl_arm_integer_dot_product_int8",
                    "CL_DEVICE_MAX_COMPUTE_UNITS": 2,
                    "CL_DEVICE_MAX_MEM_ALLOC_SIZE": 1 << 62,
                    "CL_DEVICE_HALF_FP_CONFIG": {"error": "CL_INVALID_VALUE (-30)"},
                    "CL_DEVICE_LOCAL_MEM_SIZE": {"error": "CL_INVALID_VALUE (-30)"},
                },
            }
        }
        sections = {
            "system": {"opencl": {"attempts": [{"name": "libOpenCL.so", "route": "dlopen", "opened": False}]}}
        }
        found = snapshot({"probe": probe, "sections": sections})
        cl = found.opencl
        assert (cl.present, cl.fp16, cl.integer_dot, cl.local_mem_bytes) == (True, True, True, None)
        assert (found.gpu.model, found.gpu.cores) == ("Mali-G57", 2)
        assert found.warnings == ("libOpenCL.so opens in [unrestricted] but not in [system]",)

    def test_no_library(self) -> None:
        probe: dict[str, Any] = {
            "opencl": {"attempts": [], "library": None, "error": "no library opened", "device": None}
        }
        assert snapshot({"probe": probe}).opencl.present is False

    def test_a_crash_is_not_an_absence(self) -> None:
        probe = {
            "opencl": {"error": "killed by signal 11", "crashed": True},
            "vulkan": {"error": "x", "crashed": True},
        }
        found = snapshot({"probe": probe})
        assert (found.opencl.present, found.opencl.error) == (None, "killed by signal 11")
        assert found.vulkan.present is None

    def test_vulkan_chooses_the_gpu(self) -> None:
        def device(name: str, kind: int) -> dict[str, Any]:
            return {
                "VkPhysicalDeviceProperties": {"deviceName": name, "deviceType": kind, "apiVersion": 4206592}
            }

        found = snapshot({"probe": {"vulkan": {"devices": [device("lavapipe", 4), device("Mali-G57", 1)]}}})
        assert (found.vulkan.device, found.vulkan.api_version) == ("Mali-G57", "1.3.0")

    @pytest.mark.parametrize("probe", [None, 3, [], {"opencl": 3}, {"vulkan": {"devices": [3]}}, {"cpu": []}])
    def test_malformed(self, probe: Any) -> None:
        assert snapshot({"probe": probe, "sections": [1]}).opencl.present is None


class TestEmulators:
    @pytest.mark.parametrize(
        ("commands", "kind"),
        [
            ({"getprop": props(ro__hardware="ranchu")}, "emulator: Android Emulator"),
            ({"getprop": props(ro__hardware="redroid")}, "cloud phone: redroid"),
            ({"getprop": props(ro__hardware="cutf_cvm")}, "virtual machine: Cuttlefish"),
            ({"getprop": props(ro__product__model="WayDroid x86_64 Device")}, "container: Waydroid"),
            (
                {
                    "uname": "Linux x86_64",
                    "surfaceflinger": "GLES: Qualcomm, Adreno (TM) 740, OpenGL ES 3.2 V@0690.0",
                },
                "emulator: an x86 machine claiming a phone's GPU",
            ),
            (
                {"surfaceflinger": "GLES: Qualcomm, Adreno (TM) 540, OpenGL ES 3.1 (4.5.0 NVIDIA 385.12)"},
                "emulator: a desktop GL behind a phone's GPU name",
            ),
            (
                {
                    "cpuinfo": "processor: 0\nvendor_id: AuthenticAMD\nmodel name: AMD Ryzen 5 3600 6-Core Processor\n"
                },
                "PC: a PC's processor",
            ),
        ],
    )
    def test_what_it_really_is(self, commands: dict[str, str], kind: str) -> None:
        found = snapshot(**commands).identity
        assert (found.emulator, found.emulator_kind) == (True, kind)

    @pytest.mark.parametrize(
        "commands",
        [
            {
                "uname": "Linux aarch64",
                "surfaceflinger": "GLES: ARM, Mali-T830, OpenGL ES 3.2 v1.r22p0-01rel0.7da",
            },
            {"uname": "Linux i686", "surfaceflinger": "GLES: ARM, Mali-450 MP4, OpenGL ES 2.0"},
            {
                "surfaceflinger": "GLES: Qualcomm, Adreno (TM) 740, OpenGL ES 3.2 V@0690.0 (GIT@99, I8, 16) (Date:12)"
            },
            {"getprop": props(ro__hardware="qcom", ro__kernel__qemu="0")},
        ],
    )
    def test_phones(self, commands: dict[str, str]) -> None:
        assert snapshot(**commands).identity.emulator is False

    def test_nothing_known(self) -> None:
        assert snapshot(meminfo="MemTotal: 1 kB").identity.emulator is None

    def test_this_computer_is_no_emulator(self) -> None:
        text = "processor: 0\nvendor_id: AuthenticAMD\nmodel name: AMD Ryzen 5 3600\n"
        assert read(Capture("local", {}, {"cpuinfo": Answer(0, text)})).identity.emulator is None


NAMES = ("libOpenCL.so", "libGLES_mali.so", "libOpenCL-pixel.so", "libOpenCL-car.so")
NOT_FOUND = 'dlopen failed: library "{}" not found'
SILENT = "android_load_sphal_library returned no handle and gave no reason (it goes to the phone's log)"
CLOSED = 'dlopen failed: library "libvndksupport.so" not found'
NAMESPACE = (
    'dlopen failed: library "/vendor/lib64/libOpenCL.so" needed or dlopened by "/data/local/tmp/x" is not '
    'accessible for the namespace "(default)"'
)
NEEDS = 'dlopen failed: library "libc++_shared.so" not found: needed by libOpenCL.so in namespace sphal'


class TestWhyNoOpenCl:
    """Of the eight attempts on a phone, the one whose reason tells most."""

    def why(self, **said: str) -> str:
        """What is said of a phone where every attempt failed; by default its name is not found, and the other
        route is silent, as on Android 14."""
        rows = []
        for name in NAMES:
            for route in ("dlopen", "sphal"):
                key = f"{name.removeprefix('lib').removesuffix('.so').replace('-', '_')}_{route}"
                usual = SILENT if route == "sphal" else NOT_FOUND.format(name)
                rows.append(
                    {
                        "name": name,
                        "route": route,
                        "opened": False,
                        "error": said.get(key, said.get(route, usual)),
                    }
                )
        part = {"attempts": rows, "library": None, "error": "no OpenCL library could be opened (8 attempts)"}
        cl = snapshot({"probe": {"opencl": part}}).opencl
        assert cl.present is False and len(cl.attempts) == 8 and cl.error is not None
        assert cl.error.startswith("no OpenCL library could be opened in 8 attempts; ")
        return cl.error.partition("; ")[2]

    def test_android_14_without_a_driver(self) -> None:
        assert self.why() == f"libOpenCL.so: {NOT_FOUND.format('libOpenCL.so')}"

    def test_without_the_other_route(self) -> None:
        assert self.why(sphal=CLOSED) == f"libOpenCL.so: {NOT_FOUND.format('libOpenCL.so')}"

    def test_kept_from_the_process(self) -> None:
        assert self.why(OpenCL_dlopen=NAMESPACE) == f"libOpenCL.so: {NAMESPACE}"

    @pytest.mark.parametrize(
        "error",
        [
            'dlopen failed: "/vendor/lib/egl/libGLES_mali.so" is 32-bit instead of 64-bit',
            "/vendor/lib/libGLES_mali.so: wrong ELF class: ELFCLASS32",
            'dlopen failed: couldn\'t map "/vendor/lib64/libGLES_mali.so" segment 1: Permission denied',
            'dlopen failed: cannot locate symbol "x" referenced by "/vendor/lib64/libGLES_mali.so"...',
        ],
    )
    def test_a_library_that_is_there_tells_more_than_one_that_is_not(self, error: str) -> None:
        assert self.why(GLES_mali_dlopen=error) == f"libGLES_mali.so: {error}"
        assert self.why(GLES_mali_dlopen=error, OpenCL_dlopen=NAMESPACE) == f"libOpenCL.so: {NAMESPACE}"

    def test_a_library_that_it_needs_is_missing(self) -> None:
        found = self.why(OpenCL_sphal=NEEDS)
        assert found == f"libOpenCL.so by android_load_sphal_library: {NEEDS}"

    def test_glibc_and_older_agents(self) -> None:
        missing = "libOpenCL.so: cannot open shared object file: No such file or directory"
        assert self.why(OpenCL_dlopen=missing, sphal="no reason given") == f"libOpenCL.so: {missing}"
        assert self.why(dlopen="", sphal="") == "libOpenCL.so: no reason was given"

    def test_what_opened_keeps_the_agents_own_error(self) -> None:
        rows = [
            {"name": "libOpenCL.so", "route": "dlopen", "opened": False, "error": "x"},
            {"name": "libOpenCL.so", "route": "sphal", "opened": True, "error": None},
        ]
        part = {"attempts": rows, "library": "libOpenCL.so", "error": "no OpenCL platform"}
        assert snapshot({"probe": {"opencl": part}}).opencl.error == "no OpenCL platform"

    def test_other_sections_have_no_say(self) -> None:
        row = {"name": "libOpenCL.so", "route": "dlopen", "opened": False, "error": NAMESPACE}
        sections = {"system": {"opencl": {"attempts": [row, row]}}}
        part: dict[str, Any] = {"attempts": [], "library": None, "error": "the agent's words"}
        found = snapshot({"probe": {"opencl": part}, "sections": sections}).opencl
        assert found.error == "the agent's words"
