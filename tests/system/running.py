"""One LLAMA that hears and computes: a site with a neutrino archive, and `llama run` in it."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from broker import Broker
from listening import Site, wait_for

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

import preloaded

from llama.files import write_bytes
from llama.listening.spool import Record, Spool
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release

CLONE = Path(__file__).parents[2]
S230518H_MJD = 60082.54
COMPUTING_S = 300  # on a machine that does much else


class Keeping(Site):
    """A site whose events are computed by the clone's workflow."""

    def __init__(self, directory: Path, broker: Broker | None = None, **listen: Any) -> None:
        self.typed: dict[str, str] = {}
        super().__init__(directory, broker, **listen)
        release = directory / "release"
        start, stop = S230518H_MJD - 10, S230518H_MJD + 10
        write_mock_release(release, n_events=3000, mjd_start=start, mjd_stop=stop)
        import_release(release, self.output / "archive", "mock")
        self.set("neutrinos", archive="mock")
        self.keeper: subprocess.Popen[bytes] | None = None

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(**self.typed, **more)

    def set(self, block: str, **values: Any) -> None:
        """Change settings in place."""
        raw = yaml.safe_load(self.config.read_text())
        raw[block] |= values
        write_bytes(self.config, yaml.safe_dump(raw, sort_keys=False).encode())

    def run(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run `llama run WORDS` in the clone."""
        return subprocess.run(
            [sys.executable, "-m", "llama", "run", *words],
            env=self.environment(**environment),
            cwd=CLONE,
            capture_output=True,
            text=True,
        )

    def keep(self, **environment: str) -> "subprocess.Popen[bytes]":
        """Start `llama run -F`."""
        self.keeper = subprocess.Popen(
            [sys.executable, "-m", "llama", "run", "-F"],
            env=self.environment(**environment),
            cwd=CLONE,
            stderr=subprocess.DEVNULL,
        )
        return self.keeper

    def end_keeping(self, number: int = signal.SIGTERM) -> int:
        """End `llama run` and return its exit code."""
        self.keeper.send_signal(number)
        code = self.keeper.wait(timeout=COMPUTING_S)
        self.keeper = None
        return code

    def hear(self, content: bytes) -> None:
        """Put a record into the spool."""
        Spool(self.output).keep([Record(topic="replay", content=content)])

    def event(self, graceid: str) -> Path:
        return self.output / "current_run" / graceid

    def wait_until_made(self, graceid: str, times: int = 1) -> None:
        """Wait until the daemon has said so often that an event is up to date."""
        line = f"{graceid} is up to date"
        wait_for(lambda: self.keeper_log().count(line) >= times, f"all of {graceid}", COMPUTING_S)

    def significance(self, graceid: str) -> dict[str, Any] | None:
        """Return what the event's significance file says, None if there is none."""
        for name in ("significance_lvc-i3.json", "significance_subthresh_lvc-i3.json"):
            path = self.event(graceid) / name
            if path.exists():
                return json.loads(path.read_text())
        return None

    def keeper_log(self) -> str:
        path = self.output / "logs" / "llamad.log"
        return path.read_text() if path.exists() else ""


@contextlib.contextmanager
def keeping(
    directory: Path, broker: Broker | None = None, forked: bool = False, **listen: Any
) -> Iterator[Keeping]:
    """Yield a site that hears and computes; what still runs afterwards is killed.

    forked: Snakemake and its jobs are, instead of importing all they need; none may be killed.
    """
    made = Keeping(directory, broker, **listen)
    try:
        if forked:
            typed = directory / "typed"
            typed.mkdir()
            preloaded.write_commands(typed)
            made.typed = {"LLAMA_TEST_TYPED": str(typed)}
        yield made
    finally:
        if made.keeper is not None and made.keeper.poll() is None:
            made.run("-K")
            made.keeper.wait()
        if made.process is not None:
            made.process.kill()
            made.process.wait()
