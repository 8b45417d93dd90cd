"""What readers share: the answers parsed once, and the book in which they note sources and doubts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...base import limits
from ...base.names import AnswerStatus
from ...profiles.tables import Tables
from ..answers import READABLE, status
from ..capture import Capture
from ..commands import COMMANDS, VKJSON
from ..parsers.properties import parse_build_prop, parse_getprop
from ..parsers.sysfs import parse_path_values
from ..parsers.text import ParseError
from ..snapshot import Disagreement

T = TypeVar("T")

ASKED = frozenset(command.key for command in (*COMMANDS, VKJSON))
"""What a probe asks. Another key that a reader knows (build_prop, clinfo) is not missed."""

_BY_SERVICES = frozenset(command.key for command in COMMANDS if command.binder) - {
    "power_modes",
    "aicore",
}
"""The first also asks for properties, which are there without any service; the other is silent on old
phones."""
_NO_WORD = frozenset({AnswerStatus.DOWN, AnswerStatus.TIMEOUT, AnswerStatus.MISSING})


@dataclass
class Readout:
    """One reading of one capture.

    Attributes:
        answers: how each question ended, as far as a reader looked at it.
        sources: dotted field of the snapshot -> where its value is from.
        disagreements, warnings: as in Snapshot.
        props: getprop's entries, build.prop's where getprop has none.
        sysfs: `path:value` lines of the topology answer.
    """

    capture: Capture
    tables: Tables
    answers: dict[str, AnswerStatus] = field(default_factory=dict[str, AnswerStatus])
    sources: dict[str, str] = field(default_factory=dict[str, str])
    disagreements: list[Disagreement] = field(default_factory=list[Disagreement])
    warnings: list[str] = field(default_factory=list[str])
    props: dict[str, str] = field(default_factory=dict[str, str])
    sysfs: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        for key, answer in self.capture.commands.items():
            self.answers[key] = status(answer)
        self.props = {
            **(self.parse("build_prop", parse_build_prop) or {}),
            **(self.parse("getprop", parse_getprop) or {}),
        }
        self.sysfs = self.parse("cpu_topology", parse_path_values) or {}

    def parse(self, key: str, parser: Callable[[str], T]) -> T | None:
        """The parsed answer, or None with the reason in `answers`."""
        answer = self.capture.commands.get(key)
        if answer is None:
            if key in ASKED:
                self.answers[key] = AnswerStatus.MISSING
            return None
        found = self.answers[key]
        if found not in READABLE:
            return None
        try:
            return parser(answer.out)
        except ParseError as error:
            if found is not AnswerStatus.TIMEOUT:
                self.answers[key] = AnswerStatus.UNREADABLE
                self.warnings.append(f"{key}: {error}")
            return None

    def optional(self, key: str, parser: Callable[[str], T]) -> T | None:
        """A further part of an answer that another parser judges: its lack is not worth a word."""
        answer = self.capture.commands.get(key)
        if answer is None or self.answers[key] not in READABLE:
            return None
        try:
            return parser(answer.out)
        except ParseError:
            return None

    def services(self) -> bool | None:
        """Whether the phone's system services answer: False where none did, with a warning; None: not
        asked."""
        asked = [key for key in self.capture.commands if key in _BY_SERVICES]
        if not (self.capture.origin.android and self.capture.origin.whole) or len(asked) < 2:
            return None
        silent = [key for key in asked if self.answers[key] in _NO_WORD]
        # Given up after a few, or all of them without a word.
        if len(silent) < len(asked) and not any(self.capture.commands[key].skipped for key in asked):
            return True
        self.warnings.append(
            "the phone's system services do not answer; restart it to learn what they know "
            f"({', '.join(silent)})"
        )
        return False

    def prop(self, *names: str) -> str | None:
        """The first of these properties that has a value."""
        return next((value for name in names if (value := self.props.get(name, "").strip())), None)

    def prop_source(self, *names: str) -> str | None:
        """The name of the first of these properties that has a value."""
        return next((name for name in names if self.props.get(name, "").strip()), None)

    def probe(self, part: str) -> dict[str, Any] | None:
        """A part (cpu, memory, opencl, vulkan) of the agent's probe in [unrestricted], or None."""
        found = probes(self.capture).get("unrestricted", {}).get(part)
        return found if isinstance(found, dict) else None

    def left_alone(self, backend: str, part: dict[str, Any]) -> bool:
        """Whether the probe did not look at a backend because of a known fault; then a warning says so."""
        error = part.get("error")
        if part.get("left_alone") is not True:
            return False
        if isinstance(error, str):
            self.warnings.append(f"{backend}: {error[: limits.TEXT_CHARS]}")
        return True

    def note(self, field_name: str, source: str) -> None:
        self.sources[field_name] = source

    def disagree(
        self, field_name: str, believed: object, source: str, other: object, other_source: str, because: str
    ) -> None:
        self.disagreements.append(
            Disagreement(field_name, str(believed), source, str(other), other_source, because)
        )


def probes(capture: Capture) -> dict[str, dict[str, Any]]:
    """The agent's probes by linker section."""
    agent = capture.agent or {}
    found: dict[str, dict[str, Any]] = {}
    if isinstance(agent.get("probe"), dict):
        found["unrestricted"] = agent["probe"]
    sections = agent.get("sections")
    for section, probe in list(sections.items())[: limits.FEW] if isinstance(sections, dict) else ():
        if isinstance(probe, dict):
            found[str(section)[: limits.KEY_CHARS]] = probe
    return found
