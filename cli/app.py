"""The Typer application and the options that several commands share.

A command is one file with one function; it imports what it works with inside the function, so that
`--help` stays fast and needs neither a Vulkan loader nor an OpenCL driver.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..base.bounds import BOUNDS, require_measured
from ..base.errors import UsageError
from ..base.names import MEASURED, ReportFormat
from ..probes.target import WORDS, forms


class Commands(TyperGroup):
    """Typer ends with status 1, which means "fail", on a broken pipe, a phone's too, and at an end of file.
    Here both are defects of ours like any other error that nobody caught."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, EOFError) as error:
            raise RuntimeError(f"{type(error).__name__}: {error}") from error


app = typer.Typer(
    name="gemmafit",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _number(value: float | None) -> float | None:
    # A range is two comparisons, and NaN passes both.
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number that can be asked for.")
    return value


def _measured(names: list[str] | None) -> list[str] | None:
    require_measured(names or ())
    return names


def _range(field: str, kind: type[int] | type[float]) -> dict[str, Any]:
    """What makes a numeric option refuse everything outside the range of `base.bounds`."""
    bound = BOUNDS[field]
    return {"min": kind(bound.low), "max": kind(bound.high), "callback": _number}


TARGET_HELP = (
    "Phone or machine: omitted for the one connected phone, "
    + forms([f"{word.form} for {word.means}" for word in WORDS])
    + "."
)

TargetArgument = Annotated[str | None, typer.Argument(metavar="TARGET", help=TARGET_HELP)]
AdbOption = Annotated[
    str | None,
    typer.Option("--adb", metavar="HOST:PORT", help="adb server to connect to (default: the one adb uses)."),
]
ProfilesOption = Annotated[
    Path | None,
    typer.Option(
        "--profiles", metavar="DIR", help="Folder of your own tables; they override the built-in ones."
    ),
]
FormatOption = Annotated[
    ReportFormat | None,
    typer.Option("--format", "-f", help="Report format (default: from the extension of -o, else yaml)."),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout."),
]
HistoryOption = Annotated[
    str | None,
    typer.Option(
        "--history",
        metavar="FILE|URL",
        envvar="GEMMAFIT_HISTORY",
        help="History database (default: gemmafit-history.db in the current folder).",
    ),
]
MinDecodeOption = Annotated[
    float | None,
    typer.Option(
        metavar="TOK/S",
        help="Lowest acceptable decode speed, in tokens per second (default 5).",
        **_range("decode_tok_s", float),
    ),
]
MaxTtftOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Longest acceptable time to first token (default 10).",
        **_range("ttft_s", float),
    ),
]
PromptTokensOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Prompt length assumed for the time to first token (default 256).",
        **_range("prompt_tokens", int),
    ),
]
ContextOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Context length that must fit: prompt plus answer, in tokens.",
        **_range("context", int),
    ),
]
RuntimeVersionOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=VERSION",
        help="Runtime release the app uses, e.g. litert-lm=0.12.0 (default: the newest).",
    ),
]
RamOption = Annotated[float, typer.Option(metavar="GB", help="RAM as advertised.", **_range("ram_gb", float))]
SdkOption = Annotated[int | None, typer.Option(metavar="N", help="Android API level.", **_range("sdk", int))]
SustainedOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", help="Then decode for this long on each backend.", **_range("sustained", float)
    ),
]
ThresholdOption = Annotated[
    float,
    typer.Option(
        help="Smallest relative speed change to report, beyond the noise.", **_range("threshold", float)
    ),
]
ParallelOption = Annotated[
    int | None, typer.Option(help="Maximum number of phones to run at once.", **_range("parallel", int))
]
LimitOption = Annotated[int, typer.Option(help="Maximum number of reports to list.", **_range("rows", int))]
IdentifierArgument = Annotated[
    int, typer.Argument(metavar="ID", help="Number from `history list`.", **_range("identifier", int))
]
BackendsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar=f"[{'|'.join(MEASURED)}]",
        help="Run only on this backend (repeatable).",
        callback=_measured,
    ),
]
NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Do not use or update the kernel-tuning cache.")
]
RetuneOption = Annotated[bool, typer.Option("--retune", help="Tune again, ignoring the cache.")]
ForceOption = Annotated[
    bool,
    typer.Option("--force", help="Also run backends known to crash or restart this device."),
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Also write a self-contained HTML page.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show every model file, column and remark.")
]


def tuning(no_cache: bool, retune: bool) -> str:
    """The name of `benchmarks.tuning.Tuning` that the two options stand for."""
    if no_cache and retune:
        raise UsageError("--no-cache and --retune contradict each other")
    return "off" if no_cache else "retune" if retune else "use"
