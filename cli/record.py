"""`gemmafit record`: a phone's raw answers as a file, to be judged again anywhere (`replay:FILE`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import AdbOption, ForceOption, TargetArgument, app
from .console import safe, stderr


@app.command(short_help="Record the raw answers of a phone, to replay later.")
def record(
    target: TargetArgument = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Recording to write (YAML).")
    ] = Path("phone.yaml"),
    measure: Annotated[
        bool, typer.Option("--measure", help="Also run the reference layer and keep its measurements.")
    ] = False,
    force: ForceOption = False,
    no_push: Annotated[bool, typer.Option("--no-push", help="Push nothing to the phone.")] = False,
    keep_identifiers: Annotated[
        bool,
        typer.Option(
            "--keep-identifiers",
            help="Keep serial numbers, IMEI, MAC and IP addresses and accounts (default: zeros).",
        ),
    ] = False,
    package: Annotated[
        str | None, typer.Option(metavar="PKG", help="Also record the library access of this installed app.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
    adb: AdbOption = None,
) -> None:
    """Write a recording of a phone: what it answers, and with --measure what the reference block did there.

    \b
    Examples:
      gemmafit record -o pixel8.yaml             the one connected phone
      gemmafit record --measure -o pixel8.yaml   with measurements, for `check replay:pixel8.yaml`
    """
    from ..base.errors import UsageError
    from ..pipeline import Incomplete
    from ..pipeline import record as recorded
    from ..probes.files import dump_capture, sha256
    from .files import write
    from .progress import progress

    if measure and no_push:
        raise UsageError("--measure needs the agent, which --no-push keeps away")
    broken: Incomplete | None = None
    with progress(quiet) as on_event:
        try:
            capture = recorded(
                target,
                measure=measure,
                push=not no_push,
                package=package,
                force=force,
                keep_identifiers=keep_identifiers,
                adb=adb,
                on_event=on_event,
            )
        except Incomplete as error:
            capture, broken = error.capture, error
    write(output, dump_capture(capture))
    if not quiet:
        stderr().print(
            f"{safe(output)}: {len(capture.commands)} answers, sha256 {sha256(capture)[:16]}. "
            f"Read it before you pass it on; judge it with `gemmafit check replay:{safe(output)}`."
        )
    if broken is not None:
        raise broken.__cause__ or broken
