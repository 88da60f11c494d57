"""`llama rebuild`: an earlier significance once more, bit for bit."""

import argparse
from pathlib import Path

from msgspec import Struct

from llama.audit.rebuild import rebuild
from llama.cli.common import say
from llama.errors import LlamaError
from llama.event.find import find_events
from llama.event.manifest import find_manifest, kept_files, manifests, read_manifest
from llama.files import read_json
from llama.settings import load
from llama.typed import typed


class _Told(Struct):
    """What the list of manifests shows of skymap_info.json and of the significance."""

    notice: str = "?"
    odds_ratio: float | None = None
    p_value: float | None = None


def run(options: argparse.Namespace) -> int:
    """Run `llama rebuild`."""
    output_dir = load().output_dir
    events = find_events(output_dir, options.event)
    if len(events) != 1:
        raise LlamaError(f"{options.event} names {len(events)} events; name one")
    (event,) = events
    if options.at is None:
        return _list(event, options.event)

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
    found = manifests(event)
    for number, path in found.items():
        manifest = read_manifest(path)
        kept = kept_files(event, manifest)
        info = _told(kept.get("skymap_info.json"))
        name = next((name for name in kept if name.startswith("significance")), None)
        significance = _told(kept[name] if name else None)
        print(
            f"{number:3}  {manifest['made_at']}  {info.notice:28}  "
            f"{manifest['software']:25}  "
            f"odds {_number(significance.odds_ratio)}  "
            f"p {_number(significance.p_value)}"
        )
    if not found:
        say(f"{event.name} has no manifest yet; snakemake events/{event.name}/all makes the first")
        return 1
    say(f"to make one again: llama rebuild {given} --at NUMBER")
    return 0


def _told(path: Path | None) -> _Told:
    if path is None or not path.exists():
        return _Told()
    return typed(read_json(path), _Told, str(path), "put it back from a backup")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
