"""How the history behaves with many reports: time and memory of adding, comparing and counting.

usage: python -m gemmafit.tools.history_scale REPORT [--reports N] [--phones N] [URL or FILE]

Synthetic reports: REPORT once per phone and day, varied in date, driver and speed.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..lab import matrix
from ..lab.collection import ReportSource
from ..lab.compare import compare_all
from ..lab.field import field
from ..lab.history import Selection, open_history
from ..profiles.loader import load as load_knowledge
from ..reports.report import Report
from ..reports.report_io import load

T = TypeVar("T")


def synthetic(base: Report, reports: int, phones: int, seed: int) -> Iterator[ReportSource]:
    """`reports` variations of `base` over `phones` devices, one day after another."""
    chance = random.Random(seed)
    for number in range(reports):
        phone, day = number % phones, number // phones
        device = {**base.device, "model": f"Phone {phone}", "device": f"phone{phone}"}
        device["gpu"] = {**(base.device.get("gpu") or {}), "driver": f"512.{day // 30}"}
        rows = []
        for row in base.measurements:
            factor = chance.uniform(0.9, 1.1)
            rows.append(replace(row, samples_s=tuple(t * factor for t in row.samples_s)))
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + 86400 * day + phone))
        target = {"kind": "adb", "serial": f"serial{phone}"}
        report = replace(base, device=device, measurements=tuple(rows), created=created, target=target)
        yield ReportSource(f"synthetic/{number}", report)


def timed(what: str, work: Callable[[], T]) -> T:
    """Run and print seconds and the peak memory so far."""
    start = time.perf_counter()
    result = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<28} {time.perf_counter() - start:8.2f} s   peak {peak:6.0f} MB")
    return result


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path, help="a report to vary")
    parser.add_argument("where", nargs="?", help="history: file or URL (default: a temporary SQLite file)")
    parser.add_argument("--reports", type=int, default=100_000)
    parser.add_argument("--phones", type=int, default=500)
    args = parser.parse_args()
    base = load(args.report)
    known, kinds = field(load_knowledge().tables)
    with tempfile.TemporaryDirectory() as folder:
        where = args.where or str(Path(folder) / "history.db")
        with open_history(where) as history:
            half = args.reports // 2
            timed(f"add {half}", lambda: history.add(synthetic(base, half, args.phones, 1), "before"))
            timed(f"add {half}", lambda: history.add(synthetic(base, half, args.phones, 2), "after"))
            comparison = timed(
                "compare two labels",
                lambda: compare_all(
                    history.newest(Selection(label="before")), history.newest(Selection(label="after"))
                ),
            )
            coverage = timed("matrix", lambda: matrix.build(history.newest(), known, kinds))
            timed("list 50", lambda: history.entries(Selection(), 50))
    changed = sum(bool(phone.changes) for phone in comparison.phones)
    print(f"{len(comparison.phones)} phones compared, {changed} changed; matrix of {coverage.phones} phones")


if __name__ == "__main__":
    main()
