"""Locks: nobody else changes an event or a study while a run of Snakemake looks at it and makes it."""

from llama.locks import lock_event
from llama.running.tidy import tidy
from llama.locks import LockedError, NoLocksError

# An alert that is just being taken is waited for; another run of Snakemake is not.
_PATIENCE_S = 5.0
_LOCKS = {}


def lock_or_refuse(directory):
    """Lock an event or a study for this run; `LlamaError` if somebody else is at it.

    An event is locked before the first look at it, so that what is made belongs to what was looked
    at: an alert that comes waits for the end of the run. The kernel unlocks when the run ends. A
    run that only looks, such as --dry-run or --summary, needs no lock.
    """
    looks = workflow.executor_plugin is None or workflow.dryrun
    if looks or not workflow.is_main_process or directory in _LOCKS:
        return
    path = SETTINGS.output_dir / directory
    path.mkdir(parents=True, exist_ok=True)
    try:
        _LOCKS[directory] = lock_event(path, _PATIENCE_S)
    except LockedError as error:
        raise LlamaError(
            f"{directory} is being processed by another run of snakemake; wait until it has ended"
        ) from error
    except NoLocksError as error:  # that is not one event's trouble
        sys.exit(f"llama: {error}")


def lock_all():
    """Lock everything that this run will write, and unlock events that it has only looked at."""
    directories = set()
    for job in workflow.dag.needrun_jobs():
        if "event" in job.wildcards.keys():
            directories.add(job.wildcards.event)
        elif "study" in job.wildcards.keys():
            directories.add(f"studies/{job.wildcards.study}")
        elif POPULATIONS in job.output:
            directories.add("studies")
    for directory in _LOCKS.keys() - directories:
        os.close(_LOCKS.pop(directory))
    for directory in sorted(directories, reverse=True):
        checked(lock_or_refuse, directory)
