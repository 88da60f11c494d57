"""How a command enters the parser: every one has --help and --version, and says what it runs."""

import argparse
from collections.abc import Callable
from typing import TypeAlias

from llama import __version__

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_version(parser: argparse.ArgumentParser) -> None:
    """Give `parser` -V and --version, which print the command's first word and the version."""
    program = parser.prog.split()[0]
    parser.add_argument("-V", "--version", action="version", version=f"{program} {__version__}")


def add_command(
    subparsers: Subparsers,
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], int | None],
) -> argparse.ArgumentParser:
    """Add the command `name`, which calls `run`, and return its parser for more arguments."""
    parser = subparsers.add_parser(name, help=summary, description=_sentence(summary))
    add_version(parser)
    parser.set_defaults(run=run)
    return parser


def add_group(
    subparsers: Subparsers,
    name: str,
    summary: str,
    options: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
) -> Subparsers:
    """Add `name`, which only holds further commands, and return the place to add these to.

    `options` adds what is given before any of the commands.
    """
    parser = subparsers.add_parser(name, help=summary, description=_sentence(summary))
    add_version(parser)
    options(parser)
    return parser.add_subparsers(metavar="COMMAND", required=True)


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."
