"""`llama status`, `llama explain` and `llama flags`: events at a glance, and who may see them."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from llama.cli.common import plural, print_table, say
from llama.errors import LlamaError
from llama.event.find import find_events
from llama.event.flags import PRESETS, Flags, change_flags, parse_changes, read_flags
from llama.event.names import significance_name
from llama.event.page_files import read_event
from llama.files import dump_json, read_json
from llama.layout import to_type
from llama.locks import locked
from llama.settings import load


def status(options: argparse.Namespace) -> None:
    """Run `llama status`."""
    from llama.figures.run_page import HEADER, run_content, write_run_page

    settings = load()
    content = run_content(settings)
    for name, well, sentences in content["health"]:
        print(f"{name.lower():<9} {'well' if well else 'NOT WELL'}: {sentences[0]}")
        print(*(f"{'':<10}{sentence}\n" for sentence in sentences[1:]), sep="", end="")
    columns = [0, 1, 2, 3, 4, 5, 7, 10, 6]
    table = [[HEADER[k] for k in columns]]
    for row in content["rows"]:
        cells = [row["name"], ", ".join(row["marks"]), *(text for text, _ in row["cells"])]
        table.append([cells[k] for k in columns])
    if len(table) > 1:
        print()
        print_table(table)
    # last, so that a full disk hides nothing of it
    path, _ = write_run_page(settings, content)
    say(f"the page: {path}")


def explain_event(options: argparse.Namespace) -> None:
    """Run `llama explain`."""
    from llama.figures.explain import explain, explain_lines

    event_dir = _directory(options.event)
    event = read_event(event_dir)
    if "significance" not in event.there:
        if event.info.retracted:
            raise LlamaError(
                f"{event_dir.name} was retracted and has no result; there is nothing to explain"
            )
        command = to_type(f"events/{event_dir.name}/all")
        raise LlamaError(f"{event_dir} has no result yet; run: {command}")
    explanation = explain(event)
    if options.json:
        whole = read_json(event_dir / significance_name(event.info))
        numbers = {key: whole[key] for key in ("odds_ratio", "p_value", "explanation")}
        print(dump_json(numbers), end="")
        return
    if event.info.retracted:
        print(f"{event_dir.name} was RETRACTED. Its last result, for the record:\n")
    print("\n".join(explain_lines(explanation, event.significance.odds_ratio)))


def _directory(given: str) -> Path:
    """Return the event's directory: a path as given, below the output directory, or an id."""
    output_dir = load().output_dir
    candidates = (Path(given), output_dir / given, output_dir / "current_run" / given)
    for path in candidates:
        if (path / "skymap_info.json").exists():
            return path
    raise LlamaError(f"there is no event {given}; make it with skymap_info, or list: llama status")


def flags(options: argparse.Namespace) -> None:
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
