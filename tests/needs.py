"""Programs that the tests run and Python does not bring, and Debian's packages that do.

    python3 tests/needs.py    # as root on Debian: installs what is missing; else lists it

`make test`, `make bench` and `make fuzz` run it first. Tests name what they need, by the mark
`needs("sshd")` or by `require("sshd")`, and are skipped where it is missing; the last lines of a
run list what was skipped, and fail it in CI.
"""

import os
import shutil
import subprocess
import sys

PACKAGES = {
    "buildah": "buildah",
    "chromedriver": "chromium-driver",
    "chromium": "chromium",
    "crontab": "cron",
    "fish": "fish",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "munged": "munge",
    "ps": "procps",
    "sbatch": "slurm-client",
    "scontrol": "slurm-client",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "systemd-analyze": "systemd",
    "unshare": "util-linux",
}
SLURM = ("slurmctld", "slurmd", "sbatch", "scontrol", "munged")
SSH = ("ssh", "sshd", "ps")
# Debian keeps servers where a plain user's PATH does not look
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class MissingError(RuntimeError):
    """A program that is not on this machine; the text says which package brings it."""


def missing(*programs: str) -> list[str]:
    """Return the packages of those programs that are not on this machine."""
    return sorted({PACKAGES[name] for name in programs if not shutil.which(name, path=_PATH)})


def check(*programs: str) -> None:
    """Raise `MissingError` if a program is not on this machine."""
    if packages := missing(*programs):
        raise MissingError(f"needs {', '.join(packages)}")


def require(*programs: str) -> None:
    """Skip the test if a program is not on this machine."""
    import pytest

    if packages := missing(*programs):
        pytest.skip(f"needs {', '.join(packages)}")


def install() -> None:
    """Install what is missing where apt can; elsewhere print what would bring it."""
    packages = missing(*PACKAGES)
    if not packages:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        how = "sudo apt-get install" if shutil.which("apt-get") else "Debian's packages are"
        print(f"what needs these programs is left out; {how} {' '.join(packages)}")
        return
    print(f"installing {' '.join(packages)}", flush=True)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run([*apt, *words], env=quiet, capture_output=True, text=True)
        if done.returncode:
            print(f"{done.stderr}apt-get {words[0]} failed; what needs these is left out")
            return


if __name__ == "__main__":
    sys.exit(install())
