"""The C program that runs on the phone, and its compiled binaries.

`build.py` compiles `src/` for every ABI when the package is built; a wheel carries the result.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from .. import __version__
from ..base.errors import ToolchainError

BUILT = Path(__file__).resolve().parent / "built"
_REBUILD = (
    "In a checkout: `pip install ziglang`, then `python -m gemmafit.agent.build`; else reinstall gemmafit."
)


def _manifest() -> dict[str, dict[str, object]]:
    path = BUILT / "manifest.json"
    try:
        manifest = json.loads(path.read_text("utf-8"))
        binaries, version = dict(manifest["binaries"]), manifest["version"]
    except FileNotFoundError as error:
        raise ToolchainError("this gemmafit was built without any agent", hint=_REBUILD) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolchainError(
            f"the list of this gemmafit's agents cannot be read ({type(error).__name__})", hint=_REBUILD
        ) from error
    if version != __version__:
        raise ToolchainError(
            f"this gemmafit's agents are of version {version}, it is {__version__}", hint=_REBUILD
        )
    return binaries


def abis() -> tuple[str, ...]:
    """The ABIs there is a binary for, e.g. arm64-v8a, linux-x86_64. Raises ToolchainError."""
    return tuple(_manifest())


def binary(abi: str) -> Path:
    """The agent for `abi`, its SHA-256 checked. Raises ToolchainError if it is missing or altered.

    What it says goes into captures, which are passed on: no path of this computer is in it.
    """
    without = f"this gemmafit was built without the agent for {abi}"
    try:
        row = _manifest().get(abi)
    except ToolchainError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise ToolchainError(without, hint=_REBUILD) from error
        raise
    if row is None:
        raise ToolchainError(without, hint=_REBUILD)
    path = BUILT / abi / "gemmafit-agent"
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise ToolchainError(without, hint=_REBUILD) from error
    except OSError as error:
        raise ToolchainError(
            f"this gemmafit's agent for {abi} cannot be read: {error.strerror}", hint=_REBUILD
        ) from error
    if found != row.get("sha256"):
        raise ToolchainError(
            f"this gemmafit's agent for {abi} is not the file that was built (SHA-256 differs)", hint=_REBUILD
        )
    return path
