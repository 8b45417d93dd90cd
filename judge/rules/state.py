"""The state a phone was measured in, and whether its system services answer: remarks, which decide
nothing."""

from __future__ import annotations

from ...base.names import CheckStatus
from ...benchmarks import trust
from ...reports.report import Check
from ..case import Case, Question


def conditions(case: Case) -> list[Check]:
    """What capped the clocks, or may have, while something was measured here; nothing where all is well."""
    if not any(row.samples_s for row in case.measurements):
        return []
    states = [state for span in case.spans for state in (span.before, span.after)] or [case.before]
    noted = [what for state in states for what in trust.caps(state)]
    capped = list(dict.fromkeys([*noted, *(what for row in case.measurements for what in row.capped)]))
    off = any(state.screen_on is False for state in states)
    if not capped and not off:
        return []
    found = [*capped, *(["the screen was off"] if off else [])]
    return [
        case.check(
            Question("device", "conditions"),
            CheckStatus.WARN,
            "conditions.capped" if capped else "conditions.screen-off",
            found=", ".join(found),
            required="nothing that caps the clocks, the screen on",
        )
    ]


def services(case: Case) -> list[Check]:
    """A phone whose system services do not answer: why so much about it is unknown."""
    if case.snapshot.services is not False:
        return []
    return [
        case.check(
            Question("device", "services"),
            CheckStatus.WARN,
            "device.services-down",
            found="no answer to dumpsys, pm, settings and cmd",
            required="Android's system services answer",
        )
    ]
