"""What a phone's own words about a file mean: the texts of errno, whoever prints them.

mksh (`sh: can't create X: Permission denied`), toybox (`mkdir: 'X': Permission denied`), toolbox (`mkdir
failed for X, Permission denied`), dash, and adbd's answers to a push (`couldn't create file: Permission
denied`, `remote secure_mkdirs failed: ...`) put different words around the same texts of the C library.
Android's programs are not translated. bionic, glibc and musl differ in a few texts; all are listed.
"""

from __future__ import annotations

import re

from ...base.errors import AgentCause

# The first that is found counts: a sentence that names two is about the first.
_TEXTS: tuple[tuple[str, AgentCause], ...] = (
    # Linkers, before they start a program that they cannot put together; their sentences quote other errors.
    (r"CANNOT LINK EXECUTABLE", AgentCause.CANNOT_LINK),
    (r"error while loading shared libraries", AgentCause.CANNOT_LINK),
    (r"symbol lookup error|cannot locate symbol", AgentCause.CANNOT_LINK),
    (r"only position independent executables", AgentCause.CANNOT_LINK),
    (r"No space left on device|Disk quota exceeded|Quota exceeded|File too large", AgentCause.NO_SPACE),
    (r"Read-only file ?system", AgentCause.READ_ONLY),
    (r"Required key not available|Key has (?:expired|been revoked)|Key was rejected", AgentCause.LOCKED),
    (r"Structure needs cleaning|Stale (?:NFS )?file handle|No such device", AgentCause.STORAGE),
    (r"Transport endpoint is not connected|Bad message|Media type", AgentCause.STORAGE),
    (r"Permission denied|Operation not permitted|Access denied", AgentCause.REFUSED),
    (r"Exec format error|cannot execute binary file", AgentCause.WRONG_ABI),
    # A shell that takes a program of another processor for a script, and quotes it.
    (r"\x7fELF|syntax error", AgentCause.WRONG_ABI),
    (r"not executable: \d+-bit|bad ELF magic|unexpected e_machine|is \d+-bit instead", AgentCause.WRONG_ABI),
    (r"(?:can't|cannot|couldn't) (?:v?fork|allocate memory)|Out of memory", AgentCause.NO_MEMORY),
    (r"Resource temporarily unavailable|Try again|Too many open files", AgentCause.NO_MEMORY),
    (r"No such file or directory|Directory nonexistent|nonexistent directory", AgentCause.NO_FOLDER),
    (r"Not a directory|Is a directory|Too many (?:levels of )?symbolic links", AgentCause.NO_FOLDER),
    (r"Symbolic link loop|inaccessible or not found", AgentCause.NO_FOLDER),
    (r"Input/output error|\bI/O error", AgentCause.STORAGE),
)
_ANY = re.compile("|".join(f"(?P<t{i}>{text})" for i, (text, _) in enumerate(_TEXTS)), re.IGNORECASE)
_LINKER = 4
"""The first rows of _TEXTS: they count wherever they stand."""


def complaint(text: str) -> AgentCause | None:
    """What a device's complaint is about; None where its words are not known.

    Only of the words themselves: whether a permission was missing to write or to execute, who asked knows.
    """
    linker: AgentCause | None = None
    first: AgentCause | None = None
    for found in _ANY.finditer(text):
        index = int((found.lastgroup or "t0")[1:])
        if index < _LINKER:
            linker = linker or _TEXTS[index][1]
        first = first or _TEXTS[index][1]
    return linker or first
