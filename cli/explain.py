"""`gemmafit explain`: an error line or a log in; the failure it shows, its cause and what to change out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..base import files
from ..base.errors import TransportError, UsageError
from ..base.names import Exit
from ..base.units import size
from .app import AdbOption, ProfilesOption, app
from .console import emit, plain, safe, stdout

if TYPE_CHECKING:
    from ..judge.explain import Culprit, Explanation, LogReading
    from ..probes.snapshot import Snapshot
    from ..probes.target import Target
    from ..profiles.knowledge import Knowledge
    from ..reports.report import Report

MAX_BYTES = 1 << 30
"""A log beyond this is cut, and the answer says so: at some 5 MB/s it takes minutes."""

_ANSWER = ("device", "verdict", "summary", "recommendation", "works_instead", "fallback")
"""What is said about the phone: these parts of its report."""

LOGCAT_BYTES = 64 << 20


class ExplainFormat(StrEnum):
    """How the explanation is printed."""

    TEXT = "text"
    YAML = "yaml"
    JSON = "json"


@app.command(short_help="Explain an error message or a log, and how to fix it.")
def explain(
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT|FILE|-", help="The message, a file that contains it, or - for stdin."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="TARGET", help="The phone it happened on.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A gemmafit report of that phone instead.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Model file that was being loaded; it is inspected too."),
    ] = None,
    logcat: Annotated[bool, typer.Option("--logcat", help="Read the phone's log instead of a text.")] = False,
    format: Annotated[
        ExplainFormat, typer.Option("--format", "-f", help="Output format.")
    ] = ExplainFormat.TEXT,
    adb: AdbOption = None,
    profiles: ProfilesOption = None,
) -> None:
    """Explain an engine's error message: cause, whether it fits a phone, remedy.

    Of a whole log the one cause comes first. What another runtime (llama.cpp, MLC, ...) or a driver did is
    said to be theirs.

    \b
    Examples:
      gemmafit explain "INVALID_ARGUMENT: Unknown backend" --target R5CT200ABCD
      gemmafit explain crash.log --report phone.yaml
      gemmafit explain --logcat

    Exit status: 0 if a known failure was recognised, 5 if the text has none, only harmless lines, or at most
    resembles one.
    """
    from ..judge.explain import explain as find
    from ..judge.references import load

    knowledge = load(profiles)
    if target is not None and report is not None:
        raise UsageError("--target and --report exclude each other")
    phone = _resolve(target, adb) if target is not None or logcat else None
    judged, snapshot = _judged(phone, report, knowledge)
    facts = _model_facts(model)
    if logcat:
        if text is not None:
            raise UsageError("--logcat and a text exclude each other")
        assert phone is not None
        found = find(_logcat(phone), knowledge, snapshot, facts)
    else:
        source = _Source(text)
        found = find(source.text(), knowledge, snapshot, facts)
        if source.cut:
            typer.echo(f"note: only the first {size(MAX_BYTES)} were read", err=True)
    if format is ExplainFormat.TEXT:
        _show(found, judged, knowledge)
    else:
        _dump(found, judged, knowledge, format)
    if not found.recognised:
        raise typer.Exit(Exit.INCONCLUSIVE)


class _Source:
    """Where the text comes from: the argument, a file or standard input; read in blocks up to a limit."""

    def __init__(self, text: str | None) -> None:
        self.cut = False
        self._text: str | None = None
        self._blocks: Iterator[bytes] = iter(())
        if text == "-" or (text is None and not sys.stdin.isatty()):
            self._blocks = iter(lambda: sys.stdin.buffer.read(files.BLOCK), b"")
        elif text is None:
            raise UsageError("nothing to explain", hint="Give the message, a file, -, or --logcat.")
        elif _is_path(text):
            self._blocks = files.blocks(Path(text))
        else:
            self._text = text

    def text(self) -> Iterator[str]:
        """The text in pieces."""
        from ..base.logtext import decoded

        return decoded(self._bounded()) if self._text is None else iter([self._text])

    def _bounded(self) -> Iterator[bytes]:
        left = MAX_BYTES
        for block in self._blocks:
            yield block[:left]
            self.cut = len(block) > left
            if (left := left - len(block)) < 0:
                return


def _is_path(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or a NUL in it: it is a message
        return False


def _resolve(name: str | None, adb: str | None) -> Target:
    from ..probes.targets import resolve

    return resolve(name, adb)


def _judged(
    phone: Target | None, report: Path | None, knowledge: Knowledge
) -> tuple[Report | None, Snapshot | None]:
    """The judge's report on the phone and the facts that signatures ask for; None where none is named."""
    if report is not None:
        from ..reports.from_report import snapshot_of
        from ..reports.report_io import load

        known = load(report)
        return known, snapshot_of(known)
    if phone is not None:
        from ..base.options import Request
        from ..pipeline import examine

        found = examine(phone, Request(run=False, push=False), knowledge=knowledge)
        if found.broken is not None:
            raise found.broken
        return found.report, found.snapshot
    return None, None


def _model_facts(model: Path | None) -> dict[str, Any] | None:
    if model is None:
        return None
    from ..probes.modelfile import inspect

    return inspect(model).facts()


def _logcat(phone: Target) -> str:
    from ..probes.target import Command

    command = Command("logcat", "logcat -d -v threadtime -t 50000", deadline=60.0, max_bytes=LOGCAT_BYTES)
    answer = phone.ask([command]).get(command.key)
    if answer is None or not answer.out:
        raise TransportError(
            "the target has no log to give",
            serial=phone.serial,
            command=command.script,
            exit_status=answer.exit if answer else None,
            hint="A recording holds no log unless one was recorded; save it with `adb logcat -d > log.txt`.",
        )
    return answer.out


def _show(reading: LogReading, report: Report | None, knowledge: Knowledge) -> None:
    from ..judge.explain import Match
    from .render import answer, opening

    console = stdout()
    first = reading.found[0] if reading.recognised else None
    rest = [e for e in reading.found if e is not first]
    if first is not None:
        _finding(first, report, knowledge)
    else:
        console.print("No known failure is recognised in this text.")
    for culprit in reading.crashes:
        console.print(f"[bold]crash[/]: {safe(_blame(culprit), 400)}")
    exact = [e for e in rest if e.match is not Match.RESEMBLES and not _repeats(e, first)]
    if exact:
        console.print("[bold]also in this text[/]:")
    for e in exact:
        console.print(
            f"  line {_line(e)}: {safe(e.signature.title)}  [dim]{safe(e.signature.id)}{_role(e)}[/]"
        )
    for e in rest:
        if e.match is Match.RESEMBLES and first is None:
            console.print(
                f'Line {_line(e)} shares words with "{safe(e.signature.title)}" '
                f"[dim]{safe(e.signature.id)}[/]"
                " and is not its message."
            )
    for origin in reading.origins:
        if first is None and origin.ask is not None:
            whose = "" if origin.ours else ", which gemmafit does not judge"
            console.print(f"The text is of {safe(origin.title)}{whose}: ask at {safe(origin.ask)}")
    if first is None:
        console.print("[dim]`gemmafit check` shows what the phone itself lacks.[/dim]")
    if report is not None:
        opening(report, console)
        answer(report, console)


def _finding(e: Explanation, report: Report | None, knowledge: Knowledge) -> None:
    from rich.markup import escape

    from ..judge.explain import Applies, Match, remedy

    console, signature = stdout(), e.signature
    console.print(f"[bold red]{safe(signature.title)}[/]  [dim]{safe(signature.id)}[/dim]")
    if e.match is Match.DESCRIBED:
        console.print("  The text describes it; no message of it is there.")
    for excerpt in e.excerpts:
        console.print(f"  [dim]line {excerpt.line}:[/dim] {safe(excerpt.text, 200)}")
    if e.count > len(e.excerpts):
        console.print(f"  [dim]and {e.count - len(e.excerpts)} more lines[/dim]")
    console.print(f"  [bold]cause[/] ({signature.cause.status}): {escape(signature.cause.text)}")
    mark = {Applies.YES: "[red]yes[/]", Applies.NO: "[green]no[/]", Applies.UNKNOWN: "[magenta]unknown[/]"}
    console.print(f"  [bold]applies[/]: {mark[e.applies.answer]}: {safe(e.applies.because)}")
    console.print(f"  [bold]do[/]: {safe(remedy(signature, report, knowledge), 2000)}")
    console.print(f"  [dim]why we think so: {escape(signature.because)}[/dim]")
    console.print(f"  [dim]sources: {safe(', '.join(signature.source), 1000)}[/dim]\n")


def _line(e: Explanation) -> str:
    return str(e.excerpts[0].line) if e.excerpts else "?"


def _repeats(e: Explanation, first: Explanation | None) -> bool:
    """Whether it says in general what the first finding says of the same line."""
    return first is not None and e.signature.kind == "general" and e.excerpts[:1] == first.excerpts[:1]


def _role(e: Explanation) -> str:
    from ..judge.explain import Applies

    if e.signature.kind == "notice":
        return ", no failure"
    if e.applies.answer is Applies.NO:
        return ", not on this phone"
    if e.elsewhere:
        return ", in another process"
    return ", a general message" if e.signature.kind == "general" else ""


def _blame(culprit: Culprit) -> str:
    """A crash in a sentence: where, and whose library that is."""
    crash, frame, owner = culprit.crash, culprit.frame, culprit.owner
    if frame is None:
        return f"line {crash.at}: {crash.signal}; the text does not name the library"
    place = f"{frame.library} ({frame.symbol})" if frame.symbol else frame.library
    whose = owner.title if owner is not None else "a library of the application or one not known here"
    return f"line {crash.at}: {crash.signal} in {place}: {whose}"


def _dump(reading: LogReading, report: Report | None, knowledge: Knowledge, format: ExplainFormat) -> None:
    data: dict[str, Any] = {
        "schema": "gemmafit.explanation/1",
        "recognised": reading.recognised,
        "explanations": [_row(e, report, knowledge) for e in reading.found],
        "crashes": [
            {
                "line": c.crash.at,
                "signal": c.crash.signal,
                "library": plain(c.frame.library) if c.frame else None,
                "symbol": plain(c.frame.symbol) if c.frame and c.frame.symbol else None,
                "owner": c.owner.id if c.owner else None,
            }
            for c in reading.crashes
        ],
        "from": [
            {"id": origin.id, "title": origin.title, "ask": origin.ask, "ours": origin.ours}
            for origin in reading.origins
        ],
    }
    if report is not None:
        from ..reports.report_io import to_dict

        plain_report = to_dict(report)
        data["phone"] = {key: plain_report[key] for key in _ANSWER}
    if format is ExplainFormat.JSON:
        import json

        emit(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        import yaml

        emit(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))


def _row(e: Explanation, report: Report | None, knowledge: Knowledge) -> dict[str, Any]:
    """A finding as data. What only resembles a failure has its name, and no cause and remedy."""
    from ..judge.explain import Match, remedy

    row: dict[str, Any] = {
        "id": e.signature.id,
        "title": e.signature.title,
        "kind": str(e.signature.kind),
        "match": str(e.match),
        "score": round(e.score, 3),
        "count": e.count,
        "lines": [{"line": x.line, "text": plain(x.text)} for x in e.excerpts],
    }
    if e.match is Match.RESEMBLES:
        return row
    return {
        **row,
        "cause": {"status": str(e.signature.cause.status), "text": e.signature.cause.text},
        "applies": {"answer": str(e.applies.answer), "because": e.applies.because},
        "elsewhere": e.elsewhere,
        "remedy": remedy(e.signature, report, knowledge),
        "because": e.signature.because,
        "source": list(e.signature.source),
    }
