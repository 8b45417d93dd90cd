"""Capture files: their text read (untrusted, bounded) and written (what is read back is equal); digests."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..base import limits
from ..base.errors import InputError
from ..base.files import read_text
from ..base.names import TargetKind
from ..base.yaml_input import load_yaml
from .capture import SCHEMA, Answer, Capture

_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
# What YAML may hold as it is; anything else goes as base64 and comes back bit for bit.
_NOT_TEXT = re.compile("[^\n\t\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_capture(path: Path) -> Capture:
    """The capture in `path`. Raises InputError for what is no capture, or over the limits."""
    text = read_text(path, limits.CAPTURE_FILE_BYTES, "capture", errors="replace")
    return parse_capture(text, origin=str(path))


def parse_capture(text: str, *, origin: str = "capture") -> Capture:
    """A capture from its YAML (or JSON) text. Unknown keys are kept out; missing ones are no error."""
    data = load_yaml(text, origin=origin)
    if not isinstance(data, dict):
        raise InputError(f"{origin}: not a capture: a mapping with `schema: {SCHEMA}` was expected")
    if data.get("schema") != SCHEMA:
        raise InputError(
            f"{origin}: schema is {str(data.get('schema'))[: limits.QUOTE_CHARS]!r}, expected {SCHEMA!r}",
            hint="a recording is made with `gemmafit record TARGET -o FILE`",
        )
    recorded = _mapping(data.get("recorded"), f"{origin}: recorded")
    commands = _mapping(data.get("commands"), f"{origin}: commands")
    if len(commands) > limits.COMMANDS:
        raise InputError(f"{origin}: more than {limits.COMMANDS} commands")
    agent = data.get("agent")
    if agent is not None and not isinstance(agent, dict):
        raise InputError(f"{origin}: agent: a mapping or null was expected")
    kind = TargetKind.of(recorded.get("kind"))
    return Capture(
        kind if kind.recorded else TargetKind.ASSEMBLED,
        recorded,
        {
            key: _answer(row, f"{origin}: commands.{key[: limits.KEY_CHARS]}")
            for key, row in commands.items()
            if _KEY.match(key)
        },
        agent,
    )


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where}: a mapping was expected")
    return value


def _answer(row: Any, where: str) -> Answer:
    if not isinstance(row, dict):
        raise InputError(f"{where}: a mapping with `exit` and `out` was expected")
    code, out, encoded = row.get("exit"), row.get("out"), row.get("out_base64")
    if code is not None and (isinstance(code, bool) or not isinstance(code, int)):
        raise InputError(f"{where}.exit: an integer or null was expected")
    raw: bytes | None = None
    if encoded is not None:
        if not isinstance(encoded, str) or len(encoded) > limits.ANSWER_BYTES_MAX * 2:
            raise InputError(f"{where}.out_base64: not text, or too long")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise InputError(f"{where}.out_base64: not base64") from None
        out = raw.decode("utf-8", "replace")
    elif out is None:
        out = ""
    elif not isinstance(out, str):
        # YAML reads an unquoted `out: 42` as a number; somebody wrote the file by hand.
        out = str(out)
    cut = row.get("cut")
    excess = max(0, len(out) - limits.ANSWER_BYTES_MAX)
    seconds = row.get("seconds")
    usable = isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds)
    return Answer(
        code,
        out[: limits.ANSWER_BYTES_MAX],
        raw,
        (cut if isinstance(cut, int) and not isinstance(cut, bool) and cut > 0 else 0) + excess,
        float(seconds) if usable and seconds is not None else None,
        row.get("timed_out") is True,
        row.get("skipped") is True,
    )


def to_dict(capture: Capture) -> dict[str, Any]:
    """The content of the file, in the order it is written."""
    recorded = {"kind": str(capture.kind), **capture.recorded}
    return {
        "schema": SCHEMA,
        "recorded": recorded,
        "commands": {key: _row(answer) for key, answer in capture.commands.items()},
        "agent": capture.agent,
    }


def _row(answer: Answer) -> dict[str, Any]:
    row: dict[str, Any] = {"exit": answer.exit}
    if answer.raw is not None or _NOT_TEXT.search(answer.out):
        data = answer.raw if answer.raw is not None else answer.out.encode("utf-8", "replace")
        row["out_base64"] = base64.b64encode(data).decode("ascii")
    else:
        row["out"] = answer.out
    if answer.cut:
        row["cut"] = answer.cut
    if answer.seconds is not None:
        row["seconds"] = round(answer.seconds, 3)
    if answer.timed_out:
        row["timed_out"] = True
    if answer.skipped:
        row["skipped"] = True
    return row


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Block scalars for text of several lines: a capture is read by people too."""

    def ignore_aliases(self, data: Any) -> bool:
        # A list that stands twice would become an alias, which `load_yaml` refuses.
        return True


def _text(dumper: Any, text: str) -> Any:
    # libyaml falls back to a quoted style by itself where a block scalar could not hold the text.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def dump_capture(capture: Capture) -> str:
    """The YAML text of a capture file."""
    text: str = yaml.dump(to_dict(capture), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return text


def sha256(capture: Capture) -> str:
    """Digest of what was said, not of how the file is laid out: canonical JSON of commands and agent.

    Times are left out, so that two recordings with the same answers have the same digest, and a live
    capture has the digest of its file.
    """
    said: dict[str, Any] = {}
    for key, answer in sorted(capture.commands.items()):
        row = _row(answer)
        row.pop("seconds", None)
        said[key] = row
    canonical = json.dumps(
        {"commands": said, "agent": _plain(capture.agent)},
        sort_keys=True,
        ensure_ascii=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _plain(value: Any) -> Any:
    """As a YAML file would give it back: tuples are lists, keys are text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
