"""The head of the fleet: Slurm's controller, its munged and the keeper, started and stopped.

As root, names are entered in /etc/hosts, and /etc/slurm/slurm.conf is a link so that squeue works
as typed.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from llama.errors import LlamaError
from llama.files import write_bytes
from llama.fleet import slurm
from llama.fleet.head_files import PATH
from llama.fleet.hooks import cluster_directory
from llama.fleet.scheduler import SchedulerError
from llama.fleet.token import withheld
from llama.locks import wait_until
from llama.running.watch import begin_watch
from llama.settings import Settings
from llama.settings.load import find_config

KEEPER_EVERY_S = 30.0
_PACKAGES = {"slurmctld": "slurmctld", "scontrol": "slurm-client", "munged": "munge"}
_HOSTS, _MARK = Path("/etc/hosts"), "# llama-fleet"
_CONF_LINK = Path("/etc/slurm/slurm.conf")
# slurmctld looks the name of a lost node up while it holds its locks, ten times with a second in
# between; any address that refuses will do
_NOWHERE = "127.0.0.9"


def missing_packages() -> list[str]:
    """Return the Debian packages that a head needs and this machine lacks."""
    return [package for name, package in _PACKAGES.items() if not shutil.which(name, path=_path())]


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:{PATH}"


class Head:
    """Slurm's controller on this machine, for the fleet of `settings`."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.directory = settings, cluster_directory(settings)
        self.conf = self.directory / "slurm.conf"

    def start(self) -> None:
        """Start what is not running: munged, slurmctld, keeper; a running controller reads anew."""
        os.environ["SLURM_CONF"] = str(self.conf)
        self._enter_names()
        if not self.pid("munged"):
            socket_path = self.directory / "munge/socket"
            self._call(
                "munged", "--force", "--num-threads=10", f"--key-file={self.directory}/munge.key",
                f"--socket={socket_path}", f"--pid-file={self.directory}/munged.pid",
                f"--log-file={self.directory}/log/munged.log",
                f"--seed-file={self.directory}/munge.seed",
            )  # fmt: skip
            _wait(socket_path.exists, "munged", self.directory / "log/munged.log")
        if self.pid("slurmctld"):
            slurm.ask_patiently("scontrol", "reconfigure", patience_s=60)
        else:
            self._call("slurmctld", "-f", str(self.conf))
        log = self.directory / "log/slurmctld.log"
        _wait(lambda: "UP" in slurm.ask("scontrol", "ping"), "slurmctld", log)
        self._free_nodes()
        if not self.pid("keeper"):
            self._start_keeper()

    def _start_keeper(self) -> None:
        every_s = os.environ.get("LLAMA_KEEPER_S", str(KEEPER_EVERY_S))
        config = find_config()
        with withheld():
            environment = {**os.environ, "LLAMA_CONFIG": str(config.resolve()) if config else ""}
        begin_watch(self.directory)
        with (self.directory / "log/fleet.log").open("a") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "llama.fleet.hooks", "keeper", every_s],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        write_bytes(self.directory / "keeper.pid", f"{keeper.pid}\n".encode())

    def _free_nodes(self) -> None:
        (self.directory / "failures.json").unlink(missing_ok=True)
        down = [
            n.name for n in slurm.nodes() if "DOWN" in n.state and n.reason.startswith("llama:")
        ]
        slurm.update_nodes(down, "power_down_force")

    def _enter_names(self) -> None:
        if os.geteuid() != 0:
            return
        if not _CONF_LINK.exists():
            _CONF_LINK.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                _CONF_LINK.unlink()
            _CONF_LINK.symlink_to(self.conf)
        names = slurm.hostnames(re.findall(r"^NodeName=(\S+)", self.conf.read_text(), re.M)[0])
        self._rewrite_hosts([f"{_NOWHERE} {name} {_MARK} {self.directory}" for name in names])

    def _rewrite_hosts(self, lines: list[str]) -> None:
        mark, before = f"{_MARK} {self.directory}", _HOSTS.read_text(encoding="utf-8")
        kept = [line for line in before.splitlines() if not line.endswith(mark)]
        # in place: in a container the file is mounted and cannot be replaced
        _HOSTS.write_text("\n".join([*kept, *lines]) + "\n", encoding="utf-8")

    def _call(self, *words: str) -> None:
        given = {"PATH": _path(), "SLURM_CONF": str(self.conf)}
        done = subprocess.run(
            words, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=given
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise LlamaError(f"{words[0]} does not start: {said}; see {self.directory}/log")

    def pid(self, name: str) -> int:
        """Return the process of `munged`, `slurmctld` or `keeper`, 0 when it is not running."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.directory / f"{name}.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            if name in command.replace("\0", " "):
                return pid
        return 0

    def stop(self) -> None:
        """Stop keeper, controller and munged, and take the names out of /etc/hosts."""
        for name in ("keeper", "slurmctld", "munged"):
            self.end(name)
        if os.geteuid() == 0:
            self._rewrite_hosts([])
            if _CONF_LINK.is_symlink() and Path(os.readlink(_CONF_LINK)) == self.conf:
                _CONF_LINK.unlink()

    def end(self, name: str) -> None:
        """Stop `munged`, `slurmctld` or `keeper`."""
        pid = self.pid(name)
        if not pid:
            return
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: not self.pid(name), 15):
            os.kill(pid, signal.SIGKILL)


def _wait(ready: Callable[[], bool], what: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        said = ""
        try:
            if ready():
                return
        except SchedulerError as error:
            said = f" ({error})"
        if time.monotonic() > deadline:
            raise LlamaError(f"{what} does not come up{said}; see {log}")
        time.sleep(0.05)
