"""The outbox: what is sent is on disk before it goes, and goes once.

In `outbox/<channel>/` of the event directory, for the n-th message:

    n.json          what is sent, byte for byte
    n.intent.json   that it is about to be sent; written, and on disk, before anything goes out
    n.receipt.json  the remote id; or, under `given_up`, why it was never sent

An intent without receipt is looked up at the remote, by the key that every message carries. Found,
it is completed; otherwise the very same bytes are sent, but not while the message may still be on
its way.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from msgspec.structs import asdict

from llama.errors import LlamaError
from llama.event import messages
from llama.event.messages import About, Entry, Intent, MessageKind
from llama.files import dump_json, sha256_bytes, sync_directory, write_bytes
from llama.locks import locked
from llama.settings.places import place

# After so long [s] a message that the remote does not have will not come any more: longer than any
# channel waits for an answer, and than remotes take until they show what they took.
SETTLE_S = 60.0
STATUS: dict[MessageKind, str] = {"new": "sent", "update": "updated", "withdrawal": "withdrawn"}


class NotSentError(LlamaError):
    """The remote has certainly not taken the message; it may be sent again at once."""


@dataclass(frozen=True)
class Post:
    """One message: the key by which the remote can be asked for it, and what it refers to.

    `kind` is new, update or withdrawal; `refers_to` the remote id of the first message about the
    event at this destination; `since` [Unix s] when it was prepared; `tried` whether it may have
    been sent before.
    """

    key: str
    kind: MessageKind
    refers_to: str | None
    payload: bytes
    since: float
    tried: bool


@dataclass(frozen=True)
class Found:
    """A message that the remote has; not `whole` when something that goes with it is missing."""

    remote_id: str
    whole: bool = True


class Channel(Protocol):
    """A way out. Every error is a `LlamaError` without secrets; nothing is sent twice by itself."""

    def find(self, post: Post) -> Found | None:
        """Look for a message at the remote."""

    def send(self, post: Post) -> str:
        """Send what is not there yet, and return the remote id.

        `NotSentError` when the remote has certainly taken nothing of it.
        """


@dataclass(frozen=True)
class Message:
    """What is to be said: about which content, and how, once key and kind are known."""

    content_sha256: str
    about: About
    withdrawal: bool
    build: Callable[[str, str, str | None], bytes]  # key, kind, refers_to


class Outbox:
    """The messages of one event by one channel to one destination."""

    def __init__(self, event_dir: Path, name: str, destination: str) -> None:
        self.directory = event_dir / "outbox" / name
        self.name, self.destination = name, destination
        self._place = place(name, destination)

    def entries(self) -> list[Entry]:
        """Return every message of the channel, oldest first: intent and receipt as one."""
        return messages.entries(self.directory)

    def delivered(self) -> list[Entry]:
        """Return the messages that this destination has."""
        return [entry for entry in self._mine() if entry.remote_id is not None]

    def pending(self) -> Entry | None:
        """Return the message to this destination that may or may not have been sent."""
        mine = self._mine()
        return mine[-1] if mine and mine[-1].is_open else None

    def _mine(self) -> list[Entry]:
        return [e for e in self.entries() if place(self.name, e.destination) == self._place]

    def next_kind(self, content_sha256: str, withdrawal: bool) -> MessageKind | None:
        """Return the kind of the message that is due after those delivered, None if none is."""
        sent = self.delivered()
        if withdrawal:
            return "withdrawal" if sent and sent[-1].kind != "withdrawal" else None
        if not sent:
            return "new"
        last = sent[-1]
        repeats = last.content_sha256 == content_sha256 and last.kind != "withdrawal"
        return None if repeats else "update"

    def locked(self) -> AbstractContextManager[None]:
        """Be the only one who sends for this event by this channel."""
        return locked(self.directory)

    def deliver(self, channel: Channel, message: Message) -> None:
        """Bring the destination up to date; call it inside `locked`.

        `LlamaError` when the remote could not be asked or did not answer; the next call then
        finds out what became of the message.
        """
        pending = self.pending()
        if pending and self._is_there(channel, pending, self._is_due(pending, message)):
            pending = None
        if pending and not self._is_due(pending, message):
            self._finish(pending, {"given_up": "it was not sent, and is no longer what to say"})
            pending = None
        kind = self.next_kind(message.content_sha256, message.withdrawal)
        if kind is None:
            return
        entry = pending or self._prepare(message, kind)
        # a new message, too, may be there: sent from a directory that is gone
        if pending or not self._is_there(channel, entry, is_due=True):
            self._send(channel, entry)

    def note_withdrawal(self, message: Message) -> None:
        """Note that a human has withdrawn what the destination has; call it inside `locked`."""
        if pending := self.pending():
            self._finish(pending, {"given_up": "it was withdrawn by hand"})
        self._finish(
            self._prepare(message, "withdrawal"),
            {"remote_id": "by hand", "sent_at": _iso(time.time())},
        )

    def _is_due(self, pending: Intent, message: Message) -> bool:
        kind = self.next_kind(message.content_sha256, message.withdrawal)
        return (kind, message.content_sha256) == (pending.kind, pending.content_sha256)

    def _is_there(self, channel: Channel, entry: Intent, is_due: bool) -> bool:
        """Write the receipt of a message that the remote has; refuse to guess too early.

        What is missing of a message is sent as long as that is due, and only then.
        """
        found = channel.find(self._post(entry))
        if found and (found.whole or not is_due):
            sent_at = _iso(entry.tried_at or time.time())
            self._finish(entry, {"remote_id": found.remote_id, "sent_at": sent_at})
            return True
        age_s = time.time() - entry.tried_at if entry.tried_at else SETTLE_S
        if age_s < 0:  # the clock was put back: how long ago it was tried is not known any more
            age_s = 0.0
            self._intend(entry, time.time())
        if age_s < SETTLE_S:
            raise LlamaError(
                f"a message to {self.destination} was sent {age_s:.0f} s ago without an answer, "
                f"and {self.name} does not show it yet; run the same command again in "
                f"{SETTLE_S - age_s:.0f} s"
            )
        return False

    def _prepare(self, message: Message, kind: MessageKind) -> Intent:
        """Write payload and intent of a new message; nothing has been tried yet."""
        number = max([entry.n for entry in self.entries()], default=0) + 1
        sent = self.delivered()
        refers_to = sent[0].remote_id if sent else None
        identity = [self.name, self._place, number, kind, message.content_sha256]
        key = sha256_bytes(dump_json(identity).encode())[:32]
        payload = message.build(key, kind, refers_to)
        self._write(f"{number}.json", payload)
        intent = Intent(
            **asdict(message.about),
            n=number,
            key=key,
            kind=kind,
            destination=self.destination,
            refers_to=refers_to,
            content_sha256=message.content_sha256,
            payload_sha256=sha256_bytes(payload),
            since=time.time(),
        )
        self._intend(intent, None)
        return intent

    def _intend(self, intent: Intent, tried_at: float | None) -> None:
        content = {name: getattr(intent, name) for name in Intent.__struct_fields__}
        content["tried_at"] = tried_at
        self._write(f"{intent.n}.intent.json", dump_json(content).encode())

    def _send(self, channel: Channel, entry: Intent) -> None:
        post = self._post(entry)
        self._intend(entry, time.time())
        try:
            remote_id = channel.send(post)
        except NotSentError:
            self._intend(entry, None)
            raise
        self._finish(entry, {"remote_id": remote_id, "sent_at": _iso(time.time())})

    def _post(self, entry: Intent) -> Post:
        path = self.directory / f"{entry.n}.json"
        payload = path.read_bytes() if path.exists() else b""
        if sha256_bytes(payload) != entry.payload_sha256:
            raise LlamaError(
                f"{path} is not what was to be sent; put it back, or delete its intent "
                "beside it once you know that it was not sent"
            )
        tried = entry.tried_at is not None
        return Post(entry.key, entry.kind, entry.refers_to, payload, entry.since, tried)

    def _finish(self, entry: Intent, receipt: dict[str, str]) -> None:
        self._write(f"{entry.n}.receipt.json", dump_json(receipt).encode())

    def _write(self, name: str, content: bytes) -> None:
        """Write a file whose name, too, is on disk before anything else happens."""
        write_bytes(self.directory / name, content)
        sync_directory(self.directory)


def _iso(unix_s: float) -> str:
    text = datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
