"""Ids of GraceDB: which become directories, and which are of mock or test events."""

import re

from llama.errors import LlamaError

# Event ids of GraceDB (G real, M mock, T test, E external) and superevent ids. Lower-case
# letters only: two ids must never share a directory on a file system that ignores case.
GRACEID_PATTERN = r"(?:[GMTE][0-9]{1,10}|[MT]?S[0-9]{6}[a-z]{1,8})"


def check_graceid(text: object) -> str:
    """Return `text` when it is a GraceDB id that may name a directory; `LlamaError` otherwise."""
    if isinstance(text, str) and re.fullmatch(GRACEID_PATTERN, text):
        return text
    shown = str(text)
    shown = repr(shown[:40]) + ("..." if len(shown) > 40 else "")
    raise LlamaError(f"{shown} is not a GraceDB id; give one like S190425z, MS181101ab or G268562")


def is_mock(graceid: str) -> bool:
    """Tell whether an id belongs to a mock (M, MS) or test (T, TS) event."""
    return graceid[:1] in ("M", "T")
