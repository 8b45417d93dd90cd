#!/usr/bin/env python3
"""Writes the parts of the documentation that follow from the code; --check only says if they are current.

The README's help texts stand between `<!-- help: COMMAND -->` and `<!-- end -->`, the causes of
docs/phones.md between `<!-- agent causes -->` and `<!-- end -->`; docs/report.schema.json is the report's
JSON Schema.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(<!-- help: (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)
CAUSES = re.compile(r"(<!-- agent causes -->\n).*?(<!-- end -->)", re.DOTALL)


def help_text(command: str) -> str:
    """What `gemmafit COMMAND --help` prints at 80 columns."""
    words = [sys.executable, "-m", "gemmafit.cli.main", *command.split()[1:], "--help"]
    environment = {**os.environ, "COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1"}
    shown = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
    return shown.replace("python -m gemmafit.cli.main", "gemmafit")


def readme() -> str:
    """The README with every help block as it has to be."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return BLOCK.sub(lambda m: f"{m[1]}```console\n$ {m[2]} --help\n{help_text(m[2])}```\n{m[3]}", text)


def phones() -> str:
    """docs/phones.md with the causes of profiles/reasons.yaml."""
    from gemmafit.base.errors import AgentCause
    from gemmafit.profiles.loader import load

    reasons = load().reasons
    rows = ["| `agent.` | what it means | what to do |", "|---|---|---|"]
    for cause in AgentCause:
        row = reasons[f"agent.{cause}"]
        rows.append(f"| `{cause}` | {row.because} | {row.remedy} |")
    text = (ROOT / "docs/phones.md").read_text(encoding="utf-8")
    return CAUSES.sub(lambda m: f"{m[1]}{chr(10).join(rows)}\n{m[2]}", text)


def schema() -> str:
    """The report's JSON Schema."""
    from gemmafit.reports.schema import report_schema

    return json.dumps(report_schema(), indent=2) + "\n"


def main() -> int:
    """Write or check; exit status 1 if something is stale."""
    stale: list[str] = []
    generated = {"README.md": readme(), "docs/phones.md": phones(), "docs/report.schema.json": schema()}
    for name, text in generated.items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if stale:
        print(("stale" if "--check" in sys.argv else "written") + ": " + ", ".join(stale))
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
