"""What of an event has gone out, what has not, and why."""

from collections.abc import Mapping
from pathlib import Path

from llama.errors import LlamaError
from llama.event.messages import Receipt, described, owed_words, receipts, standing, waiting
from llama.figures.page import Grid
from llama.figures.text import MISSING, clean, utc_text

_VERBS = {"sent": "Sent to", "updated": "Updated at", "withdrawn": "Withdrawn from"}


def standing_words(event_dir: Path) -> list[str]:
    """Return where the event stands, though no receipt says that it was sent there."""
    out = {(r.channel, r.destination) for r in receipts(event_dir) if r.is_out}
    try:
        left = standing(event_dir)
    except LlamaError:  # the audit names it
        return []
    return [
        clean(described(message), 200)
        for message in left
        if message.remote_id is not None and (message.channel, message.destination) not in out
    ]


def sent_words(event_dir: Path) -> tuple[str, str]:
    """Return where the event has gone out to, in a word, and a note."""
    known = receipts(event_dir)
    out = [clean(r.channel, 20) for r in known if r.is_out]
    out += [words.partition(" ")[0] for words in standing_words(event_dir)]
    gone = [clean(r.channel, 20) for r in known if r.status == "withdrawn"]
    held = sum(r.status == "refused" for r in known)
    left = len(waiting(event_dir))
    notes = [f"withdrawn from {', '.join(gone)}"] * bool(gone)
    notes += [f"{held} refused"] * bool(held) + [f"{left} waiting"] * bool(left)
    return ", ".join(dict.fromkeys(out)) or "nothing", ", ".join(notes)


def outcome(event_dir: Path) -> list[str]:
    """Return what has gone out, and why the rest has not, in sentences for the top of a page."""
    known = receipts(event_dir)
    words = []
    for status, verb in _VERBS.items():
        names = [clean(r.channel, 20) for r in known if r.status == status]
        words += [f"{verb} {', '.join(names)}."] if names else []
    words += [f"Still published: {where}." for where in standing_words(event_dir)]
    words = words or ["Nothing has been sent."]
    held: dict[str, list[str]] = {}
    for receipt in known:
        if not receipt.is_out and receipt.status != "withdrawn":
            why = clean(_reasons(receipt) or receipt.status or MISSING, 300)
            held.setdefault(why, []).append(clean(receipt.channel, 20))
    words += [f"Not sent to {', '.join(names)}: {why}." for why, names in held.items()]
    owed = owed_words(event_dir)
    words += [f"RETRACTED, and not withdrawn yet: {'; '.join(owed)}."] if owed else []
    left = waiting(event_dir)
    return words + ([f"Waiting in the outbox: {clean(', '.join(left), 400)}."] if left else [])


def receipts_section(event_dir: Path, flags: Mapping[str, object]) -> Grid:
    """Return a section with the flags in words and a table of receipts."""
    known = ", ".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else clean(value, 20)}"
        for name, value in flags.items()
    )
    words = [f"Flags: {known}."]
    left = waiting(event_dir)
    if left:
        words.append(f"Waiting in the outbox: {clean(', '.join(left), 400)}.")
    rows = [
        [
            clean(r.channel, 20),
            clean(r.status or MISSING, 20),
            clean(r.destination or MISSING, 60),
            clean(r.revision or MISSING, 10),
            utc_text(r.sent_at),
            clean(r.remote_id or MISSING, 60),
            clean(_reasons(r) or MISSING, 300),
        ]
        for r in receipts(event_dir)
    ]
    if not rows:
        words.append("Nothing has been sent, and nothing was refused.")
    header = ["Channel", "Status", "Destination", "Revision", "When", "Id there", "Why"]
    return {
        "heading": "What has gone out",
        "text": words,
        "table": {"caption": "Receipts", "header": header, "rows": rows},
    }


def _reasons(receipt: Receipt) -> str:
    return "; ".join(clean(reason, 200) for reason in receipt.reasons)
