"""What an event's neutrino lists have held, so that data which come late are noticed."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from llama.files import dump_json, sha256_bytes

if TYPE_CHECKING:
    from llama.neutrinos.lists import NeutrinoList

_KEYS = ("gps", "ra", "dec", "sigma", "energy")


def remember(history: Path, graceid: str, made: "NeutrinoList") -> str | None:
    """Append a list to the file `history`, one JSON object per line.

    Return a sentence if the list before was complete and held other neutrinos.
    """
    before = _last(history)
    kind = made["source"].get("kind", made["source"].get("name"))
    blinded = any(event["type"] == "blinded" for event in made["events"])
    new = {str(event["id"]): _digest(event) for event in made["events"]}
    row = {
        "made_at": made["retrieved_at"],
        "complete": made["complete"],
        "window_state": made["window_state"],
        "source": "blinded" if blinded else kind,
        "neutrinos": new,
    }
    history.parent.mkdir(parents=True, exist_ok=True)
    with history.open("a+b") as stream:
        if stream.tell() and not _ends_whole(stream):
            stream.write(b"\n")
        stream.write(json.dumps(row, sort_keys=True, allow_nan=False).encode() + b"\n")
    if not before or not before["complete"] or before["source"] != row["source"]:
        return None
    old = before["neutrinos"]
    changes = {
        "new": sorted(new.keys() - old.keys()),
        "gone": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if new[name] != old[name]),
    }
    if not any(changes.values()):
        return None
    told = "; ".join(f"{what}: {', '.join(names)}" for what, names in changes.items() if names)
    return (
        f"late neutrino data for {graceid}: its list of {before['made_at']} was complete, now "
        f"there are other neutrinos ({told}); what depends on them is made again"
    )


def _ends_whole(stream: BinaryIO) -> bool:
    stream.seek(-1, os.SEEK_END)
    return stream.read(1) == b"\n"


def _digest(event: Mapping[str, object]) -> str:
    return sha256_bytes(dump_json([event[key] for key in _KEYS]).encode())[:12]


def _last(history: Path) -> Any:
    """Return the newest whole line, None if there is none."""
    if not history.exists():
        return None
    for line in reversed(history.read_text(encoding="utf-8", errors="replace").splitlines()):
        try:
            return json.loads(line)
        except ValueError:  # cut short when the disk was full
            continue
    return None
