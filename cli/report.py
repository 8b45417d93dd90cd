"""`gemmafit report`: a report that was written before, shown or turned into another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import FormatOption, HtmlOption, OutputOption, VerboseOption, app
from .console import stdout
from .files import write, write_report


@app.command(short_help="Show a report, or convert it.")
def report(
    file: Annotated[Path, typer.Argument(metavar="REPORT", help="A report (YAML or JSON).")],
    output: OutputOption = None,
    format: FormatOption = None,
    html: HtmlOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Show a report as `check` did, or write it as YAML, JSON, Markdown, JUnit XML, annotations or a page."""
    from ..reports.report_io import load

    loaded = load(file)
    if html is not None:
        from ..reports.pages.render import report_page

        write(html, report_page(loaded))
    if output is not None or format is not None:
        write_report(loaded, format, output)
    elif html is None:
        from .render import render

        render(loaded, stdout(), verbose)
