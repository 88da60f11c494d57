"""The fleet on this machine: one command on 100 droplets, and what a shard costs as a job."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from measure import CLONE, environment, row

sys.path.extend([str(CLONE / "tests"), str(CLONE / "tests/system")])

import cluster_setup
import namespaces
from do_double import Cloud
from do_server import running
from needs import SLURM, SSH, MissingError, check
from standin import StandIns

from llama.settings import default_yaml

COUNT = 100


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows of the fleet; half of the processor time is the servers'."""
    check(*SSH)
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        stand_ins = StandIns(output / "droplets")
        cloud = Cloud(boot=stand_ins.boot, halt=stand_ins.halt)
        cloud.droplet_limit = COUNT
        config = output / "config.yaml"
        config.write_text(default_yaml().replace("output_dir: null", f"output_dir: {output}/out"))
        try:
            with running(cloud) as end_point:
                os.environ |= {
                    "DIGITALOCEAN_END_POINT": end_point,
                    "DIGITALOCEAN": cloud.token,
                    "LLAMA_CONFIG": str(config),
                    "HOME": str(stand_ins.home),
                }
                yield from _measured(cloud)
        finally:
            stand_ins.halt_all()
    yield from job_rows()


def _measured(cloud: Cloud) -> Iterator[dict[str, Any]]:
    names = [f"llama-{number:02}" for number in range(COUNT)]
    yield row(f"fleet_create_{COUNT}_s", _timed("com", "do", "-c", *names), "s", None)
    while any(droplet["status"] == "new" for droplet in list(cloud.droplets.values())):
        time.sleep(0.1)
    yield row("fleet_list_s", _timed("com", "do", "-D"), "s", None)
    yield row(f"fleet_init_{COUNT}_hosts_s", _timed("dev", "dv", "init"), "s", None)
    seconds = _timed("dev", "dv", "eval", "hostname; ls /")
    yield row(f"fleet_eval_{COUNT}_hosts_s", seconds, "s", 10)


def _timed(*words: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(
        ["llama", *words], input="y\n", capture_output=True, text=True, env=environment()
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start


WORKERS = (1, 2, 4, 8)
SHARDS = 16


def job_rows() -> Iterator[dict[str, Any]]:
    """Yield what a shard costs as a job, and shards per minute of more and more droplets.

    All droplets share the two cores of this machine with the head: it is the fixed costs that
    this measures, not how much faster more droplets are.
    """
    check(*SLURM, "ip")
    if not namespaces.possible():
        raise MissingError("needs root, namespaces and overlays")
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        root = Path(directory, "fleet")
        with cluster_setup.fleet(root, patch, droplets=max(WORKERS)) as fleet:
            fleet.another_study(SHARDS)
            fleet.local_run()  # compiled code is kept
            yield from _per_job(fleet)
            for count in WORKERS:
                fleet.another_study(SHARDS)
                fleet.warm(*range(count))
                if count < max(WORKERS):
                    others = f"nodename=llama-worker-[{count:03}-{max(WORKERS) - 1:03}]"
                    fleet.run("scontrol", "update", others, "state=drain", "reason=bench")
                start = time.perf_counter()
                fleet.run("snakemake", "--profile", "do-cluster", timeout=900)
                minutes = (time.perf_counter() - start) / 60
                yield row(f"fleet_{count}_workers_shards_per_min", SHARDS / minutes, "1/min", None)
                if count < max(WORKERS):
                    fleet.run("scontrol", "update", others, "state=undrain")


def _per_job(fleet: Any) -> Iterator[dict[str, Any]]:
    """Yield the processor time that the head and a worker spend on a shard besides its work."""
    fleet.run("snakemake", "--profile", "do-cluster", "--until", "link_bank")
    fleet.run("scontrol", "update", "partitionname=llama", "state=down")  # nothing starts
    before = _cpu_s()
    number = _submit(fleet)
    yield row("fleet_job_first_submit_cpu_s", _cpu_s() - before, "s", None)  # ships the inputs
    words = ("scontrol", "write", "batch_script", number, "-")
    script = fleet.run(*words)
    fleet.run("scancel", number)
    before = _cpu_s()
    number = _submit(fleet)
    yield row("fleet_job_submit_cpu_s", _cpu_s() - before, "s", None)
    environment = fleet.environment | {"LLAMA_CACHE": str(fleet.workspace.root / "cache")}
    (fleet.workspace.root / "cache").mkdir()
    times = []
    for again in (False, False, False, True):
        if not again:
            fleet.forget()
        before = _cpu_s()
        subprocess.run(["sh", "-c", script], env=environment, check=True, capture_output=True)
        times.append(_cpu_s() - before)
    # ten injections of the small study are among it
    yield row("fleet_job_worker_cpu_s", min(times[:3]), "s", None)
    yield row("fleet_job_worker_done_cpu_s", times[3], "s", None)
    fleet.run("scancel", number)
    before = _cpu_s()
    words = (sys.executable, "-m", "llama.fleet.job", "status", number)
    subprocess.run(
        words, cwd=fleet.workspace.output, env=fleet.environment, capture_output=True, check=True
    )
    yield row("fleet_job_collect_cpu_s", _cpu_s() - before, "s", None)
    fleet.run("scontrol", "update", "partitionname=llama", "state=up")


def _submit(fleet: Any) -> str:
    """Queue the first shard as Snakemake does, and return its number."""
    output, study = fleet.workspace.output, "studies/bns-o4-H1L1"
    archive = f"archive/{next((output / 'archive').iterdir()).name}"
    script = fleet.workspace.root / "jobscript"
    properties = {
        "rule": "inject", "output": [f"{study}/background/shard-0000.hdf5"], "threads": 1,
        "log": ["logs/bench.log"], "resources": {}, "params": _params(fleet),
        "wildcards": {"study": "bns-o4-H1L1", "kind": "background", "shard": "0000"},
    }  # fmt: skip
    snakefile = fleet.workspace.clone / "Snakefile"
    script.write_text(
        f"#!/bin/sh\n# properties = {json.dumps(properties)}\nrun --snakefile {snakefile}\n"
    )
    words = [sys.executable, "-m", "llama.fleet.job", "submit", "--jobscript", str(script)]
    for name, path in (
        ("bank", f"{study}/skymaps.hdf5"), ("events", f"{archive}/events.hdf5"),
        ("response", f"{archive}/response.hdf5"), ("archive", f"{archive}/archive.json"),
    ):  # fmt: skip
        words += ["--file", name, path]
    words += ["--files", "parts", f"{study}/skymaps/part-0000.hdf5", "--files", "lists"]
    done = subprocess.run(
        words, cwd=output, env=fleet.environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _params(fleet: Any) -> dict[str, Any]:
    from llama.settings import load
    from llama.study.injections import study_search

    settings = load(fleet.workspace.clone / "config.yaml")
    search = study_search(settings.search_parameters(), "bns-o4-H1L1")
    return {
        "search": search, "numbers": [0, 10], "seed": 1, "gps": None,
        "p_astro": settings.background.model_dump(mode="json")["p_astro"], "code": "bench",
    }  # fmt: skip


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
