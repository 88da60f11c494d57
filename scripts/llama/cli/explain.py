"""`llama explain`: what drove an event's odds ratio, in words."""

import argparse
from pathlib import Path

from llama.errors import LlamaError
from llama.event.names import significance_name
from llama.event.skymap_info import read_info
from llama.figures.explain import explain, explain_lines
from llama.figures.inputs import Distances, NeutrinoList, Significance, read
from llama.files import dump_json, read_json
from llama.settings import load


def run(options: argparse.Namespace) -> None:
    """Run `llama explain`."""
    event_dir = _directory(options.event)
    info = read_info(event_dir)
    path = event_dir / significance_name(info)
    if not path.exists():
        if info.retracted:
            raise LlamaError(
                f"{event_dir.name} was retracted and has no result; there is nothing to explain"
            )
        raise LlamaError(
            f"{event_dir} has no result yet; run: snakemake events/{event_dir.name}/all"
        )
    significance = read(path, Significance)
    distances = read(event_dir / "lvc_skymap_distances.json", Distances)
    neutrinos = read(event_dir / "icecube_neutrino_list.json", NeutrinoList)
    explanation = explain(significance, distances, neutrinos)
    if options.json:
        whole = read_json(path)
        numbers = {key: whole[key] for key in ("odds_ratio", "p_value", "explanation")}
        print(dump_json(numbers), end="")
        return
    if info.retracted:
        print(f"{event_dir.name} was RETRACTED. Its last result, for the record:\n")
    print("\n".join(explain_lines(explanation, significance.odds_ratio)))


def _directory(given: str) -> Path:
    """Return the event's directory: a path as given, below the output directory, or an id."""
    output_dir = load().output_dir
    candidates = (Path(given), output_dir / given, output_dir / "current_run" / given)
    for path in candidates:
        if (path / "skymap_info.json").exists():
            return path
    raise LlamaError(f"there is no event {given}; make it with skymap_info, or list: llama status")
