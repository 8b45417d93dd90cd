"""What a person may ask for, each field once: the same in the command line, LAB.yaml and the Python API."""

from __future__ import annotations

from typing import Literal

import msgspec

from .bounds import require


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of a person's file; a key that is not a field is an error, most often a typing mistake.

    Raises UsageError for a number out of its range and a backend that nothing runs on.
    """

    def __post_init__(self) -> None:
        require(msgspec.structs.asdict(self))


class Options(Strict, frozen=True, kw_only=True):
    """What a verdict is about. None: the value of the use in thresholds.yaml.

    Attributes:
        family: a row of families.yaml, or any.
        decode_tok_s, ttft_s: what is fast enough.
        prompt_tokens: the prompt that the time to the first token is for.
        context: tokens of prompt and answer together that must fit.
        runtime_version: the release of a runtime that the app has, as `litert-lm=0.12.0`; None: the newest.
    """

    family: str = "gemma-2b"
    use: Literal["chat", "summarise", "offline-batch"] = "chat"
    decode_tok_s: float | None = None
    ttft_s: float | None = None
    prompt_tokens: int | None = None
    context: int | None = None
    runtime_version: str | None = None


class Request(Options, frozen=True, kw_only=True):
    """And what to do with a target.

    Attributes:
        run: False only probes: nothing of the reference block is executed.
        push: False pushes nothing at all to the device (implies not run).
        backends: run the block only there; () for all.
        quick: fewer repeats and a shorter prefill.
        force: open and run also what a known fault of the device says to leave alone.
        tuning: what becomes of the choice of a variant: see `benchmarks.tuning.Tuning`.
        package: an installed app whose view of the libraries is wanted.
        profiles: a folder of own knowledge, laid over the built-in.
    """

    run: bool = True
    push: bool = True
    backends: tuple[str, ...] = ()
    quick: bool = False
    force: bool = False
    tuning: Literal["use", "retune", "off"] = "use"
    package: str | None = None
    profiles: str | None = None
