"""The sh scripts of a session on a phone. What they need of its shell, and why, stands in shell.py.

Everything that is formatted into them is made here on the host: random names, numbers, our file names.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from .. import shell

BASE = "/data/local/tmp"
SPACE = f"df -k {BASE} 2>/dev/null || df {BASE} 2>/dev/null"
"""Prints the free space there. The `df` of Android 6 and before takes options for paths."""
SECTIONS = {"isolated": "/data/local/tmp/isolated", "system": "/data/local/tests/system"}
"""Where a binary has to stand for the stricter sections of Android's linker configuration."""
AGENT = "gemmafit-agent"
ALIVE = ".alive"
"""Made by each run, taken by the guard from time to time: where there is none the session is dead."""
STATUS, LATE, STDERR = ".status", ".late", ".stderr"
"""What a run leaves beside its results: its exit status, `late` if the deadline ended it, its stderr."""
STAY_ON = "stay_on_while_plugged_in"
"""The global setting that `svc power stayon` changes (AOSP, PowerManagerService)."""

# The guard. The directory's name stands first, where /proc/PID/cmdline shows it: that is how a later session
# tells a guard that lives. Its functions:
#
# end_all DIR: end whatever stands in the directory or is the agent in it. By the working directory, as under
#   an emulator or a native bridge the executable is another one. Until nothing is found, as what is being
#   started may slip through; not for ever, as a driver may hold a process in the kernel. `-ef` compares files
#   without starting a process: a pass over the hundreds of processes of a slow phone takes no time.
# clean DIR: the phone's settings as they were, the directory, its companions below the sections' places, and
#   a place that was made for it.
# java, restore, awake: `settings` and `svc` are Java programs, 0.3 to 2 s on a phone, and hang where its
#   services do. The setting's value before stands in the session's directory: whoever removes that restores
#   it. Whether the change was allowed is seen by reading it back; it wakes the screen (AOSP, PowerCommand).
# finish: clean up after this session; twice with a pause where it ends badly, as a file may be on its way.
#
# The sweep: directories of our name and our user whose guard is dead, that is of runs that nobody waits for.
#   A guard that lives holds the phone: two that measure at a time measure nothing. The phone itself is the
#   lock, as it is the only thing that every host and every way to it (cable, Wi-Fi) has in common. The own
#   directory is made first: of two that start at the same moment none goes on, rather than both.
# `cat` writes the guard's number because it says why it cannot; mksh's own `echo` says nothing.
_GUARD = """\
umask 077
cd /
end_all() {
i=0 q=1
while [ "$q" ] && [ $i -lt 5 ]; do
i=$((i+1)) q=
for p in /proc/[0-9]*; do
if [ $p/cwd -ef "$1" ] || [ $p/exe -ef "$1/$agent" ]; then kill -9 ${p##*/}; q=1; fi
done
done
} 2>/dev/null
clean() {
restore "$1"
end_all "$1"
for s in $places; do
rm -rf "$s/${1##*/}"
[ -e "$1/.made.${s##*/}" ] && rmdir "$s"
done
rm -rf "$1"
} 2>/dev/null
finish() {
trap '' HUP INT TERM PIPE
clean "$d"
}
java() { limited 10 "$@" 5>/dev/null </dev/null 2>&1; }
restore() {
v=
[ -s "$1/.awake" ] && read -r v <"$1/.awake"
case "$v" in
null) (java settings delete global $stay) ;;
[0-9]*) (java settings put global $stay "$v") ;;
esac
} >/dev/null
awake() {
v=$(java settings get global $stay) e=
case "$v" in
0|null)
echo "$v" >"$d/.awake"
[ -s "$d/.awake" ] || return
e=$(java svc power stayon true)
v=$(java settings get global $stay)
esac
case "$v" in 0|null|*[!0-9]*|'') echo "$t awake no" $v $e ;; *) echo "$t awake yes" ;; esac
}
if ! e=$( { mkdir "$d" && echo $$ | cat >"$d/.guard" && [ -s "$d/.guard" ]; } 2>&1 ); then
rm -rf "$d" 2>/dev/null
echo "$t failed" $e
space
echo "$t facts"
exit
fi
b=
for o in $base/gemmafit-*; do
[ ${#o} = ${#d} ] && [ "$o" != "$d" ] && [ -d "$o" ] && [ ! -L "$o" ] && [ -O "$o" ] || continue
p= c=
read -r p <"$o/.guard"
case "$p" in *[!0-9]*|'') continue ;; esac
read -r c <"/proc/$p/cmdline"
case "$c" in *"${o##*/}"*) b=1 ;; *) clean "$o" ;; esac
done 2>/dev/null
if [ "$b" ]; then
rm -rf "$d"
echo "$t busy"
exit
fi
trap 'finish; sleep 1; finish; exit' HUP INT TERM
echo >"$d/$alive"
(
cd "$d"
while [ -e $alive ]; do rm -f $alive; sleep $life || exit; done
kill -HUP $$
) </dev/null >/dev/null 2>&1 &
echo "$t ready"
echo "abilist $(getprop ro.product.cpu.abilist 2>/dev/null)"
echo "abi $(getprop ro.product.cpu.abi 2>/dev/null)"
echo "machine $(uname -m 2>/dev/null)"
for f in $loaders; do [ -e $f ] && echo "loader $f"; done
space
echo "$t facts"
$awake
while read -r l; do
case "$l" in bye*) finish; echo "$t gone"; exit ;; esac
done
finish
sleep 1
finish
"""


def guard(name: str, token: str, life: float, loaders: Sequence[str], *, awake: bool) -> str:
    """A shell that makes the session's directory and removes it at the end of its input, whatever the reason.

    Args:
        name: of the directory, gemmafit-<random>.
        token: 32 characters that precede everything it says.
        life: seconds. It ends by itself where a run was begun in none of such spans.
        loaders: paths of dynamic loaders to look for.
        awake: keep the screen on for the session, and say `TOKEN awake yes` or `TOKEN awake no WHY`.
    """
    return (
        f"d={BASE}/{name}\n{shell.token_lines(token)}"
        f"base={BASE} agent={AGENT} places='{' '.join(SECTIONS.values())}' loaders='{' '.join(loaders)}'\n"
        f"life={math.ceil(life)} alive={ALIVE} stay={STAY_ON} awake={'awake' if awake else ':'}\n"
        f"space() {{\necho df\n{SPACE}\n}}\n"
        f"{shell.GROUPS}{_GUARD}"
    )


def agent_run(name: str, args: Sequence[str], *, seconds: float, remove: Sequence[str], section: str) -> str:
    """One process of the agent in the session's directory.

    Args:
        seconds: after which the watchdog kills it.
        remove: files of an earlier run that must not be taken for this one's.
        section: of the linker configuration; in one of SECTIONS the agent is copied there first.
    """
    executable, prepare = f"./{AGENT}", ""
    if section != "unrestricted":
        place = SECTIONS[section]
        executable = f"{place}/{name}/{AGENT}"
        prepare = (
            f"mkdir {place} 2>/dev/null && echo >.made.{place.rpartition('/')[2]}\n"
            f"mkdir -p {place}/{name} && cp {AGENT} {executable} && chmod 700 {executable} || exit 98\n"
        )
    return (
        # A shell that prints a prompt leaves its line open.
        f"echo\n{shell.GROUPS}umask 077\ncd {BASE}/{name} || exit 97\necho >{ALIVE}\n"
        f"for f in {_words(STATUS, *remove)}; do rm -f $f; [ -e $f ] && exit 96; done\n{prepare}"
        f"limited {math.ceil(seconds)} {_words(executable, *args)} </dev/null 2>{STDERR} 5>{LATE}\n"
        f"echo $e >{STATUS}\n"
    )


def _words(*words: str) -> str:
    return " ".join(map(shlex.quote, words))
