"""Progress on stderr: a live line for a person at a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..base.events import Event, Listener, ignore
from .console import plain, safe, stderr


@contextmanager
def progress(quiet: bool = False) -> Iterator[Listener]:
    """A listener that shows events until the block ends."""
    if quiet:
        yield ignore
        return
    console = stderr()
    if not console.is_terminal:
        yield _lines()
        return
    started = time.monotonic()
    spinner = "dots" if console.encoding.startswith("utf") else "line"
    with console.status("starting", spinner=spinner) as status:

        def show(event: Event) -> None:
            count = f" {event.done}/{event.total}" if event.done is not None and event.total else ""
            elapsed = f"[dim]{time.monotonic() - started:4.0f} s[/dim]"
            status.update(f"{elapsed}  {safe(event.stage)}{count}  {safe(event.message, 120)}")

        yield show


def _lines() -> Listener:
    """One line a stage, for logs: a CI page with hundreds of redrawn progress lines helps nobody."""
    console = stderr()
    last: list[str] = []

    def show(event: Event) -> None:
        if last != [event.stage]:
            last[:] = [event.stage]
            console.print(f"{event.stage}: {plain(event.message, 160)}", markup=False, soft_wrap=True)

    return show
