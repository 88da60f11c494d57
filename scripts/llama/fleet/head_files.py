"""What the head writes before it starts: slurm.conf, keys, hooks, and the workers' user data.

Everything lies in `output_dir`/fleet/slurm, so that several can be on one machine.
"""

import getpass
import os
import re
import secrets
import socket
import sys
import time
from importlib import metadata
from pathlib import Path

import msgspec

from llama.errors import LlamaError
from llama.files import dump_json, rendered, write_bytes, write_json
from llama.fleet.crew import Crew
from llama.fleet.hooks import cluster_directory
from llama.fleet.hostkeys import user_data
from llama.fleet.spaces import Spaces, credentials_file, place_of
from llama.fleet.token import refuse_token
from llama.settings import Settings
from llama.settings.load import find_config

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class HeadFiles:
    """The files of the head, for the fleet of `settings`."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.directory = settings, cluster_directory(settings)
        self.conf = self.directory / "slurm.conf"

    def write(self, crew: Crew, address: str, token: str, extra: str, wheel: Path | None) -> str:
        """Write configuration, keys and hooks; return the price list's word on one worker.

        address: where workers find the head; extra: lines for slurm.conf.
        """
        fleet = self.settings.fleet
        if re.search(r"[^\w./@+-]", str(self.directory)):
            raise LlamaError(
                f"Slurm cannot work in {self.directory}; choose an output_dir of letters and digits"
            )
        Spaces(self.settings.spaces).check()
        offer = crew.offer(0, fleet.image, fleet.size, fleet.region)
        if offer.image.public and not wheel:
            raise LlamaError(
                f"{fleet.image} (fleet.image) is a plain system without LLAMA; give a wheel of it, "
                "made with pip wheel --no-deps -w dist ., as --wheel FILE, or set fleet.image to "
                "a snapshot of yours (llama com do -S)"
            )
        for name in ("munge", "state", "log"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        self._write_secret("munge.key", secrets.token_bytes(128), once=True)
        self._write_secret("token", f"{token}\n".encode())
        names = f"{crew.worker_prefix}[000-{max(fleet.max_droplets - 1, 0):03}]"
        values = {
            "hostname": socket.gethostname(),
            "address": address,
            "user": getpass.getuser(),
            "directory": self.directory,
            "first_job": int(time.time()) % 60_000_000 + 1,
            "nodes": names,
            "cpus": offer.size.vcpus,
            "memory_mb": int(0.9 * offer.size.memory_mb),
        }
        conf = override(rendered("llama.fleet", "slurm.conf.j2", **values), extra)
        write_bytes(self.conf, conf.encode())
        for_workers = self._user_data(address, wheel, number_of(conf, "SlurmctldPort"))
        refuse_token(for_workers, token, "the user data")
        about = {
            "user_data": for_workers,
            "price_hourly_usd": offer.size.price_hourly_usd,
            "patience_s": number_of(conf, "ResumeTimeout") / 4,
            "nodes": names,
        }
        write_json(
            self.directory / "spaces.json", msgspec.to_builtins(place_of(self.settings.spaces))
        )
        # the munge key and the key to Spaces are in it
        self._write_secret("droplet.json", dump_json(about).encode())
        for what in ("resume", "suspend", "failed"):
            self._write_hook(what)
        return (
            f"workers {names}: {offer.size.slug} in {offer.region} from {offer.image.name}, "
            f"${offer.size.price_hourly_usd:.4f} per hour each"
        )

    def _write_secret(self, name: str, content: bytes, once: bool = False) -> None:
        path = self.directory / name
        if once and path.exists():
            return
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(handle, 0o600)
            stream.write(content)

    def _write_hook(self, what: str) -> None:
        kept = ("DIGITALOCEAN_END_POINT", "PYTHONPATH", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME")
        text = rendered(
            "llama.fleet",
            "hook.sh.j2",
            what=what,
            path=PATH,
            directory=self.directory,
            config=find_config() or "",
            environment={name: os.environ[name] for name in kept if os.environ.get(name)},
            python=sys.executable,
        )
        path = self.directory / what
        write_bytes(path, text.encode())
        path.chmod(0o700)

    def _user_data(self, address: str, wheel: Path | None, port: float) -> str:
        every_s = min(15.0, self.settings.fleet.silent_minutes * 60 / 4)
        credentials = credentials_file(self.settings.spaces)
        wheel_url, spaces = "", Spaces(self.settings.spaces)
        if wheel:
            wheel_url = spaces.signed_url(spaces.upload(wheel).key)
        script = rendered(
            "llama.fleet",
            "worker.sh.j2",
            address=address,
            port=int(port),
            directory=self.directory,
            watch_every_s=every_s,
            silent_checks=round(self.settings.fleet.silent_minutes * 60 / every_s),
            venv=Path(sys.executable).parents[1],
            wheel=wheel.name if wheel else "",
            wheel_url=wheel_url,
        )
        files = [
            (Path("/etc/llama/munge.key"), "0400", (self.directory / "munge.key").read_bytes()),
            (credentials, "0600", credentials.read_bytes()),
            (Path("/usr/local/sbin/llama-worker"), "0700", script.encode()),
        ]
        if wheel:
            files.append((Path("/etc/llama/constraints.txt"), "0600", _versions().encode()))
        # the rule that keeps all users but root from user data is among the host key's
        written = [
            {"path": str(path), "permissions": mode, "content": content}
            for path, mode, content in files
        ]
        command = ["/usr/local/sbin/llama-worker"]
        return user_data(self.settings.output_dir / "fleet", write_files=written, runcmd=[command])


def override(conf: str, extra: str) -> str:
    """Return slurm.conf with the lines of `extra`, which replace those of the same key."""
    wanted = [line for line in extra.splitlines() if line.strip()]
    keys = {line.partition("=")[0].strip().lower() for line in wanted}
    kept = [line for line in conf.splitlines() if line.partition("=")[0].lower() not in keys]
    return "\n".join([*kept, *wanted]) + "\n"


def number_of(conf: str, key: str) -> float:
    """Return the number that slurm.conf gives for `key`."""
    return float(re.findall(rf"^{key}=(\d+)", conf, re.MULTILINE)[-1])


def _versions() -> str:
    found = {d.metadata["Name"]: d.version for d in metadata.distributions()}
    found.pop("llama-multimessenger", None)
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()))
