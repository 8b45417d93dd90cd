"""The sh scripts of a session on a phone. They need what Android 5's toolbox and mksh have, and no more.

Everything that is formatted into them is made here on the host: random names, numbers, our file names.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

BASE = "/data/local/tmp"
SECTIONS = {"isolated": "/data/local/tmp/isolated", "system": "/data/local/tests/system"}
"""Where a binary has to stand for the stricter sections of Android's linker configuration."""
AGENT = "gemmafit-agent"
STATUS, LATE, STDERR = ".status", ".late", ".stderr"
"""What a run leaves beside its results: its exit status, whether the deadline ended it, its stderr."""

# Functions of the guard. The directory's name stands first, where /proc/PID/cmdline shows it: that is how
# a later session tells a guard that lives.
#
# end_all DIR: end whatever stands in the directory or runs from it. By the working directory, as under an
#   emulator or a native bridge the executable is another one. Three times, as what is being started may slip
#   through.
# clean DIR: the directory, its companions below the sections' places, and a place that was made for it.
# finish: clean up after this session; twice with a pause where it ends badly, as a file may be on its way.
# The sweep: directories of our name and our user whose guard is dead, that is of runs that nobody waits for.
#   A guard that lives holds the phone: two that measure at a time measure nothing. The phone itself is the
#   lock, as it is the only thing that every host and every way to it (cable, Wi-Fi) has in common. The own
#   directory is made first: of two that start at the same moment none goes on, rather than both.
_GUARD = """\
d={directory}
t={half}
t=${{t}}{rest}
umask 077
cd /
end_all() {{
for i in 1 2 3; do
ls -l /proc/[0-9]*/cwd /proc/[0-9]*/exe 2>/dev/null | while read -r l; do
case "$l" in *" -> $1"|*" -> $1/"*) p=${{l##*/proc/}}; kill -9 "${{p%%/*}}" ;; esac
done
done
}}
clean() {{
end_all "$1"
for s in {places}; do
rm -rf "$s/${{1##*/}}"
[ -e "$1/.made.${{s##*/}}" ] && rmdir "$s"
done
rm -rf "$1"
}} 2>/dev/null
finish() {{
trap '' HUP INT TERM PIPE
clean "$d"
}}
if ! e=$(mkdir "$d" 2>&1 && echo $$ 2>&1 > "$d/.guard"); then
rm -rf "$d" 2>/dev/null
echo "$t failed $e"
exit
fi
b=
for o in {base}/gemmafit-*; do
[ ${{#o}} = ${{#d}} ] && [ "$o" != "$d" ] && [ -d "$o" ] && [ ! -L "$o" ] && [ -O "$o" ] || continue
p=
read -r p < "$o/.guard" || continue
case "$p" in ''|*[!0-9]*) continue ;; esac
if grep -q "${{o##*/}}" "/proc/$p/cmdline"; then b=1; else clean "$o"; fi
done 2>/dev/null
if [ "$b" ]; then
rm -rf "$d"
echo "$t busy"
exit
fi
trap 'finish; sleep 1; finish; exit' HUP INT TERM
(cd "$d"; sleep {life}; kill -HUP $$) </dev/null >/dev/null 2>&1 &
echo "$t ready"
echo "abilist $(getprop ro.product.cpu.abilist 2>/dev/null)"
echo "abi $(getprop ro.product.cpu.abi 2>/dev/null)"
echo "machine $(uname -m 2>/dev/null)"
for f in {loaders}; do [ -e $f ] && echo "loader $f"; done
echo df
df -k {base} 2>/dev/null || df {base} 2>/dev/null
echo "$t facts"
while read -r l; do
case "$l" in bye*) finish; echo "$t gone"; exit ;; esac
done
finish
sleep 1
finish
"""

# One run. The watchdog is there in case the agent does not keep its own deadline.
# $m, $x: as in batch.py.
_RUN = """\
umask 077
cd {directory} || exit 97
rm -f {old}
{prepare}
x=setsid m=:
command -v setsid >/dev/null 2>&1 || {{ x= m='set -m'; }}
$m
$x {command} </dev/null 2>{stderr} &
p=$!
$x sh -c "sleep {seconds}; echo late > {late}; kill -9 -$p || kill -9 $p" </dev/null >/dev/null 2>&1 &
w=$!
wait $p
e=$?
kill -9 $w -$w -$p 2>/dev/null
echo $e > {status}
"""


def guard(name: str, token: str, life: float, loaders: Sequence[str]) -> str:
    """A shell that makes the session's directory and removes it at the end of its input, whatever the reason.

    Args:
        name: of the directory, gemmafit-<random>.
        token: 32 characters that precede everything it says.
        life: seconds after which it ends by itself.
        loaders: paths of dynamic loaders to look for.
    """
    return _GUARD.format(
        base=BASE,
        directory=f"{BASE}/{name}",
        places=" ".join(SECTIONS.values()),
        half=token[:16],
        rest=token[16:],
        life=math.ceil(life),
        loaders=" ".join(loaders),
    )


def run(name: str, args: Sequence[str], *, seconds: float, remove: Sequence[str], section: str) -> str:
    """One process of the agent in the session's directory.

    Args:
        seconds: after which the watchdog kills it.
        remove: files of an earlier run that must not be taken for this one's.
        section: of the linker configuration; in one of SECTIONS the agent is copied there first.
    """
    executable, prepare = f"./{AGENT}", ":"
    if section != "unrestricted":
        place = SECTIONS[section]
        executable = f"{place}/{name}/{AGENT}"
        prepare = (
            f"mkdir {place} 2>/dev/null && echo > .made.{place.rpartition('/')[2]}\n"
            f"mkdir -p {place}/{name} && cp {AGENT} {executable} && chmod 700 {executable} || exit 98"
        )
    return _RUN.format(
        directory=f"{BASE}/{name}",
        old=" ".join(shlex.quote(n) for n in (STATUS, LATE, STDERR, *remove)),
        prepare=prepare,
        command=" ".join(shlex.quote(a) for a in (executable, *args)),
        seconds=math.ceil(seconds),
        stderr=STDERR,
        late=LATE,
        status=STATUS,
    )
