"""What LLAMA asks of a run of Snakemake beyond its language: all of it is here, with the reason.

Snakemake documents rules and directives, not the object `workflow`; a new version may change these.
"""

from collections.abc import Iterable, Mapping, Sequence
from logging import Logger
from pathlib import Path
from typing import NamedTuple, Protocol

from llama import __version__
from llama.files import sha256_file
from llama.settings import Settings, load


class Job(NamedTuple):
    """A job of the graph that is going to run."""

    rule: str
    wildcards: Mapping[str, str]
    output: Sequence[str]


class _Rule(Protocol):
    name: str


class _Wildcards(Protocol):
    def items(self) -> Iterable[tuple[str, str]]: ...


class _Job(Protocol):
    rule: _Rule
    wildcards: _Wildcards
    output: Sequence[str]


class _Dag(Protocol):
    def needrun_jobs(self) -> Iterable[_Job]: ...


class _ConfigSettings(Protocol):
    config: Mapping[str, object]


class _Resources(Protocol):
    default_resources: Iterable[str] | None


class _Workflow(Protocol):
    basedir: Path
    config_settings: _ConfigSettings
    dag: _Dag
    dryrun: bool
    executor_plugin: object
    is_main_process: bool
    overwrite_configfiles: Sequence[Path]
    resource_settings: _Resources
    rules: Iterable[_Rule]

    def localrules(self, *names: str) -> None: ...


class Engine:
    """One run of Snakemake: `workflow` and `logger` as a Snakefile has them."""

    def __init__(self, workflow: _Workflow, logger: Logger) -> None:
        self._workflow = workflow
        self._logger = logger
        self.clone = Path(workflow.basedir)

    def settings(self) -> Settings:
        """Return the settings in force: --configfile replaces all files, --config counts last.

        A directive `configfile:` would mix the file of --configfile with its own.
        """
        return load(
            *self._workflow.overwrite_configfiles,
            given=dict(self._workflow.config_settings.config),
            clone=self.clone,
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
        """Return what changes when a script or the package does, wherever the clone is."""
        return f"{__version__}-{sha256_file(self.clone / 'scripts' / f'{script}.py')[:12]}"
