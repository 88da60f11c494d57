"""`llama publish`: what goes where, why not, and sending it now."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from llama.cli.common import ask, say
from llama.cli.parsers import Subparsers, add_command

if TYPE_CHECKING:
    from llama.publish.deliver import Plan
    from llama.publish.withdraw import Places
    from llama.settings.model import Settings

log = logging.getLogger("llama.publish")


def add_parser(subparsers: Subparsers) -> None:
    """Add `llama publish`."""
    command = add_command(
        subparsers, "publish", "publish what is due now, or say what would go where", _publish
    )
    command.add_argument(
        "event",
        nargs="?",
        metavar="[RUN/]EVENT",
        help="event, or a pattern of events (default with --dry-run: all of the current run)",
    )
    command.add_argument(
        "--dry-run", action="store_true", help="ask nobody, send nothing; say what would and why"
    )
    command.add_argument(
        "--circular-by-email",
        action="store_true",
        help="send the reviewed gcn_circular.txt of one event, once you have typed YES",
    )
    command.add_argument("--text", type=Path, metavar="FILE", help="another file than that")
    command.add_argument(
        "--withdrawn-by-hand",
        metavar="DESTINATION",
        help="of a retracted event: you have taken it back at this destination yourself",
    )
    arrived = command.add_mutually_exclusive_group()
    arrived.add_argument(
        "--arrived",
        dest="arrived",
        action="store_true",
        default=None,
        help="of a mail whose answer got lost: it is there, you have looked",
    )
    arrived.add_argument(
        "--not-arrived",
        dest="arrived",
        action="store_false",
        help="of a mail whose answer got lost: it is not there, you have looked; send it again",
    )


def _publish(options: argparse.Namespace) -> int:
    from llama.errors import LlamaError
    from llama.event.find import find_events
    from llama.settings import load

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


def _channels(event: Path, settings: "Settings") -> "dict[str, Places]":
    """Return the channels that have a destination, or had one: real and test one of each."""
    from llama.event.messages import homes
    from llama.publish.deliver import CHANNELS, destinations

    found = {channel: destinations(settings, channel) for channel in CHANNELS}
    return {
        channel: both
        for channel, both in found.items()
        if any(both.values()) or any((home / "outbox" / channel).is_dir() for home in homes(event))
    }


def _show(event: Path, channel: str, destinations: "Places") -> int:
    from llama.errors import LlamaError, sentence
    from llama.publish.deliver import plan

    try:
        plans = plan(event, channel, destinations)
    except Exception as error:
        if not isinstance(error, LlamaError):
            log.exception("%s %s", event.name, channel)
        print(f"{event.name}  {channel:8} cannot tell: {sentence(error)}")
        return 1
    for made in plans:
        _show_plan(event, channel, made)
    return 0


def _show_plan(event: Path, channel: str, made: "Plan") -> None:
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


def _send(event: Path, channel: str, destinations: "Places") -> int:
    from llama import errors
    from llama.publish.deliver import publish, sentence, write_receipt

    try:
        receipt = publish(event, channel, destinations)
        write_receipt(event, receipt)
    except Exception as error:  # the other channels and events are told all the same
        if not isinstance(error, errors.LlamaError):
            log.exception("%s %s", event.name, channel)
        say(f"{event.name} {channel}: {errors.sentence(error)}")
        return 1
    print(f"{event.name} {sentence(receipt)}")
    return 0


def _note_withdrawal(destination: str, settings: "Settings", events: list[Path]) -> int:
    """Note the operator's own withdrawal, and bring the receipts up to date."""
    from llama.errors import LlamaError
    from llama.publish.deliver import CHANNELS, destinations
    from llama.publish.withdraw import note_withdrawal

    if len(events) != 1:
        raise LlamaError(f"a withdrawal is of one event, not of {len(events)}; name it")
    channels = note_withdrawal(events[0], destination)
    say(f"{events[0].name}: withdrawn by hand at {destination} ({', '.join(channels)})")
    receipts = [
        _send(events[0], channel, destinations(settings, channel))
        for channel in channels
        if channel in CHANNELS
    ]
    return max(receipts, default=0)


def _mail(options: argparse.Namespace, settings: "Settings", events: list[Path]) -> int:
    """Show the circular of one event, and send it when the operator has typed YES."""
    from llama.errors import LlamaError
    from llama.event.skymap_info import read_info
    from llama.event.vetoes import Terms, not_real, read_facts
    from llama.files import sha256_bytes
    from llama.publish import circular_mail as mail
    from llama.publish.deliver import Kind, destinations, publish, sentence, write_receipt
    from llama.publish.result import read_result
    from llama.publish.withdraw import to_withdraw

    server, sender = settings.publish.mail_server, settings.publish.mail_from
    if len(events) != 1:
        raise LlamaError(f"a circular is about one event, not {len(events)}; name it")
    if not (server and sender):
        raise LlamaError("set publish.mail_server and publish.mail_from in the settings first")
    (event,) = events
    path = options.text or event / mail.FILE_NAME
    places = destinations(settings, "circular")
    circular = mail.read_circular(path)
    receivers: list[tuple[str | None, bool]] = []
    if read_info(event).retracted:
        boxes = to_withdraw(event, "circular", places)
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
    kind = Kind(
        Terms(),
        mail.build(circular, sender),
        lambda destination: mail.CircularMail(destination, server, options.arrived),
        lambda result: sha256_bytes(f"{circular.subject}\n{circular.body}".encode()),
    )
    receipt = publish(event, "circular", places, kind)
    write_receipt(event, receipt)
    print(f"{event.name} {sentence(receipt)}")
    return 0 if receipt.status != "refused" else 1
