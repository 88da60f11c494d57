"""`llama neutrinos`: neutrino archives in, and what is there."""

import argparse

from llama.cli.common import say
from llama.neutrinos.archive import About, import_release, summary
from llama.settings import load


def import_archive(options: argparse.Namespace) -> None:
    """Run `llama neutrinos import`."""
    settings = load()
    name = options.name or settings.neutrinos.archive
    season = options.season or settings.neutrinos.effective_area_season
    directory = settings.output_dir / "archive"
    say(f"importing {options.path} as {name}")
    import_release(options.path, directory, name, season)
    print(_text(summary(directory)[name]))


def show(options: argparse.Namespace) -> None:
    """Run `llama neutrinos show`."""
    settings = load()
    directory = settings.output_dir / "archive"
    archives = summary(directory)
    for about in archives.values():
        print(_text(about))
    if settings.neutrinos.archive not in archives:
        say(
            f"the configured archive, {settings.neutrinos.archive}, is not in {directory}; "
            "make it with llama neutrinos import PATH"
        )


def _text(about: About) -> str:
    files = about["counts"].values()
    rejected = ", ".join(
        f"{sum(counts.get(reason, 0) for counts in files):,} {reason.replace('_', ' ')}"
        for reason in ("not_finite", "out_of_range", "duplicates")
    )
    return (
        f"{about['name']}\n"
        f"  events     {about['events']:,}; rejected: {rejected}\n"
        f"  from, to   {about['first']}, {about['last']}\n"
        f"  uptime     {about['livetime_days']:,.1f} days, {about['rate_hz']:.6f} Hz\n"
        f"  area of    {about['effective_area_season']}\n"
        f"  source     {about['source']}"
    )
