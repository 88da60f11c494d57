"""Taking back what was said, wherever it was said: neither flags nor settings stand in the way."""

from collections.abc import Callable, Mapping
from pathlib import Path

from llama.errors import LlamaError
from llama.event.messages import described, standing
from llama.event.skymap_info import read_info
from llama.publish.outbox import Message, Outbox
from llama.publish.result import Result
from llama.settings.places import place

Places = Mapping[str, str | None]  # the settings' real and test destination


def to_withdraw(event_dir: Path, channel: str, places: Places) -> list[tuple[str, bool]]:
    """Return where a message stands, spelled as the settings do, and whether it was a real one."""
    spelled = {place(channel, known): known for known in places.values() if known is not None}
    return [
        (
            spelled.get(place(channel, message["destination"]), message["destination"]),
            message["audience"] == "real",
        )
        for message in standing(event_dir, channel)
    ]


def withdraw(
    event_dir: Path, channel: str, places: Places, deliver: Callable[[str, Result], None]
) -> None:
    """Withdraw a retracted event at every destination of a channel that has it.

    deliver: sends a result to a destination. `LlamaError`, once all were tried, names those that
    were not reached.
    """
    if not to_withdraw(event_dir, channel, places):
        return
    left = []
    with Outbox(event_dir, channel, "").locked():
        info = read_info(event_dir)
        if not info["retracted"]:
            raise LlamaError(f"{event_dir} has just changed; run the same command again")
        for destination, real in to_withdraw(event_dir, channel, places):
            try:
                deliver(destination, Result(event_dir, info, real))
            except LlamaError as error:
                left.append(
                    f"{event_dir.name} was retracted, and its withdrawal has not reached {channel} "
                    f"{destination} ({'real' if real else 'test'}): {error}"
                )
                if destination not in places.values():
                    left[-1] += (
                        "; the settings do not have this destination any more: give the secrets "
                        "that reached it, or withdraw it there yourself and run: llama publish "
                        f"{event_dir.name} --withdrawn-by-hand '{destination}'"
                    )
    if left:
        raise LlamaError("; ".join(left))


def note_withdrawal(event_dir: Path, destination: str) -> list[str]:
    """Note that a human has withdrawn a retracted event at a destination; return the channels.

    `LlamaError` when the event was not retracted, or nothing stands there.
    """
    info, left = read_info(event_dir), standing(event_dir)
    if not info["retracted"]:
        raise LlamaError(f"{event_dir.name} was not retracted; withdraw only what was")
    found = [
        message
        for message in left
        if place(message["channel"], message["destination"])
        == place(message["channel"], destination)
    ]
    if not found:
        known = "; ".join(map(described, left)) or "nowhere"
        raise LlamaError(f"nothing of {event_dir.name} stands at {destination}, but: {known}")
    for message in found:
        outbox = Outbox(event_dir, message["channel"], message["destination"])
        result = Result(event_dir, info, message["audience"] == "real")
        with outbox.locked():
            outbox.note_withdrawal(
                Message(
                    content_sha256=result.sha256(),
                    about=result.about(),
                    withdrawal=True,
                    build=lambda *_: b"withdrawn by hand\n",
                )
            )
    return [message["channel"] for message in found]
