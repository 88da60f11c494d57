"""`llama neutrinos`: neutrino archives in, and what is there."""

import argparse
import sys
from typing import TYPE_CHECKING

from llama.cli.parsers import Subparsers, add_command, add_group

if TYPE_CHECKING:
    from llama.neutrinos.archive import About


def add_parser(subparsers: Subparsers) -> None:
    """Add `llama neutrinos` with its commands."""
    group = add_group(subparsers, "neutrinos", "import neutrino archives and list them")
    command = add_command(
        group, "import", "turn a release of IceCube tracks into LLAMA's own form", _import
    )
    command.add_argument("path", metavar="PATH", help="directory with events/, irfs/ and uptime/")
    command.add_argument("--name", help="name of the archive (default: neutrinos.archive)")
    command.add_argument(
        "--season",
        help="effective area to use (default: neutrinos.effective_area_season, else the newest)",
    )
    add_command(group, "show", "list the archives that have been imported", _show)


def _import(options: argparse.Namespace) -> None:
    from llama.neutrinos.archive import import_release, summary
    from llama.settings import load

    settings = load()
    name = options.name or settings.neutrinos.archive
    season = options.season or settings.neutrinos.effective_area_season
    directory = settings.output_dir / "archive"
    sys.stderr.write(f"importing {options.path} as {name}\n")
    import_release(options.path, directory, name, season)
    print(_text(summary(directory)[name]))


def _show(options: argparse.Namespace) -> None:
    from llama.neutrinos.archive import summary
    from llama.settings import load

    settings = load()
    directory = settings.output_dir / "archive"
    archives = summary(directory)
    for about in archives.values():
        print(_text(about))
    if settings.neutrinos.archive not in archives:
        sys.stderr.write(
            f"the configured archive, {settings.neutrinos.archive}, is not in {directory}; "
            "make it with llama neutrinos import PATH\n"
        )


def _text(about: "About") -> str:
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
