"""Taking back what was said, wherever it was said: neither flags nor settings stand in the way."""

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from llama.errors import LlamaError
from llama.event.messages import described, standing
from llama.event.skymap_info import read_info
from llama.publish.outbox import Message, Outbox
from llama.publish.result import Result
from llama.settings.places import place

Places = Mapping[str, str | None]  # the settings' real and test destination


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


def withdraw(
    event_dir: Path, channel: str, places: Places, deliver: Callable[[Outbox, Result], None]
) -> None:
    """Withdraw a retracted event at every destination of a channel that has it.

    deliver: sends a result from an outbox, which is locked. `LlamaError`, once all were tried,
    names those that were not reached.
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
                deliver(outbox, Result(event_dir, info, real))
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
