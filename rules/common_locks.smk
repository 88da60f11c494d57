"""Locks: no two runs of Snakemake write the same event or study."""

from llama.alerts.lock import is_processed
from llama.alerts.tidy import tidy
from llama.files import try_lock

_LOCKS = {}


def is_busy(event):
    """Return whether another run has locked an event."""
    return event not in _LOCKS and checked(is_processed, SETTINGS.output_dir / event)


def lock_or_refuse(event):
    """Lock an event, or end this run with a sentence; the kernel unlocks it when the run ends.

    A run that only looks, such as --dry-run or --summary, needs no lock.
    """
    if workflow.executor_plugin is None or workflow.dryrun or event in _LOCKS:
        return
    path = SETTINGS.output_dir / event / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _LOCKS[event] = open(path, "a+")
    if not checked(try_lock, lock):
        sys.exit(
            f"llama: {event} is being processed by another run of snakemake; wait until it has ended"
        )


def lock_all():
    """Lock every event and every study that this run will write, and what all studies share.

    An event named on the command line is locked before, when its files are looked at: while
    another run replaces them, Snakemake takes the missing ones for write-protected.
    """
    directories = set()
    for job in workflow.dag.needrun_jobs():
        if "event" in job.wildcards.keys():
            directories.add(job.wildcards.event)
        elif "study" in job.wildcards.keys():
            directories.add(f"studies/{job.wildcards.study}")
        elif POPULATIONS in job.output:
            directories.add("studies")
    for directory in sorted(directories, reverse=True):
        lock_or_refuse(directory)
