"""A shard as a job without a shared file system: the head's side.

Snakemake hands its job to `submit`; what the job reads goes to Spaces, once, and what it is to do
goes into the script that Slurm carries to the worker (see `llama.fleet.worker`). When it is done,
`status` fetches its outputs before it says so: Snakemake finds them as if they were made here.

The result of a job is known in Spaces by a digest of all that it depends on, so that a job that
is queued twice is computed once.

    python -m llama.fleet.job submit --file NAME PATH.. --files NAME PATHS.. --jobscript PATH
    python -m llama.fleet.job status NUMBER
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from llama.errors import LlamaError
from llama.files import read_json, sha256_bytes, sha256_file, write_json
from llama.fleet import slurm
from llama.fleet.scheduler import answer_snakemake
from llama.fleet.spaces import Place, Spaces, open_place
from llama.fleet.worker import Job, Named, revision
from llama.layout import own_workflow
from llama.locks import locked_file
from llama.study.plan import PLAN

JOBS, INPUTS = Path("fleet/jobs"), Path("fleet/inputs.json")
SPACES = Path("fleet/slurm/spaces.json")  # written by `llama fleet up`
_SHIP_WITHIN_S = 3600.0
_OPTIONS = ("--partition=llama", "--requeue", "--export=PATH", "--chdir=/", "--open-mode=append")


class _Resources(msgspec.Struct):
    mem_mb: int | str = 1000
    runtime: int | str = 600  # min


class _Needs(msgspec.Struct):
    """What Snakemake writes of a job into its script, besides what the job is."""

    threads: int
    resources: _Resources


class _Shipped(msgspec.Struct):
    """An input: date [ns], size [bytes] and inode of the file, and its bucket."""

    stamp: tuple[int, int, int, str | None]
    sha256: str


def read(words: Sequence[str], spaces: Place | None) -> tuple[Job, _Needs]:
    """Return the job of a job script, whose inputs `words` name as above; they are in Spaces then.

    Without Spaces the scheduler carries them.
    """
    parser = argparse.ArgumentParser(prog="submit")
    parser.add_argument("--file", nargs="+", action="append", default=[])
    parser.add_argument("--files", nargs="+", action="append", default=[])
    parser.add_argument("--jobscript", type=Path, required=True)
    options = parser.parse_args(words)
    # what is one file, or of a network one of each detector
    named: Named = {name: p[0] if len(p) == 1 else p for name, *p in options.file}
    named |= {name: paths for name, *paths in options.files}
    _, about, command = options.jobscript.read_text().splitlines()[:3]
    properties = about.removeprefix("# properties = ")
    needs = msgspec.json.decode(properties, type=_Needs)
    asked = msgspec.json.decode(properties, type=Job)
    typed = shlex.split(command)
    scripts = Path(typed[typed.index("--snakefile") + 1]).parent / "scripts"
    if not scripts.is_dir():  # what `llama init` makes has none of its own
        scripts = own_workflow() / "scripts"
    return describe(asked, named, _digests(named, spaces), scripts, spaces), needs


def _submit(words: Sequence[str]) -> str:
    job, needs = read(words, msgspec.convert(read_json(SPACES), Place))
    with script(job) as path:
        number = slurm.submit(
            [
                *_OPTIONS,
                f"--job-name={job.name}",
                f"--comment={job.wildcards.get('study', '')}",
                f"--cpus-per-task={needs.threads}",
                f"--mem={needs.resources.mem_mb}",
                f"--time={needs.resources.runtime}",
                f"--output={os.environ.get('LLAMA_LOG_DIR', '/var/log/llama')}/%x.%j.log",
                str(path),
            ],
            job.name,
        )
    write_json(JOBS / f"{number}.json", msgspec.to_builtins(job))
    return number


def describe(
    asked: Job, named: Named, sha256: dict[str, str], scripts: Path, spaces: Place | None
) -> Job:
    """Return what a worker needs to know of a job; `sha256` is that of each path of an input."""
    text = (scripts / f"{asked.rule}.py").read_text()
    job = replace(asked, named=named, sha256=sha256, script=text, revision=revision())
    document = json.dumps(msgspec.to_builtins(job), sort_keys=True, allow_nan=False)
    return replace(job, digest=sha256_bytes(document.encode()), spaces=spaces)


@contextlib.contextmanager
def script(job: Job) -> Iterator[Path]:
    """Have the script that does a job there while the block lasts.

    Its argument, if any, is where the job is to put what it makes; see `worker`.
    """
    text = msgspec.json.encode(job).decode()
    # a quoted here-document takes any text but its own last line, and JSON is one line
    worker = f"{os.environ.get('LLAMA_PYTHON', sys.executable)} -m llama.fleet.worker"
    path = Path("fleet", f".{job.name}.sh")
    path.parent.mkdir(exist_ok=True)
    begin = f'#!/bin/sh\nmkdir -p "${{1:-.}}"\nexec {worker} "$@"'
    path.write_text(f"{begin} <<'END OF JOB'\n{text}\nEND OF JOB\n", encoding="utf-8")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _digests(named: Named, spaces: Place | None) -> dict[str, str]:
    """Return the sha256 of each path; with Spaces each content is brought there once."""
    bucket = spaces.bucket if spaces else None
    with locked_file(
        INPUTS.with_suffix(".lock"),
        _SHIP_WITHIN_S,
        lambda: f"another job has been sending its inputs for an hour; see {INPUTS}",
    ):
        content = read_json(INPUTS) if INPUTS.exists() else {}
        known, found = msgspec.convert(content, dict[str, _Shipped]), dict[str, str]()
        for value in named.values():
            for path in [value] if isinstance(value, str) else value:
                about = Path(path).stat()
                stamp = (about.st_mtime_ns, about.st_size, about.st_ino, bucket)
                if path not in known or known[path].stamp != stamp:
                    known[path] = _Shipped(stamp, _ship(Path(path), spaces))
                    write_json(INPUTS, msgspec.to_builtins(known))
                found[path] = known[path].sha256
    return found


def _ship(path: Path, spaces: Place | None) -> str:
    return open_place(spaces).upload(path).sha256 if spaces else sha256_file(path)


def status(number: str) -> str:
    """Return `running`, `success` or `failed`; after the last two its files are here.

    A success without its outputs is a failure, one that Slurm has forgotten is known by them.
    """
    state = slurm.job_state(number)
    if state == "running":
        return state
    try:
        outputs_came = _collect(number)
    except LlamaError as error:
        sys.stderr.write(f"llama: job {number}: {error}\n")
        return "failed"
    if state == "failed" or not outputs_came:
        # what it needs is looked for in Spaces again before the next attempt
        INPUTS.unlink(missing_ok=True)
        return "failed"
    (JOBS / f"{number}.json").unlink(missing_ok=True)
    return "success"


def _collect(number: str) -> bool:
    job = msgspec.convert(read_json(JOBS / f"{number}.json"), Job)
    spaces, came = open_place(msgspec.convert(read_json(SPACES), Place)), True
    (log,) = job.log
    for key in (log, *job.output):
        found = spaces.find(key)
        if found is not None and found.notes.get("job") == job.digest:
            # what lies there from before is no beginning of it
            Path(key).unlink(missing_ok=True)
            spaces.download(found, Path(key))
            if key == log:
                tell(Path(key))
        elif key != log:
            came = False
    _put_plan(spaces, job.output)
    return came


def _put_plan(spaces: Spaces, outputs: list[str]) -> None:
    """Have the plan of a study (`llama.study.plan`) beside its shards, for `llama dev dv pull`."""
    for plan in {Path(output).with_name(PLAN) for output in outputs}:
        if plan.exists():
            there = spaces.find(str(plan))
            if there is None or there.sha256 != sha256_file(plan):
                spaces.put(plan, str(plan))


def tell(log: Path) -> None:
    """Show the last line of a job's log when it is a sentence of ours."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if lines and re.match(r"llama: |llama\.errors\.", lines[-1]):
        sys.stderr.write(re.sub(r"^llama\.errors\.\w+: ", "llama: ", lines[-1]) + "\n")


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(answer_snakemake(sys.argv[1:], _submit, status))
