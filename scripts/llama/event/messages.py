"""The messages of an event, as its outbox and receipts have them, and which of them still stand."""

import itertools
from pathlib import Path
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from llama.errors import LlamaError, printable
from llama.event.skymap_info import FILE_NAME, read_info
from llama.files import read_json
from llama.settings.places import place
from llama.typed import typed

MessageKind = Literal["new", "update", "withdrawal"]
_REMEDY = "put it back from a backup"


class About(Struct, frozen=True, kw_only=True):
    """What a message is about: event, alert, and whether it is for those who want real events."""

    graceid: str = ""
    notice: str = ""
    revision: int = 0
    audience: str = "test"


class Intent(About, frozen=True, kw_only=True):
    """The file `n.intent.json`; `since` and `tried_at` are Unix seconds."""

    n: int
    kind: MessageKind
    destination: str
    key: str = ""
    refers_to: str | None = None
    content_sha256: str = ""
    payload_sha256: str = ""
    since: float = 0.0
    tried_at: float | None = None


class Entry(Intent, frozen=True, kw_only=True):
    """An intent with its receipt; its outcome is unknown while all three are None."""

    remote_id: str | None = None
    sent_at: str | None = None
    given_up: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may or may not have been sent."""
        return self.remote_id is None and self.given_up is None


class Standing(Struct, frozen=True):
    """What has not been withdrawn at a place; `home` is the directory whose outbox has it.

    `sent_at` and `remote_id` are None where it is unknown whether a message arrived.
    """

    home: str
    channel: str
    audience: str
    destination: str
    sent_at: str | None
    remote_id: str | None


class Line(Struct, frozen=True, omit_defaults=True):
    """A message in the history of a receipt, with the keys of `Entry`."""

    n: int = 0
    key: str = ""
    kind: str = ""
    destination: str = ""
    audience: str = ""
    notice: str = ""
    revision: int | None = None
    payload_sha256: str = ""
    sent_at: str | None = None
    remote_id: str | None = None
    refers_to: str | UnsetType | None = UNSET
    given_up: str | None = None


class Receipt(Struct, frozen=True, kw_only=True):
    """The file `receipts/<channel>.json`: what has become of the event at a channel, and why.

    `status` is sent, updated, withdrawn or refused; `reasons` why it is refused; what follows is
    None unless the last message was sent.
    """

    channel: str
    destination: str | None = None
    audience: str = "test"
    status: str = ""
    reasons: list[str] = []
    sent_at: str | None = None
    remote_id: str | None = None
    payload_sha256: str | None = None
    revision: int | None = None
    notice: str | None = None
    history: list[Line] = []
    standing: list[Standing] = []

    @property
    def is_out(self) -> bool:
        """Whether the channel has the present result."""
        return self.status in ("sent", "updated")


def read_receipt(path: Path) -> Receipt:
    """Return a receipt; `LlamaError` names a file that is not one."""
    content = read_json(path)
    named = {"channel": path.stem} | content if isinstance(content, dict) else content
    return typed(named, Receipt, str(path), "move it away and run snakemake again")


def receipts(event_dir: Path) -> list[Receipt]:
    """Return the event's receipts, one per channel; a broken one says so as its status."""
    found = []
    for path in sorted((event_dir / "receipts").glob("*.json")):
        try:
            found.append(read_receipt(path))
        except LlamaError:
            found.append(Receipt(channel=path.stem, status="cannot be read"))
    return found


def entries(outbox: Path) -> list[Entry]:
    """Return every message in `outbox/<channel>`, oldest first; `LlamaError` for a broken one."""
    found = []
    for path in sorted(outbox.glob("[0-9]*.intent.json"), key=number):
        receipt = outbox / f"{number(path)}.receipt.json"
        parts = [read_json(path), read_json(receipt) if receipt.exists() else {}]
        both = parts[0] | parts[1] if all(isinstance(part, dict) for part in parts) else None
        found.append(typed(both, Entry, str(path), _REMEDY))
    return found


def waiting(event_dir: Path) -> list[str]:
    """Return the messages in the event's outbox that have no receipt: being sent, or cut off."""
    outbox = event_dir / "outbox"
    return sorted(
        str(path.relative_to(outbox)).removesuffix(".intent.json")
        for path in outbox.rglob("*.intent.json")
        if not path.with_name(path.name.replace(".intent.", ".receipt.")).exists()
    )


def homes(event_dir: Path) -> list[Path]:
    """Return where an event may have been published: its directory, and those of past runs."""
    run = event_dir.parent.resolve()
    past = run.parent.glob(f"past_runs/*/{event_dir.name}") if run.name == "current_run" else ()
    return [event_dir, *sorted(past)]


def standing(event_dir: Path, channel: str = "*") -> list[Standing]:
    """Return what has not been withdrawn: for each channel and place the last message there.

    Flags and settings change nothing here.
    """
    found = []
    places = [sorted(home.glob(f"outbox/{channel}")) for home in homes(event_dir)]
    for outbox in filter(Path.is_dir, itertools.chain(*places)):
        there: dict[str, list[Entry]] = {}
        for entry in entries(outbox):
            if entry.given_up is None:
                there.setdefault(place(outbox.name, entry.destination), []).append(entry)
        for messages in there.values():
            sent = [message for message in messages if message.remote_id is not None]
            stands = bool(sent) and sent[-1].kind != "withdrawal"
            doubtful = messages[-1].is_open and messages[-1].kind != "withdrawal"
            if stands or doubtful:
                last = sent[-1] if stands else messages[-1]
                where = (str(outbox.parents[1]), outbox.name, last.audience, last.destination)
                found.append(Standing(*where, last.sent_at, last.remote_id))
    return found


def owed(event_dir: Path) -> list[Standing]:
    """Return what stands of a retracted event; nothing of other events."""
    return standing(event_dir) if read_info(event_dir).retracted else []


def owed_words(event_dir: Path) -> list[str]:
    """Return where a retracted event still stands; nothing where the audit names a broken file."""
    try:
        return [printable(described(message), 200) for message in owed(event_dir)]
    except LlamaError:
        return []


def published_events(run_dir: Path) -> list[str]:
    """Return the ids of the events of a run that have an outbox, here or in a past run."""
    run = run_dir.resolve()
    past = run.parent.glob("past_runs/*/*/outbox") if run.name == "current_run" else ()
    names = {path.parent.name for path in (*run.glob("*/outbox"), *past)}
    return sorted(name for name in names if (run / name / FILE_NAME).exists())


def described(message: Standing) -> str:
    """Return a standing message in words."""
    where = f"{message.channel} {message.destination} ({message.audience})"
    if message.remote_id is None:
        return f"perhaps {where}, which has not answered"
    return f"{where}, as {message.remote_id}"


def number(path: Path) -> int:
    """Return the number of a message from the name of one of its files."""
    return int(path.name.partition(".")[0])
