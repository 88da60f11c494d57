"""`llama status`: the page of all events, and the same in short on the terminal."""

import argparse

from llama.cli.common import print_table, say
from llama.figures.run_page import HEADER, run_content, write_run_page
from llama.settings import load


def run(options: argparse.Namespace) -> None:
    """Run `llama status`."""
    settings = load()
    content = run_content(settings)
    for name, well, sentences in content["health"]:
        print(f"{name.lower():<9} {'well' if well else 'NOT WELL'}: {sentences[0]}")
        print(*(f"{'':<10}{sentence}\n" for sentence in sentences[1:]), sep="", end="")
    columns = [0, 1, 2, 3, 4, 5, 7, 10, 6]
    table = [[HEADER[k] for k in columns]]
    for row in content["rows"]:
        cells = [row["name"], ", ".join(row["marks"]), *(text for text, _ in row["cells"])]
        table.append([cells[k] for k in columns])
    if len(table) > 1:
        print()
        print_table(table)
    # last, so that a full disk hides nothing of it
    path, _ = write_run_page(settings, content)
    say(f"the page: {path}")
