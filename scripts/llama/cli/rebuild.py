"""`llama rebuild`: an earlier significance once more, bit for bit."""

import argparse
from pathlib import Path
from typing import Any

from llama.cli.common import say
from llama.cli.parsers import Subparsers, add_command


def add_parser(subparsers: Subparsers) -> None:
    """Add `llama rebuild`."""
    command = add_command(
        subparsers,
        "rebuild",
        "make the significance of an earlier manifest again, bit for bit",
        _run,
    )
    command.add_argument("event", metavar="EVENT", help="such as events/S190425z")
    command.add_argument(
        "--at",
        metavar="MANIFEST",
        help="number or path of the manifest (default: list those that the event has)",
    )


def _run(options: argparse.Namespace) -> int:
    from llama.errors import LlamaError
    from llama.event.find import find_events
    from llama.event.manifest import find_manifest
    from llama.settings import load

    output_dir = load().output_dir
    events = find_events(output_dir, options.event)
    if len(events) != 1:
        raise LlamaError(f"{options.event} names {len(events)} events; name one")
    (event,) = events
    if options.at is None:
        return _list(event, options.event)
    from llama.audit.rebuild import rebuild

    made = rebuild(output_dir, event, find_manifest(event, options.at), say)
    if made.identical:
        print(f"identical: sha256 {made.sha256}")
        return 0
    print(f"different: sha256 {made.sha256}, was {made.recorded_sha256}")
    for sentence in made.differences:
        print(f"  {sentence}")
    say(f"what was made is {made.path}")
    return 1


def _list(event: Path, given: str) -> int:
    from llama.event.manifest import kept_files, manifests, read_manifest
    from llama.files import read_json

    found = manifests(event)
    for number, path in found.items():
        manifest = read_manifest(path)
        kept = kept_files(event, manifest)
        info = _content(kept.get("skymap_info.json"), read_json)
        name = next((name for name in kept if name.startswith("significance")), None)
        significance = _content(kept[name] if name else None, read_json)
        print(
            f"{number:3}  {manifest['made_at']}  {info.get('notice', '?'):28}  "
            f"{manifest['software']:25}  "
            f"odds {_number(significance.get('odds_ratio'))}  "
            f"p {_number(significance.get('p_value'))}"
        )
    if not found:
        say(f"{event.name} has no manifest yet; snakemake events/{event.name}/all makes the first")
        return 1
    say(f"to make one again: llama rebuild {given} --at NUMBER")
    return 0


def _content(path: Path | None, read: Any) -> dict[str, Any]:
    return read(path) if path is not None and path.exists() else {}


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}"
