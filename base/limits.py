"""Limits on everything that comes from a device or a file, in one place.

A device may say anything: gigabytes, a getprop of 200 000 lines, numbers beyond 64 bits. What is over a
limit is cut and said so (`Answer.cut`, `AnswerStatus.CUT`) or, where half of it would mean something
else, refused with a ParseError. The values are far above what honest devices say: the largest answers seen
are 64 KB of getprop, 1 000 lines of sysfs, 400 KB of `cmd gpu vkjson` and 3 MB of `dumpsys package`.
"""

from __future__ import annotations

CAPTURE_FILE_BYTES = 48 << 20
"""A capture file. The answers of a phone are some 1 to 6 MB; base64 adds a third."""

CAPTURE_DEPTH = 24
"""Nesting of JSON. The agent's probe and vkjson need 8."""

FILE_DEPTH = CAPTURE_DEPTH + 8
"""Nesting of a YAML file that holds such JSON."""

CAPTURE_NODES = 400_000
"""Scalars, lists and mappings in a capture file."""

COMMANDS = 256
"""Answers in one capture."""

KEY_CHARS = 64
"""Of a key of `commands`, and of any mapping key that is kept."""

ANSWER_BYTES = 1 << 20
"""One answer, unless its command says otherwise (`Command.max_bytes`)."""

ANSWER_BYTES_MAX = 8 << 20
"""No command may ask for more, and no capture may hold more in one answer."""

LINES = 200_000
"""Lines of one answer that are looked at."""

LINE_CHARS = 16_384
"""Of one line; OpenCL extension lists are the longest honest ones, about 3 000."""

PROPERTIES = 8_192
"""Entries of getprop or build.prop (phones have 500 to 1 500)."""

PROPERTY_CHARS = 4_096
"""One value. Android's own limit was 91 before `ro.` values became unlimited."""

NAME_CHARS = 256
"""A device, driver or library name that is kept in the snapshot."""

TEXT_CHARS = 1_024
"""An error message or a version string of a driver that is kept in the snapshot."""

FEW = 64
"""Entries of a list that is short on every device: ABIs, library attempts, linker sections, memory heaps."""

QUOTE_CHARS = 80
"""Of a device's or file's own words inside an error message."""

CPU_FEATURES = 512
"""Instruction-set features of one CPU; x86 kernels list some 150."""

ITEMS = 4_096
"""Rows of any other list: libraries, packages' libraries, features, extensions, sysfs files."""

CPUS = 1_024
"""CPU numbers are below this. Linux's own NR_CPUS is at most 8192, phones have 4 to 12."""

CL_DEVICES = 32
ADB_DEVICES = 512

PROBE_BYTES = 4 << 20
"""One probe.json of the agent; honest ones are 5 to 60 KB."""

PROFILE_BYTES = 8 << 20
"""A Vulkan profile file. Khronos' largest (VP_LUNARG_desktop_baseline) has 300 KB."""

INTEGER_BITS = 64
"""Integers beyond are no quantity of a phone; Python itself would grow them without end."""
