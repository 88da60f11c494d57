"""Between Snakemake and llama.plan: wildcards become arguments, a LlamaError ends with its sentence."""

import inspect
import sys
from pathlib import Path

from llama.errors import LlamaError
from llama.event.names import EVENT_DIR_PATTERN
from llama.event.regions import NAMES as REGIONS
from llama.plan.catalogues import RUN_PATTERN, Catalogues
from llama.plan.engine import Locks, written_directories
from llama.plan.events import POPULATIONS, Events, Neutrinos
from llama.plan.injections import Injections
from llama.plan.output import prepare
from llama.plan.publishing import Publishing
from llama.plan.studies import Simulations, Studies
from llama.plan.targets import Command
from llama.publish.deliver import CHANNELS
from llama.running.tidy import tidy


def checked(function, *arguments, **named):
    """Call a function of the package; its error ends Snakemake with just that sentence."""
    try:
        return function(*arguments, **named)
    except LlamaError as error:
        sys.exit(f"llama: {error}")


def of(method, **fixed):
    """Return an input or params function: what a method says about a job.

    Its parameters are the wildcards of the same names, besides those that are given here.
    """
    names = [name for name in inspect.signature(method).parameters if name not in fixed]

    def answer(wildcards):
        found = {name: wildcards[name] for name in names if name in wildcards.keys()}
        return checked(method, **found, **fixed)

    return answer


def list_simulated(simulation, detectors):
    """Return once the list of sky maps is made; Snakemake takes the job graph up again then."""
    checkpoints.list_simulated.get(simulation=simulation, detectors=detectors)


SETTINGS = checked(ENGINE.settings)
config.update(SETTINGS.model_dump(mode="json"))  # for scripts
OUTPUT_DIR = str(SETTINGS.output_dir)
SEARCH = SETTINGS.search_parameters()
COMMAND = Command(sys.argv[1:])
LOCKS = Locks(SETTINGS.output_dir, ENGINE.makes_products)
STUDIES = Studies(SETTINGS, ENGINE.warn, list_simulated)
SIMULATIONS = Simulations(SETTINGS)
INJECTIONS = Injections(SETTINGS, STUDIES, [t.directory for t in COMMAND.injections()])
EVENTS = checked(Events, SETTINGS, LOCKS, INJECTIONS.open_requested)
NEUTRINOS = Neutrinos(SETTINGS, EVENTS)
PUBLISHING = Publishing(SETTINGS, EVENTS, LOCKS, ENGINE.warn)
CATALOGUES = Catalogues(SETTINGS, EVENTS, ENGINE.warn)

# said by profiles/do-cluster and profiles/slurm
ON_FLEET, ON_SITE = ENGINE.has_mark("fleet"), ENGINE.has_mark("site")
STUDY_PATTERN = (
    r"[a-z][a-z0-9]*-[a-z][a-z0-9]*-(?:[A-Z][0-9])+(?:-[a-z0-9]+(?:_[a-z0-9]+)*)?"
)
code = ENGINE.code


def requested():
    """Return {target as typed: input function} of events, injections and catalogues."""
    found = {}
    for target in COMMAND.injections():
        if target.came_in:
            found[target.typed] = of(
                EVENTS.given, event=target.directory, name=target.product
            )
    for target in [*COMMAND.injections(), *checked(list, COMMAND.events())]:
        if not target.product:
            found[target.typed] = of(PUBLISHING.everything, event=target.directory)
        elif Path(target.product).name == "regions":
            found[target.typed] = of(EVENTS.regions, event=target.directory)
    for typed, run in COMMAND.catalogues():
        found[typed] = of(CATALOGUES.products, run=run)
    return found


def start():
    """Lock and write down what this run is going to make; tidy up."""
    jobs = ENGINE.jobs()
    checked(LOCKS.settle, written_directories(jobs, POPULATIONS))
    tidy(SETTINGS.output_dir)
    checked(INJECTIONS.write_plans, jobs)
