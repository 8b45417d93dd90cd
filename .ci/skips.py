"""skips.py RESULTS.xml EXPECTED: print why tests were skipped; exit 1 if a reason is not expected.

RESULTS.xml is pytest's --junitxml. EXPECTED has one regular expression a line, found anywhere in a reason.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path


def main(results: Path, expected: Path) -> int:
    """The exit status."""
    lines = expected.read_text("utf-8").splitlines()
    allowed = [re.compile(line) for line in lines if line.strip() and not line.startswith("#")]
    cases = list(ET.parse(results).getroot().iter("testcase"))
    reasons = Counter(
        skipped.get("message") or "no reason" for case in cases for skipped in case.iter("skipped")
    )
    unexpected = 0
    for reason, count in reasons.most_common():
        known = any(pattern.search(reason) for pattern in allowed)
        unexpected += not known
        print(f"{'skipped' if known else 'UNEXPECTED SKIP'} x{count}: {reason}")
    print(f"{len(cases)} tests, {reasons.total()} skipped, {unexpected} reasons unexpected")
    return 1 if unexpected or not cases else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
