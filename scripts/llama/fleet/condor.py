"""HTCondor's commands, called so that a schedd that is away for some minutes is waited for.

What became of a job is read from its own event log, as HTCondor's DAGMan does: it lies here, and
no schedd can forget it. NAME=VALUE are lines of the submit description.

    python -m llama.fleet.condor submit NAME=VALUE.. JOBSCRIPT
    python -m llama.fleet.condor submit NAME=VALUE.. --file NAME PATH.. --jobscript JOBSCRIPT
    python -m llama.fleet.condor status NUMBER

The second form is for machines that share no file system with this one: HTCondor carries what the
job reads and makes (see `llama.fleet.job`).
"""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from llama.fleet import job
from llama.fleet.scheduler import Scheduler, answer_snakemake

CONDOR = Scheduler(
    "HTCondor's schedd",
    "it comes with HTCondor, which the site installs",
    re.compile(r"(SECMAN|CEDAR):\d+:|can't find address|failed to (connect|fetch)", re.IGNORECASE),
    "run it again when condor_q answers",
)
# of a job, in the directory of the run: its events, what it has said, and that we told of its hold
_EVENTS, _SAID, _TOLD = (f"logs/htcondor-{{}}.{kind}" for kind in ("events", "log", "held"))
_MADE = "fleet/htcondor-{}"  # what HTCondor has brought, until it has its name
# whose time it is; IGWN's tools have these names
_ACCOUNTING = {
    "accounting_group": "_CONDOR_ACCOUNTING_GROUP",
    "accounting_group_user": "_CONDOR_ACCOUNTING_USER",
}
# HoldReasonCode of condor_hold, and of holds that come again: policies, memory, time
_BY_HAND, _LASTING = 1, {3, 21, 26, 34, 46, 47}
_MOST_HOLDS = 3
_FIXED = {
    "copy_to_spool": "true",  # the script goes when Snakemake does
    "should_transfer_files": "yes",
    "when_to_transfer_output": "on_exit",
    "output": _SAID.format("$(ClusterId)"),
    "error": _SAID.format("$(ClusterId)"),
    "log": _EVENTS.format("$(ClusterId)"),
    "periodic_release": f"NumHolds <= {_MOST_HOLDS}"
    + "".join(f" && HoldReasonCode =!= {code}" for code in sorted({_BY_HAND, *_LASTING})),
}


def submit(words: Sequence[str]) -> str:
    """Queue a job script of Snakemake's and return the job's number; `words` are as above."""
    at = words.index("--file") if "--file" in words else len(words) - 1
    lines = dict(word.split("=", 1) for word in words[:at])
    if at == len(words) - 1:  # what it makes is here already
        return _queue(words[at], Path(words[at]), lines | {"transfer_output_files": ""})
    todo, _ = job.read(words[at:], None)
    lines |= {
        "transfer_input_files": ",".join(todo.sha256),
        "arguments": _MADE.format("$(ClusterId)"),
        "transfer_output_files": _MADE.format("$(ClusterId)"),
        "preserve_relative_paths": "true",
    }
    with job.script(todo) as script:
        return _queue(todo.name, script, lines)


def _queue(name: str, script: Path, lines: dict[str, str]) -> str:
    """Queue a script, unless a job of this name is in the queue already."""
    Path(_EVENTS).parent.mkdir(exist_ok=True)
    whose = {line: os.environ[tag] for line, tag in _ACCOUNTING.items() if tag in os.environ}
    named = {"executable": str(script), "My.LlamaJob": f'"{name}"'}
    text = "".join(f"{k} = {v}\n" for k, v in (_FIXED | whose | named | lines).items())

    def there() -> str | None:
        wanted = (
            f'LlamaJob == "{name}" && JobStatus != 3 && JobStatus != 4'  # not removed, not done
        )
        return CONDOR.ask("condor_q", "-constraint", wanted, "-af", "ClusterId") or None

    answer = CONDOR.submit("condor_submit", "-terse", stdin=f"{text}queue\n", there=there)
    return re.findall(r"\d+", answer)[0]


def job_state(number: str) -> str:
    """Return `running`, `success` or `failed`, and say why a job is held.

    HTCondor itself releases a job some times that is held for a reason that may pass; one that is
    held by hand waits for a hand. All others are removed, and Snakemake queues them anew.
    """
    try:
        text = Path(_EVENTS.format(number)).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        sys.stderr.write(f"llama: cannot read {error.filename} ({error.strerror})\n")
        return "failed"
    events = text.split("\n...\n")[:-1]  # what follows is being written
    last = next((e for e in reversed(events) if re.match("0(01|04|05|09|12|13) ", e)), "")
    reason = " ".join(last.splitlines()[1:2]).strip()
    if last.startswith("005"):
        _name(Path(_MADE.format(number)))
        if "(return value 0)" in last:
            return "success"
        with contextlib.suppress(OSError):
            job.tell(Path(_SAID.format(number)))
        return "failed"
    if last.startswith("009"):
        sys.stderr.write(f"llama: job {number} has been removed: {reason}\n")
        return "failed"
    if last.startswith("012"):
        code = int(re.findall(r"\tCode (\d+)", last)[0])
        holds = sum(event.startswith("012") for event in events)
        return _held(number, reason, code, holds)
    return "running"


def _name(made: Path) -> None:
    """Give what was brought here whole its names."""
    for path in [path for path in made.rglob("*") if path.is_file()]:
        target = path.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    shutil.rmtree(made, ignore_errors=True)


def _held(number: str, reason: str, code: int, holds: int) -> str:
    if code == _BY_HAND:
        if not Path(_TOLD.format(number)).exists():
            Path(_TOLD.format(number)).touch()
            remedy = f"condor_release {number} lets it go on"
            sys.stderr.write(f"llama: job {number} is held: {reason}; {remedy}\n")
        return "running"
    if code not in _LASTING and holds <= _MOST_HOLDS:
        return "running"
    sys.stderr.write(f"llama: job {number} is held and given up: {reason}\n")
    CONDOR.ask_patiently("condor_rm", number)
    return "failed"


if __name__ == "__main__":
    sys.exit(answer_snakemake(sys.argv[1:], submit, job_state))
