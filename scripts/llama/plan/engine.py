"""What LLAMA asks of a run of Snakemake beyond its language, with the reason; what the run locks.

Snakemake documents rules and directives, not the object `workflow`; a new version may change these.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from logging import Logger
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llama import __version__
from llama.errors import LlamaError
from llama.files import sha256_file
from llama.locks import LockedError, lock_event
from llama.settings import Settings, load

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

# An alert that is just being taken is waited for; another run of Snakemake is not.
_PATIENCE_S = 5.0


class Job(NamedTuple):
    """A job of the graph that is going to run."""

    rule: str
    wildcards: Mapping[str, str]
    output: Sequence[str]


class Engine:
    """One run of Snakemake: `workflow` and `logger` as a Snakefile has them."""

    def __init__(self, workflow: "Workflow", logger: Logger) -> None:
        self._workflow = workflow
        self._logger = logger
        self.directory = Path(workflow.basedir)
        # the Snakefile that this is called by may be included by that of the run's directory
        here: str = workflow.current_basedir.get_path_or_uri(secret_free=True)
        self._scripts = Path(here) / "scripts"

    def settings(self) -> Settings:
        """Return the settings in force: --configfile replaces all files, --config counts last.

        A directive `configfile:` would mix the file of --configfile with its own.
        """
        return load(
            *self._workflow.overwrite_configfiles,
            given=dict(self._workflow.config_settings.config),
            workflow=self.directory,
        )

    def has_mark(self, mark: str) -> bool:
        """Tell whether the profile has the default resource `mark`: so it says what it runs on."""
        return mark in (self._workflow.resource_settings.default_resources or ())

    @property
    def is_main(self) -> bool:
        """Whether this is what the user started: each job reads the Snakefile again."""
        return self._workflow.is_main_process

    def makes_products(self) -> bool:
        """Tell whether this run is going to execute jobs; known once the job graph is being built.

        --summary and the like have no executor, --dry-run has one that runs nothing.
        """
        runs = self._workflow.executor_plugin is not None and not self._workflow.dryrun
        return runs and self.is_main

    def jobs(self) -> list[Job]:
        """Return the jobs that are going to run, of which `onstart` is not told."""
        return [
            Job(job.rule.name, dict(job.wildcards.items()), list(job.output))
            for job in self._workflow.dag.needrun_jobs()
        ]

    def keep_local(self, away: str) -> None:
        """Run all rules but `away` on this machine: a directive would have to name each of them."""
        self._workflow.localrules(*(r.name for r in self._workflow.rules if r.name != away))

    def warn(self, sentence: str) -> None:
        """Show a warning, once and not in every job."""
        if self.is_main:
            self._logger.warning(sentence)

    def code(self, script: str) -> str:
        """Return what changes when a script or the package does, wherever they are."""
        return f"{__version__}-{sha256_file(self._scripts / f'{script}.py')[:12]}"


class Locks:
    """What a run has locked: the kernel unlocks it when the run ends.

    makes_products: tells whether the run is one that makes something; others need no lock.
    """

    def __init__(self, output_dir: Path, makes_products: Callable[[], bool]) -> None:
        self._output_dir, self._makes_products = output_dir, makes_products
        self._held: dict[str, int] = {}

    def take(self, directory: str) -> None:
        """Lock an event or a study for this run; `LlamaError` if somebody else is at it.

        An event is locked before the first look at it, so that what is made belongs to what was
        looked at: an alert that comes waits for the end of the run.
        """
        if directory in self._held or not self._makes_products():
            return
        path = self._output_dir / directory
        path.mkdir(parents=True, exist_ok=True)
        try:
            self._held[directory] = lock_event(path, _PATIENCE_S)
        except LockedError as error:
            raise LlamaError(
                f"{directory} is being processed by another run of snakemake; wait until it has "
                "ended"
            ) from error

    def settle(self, directories: Iterable[str]) -> None:
        """Lock what this run will write, and unlock what it has only looked at."""
        wanted = set(directories)
        for directory in self._held.keys() - wanted:
            os.close(self._held.pop(directory))
        for directory in sorted(wanted, reverse=True):
            self.take(directory)


def written_directories(jobs: Iterable[Job], populations: str) -> set[str]:
    """Return the directories of the events, studies and catalogues that jobs write to."""
    found = set()
    for job in jobs:
        if "event" in job.wildcards:
            found.add(job.wildcards["event"])
        elif "study" in job.wildcards:
            found.add(f"studies/{job.wildcards['study']}")
        elif "run" in job.wildcards:
            found.add(job.wildcards["run"])
        elif populations in job.output:
            found.add("studies")
    return found
