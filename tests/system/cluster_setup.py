"""Sets a fleet up on this machine, the only one at a time, and clears it away."""

import contextlib
import fcntl
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import namespaces
import processes
import pytest
from cluster import BUCKET, TOKEN, Fleet
from do_double import Cloud
from do_server import running
from s3_server import S3, SECRET
from study_samples import STUDY, write_maps
from workspace import EVENT_MJD, REPOSITORY, Workspace

from llama.fleet.head_files import override
from llama.neutrinos.mock import write_mock_release

BOOTS_WITHIN_S = 60  # so long a job waits for a droplet whose order a killed controller forgot
# seconds where the real cloud takes minutes; slurmctld's port is one that nobody has
TIMES = """\
SlurmctldPort={port}
SuspendTime=4
SuspendTimeout=3
ResumeTimeout={boots_within_s}
SlurmdTimeout=10
KillWait=2
MessageTimeout=10
TaskProlog=/etc/llama/task-prolog
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SlurmctldParameters=enable_configless,cloud_reg_addrs,idle_on_node_suspend,power_save_interval=1
"""


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Wait for the other fleet of this machine to end; clear away one whose tests were killed."""
    with Path("/tmp/llama-fleet-tests.lock").open("a+") as lock:  # noqa: S108
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if left := lock.read():
            for path in Path(left).glob("machine/data/llama/fleet/slurm/*.pid"):
                _kill(path)
            subprocess.run(["umount", "-l", left], capture_output=True)
        lock.truncate(0)
        lock.write(str(root))
        lock.flush()
        yield
        lock.truncate(0)


def _kill(pid_file: Path) -> None:
    """End a daemon that has not ended by itself."""
    name = pid_file.stem
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def fleet(
    root: Path, patch: pytest.MonkeyPatch, with_root: bool = True, droplets: int = 4
) -> Iterator[Fleet]:
    """A head that is up, with a study of 40 shards that has not been run; no droplet yet.

    with_root: droplets are namespaces, else process groups; there are `droplets` at most.
    """
    address = namespaces.HEAD if with_root else processes.HEAD
    patch.setenv("LLAMA_TEST_HEAD", address)
    home, tmp = root / "home", root / "tmp"
    home.mkdir(parents=True)
    tmp.mkdir()
    prolog = (
        f"#!/bin/sh\necho export PYTHONPATH={REPOSITORY}/tests/guard:{REPOSITORY}/scripts\n"
        f"echo export LLAMA_TEST_HEAD={address}\n"
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone(root))  # two heads are too much for one machine
        times = TIMES.format(port=16817, boots_within_s=BOOTS_WITHIN_S)
        made: Any
        if with_root:
            made = namespaces.Droplets(root / "droplets", {"/etc/llama/task-prolog": prolog})
        else:
            made = processes.Droplets(root / "droplets", prolog)
            spool = Path(
                stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp", prefix="llama-"))
            )
            times = override(times, processes.slurm_conf(root / "droplets", spool, droplets))
        (root / "slurm-extra.conf").write_text(times)
        stack.callback(made.end)
        s3 = S3(address, root / "s3.log")
        stack.callback(s3.end)
        yield stack.enter_context(_head(root, home, address, made, s3, droplets))


@contextlib.contextmanager
def _head(
    root: Path, home: Path, address: str, droplets: Any, s3: S3, count: int
) -> Iterator[Fleet]:
    s3.client().create_bucket(Bucket=BUCKET)
    workspace = _study(root, home)
    credentials = workspace.root / "spaces-credentials"
    credentials.write_text(
        f"[default]\naws_access_key_id = key\naws_secret_access_key = {SECRET}\n"
    )
    credentials.chmod(0o600)
    workspace.set("  bucket: null", f"  bucket: {BUCKET}")
    workspace.set("  credentials_file: null", f"  credentials_file: {credentials}")
    workspace.set("  max_droplets: 100", f"  max_droplets: {count}")
    workspace.set("  silent_minutes: 20.0", "  silent_minutes: 0.4")
    cloud = Cloud(
        TOKEN, address.rpartition(".")[0].rpartition(".")[0], 0.2, droplets.boot, droplets.halt
    )
    cloud.droplet_limit = 10
    made = Fleet(workspace, cloud, droplets, s3)
    made.change("endpoint_url", s3.url)
    made.change("image", "llama-worker")
    with running(cloud) as end_point:
        made.environment = workspace.environment | {
            "DIGITALOCEAN_END_POINT": end_point,
            "DIGITALOCEAN": TOKEN,
            "SLURM_CONF": str(made.slurm / "slurm.conf"),
            "LLAMA_CONFIG": str(workspace.clone / "config.yaml"),
            "PYTHONPATH": f"{REPOSITORY}/tests/guard:{REPOSITORY}/scripts",
            "LLAMA_KEEPER_S": "2",
            "LLAMA_TEST_HEAD": address,
        }
        made.address = address
        droplets.conf = made.slurm / "slurm.conf"
        (root / "joblogs").mkdir()
        if address == processes.HEAD:
            made.environment["LLAMA_LOG_DIR"] = str(root / "joblogs")
        try:
            made.up()
            yield made
        finally:
            made.end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                made.run("llama", "fleet", "down", "--yes", code=None, timeout=60)
            for path in made.slurm.glob("*.pid"):
                _kill(path)


def _study(root: Path, home: Path) -> Workspace:
    """A clone with an archive and a study of three maps, 400 injections in 40 shards."""
    release = root / "release"
    write_mock_release(release, n_events=3000, mjd_start=EVENT_MJD - 10, mjd_stop=EVENT_MJD + 10)
    made = Workspace.make(root / "machine", home)
    made.run("llama", "neutrinos", "import", str(release))
    maps = write_maps(root / "machine/maps")
    made.set("  studies: {}", f"  studies: {{{STUDY}: {{skymaps: {maps}}}}}")
    made.set("  injections: 20000", "  injections: 400")
    made.set("  shard_size: 125000", "  shard_size: 10")
    return made
