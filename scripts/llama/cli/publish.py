"""`llama publish`: what goes where, why not, and sending it now."""

import argparse
import logging
from pathlib import Path
from typing import Any

from llama.cli.common import ask, say
from llama.cli.parsers import Subparsers, add_command

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
    where = _destinations(settings)
    if not where:
        raise LlamaError("no channel has a destination; set some under publish in config.yaml")
    act = _show if options.dry_run else _send
    return max(act(event, channel, where[channel]) for event in events for channel in where)


def _destinations(settings: Any) -> dict[str, dict[str, Any]]:
    """Return the channels that have a destination, each with its real and its test one."""
    from llama.publish.deliver import CHANNELS, destinations

    found = {channel: destinations(settings, channel) for channel in CHANNELS}
    return {channel: both for channel, both in found.items() if any(both.values())}


def _show(event: Path, channel: str, destinations: dict[str, Any]) -> int:
    from llama.errors import LlamaError, sentence
    from llama.publish.deliver import plan

    try:
        made = plan(event, channel, destinations)
    except Exception as error:
        if not isinstance(error, LlamaError):
            log.exception("%s %s", event.name, channel)
        print(f"{event.name}  {channel:8} cannot tell: {sentence(error)}")
        return 1
    if made.reasons:
        print(f"{event.name}  {channel:8} nothing would be sent: {made.reasons[0]}")
        for reason in made.reasons[1:]:
            print(f"{'':{len(event.name)}}  {'':8} and {reason}")
        return 0
    audience = "REAL" if made.real else "test"
    what = {
        None: "nothing new for",
        "new": "a first message would go to",
        "update": "an update would go to",
        "withdrawal": "a withdrawal would go to",
    }[made.kind]
    first = "; a message without answer would be looked up there first" if made.pending else ""
    print(f"{event.name}  {channel:8} {what} {made.destination} ({audience}){first}")
    return 0


def _send(event: Path, channel: str, destinations: dict[str, Any]) -> int:
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


def _mail(options: argparse.Namespace, settings: Any, events: list[Path]) -> int:
    """Show the circular of one event, and send it when the operator has typed YES."""
    from llama.errors import LlamaError
    from llama.event.vetoes import Terms, not_real, read_facts
    from llama.files import sha256_bytes
    from llama.publish import circular_mail as mail
    from llama.publish.deliver import Kind, destinations, publish, sentence, write_receipt
    from llama.publish.result import read_result

    server, sender = settings.publish.mail_server, settings.publish.mail_from
    if len(events) != 1:
        raise LlamaError(f"a circular is about one event, not {len(events)}; name it")
    if not (server and sender):
        raise LlamaError("set publish.mail_server and publish.mail_from in config.yaml first")
    (event,) = events
    path = options.text or event / mail.FILE_NAME
    real = not not_real(read_facts(event))
    circular = mail.read_circular(path)
    mail.check_circular(circular, read_result(event, real))
    places = destinations(settings, "circular")
    print(f"SUBJECT: {circular.subject}\n\n{circular.body}")
    to = f"{places['real' if real else 'test']} ({'REAL' if real else 'test'})"
    if options.dry_run:
        say(f"this would go to {to}")
        return 0
    if ask(f"Send this to {to}? Type YES:") != "YES":
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
    return 0 if receipt["status"] != "refused" else 1
