# PYTHON_ARGCOMPLETE_OK
"""The command `llama`: its commands are declared in `parsers`."""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

from llama.cli import dev_parsers, parsers
from llama.cli.common import run_command
from llama.errors import LlamaError

_OURS = (["-h"], ["--help"], ["-V"], ["--version"])  # of `llama snakemake`; else all is Snakemake's

_OURS = (["-h"], ["--help"], ["-V"], ["--version"])  # else all is for Snakemake


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `llama` with all commands."""
    parser = argparse.ArgumentParser(
        prog="llama",
        description="Coincidences of gravitational waves and high-energy neutrinos, "
        "minutes after the alert.",
    )
    parsers.add_version(parser)
    added = parsers.add_commands(parser)
    parsers.add_options(added)
    dev_parsers.add_options(added)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `llama` with `arguments` (default: the command line) and return the exit code."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    words = sys.argv[1:] if arguments is None else list(arguments)
    answer = _formerly(words)
    if answer:
        options = argparse.Namespace()
    elif words[:1] == ["snakemake"] and words[1:] not in _OURS:
        options = argparse.Namespace(run=parsers.COMMANDS["snakemake"][0], words=words[1:])
    else:
        options = parser.parse_args(words)

    def run() -> int | None:
        if answer:
            raise LlamaError(answer)
        module, name = options.run.split(".")
        code: int | None = getattr(import_module(f"llama.cli.{module}"), name)(options)
        return code

    return run_command(run, "llama")


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
