"""What can be typed after `llama`: every command, its help, and the function that runs it.

A function is named as `module.function` of `llama.cli`, and its module is imported when the command
runs: `llama --help` stays instant. Commands of droplets and studies are in `dev_parsers`.
"""

import argparse
from pathlib import Path
from typing import TypeAlias

from llama import __version__

Parser: TypeAlias = argparse.ArgumentParser
Subparsers: TypeAlias = "argparse._SubParsersAction[Parser]"

_LEVELS = ("debug", "info", "warning", "error", "critical", "none")


def add_version(parser: Parser) -> None:
    """Give `parser` -V and --version, which print the command's first word and the version."""
    program = parser.prog.split()[0]
    parser.add_argument("-V", "--version", action="version", version=f"{program} {__version__}")


def add_command(subparsers: Subparsers, name: str, summary: str, run: str = "") -> Parser:
    """Add the command `name`, which calls the function `run`, and return its parser."""
    sentence = summary[0].upper() + summary[1:] + "."
    parser = subparsers.add_parser(name, help=summary, description=sentence)
    add_version(parser)
    parser.set_defaults(run=run)
    return parser


def commands_of(parser: Parser) -> Subparsers:
    """Return the place to add the commands that `parser` only holds."""
    return parser.add_subparsers(metavar="COMMAND", required=True)


def add_group(subparsers: Subparsers, name: str, summary: str) -> Subparsers:
    """Add `name`, which only holds further commands, and return the place to add these to."""
    return commands_of(add_command(subparsers, name, summary))


def add_switch(parser: argparse._ActionsContainer, explained: str, *names: str) -> None:
    """Add an option that is on or off, to a parser or to a group of it."""
    parser.add_argument(*names, action="store_true", help=explained)


def add_commands(top: Subparsers) -> None:
    """Add the commands about events, alerts and neutrinos, and the settings."""
    _add_demo_and_listen(top)
    _add_run(top)
    add_command(
        top,
        "status",
        "write the page of all events, status.html, and say what it says",
        "events.status",
    )
    command = add_command(
        top, "explain", "say in words what drove the odds ratio of an event", "events.explain_event"
    )
    command.add_argument("event", metavar="events/ID", help="the event's directory, or its id")
    add_switch(command, "print the numbers as JSON", "--json")
    command = add_command(
        top, "flags", "show the flags of events as a table, or set them", "events.flags"
    )
    command.add_argument(
        "words",
        nargs="*",
        metavar="[RUN/GLOB] [NAME=VALUE..|PRESET]",
        help="events (default: all of the current run; needed to set flags), and what to set: "
        "NAME=VALUE or TRIGGERED_TEST, TRIGGERED_INTERNAL, TRIGGERED_PUBLIC",
    )
    add_switch(command, "show what the presets set", "--flag-presets")
    _add_publish(top)
    group = add_group(top, "poll", "ask for what the listener may have missed")
    command = add_command(
        group,
        "gracedb",
        "take over the alerts of GraceDB that were not heard",
        "listen.poll_gracedb",
    )
    back = "seconds to look back (default: %(default)g)"
    command.add_argument("--since", metavar="S", type=float, default=200_000.0, help=back)
    _add_neutrinos_and_cron(top)
    command = add_command(
        top, "settings", "print the settings in force, and which file sets each", "settings.run"
    )
    changed = "only those that a file has changed, as lines for a file of your own"
    add_switch(command, changed, "--changed")


def add_proofs(top: Subparsers) -> None:
    """Add the commands that check events, and make them once more."""
    command = add_command(
        top,
        "audit",
        "prove that all that was heard is archived and taken over, that events agree with their "
        "inputs, and that nothing is published twice or out of date",
        "proofs.audit",
    )
    command.add_argument(
        "events",
        metavar="RUN/GLOB",
        nargs="?",
        help="events to audit, such as 'S2511*' or past_runs/o3/ "
        "(default: all of the current run, and the records)",
    )
    command = add_command(
        top,
        "rebuild",
        "make the significance of an earlier manifest again, bit for bit",
        "proofs.rebuild_event",
    )
    command.add_argument("event", metavar="EVENT", help="such as events/S190425z")
    at = "number or path of the manifest (default: list those that the event has)"
    command.add_argument("--at", metavar="MANIFEST", help=at)


def _add_demo_and_listen(top: Subparsers) -> None:
    command = add_command(top, "demo", "take a mock event from its alert to its page", "demo.run")
    command.add_argument(
        "--output", type=Path, help="directory to use (default: demo in the clone)"
    )
    size = "size of the background (%(default)s)"
    command.add_argument("--injections", type=int, default=20_000, help=size)

    group = add_group(top, "listen", "hear alerts of GCN, or old ones once more")
    command = add_command(
        group, "gcn", "hear GCN and keep every record, in the background unless -F", "listen.gcn"
    )
    add_switch(command, "stay in this terminal", "-F", "--foreground")
    add_switch(command, "end the running listener", "-k", "--kill")
    broker = "a Kafka broker on this machine instead of GCN's, for tests"
    command.add_argument("--bootstrap-servers", metavar="HOST:PORT", help=broker)
    command = add_command(
        group, "status", "say how the listener is; exit 1 if not well", "listen.status"
    )
    add_switch(command, "print JSON", "--json")
    command = add_command(
        group, "replay", "hear old notices again, in the order of dates", "listen.replay_notices"
    )
    archive = "directory or tar or zip archive of notices"
    command.add_argument("path", type=Path, metavar="PATH", help=archive)


def _add_run(top: Subparsers) -> None:
    command = add_command(
        top, "run", "take over alerts and keep the newest events up to date, in the background",
        "run.run",
    )  # fmt: skip
    command.add_argument(
        "events",
        metavar="RUN/GLOB",
        nargs="?",
        default="",
        help="events to keep, such as 'S2511*', current_run/'S*' or past_runs/o3/ "
        "(default: all of current_run)",
    )
    add_switch(command, "stay in this terminal", "-F", "--foreground")
    once = "one pass, for cron; nothing, quietly, if another run is at it"
    add_switch(command, once, "-o", "--runonce")
    count = "number of newest events to keep (default: events.tracked_newest in the settings)"
    command.add_argument("-n", "--num-updated", metavar="N", type=int, help=count)
    command.add_argument(
        "--downselect",
        metavar="KEY=VALUE,..",
        default="",
        help="keep only events with these values in skymap_info.json or flags.json, such as "
        "group=CBC,far_lt=1e-6,sec_since_v0_lt=86400",
    )
    dry = "print the directories that would be kept, and do nothing"
    add_switch(command, dry, "--dry-run-dirs")
    log = "the log (default: logs/llamad.log)"
    command.add_argument("-l", "--logfile", metavar="FILE", type=Path, help=log)
    level = "what is logged (%(default)s)"
    command.add_argument("-v", "--verbosity", choices=_LEVELS, default="info", help=level)
    ending = command.add_mutually_exclusive_group()
    add_switch(ending, "end the daemon after its jobs", "-k", "--kill")
    add_switch(ending, "kill it with its jobs", "-K", "--kill-now")
    add_switch(ending, "end it and start anew", "-R", "--restart")
    add_switch(ending, "say whether it runs; exit 1 if not", "-r", "--running")


def _add_publish(top: Subparsers) -> None:
    command = add_command(
        top, "publish", "publish what is due now, or say what would go where", "publish.run"
    )
    which = "event, or a pattern of events (default with --dry-run: all of the current run)"
    command.add_argument("event", nargs="?", metavar="[RUN/]EVENT", help=which)
    add_switch(command, "ask nobody, send nothing; say what would and why", "--dry-run")
    mail = "send the reviewed gcn_circular.txt of one event, once you have typed YES"
    add_switch(command, mail, "--circular-by-email")
    command.add_argument("--text", type=Path, metavar="FILE", help="another file than that")
    by_hand = "of a retracted event: you have taken it back at this destination yourself"
    command.add_argument("--withdrawn-by-hand", metavar="DESTINATION", help=by_hand)
    arrived = command.add_mutually_exclusive_group()
    there = "of a mail whose answer got lost: it is there, you have looked"
    arrived.add_argument("--arrived", dest="arrived", action="store_true", default=None, help=there)
    not_there = "of a mail whose answer got lost: it is not there, you have looked; send it again"
    arrived.add_argument("--not-arrived", dest="arrived", action="store_false", help=not_there)


def _add_neutrinos_and_cron(top: Subparsers) -> None:
    group = add_group(top, "neutrinos", "import neutrino archives and list them")
    command = add_command(
        group,
        "import",
        "turn a release of IceCube tracks into LLAMA's own form",
        "neutrinos.import_archive",
    )
    command.add_argument("path", metavar="PATH", help="directory with events/, irfs/ and uptime/")
    _add_import_options(command)
    command = add_command(
        group,
        "fetch",
        "fetch a public release of IceCube tracks from its DOI, and import it",
        "neutrinos.fetch",
    )
    command.add_argument("release", metavar="RELEASE", help="icetracks-dr2 or icecube-10-year")
    command.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        type=Path,
        help="where to (default: releases/RELEASE)",
    )
    since = "only seasons with data after this date, such as 2019-04-01"
    command.add_argument("--since", metavar="DATE", help=since)
    _add_import_options(command)
    add_command(group, "show", "list the archives that have been imported", "neutrinos.show")

    group = add_group(top, "cron", "have cron or systemd keep the newest events up to date")
    add_command(group, "install", "let cron call llama run -o every minute", "run.install")
    add_command(
        group, "show", "print the line in the crontab; exit 1 if there is none", "run.show_line"
    )
    add_command(group, "remove", "take the line out of the crontab", "run.remove")
    command = add_command(
        group, "units", "write units for systemd: listener, run, timer", "run.write_units"
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where to write them"
    )


def _add_import_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", help="name of the archive (default: neutrinos.archive)")
    area = (
        "effective area to use (default: neutrinos.effective_area_season, else the newest of them)"
    )
    command.add_argument("--season", help=area)
    seasons = (
        "seasons whose events to take, such as IC86 or IC79,IC86_I (default: all of the newest"
    )
    command.add_argument("--seasons", metavar="LIST", help=f"{seasons} detector configuration)")
