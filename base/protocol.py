"""Numbers that the host and the agent share, each here and nowhere else: agent/build.py compiles them in.

A number of this module has in C the name that it has here. The Python workers, which are the agent's twins,
and the plans that both run take them from here, too.
"""

from __future__ import annotations

PLAN_VERSION = 1
"""Of docs/plan-format.md."""

EXIT_OK, EXIT_USAGE, EXIT_MISSING, EXIT_BROKEN, EXIT_LATE = 0, 2, 3, 4, 5
"""Exit statuses: the result is whole, or as far as the deadline let it come; no such usage or plan; the
backend is not there; the result cannot be written; a call outlasted the deadline, and the agent's own
watchdog ended it."""

AGENT_BYTES = 400 * 10**6
"""What the agent holds at most, and what the buffers of a plan may need. Of a phone with 2 GB, Android itself
leaves about twice that to one app."""
FREE_PERCENT = 60
"""Of the free memory: a plan that needs more is not run, or the system kills somebody."""

RUN_SECONDS = 60
"""Deadline of one process that runs a plan, unless the caller names another."""
LONGEST_RUN_SECONDS = 600
"""No deadline is later. What lasts longer (a sweep, sustained load) is a row of processes; the guard of a
phone (probes/adb/session.py) waits longer than this."""
GRACE_SECONDS = 1
"""After the deadline the process writes what it has; then its own watchdog ends it."""

MAX_REPEATS = 10_000
"""Of a step."""
LOAD_UNIT = 4 << 20
"""Bytes. A stored buffer is cut at multiples of this when it is loaded."""
STAGING_BYTES = 4 << 20
"""What is copied at once to memory of a Vulkan device that the host cannot map."""
LOG_MAX = 4000
"""Characters of a compiler's words, or of a reason."""
CPU_MAX_THREADS = 64
"""Of the CPU routines, and one more than the highest core they are pinned to. Phones have 4 to 12."""
VULKAN_MAX_DEVICES = 16
"""That a probe lists."""
PEAK_UNIT = 1 << 20
"""Multiply-adds: the unit of the argument of the routines `peak_*`."""


def numbers() -> dict[str, int]:
    """All of them by their names."""
    return {name: value for name, value in globals().items() if name.isupper() and isinstance(value, int)}
