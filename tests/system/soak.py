"""A day of chaos from one seed; then an oracle of its own and `llama audit` must find nothing.

    python tests/system/soak.py --minutes 60 --seed 8

Alerts, updates, retractions, malformed and repeated records and hostile maps come through a Kafka
broker, neutrinos come late, people and cron type commands and give alerts by hand, and the real
listener, `llama run`, Snakemake and its jobs take them over, compute and publish, while servers
fail, the disk fills up, the clock is moved, and any process is killed at any time. 24 hours of
their clock pass in the minutes given. The same seed gives the same day, but for what the machine
makes of it.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CLONE = Path(__file__).parents[2]
sys.path += [str(CLONE / "tests" / place) for place in ("", "system", "unit")]

from broker import Broker  # noqa: E402
from listening import beating  # noqa: E402
from operating import LOOKS, Operator, hostile  # noqa: E402
from oracle import judge, messages  # noqa: E402
from simulated import HOUR_S  # noqa: E402
from soaking import DOORS, FAULTS, SENDING, Soaked, soaked  # noqa: E402
from test_listen_campaign import malformed  # noqa: E402
from test_listen_disk import small_disk  # noqa: E402
from test_publish_kafka import heard  # noqa: E402
from test_run_service import generated  # noqa: E402

from llama.event.skymap_info import read_info  # noqa: E402
from llama.files import read_json, write_json  # noqa: E402
from llama.publish.outbox import Outbox  # noqa: E402

MOST_MIB = 500  # of `llama run`, which has 200 and reads records of 8 MB
VICTIM_S = 15.0  # a process of a kind may have to be waited for
CHAINS = (
    ("PRELIMINARY", "UPDATE"),
    ("PRELIMINARY", "RETRACTION"),
    ("PRELIMINARY",),
    ("EARLYWARNING", "PRELIMINARY", "INITIAL"),
    ("PRELIMINARY", "UPDATE", "RETRACTION"),
)
Action = tuple[float, Callable[..., None], tuple[Any, ...]]


class Day:
    """What happens at which hour, drawn before it begins; and what was sent."""

    def __init__(self, one: Soaked, seed: int, minutes: float) -> None:
        self.one, self.source, self.hour_s = one, random.Random(seed), minutes * 60 / 24
        self.operator = Operator(one)
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.begins: list[float] = []  # hours of first alerts
        self.sent: list[bytes] = []
        self.malformed = 0
        self.faults: Counter[str] = Counter()
        self.actions = sorted(self._plan(minutes), key=lambda action: action[0])

    def _plan(self, minutes: float) -> Iterator[Action]:
        source = self.source
        number = max(3, round(minutes))
        for n in range(number):
            yield from self._event(n, CHAINS[n] if n < 3 else source.choice(CHAINS))
        for n in range(max(1, number // 3)):
            yield source.uniform(0, 23), self.send, ([malformed(source, n)], True)
            yield source.uniform(0, 23), self.send, ([self._hostile(n)], True)
            yield source.uniform(0, 23), self.operator.cron_pass, ()
            yield source.uniform(0, 23), self.operator.look, (source.choice(LOOKS),)
        rounds = max(1, round(minutes / 5))
        for _ in range(rounds):
            for what in ("listener", "daemon"):
                yield source.uniform(1, 22), self.kill, (what,)
            for what in ("snakemake", "job", "operator"):  # where there is one
                yield source.choice(self.begins) + source.uniform(0.1, 1.0), self.kill, (what,)
            for door, carried_out in zip(source.sample(SENDING, 2), (True, False), strict=True):
                yield source.uniform(0, 18), self.kill_publisher, (door, carried_out)
            for action in (self.fill_disk, self.stop_broker):
                yield source.uniform(1, 22), action, ()
            yield source.uniform(1, 22), self.move_clock, (source.uniform(30.0, 5400.0),)
            for name, ends in DOORS.items():
                faults = source.choices(FAULTS, k=source.randint(1, 4))
                yield source.uniform(0, 22), self.spoil, (name, source.choice(ends), faults)

    def _event(self, n: int, kinds: tuple[str, ...]) -> Iterator[Action]:
        source = self.source
        real = n % 3 != 2
        letters = "".join(chr(97 + int(digit)) for digit in f"{n:03d}")
        day = time.strftime("%y%m%d", time.gmtime(self.one.clock.start))
        graceid = f"{'S' if real else 'MS'}{day}{letters}"
        hour = happened = source.uniform(0.1, 18.0)
        self.begins.append(hour)
        records, hours = [], []
        for kind in kinds:
            records.append(self._alert(kind, graceid, happened, hour, n))
            hours.append(hour)
            hour += source.uniform(0.05, 2.0)
        self.events[graceid] = [json.loads(record) for record in records]
        if source.random() < 0.15:  # they overtake each other; none comes before it was made
            records.reverse()
            hours = [hours[-1] + 0.05 * n for n in range(len(hours))]
        yield hours[0] + source.uniform(0.1, 1.0), self.operator.make, (graceid,)
        for at, record in zip(hours, records, strict=True):
            if source.random() < 0.15:
                yield at, self.operator.give, (graceid, record)
                continue
            yield at, self.send, ([record],)
            if source.random() < 0.2:
                yield at + source.uniform(0.01, 3.0), self.send, ([record],)
        if not real:
            yield hours[0] + 0.01, self.permit, (graceid,)

    def _alert(self, kind: str, graceid: str, happened: float, hour: float, n: int) -> bytes:
        """Return an alert sent at `hour` about what happened a minute before `happened`."""
        dates = [
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.one.clock.start + h * HOUR_S - ago))
            for h, ago in ((happened, 60), (hour, 0))
        ]
        seed = self.source.choice([n, n, n + 50])  # the same map may come again
        alert = json.loads(generated(kind, seed, graceid, time=f"{dates[0]}.123Z"))
        if kind == "RETRACTION":
            alert["event"] = None
        return json.dumps(alert | {"time_created": f"{dates[1]}Z"}).encode()

    def live(self) -> None:
        """Let it all happen."""
        begin = time.monotonic()
        for hour, action, words in self.actions:
            self.one.wait(begin + hour * self.hour_s - time.monotonic())
            self.one.clock.go_to(hour)
            told = [str(word) for word in words if not isinstance(word, list | bytes)]
            print(f"{int(hour):02}:{int(hour % 1 * 60):02}", action.__name__, *told, flush=True)
            action(*words)
        self.one.wait(begin + 24 * self.hour_s - time.monotonic())
        self.one.clock.go_to(24)
        self.operator.finish()

    def _hostile(self, n: int) -> bytes:
        return hostile(self._alert("PRELIMINARY", "S230101zz", 1.0, 1.0, n), n)

    # -- what may happen ----

    def send(self, records: list[bytes], are_bad: bool = False) -> None:
        self.one.broker.send("igwn.gwalert", records)
        self.sent += records
        self.malformed += are_bad * len(records)

    def permit(self, graceid: str) -> None:
        """Let a mock event be published, as a rehearsal, as soon as it is there."""
        words = ("flags", graceid, "UPLOAD=true", "ICECUBE_UPLOAD=true")
        self._try(lambda: self.one.llama(*words).returncode == 0)

    def kill(self, what: str) -> None:
        self._try(lambda: self.one.kill(what, self.source))

    def _try(self, action: Callable[[], bool]) -> None:
        end = time.monotonic() + VICTIM_S
        while not action() and time.monotonic() < end:
            self.one.wait(0.3)

    def kill_publisher(self, name: str, carried_out: bool) -> None:
        fault = self.one.kill_publisher(carried_out)
        # where one path is for both, it is looked up first
        look_up = [] if name == "slack" else [None]
        for end in DOORS[name] if look_up else DOORS[name][:1]:
            self.one.doors[name].faults.setdefault(end, []).extend([*look_up, fault])

    def spoil(self, name: str, end: str, faults: list[Any]) -> None:
        self.one.doors[name].faults.setdefault(end, []).extend(faults)
        self.faults[name] += len(faults)

    def fill_disk(self) -> None:
        with self.one.full_disk():
            self.one.wait(4.0)
        self.faults["disk"] += 1

    def move_clock(self, back_s: float) -> None:
        self.one.clock.step(-back_s)
        self.one.wait(3.0)
        self.faults["clock"] += 1

    def stop_broker(self) -> None:
        self.one.broker.process.send_signal(signal.SIGSTOP)
        try:
            self.one.wait(3.0)
        finally:
            self.one.broker.process.send_signal(signal.SIGCONT)
        self.faults["broker"] += 1

    # -- and what must have become of it ----

    def check(self) -> dict[str, Any]:
        """Compare what was sent with what is there, and what is told with what has arrived."""
        one = self.one
        records = {e: [json.dumps(a).encode() for a in given] for e, given in self.events.items()}
        gcn = [notice for event in self.events for notice in heard(one.broker, event)]
        received = messages({each.name: each.double for each in one.receivers}, gcn)
        wrong = judge(one.output, self.sent, records, one.stream.times, received)
        assert not wrong, "\n".join(wrong)
        assert one.peak_mib < MOST_MIB, one.peak_mib  # hostile maps cost a child each
        aside = sorted((one.output / "spool/quarantine").glob("*.json"))
        audit = one.llama("audit")
        named = sorted(line.split()[0] for line in audit.stdout.splitlines())
        assert named == [path.stem for path in aside], audit.stdout + audit.stderr
        assert f"{self.malformed} quarantine" in audit.stderr
        for path in aside:  # the operator has seen them
            path.rename(one.output / "spool/done" / path.name)
        audit = one.llama("audit")
        assert audit.returncode == 0, audit.stdout + audit.stderr
        assert f"{len(self.events)} events audited: all is well" in audit.stderr
        results = [e for e in self.events if not read_info(one.event(e)).retracted]
        channels = {"slack", "gracedb", "gcn", "icecube", "webhook"}
        for graceid in results:
            receipts = {path.stem for path in one.event(graceid).glob("receipts/*.json")}
            assert receipts == channels, graceid
        for graceid in self.source.sample(results, max(1, len(results) // 20)):
            odds = one.significance(graceid)["odds_ratio"]
            assert odds == one.undisturbed(graceid), graceid
        sent, arrived = one.sent(), one.arrived()
        in_files = sent.pop("icecube")
        assert arrived == {name: sent[name] for name in arrived}, (arrived, sent)
        assert {n for keys in arrived.values() for n in keys.values()} == {1}
        figures = Counter(one.receivers[0].figures())
        assert set(figures.values()) == {1}, figures
        assert in_files
        told = {name: keys.total() for name, keys in (sent | {"icecube": in_files}).items()}
        return {
            "events": len(self.events), "records": len(self.sent), "malformed": self.malformed,
            "killed": dict(one.killed), "faults": dict(self.faults), "messages": told,
            "commands": dict(self.operator.commands), "daemon_mib": one.peak_mib,
        }  # fmt: skip

    def damage(self) -> None:
        """Lose a record and tell something twice: the audit must name both, and nothing else."""
        one = self.one
        heard = sorted(one.output.glob("current_run/*/alerts/*.heard.json"))[0]
        (one.output / read_json(heard)["archive"]).unlink()
        outboxes = [Outbox(event, "webhook", "") for event in one.events()]
        outbox = next(box for box in outboxes if any(e.remote_id for e in box.entries()[-1:]))
        n = outbox.entries()[-1].n
        first, second = (outbox.directory / str(n + more) for more in (0, 1))
        shutil.copy(f"{first}.json", f"{second}.json")
        intent = read_json(Path(f"{first}.intent.json"))
        write_json(f"{second}.intent.json", intent | {"n": n + 1, "remote_id": "post-X"})
        audit = one.llama("audit")
        assert audit.returncode == 1
        lines = audit.stdout.splitlines()
        checks = {(line.split()[0], line.split("  ")[1].partition(":")[0]) for line in lines}
        lost, twice = heard.parents[1].name, outbox.directory.parents[1].name
        record = read_json(heard)["record"]
        assert {(lost, "archived"), (record, "archived"), (twice, "published")} == checks, lines
        assert any("has told" in line and "the same twice" in line for line in lines), lines


def soak(minutes: float, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Live through one day, and return what happened; `keep` is where all is kept if it fails."""
    begin = time.monotonic()
    # no word in the path that makes an event a test
    with contextlib.ExitStack() as stack:
        above = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llama-soak-")))
        disk = stack.enter_context(small_disk(above / "disk", f"{100 + 15 * minutes:.0f}m"))
        broker = stack.enter_context(Broker())
        stack.enter_context(beating(broker))
        one = stack.enter_context(soaked(disk, broker, seed))
        try:
            day = Day(one, seed, minutes)
            day.live()
            print("24:00 waiting until all is done, then the audit", flush=True)
            passes = one.settle(len(day.sent))
            told = day.check() | {"passes": passes}
            day.damage()
        except BaseException:
            if keep is not None:
                shutil.copytree(disk, keep, symlinks=True)
            raise
    return told | {"seed": seed, "seconds": round(time.monotonic() - begin)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="default: 60")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="default: any")
    parser.add_argument("--keep", type=Path, help="where all files go if it fails; must not exist")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    print(json.dumps(soak(options.minutes, options.seed, options.keep)))


if __name__ == "__main__":
    main()
