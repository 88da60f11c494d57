"""`llama dev upload|uploads`: files put into Spaces, listed, and fetched by their names."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from llama.cli.common import ask, counter, plural, print_table, say
from llama.errors import LlamaError
from llama.fleet.spaces import Spaces
from llama.fleet.transfer import is_same
from llama.settings import load


def _spaces() -> Spaces:
    spaces = Spaces(load().spaces, say)
    spaces.check()
    return spaces


def upload(options: argparse.Namespace) -> None:
    """Run `llama dev upload`."""
    spaces = _spaces()
    for path in options.paths:
        size = path.stat().st_size if path.is_file() else 0
        stored = spaces.upload(path, counter(path.name, size, 10**6, " MB"))
        print(spaces.url(stored.key))
        print(json.dumps({"key": stored.key, "sha256": stored.sha256, "size": stored.size}))
        sys.stdout.flush()


def list_or_fetch(options: argparse.Namespace) -> int:
    """Run `llama dev uploads`."""
    spaces = _spaces()
    found = spaces.uploads()  # oldest first, so that the newest of a name counts
    named = {Path(stored.key).name: stored for stored in found}
    if missing := [name for name in options.names if name not in named]:
        raise LlamaError(
            f"nothing that was uploaded to {spaces.name} is called {', '.join(missing)}; "
            "llama dev uploads lists what there is"
        )
    if not options.names:
        lines = [
            [
                f"{datetime.fromtimestamp(stored.modified, UTC):%Y-%m-%d %H:%M}",
                f"{stored.size:,}",
                stored.sha256[:12],
                Path(stored.key).name,
            ]
            for stored in found
        ]
        print_table(lines, right={1})
        say(f"{plural(len(found), 'file')}; fetch one with: llama dev uploads NAME")
    left = 0
    for name in dict.fromkeys(options.names):
        stored, target = named[name], Path(name)
        if target.is_file() and is_same(target, stored):
            print(target)
            continue
        if target.exists() and ask(f"Replace {target}, which differs? [y/N]") != "y":
            left += 1
            continue
        spaces.download(stored, target, counter(name, stored.size, 10**6, " MB"))
        print(target)
    return 1 if left else 0
