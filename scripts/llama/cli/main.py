# PYTHON_ARGCOMPLETE_OK
"""The command `llama`. Each of its commands is a module here with `add_parser(subparsers)`."""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from llama.cli import (
    audit,
    com,
    cron,
    demo,
    dev,
    explain,
    flags,
    fleet,
    listen,
    neutrinos,
    poll,
    publish,
    rebuild,
    run,
    settings,
    status,
)
from llama.cli.common import run_command
from llama.cli.parsers import add_version
from llama.errors import LlamaError

# These modules import what they compute with only when they run: `llama --help` stays instant.
_COMMANDS = (
    *(demo, listen, run, status, explain, flags, publish, poll, neutrinos, cron, settings),
    *(audit, rebuild, dev, com, fleet),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `llama` with all commands."""
    parser = argparse.ArgumentParser(
        prog="llama",
        description="Coincidences of gravitational waves and high-energy neutrinos, "
        "minutes after the alert.",
    )
    add_version(parser)
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `llama` with `arguments` (default: the command line) and return the exit code."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    words = sys.argv[1:] if arguments is None else list(arguments)
    if answer := _formerly(words):
        return run_command(lambda: _refuse(answer), "llama")
    options = parser.parse_args(words)
    return run_command(lambda: options.run(options), "llama")


def _formerly(words: Sequence[str]) -> str | None:
    """Return what to type for a command of the original LLAMA that has another name here."""
    if words[:2] == ["dev", "drop"]:
        now = shlex.join(["llama", "dev", "dv", *(words[2:] or ["-h"])])
        return f"llama dev drop is called llama dev dv here; type: {now}"
    place = 2 if words[:2] == ["dev", "dv"] else int(words[:1] == ["dev"])
    if words[place:] and re.match(r"pre-er-?14-", words[place]):
        return (
            f"{words[place]} is a part of llama dev dv here; type: llama dev dv -h, and see Coming "
            "from the original LLAMA in docs/manual.md"
        )
    return None


def _refuse(answer: str) -> NoReturn:
    raise LlamaError(answer)
