"""`llama run` and `llama cron`: alerts in, events up to date, by itself."""

import argparse
import logging
import signal
import threading
from pathlib import Path

from llama import processes
from llama.cli.common import plural, say
from llama.errors import LlamaError, printable
from llama.event.find import Choice, is_run, parse_downselect, run_named
from llama.listening.spool import Spool
from llama.locks import holder
from llama.running import cron
from llama.running.failing import Failing, daemon_lock, troubles_of_run
from llama.running.keeper import COMMAND, run_daemon, run_once
from llama.settings import Settings, load

_JOBS_S = 300.0  # the jobs that run may take so long


def run(options: argparse.Namespace) -> int | None:
    """Run `llama run`."""
    settings = load()
    lock = daemon_lock(settings.output_dir)
    choice = _choice(options, settings)
    if options.running:
        return _say_running(settings)
    if options.kill:
        say(f"ended {COMMAND} with pid {processes.stop(lock, COMMAND, _JOBS_S)}")
    elif options.kill_now:
        say(f"killed {COMMAND} with pid {processes.kill(lock, COMMAND)} and its jobs")
    elif options.dry_run_dirs:
        for directory in choice.directories(settings.output_dir):
            print(settings.output_dir / directory)
    else:
        return _keep(options, settings, choice)
    return None


def _keep(options: argparse.Namespace, settings: Settings, choice: Choice) -> int | None:
    lock = daemon_lock(settings.output_dir)
    if options.restart and holder(lock) is not None:
        processes.stop(lock, COMMAND, _JOBS_S)
    log = (options.logfile or settings.output_dir / "logs" / "llamad.log").absolute()
    if not (options.foreground or options.runonce):
        pid = processes.start_in_background(_words(options, log), lock, COMMAND, log)
        say(f"keeping events, pid {pid}; log: {log}; end it with {COMMAND} -k")
        return None
    level = logging.getLevelName(options.verbosity.upper()) if options.verbosity != "none" else 99
    processes.log_to(log, level, logging.WARNING if options.runonce else level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def show() -> None:
        from llama.figures.run_page import write_run_page

        write_run_page(settings)

    with processes.last_words(logging.getLogger("llama.run")):
        if options.runonce:
            return 1 if run_once(settings, choice, stop, show) else 0
        run_daemon(settings, choice, stop, show)
    return None


def _words(options: argparse.Namespace, log: Path) -> list[str]:
    """Return the words of the same command in the foreground."""
    words = ["run", "-F", "-l", str(log), "-v", options.verbosity]
    if options.num_updated is not None:
        words += ["-n", str(options.num_updated)]
    if options.downselect:
        words += ["--downselect", options.downselect]
    return [*words, "--", options.events]


def _choice(options: argparse.Namespace, settings: Settings) -> Choice:
    count = settings.events.tracked_newest if options.num_updated is None else options.num_updated
    if count < 0:
        raise LlamaError(f"-n {count} is no number of events; give 0 or more")
    given = options.events.removeprefix(f"{settings.output_dir}/")
    run, _, pattern = given.rpartition("/")
    run = run_named(run)
    if not is_run(run):
        raise LlamaError(
            f"{options.events!r} names no events of {settings.output_dir}; "
            "give GLOB, current_run/GLOB or past_runs/NAME/GLOB"
        )
    return Choice(count, run, pattern or "*", parse_downselect(options.downselect))


def _say_running(settings: Settings) -> int:
    pid = holder(daemon_lock(settings.output_dir))
    print(f"{COMMAND} is running, pid {pid}" if pid else f"{COMMAND} is not running")
    counts = Spool(settings.output_dir).count()
    print(f"  spool    {counts['pending']:,} waiting, {counts['quarantine']:,} in quarantine")
    for directory, failure in sorted(Failing(settings.output_dir).events.items()):
        times = plural(failure.times, "time")
        print(f"  failing  {printable(directory)}, {times}: {printable(failure.reason, 500)}")
    for trouble in troubles_of_run(settings.output_dir):
        print(f"  trouble  {trouble}")
    return 0 if pid else 1


def install(options: argparse.Namespace) -> None:
    """Run `llama cron install`."""
    settings = load()
    line, replaced = cron.install(settings)
    print(line)
    if replaced:
        say(f"in the place of the earlier line: {replaced}")
    say(f"cron calls it every minute; log: {settings.output_dir / 'logs' / 'cron.log'}")


def show_line(options: argparse.Namespace) -> int:
    """Run `llama cron show`."""
    line = cron.installed()
    if line is None:
        say("the crontab does not call llama; let it with llama cron install")
        return 1
    print(line)
    return 0


def remove(options: argparse.Namespace) -> None:
    """Run `llama cron remove`."""
    line = cron.remove()
    say("the crontab did not call llama; nothing to remove" if line is None else f"removed: {line}")


def write_units(options: argparse.Namespace) -> None:
    """Run `llama cron units`."""
    paths = cron.write_units(options.out, load())
    for path in paths:
        print(path)
    say(
        f"then, as root: put client id and secret of GCN into {cron.CREDENTIALS}, and\n"
        f"  cp {' '.join(str(path) for path in paths)} /etc/systemd/system/\n"
        "  systemctl daemon-reload\n"
        "  systemctl enable --now llama-listen llama-run\n"
        "llama-pass.timer, a pass every minute, is for those who want no second daemon."
    )
