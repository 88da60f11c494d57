"""Whether anything of an event went out twice, as far as its outbox and receipts tell."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from llama.audit.event import Finding, shown
from llama.errors import LlamaError
from llama.event.messages import Entry, Line, described, owed, read_receipt
from llama.files import sha256_file
from llama.publish.outbox import Outbox


def audit_messages(event_dir: Path, target: str) -> Iterator[Finding]:
    """Yield everything that is wrong with an event's messages; Snakemake calls it `target`."""
    yield from _owed(event_dir, target)
    outboxes = {path.name for path in (event_dir / "outbox").glob("*")}
    receipts = {path.stem for path in (event_dir / "receipts").glob("*.json")}
    for channel in sorted(outboxes | receipts):
        try:
            for sentence in list(_channel(event_dir, channel, target)):
                yield Finding(event_dir.name, "published", sentence)
        except LlamaError as error:
            yield Finding(
                event_dir.name,
                "published",
                f"outbox/{channel} cannot be read ({error}); put it back from a backup",
            )


def _owed(event_dir: Path, target: str) -> Iterator[Finding]:
    """Yield what still stands of a retracted event."""
    try:
        left = owed(event_dir)
    except LlamaError:
        return  # named by the audit of the event, or below
    for message in left:
        remedy = f"run: snakemake {target}"
        if message.channel == "circular":
            remedy = (
                "write the retraction as gcn_circular.txt, then run: llama publish "
                f"{event_dir.name} --circular-by-email"
            )
        sentence = f"the alert was retracted, but it still stands: {described(message)}; {remedy}"
        yield Finding(event_dir.name, "published", sentence)


def _channel(event_dir: Path, channel: str, target: str) -> Iterator[str]:
    directory = event_dir / "outbox" / channel
    messages = Outbox(event_dir, channel, "").entries()
    for message in messages:
        payload = directory / f"{message.n}.json"
        if not payload.exists() or sha256_file(payload) != message.payload_sha256:
            yield f"not as sent: outbox/{channel}/{payload.name}; put it back from a backup"
        if message.is_open:
            yield (
                f"whether {channel} has sent message {message.n} is not known; "
                f"it is asked and completed by: snakemake {target}"
            )
    sent = [message for message in messages if message.remote_id is not None]
    for destination in sorted({message.destination for message in sent}):
        there = [message for message in sent if message.destination == destination]
        for first, second in _repeated(there):
            yield (
                f"{channel} has told {destination} the same twice, as {first.remote_id} and "
                f"{second.remote_id}; take the second one back there"
            )
    receipt = event_dir / "receipts" / f"{channel}.json"
    if receipt.exists():
        yield from _compared(channel, read_receipt(receipt).history, messages, target)


def _repeated(sent: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Yield each two messages of which the second had nothing new to say."""
    for first, second in itertools.pairwise(sent):
        withdrawals = [message.kind == "withdrawal" for message in (first, second)]
        same = first.content_sha256 == second.content_sha256
        if all(withdrawals) or (same and not any(withdrawals)):
            yield first, second


def _compared(
    channel: str,
    history: Sequence[Line],
    messages: Sequence[Entry],
    target: str,
) -> Iterator[str]:
    """Compare the receipt with the outbox, which must never know less."""
    told = [(line.n, line.destination, line.remote_id) for line in history]
    known = [(message.n, message.destination, message.remote_id) for message in messages]
    lost = [str(entry[0]) for entry in told if entry not in known and entry[2] is not None]
    if lost:
        yield (
            f"outbox/{channel} has lost message {shown(lost)}, which may be sent again; "
            "put it back from a backup"
        )
    elif told != known:
        yield (
            f"receipts/{channel}.json does not have every message; "
            f"delete it, then run: snakemake {target}"
        )
