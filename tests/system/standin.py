"""Stand-in droplets: a real sshd each, on loopback, that sees only its own processes.

As root and as plain user (then in a user namespace). What cloud-init would do with the user data
that LLAMA writes, the host key, is done here.
"""

import getpass
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import yaml

SSHD = "/usr/sbin/sshd"


class StandIns:
    """Boots and halts stand-ins below `directory`; all listen on one port, each at its address."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self._lock, self._over = threading.Lock(), False
        with socket.create_server(("127.77.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        directory.mkdir()
        self.key = directory / "client"
        keygen(self.key)
        self.home = directory / "home"
        (self.home / ".ssh").mkdir(parents=True)
        (self.home / ".ssh/config").write_text(
            f"Host *\n  Port {self.port}\n  User {getpass.getuser()}\n  IdentityFile {self.key}\n"
            "  IdentitiesOnly yes\n  SendEnv *\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def place(self, name: str) -> Path:
        """Return the directory of a stand-in: its logs are in `logs`."""
        return self.directory / name

    def boot(self, droplet: dict[str, Any]) -> None:
        """Start the sshd of `droplet`, and wait until it listens."""
        place = self.place(droplet["name"])
        (place / "logs").mkdir(parents=True, exist_ok=True)
        host_key = place / f"host-{droplet['id']}"
        if droplet["_user_data"]:
            host_key.write_text(
                yaml.safe_load(droplet["_user_data"])["ssh_keys"]["ed25519_private"]
            )
            host_key.chmod(0o600)
        elif not host_key.exists():
            keygen(host_key)
        config = place / "sshd_config"
        config.write_text(
            f"ListenAddress {droplet['_ip']}:{self.port}\nHostKey {host_key}\nPidFile none\n"
            f"AuthorizedKeysFile {self.key}.pub\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nMaxStartups 200\nAcceptEnv *\nUseDNS no\n"
            f"SetEnv LLAMA_LOG_DIR={place}/logs HERE={droplet['name']}\n"
        )
        command = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
        if os.geteuid():
            command += ["--user", "--map-current-user"]
        with (place / "sshd.log").open("ab") as log, self._lock:
            if self._over:  # the test has ended while the cloud was at it
                return
            self.running[droplet["id"]] = subprocess.Popen(
                [*command, SSHD, "-D", "-e", "-f", str(config)],
                env={"PATH": os.environ["PATH"]},
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if droplet["id"] not in self.running:  # destroyed before it had booted
                return
            try:
                socket.create_connection((droplet["_ip"], self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError((place / "sshd.log").read_text())

    def halt(self, droplet: dict[str, Any]) -> None:
        """End the sshd of `droplet` and all that was started through it."""
        process = self.running.pop(droplet["id"], None)
        if process:
            # the sshd itself, which unshare then buries; an orphan may find nobody to do it
            subprocess.run(["pkill", "-KILL", "-P", str(process.pid)], check=False)
            process.wait()

    def halt_all(self) -> None:
        """End every stand-in; none comes later."""
        with self._lock:
            self._over = True
        for ident in list(self.running):
            self.halt({"id": ident})


def keygen(path: Path) -> None:
    """Make a key pair at `path`."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
