"""The `GLES:` line of `dumpsys SurfaceFlinger`: GL_VENDOR, GL_RENDERER, GL_VERSION joined by commas."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ...base import limits
from .text import ParseError, lines, name


@dataclass(frozen=True)
class GlesStrings:
    """The three GL strings as the driver states them; None where one is empty.

    Attributes:
        others: what further lines of this form said, which SurfaceFlinger did not write.
    """

    vendor: str | None
    renderer: str | None
    version: str | None
    others: tuple[str, ...] = ()


_LINE = "GLES: "
_MARK = "EGL implementation"
"""How the line begins that SurfaceFlinger writes before it (from Android 5 on), with one of EGL extensions
between them that is not kept in captures. Source: AOSP SurfaceFlinger.cpp, GLESRenderEngine.cpp,
SkiaGLRenderEngine.cpp."""
# ", Inc.", ", Ltd.", ", LLC": the comma inside a company's name, not the one after it.
_COMPANY = re.compile(r"(?:[^,(]|\([^)]*\)|,\s*(?:Inc|Ltd|LLC|Corp|Co)\b\.?)*")


def parse_gles(text: str) -> GlesStrings:
    """The GLES line that SurfaceFlinger wrote.

    Names of layers, which apps choose, stand in the same dump, indented or within a line; one with a line
    break in it may look like this line. Where several differ, the one after the mark counts. Where that does
    not decide, none does: a GPU taken from an app's words would be worse than none, and other sources name
    it.

    Renderers hold commas (`ANGLE (ARM, Vulkan 1.3.260 (...), ...)`) and so do vendors (`VMware, Inc.`,
    `Samsung Electronics Co., Ltd.`). The version always begins with `OpenGL ES`; the vendor ends at the
    first comma that is neither inside parentheses nor part of a company's name.
    """
    said: dict[str, bool] = {}
    before = ["", ""]
    for line in lines(text):
        if line.startswith(_LINE):
            words = line.removeprefix(_LINE).rstrip()
            if words in said or len(said) < limits.FEW:
                marked = any(other.startswith(_MARK) for other in before)
                said[words] = said.get(words, False) or marked
            before = ["", ""]  # one mark, one line
            continue
        before = [before[1], line]
    if not said:
        raise ParseError("no `GLES: ` line in SurfaceFlinger's dump")
    right = [words for words, marked in said.items() if marked] or list(said)
    if len(right) > 1:
        quoted = " and ".join(repr(words[: limits.QUOTE_CHARS]) for words in right[:2])
        raise ParseError(f"{len(right)} different `GLES: ` lines in SurfaceFlinger's dump: {quoted}")
    others = tuple(words[: limits.NAME_CHARS] for words in said if words != right[0])
    return replace(_split(right[0]), others=others)


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
