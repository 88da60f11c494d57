"""`llama listen` and `llama poll`: records in, how the listener is, what it has missed."""

import argparse
import json
import logging
import sys
import time

from msgspec import to_builtins

from llama.alerts import gracedb, poll
from llama.cli.common import plural, say
from llama.errors import LlamaError
from llama.listening.health import examine, lock_path, span
from llama.listening.replay import replay
from llama.listening.spool import Spool
from llama.locks import holder
from llama.processes import last_words, log_to, start_in_background, stop
from llama.running.failing import problems_of_run
from llama.settings import load
from llama.times import now_gps


def gcn(options: argparse.Namespace) -> None:
    """Run `llama listen gcn`."""
    from llama.listening.kafka import client_config
    from llama.listening.listen import COMMAND, listen
    from llama.publish.alarm import SlackAlarm

    settings = load()
    lock, log = lock_path(settings.output_dir), settings.output_dir / "logs" / "gcn.log"
    if options.kill:
        say(f"ended the listener with pid {stop(lock, COMMAND)}")
        return
    config = client_config(settings.listen, options.bootstrap_servers)
    if options.foreground:
        log_to(log)
        with last_words(logging.getLogger("llama.listen")):
            channel = settings.listen.alarm_slack
            listen(settings, config, SlackAlarm(channel) if channel else None, problems_of_run)
        return
    servers = options.bootstrap_servers
    words = ["listen", "gcn", "-F", *(["--bootstrap-servers", servers] if servers else [])]
    pid = start_in_background(words, lock, COMMAND, log)
    say(f"listening, pid {pid}; log: {log}; how it is: llama listen status")


def status(options: argparse.Namespace) -> int:
    """Run `llama listen status`."""
    settings = load()
    state, problems = examine(settings.output_dir, settings.listen)
    counts = Spool(settings.output_dir).count()
    pid = holder(lock_path(settings.output_dir))
    if options.json:
        about = {"pid": pid, "problems": problems, "spool": counts}
        print(json.dumps(about | {"state": to_builtins(state)}, indent=2, sort_keys=True))
        return 1 if problems else 0
    for problem in problems:
        print(f"PROBLEM: {problem}")
    if pid is not None and not problems:
        print(f"the listener is well, pid {pid}")
    if state is not None:
        heard = ", ".join(f"{n:,} of {topic}" for topic, n in sorted(state.heard.items()))
        print(f"  started       {_ago(state.started_at)}")
        print(f"  heartbeat     {_ago(state.heartbeat_at)}")
        print(f"  LVK alert     {_ago(state.alert_at)}")
        name = f": {state.record}" if state.record else ""
        print(f"  last record   {_ago(state.record_at)}{name}")
        print(f"  heard         {heard or 'nothing'}; {state.new:,} new")
        print(f"  at the broker {state.lag:,} waiting, {state.partitions} partitions")
        last = f"; {_ago(state.error_at)}: {state.error}" if state.error else ""
        print(f"  errors        {state.errors:,}{last}")
    print(f"  spool         {counts['pending']:,} waiting, {counts['quarantine']:,} in quarantine")
    return 1 if problems else 0


def _ago(unix_s: float | None) -> str:
    return "never" if unix_s is None else f"{span(time.time() - unix_s)} ago"


def replay_notices(options: argparse.Namespace) -> None:
    """Run `llama listen replay`."""
    settings = load()
    done = replay(options.path, settings.output_dir, _show_progress)
    sys.stderr.write(
        f"{plural(done.notices, 'notice')}, {done.new:,} of them new and now in the spool; "
        f"{plural(done.left_out, 'other file')} left out"
        + (f"; {done.undated:,} without a date came last" if done.undated else "")
        + "\n"
    )


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done:,} of {total:,}" + ("\n" if done == total else ""))


def poll_gracedb(options: argparse.Namespace) -> int:
    """Run `llama poll gracedb`."""
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
