"""Stand-in droplets that share nothing with their host but the kernel; needs root.

Each is a network namespace on a bridge with its own mount, PID, UTS and IPC namespaces, over an
overlay of the root file system, which plays the snapshot. What the host keeps on other mounts is
not seen inside. What cloud-init does with LLAMA's user data is done here: files, host key, runcmd.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import yaml

HEAD = "10.77.0.1"
_BRIDGE = "brllama"
_INIT = """\
set -eu
NAME=$1 VM=$2
hostname "$NAME"
mount --make-rprivate /
mount -t tmpfs -o size=2g tmpfs "$VM/fs"
mkdir "$VM/fs/up" "$VM/fs/work" "$VM/fs/root"
R=$VM/fs/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$VM/fs/up,workdir=$VM/fs/work" "$R"
mount -t proc proc "$R/proc"
mount --rbind /sys "$R/sys"
mount --rbind /dev "$R/dev"
mount -t tmpfs tmpfs "$R/run"
mkdir -p "$R/run/sshd" "$R/run/lock" "$R/root/.ssh"
rm -rf "$R/etc/slurm" "$R/etc/munge" "$R/var/log/llama" "$R/var/cache/llama" "$R/var/spool/slurmd"
echo "$NAME" > "$R/etc/hostname"
printf '127.0.0.1 localhost\\n%s %s\\n' "$3" "$NAME" > "$R/etc/hosts"
# no name server here: fail at once
rm -f "$R/etc/resolv.conf"; echo 'nameserver 127.0.0.1' > "$R/etc/resolv.conf"
rm -f "$R/usr/sbin/poweroff" "$R/sbin/poweroff"
printf '#!/bin/sh\\nkill -TERM 1\\n' > "$R/usr/sbin/poweroff"; chmod 755 "$R/usr/sbin/poweroff"
cp -a "$VM/files/." "$R/"
if [ -e "$VM/small" ]; then
    mkdir -p "$R/var/cache/llama"; mount -t tmpfs -o size=1m tmpfs "$R/var/cache/llama"
fi
# PID 1 takes care of orphans until the droplet is off or destroyed
exec chroot "$R" /bin/bash -c '
    trap "exit 0" TERM; cd /; . /run/cloud-init; while :; do sleep 9 & wait; done'
"""


def possible() -> bool:
    """Whether this machine lets us: root, namespaces and overlays."""
    if os.geteuid() != 0:
        return False
    probe = (
        "d=$(mktemp -d) && mount -t tmpfs t $d && mkdir $d/u $d/w $d/r && "
        "mount -t overlay o -o lowerdir=/,upperdir=$d/u,workdir=$d/w $d/r; code=$?; "
        "umount -l $d; exit $code"
    )
    return (
        subprocess.run(["unshare", "-mnpf", "sh", "-c", probe], capture_output=True).returncode == 0
    )


def _sh(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def _end_space(space: str) -> None:
    """End all processes of a network namespace, and the namespace."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pids = subprocess.run(
            ["ip", "netns", "pids", space], capture_output=True, text=True
        ).stdout.split()
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.05)
    subprocess.run(["ip", "netns", "del", space], capture_output=True)


class Droplets:
    """Boots and halts them below `directory`; `files` are put into every one, as in a snapshot."""

    def __init__(self, directory: Path, files: dict[str, str]) -> None:
        self.directory, self.files = directory, files
        self.small: list[str] = []  # names of those without disk space, each for one boot
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        directory.mkdir(parents=True)
        self._clear()
        _sh("ip", "link", "add", _BRIDGE, "type", "bridge")
        _sh("ip", "addr", "add", f"{HEAD}/16", "dev", _BRIDGE)
        _sh("ip", "link", "set", _BRIDGE, "up")

    def boot(self, droplet: dict[str, Any]) -> None:
        """Start a droplet; it is up when its user data says so."""
        name, ip = f"{droplet['name']}", droplet["_ip"]
        key = f"{name}-{droplet['id']}"
        place = self.directory / key
        files = place / "files"
        (place / "fs").mkdir(parents=True)
        for path, content in self.files.items():
            self._put(files, path, content, 0o755)
        config = yaml.safe_load(droplet["_user_data"] or "{}") or {}
        for entry in config.get("write_files", []):
            self._put(files, entry["path"], entry["content"], int(entry["permissions"], 8))
        script = ""
        if "ssh_keys" in config:
            self._put(files, "/etc/llama-host-key", config["ssh_keys"]["ed25519_private"], 0o600)
            script = "/usr/sbin/sshd -h /etc/llama-host-key\n"
        script += "".join(f"{shlex.join(command)}\n" for command in config.get("runcmd", []))
        self._put(files, "/run/cloud-init", script, 0o644)
        if name in self.small:
            self.small.remove(name)
            (place / "small").touch()
        space, link = f"llama{droplet['id']}", f"vl{droplet['id']}"
        _sh("ip", "netns", "add", space)
        _sh("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
        _sh("ip", "link", "set", link, "master", _BRIDGE, "up")
        _sh("ip", "-n", space, "addr", "add", f"{ip}/16", "dev", "eth0")
        _sh("ip", "-n", space, "link", "set", "eth0", "up")
        _sh("ip", "-n", space, "link", "set", "lo", "up")
        with (place / "console").open("wb") as console:
            # not `ip netns exec`, whose /sys has no cgroups, without which slurmd ends
            self.running[key] = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{space}", "unshare", "--mount", "--uts", "--ipc",
                 "--pid", "--fork", "--kill-child=KILL", "bash", "-c", _INIT, "init", name,
                 str(place), ip],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            )  # fmt: skip

        threading.Thread(target=self._off, args=(key, droplet), daemon=True).start()

    def _off(self, key: str, droplet: dict[str, Any]) -> None:
        """Let the cloud know of a droplet that has powered itself off."""
        process = self.running[key]
        process.wait()
        if key in self.running:
            droplet["status"] = "off"

    def _put(self, files: Path, path: str, content: str | bytes, mode: int) -> None:
        target = files / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        target.chmod(mode)

    def halt(self, droplet: dict[str, Any]) -> None:
        """End a droplet and all in it at once."""
        self._end(f"{droplet['name']}-{droplet['id']}", droplet["id"])

    def kill(self, name: str) -> None:
        """End the droplets called `name` as a crash would: the cloud knows nothing of it."""
        for key in [key for key in self.running if key.rpartition("-")[0] == name]:
            self._end(key, int(key.rpartition("-")[2]))

    def _end(self, key: str, ident: int) -> None:
        process = self.running.pop(key, None)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _end_space(f"llama{ident}")
        console = self.directory / key / "console"
        if console.exists():
            shutil.copy(console, self.directory / f"{key}.console")
        shutil.rmtree(self.directory / key, ignore_errors=True)

    def alive(self) -> list[str]:
        """Return the names of the droplets that are switched on."""
        return [key.rpartition("-")[0] for key, p in self.running.items() if p.poll() is None]

    def end(self) -> None:
        """End all droplets, and the bridge."""
        for key in list(self.running):
            self._end(key, int(key.rpartition("-")[2]))
        self._clear()

    def _clear(self) -> None:
        """Remove the bridge, and droplets of tests that were killed."""
        for space in Path("/run/netns").glob("llama[0-9]*"):
            _end_space(space.name)
        subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True)
