"""From an event to its receipts: may it go, where, what is due, and what became of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec import convert, to_builtins
from msgspec.structs import replace

from llama.errors import LlamaError, printable
from llama.event.messages import Line, Receipt, described, homes, standing
from llama.event.skymap_info import read_info
from llama.event.vetoes import Facts, Terms, not_real, read_facts, vetoes
from llama.files import write_json
from llama.publish import gracedb_log, icecube_files, kafka_notice, slack, webhook
from llama.publish.outbox import STATUS, Channel, Message, Outbox
from llama.publish.result import Result, read_result
from llama.settings.model import Settings
from llama.settings.places import place

Places = Mapping[str, str | None]  # the settings' real and test destination


@dataclass(frozen=True)
class Kind:
    """A kind of channel: what it asks for, how its messages are made, how it is opened.

    `content` returns what changes when there is something new to say.
    """

    terms: Terms
    build: Callable[[Result, str, str, str | None], bytes]
    open: Callable[[str], Channel]
    content: Callable[[Result], str] = Result.sha256


CHANNELS: dict[str, Kind] = {
    "slack": Kind(Terms(final=False), slack.build, slack.Slack),
    "gracedb": Kind(Terms(), gracedb_log.build, gracedb_log.GraceDBLog),
    "gcn": Kind(Terms(), kafka_notice.build, kafka_notice.KafkaNotice),
    "icecube": Kind(
        Terms(flag="ICECUBE_UPLOAD", online=False), icecube_files.build, icecube_files.IceCubeFiles
    ),
    "webhook": Kind(Terms(final=False), webhook.build, webhook.Webhook),
}


def destinations(settings: Settings, channel: str) -> dict[str, str | None]:
    """Return the real and the test destination of a channel, None where the settings have none."""
    found: dict[str, str | None] = {}
    for audience in ("real", "test"):
        place = getattr(getattr(settings.publish, audience), channel)
        domain = f"{settings.listen.domain}/" if channel == "gcn" else ""
        found[audience] = None if place is None else f"{domain}{place}"
    return found


@dataclass(frozen=True)
class Plan:
    """What would happen: `kind` is new, update, withdrawal or None; `reasons` are why not."""

    channel: str
    real: bool
    destination: str | None
    kind: str | None
    pending: bool
    reasons: tuple[str, ...]


def plan(event_dir: Path, channel: str, places: Places) -> list[Plan]:
    """Return what publishing an event by a channel would do, one plan per destination; asks nobody.

    `LlamaError` for files that are missing, broken or outdated.
    """
    if read_info(event_dir).retracted:
        plans = [
            Plan(channel, real, box.destination, "withdrawal", box.pending() is not None, ())
            for box, real in to_withdraw(event_dir, channel, places)
        ]
        if plans:
            return plans
        last = _receipt(event_dir, channel, None, False, [])
        real, why = last.audience == "real", tuple(last.reasons)
        return [Plan(channel, real, last.destination, None, False, why)]
    facts = read_facts(event_dir)
    real, destination, reasons = _verdict(facts, CHANNELS[channel].terms, places)
    if reasons or destination is None:
        return [Plan(channel, real, destination, None, False, tuple(reasons))]
    outbox = Outbox(event_dir, channel, destination)
    kind = outbox.next_kind(read_result(event_dir, real).sha256(), withdrawal=False)
    return [Plan(channel, real, destination, kind, outbox.pending() is not None, ())]


def _verdict(facts: Facts, terms: Terms, places: Places) -> tuple[bool, str | None, list[str]]:
    """Return whether the event is real, its destination, and every reason against sending."""
    signs = not_real(facts)
    audience = "test" if signs else "real"
    destination, reasons = places[audience], vetoes(facts, terms, not signs)
    if destination is None:
        reasons = [f"there is no destination for {audience} events in the settings", *reasons]
        reasons += [f"it counts as a test because {sign}" for sign in signs]
    return not signs, destination, reasons


def publish(
    event_dir: Path,
    channel: str,
    places: Places,
    kind: Kind | None = None,
    made_under: Mapping[str, object] | None = None,
) -> Receipt:
    """Publish what is due, and return the receipt; `kind` is given for none of `CHANNELS`.

    made_under: flags under which the products were made, where others would have made others.

    A retracted event is withdrawn wherever it stands.
    `LlamaError` when a remote does not answer; the next call takes up from there.
    """
    kind = kind or CHANNELS[channel]
    if read_info(event_dir).retracted:
        _withdraw(event_dir, channel, places, kind)
        return _receipt(event_dir, channel, None, False, [])
    facts = read_facts(event_dir)
    real, destination, reasons = _verdict(facts, kind.terms, places)
    if destination is not None and not reasons:
        outbox = Outbox(event_dir, channel, destination)
        with outbox.locked():
            # what stood in the files before the lock was there may have changed
            facts = read_facts(event_dir)
            flags = {name: facts.flags[name] for name in made_under or ()}
            is_changed = flags != (made_under or {})
            if is_changed or (real, destination, []) != _verdict(facts, kind.terms, places):
                raise LlamaError(f"{event_dir} has just changed; run the same command again")
            outbox.deliver(kind.open(destination), _message(kind, read_result(event_dir, real)))
    return _receipt(event_dir, channel, destination, real, reasons)


def to_withdraw(event_dir: Path, channel: str, places: Places) -> list[tuple[Outbox, bool]]:
    """Return the outboxes of what stands, spelled as the settings do, and whether it was real."""
    spelled = {place(channel, known): known for known in places.values() if known is not None}
    return [
        (
            Outbox(Path(message.home), channel, spelled.get(place(channel, to), to)),
            message.audience == "real",
        )
        for message in standing(event_dir, channel)
        for to in (message.destination,)
    ]


def _withdraw(event_dir: Path, channel: str, places: Places, kind: Kind) -> None:
    """Withdraw a retracted event at every destination of a channel that has it.

    Neither flags nor settings stand in the way. `LlamaError`, once all were tried, names those
    that were not reached.
    """
    left = []
    for outbox, real in to_withdraw(event_dir, channel, places):
        try:
            with outbox.locked():
                info = read_info(event_dir)
                if not info.retracted:
                    raise LlamaError(f"{event_dir} has just changed; run the same command again")
                # a retraction that came first in this run knows no time
                earlier = read_info(outbox.directory.parents[1])
                info = replace(
                    info,
                    event_time=info.event_time or earlier.event_time,
                    gps_time=earlier.gps_time if info.gps_time is None else info.gps_time,
                )
                message = _message(kind, Result(event_dir, info, real))
                outbox.deliver(kind.open(outbox.destination), message)
        except LlamaError as error:
            left.append(
                f"{event_dir.name} was retracted, and its withdrawal has not reached {channel} "
                f"{outbox.destination} ({'real' if real else 'test'}): {error}"
            )
            if outbox.destination not in places.values():
                left[-1] += (
                    "; the settings do not have this destination any more: give the secrets that "
                    "reached it, or withdraw it there yourself and run: llama publish "
                    f"{event_dir.name} --withdrawn-by-hand '{outbox.destination}'"
                )
    if left:
        raise LlamaError("; ".join(left))


def note_withdrawal(event_dir: Path, destination: str) -> list[str]:
    """Note that a human has withdrawn a retracted event at a destination; return the channels.

    `LlamaError` when the event was not retracted, or nothing stands there.
    """
    info, left = read_info(event_dir), standing(event_dir)
    if not info.retracted:
        raise LlamaError(f"{event_dir.name} was not retracted; withdraw only what was")
    found = [
        message
        for message in left
        if place(message.channel, message.destination) == place(message.channel, destination)
    ]
    if not found:
        known = "; ".join(map(described, left)) or "nowhere"
        raise LlamaError(f"nothing of {event_dir.name} stands at {destination}, but: {known}")
    for message in found:
        outbox = Outbox(Path(message.home), message.channel, message.destination)
        result = Result(event_dir, info, message.audience == "real")
        with outbox.locked():
            outbox.note_withdrawal(
                Message(
                    content_sha256=result.sha256(),
                    about=result.about(),
                    withdrawal=True,
                    build=lambda *_: b"withdrawn by hand\n",
                )
            )
    return [message.channel for message in found]


def _message(kind: Kind, result: Result) -> Message:
    return Message(
        content_sha256=kind.content(result),
        about=result.about(),
        withdrawal=result.info.retracted,
        build=lambda key, word, refers_to: kind.build(result, key, word, refers_to),
    )


_OF_LAST = ("sent_at", "remote_id", "payload_sha256", "revision", "notice")


def _receipt(
    event_dir: Path, channel: str, destination: str | None, real: bool, reasons: list[str]
) -> Receipt:
    """Return the receipt; that of a retracted event is about the last withdrawal."""
    outbox = Outbox(event_dir, channel, destination or "")
    sent = outbox.delivered()
    if read_info(event_dir).retracted:
        all_homes = [Outbox(home, channel, "").entries() for home in homes(event_dir)]
        sent = [entry for known in reversed(all_homes) for entry in known if entry.remote_id]
        reasons = [] if sent else ["the alert was retracted, and nothing had been published"]
        destination = sent[-1].destination if sent else None
        real = bool(sent) and sent[-1].audience == "real"
    last = sent[-1] if sent and not reasons else None
    return Receipt(
        channel=channel,
        destination=destination,
        audience="real" if real else "test",
        status=STATUS[last.kind] if last else "refused",
        reasons=reasons,
        **{name: getattr(last, name) for name in _OF_LAST if last},
        history=[convert(entry, Line, from_attributes=True) for entry in outbox.entries()],
        standing=standing(event_dir, channel),
    )


def write_receipt(event_dir: Path, receipt: Receipt) -> None:
    """Write `receipts/<channel>.json`."""
    write_json(event_dir / "receipts" / f"{receipt.channel}.json", to_builtins(receipt))


def sentence(receipt: Receipt) -> str:
    """Return a receipt in one line."""
    return printable(_said(receipt), 4000)


def _said(receipt: Receipt) -> str:
    if receipt.status == "refused":
        left = [f"an earlier message stands: {described(m)}" for m in receipt.standing]
        return f"{receipt.channel}: nothing is sent: " + "; ".join([*receipt.reasons, *left])
    others = {
        f", {line.destination} ({line.audience})"
        for line in receipt.history
        if receipt.status == "withdrawn" and line.destination != receipt.destination
    }
    return (
        f"{receipt.channel}: {receipt.status} to {receipt.destination} "
        f"({receipt.audience}) at {receipt.sent_at} as {receipt.remote_id}"
        + "".join(sorted(others))
    )
