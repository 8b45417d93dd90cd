"""Many phones are judged at once: the first use of every table and type, from many threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, threading
from pathlib import Path
from gemmafit.pipeline import Request, examine
from gemmafit.probes.replay import ReplayTarget
from gemmafit.profiles.writers import Format

sys.setswitchinterval(1e-6)
captures = sorted(Path(sys.argv[1]).glob("*.yaml"))
done = []

def judge(path):
    report = examine(ReplayTarget(path), Request(run=False)).report
    done.append(len(Format.YAML.writer()(report)))

threads = [threading.Thread(target=judge, args=(captures[n % len(captures)],)) for n in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(done))
"""


def test_a_fresh_process_judges_from_many_threads() -> None:
    """In a process of its own, as nothing may have been used before. A crash of the interpreter shows here."""
    captures = Path(__file__).parents[1] / "replay" / "captures"
    for _ in range(3):
        run = subprocess.run([sys.executable, "-c", PROGRAM, str(captures)], capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (0, "12\n"), run.stderr[-2000:]
