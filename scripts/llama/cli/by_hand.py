"""`skymap_info` without an alert: what the sky map and the command line say of the event."""

import argparse
import re
from pathlib import Path

from llama.alerts import by_hand, gwalert
from llama.alerts.record import Alert
from llama.cli.common import say
from llama.errors import LlamaError, printable
from llama.graceid import check_event_name


def alert_by_hand(
    args: argparse.Namespace, skymap: tuple[str, bytes], run_dir: Path
) -> tuple[Alert, bytes]:
    """Return the alert that map (name, content) and options amount to, and its record.

    `LlamaError` asks for what neither of them says, and for what they do not agree about.
    """
    name, content = skymap
    told = by_hand.map_facts(content, name)
    event = told.name if args.id is None else check_event_name(args.id)
    gps = told.gps if args.time is None else by_hand.parse_time(args.time)
    missing = [
        *(["the event's name (--id NAME)"] if event is None else []),
        *(["its time (--time GPS_OR_ISO)"] if gps is None else []),
    ]
    if args.far is None and args.p_astro is None:
        missing.append("its false-alarm rate or p_astro (--far HZ or --p-astro P)")
    if event is None or gps is None or missing:
        raise LlamaError(f"{name} does not say {', '.join(missing)}; give that, too")
    if not args.force and (problem := by_hand.misnamed(event, gps)):
        raise LlamaError(f"{problem}; correct --id or --time, or use them as they are with --force")
    instruments = _instruments(args.instruments) if args.instruments else told.instruments
    if not instruments:
        say(
            "note: without detectors the p-value is that of this sky map alone; give them with "
            "--instruments H1,L1 for that of its class"
        )
    record = by_hand.Unalerted(
        name=event,
        gps=gps,
        far_hz=args.far,
        p_astro=args.p_astro,
        instruments=instruments,
        made_gps=told.made_gps,
    ).record(run_dir / event)
    return gwalert.parse_alert(record, name), record


def _instruments(text: str) -> tuple[str, ...]:
    names = re.findall(r"[^,\s]+", text)
    if wrong := [name for name in names if not re.fullmatch("[A-Z][0-9]", name)]:
        raise LlamaError(
            f"--instruments has {printable(wrong[0], 40)!r}, which is no detector; write H1,L1"
        )
    return tuple(sorted({*names}))
