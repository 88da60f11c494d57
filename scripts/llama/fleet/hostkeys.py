"""Which host key a droplet must show, and how it is known.

Addresses are used again, so that a key never belongs to one. A droplet made from here gets the
fleet's host key from cloud-init, and that key is trusted for every droplet; the key of any other
droplet is trusted when somebody has compared its fingerprint with the console's.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml

from llama.errors import LlamaError
from llama.files import write_bytes
from llama.fleet.records import Droplet

_KEY = "host_ed25519"
_METADATA = "169.254.169.254"
# first obtained value wins: these, then the user's own, then User
_SSH_CONFIG = """\
Match all
  StrictHostKeyChecking yes
  UserKnownHostsFile {known_hosts}
  GlobalKnownHostsFile /dev/null
  CheckHostIP no
  UpdateHostKeys no
  VerifyHostKeyDNS no
  KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
  BatchMode yes
  ClearAllForwardings yes
  PermitLocalCommand no
  ConnectTimeout 10
  ServerAliveInterval 15
  ServerAliveCountMax 4
  LogLevel ERROR
Include {config}
Match all
  User root
"""


def fleet_key(directory: Path) -> tuple[str, str]:
    """Return the fleet's host key, private and public, made when it is first asked for."""
    path = directory / _KEY
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "llama-fleet"]
            try:
                subprocess.run([*command, "-f", f"{scratch}/key"], check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError) as error:
                raise LlamaError(
                    "ssh-keygen cannot make the fleet's host key; install openssh-client"
                ) from error
            public = Path(scratch, "key.pub").read_bytes()
            write_bytes(directory / f"{_KEY}.pub", public)
            os.replace(f"{scratch}/key", path)  # with the mode that ssh-keygen gives, 600
    public_text = (directory / f"{_KEY}.pub").read_text()
    return path.read_text(), " ".join(public_text.split()[:2])


def user_data(directory: Path, **more: object) -> str:
    """Return the cloud-config, as user data, that gives a droplet the fleet's host key; and `more`.

    The metadata service hands user data, and so this key, to any process of the droplet; the
    rule keeps all users but root from it.
    """
    private, public = fleet_key(directory)
    rule = ["ip", "rule", "add", "uidrange", "1-4294967294", "to", _METADATA, "prohibit"]
    keys = {"ed25519_private": private, "ed25519_public": public}
    config = {"ssh_deletekeys": True, "ssh_keys": keys, "bootcmd": [rule], **more}
    return "#cloud-config\n" + yaml.safe_dump(config, sort_keys=False)


def alias(droplet: Droplet) -> str:
    """Return the name under which a droplet's host key is known: its id is never used again."""
    return f"droplet-{droplet.id}"


def confirmed_keys(directory: Path) -> dict[str, set[str]]:
    """Return the keys, `type base64`, that somebody has confirmed, by alias."""
    found: dict[str, set[str]] = {}
    path = directory / "known_hosts"
    for line in path.read_text().splitlines() if path.exists() else []:
        name, _, key = line.partition(" ")
        if "*" not in name:
            found.setdefault(name, set()).add(key)
    return found


def write_known_hosts(directory: Path, confirmed: dict[str, set[str]]) -> None:
    """Write the fleet's key, which any droplet may show, and the `confirmed` ones of others."""
    lines = [f"droplet-* {fleet_key(directory)[1]}"]
    lines += [f"{name} {key}" for name, keys in sorted(confirmed.items()) for key in sorted(keys)]
    write_bytes(directory / "known_hosts", ("\n".join(lines) + "\n").encode())


def write_ssh_config(path: Path, directory: Path, hosts: dict[str, Droplet]) -> Path:
    """Write to `path` the ssh configuration by which `hosts` are reached by name; return `path`."""
    lines = []
    for name, droplet in hosts.items():
        lines += [f"Host {name}", f"  HostName {droplet.ip}", f"  HostKeyAlias {alias(droplet)}"]
    lines.append(
        _SSH_CONFIG.format(
            known_hosts=_quoted(directory / "known_hosts"),
            config=_quoted(Path.home() / ".ssh/config"),
        )
    )
    write_bytes(path, "\n".join(lines).encode())
    return path


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("%", "%%") + '"'


def fingerprint(key: str) -> str:
    """Return the SHA256 fingerprint of a key `type base64`, as the console shows it."""
    command = ["ssh-keygen", "-l", "-f", "-"]
    answer = subprocess.run(command, input=f"{key}\n", capture_output=True, text=True, check=True)
    return answer.stdout.split()[1]


def host_names(droplets: Iterable[Droplet]) -> dict[str, Droplet]:
    """Return the droplets that have an address, by name.

    Of equal names all but the first get their id added.
    """
    hosts: dict[str, Droplet] = {}
    for droplet in droplets:
        if not droplet.ip:
            continue
        name = f"{droplet.name}.{droplet.id}" if droplet.name in hosts else droplet.name
        hosts[name] = droplet
    return hosts
