"""`llama fleet`: the head of the droplets that background studies run on."""

import argparse
import os
import socket
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from llama.cli.common import ask, plural, read_file, say
from llama.errors import LlamaError
from llama.fleet import slurm
from llama.fleet.cloud import Cloud
from llama.fleet.connection import CloudError
from llama.fleet.crew import Crew
from llama.fleet.head import Head, missing_packages
from llama.fleet.head_files import HeadFiles
from llama.fleet.hooks import cluster_directory
from llama.fleet.scheduler import SchedulerError
from llama.fleet.token import find_token, token_file
from llama.layout import to_type
from llama.running.watch import REMEDY, read_watch, watch_path
from llama.settings import load

_PATIENCE_S = 20.0


def _open(token: str) -> tuple[Head, Crew]:
    settings = load()
    return Head(settings), Crew(settings, Cloud(token, _PATIENCE_S, say))


def _token(renewed: bool = False) -> str:
    """Return the token of the environment, else the head's; renewed: else the user's before it."""
    own = cluster_directory(load()) / "token"
    return find_token(own if own.exists() and not (renewed and token_file().exists()) else None)


def up(options: argparse.Namespace) -> None:
    """Run `llama fleet up`."""
    command = ["apt-get", "install", "--no-install-recommends", *missing_packages()]
    if command[3:] and options.install:
        subprocess.run([*command, "--yes"], check=False)
    if missing_packages():
        raise LlamaError(
            f"{' and '.join(missing_packages())} are missing here; "
            f"install with: sudo {' '.join(command)}"
        )
    token = _token(renewed=True)
    head, crew = _open(token)
    extra = ""
    if options.slurm_conf:
        extra = read_file(options.slurm_conf, 100_000, "--slurm-conf").decode()
    address = options.address or _private_address(crew)
    print(HeadFiles(head.settings).write(crew, address, token, extra, options.wheel))
    head.start()
    print(f"the head is up at {address}; run the studies with: {to_type('--profile do-cluster')}")
    conf = Path("/etc/slurm/slurm.conf")
    if not conf.exists() or not conf.samefile(head.conf):
        print(f"first tell Slurm's commands: export SLURM_CONF={head.conf}")


def _private_address(crew: Crew) -> str:
    name = socket.gethostname()
    for droplet in crew.cloud.droplets():
        if droplet.name == name and droplet.private_ip:
            return droplet.private_ip
    raise LlamaError(
        f"no droplet of this account is called {name} as this machine; "
        "give with --address where droplets reach it"
    )


def status(options: argparse.Namespace) -> int:
    """Run `llama fleet status`."""
    head, crew = _open(_token())
    dead = [name for name in ("munged", "slurmctld", "keeper") if not head.pid(name)]
    print(f"head      {'up' if not dead else 'down: ' + ', '.join(dead) + ' not running'}")
    nodes = set[str]() if "slurmctld" in dead else _print_slurm(head)
    unseen = _print_droplets(crew, nodes)
    print_cost(crew)
    watch, trouble = read_watch(head.directory), ""
    if watch is not None and "keeper" not in dead:
        trouble = watch.trouble(time.time())
    if watch is not None and watch.notice:
        print(f"waiting   {watch.notice}")
    if trouble:
        print(f"KEEPER    {trouble}")
    if dead:
        say("start it with: llama fleet up")
    if unseen or trouble:
        say(REMEDY)
    return 1 if dead or nodes is None or unseen or trouble else 0


def _print_slurm(head: Head) -> set[str] | None:
    """Print workers and jobs; return the nodes that should have a droplet, None if unknown."""
    os.environ["SLURM_CONF"] = str(head.conf)
    try:
        nodes, jobs = slurm.nodes(), slurm.queue()
    except SchedulerError as error:
        print(f"workers   NOT KNOWN: {str(error).partition(';')[0]}; see {head.directory}/log")
        return None
    _print_counts("workers", [_word(node.state) for node in nodes if not node.powered_down])
    _print_counts("jobs", [job.state.lower() for job in jobs])
    for reason in sorted({n.reason for n in nodes if n.reason and "DOWN" in n.state}):
        print(f"          {reason.removeprefix('llama: ')}")
    return {node.name for node in nodes if not node.powered_down}


def _print_droplets(crew: Crew, nodes: Collection[str] | None) -> bool:
    """Print what is billed, counted by the fleet's tag; return whether that is unknown."""
    try:
        found = crew.reconcile()
    except CloudError as error:
        count = plural(crew.cost().droplets, "droplet")
        print(f"droplets  NOT KNOWN: {error}")
        print(f"          {count} when they were last counted, and billed since")
        return True
    _print_counts("droplets", [droplet.status for droplet in found])
    workers = [d.name for d in found if d.name.startswith(crew.worker_prefix)]
    without = [name for name in workers if nodes is not None and name not in nodes]
    if without:
        print(
            f"          {plural(len(without), 'worker')} without a node, which the keeper destroys"
        )
    return False


def _word(state: frozenset[str]) -> str:
    for word in ("POWERING_UP", "POWERING_DOWN", "NOT_RESPONDING", "DOWN", "DRAIN"):
        if word in state:
            return word.lower().replace("_", " ")
    return min(state & {"IDLE", "ALLOCATED", "MIXED"}, default="unknown").lower()


def _print_counts(what: str, words: list[str]) -> None:
    counts = ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
    print(f"{what:9} {counts or 'none'}")


def print_cost(crew: Crew) -> None:
    """Print what the fleet costs and may cost."""
    cost, limits = crew.cost(), crew.limits
    print(
        f"cost      {plural(cost.droplets, 'droplet')} of at most {limits.max_droplets}, "
        f"${cost.usd_per_hour:.4f} per hour; ${cost.usd_of_day:.2f} of "
        f"${limits.max_usd_per_day:.2f} in the last 24 hours; ${cost.usd:.2f} in all"
    )
    for study, usd in sorted(cost.usd_of_study.items()):
        if study:
            print(f"          {study}: ${usd:.2f} of ${limits.max_usd_per_study:.2f}")


def down(options: argparse.Namespace) -> int:
    """Run `llama fleet down`."""

    head, crew = _open(_token())
    prefix = crew.worker_prefix
    found = crew.droplets([f"{prefix}*"])
    if not options.yes and found and ask(f"Destroy {plural(len(found), 'worker')}? [y/N]") != "y":
        return 1
    head.end("keeper")
    _cancel_jobs(head)
    head.stop()
    failed: dict[str, str] = {}
    try:
        for _ in range(5):  # a hook that was still at work may have made some
            if not (found := crew.droplets([f"{prefix}*"])):
                break
            failed = crew.destroy(found, "down")
            time.sleep(2)
        crew.reconcile()
    except CloudError as error:
        raise LlamaError(
            f"{error}; workers may be left and are billed: run llama fleet down again"
        ) from error
    for name, reason in failed.items():
        say(f"{name}: {reason}")
    print("the head is down, " + ("no worker is left" if not found else "workers are left"))
    if not found:  # until then llama status says that nobody looks after them
        watch_path(head.directory).unlink(missing_ok=True)
    return 1 if found else 0


def _cancel_jobs(head: Head) -> None:
    """End all jobs; a controller that does not answer is no reason to leave droplets."""
    if not head.pid("slurmctld"):
        return
    os.environ["SLURM_CONF"] = str(head.conf)
    try:
        for job in slurm.queue():
            slurm.ask("scancel", job.id)
    except SchedulerError as error:
        say(f"jobs are left in the queue: {error}")
    time.sleep(1)  # logs of running jobs
