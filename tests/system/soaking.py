"""A LLAMA that can be hurt: its site, those who hear of its results, and all that goes wrong."""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import receivers
from broker import Broker
from https_server import Answer, Server, https_server
from listening import wait_for
from publish_sites import SITES
from running import CLONE, COMPUTING_S, Keeping
from simulated import HOUR_S, Clock, Stream
from test_publish_kafka import heard

from llama.listening.spool import Spool
from llama.publish.outbox import Outbox

# for those who receive; a request that hangs costs its client half a minute
FAULTS = ("drop", (429, 0), 502, "done", "lost", "short", "login")
DOORS = {
    "slack": ("/chat.postMessage", "/files.completeUploadExternal", "/conversations.history"),
    "gracedb": ("/logs/",),
    "webhook": ("/real", "/test"),
    "stream": ("/events",),
}
SENDING = ("slack", "gracedb", "webhook")
KINDS = {
    "listener": ("llama listen",),
    "daemon": ("llama run",),
    "snakemake": ("-m snakemake",),
    "job": (".snakemake/scripts/",),
    "publisher": (".publish.py",),
    "operator": ("skymap_info",),
}


class Soaked(Keeping):
    """A site whose processes live by the simulated clock; killed ones are started again."""

    def __init__(self, directory: Path, broker: Broker, seed: int) -> None:
        self.clock = Clock(directory / "clock")
        super().__init__(directory, broker, topics=["igwn.gwalert"])
        self.stream = Stream(self.clock, seed)
        self.icecube = directory / "icecube"
        self.killed: Counter[str] = Counter()
        self.peak_mib = 0  # of the daemon
        self.doors: dict[str, Server] = {}
        self.receivers: list[Any] = []
        self.secrets = {"SLACK_TOKEN": receivers.TOKEN, "GRACEDB_TOKEN": "canary-gracedb"}
        self.secrets |= {"LLAMA_WEBHOOK_TOKEN": "canary", "LLAMA_KAFKA_SERVERS": broker.address}

    def environment(self, **more: str) -> dict[str, str]:
        path = os.pathsep.join(
            [str(Path(__file__).parent / "clock"), os.environ.get("PYTHONPATH", "")]
        )
        own = {"PYTHONPATH": path, "LLAMA_TEST_CLOCK": str(self.clock.path)}
        return super().environment(**self.secrets, **own, **more)

    def tell_who_hears(self) -> None:
        """Write into the settings who gets results, and where neutrinos come from."""
        urls = {name: server.url for name, server in self.doors.items()}
        for name, whole in (("real", True), ("test", False)):
            (self.icecube / name).mkdir(parents=True)
            places = {
                "slack": f"C0123456{name.upper()}", "webhook": f"{urls['webhook']}/{name}",
                "icecube": str(self.icecube / name), "circular": None,
                "gracedb": urls["gracedb"] if whole else None,
                "gcn": "gcn.notices.icecube" if whole else None,
            }  # fmt: skip
            self.set("publish", **{name: places})
        url = f"{urls['stream']}/events?start={{start_gps}}&stop={{stop_gps}}"
        self.set("neutrinos", source={"stream": {"kind": "https_json", "url": url, "time": "gps"}})
        # all of a day's events are kept, an hour's soak has more than the newest 40
        self.set("events", new_event_flags="TRIGGERED_PUBLIC", tracked_newest=1000)
        self.secrets["SLACK_API_URL"] = f"{urls['slack']}/api/"

    # -- what is done to it ----

    def processes(self, *words: str) -> list[psutil.Process]:
        """Return the site's processes that have one of the words in their command."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            with contextlib.suppress(psutil.Error):
                ours = process.environ().get("LLAMA_CONFIG") == str(self.config)
                if ours and any(word in line for word in words):
                    found.append(process)
        return found

    def kill(self, what: str, source: random.Random) -> bool:
        """Kill -9 one process of a kind, if there is one."""
        found = self.processes(*KINDS[what])
        if found:
            with contextlib.suppress(psutil.NoSuchProcess):
                source.choice(found).kill()
                self.killed[what] += 1
        return bool(found)

    def kill_publisher(self, carried_out: bool) -> Callable[[Callable[[], Answer]], Answer]:
        """Return a fault: whoever publishes is killed, before or after the message arrives."""

        def fault(carry_out: Callable[[], Answer]) -> Answer:
            answer = carry_out() if carried_out else Answer(503)
            for process in self.processes(*KINDS["publisher"]):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
                    self.killed["publisher"] += 1
            return answer

        return fault

    def revive(self) -> None:
        """Start the listener and the daemon again if they have been killed, as systemd does."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        if self.keeper is None or self.keeper.poll() is not None:
            self.keep()

    def wait(self, seconds: float) -> None:
        """Let time pass, with whoever was killed started again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.revive()
            with contextlib.suppress(psutil.NoSuchProcess):
                used = psutil.Process(self.keeper.pid).memory_info().rss >> 20
                self.peak_mib = max(self.peak_mib, used)
            time.sleep(0.2)

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """Fill the disk while the block runs."""
        filler = self.output.parent / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 65536)
        try:
            yield
        finally:
            filler.unlink()

    # -- what it has become ----

    def is_up(self, records: int) -> bool:
        """Tell whether both run, and all records have been heard."""
        self.revive()
        heard = sum(map(len, Spool(self.output).entries().values()))
        listens = f"listening, pid {self.process.pid};" in self.log()
        keeps = f"keeping events, pid {self.keeper.pid}\n" in self.keeper_log()
        return heard == records and listens and keeps

    def settle(self, records: int, passes: int = 6) -> int:
        """Let everything be made, hours later; return how many passes it took.

        The first pass meets the faults that are left, the others are undisturbed.
        """
        wait_for(lambda: self.is_up(records), f"{records} records", COMPUTING_S)
        assert self.end() == 0
        assert self.end_keeping() == 0
        wait_for(lambda: not self.processes("snakemake"), "orphans to end", COMPUTING_S)
        for number in range(1, passes + 1):
            self.clock.step(2 * HOUR_S)
            before = self.keeper_log().count(" is up to date")
            done = self.run("-o")
            made = self.keeper_log().count(" is up to date") - before
            if done.returncode == 0 and not made:
                return number
            for server in self.doors.values():
                server.faults.clear()
        raise AssertionError(f"not settled after {passes} passes: {done.stderr}")

    def llama(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command by the simulated clock."""
        return subprocess.run(
            [sys.executable, "-m", "llama", *words],
            env=self.environment(), cwd=CLONE, capture_output=True, text=True,
        )  # fmt: skip

    def undisturbed(self, graceid: str) -> float:
        """Return the odds that a site where nothing goes wrong finds for the same alerts."""
        with tempfile.TemporaryDirectory(prefix="llama-calm-") as directory:
            output, event = Path(directory) / "out", self.event(graceid)
            shutil.copytree(self.output / "archive", output / "archive")
            kept = output / "current_run" / graceid
            shutil.copytree(event / "alerts", kept / "alerts")
            for name in ("skymap_info.json", "flags.json"):
                shutil.copy2(event / name, kept / name)
            (product,) = (path.name for path in event.glob("significance_*.json"))
            config = Path(directory) / "config.yaml"
            config.write_text(self.config.read_text().replace(str(self.output), str(output)))
            done = subprocess.run(
                # not all: that would publish
                [sys.executable, "-m", "snakemake", f"events/{graceid}/{product}", "--cores", "2"],
                env=self.environment(LLAMA_CONFIG=str(config)), cwd=CLONE,
                capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            return float(json.loads((kept / product).read_bytes())["odds_ratio"])

    def events(self) -> list[Path]:
        return sorted(path.parent for path in self.output.glob("current_run/*/skymap_info.json"))

    def sent(self) -> dict[str, Counter[str]]:
        """Return, by channel, the keys of all messages that the outboxes say were sent."""
        found: dict[str, Counter[str]] = {}
        for path in self.output.glob("current_run/*/outbox/*"):
            entries = Outbox(path.parents[1], path.name, "").entries()
            keys = [entry.key for entry in entries if entry.remote_id is not None]
            found.setdefault(path.name, Counter()).update(keys)
        return found

    def arrived(self) -> dict[str, Counter[str]]:
        """Return, by channel, the keys of all messages that have come to those who receive."""
        found = {one.name: Counter(key for key, *_ in one.arrived()) for one in self.receivers}
        found["gcn"] = Counter(
            key for event in self.events() for key, _ in heard(self.broker, event.name)
        )
        return found


@contextlib.contextmanager
def soaked(directory: Path, broker: Broker, seed: int) -> Iterator[Soaked]:
    """Yield a site, and those who hear of it and tell it; whatever still runs then is killed."""
    one = Soaked(directory, broker, seed)
    with contextlib.ExitStack() as stack:
        for kind, serve in SITES.items():
            server, double = stack.enter_context(serve())
            double.now = one.clock.now
            one.receivers.append(kind(server, double))
            one.doors[kind.name] = server
        one.doors["stream"] = stack.enter_context(https_server(one.stream.answer))
        one.tell_who_hears()
        try:
            yield one
        finally:
            for process in one.processes(""):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
