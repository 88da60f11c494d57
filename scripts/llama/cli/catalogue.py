"""`llama catalogue`: the sky maps of a catalogue as events of a run."""

import argparse
import re
from pathlib import Path

from llama.catalogue.importing import Importer, Table
from llama.catalogue.release import open_release, release_name
from llama.catalogue.table import MAX_BYTES, read_catalogue
from llama.cli.common import plural, read_file, say
from llama.errors import LlamaError
from llama.event.parameters import stream_rate_hz
from llama.layout import to_type
from llama.neutrinos.archive import Archive
from llama.neutrinos.moved import Mover
from llama.settings import Settings, load
from llama.stats.window import search_window

_RUN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}"


def import_maps(options: argparse.Namespace) -> None:
    """Run `llama catalogue import`."""
    _import(options.path, options.table, options, load())


def fetch(options: argparse.Namespace) -> None:
    """Run `llama catalogue fetch`."""
    from llama.catalogue.fetching import fetch as fetch_release
    from llama.catalogue.fetching import known_release

    settings, release = load(), known_release(options.release)
    directory = settings.output_dir / "releases" / release
    tarball, table = fetch_release(release, directory, say, table=options.table is None)
    options.run_name = options.run_name or release
    _import(tarball, options.table or table, options, settings)


def _import(
    path: Path, table: Path | None, options: argparse.Namespace, settings: Settings
) -> None:
    if options.p_astro is not None and not 0 <= options.p_astro <= 1:
        raise LlamaError("--p-astro must be from 0 to 1; correct it")
    release = open_release(path)
    run = options.run_name or release_name([path.name]) or release_name(release.names())
    if run is None:
        raise LlamaError(f"the files of {path} do not name one release; name the run with --run")
    if not re.fullmatch(_RUN, run):
        raise LlamaError("--run must be letters, digits, dots, dashes and underscores; correct it")
    events = None
    if table is not None:
        content = read_file(table, MAX_BYTES, "--table")
        events = Table(table.name, content, read_catalogue(content, str(table)))
    importer = Importer(
        run_dir=settings.output_dir / "past_runs" / run,
        table=events,
        p_astro=options.p_astro,
        mover=_mover(options, settings),
        archives=_archives(settings),
        window=search_window(settings.search_parameters()),
        say=say,
    )
    done = importer.run(release, path.name)
    for name, reason in done.left_out.items():
        say(f"{name} is left out: {reason}")
    for name in done.unobserved:
        say(f"{name}: no neutrino detector observed in its window; it will have no p-value")
    if events and (others := len(events.events) - len(done.events) - len(done.left_out)) > 0:
        say(f"{plural(others, 'event')} of {events.name} have no sky map here")
    states = list(done.events.values())
    told = [f"{states.count(state)} {state}" for state in ("new", "revised", "unchanged")]
    say(f"{plural(len(states), 'event')}: {', '.join(told)}; {len(done.left_out)} left out")
    print(done.run_dir)
    print(to_type(f"past_runs/{run}/catalogue"))


def _archives(settings: Settings) -> tuple[Archive, ...]:
    names, directory = settings.neutrinos.archives.values(), settings.output_dir / "archive"
    there = [directory / name for name in names if (directory / name / "archive.json").exists()]
    return tuple(map(Archive.open, there))


def _mover(options: argparse.Namespace, settings: Settings) -> Mover | None:
    """Return what moves an archive's events to others' times, None if that is not asked for."""
    if options.scramble is None:
        if options.neutrinos:
            raise LlamaError(
                "--neutrinos moves an archive's events to the times of the catalogue, where they "
                "never were; say so with --scramble SEED, or leave it out"
            )
        return None
    known = settings.neutrinos.archives.values()
    name = options.neutrinos or settings.neutrinos.archive
    if name not in known:
        raise LlamaError(
            f"events of {name} would be compared with the background of {', '.join(known)}; set "
            f"neutrinos.archive to {name}, or leave --neutrinos out"
        )
    search = settings.search_parameters()
    archive = Archive.open(settings.output_dir / "archive" / name)
    return Mover(archive, options.scramble, search_window(search), stream_rate_hz(search))
