"""`gemmafit check`: probe, run the reference block, judge, report. The main job."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.errors import Interrupted, UsageError
from ..base.names import Exit, ReportFormat
from .app import (
    AdbOption,
    BackendsOption,
    ContextOption,
    ForceOption,
    FormatOption,
    HtmlOption,
    MaxTtftOption,
    MinDecodeOption,
    NoCacheOption,
    OutputOption,
    ProfilesOption,
    PromptTokensOption,
    RetuneOption,
    RuntimeVersionOption,
    TargetArgument,
    VerboseOption,
    app,
    tuning,
)
from .console import stderr
from .files import write, write_report

if TYPE_CHECKING:
    from ..base.options import Request


class Use(StrEnum):
    """What the model is for; weighs prefill against decode."""

    CHAT = "chat"
    SUMMARISE = "summarise"
    OFFLINE_BATCH = "offline-batch"


@app.command(short_help="Will Gemma run on this phone, and with which file?")
def check(
    target: TargetArgument = None,
    output: OutputOption = None,
    format: FormatOption = None,
    html: HtmlOption = None,
    family: Annotated[
        str, typer.Option(metavar="NAME", help="Model family to judge, or 'any'.")
    ] = "gemma-2b",
    use: Annotated[Use, typer.Option("--for", help="What the model is for.")] = Use.CHAT,
    min_decode: MinDecodeOption = None,
    max_ttft: MaxTtftOption = None,
    prompt_tokens: PromptTokensOption = None,
    context: ContextOption = None,
    runtime_version: RuntimeVersionOption = None,
    backend: BackendsOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats, shorter prefill.")] = False,
    no_cache: NoCacheOption = False,
    retune: RetuneOption = False,
    force: ForceOption = False,
    no_run: Annotated[bool, typer.Option("--no-run", help="Probe and predict; run no kernels.")] = False,
    no_push: Annotated[
        bool, typer.Option("--no-push", help="Push nothing to the phone (implies --no-run).")
    ] = False,
    package: Annotated[
        str | None, typer.Option(metavar="PKG", help="Judge library access for this installed app.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also save the raw answers, identifiers removed, for replay:FILE."),
    ] = None,
    all_phones: Annotated[
        bool, typer.Option("--all", help="Check every connected phone in parallel; -o names a folder.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 on 'degraded' too.")] = False,
    verbose: VerboseOption = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no summary on stderr.")
    ] = False,
    adb: AdbOption = None,
    profiles: ProfilesOption = None,
) -> None:
    """Will Gemma run there, on which backend, with which file, how fast, and if not, why not?

    Runs a reference Gemma-2B layer on the CPU, OpenCL and Vulkan of the target, checks its numbers against a
    reference, and writes a report with the verdict, the file to ship and a fallback chain.

    \b
    Examples:
      gemmafit check                        the one connected phone
      gemmafit check local -o report.yaml   this computer
      gemmafit check --all -o reports/      every phone, one report each
      gemmafit check replay:phone.yaml      judge a recording again
    """
    from ..base.options import Request
    from ..base.typed import convert
    from ..pipeline import examine
    from .progress import progress

    wanted = {
        "run": not no_run,
        "push": not no_push,
        "backends": tuple(backend or ()),
        "quick": quick,
        "force": force,
        "tuning": tuning(no_cache, retune),
        "package": package,
        "family": family,
        "use": str(use),
        "decode_tok_s": min_decode,
        "ttft_s": max_ttft,
        "prompt_tokens": prompt_tokens,
        "context": context,
        "runtime_version": runtime_version,
        "profiles": str(profiles) if profiles else None,
    }
    request = convert(wanted, Request)
    if all_phones:
        if target is not None or record is not None or html is not None:
            raise UsageError("--all takes no TARGET, --record or --html")
        raise typer.Exit(_check_all(request, format, output, adb, strict, quiet))

    from ..probes.targets import resolve

    with progress(quiet) as on_event:
        try:
            examination = examine(resolve(target, adb), request, on_event)
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted before anything was measured; no report was written") from error
    report = examination.report
    if output is not None:
        write_report(report, format, output)
    if record is not None:
        from ..probes.files import dump_capture
        from ..probes.redact import redact

        write(record, dump_capture(redact(examination.capture)))
    if html is not None:
        from ..reports.pages.render import report_page

        write(html, report_page(report))
    if output is None:  # last: files are kept also where nobody reads stdout
        write_report(report, format, None)
    if not quiet:
        from .render import render

        render(report, stderr(), verbose, saved=output)
    if examination.broken is not None:
        raise examination.broken
    raise typer.Exit(report.exit(strict=strict))


def _check_all(
    request: Request,
    format: ReportFormat | None,
    folder: Path | None,
    adb: str | None,
    strict: bool,
    quiet: bool,
) -> int:
    """Every connected phone in parallel; one report each in `folder`; the worst exit code."""
    from ..lab.every import check_every
    from .lab import row_line

    if folder is None:
        raise UsageError("--all needs a folder for its reports", hint="Add -o FOLDER.")
    console = stderr()
    rows = check_every(
        request,
        format or ReportFormat.YAML,
        folder,
        adb,
        lambda row: None if quiet else console.print(row_line(row)),
    )
    return Exit.worst(row.exit(strict=strict) for row in rows)
