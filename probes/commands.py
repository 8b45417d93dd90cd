"""The questions of a probe: capture key -> script, deadline, limit. A probe is rows of this table.

Scripts are constant POSIX sh that uses nothing but a shell, toybox and Android's own services, and that
old phones take too (toolbox, mksh, no grep -o, no sed): what a phone does not have answers with nothing or
with a complaint, which `answers.py` tells apart. stderr is kept where a complaint is the answer. All of them
travel in one request where the adb daemon takes one of that size (see batch.py).
"""

from __future__ import annotations

import re

from ..base import limits
from ..base.errors import UsageError
from .target import Command

_PUBLIC_LIBRARIES = """\
for f in /vendor/etc/public.libraries.txt /odm/etc/public.libraries.txt /system/etc/public.libraries.txt \
/system/etc/public.libraries-*.txt /system_ext/etc/public.libraries-*.txt /product/etc/public.libraries-*.txt
do [ -e "$f" ] && echo "# file: $f" && cat "$f" 2>&1 && echo
done; true"""

# Every folder from which the engine's names could be opened, and the vendors' own names of the same library,
# which shows a driver that is there but not under a name that the engine tries. The folder stands above each,
# as `ls` of Android 5 prints none. `#` ends the list, so that nothing found differs from nothing asked.
_OPENCL_FILES = """\
for d in /vendor /odm /system /system/vendor; do for l in lib64 lib; do
for n in libOpenCL libGLES_mali libOpenCL-pixel libOpenCL-car libPVROCL libmali egl/libGLES_mali hw/libOpenCL
do p=$d/$l/$n.so; [ -e $p ] || continue
echo "${p%/*}:"; ls -lZ $p 2>/dev/null || ls -Z $p 2>/dev/null || ls -l $p
done; done; done; echo "#\""""

# `read` is the shell's own: a process per file would cost seconds on a phone of ten cores.
_CPU_TOPOLOGY = """\
c=/sys/devices/system/cpu
for f in $c/present $c/possible $c/online $c/cpu[0-9]*/cpufreq/cpuinfo_max_freq \
$c/cpu[0-9]*/cpufreq/scaling_max_freq $c/cpu[0-9]*/cpufreq/scaling_governor \
$c/cpu[0-9]*/cpufreq/related_cpus \
$c/cpu[0-9]*/topology/physical_package_id $c/cpu[0-9]*/regs/identification/midr_el1 \
$c/cpufreq/policy[0-9]*/cpuinfo_max_freq $c/cpufreq/policy[0-9]*/related_cpus \
/sys/devices/soc0/machine /sys/devices/soc0/soc_id /sys/devices/soc0/family \
/sys/class/kgsl/kgsl-3d0/max_gpuclk /sys/class/kgsl/kgsl-3d0/devfreq/max_freq
do v=; { read -r v <$f; } 2>/dev/null; [ "$v" ] && echo "$f:$v"
done; true"""

# Each often unreadable; the shell's own `read` needs no tool, and only the first line is wanted.
_LOAD = """\
for f in /proc/loadavg /proc/pressure/cpu
do v=; { read -r v <$f; } 2>/dev/null; [ "$v" ] && echo "$f:$v"
done; true"""

_MALI_GPUINFO = """\
for f in /sys/class/misc/mali0/device/gpuinfo /sys/devices/platform/*.mali/gpuinfo /sys/devices/*.mali/gpuinfo
do [ -e "$f" ] && exec cat "$f" 2>&1
done; exit 127"""

# Of dumps of 20 KB to 2 MB (a layer, a wake lock each) the lines that are read (parsers/gles.py, state.py),
# and the first three, where a complaint stands. By the shell's own means: old phones have no grep, and the
# apps whose names stand in a dump decide what a pattern finds anywhere in a line. `read` makes 2 MB a matter
# of 1 to 3 s. $n is as long as the lines printed so far.
_SURFACEFLINGER = """\
dumpsys SurfaceFlinger 2>&1 | { n= p= o=
while IFS= read -r l || [ "$l" ]
do case $l in
"GLES: "*) for m in "$o" "$p"; do case $m in "EGL implementation"*) echo "$m";; esac; done; echo "$l"; l= p=;;
*) [ ${#n} -lt 3 ] && echo "$l";;
esac
o=$p p=$l n=.$n
done; }"""

# Screen, battery saver and keyguard. `read -r` without IFS= takes the indentation off, which differs between
# releases.
_POWER = """\
for d in power "window policy"
do dumpsys $d 2>&1 | { n=
while read -r l || [ "$l" ]
do case $l in mWakefulness=*|"Display Power: state="*|mLowPowerModeEnabled=*|\
mSettingBatterySaverEnabled=*|"Battery Saver is currently: "*|\
showing=*|mIsShowing=*|mShowingLockscreen=*) ;;
*) [ ${#n} -lt 3 ] || continue;; esac
n=.$n; echo "$l"
done; }
done"""

# Short settings and properties that speak of power, without those that name apps, files or people. Which of
# them caps the clocks is in profiles/powermodes.yaml: an old recording can be read with newer rows. `#`: this
# place was read. `content` starts a Java machine, some 1 s each; on the releases that need it no row is in
# `secure`.
_POWER_MODES = """\
p() {
c=
while read -r l || [ "$l" ]
do case $l in *=*|\\[*) c=1;; esac
case $l in \\[ro.*|\\[init.*|*[/@]*|*com.*) ;;
*[Pp][Oo][Ww][Ee][Rr]*|*[Ss]aver*|*[Pp]erf*|*SmartMode*|*psm_*|*battery_use*)
[ ${#l} -lt 80 ] && echo "$1:$l";; esac
done
[ $c ] && echo "$1:#"
}
getprop 2>&1 | p prop
if [ -e /system/bin/cmd ]
then for n in system global secure; do settings list $n 2>&1 | p $n; done
else for n in system global; do content query --uri content://settings/$n --projection name:value 2>&1 | p $n;
done fi; true"""

# Android's own language model, an alternative that people ask about; older releases cannot have it, and `pm`
# costs a second there.
_AICORE = """\
p=com.google.android.aicore
[ "$(getprop ro.build.version.sdk)" -ge 34 ] 2>/dev/null || exit 0
l=$(pm list packages $p 2>/dev/null) || exit 0
for l in $l; do [ "$l" = "package:$p" ] && echo "$l"; done
echo "#\""""

# What there is to work with (shell.py says what is relied on): for whoever reads a recording of a phone on
# which something went wrong.
_TOOLS = """\
echo "shell ${KSH_VERSION:-${BASH_VERSION:-unknown}}"
echo "groups ${own_groups:-unknown}"
v=$(toybox --version 2>/dev/null) && echo "toybox $v"
for c in toybox toolbox setsid timeout sleep head dd printf tr uname grep sed readlink settings svc
do command -v $c >/dev/null 2>&1 && echo "has $c"
done; true"""

COMMANDS: tuple[Command, ...] = (
    Command("getprop", "getprop 2>&1"),
    Command("tools", _TOOLS, 5.0, 4 << 10),
    Command("cpuinfo", "cat /proc/cpuinfo 2>&1", 5.0, 256 << 10),
    Command("meminfo", "cat /proc/meminfo 2>&1", 5.0, 64 << 10),
    Command("uname", "uname -srvm 2>&1", 5.0, 4 << 10),
    Command("cpu_topology", _CPU_TOPOLOGY, 10.0, 256 << 10),
    # First of those that a system service answers, as the quickest: it tells whether they answer at all.
    Command("battery", "dumpsys battery 2>&1", 4.0, 64 << 10, binder=True),
    Command("power", _POWER, 6.0, 32 << 10, binder=True),
    Command("power_modes", _POWER_MODES, 10.0, 32 << 10, binder=True),
    Command("thermal", "dumpsys thermalservice 2>&1", 5.0, 256 << 10, binder=True),
    Command("surfaceflinger", _SURFACEFLINGER, 15.0, 256 << 10, binder=True),
    Command("kgsl_gpu_model", "cat /sys/class/kgsl/kgsl-3d0/gpu_model 2>&1", 5.0, 4 << 10),
    Command("mali_gpuinfo", _MALI_GPUINFO, 5.0, 16 << 10),
    Command("public_libraries", _PUBLIC_LIBRARIES, 5.0, 256 << 10),
    Command("opencl_files", _OPENCL_FILES, 10.0, 64 << 10),
    Command("features", "pm list features 2>&1", 15.0, 256 << 10, binder=True),
    Command("aicore", _AICORE, 10.0, 4 << 10, binder=True),
    Command("load", _LOAD, 5.0, 4 << 10),
    Command("storage", 'df /data 2>/dev/null || df -k "$HOME" 2>&1', 5.0, 16 << 10),
)

VKJSON = Command("vkjson", "cmd gpu vkjson 2>&1", 20.0, 4 << 20, binder=True)
"""Not asked with the others: it loads the Vulkan driver in a process of the system, which is reported to
restart some phones (profiles/drivers.yaml). `collect.py` asks it where nothing else can tell."""

_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+\Z")


def commands(package: str | None = None) -> tuple[Command, ...]:
    """The questions; with `package`, also what the system knows about that app.

    Raises UsageError for a name that is no package name: it goes into a shell script.
    """
    if package is None:
        return COMMANDS
    if len(package) > limits.NAME_CHARS or not _PACKAGE.match(package):
        raise UsageError(
            f"not an Android package name: {package[: limits.QUOTE_CHARS]!r}",
            hint="it looks like com.example.app",
        )
    # The block of the package, without the resolver tables before it.
    script = f"dumpsys package {package} 2>&1 | {{ sed -n '/Package \\[/,$p' 2>/dev/null || cat; }}"
    return (*COMMANDS, Command("package", script, 15.0, binder=True))
