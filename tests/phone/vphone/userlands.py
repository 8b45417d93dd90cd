"""The userlands a virtual phone may have: which tools its shell finds, and how they behave. A flavour is one row.

Names of tools: AOSP, external/toybox/Android.bp (Android 11 and 12) and system/core/toolbox/Android.mk (5.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = "usr/libexec/phone"
"""mksh, toybox and what is made of toolbox.c: where the names that a shell finds lead to. In no PATH."""

_GETPROP = """\
#!/system/bin/sh
if [ $# = 0 ]; then exec cat /system/etc/properties; fi
while IFS= read -r line; do
case $line in "[$1]: ["*) line=${line#*: [}; echo "${line%]}"; exit;; esac
done < /system/etc/properties
echo "$2"
"""

# dumpsys, cmd, pm, ...: what the profile says they answer, by name and arguments. `answer NAME ...` is the same.
_ANSWER = """\
#!/system/bin/sh
name="${0##*/} $*"
name="${name#answer }"
file="/system/etc/answers/${name//\\//%}"
status=0
[ -e "$file.status" ] && read -r status < "$file.status"
if [ -e "$file" ]; then cat "$file"; exit $status; fi
echo "Can't find service: $*"
exit 20
"""

# The settings of Android, kept in files; what the profile answers goes first, as on a phone that refuses.
_SETTINGS = """\
#!/system/bin/sh
name="settings $*"
[ -e "/system/etc/answers/${name//\\//%}" ] && exec answer settings "$@"
file="/run/settings/$2%$3"
case $1 in
get) value=null; [ -e "$file" ] && read -r value < "$file"; echo "$value" ;;
put) echo "$4" > "$file" ;;
delete) rm -f "$file"; echo "Deleted 1 rows" ;;
*) echo "Invalid command: $1" >&2; exit 255 ;;
esac
"""

# Bits of BatteryManager: mains 1, USB 2, wireless 4.
_SVC = """\
#!/system/bin/sh
name="svc $*"
[ -e "/system/etc/answers/${name//\\//%}" ] && exec answer svc "$@"
case "$1 $2 $3" in
"power stayon true") value=7 ;;
"power stayon false") value=0 ;;
"power stayon ac") value=1 ;;
"power stayon usb") value=2 ;;
"power stayon wireless") value=4 ;;
*) echo "usage: svc power stayon [true|false|usb|ac|wireless]" >&2; exit 1 ;;
esac
exec settings put global stay_on_while_plugged_in $value
"""

_TOOLBOX = """\
#!/system/bin/sh
if [ $# = 0 ]; then echo 'Toolbox!' >&2; exit 0; fi
tool="/system/bin/$1"
[ -e "$tool" ] || { echo "$1: no such tool" >&2; exit 255; }
shift
exec "$tool" "$@"
"""

_ANDROID = """
acpi base64 basename bc blockdev cal cat chcon chgrp chmod chown chroot chrt cksum clear cmp comm cp cpio cut date dd
devmem df diff dirname dmesg dos2unix du echo egrep env expand expr fallocate false fgrep file find flock fmt free
fsync getconf getenforce grep groups gunzip gzip head hostname hwclock i2cdetect i2cdump i2cget i2cset iconv id
ifconfig inotifyd insmod install ionice iorenice kill killall ln load_policy log logname losetup ls lsmod lsof lspci
lsusb md5sum microcom mkdir mkfifo mknod mkswap mktemp modinfo modprobe more mount mountpoint mv nc netcat netstat
nice nl nohup nproc nsenter od paste patch pgrep pidof pkill pmap printenv printf ps pwd readlink realpath renice
restorecon rm rmdir rmmod runcon sed sendevent seq setenforce setprop setsid sha1sum sha224sum sha256sum sha384sum
sha512sum sleep sort split start stat stop strings stty swapoff swapon sync sysctl tac tail tar taskset tee time
timeout top touch tr true truncate tty ulimit umount uname uniq unix2dos unlink unshare uptime usleep uudecode
uuencode uuidgen vmstat watch wc which whoami xargs xxd yes zcat
"""
"""Links to toybox in /system/bin. Those that Debian's toybox lacks are lacking here too (`tr`, `expr`, `diff`, ...), but for `dd`."""

_LOLLIPOP = """
cat chown clear cmp cp date dmesg du grep id ifconfig insmod ionice kill ln lsmod lsof mkdir mknod mkswap mount mv
netstat nohup printenv renice rm rmdir rmmod sleep swapoff swapon sync top touch umount uptime vmstat
"""
"""Tools of Android 5 that toybox stands in for, as their behaviour is the same as far as a script may count on it.

Left out are `ps` and `readlink`, which were there: vendors' differ, so that nothing may count on them.
"""


@dataclass(frozen=True)
class Userland:
    """A row.

    Attributes:
        applets: names under which toybox is called; None for all that it has.
        toybox: it can also be called as `toybox`.
        scripts: programs of Android's own, and stand-ins; name -> text.
        answering: names of programs of which a profile says what they print.
        own: tools of toolbox.c, called by their name: what behaved otherwise than Debian's toybox, or it lacks.
        front: the same, in the folder that comes first in PATH.
        path: of the shell.
    """

    path: str
    applets: tuple[str, ...] | None = None
    toybox: bool = True
    scripts: Mapping[str, str] = field(default_factory=dict[str, str])
    answering: tuple[str, ...] = ("dumpsys", "cmd", "pm", "service")
    own: tuple[str, ...] = ()
    front: tuple[str, ...] = ()

    def lay_out(self, root: Path, tools: Path, front: Path) -> None:
        """Fill the folders that are to be /system/bin and /system/xbin of the phone with that root."""
        applets = (root / PROGRAMS / "applets").read_text("utf-8").split()
        links = {"mksh": "mksh", "sh": "mksh"} | ({"toybox": "toybox"} if self.toybox else {})
        links |= {name: "toybox" for name in applets if self.applets is None or name in self.applets}
        links |= dict.fromkeys(self.own, "toolbox")
        for name, program in links.items():
            if name not in self.scripts and name not in self.answering:
                (tools / name).symlink_to(f"/{PROGRAMS}/{program}")
        for name in self.front:
            (front / name).symlink_to(f"/{PROGRAMS}/toolbox")
        for name, text in self.scripts.items():
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        for name in self.answering:
            (tools / name).symlink_to("answer")


_SERVICES = {"getprop": _GETPROP, "answer": _ANSWER, "settings": _SETTINGS, "svc": _SVC}
_PATH = "/product/bin:/system/bin:/system/xbin:/vendor/bin"

USERLANDS = {
    # Debian's toybox with all that it has: more than any phone.
    "debian": Userland(_PATH, scripts=_SERVICES),
    # Android 11 and later: what its own build of toybox is called by.
    "android": Userland(_PATH, tuple(_ANDROID.split()), scripts=_SERVICES, own=("dd",)),
    # Android 5, and the setsid of Android 11 and 12, which no phone has together: the worst of both.
    "android5": Userland(
        "/system/xbin:/system/bin:/vendor/bin",
        tuple(_LOLLIPOP.split()),
        toybox=False,
        scripts=_SERVICES | {"toolbox": _TOOLBOX},
        answering=("dumpsys", "pm", "service"),
        own=("chmod", "dd", "df", "ls"),
        front=("setsid",),
    ),
}
