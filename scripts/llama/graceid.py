"""Names of events: ids of GraceDB, which of them are mock or test events, and catalogues' names."""

import re

from llama.errors import LlamaError

# Event ids of GraceDB (G real, M mock, T test, E external) and superevent ids. Lower-case
# letters only: two ids must never share a directory on a file system that ignores case.
GRACEID_PATTERN = r"(?:[GMTE][0-9]{1,10}|[MT]?S[0-9]{6}[a-z]{1,8})"
# Catalogues name an event by its date and, since GWTC-2, its time: GW150914, GW200219_094415.
CATALOGUE_PATTERN = r"GW[0-9]{6}(?:_[0-9]{6})?"
EVENT_PATTERN = rf"(?:{GRACEID_PATTERN}|{CATALOGUE_PATTERN})"


def check_graceid(text: object) -> str:
    """Return `text` when it is a GraceDB id that may name a directory; `LlamaError` otherwise."""
    return _checked(text, GRACEID_PATTERN, "S190425z, MS181101ab or G268562")


def check_event_name(text: object) -> str:
    """Return `text` when it is an id of GraceDB or a catalogue's name; `LlamaError` otherwise."""
    return _checked(text, EVENT_PATTERN, "S190425z, or a catalogue's name like GW200219_094415")


def _checked(text: object, pattern: str, examples: str) -> str:
    if isinstance(text, str) and re.fullmatch(pattern, text):
        return text
    shown = str(text)
    shown = repr(shown[:40]) + ("..." if len(shown) > 40 else "")
    raise LlamaError(f"{shown} is not a GraceDB id; give one like {examples}")


def is_mock(graceid: str) -> bool:
    """Tell whether an id belongs to a mock (M, MS) or test (T, TS) event."""
    return graceid[:1] in ("M", "T")


def is_of_catalogue(name: str) -> bool:
    """Tell whether a name is that of a catalogue, which nobody was alerted to by it."""
    return re.fullmatch(CATALOGUE_PATTERN, name) is not None
