"""What can be typed after `llama`: every command, the function that runs it, its help and options.

A function is named as `module.function` of `llama.cli`, and its module is imported when the command
runs: `llama --help` stays instant. Options of droplets and studies are in `dev_parsers`.
"""

import argparse
from pathlib import Path
from typing import TypeAlias

from llama import __version__

Parser: TypeAlias = argparse.ArgumentParser
Parsers: TypeAlias = dict[str, Parser]  # by the words of the command

# without a function: what only holds further commands
COMMANDS = {
    "demo": ("demo.run", "take a mock event from its alert to its page"),
    "init": ("workflow.init", "make a directory with settings and profiles to edit"),
    "snakemake": (
        "workflow.run_snakemake",
        "run Snakemake on LLAMA's workflow from any directory; all that follows is for Snakemake",
    ),
    "listen": ("", "hear alerts of GCN, or old ones once more"),
    "listen gcn": ("listen.gcn", "hear GCN and keep every record, in the background unless -F"),
    "listen status": ("listen.status", "say how the listener is; exit 1 if not well"),
    "listen replay": ("listen.replay_notices", "hear old notices again, in the order of dates"),
    "run": (
        "run.run",
        "take over alerts and keep the newest events up to date, in the background",
    ),
    "status": ("events.status", "write the page of all events, status.html, and say what it says"),
    "explain": ("events.explain_event", "say in words what drove the odds ratio of an event"),
    "flags": ("events.flags", "show the flags of events as a table, or set them"),
    "publish": ("publish.run", "publish what is due now, or say what would go where"),
    "poll": ("", "ask for what the listener may have missed"),
    "poll gracedb": ("listen.poll_gracedb", "take over the alerts of GraceDB that were not heard"),
    "neutrinos": ("", "import neutrino archives and list them"),
    "neutrinos import": (
        "neutrinos.import_archive",
        "turn a release of IceCube's tracks, or of another detector, into LLAMA's own form",
    ),
    "neutrinos fetch": (
        "neutrinos.fetch",
        "fetch a public release of IceCube tracks from its DOI, and import it",
    ),
    "neutrinos show": ("neutrinos.show", "list the archives that have been imported"),
    "catalogue": ("", "make the events of a catalogue from its sky maps"),
    "catalogue import": (
        "catalogue.import_maps",
        "make the events of a release of sky maps that is here, in past_runs/RUN",
    ),
    "catalogue fetch": (
        "catalogue.fetch",
        "fetch a release of sky maps from Zenodo and GWOSC's table of events, and import them",
    ),
    "cron": ("", "have cron or systemd keep the newest events up to date"),
    "cron install": ("run.install", "let cron call llama run -o every minute"),
    "cron show": ("run.show_line", "print the line in the crontab; exit 1 if there is none"),
    "cron remove": ("run.remove", "take the line out of the crontab"),
    "cron units": ("run.write_units", "write units for systemd: listener, run, timer"),
    "settings": ("settings.run", "print the settings in force, and which file sets each"),
    "audit": (
        "proofs.audit",
        "prove that all that was heard is archived and taken over, that events agree with their "
        "inputs, and that nothing is published twice or out of date",
    ),
    "rebuild": (
        "proofs.rebuild_event",
        "make the significance of an earlier manifest again, bit for bit",
    ),
    "dev": ("", "background studies, their droplets, tables and sky-map lists"),
    "dev dv": ("", "droplets at work, all at once"),
    "dev dv launch": (
        "dv_study.launch_list",
        "start the background study of a list of sky maps on the fleet",
    ),
    "dev dv batch": (
        "dv_study.launch_batch",
        "start the study of superevents and lists made before (O3B)",
    ),
    "dev dv done": ("dv_study.done", "tell injections done, rate, time left and cost"),
    "dev dv pull": ("dv_study.pull_results", "fetch results from Spaces into ./studies"),
    "dev dv init": ("dv.init", "learn the host keys of all droplets; asks for unknown ones"),
    "dev dv ls-procs": ("dv.ls_procs", "list LLAMA's processes on all droplets"),
    "dev dv tail": ("dv.tail", "show the last lines of the newest log of each droplet"),
    "dev dv killall": ("dv.killall", "end LLAMA's processes on all droplets"),
    "dev dv eval": ("dv.evaluate", "run any command on all droplets"),
    "dev background": ("", "tables of background odds and their p-values"),
    "dev background table": ("dev.table", "collate the injections of a study in a table"),
    "dev background pvalue": (
        "dev.pvalue",
        "make populations.hdf5 from all tables in the current directory",
    ),
    "dev skymaps": ("", "lists of simulated sky maps"),
    "dev skymaps lists": ("dev.list_maps", "list the sky maps of a simulation by their detectors"),
    "dev skymaps pack": ("dev.pack_maps", "compress sky maps into one archive, DIR.tar.gz"),
    "dev upload": ("uploads.upload", "put files into Spaces; print URL and cache entry of each"),
    "dev uploads": (
        "uploads.list_or_fetch",
        "list what was uploaded to Spaces, or fetch it by its name",
    ),
    "com": ("", "droplets and snapshots on DigitalOcean"),
    "com do": ("com.run", "list, make and destroy droplets on DigitalOcean"),
    "fleet": ("", "the head of the droplets that studies run on"),
    "fleet up": ("fleet.up", "make this machine the fleet's head, or renew it"),
    "fleet status": ("fleet.status", "tell workers, jobs, cost and budget"),
    "fleet down": ("fleet.down", "end all jobs, destroy all workers, stop the head"),
}
_LEVELS = ("debug", "info", "warning", "error", "critical", "none")


def add_version(parser: Parser) -> None:
    """Give `parser` -V and --version, which print the command's first word and the version."""
    program = parser.prog.split()[0]
    parser.add_argument("-V", "--version", action="version", version=f"{program} {__version__}")


def add_switch(parser: argparse._ActionsContainer, explained: str, *names: str) -> None:
    """Add an option that is on or off, to a parser or to a group of it."""
    parser.add_argument(*names, action="store_true", help=explained)


def add_commands(top: Parser) -> Parsers:
    """Add all of `COMMANDS` to the parser of `llama`, and return their parsers."""
    parsers, groups = {"": top}, {}
    for words, (run, summary) in COMMANDS.items():
        group, _, name = words.rpartition(" ")
        if group not in groups:
            groups[group] = parsers[group].add_subparsers(metavar="COMMAND", required=True)
        sentence = f"{summary[0].upper()}{summary[1:]}."
        parser = groups[group].add_parser(name, help=summary, description=sentence)
        add_version(parser)
        parser.set_defaults(run=run)
        parsers[words] = parser
    return parsers


def add_options(parsers: Parsers) -> None:
    """Add the options of the commands about events, alerts, neutrinos and the settings."""
    _add_demo_and_listen(parsers)
    _add_run(parsers["run"])
    _add_events(parsers)
    _add_publish(parsers["publish"])
    _add_neutrinos(parsers)
    _add_catalogue(parsers)
    out = "where to write them"
    parsers["cron units"].add_argument("--out", type=Path, required=True, metavar="DIR", help=out)
    changed = "only those that a file has changed, as lines for a file of your own"
    add_switch(parsers["settings"], changed, "--changed")


def _add_demo_and_listen(parsers: Parsers) -> None:
    command = parsers["demo"]
    output = "directory to use (default: ./demo)"
    command.add_argument("--output", type=Path, help=output)
    size = "size of the background (%(default)s)"
    command.add_argument("--injections", type=int, default=2_000, help=size)
    three = "three events of a past run as one search, with its page"
    add_switch(command, three, "--catalogue")
    where = "directory to make; commands that are typed in it use what is there"
    parsers["init"].add_argument("directory", metavar="DIR", type=Path, help=where)
    told = "targets and options of Snakemake; --profile takes the names of LLAMA's profiles, too"
    parsers["snakemake"].add_argument("words", metavar="WORD", nargs="*", help=told)
    command = parsers["listen gcn"]
    add_switch(command, "stay in this terminal", "-F", "--foreground")
    add_switch(command, "end the running listener", "-k", "--kill")
    broker = "a Kafka broker on this machine instead of GCN's, for tests"
    command.add_argument("--bootstrap-servers", metavar="HOST:PORT", help=broker)
    add_switch(parsers["listen status"], "print JSON", "--json")
    archive = "directory or tar or zip archive of notices"
    parsers["listen replay"].add_argument("path", type=Path, metavar="PATH", help=archive)
    back = "seconds to look back (default: %(default)g)"
    command = parsers["poll gracedb"]
    command.add_argument("--since", metavar="S", type=float, default=200_000.0, help=back)


def _add_run(command: Parser) -> None:
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


def _add_events(parsers: Parsers) -> None:
    command = parsers["explain"]
    command.add_argument("event", metavar="events/ID", help="the event's directory, or its id")
    add_switch(command, "print the numbers as JSON", "--json")
    command = parsers["flags"]
    command.add_argument(
        "words",
        nargs="*",
        metavar="[RUN/GLOB] [NAME=VALUE..|PRESET]",
        help="events (default: all of the current run; needed to set flags), and what to set: "
        "NAME=VALUE or TRIGGERED_TEST, TRIGGERED_INTERNAL, TRIGGERED_PUBLIC",
    )
    add_switch(command, "show what the presets set", "--flag-presets")
    parsers["audit"].add_argument(
        "events",
        metavar="RUN/GLOB",
        nargs="?",
        help="events to audit, such as 'S2511*' or past_runs/o3/ "
        "(default: all of the current run, and the records)",
    )
    command = parsers["rebuild"]
    command.add_argument("event", metavar="EVENT", help="such as events/S190425z")
    at = "number or path of the manifest (default: list those that the event has)"
    command.add_argument("--at", metavar="MANIFEST", help=at)


def _add_publish(command: Parser) -> None:
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


def _add_neutrinos(parsers: Parsers) -> None:
    command = parsers["neutrinos import"]
    command.add_argument("path", metavar="PATH", help="directory with events/, irfs/ and uptime/")
    command = parsers["neutrinos fetch"]
    command.add_argument("release", metavar="RELEASE", help="icetracks-dr2 or icecube-10-year")
    to = "where to (default: releases/RELEASE)"
    command.add_argument("directory", metavar="DIR", nargs="?", type=Path, help=to)
    since = "only seasons with data after this date, such as 2019-04-01"
    command.add_argument("--since", metavar="DATE", help=since)
    for command in (parsers["neutrinos import"], parsers["neutrinos fetch"]):
        command.add_argument("--name", help="name of the archive (default: neutrinos.archive)")
        area = "effective area to use (default: neutrinos.effective_area_season, else the newest"
        command.add_argument("--season", help=f"{area} of them)")
        seasons = "seasons whose events to take, such as IC86 or IC79,IC86_I (default: all of the"
        newest = f"{seasons} newest detector configuration)"
        command.add_argument("--seasons", metavar="LIST", help=newest)


def _add_catalogue(parsers: Parsers) -> None:
    command = parsers["catalogue import"]
    maps = "directory or tarball of sky maps, such as those of GWTC-2.1, 3, 4 and 5"
    command.add_argument("path", metavar="DIR|TARBALL", type=Path, help=maps)
    command = parsers["catalogue fetch"]
    releases = "GWTC-2.1, GWTC-3, GWTC-4.1 or GWTC-5"
    command.add_argument("release", metavar="RELEASE", help=releases)
    for command in (parsers["catalogue import"], parsers["catalogue fetch"]):
        table = "GWOSC's table of events, CSV or JSON: times, p_astro, false-alarm rates"
        command.add_argument("--table", metavar="FILE", type=Path, help=table)
        run = "name of the run (default: the release)"
        command.add_argument("--run", metavar="NAME", dest="run_name", help=run)
        p_astro = "p_astro of events for which the table has neither that nor a rate"
        command.add_argument("--p-astro", metavar="P", type=float, help=p_astro)
        moved = "with --scramble: whose events (default: neutrinos.archive)"
        command.add_argument("--neutrinos", metavar="ARCHIVE", help=moved)
        scramble = "a test: move an archive's events to the times of the maps, marked as such"
        command.add_argument("--scramble", metavar="SEED", type=int, help=scramble)
