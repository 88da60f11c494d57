"""`llama poll`: the safety net under the listener."""

import argparse

from llama.alerts import gracedb, poll
from llama.errors import LlamaError
from llama.settings import load
from llama.times import now_gps


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
