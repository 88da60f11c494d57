"""`llama dev dv launch|batch|done|pull`: studies on the fleet, from this machine."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from llama.cli.common import ask, counter, plural, print_table, say
from llama.errors import LlamaError
from llama.fleet import launch as launching
from llama.fleet.money import Cost, Ledger, running_cost
from llama.locks import holder
from llama.processes import start_in_background
from llama.settings import Settings, load
from llama.study.plan import localised_injections, missing_shards, most_injections, study_progress
from llama.study.simulate import SHARD_SIZE
from llama.study.skymaps import list_skymaps, some


def launch_list(options: argparse.Namespace) -> None:
    """Run `llama dev dv launch`."""
    settings = load()
    study, skymaps = launching.study_of_list(settings, options.skymaps)
    maps = plural(len(list_skymaps(options.skymaps)), "sky map") if not options.kill else ""
    words = ["dev", "dv", "launch", "bg", str(options.skymaps)]
    _start(settings, study, skymaps, f"{maps}, ", words, options)


def launch_batch(options: argparse.Namespace) -> None:
    """Run `llama dev dv batch`."""
    settings = load()
    study = launching.study_of_artifacts(settings, options.study)
    source = f"{settings.background.studies[study].artifacts}, at most "
    _start(settings, study, "", source, ["dev", "dv", "batch", study], options)


def _start(
    settings: Settings,
    study: str,
    skymaps: str,
    source: str,
    words: list[str],
    options: argparse.Namespace,
) -> None:
    """Start a launch in the background, become it with -F, or end it with -k."""
    what, where = " ".join(["llama", *words]), launching.places(settings, study)
    if options.kill:
        ended = launching.end(settings, study, what)
        say(f"ended {study} with {ended}; the same command without -k goes on with it")
        return
    count = options.n or settings.background.injections
    shards = plural(-(-count // settings.background.shard_size), "shard")
    say(f"{study}: {source}{plural(count, 'injection')} in {shards}")
    if (other := holder(where.lock)) is not None:
        raise LlamaError(f"{study} is running already with pid {other}; see {where.log}")
    launch = launching.Launch(study, skymaps, options.n, options.profile, time.time())
    launching.prepare(settings, launch, say)
    if options.foreground:
        launching.run(settings, launch, what, to_log=not sys.stderr.isatty())
    words += ["-F", "--profile", options.profile, *(["--n", str(options.n)] if options.n else [])]
    pid = start_in_background(words, where.lock, what, where.log)
    say(f"launched, pid {pid}; log: {where.log}; how far it is: llama dev dv done bg")


def pull_results(options: argparse.Namespace) -> int:
    """Run `llama dev dv pull`."""
    from llama.fleet.pull import pull
    from llama.fleet.spaces import Spaces

    def replace(paths: list[Path]) -> bool:
        for path in paths[:10]:
            print(path)
        if len(paths) > 10:
            print(f"and {len(paths) - 10:,} more")
        return ask(f"Not as in Spaces; replace {plural(len(paths), 'file')}? [y/N]") == "y"

    def progress(what: str, total: int) -> Callable[[int], object]:
        unit, name = (10**6, " MB") if what == "fetched" else (1, " files")
        return counter(what, total, unit, name)

    spaces = Spaces(load().spaces, say)
    spaces.check()
    done = pull(spaces, Path("studies"), options.studies, replace, progress)
    say(
        f"{plural(done.fetched, 'file')} fetched ({done.size / 1e6:,.1f} MB), "
        f"{done.same:,} already here; next: llama dev background table NAME.txt"
    )
    whole = _tell_missing(options.studies)
    if done.unsure:
        say(f"of {plural(done.unsure, 'file')} Spaces knows no checksum, only the size")
    if done.different:
        say(f"{plural(len(done.different), 'file')} left as here, other than in Spaces")
    return 0 if whole and not done.different else 1


def _tell_missing(studies: list[str]) -> bool:
    """Say which of the studies that were fetched are not whole; return whether all are."""
    whole = True
    for path in sorted(Path("studies").glob("*/*/plan.json")):
        _, study, kind, _ = path.parts
        missing = missing_shards(path.parents[1], kind)
        if missing and (study in studies or not studies):
            count = plural(len(missing), "shard")
            say(f"{study} is not whole: {count} of {kind} not there ({some(missing, 5)})")
            whole = False
    return whole


def done(options: argparse.Namespace) -> None:
    """Run `llama dev dv done`."""
    settings = load()
    studies, started = settings.output_dir / "studies", launching.launches(settings, say)
    wanted = _wanted(settings, started)
    simulations = settings.background.simulations
    lines = [["study", "injections", "done", "of", "", "rate", "left"]]
    for name, simulation in sorted(simulations.items()):
        total = simulation.injections
        made = localised_injections(settings.output_dir / "simulations" / name, total, SHARD_SIZE)
        left = "done" if made == total else "-"
        lines.append([name, "sky maps", *_counts(made, total), "-", left])
    elsewhere = _in_spaces(settings, wanted)
    at_work = {study for study in started if launching.is_running(settings, study)}
    for row in study_progress(studies, wanted, settings.background.shard_size, elsewhere, at_work):
        digits = ",.0f" if (row.rate_hz or 0) >= 10 else ".2g"
        rate = f"{row.rate_hz:{digits}} Hz" if row.rate_hz else "-"
        left = "at work" if row.study in at_work else "not at work"
        if row.done == row.wanted:
            left = "done"
        elif row.left_s is not None:
            left = _duration(row.left_s)
        lines.append([row.study, row.kind, *_counts(row.done, row.wanted), rate, left])
    if not wanted and not simulations:
        say("no studies: name their sky maps under background.studies, or launch one")
    else:
        print_table(lines, right={2, 3, 4, 5})
    lives = Ledger(settings.output_dir / "fleet").lives()
    if lives:
        _print_cost(running_cost(lives, time.time()))


def _counts(done: int, wanted: int) -> list[str]:
    return [f"{done:,}", f"{wanted:,}", f"{done / wanted:.0%}"]


def _wanted(
    settings: Settings, started: Mapping[str, launching.Launch]
) -> dict[tuple[str, str], int]:
    """Return {(study, kind): injections} of all studies that are named or were launched."""
    studies, wanted = settings.output_dir / "studies", {}
    for study in sorted({*settings.background.studies, *started}):
        asked = started[study].injections if study in started else None
        count = asked or settings.background.injections
        pairs = most_injections(studies / study / "skymaps.hdf5")
        wanted[study, "background"] = count if pairs is None else min(count, pairs)
        for kind in ("signal", "doublet", "quadruplet"):
            if (studies / study / kind).is_dir():  # it is made on request only
                wanted[study, kind] = settings.background.signal_injections
    return wanted


def _in_spaces(
    settings: Settings, wanted: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str], dict[int, float]]:
    """Return which shards are in the bucket; without one, or without an answer, none."""
    if settings.spaces.bucket is None or not wanted:
        return {}
    from llama.fleet.pull import finished_shards
    from llama.fleet.spaces import Spaces

    try:
        spaces = Spaces(settings.spaces, say, patience_s=5.0)
        return {key: finished_shards(spaces, *key) for key in wanted}
    except LlamaError as error:
        say(f"only what is on this machine is counted: {error}")
        return {}


def _print_cost(cost: Cost) -> None:
    parts = [
        f"{study or 'no study'} ${usd:,.2f}" for study, usd in sorted(cost.usd_of_study.items())
    ]
    of = f" ({', '.join(parts)})" if any(cost.usd_of_study) else ""
    print(
        f"cost so far ${cost.usd:,.2f}{of}; {plural(cost.droplets, 'droplet')} now, "
        f"${cost.usd_per_hour:,.2f} per hour; last 24 hours ${cost.usd_of_day:,.2f}"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
