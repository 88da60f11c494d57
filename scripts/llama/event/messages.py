"""The messages that an event has sent, and which of them still stand."""

from pathlib import Path
from typing import Any

from llama.errors import LlamaError, printable
from llama.event.skymap_info import FILE_NAME, read_info
from llama.files import read_json
from llama.settings.places import place

_NEEDED = {"n", "kind", "destination"}


def entries(outbox: Path) -> list[dict[str, Any]]:
    """Return every message in `outbox/<channel>`, oldest first: intent and receipt as one.

    `LlamaError` names a file that is not one.
    """
    found = []
    for path in sorted(outbox.glob("[0-9]*.intent.json"), key=number):
        receipt = outbox / f"{number(path)}.receipt.json"
        parts = [read_json(path), read_json(receipt) if receipt.exists() else {}]
        if not all(isinstance(part, dict) for part in parts) or _NEEDED - parts[0].keys():
            raise LlamaError(f"{path} is not a message of LLAMA; put it back from a backup")
        found.append(parts[0] | parts[1])
    return found


def homes(event_dir: Path) -> list[Path]:
    """Return where an event may have been published: its directory, and those of past runs."""
    run = event_dir.parent.resolve()
    past = run.parent.glob(f"past_runs/*/{event_dir.name}") if run.name == "current_run" else ()
    return [event_dir, *sorted(past)]


def standing(event_dir: Path, channel: str = "*") -> list[dict[str, Any]]:
    """Return what has not been withdrawn: for each channel and place the last message there.

    Each has `home` (the directory whose outbox has it, see `homes`), `channel`, `destination`,
    `audience` (real or test), `sent_at` and `remote_id`, both null where nobody knows whether a
    message has arrived. Flags and settings change nothing here.
    """
    found = []
    for outbox in [path for home in homes(event_dir) for path in _outboxes(home, channel)]:
        there: dict[str, list[dict[str, Any]]] = {}
        for entry in entries(outbox):
            if "given_up" not in entry:
                there.setdefault(place(outbox.name, entry["destination"]), []).append(entry)
        for messages in there.values():
            sent = [message for message in messages if "remote_id" in message]
            stands = bool(sent) and sent[-1]["kind"] != "withdrawal"
            doubtful = "remote_id" not in messages[-1] and messages[-1]["kind"] != "withdrawal"
            if stands or doubtful:
                last = sent[-1] if stands else messages[-1]
                found.append(
                    {"home": str(outbox.parents[1]), "channel": outbox.name}
                    | {"audience": last.get("audience", "test")}
                    | {key: last.get(key) for key in ("destination", "sent_at", "remote_id")}
                )
    return found


def owed(event_dir: Path) -> list[dict[str, Any]]:
    """Return what stands of a retracted event; nothing of other events."""
    return standing(event_dir) if read_info(event_dir)["retracted"] else []


def owed_words(event_dir: Path) -> list[str]:
    """Return where a retracted event still stands; nothing where the audit names a broken file."""
    try:
        return [printable(described(message), 200) for message in owed(event_dir)]
    except LlamaError:
        return []


def waiting(event_dir: Path) -> list[str]:
    """Return the messages in the event's outbox that have no receipt: being sent, or cut off."""
    outbox = event_dir / "outbox"
    return sorted(
        str(path.relative_to(outbox)).removesuffix(".intent.json")
        for path in outbox.rglob("*.intent.json")
        if not path.with_name(path.name.replace(".intent.", ".receipt.")).exists()
    )


def published_events(run_dir: Path) -> list[str]:
    """Return the ids of the events of a run that have an outbox, here or in a past run."""
    run = run_dir.resolve()
    past = run.parent.glob("past_runs/*/*/outbox") if run.name == "current_run" else ()
    names = {path.parent.name for path in (*run.glob("*/outbox"), *past)}
    return sorted(name for name in names if (run / name / FILE_NAME).exists())


def _outboxes(home: Path, channel: str) -> list[Path]:
    return sorted(path for path in (home / "outbox").glob(channel) if path.is_dir())


def described(message: dict[str, Any]) -> str:
    """Return a standing message in words."""
    where = f"{message['channel']} {message['destination']} ({message['audience']})"
    if message["remote_id"] is None:
        return f"perhaps {where}, which has not answered"
    return f"{where}, as {message['remote_id']}"


def number(path: Path) -> int:
    """Return the number of a message from the name of one of its files."""
    return int(path.name.partition(".")[0])
