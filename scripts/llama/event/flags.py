"""The seven flags of an event: who may see it and where it may be sent."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.files import read_json, write_json

ROLES = ("test", "observation")
_BOOLEANS = {"true": True, "false": False}
DEFAULTS: dict[str, bool | str] = {
    "VETOED": False,  # true stops every result of this event; never a withdrawal
    "ROLE": "test",
    "UPLOAD": False,  # true permits publishing
    "BLINDED_NEUTRINOS": False,
    "MANUAL": False,
    "ONLINE": True,  # true permits requests to partners' servers
    "ICECUBE_UPLOAD": False,
}
# What a new event begins with; flags that are not named are at their default.
PRESETS: dict[str, dict[str, bool | str]] = {
    "TRIGGERED_TEST": {"ROLE": "test"},
    "TRIGGERED_INTERNAL": {"ROLE": "observation", "ICECUBE_UPLOAD": True},
    "TRIGGERED_PUBLIC": {"ROLE": "observation", "ICECUBE_UPLOAD": True, "UPLOAD": True},
}


def check_flags(flags: Any, where: str) -> dict[str, bool | str]:
    """Return all seven flags, missing ones at their default; `LlamaError` names a wrong one."""
    if not isinstance(flags, Mapping):
        raise LlamaError(f"{where} is not a JSON object; write it like {{'ROLE': 'test'}}")
    for name, value in flags.items():
        if name not in DEFAULTS:
            raise LlamaError(f"{where} has an unknown flag {name!r}; known: {', '.join(DEFAULTS)}")
        if name == "ROLE" and value not in ROLES:
            raise LlamaError(f"{where} has ROLE={value!r}; use {' or '.join(ROLES)}")
        if name != "ROLE" and not isinstance(value, bool):
            raise LlamaError(f"{where} has {name}={value!r}; use true or false")
    return {**DEFAULTS, **flags}


def read_flags(event_dir: Path) -> dict[str, bool | str]:
    """Return the flags of the event directory; `LlamaError` when the file is missing or wrong."""
    path = event_dir / "flags.json"
    return check_flags(read_json(path), str(path))


def write_flags(event_dir: Path, flags: Mapping[str, bool | str]) -> None:
    """Write the flags of the event directory, missing ones at their default."""
    path = event_dir / "flags.json"
    write_json(path, check_flags(flags, str(path)))


def parse_changes(words: Sequence[str]) -> dict[str, bool | str]:
    """Return the flags that `NAME=VALUE` words and names of presets set; later words win.

    A preset sets all seven; `LlamaError` for a word that is neither.
    """
    changes: dict[str, bool | str] = {}
    for word in words:
        if word in PRESETS:
            changes |= {**DEFAULTS, **PRESETS[word]}
            continue
        name, equals, text = word.partition("=")
        if not equals:
            raise LlamaError(
                f"{word[:40]!r} is no flag; give NAME=VALUE or one of {', '.join(PRESETS)}"
            )
        changes[name] = text if name == "ROLE" else _BOOLEANS.get(text.lower(), text)
    check_flags(changes, "the command line")
    return changes


def change_flags(event_dir: Path, changes: Mapping[str, bool | str]) -> bool:
    """Set flags of the event directory; return whether that changed any."""
    before = read_flags(event_dir)
    after = {**before, **changes}
    if after != before:
        write_flags(event_dir, after)
    return after != before
