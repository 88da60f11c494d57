"""One LLAMA of its own in a directory: its settings, its listener, what it has kept."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from broker import Broker

from llama.files import sha256_bytes
from llama.listening.spool import Entry, Spool
from llama.settings.render import config_yaml, defaults

PATIENCE_S = 60


def wait_for(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Return the first true value of `condition`."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {patience_s} s for {what}")


class Site:
    """An output directory with settings, and the listener that runs in it."""

    def __init__(self, directory: Path, broker: Broker, **listen: Any) -> None:
        self.output = directory / "out"
        self.output.mkdir(parents=True, exist_ok=True)
        self.config = directory / "config.yaml"
        raw = defaults()
        raw["output_dir"] = str(self.output)
        raw["listen"] |= {"group_id": f"test-{os.getpid()}-{time.monotonic_ns()}", **listen}
        self.config.write_text(config_yaml(yaml.safe_load(yaml.safe_dump(raw))))
        self.broker = broker
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self, **more: str) -> dict[str, str]:
        # the mock cluster keeps a dead member's partitions for so long
        client = {"KAFKA_AUTO_COMMIT_INTERVAL_MS": "50", "KAFKA_SESSION_TIMEOUT_MS": "6000"}
        client["KAFKA_HEARTBEAT_INTERVAL_MS"] = "500"
        # it answers a waiting fetch at its end only, not when a record comes
        client["KAFKA_FETCH_WAIT_MAX_MS"] = "10"
        own = {key: value for key, value in os.environ.items() if not key.startswith("GCN_")}
        return own | client | {"LLAMA_CONFIG": str(self.config)} | more

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "llama", "listen", *words],
            env=self.environment(),
            capture_output=True,
            text=True,
        )

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start the listener in the foreground."""
        words = ["listen", "gcn", "-F", "--bootstrap-servers", self.broker.address]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "llama", *words],
            env=self.environment(**environment),
            stderr=subprocess.DEVNULL,
        )
        return self.process

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the listener and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=PATIENCE_S)
        self.process = None
        return code

    def log(self) -> str:
        path = self.output / "logs" / "gcn.log"
        return path.read_text() if path.exists() else ""

    def state(self) -> dict[str, Any]:
        try:
            return json.loads((self.output / "listener" / "state.json").read_text())
        except FileNotFoundError:
            return {}

    def pending(self) -> list[Entry]:
        return Spool(self.output).pending()

    def wait_for_pending(self, number: int) -> None:
        spool = self.output / "spool"
        wait_for(lambda: len(list(spool.glob("[!.]*.json"))) >= number, f"{number} records")

    def feed(self, records: Iterable[tuple[str, bytes | None]], heard: int = 0) -> None:
        """Send (topic, content) as fast as the broker allows; `heard` wait already.

        The mock cluster forgets what is older than its last 5 MB, so it is given 3 MB at once.
        """
        size = 0
        for number, (topic, content) in enumerate(records, heard):
            size += len(content or b"")
            if size > 3_000_000:
                self.wait_for_pending(number)
                size = len(content or b"")
            self.broker.send(topic, [content], key=b"../../key")

    def archived(self) -> Counter[str]:
        """Return how often which content is in the archive, by sha256."""
        files = (path for path in (self.output / "gcn").rglob("*") if path.is_file())
        return Counter(sha256_bytes(path.read_bytes()) for path in files if path.name[0] != ".")


def kept(one: Site) -> list[bytes]:
    """Return the contents that wait in the spool, in order."""
    return [Spool(one.output).read(entry) for entry in one.pending()]


@contextmanager
def beating(broker: Broker) -> Iterator[None]:
    """Send heartbeats, as GCN does, while the block runs."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.5):
            broker.beat()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def site(directory: Path, broker: Broker, **listen: Any) -> Iterator[Site]:
    """Yield a site whose listener, if any, is ended afterwards."""
    made = Site(directory, broker, **listen)
    try:
        yield made
    finally:
        if made.process is not None:
            made.process.kill()
            made.process.wait()


@contextmanager
def fast_directory(fallback: Path) -> Iterator[Path]:
    """Yield a directory in memory if the machine has one: thousands of fsyncs are slow on disks."""
    memory = Path("/dev/shm")  # noqa: S108
    if not os.access(memory, os.W_OK):
        yield fallback
        return
    directory = Path(tempfile.mkdtemp(prefix="llama-test-", dir=memory))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
