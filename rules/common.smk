"""Settings, places and what other files here use of both."""

import contextlib
import functools
import os
import re
import sys
from pathlib import Path

from llama import __version__, settings as llama_settings
from llama.errors import LlamaError
from llama.event.names import EVENT_DIR_PATTERN
from llama.files import sha256_file
from llama.neutrinos.archive import Archive
from llama.settings.load import read_config
from llama.stats.window import search_window

# said by profiles/do-cluster and profiles/slurm
ON_FLEET = "fleet" in (workflow.resource_settings.default_resources or ())
ON_SITE = "site" in (workflow.resource_settings.default_resources or ())
STUDY_PATTERN = r"[a-z][a-z0-9]*-[a-z][a-z0-9]*-(?:[A-Z][0-9])+"


def checked(function, *arguments):
    """Call a function of the package; its error ends Snakemake with just that sentence."""
    try:
        return function(*arguments)
    except LlamaError as error:
        sys.exit(f"llama: {error}")


if workflow.is_main_process:
    # Snakemake takes the last of two lines for one setting
    for path in workflow.configfiles:
        checked(read_config, Path(path))

SETTINGS = checked(llama_settings.from_dict, config)
OUTPUT_DIR = str(SETTINGS.output_dir)
SEARCH = SETTINGS.search_parameters()
BURST_MODEL = SETTINGS.grb.model_dump(mode="json")
ARCHIVE = f"archive/{SETTINGS.neutrinos.archive}"
POPULATIONS = "populations.hdf5"
WINDOW = search_window(SEARCH)


def prepare_output_dir():
    """Make the output directory, with `events` in it and in the clone as links to `current_run`."""
    run_dir = SETTINGS.output_dir / "current_run"
    if run_dir.is_symlink() and not run_dir.exists():
        sys.exit(
            f"llama: {run_dir} is a link to {os.readlink(run_dir)}, which is not there; mount its "
            "disk or correct the link"
        )
    run_dir.mkdir(parents=True, exist_ok=True)
    links = [(SETTINGS.output_dir / "events", Path("current_run"))]
    if (
        str(
            checked(
                llama_settings.load, Path(workflow.basedir) / "config.yaml"
            ).output_dir
        )
        == OUTPUT_DIR
    ):
        clone_link = Path(workflow.basedir) / "events"
        if os.access(workflow.basedir, os.W_OK):  # systemd's sandbox makes it read-only
            links.append((clone_link, SETTINGS.output_dir / "current_run"))
    for link, target in links:
        there = os.readlink(link) if link.is_symlink() else None
        if there and os.path.realpath(link) != os.path.realpath(link.parent / target):
            _say(f"{link} leads to {target} from now on; it had led to {there}")
            link.unlink()
        # two runs may start at once
        with contextlib.suppress(FileExistsError):
            os.symlink(target, link)
        if not link.is_symlink():
            sentence = (
                f"{link} is no link to {links[0][0].parent}/current_run, where the events of this "
                "output directory are; move its events there and remove it"
            )
            if link == links[0][0]:
                sys.exit(f"llama: {sentence}")
            _say(f"{sentence}: what is in it is not looked at")


def _say(sentence):
    """Say something once, not in every job."""
    if workflow.is_main_process:
        logger.warning(f"llama: {sentence}")


try:
    prepare_output_dir()
except OSError as error:
    sys.exit(
        f"llama: cannot use the output directory {OUTPUT_DIR} ({error.strerror}); correct output_dir in config.yaml"
    )


def code(script):
    """Return what changes when a script or the package does, wherever the clone is."""
    return f"{__version__}-{sha256_file(Path(workflow.basedir) / 'scripts' / f'{script}.py')[:12]}"
