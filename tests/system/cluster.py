"""A whole fleet on this machine: the cloud's double, stand-in droplets, an S3 server, a head.

All is real but the API of the cloud: munge, slurmctld, slurmd, Snakemake, S3 over HTTP.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import preloaded
import pytest
from do_double import Cloud
from s3_server import S3
from study_samples import DIRECTORY, numbers
from workspace import Workspace

TOKEN = "dop_v1_canary0123456789abcdef"  # noqa: S105
BUCKET = "llama-test"


class Fleet:
    """A head with a small study, and what can be done to it."""

    def __init__(self, workspace: Workspace, cloud: Cloud, droplets: Any, s3: S3) -> None:
        self.workspace, self.cloud, self.droplets, self.s3 = workspace, cloud, droplets, s3
        self.environment: dict[str, str] = {}
        self.started: list[subprocess.Popen[str]] = []
        self.address, self.log_from, self.study = "", 0, (400, "plain")
        self._local: dict[tuple[int, str], tuple[bytes, bytes]] = {}
        self._forked = workspace.root.parent / "forked"
        self._forked.mkdir()
        preloaded.write_commands(self._forked)

    @property
    def slurm(self) -> Path:
        """The directory of Slurm's files."""
        return self.workspace.output / "fleet/slurm"

    def run(self, *words: str, code: int | None = 0, timeout: float = 240) -> str:
        """Run a command on the head as typed in the clone, and return what it printed."""
        done = subprocess.run(
            self._forked_words(words),
            cwd=self.workspace.clone, env=self.environment, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert code is None or done.returncode == code, self.explain(done.stdout)
        return done.stdout

    def _forked_words(self, words: tuple[str, ...]) -> list[str]:
        path = f"{self._forked}:{self.environment['PATH']}"
        return [shutil.which(words[0], path=path) or words[0], *words[1:]]

    def start(self, *words: str, forked: bool = True) -> "subprocess.Popen[str]":
        """Start a command on the head, in a process group of its own; its words go to a file.

        forked: with what it imports there already; none that is to be stopped or killed.
        """
        with (self.workspace.root / "run.log").open("a") as log:
            process = subprocess.Popen(
                self._forked_words(words) if forked else words,
                cwd=self.workspace.clone, env=self.environment, text=True,
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
        log = self.workspace.root / "run.log"
        return log.read_text() if log.exists() else ""

    def explain(self, printed: str = "") -> str:
        """Return all that may tell why something did not happen."""
        logs = [self.slurm / "log/fleet.log", self.slurm / "log/slurmctld.log"]
        logs += self.droplets.directory.rglob("*console")
        tails = [f"--- {log}\n{log.read_text()[-4000:]}" for log in logs if log.exists()]
        return "\n".join([printed, *tails])

    def wait(self, what: Callable[[], object], seconds: float = 180) -> Any:
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
        self.idle_s(300)  # Snakemake needs a while to the first job
        # one that is still powering down ("idle%") would not hear of it
        self.wait(lambda: set(self._states().values()) <= {"idle", "idle~"})
        names = [f"llama-worker-{number:03}" for number in numbers or range(4)]
        called = [*names, *([f"llama-worker-{but:03}"] if but is not None else [])]
        self.run("scontrol", "update", f"nodename={','.join(called)}", "state=power_up")
        # powered down is "idle~"
        self.wait(lambda: {self._states()[name] for name in names} == {"idle"})

    def all_down(self) -> bool:
        """Whether Slurm takes all workers for powered down."""
        return set(self._states().values()) == {"idle~"}

    def _states(self) -> dict[str, str]:
        lines = self.run("sinfo", "-h", "-N", "-o", "%N %t").splitlines()
        return dict(line.split() for line in lines)

    def idle_s(self, seconds: int) -> None:
        """Let idle droplets live so long."""
        self._reconfigure("SuspendTime", seconds)

    def boots_within_s(self, seconds: int) -> None:
        """Let Slurm give up a droplet that has not come in this time."""
        self._reconfigure("ResumeTimeout", seconds)

    def _reconfigure(self, name: str, value: int) -> None:
        conf = self.slurm / "slurm.conf"
        conf.write_text(re.sub(rf"(?m)^{name}=.*", f"{name}={value}", conf.read_text()))
        self.run("scontrol", "reconfigure")

    def let_go(self) -> None:
        """Wait until idle droplets have been destroyed, all of them."""
        self.idle_s(4)
        self.wait(lambda: not self.names())
        self.wait(lambda: not self.droplets.alive())

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
            self.let_go()

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

    def another_study(self, shards: int, sampling: str = "plain") -> None:
        """Let the next run make so many shards anew; sky maps stay, results in Spaces do not."""
        self.study = 10 * shards, sampling
        self.change("injections", str(10 * shards))
        self.change("sampling", f'"{sampling}"')
        for path in self.workspace.output.glob("studies/*/background"):
            shutil.rmtree(path)
        for path in self.workspace.output.glob("populations.*"):
            path.unlink()
        self.forget()
        (self.workspace.root / "run.log").unlink(missing_ok=True)
        self.log_from = (self.slurm / "log/fleet.log").stat().st_size

    def forget(self) -> None:
        """Remove results and logs from Spaces, so that they are made anew."""
        client = self.s3.client()
        for prefix in ("studies/", "logs/"):
            for entry in client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []):
                client.delete_object(Bucket=BUCKET, Key=entry["Key"])

    def forget_inputs(self) -> None:
        """Let the next job look for its inputs in Spaces."""
        (self.workspace.output / "fleet/inputs.json").unlink(missing_ok=True)

    def local_run(self) -> tuple[bytes, bytes]:
        """Return all numbers of the study as this machine alone makes them, in one shard."""
        if self.study not in self._local:
            root = self.workspace.root.parent / f"local-{self.study[0]}"
            left_out = shutil.ignore_patterns("background", "fleet", ".snakemake", "populations.*")
            shutil.copytree(self.workspace.root, root, symlinks=True, ignore=left_out)
            local = Workspace(root, self.workspace.home)
            local.set("  shard_size: 10", "  shard_size: 500")
            local.run("snakemake", f"{DIRECTORY}/background/shard-0000.hdf5", "--cores", "2")
            self._local[self.study] = numbers(local)
            shutil.rmtree(root)
        return self._local[self.study]

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
def one_test(head: Fleet) -> Iterator[None]:
    """Give a test the head, with a hard limit; what the test has left is put away."""
    with at_most(480, head.explain):
        yield
    with at_most(90, head.explain):
        head.rest()
