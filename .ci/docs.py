#!/usr/bin/env python3
"""Writes the parts of the documentation that follow from the code; --check only says if they are current.

The README's help texts are between `<!-- help: COMMAND -->` and `<!-- end -->`, its table of exit statuses
after `<!-- exit statuses -->`, what `check` says of a recording after `<!-- screen: NAME -->`, and an excerpt
of its report after `<!-- report: NAME -->`; the causes of docs/phones.md after `<!-- agent causes -->`, the
rooms in docs/develop.md after `<!-- rooms -->`; docs/report.schema.json is the report's JSON Schema.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import rooms
import yaml

ROOT = Path(__file__).parents[1]
STATUSES = re.compile(r"(<!-- exit statuses -->\n).*?(<!-- end -->)", re.DOTALL)
ROOMS = re.compile(r"(<!-- rooms -->\n).*?(<!-- end -->)", re.DOTALL)
SLACK = 0.2
"""How far the numbers of the rooms may be from today's: a line of code more must not make a page stale."""
BLOCK = re.compile(r"(<!-- help: (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)
SCREEN = re.compile(r"(<!-- screen: (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)
REPORT = re.compile(r"(<!-- report: (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)
RECORDINGS = "tests/replay/captures"
CAUSES = re.compile(r"(<!-- agent causes -->\n).*?(<!-- end -->)", re.DOTALL)


def help_text(command: str) -> str:
    """What `gemmafit COMMAND --help` prints at 80 columns."""
    words = [sys.executable, "-m", "gemmafit.cli.main", *command.split()[1:], "--help"]
    environment = {**os.environ, "COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1"}
    shown = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
    return shown.replace("python -m gemmafit.cli.main", "gemmafit")


def screen(name: str) -> str:
    """What `gemmafit check replay:` shows of a recording, 100 columns wide."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report.yaml")
        file.write_text(yaml.safe_dump(report(name), sort_keys=False), encoding="utf-8")
        words = [sys.executable, "-m", "gemmafit.cli.main", "report", str(file)]
        environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
        shown = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
    lines = "\n".join(line.rstrip() for line in shown.splitlines())
    return f"```text\n$ gemmafit check replay:{name}.yaml -o report.yaml\n{lines}\n```\n"


@cache
def report(name: str) -> dict[str, Any]:
    """The report on a recording."""
    target = f"replay:{ROOT / RECORDINGS / name}.yaml"
    words = [sys.executable, "-m", "gemmafit.cli.main", "check", target, "-f", "yaml", "--quiet"]
    return dict(yaml.safe_load(subprocess.run(words, capture_output=True, text=True, check=False).stdout))


def excerpt(name: str) -> str:
    """The parts of a report that the README explains."""
    from gemmafit.base.names import Backend

    found = report(name)
    best = next(key for key in ("recommendation", "works_instead") if found[key])
    name, gpu = next(pair for pair in found["backends"].items() if Backend(pair[0]).about.is_gpu)
    parts = {key: found[key] for key in ("schema", "verdict", "summary", best, "fallback")}
    parts["backends"] = {name: gpu}
    parts["checks"] = [check for check in found["checks"] if check["id"] == gpu["decided_by"]]
    text = yaml.safe_dump(parts, sort_keys=False, allow_unicode=True, width=110)
    return f"```yaml\n{text}```\n"


def readme() -> str:
    """The README with every help block and the table of exit statuses as they have to be."""
    from gemmafit.base.names import Exit

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = "".join(f"| {status:d} | {status.meaning} |\n" for status in Exit)
    text = STATUSES.sub(lambda m: f"{m[1]}| status | meaning |\n|---|---|\n{rows}{m[2]}", text)
    text = SCREEN.sub(lambda m: f"{m[1]}{screen(m[2])}{m[3]}", text)
    text = REPORT.sub(lambda m: f"{m[1]}{excerpt(m[2])}{m[3]}", text)
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


def develop() -> str:
    """The developer guide with its table and picture of the rooms as they are."""
    text = (ROOT / "docs/develop.md").read_text(encoding="utf-8")
    return ROOMS.sub(lambda m: f"{m[1]}{table()}\n{picture()}{m[2]}", text)


def table() -> str:
    """A row a room, from the roof down, in the words of the room itself."""
    known, uses = rooms.modules(), rooms.uses()
    lines = ["| room | what is in it | modules | lines | imports |", "|---|---|---|---|---|"]
    for room in reversed(uses):
        files = [path for name, path in known.items() if name.split(".")[0] == room]
        said = ast.get_docstring(ast.parse(known[room].read_text("utf-8"))) or ""
        count = sum(len(path.read_text("utf-8").splitlines()) for path in files)
        label = f"{room}.py" if known[room].stem == room else f"{room}/"
        used = ", ".join(other for other in rooms.ORDER if other in uses[room]) or "nothing"
        summary = said.partition("\n\n")[0].replace("\n", " ")
        lines.append(f"| `{label}` | {summary} | {len(files)} | {count} | {used} |")
    return "\n".join(lines) + "\n"


def picture() -> str:
    """Who stands on whom, as Mermaid; what follows from other arrows is not drawn."""
    drawn = rooms.direct(rooms.uses())
    arrows = [
        f"    {room} --> {other}"
        for room in reversed(drawn)
        for other in reversed(rooms.ORDER)
        if other in drawn[room]
    ]
    return "\n".join(["```mermaid", "flowchart TD", *arrows, "```"]) + "\n"


def current(found: str, wanted: str) -> bool:
    """Whether a page is as it should be; numbers of the rooms may be off by SLACK."""
    if found == wanted:
        return True
    parts = [ROOMS.search(text) for text in (found, wanted)]
    if None in parts or ROOMS.sub("", found) != ROOMS.sub("", wanted):
        return False
    old, new = (re.split(r"(?<=\| )(\d+)(?= \|)", part[0]) for part in parts if part is not None)
    return len(old) == len(new) and all(
        abs(int(a) - int(b)) <= SLACK * int(b) if place % 2 else a == b
        for place, (a, b) in enumerate(zip(old, new, strict=True))
    )


def main() -> int:
    """Write or check; exit status 1 if something is stale."""
    stale: list[str] = []
    pages = {
        "README.md": readme(),
        "docs/phones.md": phones(),
        "docs/report.schema.json": schema(),
        "docs/develop.md": develop(),
    }
    for name, text in pages.items():
        path = ROOT / name
        if not path.exists() or not current(path.read_text(encoding="utf-8"), text):
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if stale:
        print(("stale" if "--check" in sys.argv else "written") + ": " + ", ".join(stale))
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
