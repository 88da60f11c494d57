"""`llama settings`: what is in force, and where each value comes from."""

import argparse

from llama.settings.load import layers, settle, sources
from llama.settings.render import in_force_yaml


def run(options: argparse.Namespace) -> None:
    """Run `llama settings`."""
    found = layers()
    settings, origin = settle(found), sources(found)
    if options.changed:
        origin = {place: source for place, source in origin.items() if source != "default"}
    for layer in found:
        print(f"# read: {layer.source}")
    print(f"# output directory: {settings.output_dir}")
    print(in_force_yaml(settings, origin), end="")
