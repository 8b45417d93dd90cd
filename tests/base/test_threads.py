"""Typed reading from many threads. In a process of its own: what goes wrong crashes the interpreter."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, threading
import msgspec
from gemmafit.base.typed import convert

sys.setswitchinterval(1e-6)
for n in range(200):  # a type is described at its first use, so every round needs types that are new
    fields = [(f"f{i}", "dict[str, tuple[int, ...]] | None", None) for i in range(20)]
    inner = msgspec.defstruct(f"Inner{n}", fields, namespace={"__module__": "builtins"})
    outer = msgspec.defstruct(f"Outer{n}", [("a", list[inner]), ("b", dict[str, inner])])
    gate = threading.Barrier(6)

    def work():
        gate.wait()
        convert({"a": [{"f1": {"x": [1]}}], "b": {}}, outer)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print("done")
"""


def test_the_first_use_of_a_type_by_several_threads_is_safe() -> None:
    """Three of three runs of this crashed with msgspec's own convert."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr[-2000:]
