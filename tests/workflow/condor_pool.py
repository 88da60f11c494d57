"""A real HTCondor pool on this machine, of Debian's packages, beside whatever the machine is.

Its programs and libraries are unpacked, not installed: each is started by the loader that came with
them, so that jobs run with the machine's own Python and libraries. HTCondor refuses jobs of root;
in a user namespace root is nobody.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from llama.locks import wait_until

_CLONE = Path(__file__).parents[2]
_ROOT = _CLONE / ".venv/cache/htcondor-23"
_SUITE = "trixie"  # Debian 12 has none
_PROGRAMS = ("usr/sbin/condor_*", "usr/bin/condor_*", "usr/libexec/condor/condor_*")
_START = """#!/bin/sh
export CONDOR_CONFIG={config}
test "$(id -u)" = 0 && in="unshare --user --map-user=65534 --map-group=65534"
exec $in {loader} --argv0 "$0" --library-path {root}/usr/lib:{libraries} {program} "$@"
"""
_CONFIG = """\
use role: Personal
LOCAL_DIR = {place}
LOCAL_CONFIG_DIR =
LOG = {place}/log
LOCK = {place}/lock
RUN = {place}/run
SPOOL = {place}/spool
EXECUTE = {place}/execute
BIN = {place}/bin
SBIN = {place}/bin
LIBEXEC = {place}/bin
NETWORK_INTERFACE = 127.0.0.1
CONDOR_HOST = 127.0.0.1
BIND_ALL_INTERFACES = False
SEC_DEFAULT_AUTHENTICATION = OPTIONAL
SEC_DEFAULT_AUTHENTICATION_METHODS = FS
ALLOW_READ = *
ALLOW_WRITE = *
ALLOW_DAEMON = *
ALLOW_ADMINISTRATOR = *
START = TRUE
NUM_CPUS = 4
MEMORY = 16000
# without root no job gets a file system of its own
MOUNT_UNDER_SCRATCH =
MOUNT_PRIVATE_DEV_SHM = False
# seconds where a pool takes minutes
NEGOTIATOR_INTERVAL = 2
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
SCHEDD_INTERVAL = 2
PERIODIC_EXPR_INTERVAL = 2
MASTER_BACKOFF_CONSTANT = 1
MASTER_BACKOFF_CEILING = 1
RUNBENCHMARKS = False
STARTD_CRON_JOBLIST =
SCHEDD_CRON_JOBLIST =
"""


class Pool:
    """The commands are in `bin`."""

    def __init__(self, place: Path) -> None:
        self.place, self.bin = place, place / "bin"

    def ask(self, *words: str) -> str:
        """Run one of HTCondor's commands and return what it prints."""
        done = subprocess.run(
            [self.bin / words[0], *words[1:]], capture_output=True, text=True, timeout=60
        )
        return done.stdout if done.returncode == 0 else ""

    def pid(self, daemon: str) -> int:
        """Return the process of the last start of a daemon."""
        log = (self.place / "log/MasterLog").read_text()
        return int(re.findall(rf'bin/condor_{daemon}", pid and pgroup = (\d+)', log)[-1])


@contextlib.contextmanager
def pool(place: Path) -> Iterator[Pool]:
    """Have a pool while the block lasts: a schedd, and a machine for four jobs."""
    root = _root()
    (loader,) = root.glob("usr/lib*/ld-linux*")
    (libc,) = root.glob("usr/lib/*/libc.so.6")
    for name in ("bin", "log", "lock", "run", "spool", "execute"):
        (place / name).mkdir(parents=True)
    for program in (path for pattern in _PROGRAMS for path in root.glob(pattern)):
        with program.open("rb") as stream:
            if stream.read(4) != b"\x7fELF":
                continue
        script = place / "bin" / program.name
        script.write_text(
            _START.format(
                config=place / "config",
                loader=loader,
                root=root,
                libraries=libc.parent,
                program=program,
            )
        )
        script.chmod(0o755)
    (place / "config").write_text(_CONFIG.format(place=place))
    made = Pool(place)
    with subprocess.Popen([made.bin / "condor_master", "-f"], start_new_session=True) as master:
        try:
            assert wait_until(lambda: "slot" in made.ask("condor_status", "-af", "Name"), 60)
            yield made
        finally:
            master.send_signal(signal.SIGQUIT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                master.wait(30)
            master.kill()


def _root() -> Path:
    """Return where HTCondor is unpacked, which is done once for this clone."""
    _ROOT.parent.mkdir(parents=True, exist_ok=True)
    with _ROOT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _ROOT.exists():
            mirrors = subprocess.run(
                ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages",
                 "Origin: Debian", "Label: Debian", "Component: main"],
                capture_output=True, text=True, check=True,
            ).stdout.split()  # fmt: skip
            making = _ROOT.with_name(f"making-{os.getpid()}")
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=extract", "--include=condor", _SUITE,
                 making, mirrors[0]],
                check=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            for left in ("usr/share", "usr/lib/python3", "var", "dev"):
                shutil.rmtree(making / left, ignore_errors=True)
            making.rename(_ROOT)
    return _ROOT
