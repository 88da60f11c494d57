# PYTHON_ARGCOMPLETE_OK
"""The command `llama`. Each of its commands is a module here with `add_parser(subparsers)`."""

import argparse
import os
from collections.abc import Sequence

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
    status,
)
from llama.cli.common import run_command
from llama.cli.parsers import add_version

# These modules import what they compute with only when they run: `llama --help` stays instant.
_COMMANDS = (
    *(demo, listen, run, status, explain, flags, publish, poll, neutrinos, cron),
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
    options = parser.parse_args(arguments)
    return run_command(lambda: options.run(options), "llama")
