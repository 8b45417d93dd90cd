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
        binaries, version = manifest["binaries"], manifest["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolchainError(
            f"the agent's binaries are not there ({path}: {error})", hint=_REBUILD
        ) from error
    if version != __version__:
        raise ToolchainError(
            f"the agent's binaries are of version {version}, this is {__version__}", hint=_REBUILD
        )
    return dict(binaries)


def abis() -> tuple[str, ...]:
    """The ABIs there is a binary for, e.g. arm64-v8a, linux-x86_64. Raises ToolchainError."""
    return tuple(_manifest())


def binary(abi: str) -> Path:
    """The agent for `abi`, its SHA-256 checked. Raises ToolchainError if it is missing or altered."""
    rows = _manifest()
    if abi not in rows:
        raise ToolchainError(f"there is no agent for {abi} (only {', '.join(rows)})", hint=_REBUILD)
    path = BUILT / abi / "gemmafit-agent"
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ToolchainError(f"the agent for {abi} is missing: {error}", hint=_REBUILD) from error
    if found != rows[abi]["sha256"]:
        raise ToolchainError(f"{path} is not the file that was built (SHA-256 differs)", hint=_REBUILD)
    return path
