"""How fast storage reads, without root: what a model file needs to be loaded.

Cold reads go past the page cache (`O_DIRECT`), since only root may drop it. A file of random bytes is
written, so that neither compression nor a sparse file flatters the result, and is removed again also when
the question is stopped.
"""

from __future__ import annotations

import re

from ..events import Listener, ignore
from ..probes.target import Command, Target
from .measurements import Backend, Measurement, Status

MEBIBYTES = 64
"""Several times what a read-ahead hides; a phone's storage writes it in a second."""

_SCRIPT = f"""\
base=/data/local/tmp; [ -d $base ] || base=/var/tmp
d=$base/gemmafit-storage-$$
umask 077; mkdir $d 2>&1 || exit 1
trap 'rm -rf $d' EXIT; trap 'exit 1' HUP INT TERM
dd if=/dev/urandom of=$d/f bs=1048576 count={MEBIBYTES} 2>&1 || exit 1
sync
for i in 1 2 3; do
echo cold; dd if=$d/f of=/dev/null bs=1048576 iflag=direct 2>&1
done
for i in 1 2 3; do
echo warm; dd if=$d/f of=/dev/null bs=1048576 2>&1
done"""

QUESTION = Command("storage_read", _SCRIPT, 30.0, 16 << 10)

_TIMED = re.compile(r"^(\d+) bytes .*copied, ([0-9.]+(?:e-?\d+)?) s,", re.ASCII)
"""GNU: `67108864 bytes (67 MB, 64 MiB) copied, 0.05 s, 1.3 GB/s`; toybox: `... (64 M) copied, 0.05 s, ..`."""


def storage_rows(target: Target, on_event: Listener = ignore) -> list[Measurement]:
    """Two rows, `storage_cold` and `storage_warm`. Raises TransportError if the device is lost."""
    answer = target.ask([QUESTION], on_event).get(QUESTION.key)
    return parse(answer.out if answer is not None else "")


def parse(text: str) -> list[Measurement]:
    """Rows from what the question printed: untrusted text."""
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    said: dict[str, str] = {}
    kind = ""
    for line in text.splitlines():
        if line in seconds:
            kind = line
        elif kind and (found := _TIMED.match(line)):
            took = float(found[2])
            if int(found[1]) == MEBIBYTES << 20 and took > 0:
                seconds[kind].append(took)
        elif "records" not in line and not _TIMED.match(line):
            said.setdefault(kind, line[:200])
    return [_row(kind, samples, said.get(kind, said.get(""))) for kind, samples in seconds.items()]


def _row(kind: str, samples: list[float], said: str | None) -> Measurement:
    name = f"storage_{kind}"
    if not samples:
        reason = f"no read could be timed: {said or 'no answer'}"
        return Measurement(Backend.CPU, "", "limit", name, Status.SKIPPED, reason, unit="GB/s", executor="dd")
    size = MEBIBYTES << 20
    return Measurement(
        Backend.CPU,
        "",
        "limit",
        name,
        Status.OK,
        samples_s=tuple(samples),
        bytes=size,
        value=size / min(samples) / 1e9,
        unit="GB/s",
        executor="dd",
    )
