"""The flags of an event: who may see it and where it may be sent."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import msgspec

from llama.errors import LlamaError
from llama.files import read_json, write_json

ROLES = ("test", "observation")
METHODS = ("auto", "class", "map")
_BOOLEANS = {"true": True, "false": False}


class Flags(TypedDict):
    """All flags; `ROLE` is one of `ROLES`, `P_VALUE` one of `METHODS`."""

    VETOED: bool  # true stops every result of this event; never a withdrawal
    ROLE: str
    UPLOAD: bool  # true permits publishing
    BLINDED_NEUTRINOS: bool
    MANUAL: bool
    ONLINE: bool  # true permits requests to partners' servers
    ICECUBE_UPLOAD: bool
    P_VALUE: str  # what the p-value is from: its class, its own map, or the class if there is one


DEFAULTS = Flags(
    VETOED=False,
    ROLE="test",
    UPLOAD=False,
    BLINDED_NEUTRINOS=False,
    MANUAL=False,
    ONLINE=True,
    ICECUBE_UPLOAD=False,
    P_VALUE="auto",
)
_WORDS = {"ROLE": ROLES, "P_VALUE": METHODS}
# What a new event begins with.
PRESETS: dict[str, Flags] = {
    "TRIGGERED_TEST": DEFAULTS,
    "TRIGGERED_INTERNAL": {**DEFAULTS, "ROLE": "observation", "ICECUBE_UPLOAD": True},
    "TRIGGERED_PUBLIC": {**DEFAULTS, "ROLE": "observation", "ICECUBE_UPLOAD": True, "UPLOAD": True},
}


def check_flags(flags: object, where: str) -> Flags:
    """Return all flags, missing ones at their default; `LlamaError` names a wrong one."""
    if not isinstance(flags, Mapping):
        raise LlamaError(f"{where} is not a JSON object; write it like {{'ROLE': 'test'}}")
    for name, value in flags.items():
        if name not in DEFAULTS:
            raise LlamaError(f"{where} has an unknown flag {name!r}; known: {', '.join(DEFAULTS)}")
        if name in _WORDS and value not in _WORDS[name]:
            raise LlamaError(f"{where} has {name}={value!r}; use {' or '.join(_WORDS[name])}")
        if name not in _WORDS and not isinstance(value, bool):
            raise LlamaError(f"{where} has {name}={value!r}; use true or false")
    return msgspec.convert({**DEFAULTS, **flags}, Flags)


def read_flags(event_dir: Path) -> Flags:
    """Return the flags of the event directory; `LlamaError` when the file is missing or wrong."""
    path = event_dir / "flags.json"
    return check_flags(read_json(path), str(path))


def write_flags(event_dir: Path, flags: Mapping[str, object]) -> None:
    """Write the flags of the event directory, missing ones at their default."""
    path = event_dir / "flags.json"
    write_json(path, check_flags(flags, str(path)))


def parse_changes(words: Sequence[str]) -> dict[str, object]:
    """Return the flags that `NAME=VALUE` words and names of presets set; later words win.

    A preset sets all of them; `LlamaError` for a word that is neither.
    """
    changes: dict[str, object] = {}
    for word in words:
        if word in PRESETS:
            changes |= PRESETS[word]
            continue
        name, equals, text = word.partition("=")
        if not equals:
            raise LlamaError(
                f"{word[:40]!r} is no flag; give NAME=VALUE or one of {', '.join(PRESETS)}"
            )
        changes[name] = text if name in _WORDS else _BOOLEANS.get(text.lower(), text)
    check_flags(changes, "the command line")
    return changes


def change_flags(event_dir: Path, changes: Mapping[str, object]) -> bool:
    """Set flags of the event directory; return whether that changed any."""
    before = read_flags(event_dir)
    after = check_flags({**before, **changes}, "the command line")
    if after != before:
        write_flags(event_dir, after)
    return after != before
