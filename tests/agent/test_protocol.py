"""Numbers that host and agent share stand once; what watches over a process waits longer than it may last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gemmafit.base import protocol
from gemmafit.benchmarks import trust
from gemmafit.benchmarks.sweeps import bench
from gemmafit.benchmarks.timing import DEFAULT
from gemmafit.probes import collect, local
from gemmafit.probes.adb import session

ROOT = Path(__file__).resolve().parents[2]
C = "\n".join(path.read_text("utf-8") for path in sorted(ROOT.glob("agent/src/**/*.[ch]")))
FORMAT = (ROOT / "docs/plan-format.md").read_text("utf-8")


@pytest.mark.parametrize("name", protocol.numbers())
def test_the_agent_uses_each_number_and_defines_none(name: str) -> None:
    code = re.sub(r"/\*.*?\*/", "", C, flags=re.DOTALL)
    assert re.search(rf"\b{name}\b", code), "the host's alone"
    assert not re.search(rf"#define\s+{name}\b|\b{name}\s*=[^=]", code), "has a second place"


def test_no_number_of_the_agent_is_spelt_out_beside_its_name() -> None:
    """What is large enough to be no coincidence, as people write it."""
    product = [
        *ROOT.glob("benchmarks/**/*.py"),
        *ROOT.glob("probes/**/*.py"),
        *ROOT.glob("agent/src/**/*.[ch]"),
    ]
    spelt = r"\b(400\s*<<\s*20|400\s*\*\s*10\s*\*\*\s*6|400_?000_?000|10_000\b(?!_)|86400)\b"
    texts = {path: re.sub(r"/\*.*?\*/|#.*", "", path.read_text("utf-8"), flags=re.DOTALL) for path in product}
    found = {path.name for path, text in texts.items() if re.search(spelt, text)}
    assert found <= {"gguf.py", "protobuf.py", "zipdir.py"}  # of model files


def test_the_page_about_plans_says_the_same() -> None:
    said = f"{protocol.AGENT_BYTES / 1e6:.0f} MB or {protocol.FREE_PERCENT} % of the available memory"
    assert said in FORMAT and f"gemmafit-plan {protocol.PLAN_VERSION}" in FORMAT
    assert f"at least {protocol.LOAD_UNIT >> 20} MiB" in FORMAT
    assert f"a staging buffer of {protocol.STAGING_BYTES >> 20} MiB" in FORMAT


def test_who_watches_waits_longer_than_what_is_watched() -> None:
    """Timed work < a process's deadline < its own watchdog < the phone's < the host's < the guard's."""
    work = max(trust.PIECE_S, bench.PREFILL_MS / 1000, DEFAULT.budget_ms / 1000)
    assert 2 * work < protocol.RUN_SECONDS
    assert max(
        protocol.RUN_SECONDS, collect.AGENT_SECONDS + collect.GRACE_SECONDS, session.VERSION_SECONDS
    ) < (protocol.LONGEST_RUN_SECONDS)
    assert protocol.GRACE_SECONDS < session.WATCHDOG < session.GRACE
    assert protocol.GRACE_SECONDS < local.GRACE
    fetched = session.RESULT_BYTES / session.PUSH_BYTES_PER_SECOND
    assert protocol.LONGEST_RUN_SECONDS + session.GRACE + fetched < session.LIFE_SECONDS
