"""gemmafit: will Gemma run on this Android phone, on which backend, with which model file?

The names in `__all__` are the Python API (docs/api.md). Every other module is private: it may change with any
release. Nothing is imported before it is asked for.
"""

__version__ = "0.1.0"

__all__ = [
    "Capture",
    "GemmafitError",
    "Incomplete",
    "Report",
    "Verdict",
    "__version__",
    "check",
    "devices",
    "estimate",
    "read_capture",
    "read_report",
    "record",
    "write",
]

TYPE_CHECKING = False
"""True to a type checker; `typing`'s own would be an import that takes longer than all of this module."""

if TYPE_CHECKING:
    from .base.errors import GemmafitError
    from .base.names import Verdict
    from .pipeline import (
        Incomplete,
        check,
        devices,
        estimate,
        read_capture,
        read_report,
        record,
        write,
    )
    from .probes.capture import Capture
    from .reports.report import Report
else:
    _PLACES = {
        "base.errors": ("GemmafitError",),
        "base.names": ("Verdict",),
        "pipeline": (
            "Incomplete",
            "check",
            "devices",
            "estimate",
            "read_capture",
            "read_report",
            "record",
            "write",
        ),
        "probes.capture": ("Capture",),
        "reports.report": ("Report",),
    }

    def __getattr__(name):
        """A name of the API, imported when it is first asked for (PEP 562)."""
        place = next((place for place, names in _PLACES.items() if name in names), None)
        if place is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f".{place}", __name__), name)
        globals()[name] = value  # the next time Python finds it by itself
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
