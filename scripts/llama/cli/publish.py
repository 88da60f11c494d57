"""`llama publish`: what goes where, why not, and sending it now."""

import argparse
import logging
from pathlib import Path

from llama import errors
from llama.cli.common import ask, say
from llama.errors import LlamaError
from llama.event.find import find_events
from llama.event.messages import homes
from llama.event.skymap_info import read_info
from llama.event.vetoes import Terms, not_real, read_facts
from llama.files import sha256_bytes
from llama.publish import circular_mail as mail
from llama.publish import deliver
from llama.publish.deliver import Places
from llama.publish.result import read_result
from llama.settings import load
from llama.settings.model import Settings

log = logging.getLogger("llama.publish")


def run(options: argparse.Namespace) -> int:
    """Run `llama publish`."""
    settings = load()
    if options.event is None and not options.dry_run:
        raise LlamaError("say which event, or look at all of them with --dry-run")
    events = find_events(settings.output_dir, options.event)
    if options.circular_by_email:
        return _mail(options, settings, events)
    if options.withdrawn_by_hand:
        return _note_withdrawal(options.withdrawn_by_hand, settings, events)
    where = {event: _channels(event, settings) for event in events}
    if not any(where.values()):
        raise LlamaError("no channel has a destination; set some under publish in the settings")
    act = _show if options.dry_run else _send
    return max(
        act(event, channel, both) for event in events for channel, both in where[event].items()
    )


def _channels(event: Path, settings: Settings) -> dict[str, Places]:
    """Return the channels that have a destination, or had one: real and test one of each."""
    found = {channel: deliver.destinations(settings, channel) for channel in deliver.CHANNELS}
    return {
        channel: both
        for channel, both in found.items()
        if any(both.values()) or any((home / "outbox" / channel).is_dir() for home in homes(event))
    }


def _show(event: Path, channel: str, destinations: Places) -> int:
    try:
        plans = deliver.plan(event, channel, destinations)
    except Exception as error:
        if not isinstance(error, LlamaError):
            log.exception("%s %s", event.name, channel)
        print(f"{event.name}  {channel:8} cannot tell: {errors.sentence(error)}")
        return 1
    for made in plans:
        _show_plan(event, channel, made)
    return 0


def _show_plan(event: Path, channel: str, made: deliver.Plan) -> None:
    if made.reasons:
        print(f"{event.name}  {channel:8} nothing would be sent: {made.reasons[0]}")
        for reason in made.reasons[1:]:
            print(f"{'':{len(event.name)}}  {'':8} and {reason}")
        return
    audience = "REAL" if made.real else "test"
    what = {
        None: "nothing new for",
        "new": "a first message would go to",
        "update": "an update would go to",
        "withdrawal": "a withdrawal would go to",
    }[made.kind]
    first = "; a message without answer would be looked up there first" if made.pending else ""
    print(f"{event.name}  {channel:8} {what} {made.destination} ({audience}){first}")


def _send(event: Path, channel: str, destinations: Places) -> int:
    try:
        receipt = deliver.publish(event, channel, destinations)
        deliver.write_receipt(event, receipt)
    except Exception as error:  # the other channels and events are told all the same
        if not isinstance(error, LlamaError):
            log.exception("%s %s", event.name, channel)
        say(f"{event.name} {channel}: {errors.sentence(error)}")
        return 1
    print(f"{event.name} {deliver.sentence(receipt)}")
    return 0


def _note_withdrawal(destination: str, settings: Settings, events: list[Path]) -> int:
    """Note the operator's own withdrawal, and bring the receipts up to date."""
    if len(events) != 1:
        raise LlamaError(f"a withdrawal is of one event, not of {len(events)}; name it")
    channels = deliver.note_withdrawal(events[0], destination)
    say(f"{events[0].name}: withdrawn by hand at {destination} ({', '.join(channels)})")
    receipts = [
        _send(events[0], channel, deliver.destinations(settings, channel))
        for channel in channels
        if channel in deliver.CHANNELS
    ]
    return max(receipts, default=0)


def _mail(options: argparse.Namespace, settings: Settings, events: list[Path]) -> int:
    """Show the circular of one event, and send it when the operator has typed YES."""
    server, sender = settings.publish.mail_server, settings.publish.mail_from
    if len(events) != 1:
        raise LlamaError(f"a circular is about one event, not {len(events)}; name it")
    if not (server and sender):
        raise LlamaError("set publish.mail_server and publish.mail_from in the settings first")
    (event,) = events
    path = options.text or event / mail.FILE_NAME
    places = deliver.destinations(settings, "circular")
    circular = mail.read_circular(path)
    receivers: list[tuple[str | None, bool]] = []
    if read_info(event).retracted:
        boxes = deliver.to_withdraw(event, "circular", places)
        receivers += [(outbox.destination, real) for outbox, real in boxes]
    else:
        real = not not_real(read_facts(event))
        receivers.append((places["real" if real else "test"], real))
    for _, real in receivers:
        mail.check_circular(circular, read_result(event, real))
    print(f"SUBJECT: {circular.subject}\n\n{circular.body}")
    to = (
        " and ".join(f"{where} ({'REAL' if real else 'test'})" for where, real in receivers)
        or "nobody"
    )
    if options.dry_run:
        say(f"this would go to {to}")
        return 0
    if receivers and ask(f"Send this to {to}? Type YES:") != "YES":
        raise LlamaError("nothing was sent; type YES to send")
    kind = deliver.Kind(
        Terms(),
        mail.build(circular, sender),
        lambda destination: mail.CircularMail(destination, server, options.arrived),
        lambda result: sha256_bytes(f"{circular.subject}\n{circular.body}".encode()),
    )
    receipt = deliver.publish(event, "circular", places, kind)
    deliver.write_receipt(event, receipt)
    print(f"{event.name} {deliver.sentence(receipt)}")
    return 0 if receipt.status != "refused" else 1
