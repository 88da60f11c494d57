"""`llama settings`: what is in force, and where each value comes from."""

import argparse

from llama.cli.parsers import Subparsers, add_command


def add_parser(subparsers: Subparsers) -> None:
    """Add `llama settings`."""
    parser = add_command(
        subparsers, "settings", "print the settings in force, and which file sets each", _run
    )
    parser.add_argument(
        "--changed",
        action="store_true",
        help="only those that a file has changed, as lines for a file of your own",
    )


def _run(options: argparse.Namespace) -> None:
    from llama.settings.load import layers, settle, sources
    from llama.settings.render import in_force_yaml

    found = layers()
    settings, origin = settle(found), sources(found)
    if options.changed:
        origin = {place: source for place, source in origin.items() if source != "default"}
    for layer in found:
        print(f"# read: {layer.source}")
    print(f"# output directory: {settings.output_dir}")
    print(in_force_yaml(settings, origin), end="")
