"""The workflow of the installed LLAMA, for those who have no clone: Snakemake on it, settings."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from llama.cli.common import say
from llama.errors import LlamaError, system_errors
from llama.files import write_bytes
from llama.layout import find_profile, find_workflow, own_workflow, path_variable, snakemake
from llama.settings.load import load
from llama.settings.render import defaults, yaml_lines

_SNAKEFILE = """\
# Made by llama init: the workflow of the installed LLAMA, with the settings and profiles that are
# in this directory.
from llama.layout import own_workflow


include: str(own_workflow() / "Snakefile")


# what Snakemake makes when no target is typed is not included
rule default:
    default_target: True
    input:
        rules.all.input,
"""
_HEAD = """\
# yaml-language-server: $schema={docs}/config.schema.json
# All settings of LLAMA, each at its default: change what you want otherwise, and no secrets here.
# They count for commands that are typed in this directory; elsewhere for those that find
# LLAMA_CONFIG={path}
# in their environment. The pages that are mentioned are in
# {docs}
"""


def run_snakemake(options: argparse.Namespace) -> None:
    """Become Snakemake on the workflow, with what was typed after `llama snakemake`."""
    workflow = find_workflow()
    words = snakemake(workflow, *_with_profiles(options.words, workflow))
    os.execve(words[0], words, os.environ | {"PATH": path_variable()})  # noqa: S606


def _with_profiles(words: list[str], workflow: Path) -> Iterator[str]:
    """Yield the words with the paths of profiles that are here or the workflow's."""
    before = ""
    for word in words:
        option, sign, name = word.partition("=")
        if option == "--profile" and sign:
            yield f"{option}={find_profile(name, workflow)}"
        else:
            yield find_profile(word, workflow) if before == "--profile" else word
        before = word


def init(options: argparse.Namespace) -> None:
    """Run `llama init`."""
    directory: Path = options.directory.absolute()
    own = own_workflow()
    names = ("Snakefile", "config.yaml", "profiles", "do-cluster")
    if there := [name for name in names if os.path.lexists(directory / name)]:
        raise LlamaError(
            f"{directory} has {there[0]} already, which stays as it is; choose another directory"
        )
    head = _HEAD.format(docs=own / "docs", path=directory / "config.yaml")
    with system_errors(f"cannot write into {directory}", "choose another directory"):
        for path in sorted((own / "profiles").glob("*/*")):  # theirs may be read-only
            write_bytes(directory / path.relative_to(own), path.read_bytes())
        (directory / "do-cluster").symlink_to("profiles/do-cluster")
        write_bytes(directory / "config.yaml", (head + yaml_lines(defaults())).encode())
        write_bytes(directory / "Snakefile", _SNAKEFILE.encode())
    say("config.yaml has all settings, profiles/ what Snakemake is told for one machine or many")
    say(f"output goes to {load(workflow=directory).output_dir} (output_dir in config.yaml)")
    print(f"cd {directory}")
