"""The Typer application and the options that several commands share.

A command is one file with one function; it imports what it works with inside the function, so that
`--help` stays fast and needs neither a Vulkan loader nor an OpenCL driver.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..base.errors import UsageError

app = typer.Typer(
    name="gemmafit",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class FormatName(StrEnum):
    """The report formats; the same names as `reports.writers.Format`, which `--help` must not import."""

    YAML = "yaml"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    GITHUB = "github"


TARGET_HELP = (
    "Phone or machine: omitted for the one connected phone, an adb serial, HOST:PORT, "
    "'local' for this computer, or replay:FILE for a recording."
)

TargetArgument = Annotated[str | None, typer.Argument(metavar="TARGET", help=TARGET_HELP)]
AdbOption = Annotated[
    str | None,
    typer.Option("--adb", metavar="HOST:PORT", help="adb server to use (default: the usual one)."),
]
ProfilesOption = Annotated[
    Path | None,
    typer.Option(
        "--profiles", metavar="DIR", help="Folder with knowledge of your own, laid over the built-in."
    ),
]
FormatOption = Annotated[
    FormatName | None,
    typer.Option("--format", "-f", help="Report format (default: by file name ending, else yaml)."),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to stdout."),
]
HistoryOption = Annotated[
    str | None,
    typer.Option(
        "--history",
        metavar="FILE|URL",
        envvar="GEMMAFIT_HISTORY",
        help="History database (default: gemmafit-history.db here).",
    ),
]
NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Neither take nor keep the fastest variant of such a device.")
]
RetuneOption = Annotated[bool, typer.Option("--retune", help="Search for the fastest variant again.")]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Also write a self-contained page.")
]


def tuning(no_cache: bool, retune: bool) -> str:
    """The name of `benchmarks.tuning.Tuning` that the two options stand for."""
    if no_cache and retune:
        raise UsageError("--no-cache and --retune contradict each other")
    return "off" if no_cache else "retune" if retune else "use"
