"""`llama poll`: the safety net under the listener."""

import argparse

from llama.cli.parsers import Subparsers, add_command, add_group


def add_parser(subparsers: Subparsers) -> None:
    """Add `llama poll` with its commands."""
    group = add_group(subparsers, "poll", "ask for what the listener may have missed")
    command = add_command(
        group, "gracedb", "take over the alerts of GraceDB that were not heard", _gracedb
    )
    command.add_argument(
        "--since",
        metavar="S",
        type=float,
        default=200_000.0,
        help="seconds to look back (default: %(default)g)",
    )


def _gracedb(options: argparse.Namespace) -> int:
    from llama.alerts import gracedb, poll
    from llama.errors import LlamaError
    from llama.settings import load
    from llama.times import now_gps

    if not 0 < options.since < 1e9:
        raise LlamaError(f"--since {options.since:g} is no span of time; give seconds above 0")
    settings = load()
    client = gracedb.connect(settings.gracedb.service_url)
    stop = now_gps()
    failed = 0
    for graceid, outcome in poll.poll(
        client, settings.output_dir / "current_run", stop - options.since, stop
    ):
        failed += isinstance(outcome, LlamaError)
        print(f"{graceid}: {outcome}", flush=True)
    return 1 if failed else 0
