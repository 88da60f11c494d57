"""Slurm's commands, called so that a controller that is away for some minutes is waited for.

Which cluster they talk to is $SLURM_CONF's business, as when they are typed. Run as a program it
is `sbatch` with that patience: `python -m llama.fleet.slurm sbatch OPTIONS JOBSCRIPT`.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from llama.errors import LlamaError

PATIENCE_S = 900.0
_AWAY = re.compile(
    r"unable to contact slurm controller|socket timed out|connection (refused|timed out|reset)"
    r"|communication (connection|shutdown)|unexpected message|zero bytes were transmitted"
    r"|slurm backup controller|controller .*(down|standby)|temporarily unable|"
    r"munge|protocol authentication error|transport endpoint|broken pipe",
    re.IGNORECASE,
)
# what must come to pass for a job without anybody doing something
_ALIVE = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING"}
_ALIVE |= {"REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "STAGE_OUT", "RESIZING"}
# with a requeue the same job runs again; Slurm shows the state in between for a moment only
_VERDICTS = {"COMPLETED": "success", "": "forgotten"}
# where a job of a site leaves what it said, in the directory of the run; its last line is ours
_SITE_LOG = "logs/slurm-{}.log"
_LAST_LINE = "llama: exit code "


class SlurmError(LlamaError):
    """A command of Slurm has refused."""


class ControllerAwayError(SlurmError):
    """The controller does not answer; whether anything was done is unknown."""


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


def ask(*words: str) -> str:
    """Run one of Slurm's commands once and return what it prints."""
    try:
        done = subprocess.run(
            words, capture_output=True, encoding="utf-8", errors="replace", timeout=120
        )
    except FileNotFoundError as error:
        raise SlurmError(
            f"there is no {words[0]} on this machine; install it with: apt-get install slurm-client"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ControllerAwayError(f"Slurm's controller does not answer {words[0]}") from error
    if done.returncode == 0:
        return done.stdout
    said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
    if _AWAY.search(done.stderr):
        raise ControllerAwayError(f"Slurm's controller is away ({said}); see llama fleet status")
    raise SlurmError(f"{words[0]} refuses: {said}")


def ask_patiently(
    *words: str, patience_s: float = PATIENCE_S, before: Callable[[], str | None] = lambda: None
) -> str:
    """Run a command until the controller has answered; `before` may tell that it is done already.

    `before` is called before each attempt; when it returns a text, that is the answer.
    """
    import tenacity

    def attempt() -> str:
        done = before()
        return ask(*words) if done is None else done

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ControllerAwayError),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=15),
        stop=tenacity.stop_after_delay(patience_s),
        reraise=True,
    )
    return retrying(attempt)


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
    except SlurmError as error:
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
    `SlurmError` without a job once the Snakemake that wants it is our parent no more; the
    profiles tell its number as LLAMA_SNAKEMAKE, since it can end before we can ask.
    """
    parent = int(os.environ.get("LLAMA_SNAKEMAKE") or os.getppid())

    def there() -> str | None:
        if os.getppid() != parent:
            raise SlurmError("Snakemake has ended, so that its job is not submitted; run it again")
        alive = queue("--name", name) if name else []
        return alive[0].id if alive else None

    answer = ask_patiently("sbatch", "--parsable", *words, before=there)
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


def answer_snakemake(
    words: Sequence[str],
    submitted: Callable[[Sequence[str]], str] = submit_to_site,
    state: Callable[[str], str] = state_on_site,
) -> int:
    """Print what Snakemake asks for, and return the exit code.

    `words` are `submit` and what the job is, or `status` and its number. Without other functions
    it is a job of a cluster with a shared file system.
    """
    try:
        asked = words[:1] == ["status"]
        print(state(words[1]) if asked else submitted(words[1:]))  # noqa: T201
    except LlamaError as error:
        sys.stderr.write(f"llama: {error}\n")
        time.sleep(1)  # Snakemake tries again at once
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(answer_snakemake(sys.argv[1:]))
