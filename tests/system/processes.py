"""Stand-in droplets for machines without root: a process group each, with a slurmd of its own.

They see the host's files, and share its munge; the rest is as with `namespaces`.
"""

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

HEAD = "127.0.0.1"
PORT = 16900


def slurm_conf(directory: Path, spool: Path, count: int) -> str:
    """Return the lines of slurm.conf by which all slurmd's can be on one machine.

    Each step of a job has a socket in `spool`, whose path the kernel limits to 107 bytes.
    """
    prolog = directory / "task-prolog"
    return (
        f"SlurmdSpoolDir={spool}/%n\nSlurmdPidFile={directory}/%n.pid\n"
        f"SlurmdLogFile={directory}/%n.log\nTaskProlog={prolog}\n"
        "SlurmctldParameters=idle_on_node_suspend,power_save_interval=1\n"
        f"NodeName=llama-worker-[000-{count - 1:03}] NodeHostname={socket.gethostname()} "
        f"NodeAddr={HEAD} Port=[{PORT}-{PORT + count - 1}] CPUs=2 RealMemory=3600 State=CLOUD\n"
    )


class Droplets:
    """Boots and halts them below `directory`."""

    def __init__(self, directory: Path, prolog: str) -> None:
        self.directory = directory
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.conf = Path()
        directory.mkdir(parents=True)
        script = directory / "task-prolog"
        script.write_text(f"{prolog}echo export LLAMA_CACHE={directory}/cache-$SLURMD_NODENAME\n")
        script.chmod(0o755)

    def boot(self, droplet: dict[str, Any]) -> None:
        """Start the slurmd of a droplet."""
        name = droplet["name"]
        (self.directory / f"cache-{name}").mkdir(exist_ok=True)
        with (self.directory / f"{name}.console").open("ab") as console:
            self.running[name] = subprocess.Popen(
                ["slurmd", "-D", "-b", "-N", name, "-f", str(self.conf)],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
            )  # fmt: skip

    def halt(self, droplet: dict[str, Any]) -> None:
        """End a droplet, and the jobs that it runs."""
        self.kill(droplet["name"])

    def kill(self, name: str) -> None:
        """End a droplet as a crash would."""
        process = self.running.pop(name, None)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # its jobs have left the group
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"SLURMD_NODENAME={name}\0".encode() in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)

    def alive(self) -> list[str]:
        """Return the names of the droplets that are switched on."""
        return [name for name, process in self.running.items() if process.poll() is None]

    def end(self) -> None:
        """End all."""
        for name in list(self.running):
            self.kill(name)
