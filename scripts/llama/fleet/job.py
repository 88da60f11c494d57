"""A shard as a job without a shared file system: the head's side.

Snakemake hands its job to `submit`; what the job reads goes to Spaces, once, and what it is to do
goes into the script that Slurm carries to the worker (see `llama.fleet.worker`). When it is done,
`status` fetches its outputs before it says so: Snakemake finds them as if they were made here.

The result of a job is known in Spaces by a digest of all that it depends on, so that a job that
is queued twice is computed once.

    python -m llama.fleet.job submit --file NAME PATH --files NAME PATHS.. --jobscript PATH
    python -m llama.fleet.job status NUMBER
"""

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.files import read_json, sha256_bytes, sha256_file, write_json
from llama.fleet import slurm
from llama.fleet.spaces import Spaces, open_place
from llama.locks import locked_file
from llama.study.plan import PLAN

JOBS, INPUTS = Path("fleet/jobs"), Path("fleet/inputs.json")
SPACES = Path("fleet/slurm/spaces.json")  # written by `llama fleet up`
_SHIP_WITHIN_S = 3600.0
_OPTIONS = ("--partition=llama", "--requeue", "--export=PATH", "--chdir=/", "--open-mode=append")


def _submit(words: Sequence[str]) -> str:
    parent = os.getppid()  # Spaces may be waited for longer than Snakemake lives
    parser = argparse.ArgumentParser(prog="llama.fleet.job submit")
    parser.add_argument("--file", nargs=2, action="append", default=[])
    parser.add_argument("--files", nargs="+", action="append", default=[])
    parser.add_argument("--jobscript", type=Path, required=True)
    options = parser.parse_args(words)
    named: dict[str, Any] = dict(options.file) | {name: paths for name, *paths in options.files}
    text = options.jobscript.read_text()
    properties = json.loads(text.splitlines()[1].removeprefix("# properties = "))
    command = shlex.split(text.splitlines()[2])
    snakefile = Path(command[command.index("--snakefile") + 1])
    return submit(properties, named, snakefile.parent / "scripts", parent)


def submit(
    properties: dict[str, Any], named: dict[str, str | list[str]], scripts: Path, parent: int
) -> str:
    """Queue a job of Snakemake, and return its number.

    `properties` are Snakemake's, `named` its inputs by name; `scripts` holds the rules' scripts;
    `parent` is the process of Snakemake, without which nothing is queued.
    """
    spaces = read_json(SPACES)
    inputs = _ship(spaces, named)
    document = describe(properties, named, inputs, scripts) | {"spaces": spaces}
    name = f"{properties['rule']}-{document['digest'][:16]}"
    study = properties["wildcards"].get("study", "")
    resources = properties["resources"]
    record = {key: document[key] for key in ("digest", "outputs", "log")}
    script = Path("fleet", f".{name}.sh")
    script.write_text(_script(document), encoding="utf-8")
    try:
        number = slurm.submit(
            [
                *_OPTIONS,
                f"--job-name={name}",
                f"--comment={study}",
                f"--cpus-per-task={properties['threads']}",
                f"--mem={resources.get('mem_mb', 1000)}",
                f"--time={resources.get('runtime', 600)}",
                f"--output={os.environ.get('LLAMA_LOG_DIR', '/var/log/llama')}/%x.%j.log",
                str(script),
            ],
            name,
            parent,
        )
    finally:
        script.unlink(missing_ok=True)
    write_json(JOBS / f"{number}.json", record)
    return number


def describe(
    properties: dict[str, Any],
    named: dict[str, str | list[str]],
    inputs: dict[str, str],
    scripts: Path,
) -> dict[str, Any]:
    """Return what a worker needs to know of a job; `inputs` is the sha256 of each path."""
    from llama.fleet.worker import revision

    rule = properties["rule"]
    document = {
        "revision": revision(),
        "rule": rule,
        "script": (scripts / f"{rule}.py").read_text(),
        "input": named,
        "sha256": inputs,
        "outputs": properties["output"],
        "params": properties["params"],
        "wildcards": properties["wildcards"],
        "log": properties["log"][0],
    }
    text = json.dumps(document, sort_keys=True, allow_nan=False)
    return {**document, "digest": sha256_bytes(text.encode())}


def _script(document: dict[str, Any]) -> str:
    text = json.dumps(document)
    # a quoted here-document takes any text but its own last line, and JSON is one line
    worker = f"{sys.executable} -m llama.fleet.worker"
    return f"#!/bin/sh\nexec {worker} <<'END OF JOB'\n{text}\nEND OF JOB\n"


def _ship(spaces: dict[str, str], named: dict[str, str | list[str]]) -> dict[str, str]:
    """Bring the inputs to Spaces, each content once; return the sha256 of each path."""
    paths: list[str] = []
    for value in named.values():
        paths += [value] if isinstance(value, str) else value
    with locked_file(
        INPUTS.with_suffix(".lock"),
        _SHIP_WITHIN_S,
        lambda: f"another job has been sending its inputs for an hour; see {INPUTS}",
    ):
        known = read_json(INPUTS) if INPUTS.exists() else {}
        found = {}
        for path in paths:
            about = Path(path).stat()
            stamp = [about.st_mtime_ns, about.st_size, about.st_ino, spaces["bucket"]]
            if known.get(path, {}).get("stamp") != stamp:
                known[path] = {"stamp": stamp, "sha256": _put_input(spaces, Path(path))}
                write_json(INPUTS, known)
            found[path] = known[path]["sha256"]
    return found


def _put_input(spaces: dict[str, str], path: Path) -> str:
    return open_place(spaces).upload(path).sha256


def status(number: str) -> str:
    """Return `running`, `success` or `failed`; after the last two its files are here.

    A success without its outputs is a failure.
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
    """Fetch the log and the outputs of a job; return whether all outputs came."""
    record, spaces = read_json(JOBS / f"{number}.json"), open_place(read_json(SPACES))
    came = True
    for key in (record["log"], *record["outputs"]):
        found = spaces.find(key)
        if found is not None and found.notes.get("job") == record["digest"]:
            # what lies there from before is no beginning of it
            Path(key).unlink(missing_ok=True)
            spaces.download(found, Path(key))
            if key == record["log"]:
                _tell(Path(key))
        elif key != record["log"]:
            came = False
    _put_plan(spaces, record["outputs"])
    return came


def _put_plan(spaces: Spaces, outputs: list[str]) -> None:
    """Have the plan of a study (`llama.study.plan`) beside its shards, for `llama dev dv pull`."""
    for plan in {Path(output).with_name(PLAN) for output in outputs}:
        if plan.exists():
            there = spaces.find(str(plan))
            if there is None or there.sha256 != sha256_file(plan):
                spaces.put(plan, str(plan))


def _tell(log: Path) -> None:
    """Show the last line of a job's log when it is a sentence of ours."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if lines and re.match(r"llama: |llama\.errors\.", lines[-1]):
        sys.stderr.write(re.sub(r"^llama\.errors\.\w+: ", "llama: ", lines[-1]) + "\n")


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(slurm.answer_snakemake(sys.argv[1:], _submit, status))
