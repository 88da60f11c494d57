"""`llama neutrinos`: neutrino archives in, and what is there."""

import argparse
from pathlib import Path

from llama.cli.common import say
from llama.errors import LlamaError
from llama.neutrinos.archive import About, summary
from llama.neutrinos.importing import import_release
from llama.neutrinos.other_release import is_other
from llama.settings import Settings, load


def import_archive(options: argparse.Namespace) -> None:
    """Run `llama neutrinos import`."""
    _import(options.path, options, load())


def fetch(options: argparse.Namespace) -> None:
    """Run `llama neutrinos fetch`."""
    from llama.neutrinos.fetch import fetch_release

    settings = load()
    dois = settings.neutrinos.release_doi
    if options.release not in dois:
        raise LlamaError(
            f"there is no release {options.release!r}; choose one of {', '.join(sorted(dois))}"
        )
    directory = options.directory or settings.output_dir / "releases" / options.release
    seasons = fetch_release(
        options.release,
        dois[options.release],
        settings.neutrinos.data_host,
        directory,
        _seasons(options),
        None if options.since is None else _mjd(options.since),
        say,
    )
    _import(directory, options, settings, seasons)


def _import(
    path: Path, options: argparse.Namespace, settings: Settings, seasons: list[str] | None = None
) -> None:
    if is_other(Path(path)) and not options.name:
        raise LlamaError(
            f"{path} is of another detector than IceCube; give its archive a name: --name arca230"
        )
    name = options.name or settings.neutrinos.archive
    season = options.season or settings.neutrinos.effective_area_season
    directory = settings.output_dir / "archive"
    say(f"importing {path} as {name}")
    import_release(path, directory, name, season, seasons or _seasons(options), _Progress())
    for key, about in summary(directory).items():
        if key.partition("/")[0] == name:
            print(_text(about))


class _Progress:
    """Says each tenth of the way through a smearing matrix."""

    def __init__(self) -> None:
        self._tenths = 0

    def __call__(self, read: int, size: int) -> None:
        tenths = 10 * read // max(size, 1)
        self._tenths = min(self._tenths, tenths)  # of the next one
        if tenths > self._tenths:
            self._tenths = tenths
            say(f"smearing matrix: {10 * tenths} % of {size / 1e6:.0f} MB")


def _seasons(options: argparse.Namespace) -> list[str] | None:
    return options.seasons.replace(",", " ").split() if options.seasons else None


def _mjd(date: str) -> float:
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(date)
    except ValueError as error:
        raise LlamaError(f"{date!r} is not a date; write it as 2019-04-01") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return 40587.0 + moment.timestamp() / 86400.0


def show(options: argparse.Namespace) -> None:
    """Run `llama neutrinos show`."""
    settings = load()
    directory = settings.output_dir / "archive"
    archives = summary(directory)
    for about in archives.values():
        print(_text(about))
    for name in settings.neutrinos.archives.values():
        if name not in archives:
            say(
                f"the configured archive, {name}, is not in {directory}; "
                f"make it with llama neutrinos import PATH --name {name}"
            )


def _text(about: About) -> str:
    files = about["counts"].values()
    rejected = ", ".join(
        f"{sum(counts.get(reason, 0) for counts in files):,} {reason.replace('_', ' ')}"
        for reason in ("not_finite", "out_of_range", "duplicates", "repeats")
    )
    seasons = ", ".join(about["event_seasons"])
    if left_out := about["left_out_seasons"]:
        seasons += f"; not {', '.join(left_out)}, which --seasons can ask for"
    if background := about.get("background"):
        seasons += f"; background: {background}"
    if site := about.get("site"):
        seasons += f"; sees the sky turn at {site['latitude_deg']:+.1f} deg"
    times = f"  from, to   {about['first']}, {about['last']}\n"
    uptime = f"{about['livetime_days']:,.1f} days, {about['rate_hz']:.6f} Hz"
    if about.get("drawn"):  # in no time
        seasons += ", events drawn from a table"
        times, uptime = "", f"not known, {about['rate_hz']:.6f} Hz"
    matrix = f"{about['smearing'] or 'none'}: {about['smearing_reason']}"
    unlike = "".join(f"  ! {sentence}\n" for sentence in about["unlike"])
    return (
        f"{about['name']}\n"
        f"  events     {about['events']:,}; rejected: {rejected}\n"
        f"  seasons    {seasons}\n"
        f"{times}"
        f"  uptime     {uptime}\n"
        f"  area of    {about['effective_area_season']}\n"
        f"  matrix     {matrix}\n"
        f"{unlike}"
        f"  source     {about['source']}"
    )
