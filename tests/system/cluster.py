"""A whole fleet on this machine: the cloud's double, stand-in droplets, an S3 server, a head.

All is real but the API of the cloud: munge, slurmctld, slurmd, Snakemake, S3 over HTTP.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import namespaces
import processes
import pytest
from do_double import Cloud
from do_server import running
from s3_server import S3, SECRET

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

from study_samples import STUDY, numbers, write_maps
from workspace import EVENT_MJD, REPOSITORY, Workspace

from llama.fleet.head import override
from llama.neutrinos.mock import write_mock_release

_IDLE = ("-h", "-t", "idle", "-N", "-o", "%N")
TOKEN = "dop_v1_canary0123456789abcdef"  # noqa: S105
BUCKET = "llama-test"
# seconds where the real cloud takes minutes; slurmctld's port is one that nobody has
TIMES = """\
SlurmctldPort={port}
SuspendTime=5
SuspendTimeout=3
ResumeTimeout=24
SlurmdTimeout=10
KillWait=2
MessageTimeout=10
TaskProlog=/etc/llama/task-prolog
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SlurmctldParameters=enable_configless,cloud_reg_addrs,idle_on_node_suspend,power_save_interval=1
"""


class Fleet:
    """A head with a small study, and what can be done to it."""

    def __init__(self, workspace: Workspace, cloud: Cloud, droplets: Any, s3: S3) -> None:
        self.workspace, self.cloud, self.droplets, self.s3 = workspace, cloud, droplets, s3
        self.environment: dict[str, str] = {}
        self.started: list[subprocess.Popen[str]] = []
        self.address, self.log_from, self.injections = "", 0, 400
        self._local: dict[int, tuple[bytes, bytes]] = {}

    @property
    def slurm(self) -> Path:
        """The directory of Slurm's files."""
        return self.workspace.output / "fleet/slurm"

    def run(self, *words: str, code: int | None = 0, timeout: float = 120) -> str:
        """Run a command on the head as typed in the clone, and return what it printed."""
        done = subprocess.run(
            words, cwd=self.workspace.clone, env=self.environment, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert code is None or done.returncode == code, self.explain(done.stdout)
        return done.stdout

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command on the head, in a process group of its own; its words go to a file."""
        with (self.workspace.root / "run.log").open("a") as log:
            process = subprocess.Popen(
                words, cwd=self.workspace.clone, env=self.environment, text=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def end(self) -> None:
        """End what was started and has not ended by itself, as after a test that has failed."""
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def said(self) -> str:
        """What the started commands have printed."""
        return (self.workspace.root / "run.log").read_text()

    def explain(self, printed: str = "") -> str:
        """Return all that may tell why something did not happen."""
        logs = [self.slurm / "log/fleet.log", self.slurm / "log/slurmctld.log"]
        logs += self.droplets.directory.rglob("*console")
        tails = [f"--- {log}\n{log.read_text()[-4000:]}" for log in logs if log.exists()]
        return "\n".join([printed, *tails])

    def wait(self, what: Callable[[], object], seconds: float = 90) -> Any:
        """Wait until `what` is true, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < deadline, self.explain(self.said())
            time.sleep(0.1)
        return found

    def names(self) -> list[str]:
        """Return the names of the droplets in the account."""
        with self.cloud.lock:
            return sorted(droplet["name"] for droplet in self.cloud.droplets.values())

    def jobs(self, state: str) -> list[str]:
        """Return `job node` of each job in a state."""
        printed = self.run("squeue", "-h", "-t", state, "-o", "%i %N", code=None)
        return [line for line in printed.splitlines() if re.match(r"\d+ ", line)]

    def wait_for(self, run: "subprocess.Popen[str]", seconds: float) -> int:
        """Wait until a started command has ended, and return its exit code."""
        self.wait(lambda: run.poll() is not None, seconds)
        if run.returncode:
            print(self.explain(self.said()))
        return run.returncode

    def up(self) -> str:
        """Start what is not running."""
        extra = self.workspace.root.parent / "slurm-extra.conf"
        return self.run(
            "llama", "fleet", "up", "--address", self.address, "--slurm-conf", str(extra)
        )

    def warm(self, *numbers: int, but: int | None = None) -> None:
        """Have workers before there is work; it saves them Slurm's half minute per boot.

        All without `numbers`; one that is called but never comes is `but`.
        """
        names = [f"llama-worker-{number:03}" for number in numbers or range(4)]
        called = [*names, *([f"llama-worker-{but:03}"] if but is not None else [])]
        self.run("scontrol", "update", f"nodename={','.join(called)}", "state=power_up")
        self.wait(lambda: set(names) <= set(self.run("sinfo", *_IDLE).split()))

    def rest(self) -> None:
        """End what a test has started and left, and let all droplets go; the head stays up."""
        self.end()
        with self.cloud.lock:
            self.cloud.faults, self.cloud.boot_fail = [], set()
        if not all(self.head_pid(name) for name in ("munged", "slurmctld", "keeper")):
            self.up()
        self.change("max_usd_per_day", "50.0")
        for job in self.run("squeue", "-h", "-o", "%A").split():
            self.run("scancel", job, code=None)
        if self.names():
            self.run("scontrol", "update", "nodename=ALL", "state=power_down_force", code=None)
            self.wait(lambda: not self.names(), 40)

    def head_pid(self, name: str) -> int:
        """Return the process of one of the head's daemons, 0 when it is not running."""
        with contextlib.suppress(OSError):
            pid = int((self.slurm / f"{name}.pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
            return 0 if state == "Z" else pid
        return 0

    def hooks_log(self) -> str:
        """Return what hooks and keeper have said since the last change of the study."""
        return (self.slurm / "log/fleet.log").read_text()[self.log_from :]

    def change(self, name: str, value: str) -> None:
        """Change a number of config.yaml."""
        path = self.workspace.clone / "config.yaml"
        lines = path.read_text().splitlines()
        (at,) = (n for n, line in enumerate(lines) if line.startswith(f"  {name}: "))
        lines[at] = f"  {name}: {value}"
        path.write_text("\n".join(lines) + "\n")

    def another_study(self, shards: int) -> None:
        """Let the next run make so many shards anew; sky maps stay, results in Spaces do not."""
        self.injections = 10 * shards
        self.change("injections", str(self.injections))
        for path in self.workspace.output.glob("studies/*/background"):
            shutil.rmtree(path)
        for path in self.workspace.output.glob("populations.*"):
            path.unlink()
        client = self.s3.client()
        for prefix in ("studies/", "logs/"):
            for entry in client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []):
                client.delete_object(Bucket=BUCKET, Key=entry["Key"])
        (self.workspace.root / "run.log").unlink(missing_ok=True)
        self.log_from = (self.slurm / "log/fleet.log").stat().st_size

    def local_run(self) -> tuple[bytes, bytes]:
        """Return all numbers of the study as this machine alone makes them, in one shard."""
        if self.injections not in self._local:
            root = self.workspace.root.parent / f"local-{self.injections}"
            left_out = shutil.ignore_patterns("background", "fleet", ".snakemake", "populations.*")
            shutil.copytree(self.workspace.root, root, symlinks=True, ignore=left_out)
            local = Workspace(root, self.workspace.home)
            local.set("  shard_size: 10", "  shard_size: 500")
            local.run("snakemake", "populations.hdf5", "--cores", "2")
            self._local[self.injections] = numbers(local)
            shutil.rmtree(root)
        return self._local[self.injections]

    def numbers(self) -> tuple[bytes, bytes]:
        """Return all numbers of the study as they came from the droplets."""
        return numbers(self.workspace)

    def shards(self) -> int:
        """Return how many shards there are."""
        return len(list(self.workspace.output.glob("studies/*/background/shard-*.hdf5")))

    def spent(self) -> float:
        """Return what the fleet has cost [USD]."""
        found = re.search(r"\$([\d.]+) in all", self.run("llama", "fleet", "status"))
        assert found
        return float(found[1])


@contextlib.contextmanager
def at_most(seconds: int, explain: Callable[[], str] = str) -> Iterator[None]:
    """Fail when the block takes longer, and tell why: a hang is no reason to keep others waiting.

    For the main thread; blocks are not put into each other.
    """

    def fail(*_: object) -> None:
        pytest.fail(f"not done after {seconds} s\n{explain()}", pytrace=True)

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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
def fleet(root: Path, patch: pytest.MonkeyPatch, with_root: bool = True) -> Iterator[Fleet]:
    """A head that is up, with a study of 40 shards that has not been run; no droplet yet.

    with_root: droplets are namespaces, else process groups.
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
        times = TIMES.format(port=16817)
        droplets: Any
        if with_root:
            droplets = namespaces.Droplets(root / "droplets", {"/etc/llama/task-prolog": prolog})
        else:
            droplets = processes.Droplets(root / "droplets", prolog)
            times = override(times, processes.slurm_conf(root / "droplets", 4))
        (root / "slurm-extra.conf").write_text(times)
        stack.callback(droplets.end)
        s3 = S3(address, root / "s3.log")
        stack.callback(s3.end)
        yield stack.enter_context(_head(root, home, address, droplets, s3))


@contextlib.contextmanager
def _head(root: Path, home: Path, address: str, droplets: Any, s3: S3) -> Iterator[Fleet]:
    s3.client().create_bucket(Bucket=BUCKET)
    workspace = _study(root, home)
    credentials = workspace.root / "spaces-credentials"
    credentials.write_text(
        f"[default]\naws_access_key_id = key\naws_secret_access_key = {SECRET}\n"
    )
    credentials.chmod(0o600)
    workspace.set("  bucket: null", f"  bucket: {BUCKET}")
    workspace.set(
        next(
            line
            for line in (workspace.clone / "config.yaml").read_text().splitlines()
            if line.startswith("  endpoint_url: ")
        ),
        f"  endpoint_url: {s3.url}",
    )
    workspace.set("  credentials_file: null", f"  credentials_file: {credentials}")
    workspace.set("  max_droplets: 100", "  max_droplets: 4")
    workspace.set("  silent_minutes: 20.0", "  silent_minutes: 0.4")
    cloud = Cloud(
        TOKEN, address.rpartition(".")[0].rpartition(".")[0], 0.2, droplets.boot, droplets.halt
    )
    cloud.droplet_limit = 10
    made = Fleet(workspace, cloud, droplets, s3)
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
    made.set("  shard_size: 100000", "  shard_size: 10")
    return made
