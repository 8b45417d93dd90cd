"""The `GLES:` line of `dumpsys SurfaceFlinger`: GL_VENDOR, GL_RENDERER, GL_VERSION joined by commas."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .text import ParseError, lines, name


@dataclass(frozen=True)
class GlesStrings:
    """The three GL strings as the driver states them; None where one is empty."""

    vendor: str | None
    renderer: str | None
    version: str | None


_LINE = re.compile(r"\s*GLES:\s?(.*)\Z")
# ", Inc.", ", Ltd.", ", LLC": the comma inside a company's name, not the one after it.
_COMPANY = re.compile(r"(?:[^,(]|\([^)]*\)|,\s*(?:Inc|Ltd|LLC|Corp|Co)\b\.?)*")


def parse_gles(text: str) -> GlesStrings:
    """The first GLES line.

    Renderers hold commas (`ANGLE (ARM, Vulkan 1.3.260 (...), ...)`) and so do vendors (`VMware, Inc.`,
    `Samsung Electronics Co., Ltd.`). The version always begins with `OpenGL ES`; the vendor ends at the
    first comma that is neither inside parentheses nor part of a company's name.
    """
    for line in lines(text):
        found = _LINE.match(line)
        if found:
            return _split(found[1])
    raise ParseError("no `GLES:` line in SurfaceFlinger's dump")


def _split(joined: str) -> GlesStrings:
    found = _version_start(joined)
    version = name(joined[found:].lstrip(", ")) if found is not None else None
    rest = joined[:found] if found is not None else joined
    vendor_end = _COMPANY.match(rest)
    cut = vendor_end.end() if vendor_end else len(rest)
    vendor, renderer = rest[:cut], rest[cut:]
    return GlesStrings(name(vendor), name(renderer.lstrip(", ")), version)


def _version_start(joined: str) -> int | None:
    """Where the version begins: the last `, OpenGL ES <digit>` outside parentheses, else the last at all.

    Not the first: in `Google, OpenGL ES 2.0 (GeForce GTX 650/PCIe/SSE2), OpenGL ES 2.0` it is the renderer.
    """
    depth, outside, last = 0, None, None
    for found in re.finditer(r"[()]|,\s*OpenGL ES(?:-C[ML])? \d", joined):
        if found[0] == "(":
            depth += 1
        elif found[0] == ")":
            depth = max(0, depth - 1)
        else:
            last = found.start()
            outside = last if depth == 0 else outside
    return last if outside is None else outside
