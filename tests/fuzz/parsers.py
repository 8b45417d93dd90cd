"""Mutated answers against every parser and the whole reader: only ParseError, bounded memory, bounded time.

    python tests/fuzz/parsers.py [--inputs 1000000] [--seed 1] [--corpus FOLDER]

Seeds are the samples below and, where given, the files of a folder of real answers. A failing input is
printed with the seed that makes it again. CI runs a short one (tests/probes/test_parsers_fuzz.py).
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path

from gemmafit.base.errors import InputError
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.collect import checked_probe
from gemmafit.probes.files import parse_capture
from gemmafit.probes.parsers import ParseError
from gemmafit.probes.parsers.adb_devices import parse_adb_devices
from gemmafit.probes.parsers.clinfo import parse_clinfo
from gemmafit.probes.parsers.dumpsys import (
    parse_aicore,
    parse_battery,
    parse_df,
    parse_features,
    parse_package,
    parse_thermal_status,
)
from gemmafit.probes.parsers.gles import parse_gles
from gemmafit.probes.parsers.gpu_nodes import parse_kgsl_model, parse_mali_gpuinfo
from gemmafit.probes.parsers.libraries import parse_ls, parse_public_libraries
from gemmafit.probes.parsers.proc import parse_cpuinfo, parse_load, parse_meminfo
from gemmafit.probes.parsers.properties import parse_build_prop, parse_getprop
from gemmafit.probes.parsers.state import parse_power, parse_power_modes, parse_temperatures
from gemmafit.probes.parsers.sysfs import parse_cpu_list, parse_cpu_topology, parse_path_values
from gemmafit.probes.parsers.versions import parse_cl_version, parse_vulkan_version
from gemmafit.probes.parsers.vulkan import parse_vkjson
from gemmafit.probes.read import read
from gemmafit.probes.vulkan_profile import parse_profiles

PARSERS: dict[str, Callable[[str], object]] = {
    "adb_devices": parse_adb_devices,
    "battery": parse_battery,
    "build_prop": parse_build_prop,
    "cl_version": parse_cl_version,
    "clinfo": parse_clinfo,
    "cpu_list": parse_cpu_list,
    "cpu_topology": parse_cpu_topology,
    "cpuinfo": parse_cpuinfo,
    "features": parse_features,
    "aicore": parse_aicore,
    "getprop": parse_getprop,
    "kgsl_gpu_model": parse_kgsl_model,
    "load": parse_load,
    "mali_gpuinfo": parse_mali_gpuinfo,
    "meminfo": parse_meminfo,
    "opencl_files": parse_ls,
    "package": parse_package,
    "path_values": parse_path_values,
    "power": parse_power,
    "power_modes": parse_power_modes,
    "probe": checked_probe,
    "public_libraries": parse_public_libraries,
    "storage": parse_df,
    "surfaceflinger": parse_gles,
    "temperatures": parse_temperatures,
    "thermal": parse_thermal_status,
    "vkjson": parse_vkjson,
    "vulkan_version": parse_vulkan_version,
}
FILES: dict[str, Callable[[str], object]] = {"capture": parse_capture, "vulkan_profile": parse_profiles}

SAMPLES: dict[str, str] = {
    "adb_devices": "List of devices attached\nR58\tdevice usb:1-1 model:SM_G975F transport_id:3\n0\tno permissions (x)\n",
    "battery": "  AC powered: false\n  level: 45\n  scale: 100\n  temperature: 273\n",
    "build_prop": "ro.board.platform=universal9820\nro.zygote=zygote64\n",
    "cl_version": "OpenCL 2.0 Adreno(TM) 650",
    "clinfo": "Number of platforms   1\n  Device Name    Mali\n  Max work item sizes   1x2x3\ndevice[0x1]: NAME: x\n",
    "cpu_list": "0-3,6 7",
    "cpu_topology": "/sys/devices/system/cpu/present:0-3\n/sys/devices/system/cpu/cpu0/cpufreq/related_cpus:0 1\n",
    "cpuinfo": "processor\t: 0\nFeatures\t: fp\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n\nHardware\t: MT6735\n",
    "features": "feature:reqGlEsVersion=0x30002\n",
    "aicore": "package:com.google.android.aicore\n",
    "getprop": "[ro.board.platform]: [sm8150]\n[a]: [[1,\n2)]\n[ro.product.cpu.abilist]: [arm64-v8a]\n[ro.zygote]: [zygote64]\n",
    "kgsl_gpu_model": "Adreno630v2\n",
    "mali_gpuinfo": "Mali-G610 4 cores r0p0 0x0A080607\n",
    "load": "/proc/loadavg:4.05 3.10 2.86 5/1021 12345\n/proc/pressure/cpu:some avg10=12.50 avg60=1.00 total=9\n",
    "meminfo": "MemTotal:  7656764 kB\nMemAvailable: 1 kB\n",
    "opencl_files": "-rw-r--r-- 1 root root u:object_r:vendor_file:s0 46 2009-01-01 00:00 /vendor/lib64/libOpenCL.so -> x\n",
    "package": "Package [com.x]:\n  targetSdk=34\n  usesNativeLibraries:\n    libOpenCL.so\n",
    "path_values": "/sys/devices/soc0/machine:SM8150\n",
    "power": "POWER MANAGER\nmWakefulness=Awake\nBattery Saver is currently: OFF\nshowing=true\n",
    "power_modes": "prop:[persist.x.power]: [a]\nsystem:Row: 1 name=psm_switch, value=1\nsystem:#\nglobal:low_power=0\n",
    "probe": '{"agent": "1", "opencl": {"attempts": [{"name": "x"}], "device": {"CL_DEVICE_NAME": "Mali-G57"}},'
    ' "vulkan": {"devices": [{"VkPhysicalDeviceProperties": {"apiVersion": 1, "limits": {}}}]}}',
    "public_libraries": "# file: /vendor/etc/public.libraries.txt\nlibOpenCL.so 64 nopreload\n",
    "storage": "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/x 1000 400 600 40% /data\n",
    "surfaceflinger": "EGL implementation : 1.4\nGLES: Google Inc. (ARM), ANGLE (ARM, Vulkan 1.3 (Mali-G710 (0xA862))), OpenGL ES 3.2 x\n",
    "temperatures": "Cached temperatures:\n\tTemperature{mValue=30.5, mType=3, mName=SKIN, mStatus=0}\n",
    "thermal": "Thermal Status: 2\n",
    "vkjson": '{"devices": [{"properties": {"apiVersion": 4206592.0, "limits": {"a": 1e9}}, "queues": [{}]}]}',
    "vulkan_version": "1.3.275",
    "capture": "schema: gemmafit.capture/1\nrecorded: {kind: adb}\ncommands:\n  getprop: {exit: 0, out: '[a]: [b]'}\n",
    "vulkan_profile": '{"capabilities": {"a": {"features": {"VkX": {"f": true}}}}, "profiles": {"p": {"capabilities":'
    ' ["a"], "api-version": "1.1.0"}}}',
}
TOKENS = (
    *"[]{}():,=%#\n\r\t\0\x1b\x85\u2028\ud800\uffff",
    *(
        "]: [",
        "\n[",
        ": ",
        "-1",
        "0x",
        "9" * 25,
        "1e999",
        "NaN",
        "../../x",
        "OpenGL ES 3",
        "GLES:",
        "processor\t: ",
        "&a",
        "*a",
    ),
    *(
        "!!python/x",
        "<<",
        "~",
        "'" * 3,
        '"',
        "\\u0000",
        "(" * 40,
        "[" * 40,
        "{" * 40,
        "a: " * 20,
        "Mali-",
        "Adreno (TM) ",
        " cores",
    ),
)


def mutate(rng: random.Random, text: str, other: str) -> str:
    """One to four edits: cut, repeat, splice with another sample, insert a token, change a character."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(text))
        upto = min(len(text), at + rng.randint(0, 40))
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:at] + text[upto:]
        elif kind == 1:
            text = text[:upto] + text[at:upto] * rng.choice((1, 2, 50)) + text[upto:]
        elif kind == 2:
            start = rng.randint(0, len(other))
            text = text[:at] + other[start : start + 60] + text[upto:]
        elif kind == 3:
            text = text[:at] + rng.choice(TOKENS) + text[at:]
        elif kind == 4:
            text = text[:at] + chr(rng.randrange(0x20, 0x2FF)) + text[at + 1 :]
        else:
            text = text[:at] + rng.choice(TOKENS) + text[upto:]
    return text[:20_000]


def corpus(folder: Path | None) -> dict[str, list[str]]:
    """Samples by parser, with the beginnings of real answers where there are some."""
    found = {key: [text] for key, text in SAMPLES.items()}
    kinds = {
        "getprop": "getprop",
        "cpuinfo": "proc-cpuinfo",
        "meminfo": "proc-meminfo",
        "cpu_topology": "sysfs-grep",
        "clinfo": "clinfo",
        "surfaceflinger": "dumpsys-surfaceflinger",
        "public_libraries": "public-libraries",
        "build_prop": "build-prop",
    }
    for key, part in kinds.items() if folder else ():
        assert folder is not None
        for path in sorted(folder.glob(f"*/*{part}*"))[:60]:
            found[key].append(path.read_bytes()[:3000].decode("utf-8", "replace"))
    return found


def fuzz(inputs: int, seed: int, folder: Path | None = None) -> tuple[int, float]:
    """Run; returns the number of inputs and the slowest one's seconds. Raises AssertionError on a failure."""
    samples = corpus(folder)
    everything = [text for texts in samples.values() for text in texts]
    names = [*PARSERS, *FILES]
    slowest = 0.0
    for number in range(inputs):
        rng = random.Random(f"{seed}/{number}")
        name = names[number % len(names)]
        text = mutate(rng, rng.choice(samples[name]), rng.choice(everything))
        started = time.perf_counter()
        try:
            if name in PARSERS:
                PARSERS[name](text)
            else:
                FILES[name](text)
        except ParseError:
            assert name in PARSERS, f"{name} let a ParseError out (seed {seed}/{number}): {text!r}"
        except InputError:
            assert name in FILES, f"{name} raised InputError (seed {seed}/{number}): {text!r}"
        except Exception as error:
            raise AssertionError(f"{name} raised {error!r} (seed {seed}/{number}): {text!r}") from error
        if number % 20 == 0:
            _whole(rng, samples, everything, f"{seed}/{number}")
        slowest = max(slowest, time.perf_counter() - started)
    return inputs, slowest


def _whole(rng: random.Random, samples: dict[str, list[str]], everything: list[str], label: str) -> None:
    """A capture of mutated answers through the reader, which may not raise at all."""
    commands = {
        key: Answer(0, mutate(rng, rng.choice(samples[key]), rng.choice(everything)))
        for key in rng.sample(sorted(PARSERS), 6)
    }
    try:
        agent = {"probe": checked_probe(mutate(rng, SAMPLES["probe"], rng.choice(everything)))}
    except ParseError:
        agent = {"probe": {"opencl": rng.choice([None, 3, [], {"device": []}, {"attempts": [1]}])}}
    try:
        read(Capture("assembled", {}, commands, agent))
    except Exception as error:
        raise AssertionError(f"read raised {error!r} (seed {label}): {commands!r} {agent!r}") from error


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--inputs", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--corpus", type=Path)
    chosen = options.parse_args()
    started = time.perf_counter()
    count, slowest = fuzz(chosen.inputs, chosen.seed, chosen.corpus)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count} inputs in {time.perf_counter() - started:.0f} s, slowest {slowest * 1000:.0f} ms, "
        f"peak resident memory {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main()
