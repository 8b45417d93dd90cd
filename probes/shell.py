"""The shell of a phone: what our scripts assume of it, why, and the lines that all of them share.

Assumed, because every Android since 5 has it (tried on the userlands of 5.1, 6, 9, 11 and 14):

* `sh` is mksh, or another POSIX shell (a Linux machine may run adbd, too). Its built-ins are used wherever
  they can do the work: `echo`, `read`, `test` with `-ef`, `kill`, `wait`, `trap`, `case`, `command -v`.
* `mkdir`, `rm`, `rmdir`, `cp`, `chmod` and `cat`, with the options of Android 5's toolbox. What they did is
  looked at afterwards where it matters, as their exit statuses and complaints differ.

Everything else is optional, and used only after a test on the phone at hand showed that it behaves:

* process groups: the shell's own job control (`set -m`), else `setsid`. Neither is believed: a child has to
  lead a group of its own, and `wait` has to return its exit status. The `setsid` of Android 11 and 12 (toybox
  0.8.3 and 0.8.4) fails that: it forks, and its parent exits with 0 at once. Without either, a deadline ends
  the command and not what it started.
* `sleep`: where it is missing nothing is killed on the phone; the host's deadlines remain.
* `head -c`, `dd`: whichever cuts a stream at a byte (batch.py); without either the host cuts.
* `getprop`, `df`, `uname`, `settings`, `svc`: what they answer is a fact if they answer, else unknown.

Lifecycle and framing use no `timeout`, `printf`, `tr`, `sed`, `grep` or `readlink`, and not the output of
`ls`, which names no folder on Android 5. A question (commands.py) may try such a tool if it has another way.
"""

from __future__ import annotations

GROUPS = """\
group() { ( $1; $2 sh -c 'kill -0 -$$ && exit 7' & wait $! ) </dev/null >/dev/null 2>&1; [ $? = 7 ]; }
m=: x= own_groups=none
if group 'set -m'; then m='set -m' own_groups='job control'
elif group : setsid; then x=setsid own_groups=setsid
fi
export own_groups
limited() {
n=$1
shift
$m
$x "$@" 5>&- &
p=$!
$x sh -c "sleep $n 5>&- && { echo late >&5; kill -9 -$p || kill -9 $p; }" </dev/null >/dev/null 2>&1 &
w=$!
wait $p
e=$?
kill -9 -$w $w -$p 2>/dev/null
}
"""
"""Shell lines. `limited SECONDS COMMAND...` runs a command in a process group of its own and leaves its exit
status in $e; after so many seconds a watchdog writes `late` to descriptor 5 and kills the group. Each call
switches job control on, as a subshell does not inherit it. The watchdog has a group, too, and may be killed
before it has it: by its number as well."""


def token_lines(token: str) -> str:
    """Shell lines that put the token into $t.

    It stands there in two halves, so that a command that prints the arguments of processes does not print it.
    """
    half = len(token) // 2
    return f"t={token[:half]}\nt=${{t}}{token[half:]}\n"
