"""Slurm's commands, called so that a controller that is away for some minutes is waited for.

Which cluster they talk to is $SLURM_CONF's business, as when they are typed. Run as a program it
is `sbatch` with that patience: `python -m llama.fleet.slurm sbatch OPTIONS JOBSCRIPT`.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from llama.fleet.scheduler import AwayError, Scheduler, SchedulerError, answer_snakemake

_AWAY = re.compile(
    r"unable to contact slurm controller|socket timed out|connection (refused|timed out|reset)"
    r"|communication (connection|shutdown)|unexpected message|zero bytes were transmitted"
    r"|slurm backup controller|controller .*(down|standby)|temporarily unable|"
    r"munge|protocol authentication error|transport endpoint|broken pipe",
    re.IGNORECASE,
)
SLURM = Scheduler(
    "Slurm's controller",
    "install it with: apt-get install slurm-client",
    _AWAY,
    "see llama fleet status",
)
ask, ask_patiently = SLURM.ask, SLURM.ask_patiently
# what must come to pass for a job without anybody doing something
_ALIVE = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING"}
_ALIVE |= {"REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "STAGE_OUT", "RESIZING"}
# with a requeue the same job runs again; Slurm shows the state in between for a moment only
_VERDICTS = {"COMPLETED": "success", "": "forgotten"}
# where a job of a site leaves what it said, in the directory of the run; its last line is ours
_SITE_LOG = "logs/slurm-{}.log"
_LAST_LINE = "llama: exit code "


class Node(NamedTuple):
    """A node, the words of its state (`IDLE`, `CLOUD`, `POWERED_DOWN`..), and why it is down."""

    name: str
    state: frozenset[str]
    reason: str

    @property
    def powered_down(self) -> bool:
        """Whether there should be no droplet."""
        return "POWERED_DOWN" in self.state and "POWERING_UP" not in self.state

    @property
    def up(self) -> bool:
        """Whether the node has a droplet that has joined and may take jobs."""
        off = {"POWERED_DOWN", "POWERING_DOWN", "POWERING_UP", "DOWN", "NOT_RESPONDING", "FUTURE"}
        return not self.state & off


class Job(NamedTuple):
    """A job in the queue: number, state, nodes, why it waits, and its comment, the study."""

    id: str
    state: str
    nodes: str
    reason: str
    comment: str
    name: str


def hostnames(hostlist: str) -> list[str]:
    """Return the names in `llama-[000-003]`."""
    return ask("scontrol", "show", "hostnames", hostlist).split()


def nodes() -> list[Node]:
    """Return all nodes."""
    found = []
    for line in ask("scontrol", "--oneliner", "show", "node").splitlines():
        fields = dict(re.findall(r"(\w+)=(\S*)", line))
        if not {"NodeName", "State"} <= fields.keys():
            continue
        reason = re.search(r" Reason=(.*?)(?: \[\S+@\S+\])?(?: Comment=.*)?$", line.rstrip())
        state = frozenset(fields["State"].rstrip("*").split("+"))
        found.append(Node(fields["NodeName"], state, reason[1] if reason else ""))
    return found


def update_nodes(names: Sequence[str], state: str, reason: str = "") -> None:
    """Set the state of nodes; `reason` is shown by `sinfo -R`."""
    if names:
        words = [f"nodename={','.join(names)}", f"state={state}"]
        ask("scontrol", "update", *words, *([f"reason={reason[:200]}"] if reason else []))


def queue(*options: str) -> list[Job]:
    """Return the jobs of the queue."""
    form = "%i|%T|%N|%r|%k|%j"
    lines = ask("squeue", "--noheader", "--format", form, *options).splitlines()
    return [Job(*line.split("|", 5)) for line in lines if line.count("|") >= 5]


def release_requeued() -> None:
    """Let requeued jobs start now.

    Slurm holds them back for two minutes; and for ever when a launch has failed, as it does on a
    droplet that has just died or for a job that a restarted controller takes for not yet started.
    """
    for job in queue("--states=PENDING"):
        if job.reason == "BeginTime":
            ask("scontrol", "update", f"jobid={job.id}", "starttime=now")
        elif job.reason.replace("_", " ").lower().startswith("launch failed"):
            ask("scontrol", "release", job.id)


def job_state(number: str) -> str:
    """Return `running`, `success`, `failed`, or `forgotten` by the controller.

    One that is away is no verdict.
    """
    try:
        found = ask("squeue", "--noheader", "--states=all", "--jobs", number, "--format=%T")
    except AwayError:
        return "running"
    except SchedulerError as error:
        return "forgotten" if "invalid job id" in str(error).lower() else "running"
    state = "".join(found.split()[:1])
    return "running" if state in _ALIVE else _VERDICTS.get(state, "failed")


def state_on_site(number: str) -> str:
    """Return the same of a job whose log ends with its exit code, so that none is forgotten."""
    state, log = job_state(number), Path(_SITE_LOG.format(number))
    if state == "forgotten":
        said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return "success" if f"\n{said}".endswith(f"\n{_LAST_LINE}0\n") else "failed"
    return state


def submit(words: Sequence[str], name: str = "") -> str:
    """Run `sbatch WORDS` and return the job's number.

    A job called `name`, when given, is not queued twice: one that is there already is returned.
    """

    def there() -> str | None:
        alive = queue("--name", name) if name else []
        return alive[0].id if alive else None

    answer = SLURM.submit("sbatch", "--parsable", *words, there=there)
    return answer.strip().split(";")[0]


def submit_to_site(words: Sequence[str]) -> str:
    """Queue a job script of Snakemake's and return the job's number.

    `words` are options of sbatch and the script, whose log will end with its exit code.
    """
    log, script = Path(_SITE_LOG.format("%j")), Path(words[-1])
    log.parent.mkdir(exist_ok=True)
    shebang, rest = script.read_text(encoding="utf-8").split("\n", 1)
    script.write_text(f"{shebang}\ntrap 'echo {_LAST_LINE}$?' EXIT\n{rest}", encoding="utf-8")
    return submit([f"--output={log}", *words])


if __name__ == "__main__":
    sys.exit(answer_snakemake(sys.argv[1:], submit_to_site, state_on_site))
