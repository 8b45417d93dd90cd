"""The parsers of device answers: what devices say, in the forms that break naive parsers."""

from __future__ import annotations

import pytest

from gemmafit.probes.parsers.adb_devices import parse_adb_devices
from gemmafit.probes.parsers.clinfo import parse_clinfo
from gemmafit.probes.parsers.dumpsys import (
    parse_battery,
    parse_df,
    parse_features,
    parse_package,
    parse_thermal_status,
)
from gemmafit.probes.parsers.gles import GlesStrings, parse_gles
from gemmafit.probes.parsers.gpu_nodes import parse_kgsl_model, parse_mali_gpuinfo
from gemmafit.probes.parsers.libraries import FileEntry, PublicLibrary, parse_ls, parse_public_libraries
from gemmafit.probes.parsers.proc import Busy, parse_cpuinfo, parse_load, parse_meminfo
from gemmafit.probes.parsers.properties import parse_build_prop, parse_getprop
from gemmafit.probes.parsers.sysfs import parse_cpu_list, parse_cpu_topology
from gemmafit.probes.parsers.text import ParseError, number
from gemmafit.probes.parsers.versions import parse_cl_version, parse_vulkan_version, vulkan_version
from gemmafit.probes.parsers.vulkan import parse_vkjson, structure_name


class TestGetprop:
    def test_brackets_and_several_lines(self) -> None:
        text = (
            "[ro.boot.ddrsize.range]: [[2048,)]\n"
            "[persist.note]: [first\nsecond]\n[not.an]: entry\nlast]\n"
            "[empty]: []\r\n"
            "[ro.zygote]: [zygote64_32]\n"
        )
        assert parse_getprop(text) == {
            "ro.boot.ddrsize.range": "[2048,)",
            "persist.note": "first\nsecond]\n[not.an]: entry\nlast",
            "empty": "",
            "ro.zygote": "zygote64_32",
        }

    def test_an_unclosed_value_does_not_swallow_the_rest(self) -> None:
        lost = "[a]: [" + "x\n" * 4000
        assert parse_getprop(lost + "[b]: [1]\n")["b"] == "1"

    def test_no_entry(self) -> None:
        with pytest.raises(ParseError):
            parse_getprop("error: device offline")

    def test_build_prop(self) -> None:
        text = "# comment\nimport /x\n a = b = c \nro.default?=1\na=2\n"
        assert parse_build_prop(text) == {"a": "b = c", "ro.default": "1"}


class TestCpuinfo:
    def test_identification_for_each(self) -> None:
        text = (
            "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x41\nCPU part\t: 0xd05\n\n"
            "processor\t: 4\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x53\nCPU variant\t: 0x4\n"
            "CPU part\t: 0x001\n\nHardware\t: Qualcomm Technologies, Inc SM8350\n"
        )
        info = parse_cpuinfo(text)
        assert [(p.number, p.implementer, p.part) for p in info.processors] == [
            (0, 0x41, 0xD05),
            (4, 0x53, 1),
        ]
        assert info.processors[1].variant == 4
        assert "asimddp" in info.processors[0].features
        assert info.hardware == "Qualcomm Technologies, Inc SM8350"
        assert not info.shared

    @pytest.mark.parametrize("blank", ["\n", ""])
    def test_one_identification_for_all(self, blank: str) -> None:
        text = (
            "Processor\t: AArch64 Processor rev 3 (aarch64)\nprocessor\t: 0\nprocessor\t: 1\n"
            f"{blank}Features\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n\nHardware\t: hi6210sft\n"
        )
        info = parse_cpuinfo(text)
        assert info.shared
        assert [(p.number, p.part) for p in info.processors] == [(0, 0xD03), (1, 0xD03)]

    def test_x86(self) -> None:
        info = parse_cpuinfo(
            "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Atom\nflags\t: sse lm\n"
        )
        assert info.x86 and info.processors[0].model_name == "Atom" and "lm" in info.processors[0].features

    @pytest.mark.parametrize("text", ["", "cat: /proc/cpuinfo: No such file", "processor: many"])
    def test_no_processor(self, text: str) -> None:
        with pytest.raises(ParseError):
            parse_cpuinfo(text)


def test_meminfo() -> None:
    values = parse_meminfo(
        "  MemTotal:   7656764 kB\nHugePages_Total:    3\nMemFree: x kB\nActive(anon): 1 kB\n"
    )
    assert values == {"MemTotal": 7656764 * 1024, "HugePages_Total": 3, "Active(anon)": 1024}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/proc/loadavg:11.20 9.00 8.10 5/900 321\n", Busy(11.2)),
        (
            "/proc/loadavg:0.15 0.53 0.33 3/92 1\r\n"
            "/proc/pressure/cpu:some avg10=12.50 avg60=1.2 avg300=2 total=19506250\n",
            Busy(0.15, 12.5),
        ),
        ("/proc/pressure/cpu:some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", Busy(None, 0.0)),
    ],
)
def test_load(text: str, found: Busy) -> None:
    assert parse_load(text) == found


@pytest.mark.parametrize(
    "text", ["", "x", "/proc/loadavg:high", "/proc/loadavg:1e999 ", "/proc/loadavg:-1.0 "]
)
def test_load_that_is_none(text: str) -> None:
    with pytest.raises(ParseError):
        parse_load(text)


class TestTopology:
    @pytest.mark.parametrize(
        ("text", "cpus"),
        [("0-3,6", (0, 1, 2, 3, 6)), ("0 1 2", (0, 1, 2)), ("", ()), ("5", (5,)), ("0,4-7", (0, 4, 5, 6, 7))],
    )
    def test_list(self, text: str, cpus: tuple[int, ...]) -> None:
        assert parse_cpu_list(text) == cpus

    @pytest.mark.parametrize("text", ["3-1", "x", "0-", "-1", "0-99999999", "1-2-3"])
    def test_no_list(self, text: str) -> None:
        with pytest.raises(ParseError):
            parse_cpu_list(text)

    def test_sleeping_cores_get_their_domains_frequency(self) -> None:
        base = "/sys/devices/system/cpu"
        topology = parse_cpu_topology(
            f"{base}/present:0-3\n{base}/cpu0/cpufreq/cpuinfo_max_freq:1800000\n"
            f"{base}/cpu0/cpufreq/related_cpus:0 1\n{base}/cpufreq/policy2/cpuinfo_max_freq:2400000\n"
            f"{base}/cpufreq/policy2/related_cpus:2 3\n{base}/cpu0/cpufreq/scaling_max_freq:1200000\n"
            f"{base}/cpu3/regs/identification/midr_el1:0x00000000411fd050\n"
        )
        assert topology.present == (0, 1, 2, 3)
        assert topology.max_khz == {0: 1800000, 1: 1800000, 2: 2400000, 3: 2400000}
        assert topology.cap_khz == {0: 1200000, 1: 1200000}
        assert topology.midr == {3: 0x411FD050}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "GLES: VMware, Inc., Gallium 0.4 on llvmpipe (LLVM 3.7, 256 bits), OpenGL ES 3.0 Mesa 13.0.3",
            ("VMware, Inc.", "Gallium 0.4 on llvmpipe (LLVM 3.7, 256 bits)", "OpenGL ES 3.0 Mesa 13.0.3"),
        ),
        (
            "GLES: Samsung Electronics Co., Ltd., ANGLE (Samsung Xclipse 940) on Vulkan 1.3.231, OpenGL ES 3.2 x",
            (
                "Samsung Electronics Co., Ltd.",
                "ANGLE (Samsung Xclipse 940) on Vulkan 1.3.231",
                "OpenGL ES 3.2 x",
            ),
        ),
        (
            "GLES: Google Inc. (ARM), ANGLE (ARM, Vulkan 1.3.260 (Mali-G710 (0xA8620000)), Mali-G710-46.0.0), "
            "OpenGL ES 3.2.0 (ANGLE 2.1.0 git hash: unknown hash)",
            (
                "Google Inc. (ARM)",
                "ANGLE (ARM, Vulkan 1.3.260 (Mali-G710 (0xA8620000)), Mali-G710-46.0.0)",
                "OpenGL ES 3.2.0 (ANGLE 2.1.0 git hash: unknown hash)",
            ),
        ),
        (
            "GLES: Qualcomm, Adreno (TM) 540, OpenGL ES 3.0 (OpenGL ES 3.0 (ANGLE 2.1.0.ee5ff0087fe1))",
            ("Qualcomm", "Adreno (TM) 540", "OpenGL ES 3.0 (OpenGL ES 3.0 (ANGLE 2.1.0.ee5ff0087fe1))"),
        ),
        (
            "GLES: Google, OpenGL ES 2.0 (GeForce GTX 650/PCIe/SSE2), OpenGL ES 2.0",
            ("Google", "OpenGL ES 2.0 (GeForce GTX 650/PCIe/SSE2)", "OpenGL ES 2.0"),
        ),
        (
            "GLES: Google(NVIDIA Corporation), OpenGL ES Translator(GeForce GT 750M / PCIe / SSE2), OpenGL ES 2.0",
            (
                "Google(NVIDIA Corporation)",
                "OpenGL ES Translator(GeForce GT 750M / PCIe / SSE2)",
                "OpenGL ES 2.0",
            ),
        ),
        ("GLES: , , ", (None, None, None)),
        ("GLES: ARM, Mali-T720", ("ARM", "Mali-T720", None)),
        ("GLES: (unclosed, Adreno, OpenGL ES 2.0", (None, "(unclosed, Adreno", "OpenGL ES 2.0")),
    ],
)
def test_gles(line: str, expected: tuple[str | None, str | None, str | None]) -> None:
    assert parse_gles(f"Build configuration: x\n{line}\nmore\n") == GlesStrings(*expected)


class TestLibraries:
    def test_public_libraries(self) -> None:
        text = (
            "# file: /vendor/etc/public.libraries.txt\n# a comment\nlibOpenCL.so 64 nopreload\n"
            "libneuron.so\t32  # why\nno_suffix\n\n"
            "# file: /system/etc/public.libraries-oem.txt\nlibx.oem.so\n/abs/path.so\na b c d e\n"
        )
        vendor, oem = "/vendor/etc/public.libraries.txt", "/system/etc/public.libraries-oem.txt"
        assert parse_public_libraries(text) == (
            PublicLibrary("libOpenCL.so", 64, vendor, True),
            PublicLibrary("libneuron.so", 32, vendor),
            PublicLibrary("no_suffix", None, vendor),
            PublicLibrary("libx.oem.so", None, oem),
        )

    def test_binary(self) -> None:
        with pytest.raises(ParseError):
            parse_public_libraries("\x00\x01/\x02")

    def test_ls(self) -> None:
        text = (
            "-rw-r--r-- 1 root root u:object_r:same_process_hal_file:s0 46968 2009-01-01 00:00 /vendor/lib64/libOpenCL.so\n"
            "lrwxrwxrwx 1 root root u:object_r:vendor_file:s0 21 2009-01-01 00:00 /vendor/lib/libOpenCL.so -> egl/x.so\n"
            "-rw-r--r-- root root u:object_r:system_file:s0 libtoolbox.so\n"
            "ls: /odm/lib64/libOpenCL.so: No such file or directory\ntotal 12\n#\n"
        )
        assert parse_ls(text) == (
            FileEntry("/vendor/lib64/libOpenCL.so", "u:object_r:same_process_hal_file:s0", None, 46968),
            FileEntry("/vendor/lib/libOpenCL.so", "u:object_r:vendor_file:s0", "egl/x.so", 21),
            FileEntry("libtoolbox.so", "u:object_r:system_file:s0"),
        )
        assert parse_ls(text)[0].type == "same_process_hal_file"

    def test_ls_of_folders(self) -> None:
        text = "/vendor/lib64:\nlibOpenCL.so\negl\n\n/vendor/lib:\nlibOpenCL.so\n"
        paths = [entry.path for entry in parse_ls(text)]
        assert paths == ["/vendor/lib64/libOpenCL.so", "/vendor/lib64/egl", "/vendor/lib/libOpenCL.so"]


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("Adreno630v2\n", "Adreno 630"),
        ("Adreno642Lv1", "Adreno 642L"),
        ("Adreno506v1", "Adreno 506"),
        ("Adreno (TM) 740", "Adreno 740"),
    ],
)
def test_kgsl(text: str, model: str) -> None:
    assert parse_kgsl_model(text) == model


def test_mali_gpuinfo() -> None:
    info = parse_mali_gpuinfo("Mali-G610 4 cores r0p0 0x0A080607\n")
    assert (info.name, info.cores, info.revision, info.product_id) == ("Mali-G610", 4, "r0p0", 0x0A080607)
    with pytest.raises(ParseError):
        parse_mali_gpuinfo("Mali-G610 unknown")


class TestClinfo:
    def test_human_form(self) -> None:
        info = parse_clinfo(
            "Number of platforms                               1\n"
            "  Platform Name                                   QUALCOMM Snapdragon(TM)\n"
            "  Platform Version                                OpenCL 2.0 QUALCOMM\n"
            "  Platform Extensions\n\n"
            "  Platform Name                                   QUALCOMM Snapdragon(TM)\n"
            "Number of devices                                 1\n"
            "  Device Name                                     QUALCOMM Adreno(TM)\n"
            "  Device Type                                     GPU\n"
            "  Max work item sizes                             1024x512x64\n"
            "  Max memory allocation                           998073344 (951.8MiB)\n"
            "  Image support                                   Yes\n"
        )
        assert info.count == 1 and len(info.platforms) == 1 and len(info.devices) == 1
        assert info.devices[0].properties == {
            "CL_DEVICE_NAME": "QUALCOMM Adreno(TM)",
            "CL_DEVICE_TYPE": ["gpu"],
            "CL_DEVICE_MAX_WORK_ITEM_SIZES": [1024, 512, 64],
            "CL_DEVICE_MAX_MEM_ALLOC_SIZE": 998073344,
            "CL_DEVICE_IMAGE_SUPPORT": True,
        }

    def test_two_platforms_with_a_cpu_that_claims_the_same_vendor(self) -> None:
        info = parse_clinfo(
            "Found 2 platform(s).\nplatform[0x1]: name: ARM Platform\nplatform[0x1]: vendor: ARM\n"
            "device[0x2]: NAME: Mali-G72\ndevice[0x2]: Type: GPU\ndevice[0x2]: DRIVER_VERSION: 2.0\n"
            "platform[0x3]: name: Portable Computing Language\ndevice[0x4]: NAME: pthread\ndevice[0x4]: Type: CPU\n"
        )
        assert [(d.platform, d.properties["CL_DEVICE_NAME"]) for d in info.devices] == [
            (0, "Mali-G72"),
            (1, "pthread"),
        ]
        assert info.devices[0].properties["CL_DRIVER_VERSION"] == "2.0"

    def test_none(self) -> None:
        assert parse_clinfo("Number of platforms   0\n").count == 0
        with pytest.raises(ParseError):
            parse_clinfo("clinfo: command not found")


class TestVulkan:
    def test_vkjson_with_floats_and_core_structures(self) -> None:
        text = (
            'warning: x\n{"devices": [{"properties": {"apiVersion": 4206592.0, "deviceName": "Mali-G57",'
            ' "limits": {"maxStorageBufferRange": 4.294967295e+09}},'
            ' "subgroupProperties": {"subgroupSize": 16}, "16bitStorageFeatures": {"storageBuffer16BitAccess": 1},'
            ' "core12": {"features": {"shaderFloat16": 1}},'
            ' "VK_KHR_driver_properties": {"driverPropertiesKHR": {"driverID": 9}},'
            ' "extensions": [{"extensionName": "VK_KHR_maintenance1", "specVersion": 2}], "queues": [{}]}]}'
        )
        (device,) = parse_vkjson(text)
        assert number(device["VkPhysicalDeviceProperties"]["limits"]["maxStorageBufferRange"]) == 4294967295
        assert device["VkPhysicalDeviceSubgroupProperties"] == {"subgroupSize": 16}
        assert device["VkPhysicalDevice16BitStorageFeatures"] == {"storageBuffer16BitAccess": 1}
        assert device["VkPhysicalDeviceVulkan12Features"] == {"shaderFloat16": 1}
        assert device["VkPhysicalDeviceDriverProperties"] == {"driverID": 9}
        assert device["extensions"] == {"VK_KHR_maintenance1": 2}

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            '{"devices": 3}',
            "{" * 100_000,
            '{"a": ' + "9" * 5000 + "}",
            '{"devices": ' + "[" * 99 + "]" * 99 + "}",
        ],
    )
    def test_no_vkjson(self, text: str) -> None:
        with pytest.raises(ParseError):
            parse_vkjson(text)

    @pytest.mark.parametrize("cut", range(60, 130, 7))
    def test_a_dump_without_its_end(self, cut: int) -> None:
        text = '{"devices": [{"properties": {"apiVersion": 4206592, "deviceName": "Mali, G57]", "limits": {"a": 1, "b": [1, 2]}}, "queues": [{}]}]}'
        (device,) = parse_vkjson(text[:cut])
        assert device["VkPhysicalDeviceProperties"]["apiVersion"] == 4206592
        assert device["VkPhysicalDeviceProperties"].get("limits", {}).get("a", 1) == 1

    def test_names(self) -> None:
        assert structure_name("shaderFloat16Int8FeaturesKHR") == "VkPhysicalDeviceShaderFloat16Int8Features"
        assert structure_name("VkPhysicalDeviceFeatures") == "VkPhysicalDeviceFeatures"
        assert structure_name("queues") == "queues"

    def test_versions(self) -> None:
        assert vulkan_version(4206880) == "1.3.288"
        assert parse_vulkan_version("1.3.275") == (1, 3, 275)
        assert parse_vulkan_version("1.1") == (1, 1, 0)
        with pytest.raises(ParseError):
            parse_vulkan_version("one")


def test_cl_version() -> None:
    assert parse_cl_version("OpenCL 2.0 Adreno(TM) 650") == ((2, 0), "Adreno(TM) 650")
    assert parse_cl_version("OpenCL C 3.0 ") == ((3, 0), "")
    with pytest.raises(ParseError):
        parse_cl_version("2.0")


class TestDumpsys:
    def test_battery(self) -> None:
        text = "Current Battery Service state:\n  AC powered: false\n  USB powered: true\n  level: 45\n  scale: 50\n  temperature: 273\n"
        battery = parse_battery(text)
        assert (battery.percent, battery.charging, battery.temperature_c) == (90, True, 27.3)

    @pytest.mark.parametrize("level", ["-1", "1000", "x"])
    def test_battery_beyond(self, level: str) -> None:
        assert (
            parse_battery(f"level: {level}\nscale: 100\ntemperature: 99999\nUSB powered: false\n").percent
            is None
        )

    def test_thermal(self) -> None:
        assert parse_thermal_status("IsStatusOverride: false\n  Thermal Status: 2\nCached\n") == 2
        with pytest.raises(ParseError):
            parse_thermal_status("Thermal Status: 9\n")

    def test_features(self) -> None:
        text = "feature:reqGlEsVersion=0x30002\nfeature:android.hardware.vulkan.version=4198400\nnoise\n"
        assert parse_features(text) == {"reqGlEsVersion=0x30002", "android.hardware.vulkan.version=4198400"}

    @pytest.mark.parametrize(
        ("text", "free"),
        [
            (
                "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/block/dm-5 1000 400 600 40% /data\n",
                600 << 10,
            ),
            (
                "Filesystem     1K-blocks Used Available Use% Mounted on\n/dev/block/a/very/long/name\n"
                "                    1000  400       600  40% /data\n",
                600 << 10,
            ),
            (
                "Filesystem             Size   Used   Free   Blksize\n/data                    4.0G     1.5G     2.5G   4096\n",
                5 << 29,
            ),
        ],
    )
    def test_df(self, text: str, free: int) -> None:
        assert parse_df(text) == {"/data": free}

    def test_package(self) -> None:
        package = parse_package(
            "Packages:\n  Package [com.example.app] (1234):\n    userId=10123\n    primaryCpuAbi=arm64-v8a\n"
            "    versionCode=7 minSdk=24 targetSdk=34\n    versionName=1.2\n"
            "    usesOptionalNativeLibraries:\n      libOpenCL.so\n      libvndksupport.so\n"
            "    usesLibraryFiles:\n      /system/framework/x.jar\n    timeStamp=2024\n"
            "  Package [com.other] (1):\n    targetSdk=1\n"
        )
        assert (package.name, package.target_sdk, package.abi) == ("com.example.app", 34, "arm64-v8a")
        assert package.optional == ("libOpenCL.so", "libvndksupport.so")
        assert package.native_stated

    def test_a_package_that_declares_nothing(self) -> None:
        assert parse_package("Package [a.b] (1):\n  targetSdk=34\n  timeStamp=1\n").complete
        assert not parse_package("Package [a.b] (1):\n  targetSdk=34\n").complete

    def test_no_package(self) -> None:
        with pytest.raises(ParseError):
            parse_package("Unable to find package: x")


def test_adb_devices() -> None:
    text = (
        "* daemon not running; starting now at tcp:5037\n* daemon started successfully\n"
        "List of devices attached\n"
        "R58M123\tdevice usb:1-1 product:beyond2 model:SM_G975F device:beyond2 transport_id:3\n"
        "0000000\tno permissions (missing udev rules? user is in the plugdev group); see [http://developer.android.com]\n"
        "emulator-5554          offline transport_id:1\n"
        "192.168.1.2:5555 unauthorized\n"
        "abc\trecovery\n\n"
    )
    found = parse_adb_devices(text)
    assert [(d.serial, d.state) for d in found] == [
        ("R58M123", "device"),
        ("0000000", "no permissions"),
        ("emulator-5554", "offline"),
        ("192.168.1.2:5555", "unauthorized"),
        ("abc", "recovery"),
    ]
    assert found[0].attributes["model"] == "SM_G975F"
    assert found[1].detail is not None and "missing udev rules" in found[1].detail
    with pytest.raises(ParseError):
        parse_adb_devices("adb: command not found")
