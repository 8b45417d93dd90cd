"""times.py RESULTS.xml: tests in each flavour of the virtual phone's userland, and how long they took.

RESULTS.xml is pytest's --junitxml, where tests/phone/conftest.py notes the flavour of a test. Exit 1 if there
is none: then the phone tests did not run in flavours.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path


def main(results: Path) -> int:
    """The exit status."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for case in ET.parse(results).getroot().iter("testcase"):
        for note in case.iter("property"):
            if note.get("name") == "userland":
                seconds[note.get("value", "")].append(float(case.get("time", "0")))
    for userland, times in seconds.items():
        print(f"userland {userland}: {len(times)} tests in {sum(times):.0f} s")
    return 0 if seconds else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
