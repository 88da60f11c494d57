"""`llama flags`: who may see an event and where it may be sent."""

import argparse
from collections.abc import Mapping

from llama.cli.common import plural, print_table, say
from llama.errors import LlamaError
from llama.event.find import find_events
from llama.event.flags import PRESETS, Flags, change_flags, parse_changes, read_flags
from llama.locks import locked
from llama.settings import load


def run(options: argparse.Namespace) -> None:
    """Run `llama flags`."""
    if options.flag_presets:
        _table(PRESETS)
        return
    words = list(options.words)
    is_change = [("=" in word and "/" not in word) or word in PRESETS for word in words]
    pattern = words.pop(0) if words and not is_change[0] else None
    if words and pattern is None:
        raise LlamaError(f"say whose flags to set, such as: llama flags 'MS*' {' '.join(words)}")
    changes = parse_changes(words)
    events = find_events(load().output_dir, pattern)
    if not changes:
        _table({event.name: read_flags(event) for event in events})
        return
    changed = []
    for event in events:
        # not the lock of Snakemake's run: a veto holds while it works, for publishing looks again
        with locked(event):
            if change_flags(event, changes):
                changed.append(event)
    _table({event.name: read_flags(event) for event in events})
    say(f"{plural(len(changed), 'event')} of {len(events)} changed; snakemake does the rest")


def _table(rows: Mapping[str, Flags]) -> None:
    table = [["EVENT", *next(iter(rows.values()))]]
    table += [
        [row, *(str(value).lower() for value in flags.values())] for row, flags in rows.items()
    ]
    print_table(table)
